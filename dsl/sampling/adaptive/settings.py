"""What an adaptive design is told: arguments, checked, in a form that a log can hold."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TypeAlias, TypedDict, Unpack

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
    check_flags,
    check_most,
    foreign_errors,
    pair_surrogates,
)
from dsl.data.formula.text import is_formulaic, require_text
from dsl.data.refusals import REFUSALS
from dsl.engine.models import MODELS
from dsl.engine.models.family import Family
from dsl.exceptions import ArgumentError
from dsl.learners.auto import Method
from dsl.learners.names import check_method
from dsl.learners.text.checks import check_reads
from dsl.sampling.coding.codebook import HasLabels

Codes: TypeAlias = Sequence[float] | Mapping[int, str] | Mapping[float, str] | HasLabels
"""Labels that may be given, perhaps with what they mean."""
AdaptiveCodebook: TypeAlias = Codes | Mapping[str, Codes]
"""Labels that coders may give, for all predicted variables or by each."""
BATCHES = 4
"""Batches by default, the burn-in included."""
MOST_BATCHES = 10_000
LEAST_BURN_IN = 20
"""Smallest burn-in: an error model needs something to learn from."""
CRITERIA = ("worst", "mean")
OLD_NAMES = {"target": "coefficient", "target_se": "se"}
"""Settings of logs of format 1, and what they are called now."""
ADDED: Record = {"refusals": "raise", "meanings": {}, "text": None}
"""Settings that earlier logs do not have, and what they were."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Arguments of `dsl.AdaptiveDesign`, resolved."""

    formula: str
    predicted_var: list[str] | dict[str, list[str]]
    """List of names, or dict of name to list of surrogates, as given."""
    prediction: list[str]
    feature: list[str]
    text: str | None
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
    refusals: str
    codebook: dict[str, list[float]]
    meanings: dict[str, list[str]]
    """Of the labels in `codebook`, where it has any."""
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
    def of_record(cls, record: object) -> "Settings":
        """The settings that `record` wrote, of this version or of one with the `OLD_NAMES`.

        A record may come from elsewhere, so that all of it is checked as the arguments of a call are.

        Raises
        ------
        ArgumentError
            Settings are missing, unknown, or not what a call could have made.
        """
        if not isinstance(record, dict):
            raise ArgumentError("there are no settings")
        # names that are not old stay as they are
        named: Record = {**ADDED, **{OLD_NAMES.get(str(name), str(name)): value for name, value in record.items()}}
        names = {field.name for field in fields(cls)}
        if set(named) != names:
            odd = sorted(set(named) ^ names)[0]
            raise ArgumentError(f"setting '{odd}' is {'unknown' if odd in named else 'missing'}")
        for name in ("sl_method", "error_model"):
            if not _is_name(named[name]):
                raise ArgumentError(f"{name} must be the name of a learner or a list of names; found {named[name]!r}")
        with foreign_errors("settings of another kind"):
            return _resolved(**{**named, "se": named["se"] or None})


def _is_name(method: object) -> bool:
    return isinstance(method, str) or (isinstance(method, list | tuple) and all(_is_name(part) for part in method))


class Given(TypedDict):
    """What a call of `dsl.AdaptiveDesign` and a log both give, unchecked."""

    formula: object
    predicted_var: Pairs
    prediction: Names | None
    feature: Names | None
    text: str | None
    confidence: Names | None
    cluster: str | None
    model: str
    family: str
    sl_method: Method
    error_model: Method
    cross_fit: int
    coefficient: object
    criterion: str
    tau: object
    floor: object
    robust: object
    se: object
    refusals: object
    codebook: object
    seed: int


def settings_of(
    *, n_labels: object, burn_in: object, batch_size: object, batches: object, **given: Unpack[Given]
) -> Settings:
    """Check the arguments of `dsl.AdaptiveDesign` that can be checked without the data."""
    if is_formulaic(given["formula"]):
        require_text(given["formula"], "AdaptiveDesign, whose log keeps its settings as text,")
    cross_fit = given["cross_fit"]
    check_counts(cross_fit=cross_fit, sample_split=1, seed=given["seed"], n_jobs=1)
    codes, meanings = _codebooks(given["codebook"], pair_surrogates(given["predicted_var"], given["prediction"])[0])
    sizes = schedule(n_labels, burn_in=burn_in, batch_size=batch_size, batches=batches, least=2 * cross_fit)
    given["codebook"] = codes
    return _resolved(sizes, meanings, **given)


def _resolved(sizes: object, meanings: object, **given: Unpack[Given]) -> Settings:
    """Check what both a call and a log give."""
    formula = given["formula"]
    if not isinstance(formula, str):
        raise ArgumentError(
            f"formula must be text such as 'y ~ x'; found {type(formula).__name__}. The formula comes first, "
            "AdaptiveDesign(formula, data, ...)"
        )
    cross_fit, sl_method, error_model = given["cross_fit"], given["sl_method"], given["error_model"]
    check_choice("model", given["model"], tuple(MODELS))
    if isinstance(MODELS[str(given["model"])].link, Family):
        raise ArgumentError(
            f"an adaptive design plugs predicted numbers into its pilots, and the moment of model='{given['model']}' is not "
            "linear in its outcome; draw the labels with dsl.sampling (srs, stratified by prediction), and fit with dsl.dsl"
        )
    check_choice("criterion", given["criterion"], CRITERIA)
    check_choice("refusals", given["refusals"], REFUSALS)
    check_counts(cross_fit=cross_fit, sample_split=1, seed=given["seed"], n_jobs=1)
    text = as_name(given["text"], "text")
    check_method(sl_method, given["family"])
    check_reads(sl_method, text)
    check_method(error_model, "gaussian")
    check_reads(error_model, None)
    check_flags(robust=given["robust"])
    predicted, surrogates, _ = pair_surrogates(given["predicted_var"], given["prediction"])
    feature, confidence = (list(as_names(given[name], name)) for name in ("feature", "confidence"))
    _check_columns(predicted, surrogates, {"feature": feature, "confidence": confidence}, text)
    return Settings(
        formula=formula,
        predicted_var=_plain_predicted(given["predicted_var"]),
        prediction=list(as_names(given["prediction"], "prediction")),
        feature=feature,
        confidence=confidence,
        text=text,
        cluster=as_name(given["cluster"], "cluster"),
        model=given["model"],
        family=given["family"],
        sl_method=sl_method,
        error_model=error_model,
        cross_fit=int(cross_fit),
        coefficient=_coefficients(given["coefficient"]),
        criterion=given["criterion"],
        sizes=_sizes(sizes, 2 * cross_fit),
        tau=_share("tau", given["tau"]),
        floor=_share("floor", given["floor"]),
        robust=bool(given["robust"]),
        se=_standard_errors(given["se"]),
        refusals=str(given["refusals"]),
        codebook=_codes(given["codebook"], predicted),
        meanings=_meanings(meanings, given["codebook"]),
        seed=int(given["seed"]),
    )


def _sizes(given: object, least: int) -> list[int]:
    """Sizes of batches, as `schedule` makes them."""
    if not isinstance(given, list) or len(given) < 2:
        raise ArgumentError(f"sizes must be a list of whole numbers, one for each batch; found {given!r}")
    check_most("the number of batches", len(given), MOST_BATCHES, "each is drawn anew from all labels before it")
    first = check_count(given[0], name="burn_in", least=max(LEAST_BURN_IN, least))
    return [first, *(check_count(size, name="batch_size", least=1) for size in given[1:])]


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


def _check_columns(
    predicted: Sequence[str], surrogates: Sequence[str], columns: Mapping[str, list[str]], text: str | None
) -> None:
    if not predicted:
        raise ArgumentError("predicted_var names no variable; name those that the coders label")
    seen = {name: "prediction" for name in surrogates} | {name: role for role in columns for name in columns[role]}
    seen |= {} if text is None else {text: "text"}
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


def _codebooks(given: object, predicted: Sequence[str]) -> tuple[dict[str, object], dict[str, list[str]]]:
    """Labels that may be given, by predicted variable, and what they mean where that is said."""
    if given is None:
        return {}, {}
    # one codebook for all predicted variables, unless its keys are their names
    each = dict(given) if isinstance(given, Mapping) and _by_variable(given) else dict.fromkeys(predicted, given)
    codes: dict[str, object] = {}
    meanings: dict[str, list[str]] = {}
    for name, book in each.items():
        labels = book.labels if isinstance(book, HasLabels) else book
        codes[str(name)] = list(labels) if isinstance(labels, Mapping) else labels
        if isinstance(labels, Mapping):
            meanings[str(name)] = [str(meaning) for meaning in labels.values()]
    return codes, meanings


def _by_variable(given: Mapping[object, object]) -> bool:
    """Whether a mapping has a codebook, and not a meaning, for each of its keys."""
    return any(not isinstance(value, str) for value in given.values())


def _codes(given: object, predicted: Sequence[str]) -> dict[str, list[float]]:
    if not isinstance(given, Mapping):
        raise ArgumentError(f"codebook must be a list of labels, or a dict of label to meaning; found {given!r}")
    out: dict[str, list[float]] = {}
    for name, codes in given.items():
        if name not in predicted:
            raise ArgumentError(f"codebook names '{name}', which is no predicted variable: {', '.join(predicted)}")
        try:
            out[str(name)] = [float(code) for code in codes]
        except (TypeError, ValueError):
            raise ArgumentError(
                f"codebook of '{name}' must be a list of numbers, such as [0, 1], or a dict of number to meaning, "
                f"{{0: 'no', 1: 'yes'}}; found {codes!r}"
            ) from None
        if not out[str(name)] or not np.isfinite(out[str(name)]).all():
            raise ArgumentError(f"codebook of '{name}' must have labels, and finite ones; found {codes!r}")
    return out


def _meanings(given: object, codebook: object) -> dict[str, list[str]]:
    """What labels mean, one text for each code."""
    codes = codebook if isinstance(codebook, Mapping) else {}
    fits = isinstance(given, Mapping) and all(
        name in codes
        and isinstance(texts, list)
        and len(texts) == len(codes[name])
        and all(isinstance(text, str) for text in texts)
        for name, texts in given.items()
    )
    if not fits:
        raise ArgumentError(f"meanings must be texts, one for each label of a codebook; found {given!r}")
    return {str(name): list(texts) for name, texts in dict(given).items()}  # type: ignore[call-overload]
