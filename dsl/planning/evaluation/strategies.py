"""What is compared: designs, which choose the rows to label, and estimators, which use the labels."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import signature
from typing import Any, Protocol, TypeAlias, TypeGuard

import numpy as np
import pandas as pd

from dsl import sampling
from dsl._typing import Arguments
from dsl.data.arguments import Names, as_names
from dsl.data.formula.caller import call_among
from dsl.data.formula.rlang.evaluate import Functions
from dsl.estimators.short import BASELINE, SHORT, known_name
from dsl.exceptions import ArgumentError
from dsl.sampling.adaptive import AdaptiveDesign
from dsl.sampling.design import LabelDesign


@dataclass(slots=True)
class Oracle:
    """The coder of an evaluation: gives gold labels to the rows named, and remembers which they were.

    Called with row labels, or a table or series indexed by them. Returns a Series with the gold labels of one predicted
    variable, a DataFrame with those of several.
    """

    gold: pd.DataFrame
    asked: set[Hashable] = field(default_factory=set)

    def __call__(self, rows: pd.DataFrame | pd.Series | pd.Index | Sequence[Hashable]) -> pd.Series | pd.DataFrame:
        """Gold labels of the rows, indexed by row label."""
        labels = rows.index if isinstance(rows, pd.DataFrame | pd.Series) else pd.Index(rows)
        unknown = labels.difference(self.gold.index)
        if len(unknown):
            raise ArgumentError(
                f"the design asks for {len(unknown)} rows that the data do not have (first: {unknown[0]})"
            )
        self.asked.update(labels)
        answer = self.gold.loc[labels]
        return answer.iloc[:, 0] if answer.shape[1] == 1 else answer


class Strategy(Protocol):
    """A design of an evaluation."""

    def draw(self, data: pd.DataFrame, n_labels: int, rng: np.random.Generator, ask: Oracle) -> LabelDesign:
        """Choose about `n_labels` rows of `data` (without gold labels). `ask` tells gold labels of rows, which then count."""


@dataclass(frozen=True, slots=True)
class Plain:
    """A design that needs no labels: a function of data, number of labels and generator."""

    function: Callable[[pd.DataFrame, int, np.random.Generator], LabelDesign]

    def draw(self, data: pd.DataFrame, n_labels: int, rng: np.random.Generator, ask: Oracle) -> LabelDesign:
        """Call the function."""
        return self.function(data, n_labels, rng)


def simple_random(data: pd.DataFrame, n_labels: int, rng: np.random.Generator) -> LabelDesign:
    """Exactly `n_labels` rows, all equally likely."""
    design: LabelDesign = sampling.simple_random(data, n_labels, seed=rng)
    return design


def bernoulli(data: pd.DataFrame, n_labels: int, rng: np.random.Generator) -> LabelDesign:
    """Every row on its own with the same probability, `n_labels` rows on average."""
    design: LabelDesign = sampling.bernoulli(data, n_labels, seed=rng)
    return design


@dataclass(frozen=True, slots=True, init=False)
class Adaptive:
    """`dsl.AdaptiveDesign` as a design of an evaluation.

    Parameters
    ----------
    **options
        Arguments of `dsl.AdaptiveDesign`, such as ``coefficient="hedge"`` or ``confidence="p"``. What is not given is taken from
        the evaluation (formula, model, surrogates, features, clusters, learner), as number of labels and seed always are.

    Examples
    --------
    >>> from dsl.planning.evaluation import Adaptive
    >>> Adaptive(coefficient="hedge", burn_in=250)
    Adaptive(options={'coefficient': 'hedge', 'burn_in': 250})
    """

    options: Arguments
    functions: Functions = field(repr=False)
    """The user's functions and numbers that the formula names."""

    def __init__(self, **options: Any) -> None:
        # past the frozen class, whose fields these are
        object.__setattr__(self, "options", options)
        object.__setattr__(self, "functions", {})

    def draw(self, data: pd.DataFrame, n_labels: int, rng: np.random.Generator, ask: Oracle) -> LabelDesign:
        """Run the batches, asking for the labels of each."""
        return self.begun(data, n_labels, seed=int(rng.integers(2**32))).run(ask).design()

    def begun(self, data: pd.DataFrame, n_labels: int, seed: int = 0) -> AdaptiveDesign:
        """The adaptive design before its first batch. Raises what cannot be used for it."""
        arguments = {**self.options, "data": data, "n_labels": n_labels, "seed": seed}
        return call_among(self.functions, AdaptiveDesign, arguments)

    def completed(self, shared: Arguments, functions: Functions) -> "Adaptive":
        """With the evaluation's arguments where none are given, as far as an adaptive design has them."""
        known = signature(AdaptiveDesign).parameters
        # own options last: they go before the evaluation's
        out = Adaptive(**{**{name: value for name, value in shared.items() if name in known}, **self.options})
        object.__setattr__(out, "functions", functions)
        return out


Designs: TypeAlias = (
    Names | Mapping[str, str | Strategy | Callable[[pd.DataFrame, int, np.random.Generator], LabelDesign]]
)
"""Short names, or by a name of one's own: short names, functions, or objects with ``draw``."""
BUILT_IN: dict[str, Strategy] = {"srs": Plain(simple_random), "bernoulli": Plain(bernoulli)}


def _is_strategy(given: object) -> TypeGuard[Strategy]:
    return hasattr(given, "draw")


def resolve_designs(designs: Designs, shared: Arguments, functions: Functions) -> dict[str, Strategy]:
    """Strategies by name. An adaptive one takes over the evaluation's arguments, `shared`, and the formula's functions."""
    if isinstance(designs, str) or not isinstance(designs, Mapping):
        named: Mapping[str, object] = {name: name for name in as_names(designs, "designs")}
    else:
        named = designs
    if not named:
        raise ArgumentError("designs names nothing to compare; use e.g. designs='srs'")
    out: dict[str, Strategy] = {}
    for name, given in named.items():
        if name == BASELINE[0] and given != name:
            raise ArgumentError("'srs' is the baseline's design, simple random sampling; give yours another name")
        if isinstance(given, str):
            known = known_name(given, (*BUILT_IN, "adaptive"), "design")
            out[str(name)] = Adaptive().completed(shared, functions) if known == "adaptive" else BUILT_IN[known]
        # before the test for `draw`, which an Adaptive has too
        elif isinstance(given, Adaptive):
            out[str(name)] = given.completed(shared, functions)
        elif _is_strategy(given):
            out[str(name)] = given
        elif callable(given):
            out[str(name)] = Plain(given)
        else:
            raise ArgumentError(
                f"design '{name}' must be a name, a function of (data, n_labels, rng) that returns a LabelDesign, or an object "
                f"with draw(data, n_labels, rng, ask); found {type(given).__name__}"
            )
    return out


@dataclass(frozen=True, slots=True)
class Contender:
    """A design, and the estimators that use its labels."""

    strategy: Strategy
    estimators: Mapping[str, Arguments]
    """Arguments of `dsl.dsl` by name of the estimator."""


def with_baseline(strategies: Mapping[str, Strategy], estimators: Mapping[str, Arguments]) -> dict[str, Contender]:
    """Contenders by name of the design. Simple random sampling with the labelled rows alone is always among them."""
    design, estimator = BASELINE
    out = {name: Contender(strategy, estimators) for name, strategy in strategies.items()}
    if design not in out:
        # the baseline's design runs with the baseline's estimator alone where nobody asked for more
        return {design: Contender(BUILT_IN[design], {estimator: SHORT[estimator]}), **out}
    if estimator not in estimators:
        out[design] = Contender(strategies[design], {estimator: SHORT[estimator], **estimators})
    return out
