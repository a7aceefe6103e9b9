"""What a fit of rows that come in blocks was made of, made again: its first pass, and the blocks that it solved."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dsl.data.source import Source
from dsl.engine.blocks import Block
from dsl.engine.covariance import BY_DESIGN, BY_DESIGN_HC3
from dsl.estimators.analysis import Analysis
from dsl.estimators.call import Call, Execution
from dsl.estimators.lockstep import MadeError, Make
from dsl.estimators.names import ESTIMATORS
from dsl.estimators.result import Fit
from dsl.estimators.streaming import Streaming, prepare_streaming
from dsl.exceptions import ArgumentError


def streaming_of(fit: Fit, source: Source, execution: Execution, call: Call | None = None) -> Streaming:
    """The first pass over the rows of a fit.

    Parameters
    ----------
    fit : Fit
        Of rows that were read in blocks.
    source : Source
        What it was fitted to.
    execution : Execution
    call : Call, optional
        Another call on the same rows.

    Raises
    ------
    ArgumentError
        These are other rows: their numbers or the gold labels differ.
    """
    if fit.sample.fingerprint:
        raise ArgumentError("this fit was made from a table in memory; pass that table, not a source of blocks of rows")
    given = call or fit.call
    functions = fit.predictor.spec.functions
    learns = ESTIMATORS[given.estimator].learns
    streaming = prepare_streaming(given, source, functions, execution, learns=learns, quiet=True)
    check_same_rows(fit, streaming)
    analysis = replace(
        streaming.analysis,
        leave_out=given.leave_out,
        by_design=given.vcov in (BY_DESIGN, BY_DESIGN_HC3),
        looked=fit.sample.looked,
    )
    return replace(streaming, analysis=analysis)


def check_same_rows(fit: Fit, streaming: Streaming) -> None:
    """Raise ArgumentError unless counts of rows and gold labels are those of the fit."""
    found = streaming.scan
    if (found.n_input, found.rows, len(found.gold_rows)) != (fit.sample.n_input, fit.nobs, fit.n_labeled):
        raise ArgumentError(
            f"these are not the data of the fit: it was given {fit.sample.n_input:,} rows with {fit.n_labeled:,} labels, and "
            f"these are {found.n_input:,} with {len(found.gold_rows):,}"
        )
    gold = streaming.labels.gold
    names = tuple(map(str, gold.columns))
    # of categories the fit keeps shares, one for each class
    if fit.splits.targets in ((), names):
        same = np.asarray(fit.sample.gold, dtype=object) == gold.to_numpy(dtype=object)
        for name, column in zip(names, same.T, strict=True):
            if not column.all():
                raise ArgumentError(
                    f"these are not the data of the fit: {int((~column).sum())} labels in column '{name}' are others, or in "
                    "another order"
                )


def blocks_of(fit: Fit, streaming: Streaming, execution: Execution) -> tuple[Sequence[Block], Make]:
    """Labelled rows of each split, and what makes the blocks of each from a chunk of rows: as the fit solved them."""
    entry = fit.estimator
    assert entry.streamed is not None  # there is a fit
    try:
        entry.streamed(replace(streaming, only_blocks=True), fit.call, execution)
    except MadeError as made:
        return made.own, made.make
    # nothing was read: labelled rows are all there is
    return [_gold_only(streaming.labels)], lambda chunk: lambda split: _gold_only(chunk.analysis)


def _gold_only(analysis: Analysis) -> Block:
    (blocks,) = analysis.blocks()
    return blocks.gold_only()
