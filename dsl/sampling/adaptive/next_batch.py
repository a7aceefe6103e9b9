"""From the labels so far to the next batch: evidence, probabilities, draw."""

import numpy as np
from threadpoolctl import threadpool_limits

from dsl._typing import BoolArray, FloatArray, IntArray
from dsl.exceptions import EstimationError
from dsl.sampling.adaptive.archive import Population
from dsl.sampling.adaptive.batches import Batch, Facts, Progress
from dsl.sampling.adaptive.evidence import evidence_of
from dsl.sampling.adaptive.probabilities import (
    Probabilities,
    aimed_probabilities,
    combined,
    draw,
    even_probabilities,
    gains,
)
from dsl.sampling.adaptive.settings import Settings
from dsl.sampling.design import LabelDesign


def plan_batch(people: Population, progress: Progress) -> Batch:
    """Plan and draw the next batch: the same for the same settings, data and labels."""
    number, settings = len(progress.batches) + 1, people.settings
    with threadpool_limits(limits=1):  # sums in the same order, whatever the machine is set to
        planned, facts = _planned(people, progress, settings.sizes[number - 1])
    rows = drawn_rows(settings, number, planned.now, progress.labeled)
    return Batch(number=number, rows=rows, now=planned.now, facts=facts)


def drawn_rows(settings: Settings, number: int, now: FloatArray, labeled: BoolArray) -> IntArray:
    """Positions of the rows of a batch, given its probabilities: its random numbers are its own."""
    # spawn key t: a batch can be drawn again without drawing those before it
    rng = np.random.default_rng(np.random.SeedSequence(settings.seed, spawn_key=(number,)))
    return draw(now, labeled, rng)


def _planned(people: Population, progress: Progress, size: int) -> tuple[Probabilities, Facts]:
    """Probabilities of the next batch, and how they came about. They are even where the labels do not say better."""
    settings, before, labeled = people.settings, progress.total, progress.labeled
    even = even_probabilities(size=size, before=before, labeled=labeled)
    facts: Facts = {"rho": {}, "relative_variance": {}, "note": ""}
    if not labeled.any():
        return even, facts
    # the burn-in has nothing to learn from. Later, labels may still be too few for the analysis
    try:
        evidence = evidence_of(people, progress.gold, label_design(people, progress))
    except EstimationError as error:
        return even, {**facts, "note": f"even probabilities ({type(error).__name__}: the labels are too few as yet)"}
    planned = aimed_probabilities(
        evidence.variance,
        size=size,
        before=before,
        labeled=labeled,
        tau=settings.tau,
        floor=settings.floor,
        criterion=settings.criterion,
    )
    expected = dict(zip(settings.coefficient, gains(evidence.variance, planned.total).tolist(), strict=True))
    return planned, Facts(rho=evidence.rho, relative_variance=expected, note=evidence.note)


def label_design(people: Population, progress: Progress) -> LabelDesign:
    """The rows labelled, and each row's probability of having been drawn in any batch."""
    settings = people.settings
    return LabelDesign(
        kind="adaptive",
        rows=people.rows,
        prob=progress.total,
        drawn=progress.labeled,
        # every batch has a fixed size, hence so has their union
        fixed_size=True,
        settings={
            "formula": settings.formula,
            "coefficient": list(settings.coefficient),
            "sizes": [len(batch.rows) for batch in progress.complete],
            "seed": settings.seed,
            **_hidden(settings),
        },
    )


def batch_design(people: Population, progress: Progress, number: int) -> LabelDesign:
    """One batch alone, for its coders' files. No estimate is made with it.

    Its probabilities are those of the batches up to it, so that no other batch, nor one of another design, has its fingerprint.
    """
    batch = progress.batches[number - 1]
    total = np.zeros(progress.size)
    for each in progress.batches[:number]:
        total = combined(total, each.now)
    drawn = np.zeros(progress.size, dtype=bool)
    drawn[batch.rows] = True
    return LabelDesign(
        kind="adaptive",
        rows=people.rows,
        prob=total,
        drawn=drawn,
        fixed_size=True,
        settings={"batch": number, "seed": people.settings.seed, **_hidden(people.settings)},
    )


def _hidden(settings: Settings) -> dict[str, list[str]]:
    """What coders are not shown (`dsl.sampling.coding.hidden`)."""
    return {"prediction": list(settings.surrogates), "confidence": list(settings.confidence)}
