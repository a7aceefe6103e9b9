"""What checks work on where rows come in blocks: labelled rows, and those of the others that the first pass keeps.

What labelled rows alone tell is what it is in memory. Learners are trained again on them. What needs all rows is skipped, and
says so.
"""

from dataclasses import replace

import numpy as np

from dsl.data.narrow import rows_at
from dsl.data.source import Source
from dsl.estimators.call import Execution
from dsl.estimators.remade import streaming_of
from dsl.estimators.result import Fit
from dsl.estimators.streamed import label_predictions
from dsl.estimators.streaming import Streaming
from dsl.exceptions import ArgumentError
from dsl.reports.diagnostics.case import Case, covariates_of

REPRODUCED = 1e-6
"""Relative error of the out-of-fold errors up to which learners count as trained again."""


def case_in_blocks(fit: Fit, source: Source, by: tuple[str, ...], execution: Execution) -> Case:
    """The case of a fit of rows that come in blocks, from its source.

    Parameters
    ----------
    fit : Fit
    source : Source
        What it was fitted to.
    by : tuple of str
        Further columns across which errors of surrogates are compared.
    execution : Execution

    Raises
    ------
    ArgumentError
        These are other rows, or a learner does not give the same predictions again.
    """
    streaming = streaming_of(fit, source, execution)
    analysis = streaming.analysis if fit.estimator.uses_surrogates else streaming.analysis.as_stated()
    absent = [name for name in by if name not in source.names]
    if absent:
        raise ArgumentError(f"by names '{absent[0]}', which is not in the data")
    data = streaming.scan.anchor
    further = {name: "by" for name in by if name not in data}
    if further:
        data = data.assign(
            **{str(name): values for name, values in rows_at(source, further, data.index.to_numpy()).items()}
        )
    # rows are those of the anchor, which are found by their place in it
    at = replace(analysis.sample, rows=np.arange(len(data)))
    return Case(
        fit=_with_predictions(fit, streaming, execution),
        analysis=analysis,
        covariates=covariates_of(replace(analysis, sample=at), data, by),
        seen=len(data) - len(streaming.scan.gold_rows),
    )


def _with_predictions(fit: Fit, streaming: Streaming, execution: Execution) -> Fit:
    """The fit with folds and out-of-fold predictions of the labelled rows, made again, among those of the anchor."""
    if not fit.estimator.learns:
        return fit
    found, folds = label_predictions(streaming, fit.call, execution, imputes=fit.estimator.imputes)
    errors = np.sqrt(((found - fit.sample.gold) ** 2).mean(axis=1))
    if fit.rmse is not None and not np.allclose(errors, fit.rmse, rtol=REPRODUCED, atol=1e-12):
        raise ArgumentError(
            "the fit's numbers cannot be made again (out-of-fold errors differ): these are other predictions or features than "
            f"those of the fit, or its learner, {', '.join(fit.splits.learners)}, does not give the same predictions twice"
        )
    labeled = streaming.analysis.sample.labeled
    every = np.zeros((len(found), len(labeled), found.shape[2]))
    every[:, labeled] = found
    own = np.zeros((len(folds), len(labeled)), dtype=folds.dtype)
    own[:, labeled] = folds
    return replace(fit, splits=replace(fit.splits, predictions=every, folds=own))
