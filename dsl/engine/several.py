r"""Design-adjusted moments of models with several linear predictors (`dsl.engine.models.family`), of one block of rows.

Row i has linear predictors eta_j = X_j theta_j, and the moment m = (X_1' r_1, ..., X_J' r_J). Each X_j is made of the block's own
columns, so that every sum here is one that a model with a single linear predictor takes too (`dsl.engine.weighted`), once for
each r_j and each H_jl. `dsl.engine.moments` calls these functions where the model is of this kind.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from dsl._typing import BoolArray, FloatArray, IntArray
from dsl.engine.blocks import Block
from dsl.engine.models.family import Family, Kind, Score
from dsl.engine.weighted import column_gram, column_outer, column_rows, column_sums, shares_of, total


@dataclass(frozen=True, slots=True, kw_only=True)
class Several:
    """A family on the columns of one analysis: which parameters belong to which columns.

    Parameters are ordered predictor after predictor, those of each as the columns are.
    """

    family: Family
    kinds: tuple[Kind, ...]
    """(J,) columns of each linear predictor."""
    width: int
    """Number of the block's columns."""
    intercept: int | None
    """Place of the intercept among them."""
    levels: tuple[str, ...]
    """The outcome's classes. Empty where it is a number."""
    names: tuple[str, ...]
    """(k,) parameters."""

    @classmethod
    def on(cls, family: Family, columns: Sequence[str], levels: Sequence[str] = (), prefix: str = "{}:") -> "Several":
        """The family on the block's columns, given their names and the outcome's classes.

        `prefix` is what a class makes of the names of its equation's coefficients.
        """
        intercept = columns.index("Intercept") if "Intercept" in columns else None
        made = cls(
            family=family,
            kinds=family.kinds(len(levels)),
            width=len(columns),
            intercept=intercept,
            levels=tuple(levels),
            names=(),
        )
        return replace(made, names=made.named(columns, prefix))

    def named(self, columns: Sequence[str], prefix: str) -> tuple[str, ...]:
        """Names of the parameters from those of columns in the order of this object's, (k,)."""
        out: list[str] = []
        for label, own in zip(self.family.labels(self.levels), self.places, strict=True):
            if own is None:
                out.append(label)
            else:
                out += [(prefix.format(label) if label else "") + columns[j] for j in own]
        return tuple(out)

    @property
    def slope(self) -> Score:
        """H of the family: never the constant of linear models."""
        return self.family.slope

    @property
    def probability(self) -> bool:
        """Whether means are probabilities."""
        return self.family.probability

    @property
    def positive(self) -> bool:
        """Whether the first linear predictor is the log of the mean."""
        return self.family.positive

    @property
    def degree(self) -> int:
        """Power of the outcome's size with which moments grow."""
        return self.family.degree

    @property
    def canonical(self) -> bool:
        """Whether the Jacobian depends on covariates alone."""
        return self.family.canonical

    @property
    def pilot(self) -> None:
        """Newton's method begins at `begin`."""

    @property
    def places(self) -> tuple[IntArray | None, ...]:
        """The block's columns in each linear predictor, None for the constant one."""
        every = np.arange(self.width)
        slopes = every if self.intercept is None else np.delete(every, self.intercept)
        found: dict[Kind, IntArray | None] = {"all": every, "slopes": slopes, "threshold": None, "one": None}
        return tuple(found[kind] for kind in self.kinds)

    @property
    def parts(self) -> tuple[slice, ...]:
        """Parameters of each linear predictor."""
        ends = np.cumsum([0, *(1 if own is None else len(own) for own in self.places)])
        return tuple(slice(int(start), int(stop)) for start, stop in pairwise(ends))

    @property
    def size(self) -> int:
        """Number of parameters."""
        return int(self.parts[-1].stop)

    @property
    def equations(self) -> tuple[tuple[str, slice, IntArray], ...]:
        """Label, parameters and columns of each linear predictor that has columns."""
        labels = self.family.labels(self.levels)
        each = zip(labels, self.parts, self.places, strict=True)
        return tuple((label, part, own) for label, part, own in each if own is not None)

    @property
    def slopes(self) -> BoolArray:
        """Which parameters keep their meaning where columns get another origin, (k,): not intercepts and thresholds."""
        column = np.ones(self.width, dtype=bool)
        if self.intercept is not None:
            column[self.intercept] = False
        constants = {"threshold": False, "one": True}
        parts = [
            np.array([constants[kind]]) if own is None else column[own]
            for kind, own in zip(self.kinds, self.places, strict=True)
        ]
        return np.concatenate(parts)

    def spread(self, values: FloatArray, constant: float = 1.0) -> FloatArray:
        """Values (width,) of the columns as values of their parameters, with `constant` for the constant columns, (k,)."""
        return np.concatenate([np.array([constant]) if own is None else values[own] for own in self.places])

    def back(self, means: FloatArray) -> FloatArray:
        """T in theta = T theta_c, where theta_c belongs to columns less their `means` (width,). (k, k) array.

        Each equation's own intercept takes up the means, or every threshold does, with the other sign: zeta - x'b.
        """
        out = np.eye(self.size)
        slopes = [(part, own) for kind, part, own in self._each() if kind == "slopes" and own is not None]
        for kind, part, own in self._each():
            if kind == "all" and own is not None and self.intercept is not None:
                out[part.start + self.intercept, part] -= means[own]
            if kind == "threshold":
                for other, columns in slopes:
                    out[part.start, other] += means[columns]
        return out

    def _each(self) -> list[tuple[Kind, slice, IntArray | None]]:
        return list(zip(self.kinds, self.parts, self.places, strict=True))

    def begin(self, outcome: FloatArray, weight: FloatArray) -> FloatArray:
        """Parameters at which all slopes are zero and the constants fit the outcomes, (k,)."""
        constants = self.family.start(outcome, weight, len(self.levels))
        out = np.zeros(self.size)
        for (kind, part, _), value in zip(self._each(), constants, strict=True):
            if kind in ("threshold", "one"):
                out[part] = value
            elif kind == "all" and self.intercept is not None:
                out[part.start + self.intercept] = value
        return out

    def disorder(self, params: FloatArray) -> int | None:
        """The first threshold that is not above the one before it, counted among thresholds. None if they ascend."""
        zeta = np.array([params[part.start] for kind, part, _ in self._each() if kind == "threshold"])
        # NaN counts as out of order
        bad = np.flatnonzero(~(np.diff(zeta) > 0.0))
        return int(bad[0]) + 1 if len(bad) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Etas:
    """Linear predictors of all versions of each row."""

    hats: tuple[FloatArray, ...]
    """(J, n) for each predicted version."""
    golds: FloatArray
    """(J, m) of the gold version."""
    link: Several
    """The model that they belong to."""

    @property
    def predicted(self) -> tuple[FloatArray, ...]:
        """Fitted means or class probabilities of each predicted version, (K, n)."""
        return tuple(self.link.family.mean(eta) for eta in self.hats)

    @property
    def predicted_eta(self) -> tuple[FloatArray, ...]:
        """The first linear predictor of each predicted version, (n,)."""
        return tuple(eta[0] for eta in self.hats)

    @property
    def gold(self) -> FloatArray:
        """Those of the gold version, (K, m)."""
        return self.link.family.mean(self.golds)


def predictors_at(
    columns: FloatArray,
    params: FloatArray,
    link: Several,
    offset: FloatArray | None = None,
    which: slice = slice(None),
) -> FloatArray:
    """Linear predictors (J, n) from columns (n, .), all or the places `which`, the first with an `offset` (n,)."""
    eta = _part(columns, which, params, link)
    for j, (part, own) in enumerate(zip(link.parts, link.places, strict=True)):
        if own is None:
            eta[j] = params[part]
    if offset is not None:
        eta[0] += offset
    return eta


def _part(columns: FloatArray, which: slice, params: FloatArray, link: Several) -> FloatArray:
    """What some of the columns (n, .) add to the linear predictors, (J, n). `which` are their places among all."""
    out = np.zeros((len(link.kinds), len(columns)))
    places = [
        (j, part, own) for j, (part, own) in enumerate(zip(link.parts, link.places, strict=True)) if own is not None
    ]
    # (width, predictors with columns): each theta_j at its columns
    coefficient = np.zeros((link.width, len(places)))
    for c, (_, part, own) in enumerate(places):
        coefficient[own, c] = params[part]
    out[[j for j, _, _ in places]] = (columns @ coefficient[which]).T
    return out


def linear_predictors(block: Block, params: FloatArray, link: Several) -> Etas:
    """All linear predictors at `params` (k,)."""
    f = block.fixed.shape[1]
    shared = predictors_at(block.fixed, params, link, block.offset, slice(0, f))
    gold, predicted = shared[:, block.gold_rows], slice(f, link.width)
    if not block.predicted.shape[1]:
        return Etas(hats=(shared,) * len(block.versions), golds=gold, link=link)
    gold = gold + _part(block.gold, predicted, params, link)
    hats = tuple(shared + _part(version.predicted, predicted, params, link) for version in block.versions)
    return Etas(hats=hats, golds=gold, link=link)


def _residuals(
    block: Block, etas: Etas, predicted: FloatArray, gold: FloatArray
) -> tuple[list[FloatArray], FloatArray]:
    """Weighted r (J, n) of the predicted versions, and (J, m) of the gold one."""
    score = etas.link.family.score
    hats = [
        shares_of(predicted, version) * score(version.outcome, eta)
        for version, eta in zip(block.versions, etas.hats, strict=True)
    ]
    return hats, gold * score(block.gold_outcome, etas.golds)


def moment_sum(block: Block, etas: Etas, predicted: FloatArray, gold: FloatArray) -> FloatArray:
    """Sum of the moments over the block, (k,). `predicted` (n,) and `gold` (m,) weigh the versions."""
    hats, golds = _residuals(block, etas, predicted, gold)
    parts = []
    for j, own in enumerate(etas.link.places):
        mine = [hat[j] for hat in hats]
        if own is None:
            parts.append(np.array([_sum(mine, golds[j])]))
        else:
            parts.append(column_sums(block, mine, golds[j])[own])
    return np.concatenate(parts)


def scores(block: Block, etas: Etas, predicted: FloatArray, gold: FloatArray) -> FloatArray:
    """Moments row by row, (n, k)."""
    hats, golds = _residuals(block, etas, predicted, gold)
    link = etas.link
    out = np.empty((len(block.outcome), link.size), order="F")
    for j, (part, own) in enumerate(zip(link.parts, link.places, strict=True)):
        mine = [hat[j] for hat in hats]
        if own is None:
            out[:, part] = total(mine, golds[j], block.gold_rows)[:, None]
        else:
            out[:, part] = column_rows(block, mine, golds[j])[:, own]
    return out


def jacobian_sum(block: Block, etas: Etas, predicted: FloatArray, gold: FloatArray) -> FloatArray:
    """Sum of minus the derivatives of the moments in the parameters, (k, k)."""
    link = etas.link
    hats, golds = _slopes(block, etas, predicted, gold)
    out = np.zeros((link.size, link.size))
    for j in range(len(link.kinds)):
        for other in range(j, len(link.kinds)):
            part = _between(block, link, (j, other), [hat[j, other] for hat in hats], golds[j, other])
            # H is symmetric
            out[link.parts[j], link.parts[other]] = part
            out[link.parts[other], link.parts[j]] = part.T
    return out


def _slopes(block: Block, etas: Etas, predicted: FloatArray, gold: FloatArray) -> tuple[list[FloatArray], FloatArray]:
    """Weighted H (J, J, n) of the predicted versions, and (J, J, m) of the gold one."""
    slope = etas.link.family.slope
    hats = [
        shares_of(predicted, version) * slope(version.outcome, eta)
        for version, eta in zip(block.versions, etas.hats, strict=True)
    ]
    return hats, gold * slope(block.gold_outcome, etas.golds)


def jacobian_rows(block: Block, etas: Etas, predicted: FloatArray, gold: FloatArray) -> FloatArray:
    """Minus the derivatives of the moments row by row, (n, k, k)."""
    link = etas.link
    hats, golds = _slopes(block, etas, predicted, gold)
    out = np.zeros((len(block.outcome), link.size, link.size))
    for j, (part, one) in enumerate(zip(link.parts, link.places, strict=True)):
        for h, (beside, other) in enumerate(zip(link.parts, link.places, strict=True)):
            mine, golden = [hat[j, h] for hat in hats], golds[j, h]
            if one is not None and other is not None:
                out[:, part, beside] = column_outer(block, mine, golden)[:, one][:, :, other]
            elif one is None and other is None:
                out[:, part, beside] = total(mine, golden, block.gold_rows)[:, None, None]
            elif other is None:
                out[:, part, beside] = column_rows(block, mine, golden)[:, one, None]
            else:
                out[:, part, beside] = column_rows(block, mine, golden)[:, None, other]
    return out


def _between(
    block: Block, link: Several, pair: tuple[int, int], hats: list[FloatArray], gold: FloatArray
) -> FloatArray:
    """Sum of X_j' H_jl X_l, from weighted H_jl (n,) of the predicted versions and (m,) of the gold one."""
    one, other = link.places[pair[0]], link.places[pair[1]]
    if one is None and other is None:
        return np.array([[_sum(hats, gold)]])
    if one is None or other is None:
        sums = column_sums(block, hats, gold)
        return np.asarray(sums[None, other] if one is None else sums[one, None])
    return np.asarray(column_gram(block, hats, gold)[np.ix_(one, other)])


def _sum(hats: list[FloatArray], gold: FloatArray) -> float:
    return float(sum(hat.sum() for hat in hats) + gold.sum())
