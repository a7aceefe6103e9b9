"""Score imputation: the moment averaged over what the predicted variables may be, instead of at their mean.

Plugging E[D | evidence] into a moment that is not linear in D wastes information: the moment of ``lm`` has D^2 where a
covariate is predicted, that of ``logit`` is curved. Here m_hat = sum_d p(d) m(D = d) over a cross-fitted distribution of the
predicted variables given surrogates, features and the observed variables of the analysis, which is the augmentation of
Robins, Rotnitzky and Zhao (1994). The outcome is evidence about a covariate, and validity does not depend on it.

Variables with few values are averaged over exactly, jointly where there are several. Others are represented by a few draws:
conditional mean plus residuals with the mean, variance and covariances of those of the labelled rows in the same cell.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Unpack

import numpy as np
import pandas as pd

from dsl._typing import BoolArray, FloatArray, IntArray
from dsl.data.tables import categorical_dtype, is_category
from dsl.exceptions import ArgumentError
from dsl.learners.crossfit import CrossFit, Learning, cross_predict

FEW_VALUES = 8
"""Distinct gold values up to which a number is averaged over exactly."""
FEW_STEPS = 20
"""The same for a number inside a step, a power or another term that is not affine in it."""
MAX_CELLS = 40
"""Joint values of the variables averaged over exactly."""
DRAWS = 8
"""Draws of each variable that is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Support:
    """The values over which the moment is averaged."""

    discrete: tuple[str, ...]
    continuous: tuple[str, ...]
    cells: pd.DataFrame = field(repr=False)
    """(C, discrete) joint values seen on labelled rows, or one empty row without discrete variables."""
    code: IntArray = field(repr=False)
    """(n,) cell of each labelled row."""
    draws: int
    """Versions of the continuous variables in each cell."""
    bounded: tuple[str, ...] = ()
    """Continuous variables whose draws stay within the gold values, as what the formula makes of others may be undefined."""

    @property
    def size(self) -> int:
        """Number of versions of a row."""
        return len(self.cells) * self.draws


def find_support(
    gold: pd.DataFrame, *, linear: Sequence[str] = (), coded: Sequence[str] = (), curved: Sequence[str] = ()
) -> Support:
    """Decide how to average over the predicted variables.

    Parameters
    ----------
    gold : DataFrame, (n, q)
        Gold values of the labelled rows, categories or numbers.
    linear : sequence of str
        Numbers that enter the moment linearly, whose conditional mean says it all if nothing else is predicted.
    coded : sequence of str
        Numbers of which the formula makes categories.
    curved : sequence of str
        Numbers in terms that are not affine in them. Of those (and of other numbers) with most values, draws are taken where the
        joint values are too many.

    Raises
    ------
    ArgumentError
        The categories have too many joint values.
    """
    every = [str(name) for name in gold]
    category = [name for name in every if is_category(gold[name])]
    numbers = [name for name in every if name not in category]
    count = {name: gold[name].nunique() for name in numbers}
    few = [name for name in numbers if count[name] <= (FEW_STEPS if name in curved else FEW_VALUES) or name in coded]
    # m_hat at the mean is the mean of m: nothing is gained by averaging
    if not category and set(numbers) <= set(linear):
        few = []
    discrete, cells = _cells(gold, [*category, *few])
    spare = sorted(set(few) - set(coded), key=lambda name: count[name])
    while len(cells) > MAX_CELLS and spare:
        few.remove(spare.pop())
        discrete, cells = _cells(gold, [*category, *few])
    if len(cells) > MAX_CELLS:
        counts = ", ".join(f"'{name}' ({gold[name].nunique()})" for name in discrete)
        raise ArgumentError(
            f"the predicted variables take {len(cells)} joint values on the labelled rows, more than the {MAX_CELLS} that can be "
            f"averaged over: {counts}; merge categories, or predict fewer variables at once"
        )
    if discrete:
        cells = cells.sort_values(discrete).reset_index(drop=True)
        code = _codes(cells, gold, discrete)
    else:
        code = np.zeros(len(gold), dtype=np.int64)
    rest = [name for name in numbers if name not in few]
    return Support(
        discrete=tuple(discrete),
        continuous=tuple(rest),
        cells=cells,
        code=code,
        # one draw, at the conditional mean, where the moment is linear in what is not discrete
        draws=DRAWS if set(rest) - set(linear) else 1,
        bounded=tuple(name for name in rest if name in curved),
    )


def _cells(gold: pd.DataFrame, names: Sequence[str]) -> tuple[list[str], pd.DataFrame]:
    """The variables to be averaged over exactly, in the columns' order, and their joint values on labelled rows."""
    discrete = [str(name) for name in gold if name in names]
    return discrete, gold[discrete].drop_duplicates() if discrete else pd.DataFrame(index=[0])


def _codes(cells: pd.DataFrame, gold: pd.DataFrame, names: list[str]) -> IntArray:
    """Which of the cells, in ascending order, the labelled rows are in, (n,)."""
    if len(names) == 1 and not is_category(gold[names[0]]):
        # numbers of one variable: pandas' merge takes a hundred times as long
        return np.searchsorted(cells[names[0]].to_numpy(), gold[names[0]].to_numpy())
    found = cells.assign(_cell=np.arange(len(cells))).merge(gold[names], on=names, how="right")["_cell"]
    return found.to_numpy()


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """Cross-fitted distribution of the predicted variables, for every split."""

    support: Support
    shares: FloatArray = field(repr=False)
    """(S, N, C) probabilities of the cells."""
    means: FloatArray = field(repr=False)
    """(S, N, c) conditional means of the continuous variables."""
    labeled: BoolArray = field(repr=False)
    gold: FloatArray = field(repr=False)
    """(n, c) gold values of the continuous variables."""
    learners: tuple[str, ...]
    reasons: tuple[str, ...]
    residuals: FloatArray | None = field(default=None, repr=False)
    """(S, n, c) gold values less means of the labelled rows, where these are not all among the N."""

    @property
    def constant(self) -> bool:
        """Whether the versions' values are the same in every split."""
        return not self.support.continuous

    def values(self, split: int) -> list[dict[str, FloatArray | pd.Categorical]]:
        """Predicted variables, (N,) each, in every version of the rows."""
        support, n, out = self.support, self.shares.shape[1], []
        for cell in range(len(support.cells)):
            fixed = {name: constant(support.cells[name], cell, n) for name in support.discrete}
            out += [{**fixed, **drawn} for drawn in self._draws(split, cell)]
        return out

    def probabilities(self, split: int) -> list[FloatArray | None]:
        """Probability of each version, (N,), or None for one."""
        draws = self.support.draws
        if self.support.size == 1:
            return [None]
        # the draws of a cell share its probability evenly
        return [share / draws for share in self.shares[split].T for _ in range(draws)]

    def targets(self, gold: pd.DataFrame) -> "Targets":
        """What is reported about the predictions: numbers at their means, a column for each category."""
        names: list[str] = []
        predictions: list[FloatArray] = []
        truth: list[FloatArray] = []
        learners: list[tuple[str, str]] = []
        n_cell = len(self.learners) - len(self.support.continuous)
        of_cells = (
            ", ".join(dict.fromkeys(self.learners[:n_cell])) or "(one value)",
            "; ".join(dict.fromkeys(filter(None, self.reasons[:n_cell]))),
        )
        for name in gold:
            if name in self.support.continuous:
                place = self.support.continuous.index(name)
                names.append(str(name))
                predictions.append(self.means[:, :, place])
                truth.append(gold[name].to_numpy(dtype=float))
                learners.append((self.learners[n_cell + place], self.reasons[n_cell + place]))
                continue
            for label, value, actual in _indicators(str(name), self.support.cells[name], gold[name]):
                names.append(label)
                # (S, N, C) times (C,): the mean over the cells
                predictions.append(self.shares @ value)
                truth.append(actual)
                learners.append(of_cells)
        return Targets(
            names=tuple(names),
            gold=np.column_stack(truth),
            cross_fit=CrossFit(
                predictions=np.stack(predictions, axis=2),
                learners=tuple(learner for learner, _ in learners),
                reasons=tuple(reason for _, reason in learners),
            ),
        )

    def _draws(self, split: int, cell: int) -> list[dict[str, FloatArray]]:
        names = self.support.continuous
        if not names:
            return [{}]
        # (n, c), and their means in each cell, (C, c)
        own = self.gold - self.means[split, self.labeled] if self.residuals is None else self.residuals[split]
        average = np.array([own[self.support.code == c].mean(axis=0) for c in range(len(self.support.cells))])
        # E[X | cell] = E[X] + the cell's mean residual, less their average so that the cells together have mean E[X]
        centre = self.means[split] - self.shares[split] @ average + average[cell]
        about = own[self.support.code == cell] - average[cell]
        low, high = self._ends()
        return [
            dict(zip(names, np.clip(centre + step, low, high).T, strict=True))
            for step in representatives(about, self.support.draws)
        ]

    def _ends(self) -> tuple[FloatArray, FloatArray]:
        """Where draws of the continuous variables must lie, (c,) each."""
        bounded = np.isin(self.support.continuous, self.support.bounded)
        low, high = self.gold.min(axis=0), self.gold.max(axis=0)
        return np.where(bounded, low, -np.inf), np.where(bounded, high, np.inf)


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """What learners predict: the predicted variables, categories as one 0/1 column each."""

    names: tuple[str, ...]
    gold: FloatArray = field(repr=False)
    """(n, q) of the labelled rows."""
    cross_fit: CrossFit = field(repr=False)


def _indicators(name: str, cells: pd.Series, gold: pd.Series) -> list[tuple[str, FloatArray, FloatArray]]:
    """Label, value in every cell (C,) and gold value (n,): of a number, or of each category."""
    if not is_category(gold):
        return [(name, cells.to_numpy(dtype=float), gold.to_numpy(dtype=float))]
    return [
        (f"{name}[{level}]", (cells == level).to_numpy(dtype=float), (gold == level).to_numpy(dtype=float))
        for level in gold.cat.categories
    ]


def constant(values: pd.Series, position: int, n: int) -> FloatArray | pd.Categorical:
    """One of the `values` for all n rows. A category stays one."""
    if is_category(values):
        return pd.Categorical.from_codes(np.full(n, values.cat.codes.iloc[position]), dtype=categorical_dtype(values))
    return np.full(n, float(values.iloc[position]))


def representatives(residuals: FloatArray, draws: int) -> FloatArray:
    """A few rows that stand for centred `residuals` (n, c): the same covariance, and mean zero. (draws, c) array.

    Midpoints of equal shares of the rows, in the order of the first principal component, then made to have
    the covariance exactly (with fewer draws than columns, as nearly as possible).
    """
    n, c = residuals.shape
    if draws == 1 or n < 2 or not residuals.any():
        return np.zeros((draws, c))
    scale = residuals.std(axis=0)
    scale[scale == 0.0] = 1.0
    # (n, c) without units: the first component must not be that of the largest unit
    standard = residuals / scale
    _, vectors = np.linalg.eigh(standard.T @ standard)
    order = np.argsort(standard @ vectors[:, -1], kind="stable")
    places = ((np.arange(draws) + 0.5) / draws * n).astype(int)
    # one column: quantiles, which need not be observed. Several: whole rows, which keep what goes together.
    chosen = standard[order[places]] if c > 1 else np.quantile(standard, (np.arange(draws) + 0.5) / draws, axis=0)
    chosen = chosen - chosen.mean(axis=0)
    # chosen A with A = have^-1/2 target^1/2 has the covariance target
    target, have = standard.T @ standard / n, chosen.T @ chosen / draws
    return np.asarray(chosen @ _root(have, inverse=True) @ _root(target) * scale)


def _root(matrix: FloatArray, *, inverse: bool = False) -> FloatArray:
    """Symmetric square root, or its pseudo-inverse."""
    values, vectors = np.linalg.eigh(matrix)
    # directions that rounding made: no root of these
    kept = values > 1e-10 * max(values[-1], 1e-300)
    power = np.where(kept, np.where(kept, values, 1.0) ** (-0.5 if inverse else 0.5), 0.0)
    return np.asarray((vectors * power) @ vectors.T)


def cross_fit_distribution(
    support: Support,
    gold: pd.DataFrame,
    evidence: FloatArray,
    labeled: BoolArray,
    folds: IntArray,
    *,
    family: str,
    **options: Unpack[Learning],
) -> Distribution:
    """Predict the probability of every cell, and the continuous variables, out of fold.

    Each cell's probability is learnt on its own, and together they are made to sum to one. `evidence` is (N, p). `options` go
    to `dsl.learners.crossfit.cross_predict`.
    """
    n_cells = len(support.cells)
    shares = np.ones((*folds.shape, 1))
    learners: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    if n_cells > 1:
        found = cross_predict(evidence, members(support), labeled, folds, family="binomial", **options)
        shares, learners, reasons = normalised(found.predictions), found.learners, found.reasons
    continuous = gold[list(support.continuous)].to_numpy(dtype=float)
    means = np.empty((*folds.shape, 0))
    if support.continuous:
        expected = cross_predict(evidence, continuous, labeled, folds, family=family, **options)
        means, learners, reasons = expected.predictions, learners + expected.learners, reasons + expected.reasons
    return Distribution(
        support=support,
        shares=shares,
        means=means,
        labeled=labeled,
        gold=continuous,
        learners=learners,
        reasons=reasons,
    )


def members(support: Support) -> FloatArray:
    """What is learnt of the cells: whether a labelled row is in each, (n, cells), or in the second of two."""
    count = len(support.cells)
    # two cells: the probability of the second says it all
    asked = range(1, 2) if count == 2 else range(count)
    return np.column_stack([support.code == cell for cell in asked]).astype(float)


def normalised(predicted: FloatArray) -> FloatArray:
    """Probabilities of all cells from those of each one (or of the second of two)."""
    if predicted.shape[2] == 1:
        return np.concatenate([1.0 - predicted, predicted], axis=2)
    total = predicted.sum(axis=2, keepdims=True)
    # no cell has any probability, after predictions below zero were cut: all alike
    even = np.full_like(predicted, 1.0 / predicted.shape[2])
    return np.where(total > 0.0, predicted / np.where(total > 0.0, total, 1.0), even)
