"""Versions of the rows at the labels of each stage, and what they count for (`dsl.engine.stages`)."""

from collections.abc import Sequence

import numpy as np

from dsl._typing import FloatArray
from dsl.data.formula.sides import Values
from dsl.data.sample import Sample
from dsl.engine.blocks import Staged
from dsl.engine.stages import stage_shares

Share = FloatArray | None


def staged_values(sample: Sample, versions: Sequence[Values]) -> list[Values]:
    """Predicted variables (N,) in every version of the rows, then in those of each stage.

    A stage that lacks a predicted variable has as many versions as there are predictions of it.
    """
    out = list(versions)
    for stage in sample.stages:
        out += [stage.over(values) for values in (versions[:1] if stage.whole else versions)]
    return out


def staged_shares(sample: Sample, shares: Sequence[Share]) -> list[Share]:
    """The probability of every version, (N,) or None for one, and the shares of each stage."""
    if not sample.stages:
        return list(shares)
    final = np.zeros(len(sample.data))
    final[sample.labeled] = sample.weight
    first, *rest = stage_shares([stage.weight for stage in sample.stages], final)
    out: list[Share] = [_times(first, share) for share in shares]
    for stage, part in zip(sample.stages, rest, strict=True):
        out += [part] if stage.whole else [_times(part, share) for share in shares]
    return out


def staged_of(sample: Sample, shares: Sequence[Share]) -> Staged | None:
    """The stages of a block whose versions are `staged_values`, None without."""
    if not sample.stages:
        return None
    level, plain = [0] * len(shares), list(shares)
    for place, stage in enumerate(sample.stages, start=1):
        own: list[Share] = [None] if stage.whole else list(shares)
        level += [place] * len(own)
        plain += own
    return Staged(level=tuple(level), plain=tuple(plain), reached=tuple(stage.weight for stage in sample.stages))


def _times(part: FloatArray, share: Share) -> FloatArray:
    return part if share is None else np.asarray(part * share)
