"""Whether labels look drawn as stated, and whether a recorded design is used, for rows that come in blocks."""

from dataclasses import replace

import numpy as np

from dsl.data.design import SamplingDesign
from dsl.data.placed import some_rows
from dsl.data.recorded import COLUMNS, warn_if_unused
from dsl.engine.labeling import Labeling
from dsl.estimators.analysis import look
from dsl.estimators.call import Call
from dsl.estimators.streaming import Streaming

SEEN = (
    "rows were read in blocks: codes for missing values, copies of rows and of labels, scales, and whether labels look drawn as "
    "stated were looked at on the labelled rows and {count:,} of the others"
)


def look_streamed(streaming: Streaming, call: Call) -> Streaming:
    """The same with `Analysis.looked`, and a note on what was looked at. Warns as `dsl.estimators.analysis.look`.

    Labelled rows and a random part of the others are tested. Among these a row with probability pi is labelled with probability
    pi / (pi + (1 - pi) f), where f is the share of the unlabelled rows that are there. With clusters all rows are needed, or none
    is tested.
    """
    found, analysis = streaming.scan, streaming.analysis
    sample, mask = analysis.sample, found.at_random
    drawn = sample.labeled[mask]
    others, there = found.rows - len(found.gold_rows), int((~drawn).sum())
    if others == 0:
        return streaming
    _warn_if_unused(streaming, call)
    notes: tuple[str, ...] = (SEEN.format(count=there),) if there < others else ()
    if found.cluster is not None and there < others:
        notes = (f"{notes[0]}; with clusters, whether labels look drawn as stated was not looked at",)
        return replace(streaming, analysis=analysis.noted(notes))
    prob = sample.labeling.prob[mask]
    share = there / others
    data = sample.data[mask]
    design: SamplingDesign | None = None
    thinned = prob / (prob + (1.0 - prob) * share)
    if call.design is None or found.order is None:
        even = np.full(len(prob), drawn.mean())
        labeling = Labeling(prob=even if sample.equal_prob else thinned, drawn=drawn, fixed_size=sample.equal_prob)
    else:
        # of a fixed number in a stratum: given how many of its rows are there, labels are drawn among these
        labeling = replace(sample.labeling.at(mask), prob=thinned)
        order = np.argsort(found.order[mask])
        design = some_rows(call.design, labeling, order, data.index[order])
    part = replace(
        sample,
        data=data,
        rows=np.arange(len(data)),
        n_input=len(data),
        labeled=drawn,
        labeling=labeling,
        cluster=None if sample.cluster is None else sample.cluster[mask],
        absorbed=tuple(np.unique(codes[mask], return_inverse=True)[1] for codes in sample.absorbed),
    )
    looked = look(part, analysis.columns, data, design)
    return replace(streaming, analysis=replace(analysis.noted(notes), looked=looked))


def _warn_if_unused(streaming: Streaming, call: Call) -> None:
    """`dsl.data.recorded.warn_if_unused`, by the first block."""
    names = [name for name in COLUMNS if name in streaming.source.names]
    if not names:
        return
    first = next(streaming.source.frames(names, streaming.rows))
    warn_if_unused(
        first,
        gold=call.predicted_var,
        design=call.design,
        sample_prob=call.sample_prob,
        cluster=call.cluster,
        clusters=call.target != "finite",
    )
