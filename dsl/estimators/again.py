"""A fit's analysis again, from its call and its data: what results do not keep.

Results hold the call, folds, predictions and sums over rows, but no rows. Whoever needs rows passes the data again; they
are checked against the fit, so that other data are refused rather than mixed with its predictions.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from dsl._typing import FloatArray
from dsl.data.tables import is_category
from dsl.engine.blocks import Block
from dsl.estimators.analysis import Rebuilt, evidence_of
from dsl.estimators.surrogates import raw_versions
from dsl.exceptions import ArgumentError
from dsl.learners.distribution import Distribution, Support, cross_fit_distribution, find_support
from dsl.learners.names import available_method


def split_blocks(fit: Any, rebuilt: Rebuilt, *, sl_method: Any = None) -> Iterator[list[Block]]:
    """What the fit solved in each split: a block for each equation.

    Parameters
    ----------
    fit : DSLResults
    rebuilt : Rebuilt
    sl_method
        The fit's learner, where joint probabilities of several predicted categories must be learnt again and its name does
        not tell.

    Raises
    ------
    ArgumentError
        ``remove_data()`` dropped the predictions, or the learner is not known.
    """
    spec, analysis = fit.specification, rebuilt.analysis
    equations = analysis.blocks(tuned=spec.tune is not None)
    if spec.estimator == "gold_only":
        yield [blocks.gold_only() for blocks in equations]
    elif spec.estimator in ("naive", "cdi", "ppi", "ppi++"):
        raw = raw_versions(analysis, rebuilt.pairs, spec.estimator)
        for_all = spec.estimator == "naive"
        versions = [[blocks.version(*each) for each in raw] for blocks in equations]
        yield [(b.naive if for_all else b.adjusted)(own) for b, own in zip(equations, versions, strict=True)]
    elif fit.splits.predictions is None:
        raise ArgumentError("remove_data() dropped the fit's predictions, which this needs; use the fit before that")
    elif spec.estimator == "dsl+" or rebuilt.design.categorical:
        found = _distribution(fit, rebuilt, sl_method)
        for split in range(len(found.shares)):
            drawn = list(zip(found.values(split), found.probabilities(split), strict=True))
            yield [blocks.adjusted([blocks.version(*each) for each in drawn]) for blocks in equations]
    else:
        for predictions in fit.splits.predictions:
            values = dict(zip(analysis.predicted, predictions.T, strict=True))
            yield [blocks.dsl(values) for blocks in equations]


def _distribution(fit: Any, rebuilt: Rebuilt, sl_method: Any) -> Distribution:
    """The distribution of the predicted variables in every split: from the predictions if they say it all, else learnt again."""
    analysis, spec, splits = rebuilt.analysis, fit.specification, fit.splits
    gold = analysis.gold
    design = analysis.design
    support = find_support(gold, linear=design.linear, coded=design.covariates.coded)
    shares = _shares(support, gold, splits)
    if shares is None:
        evidence = evidence_of(analysis) if spec.estimator == "dsl+" else analysis.sample.features
        return cross_fit_distribution(
            support,
            gold,
            evidence,
            analysis.sample.labeled,
            splits.folds,
            family=spec.family,
            sl_method=learner_of(fit) if sl_method is None else sl_method,
            seed=spec.seed,
            groups=analysis.sample.cluster,
        )
    continuous = [splits.targets.index(name) for name in support.continuous]
    return Distribution(
        support=support,
        shares=shares,
        means=splits.predictions[:, :, continuous],
        labeled=analysis.sample.labeled,
        gold=gold[list(support.continuous)].to_numpy(dtype=float),
        learners=(),
        reasons=(),
    )


def _shares(support: Support, gold: pd.DataFrame, splits: Any) -> FloatArray | None:
    """Probabilities of the cells (S, N, C) where means and shares of single categories give them; else None."""
    cells = support.cells
    if len(cells) == 1:
        return np.ones((*splits.predictions.shape[:2], 1))
    if len(support.discrete) > 1:
        return None
    name = support.discrete[0]
    if is_category(gold[name]):
        places = [splits.targets.index(f"{name}[{level}]") for level in cells[name]]
        return np.asarray(splits.predictions[:, :, places])
    if len(cells) > 2:
        return None
    low, high = cells[name].to_numpy(dtype=float)
    second = (splits.predictions[:, :, splits.targets.index(name)] - low) / (high - low)
    return np.stack([1.0 - second, second], axis=2)


def learner_of(fit: Any) -> Any:
    """The fit's `sl_method`, as far as its name tells.

    Raises
    ------
    ArgumentError
        It was an estimator or a stack of the user's.
    """
    if any(fit.splits.learner_reasons) or not fit.splits.learners:
        return "auto"
    used = set(fit.splits.learners) - {"(one value)"}
    if len(used) == 1 and used <= set(available_method()["method"]):
        return used.pop()
    raise ArgumentError(
        f"the fit's learner, {', '.join(sorted(used))}, cannot be made again from its name; pass it once more, sl_method=..."
    )
