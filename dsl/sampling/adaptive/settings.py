"""What an adaptive design is told: arguments, checked, in a form that a log can hold."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TypeAlias

import numpy as np

from dsl._typing import Record
from dsl.data.arguments import (
    Names,
    Pairs,
    as_name,
    as_names,
    check_choice,
    check_count,
    check_counts,
    check_most,
    pair_surrogates,
)
from dsl.data.formula.text import is_formulaic, require_text
from dsl.engine.models import MODELS
from dsl.exceptions import ArgumentError
from dsl.learners.auto import Method
from dsl.learners.names import check_method
from dsl.sampling.coding.codebook import HasLabels

AdaptiveCodebook: TypeAlias = Sequence[float] | HasLabels | Mapping[str, Sequence[float] | HasLabels]
"""Labels that coders may give, for all predicted variables or by each."""
BATCHES = 4
"""Batches by default, the burn-in included."""
MOST_BATCHES = 10_000
LEAST_BURN_IN = 20
"""Smallest burn-in: an error model needs something to learn from."""
CRITERIA = ("worst", "mean")
OLD_NAMES = {"target": "coefficient", "target_se": "se"}
"""Settings of logs of format 1, and what they are called now. Nothing else differs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Arguments of `dsl.AdaptiveDesign`, resolved."""

    formula: str
    predicted_var: list[str] | dict[str, list[str]]
    """List of names, or dict of name to list of surrogates, as given."""
    prediction: list[str]
    feature: list[str]
    confidence: list[str]
    cluster: str | None
    model: str
    family: str
    sl_method: Method
    error_model: Method
    cross_fit: int
    coefficient: list[str] | str
    """Coefficients aimed at, or "all" until the formula's are known."""
    criterion: str
    sizes: list[int]
    """Rows of each batch. The first is the burn-in."""
    tau: float
    floor: float
    robust: bool
    se: dict[str, float]
    """Standard errors at which to stop, by coefficient."""
    codebook: dict[str, list[float]]
    seed: int

    @property
    def n_labels(self) -> int:
        """Labels in all."""
        return sum(self.sizes)

    @property
    def predicted(self) -> tuple[str, ...]:
        """The predicted variables."""
        return pair_surrogates(self.predicted_var, self.prediction)[0]

    @property
    def surrogates(self) -> tuple[str, ...]:
        """All surrogate columns."""
        return pair_surrogates(self.predicted_var, self.prediction)[1]

    @property
    def features(self) -> tuple[str, ...]:
        """What the learners see beside the surrogates: features, then confidences."""
        return tuple(dict.fromkeys([*self.feature, *self.confidence]))

    def record(self) -> Record:
        """As JSON can hold it.

        Raises
        ------
        ArgumentError
            A learner is an object, not a name.
        """
        for name in ("sl_method", "error_model"):
            if not _is_name(getattr(self, name)):
                raise ArgumentError(
                    f"{name}={type(getattr(self, name)).__name__} cannot be written to a log; name a learner "
                    "(dsl.available_method()) or a list of names, or leave log out"
                )
        return asdict(self)

    @classmethod
    def of_record(cls, record: Record) -> "Settings":
        """The settings that `record` wrote, of this version or of one with the `OLD_NAMES`."""
        # names that are not old stay as they are
        named = {OLD_NAMES.get(name, name): value for name, value in record.items()}
        return cls(**{field.name: named[field.name] for field in fields(cls)})


def _is_name(method: object) -> bool:
    return isinstance(method, str) or (isinstance(method, list | tuple) and all(_is_name(part) for part in method))


def settings_of(
    *,
    formula: object,
    predicted_var: Pairs,
    prediction: Names | None,
    feature: Names | None,
    confidence: Names | None,
    cluster: str | None,
    model: str,
    family: str,
    sl_method: Method,
    error_model: Method,
    cross_fit: int,
    coefficient: object,
    criterion: str,
    n_labels: object,
    burn_in: object,
    batch_size: object,
    batches: object,
    tau: object,
    floor: object,
    robust: object,
    se: object,
    codebook: object,
    seed: int,
) -> Settings:
    """Check the arguments of `dsl.AdaptiveDesign` that can be checked without the data."""
    if is_formulaic(formula):
        require_text(formula, "AdaptiveDesign, whose log keeps its settings as text,")
    if not isinstance(formula, str):
        raise ArgumentError(
            f"formula must be text such as 'y ~ x'; found {type(formula).__name__}. The formula comes first, "
            "AdaptiveDesign(formula, data, ...)"
        )
    check_choice("model", model, tuple(MODELS))
    check_choice("criterion", criterion, CRITERIA)
    check_counts(cross_fit=cross_fit, sample_split=1, seed=seed, n_jobs=1)
    check_method(sl_method, family)
    check_method(error_model, "gaussian")
    if not isinstance(robust, bool):
        raise ArgumentError(f"robust must be True or False; found {robust!r}")
    predicted, surrogates, _ = pair_surrogates(predicted_var, prediction)
    columns = {name: list(as_names(value, name)) for name, value in (("feature", feature), ("confidence", confidence))}
    _check_columns(predicted, surrogates, columns)
    return Settings(
        formula=formula,
        predicted_var=_plain_predicted(predicted_var),
        prediction=list(as_names(prediction, "prediction")),
        **columns,
        cluster=as_name(cluster, "cluster"),
        model=model,
        family=family,
        sl_method=sl_method,
        error_model=error_model,
        cross_fit=int(cross_fit),
        coefficient=_coefficients(coefficient),
        criterion=criterion,
        sizes=schedule(n_labels, burn_in=burn_in, batch_size=batch_size, batches=batches, least=2 * cross_fit),
        tau=_share("tau", tau),
        floor=_share("floor", floor),
        robust=robust,
        se=_standard_errors(se),
        codebook=_codebook(codebook, predicted),
        seed=int(seed),
    )


def schedule(n_labels: object, *, burn_in: object, batch_size: object, batches: object, least: int) -> list[int]:
    """Sizes of the batches, the burn-in first.

    Raises
    ------
    ArgumentError
        They are no whole numbers, do not fit `n_labels`, or say the same thing twice.

    Examples
    --------
    >>> schedule(1000, burn_in=None, batch_size=None, batches=None, least=10)
    [250, 250, 250, 250]
    >>> schedule(1000, burn_in=100, batch_size=400, batches=None, least=10)
    [100, 400, 400, 100]
    """
    total = check_count(n_labels, name="n_labels", least=1)
    if batch_size is not None and batches is not None:
        raise ArgumentError("batch_size and batches both say how the labels are divided; give one of them")
    # least = 2 cross_fit: two labels in each fold on average
    smallest = max(LEAST_BURN_IN, least)
    if batch_size is None:
        number = BATCHES if batches is None else check_count(batches, name="batches", least=2)
        usual = total // number
    else:
        number = 0
        usual = check_count(batch_size, name="batch_size", least=1)
    first = max(smallest, usual) if burn_in is None else check_count(burn_in, name="burn_in", least=smallest)
    if first >= total:
        raise ArgumentError(
            f"a burn-in of {first} leaves nothing of n_labels={total} to be placed where it tells most; raise n_labels above "
            f"{smallest}, or lower burn_in (at least {smallest}); for one simple random sample use dsl.sampling.simple_random"
        )
    rest = total - first
    count = number - 1 if batch_size is None else -(-rest // usual)
    check_most("the number of batches", count + 1, MOST_BATCHES, "each is drawn anew from all labels before it")
    return [first, *(_evenly(rest, number - 1) if batch_size is None else _filled(rest, usual))]


def _evenly(total: int, parts: int) -> list[int]:
    """Whole numbers that sum to `total` and differ by one at most, the larger ones first. None is zero."""
    # the first `more` parts get one more. Zeros are left out where there are more parts than units
    share, more = divmod(total, parts)
    return [size for size in (share + (part < more) for part in range(parts)) if size]


def _filled(total: int, size: int) -> list[int]:
    """Parts of `size`, and what is left."""
    full, left = divmod(total, size)
    return [size] * full + ([left] if left else [])


def _check_columns(predicted: Sequence[str], surrogates: Sequence[str], columns: Mapping[str, list[str]]) -> None:
    if not predicted:
        raise ArgumentError("predicted_var names no variable; name those that the coders label")
    seen = {name: "prediction" for name in surrogates} | {name: role for role in columns for name in columns[role]}
    if not seen:
        raise ArgumentError(
            "neither prediction, confidence nor feature is given: name the column(s) with the surrogate labels, which say where "
            "labels are needed; without any use dsl.sampling.simple_random"
        )
    both = [name for name in seen if name in predicted]
    if both:
        raise ArgumentError(
            f"'{both[0]}' is a predicted variable and in {seen[both[0]]} at once; name the column with the surrogate labels"
        )


def _plain_predicted(predicted_var: Pairs) -> list[str] | dict[str, list[str]]:
    if isinstance(predicted_var, Mapping):
        return {str(gold): list(as_names(names, "predicted_var")) for gold, names in predicted_var.items()}
    return list(as_names(predicted_var, "predicted_var"))


def _coefficients(given: object) -> list[str] | str:
    """The names given, or "all"."""
    return "all" if isinstance(given, str) and given == "all" else list(as_names(given, "coefficient"))


def _share(name: str, value: object) -> float:
    number = float(value) if isinstance(value, int | float | np.number) and not isinstance(value, bool) else np.nan
    if not 0.0 < number <= 1.0:
        raise ArgumentError(
            f"{name} must be above 0 and at most 1: rows without a chance of being labelled would make the estimate wrong; found "
            f"{value!r}"
        )
    return number


def _standard_errors(given: object) -> dict[str, float]:
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not given:
        raise ArgumentError(f"se must be a dict of coefficient to standard error, as in {{'x': 0.05}}; found {given!r}")
    for name, value in given.items():
        number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
        if not number or not value > 0.0 or not np.isfinite(value):
            raise ArgumentError(f"se of '{name}' must be a positive number; found {value!r}")
    return {str(name): float(value) for name, value in given.items()}


def _codebook(given: object, predicted: Sequence[str]) -> dict[str, list[float]]:
    """Labels that may be given, by predicted variable."""
    if given is None:
        return {}
    # one list for all predicted variables
    if not isinstance(given, Mapping):
        given = dict.fromkeys(predicted, given)
    out: dict[str, list[float]] = {}
    for name, codes in dict(given).items():
        if name not in predicted:
            raise ArgumentError(f"codebook names '{name}', which is no predicted variable: {', '.join(predicted)}")
        codes = list(codes.labels) if isinstance(codes, HasLabels) else codes
        try:
            out[str(name)] = [float(code) for code in codes]
        except (TypeError, ValueError):
            raise ArgumentError(
                f"codebook of '{name}' must be a list of numbers, such as [0, 1]; found {codes!r}"
            ) from None
    return out
