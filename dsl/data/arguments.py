"""Arguments of the public calls: names, counts, and calls that do not fit the signature."""

import inspect
import sys
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from functools import wraps
from typing import ParamSpec, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from dsl._typing import AnyArray, FloatArray
from dsl.exceptions import ArgumentError, CallError, DSLError, FoldError, SampleProbabilityError

LARGEST_LAMBDA = 1e6
MOST_COUNT = 2**53
TARGETS = ("superpopulation", "finite")
"""What intervals are about."""
Names: TypeAlias = str | Iterable[str]
"""One column or several."""
Pairs: TypeAlias = Names | Mapping[str, Names]
"""Predicted variables, or the surrogates of each."""
P = ParamSpec("P")
R = TypeVar("R")

SYNONYMS = {
    "budget": "n_labels",
    "budgets": "n_labels",
    "covariates": "feature",
    "cores": "n_jobs",
    "df": "data",
    "fe": "index",
    "fixed_effects": "index",
    "labeled_size": "n_labels",
    "lam": "tune",
    "lambda_": "tune",
    "learner": "sl_method",
    "method": "sl_method",
    "n_folds": "cross_fit",
    "n_splits": "sample_split",
    "outcome": "predicted_var",
    "prob": "sample_prob",
    "random_state": "seed",
    "se": "vcov",
    "size": "n_labels",
    "surrogate": "prediction",
    "target": "coefficient",
    "target_se": "se",
}
"""What other packages (or this one, once) call an argument, where it does not resemble its name here."""


WEIGHTS = (
    "analysis weights (survey weights) are the column named by weights= in dsl.dsl, proportions and aggregate. If yours say how "
    "the labelled rows were drawn, sample_prob is the probability, 1/weight"
)
DROPPED = "rows with missing covariates are left out with a warning, anything else that is missing is an error"
EXPLAINED = {
    **dict.fromkeys(("weights", "weight", "sample_weight", "freq_weights", "survey_weights"), ("sample_prob", WEIGHTS)),
    **dict.fromkeys(("na_action", "missing"), ("data", DROPPED)),
    "subset": ("data", "leave the rows out of the data before the call"),
    "offset": ("formula", "write it in the formula, as in 'y ~ x + offset(z)'"),
    "groups": ("cluster", "random effects are not estimated; cluster names clusters for the standard errors"),
}
"""What other packages' arguments are about, where no argument here means the same, and what a call must have for the
words to fit."""


MOST_SPLITS, MOST_FOLDS, MOST_JOBS, MOST_REPLICATIONS = 10_000, 100_000, 10_000, 1_000_000
"""Far above what is of use: larger numbers are slips, and would fill the memory before anything else fails."""


def warn_caller(category: type[Warning], message: str) -> None:
    """Warn at the line that called this package."""
    # up to the first frame outside this package: its line is one that the user can change
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").split(".")[0] == "dsl":
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


@contextmanager
def foreign_errors(
    what: str, category: type[DSLError] = ArgumentError, kinds: tuple[type[Exception], ...] = (Exception,)
) -> Iterator[None]:
    """Raise what other packages raise inside the block as an error of this package: ``what: their words``."""
    try:
        yield
    except DSLError:
        raise
    except kinds as error:
        raise category(f"{what}: {in_one_line(error)}") from error


def in_one_line(error: BaseException) -> str:
    """An error's words in one line, or its kind where it has none."""
    words = getattr(error, "message", None) or getattr(error, "strerror", None) or error
    text = " ".join(str(words).split())
    return text or type(error).__name__


def explain_calls(function: Callable[P, R]) -> Callable[P, R]:
    """Raise CallError, which names the right argument, where Python would raise a bare TypeError."""
    signature = inspect.signature(function)
    # messages speak of calls, in which nobody writes self
    own = [name for name in signature.parameters if name == "self"]
    shown = signature.replace(parameters=[p for name, p in signature.parameters.items() if name not in own])
    name = function.__qualname__.removesuffix(".__init__")

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            signature.bind(*args, **kwargs)
        except TypeError:
            # a TypeError from inside the function is a bug of ours, and passes unchanged: only the binding is tried
            # here
            raise CallError(f"{name}() {_misfit(shown, args[len(own) :], kwargs)}") from None
        return function(*args, **kwargs)

    return call


def _misfit(signature: inspect.Signature, args: tuple[object, ...], kwargs: Mapping[str, object]) -> str:
    """What is wrong with a call that `signature` does not accept."""
    names = list(signature.parameters)
    unknown = next((name for name in kwargs if name not in names), None)
    if unknown is not None:
        close = get_close_matches(unknown.replace(".", "_").lower(), names, n=1)
        meant = SYNONYMS.get(unknown.lower(), close[0] if close else None)
        hint = f"did you mean '{meant}'?" if meant in names else f"the arguments are {', '.join(names)}"
        # a name that looks alike may mean something else
        beside, words = EXPLAINED.get(unknown.lower(), ("", ""))
        hint = words if beside in names else hint
        return f"has no argument '{unknown}'; {hint}"
    first = [p.name for p in signature.parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    if len(args) > len(first):
        advice = f"pass the others by name, as in {names[len(first)]}=..."
        return f"takes {len(first)} arguments by position, {' and '.join(first)}; {advice}"
    twice = next((name for name in first[: len(args)] if name in kwargs), None)
    if twice is not None:
        return f"got '{twice}' twice, by position and by name; the first arguments are {' and '.join(first)}"
    needed = [p.name for p in signature.parameters.values() if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
    lacking = [name for name in needed if name not in {*first[: len(args)], *kwargs}]
    return f"needs {', '.join(needed)}; not given: {', '.join(lacking)}"


def check_counts(*, cross_fit: int, sample_split: int, seed: int, n_jobs: int) -> None:
    """Raise ArgumentError unless all are whole numbers in range."""
    for name, value, least in (("cross_fit", cross_fit, 2), ("sample_split", sample_split, 1), ("seed", seed, 0)):
        # True is an int in Python, but a slip here
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            raise ArgumentError(f"{name} must be a whole number of at least {least}; found {value!r}")
    check_execution(n_jobs)
    check_most("sample_split", sample_split, MOST_SPLITS, "medians over a few dozen splits hardly move any more")
    check_most("cross_fit", cross_fit, MOST_FOLDS, "5 or 10 folds are usual, and each needs labelled rows")


def check_most(name: str, value: int, most: int, advice: str) -> None:
    """Raise ArgumentError for a number that no computer gets done, before anything is allocated for it."""
    if value > most:
        raise ArgumentError(f"{name} is {value:,}, and {most:,} is the most; {advice}")


def check_execution(n_jobs: object, progress: object = False) -> None:
    """Raise ArgumentError unless a number of processes, and whether to show a progress bar, make sense."""
    if isinstance(n_jobs, bool) or not isinstance(n_jobs, int | np.integer) or n_jobs == 0:
        raise ArgumentError(f"n_jobs must be a whole number other than 0 (-1: all processors); found {n_jobs!r}")
    check_most("n_jobs", abs(int(n_jobs)), MOST_JOBS, "-1 uses all processors")
    check_flags(progress=progress)


def check_choice(name: str, value: object, known: Collection[str]) -> None:
    """Raise ArgumentError unless the argument `name` has one of the known values."""
    # text only: an array or a list cannot be looked up
    if not isinstance(value, str) or value not in known:
        close = get_close_matches(str(value), known, n=1)
        hint = f"; did you mean '{close[0]}'?" if close else ""
        raise ArgumentError(f"unknown {name} {value!r}: use one of {', '.join(known)}{hint}")


def check_flags(**flags: object) -> None:
    """Raise ArgumentError unless all are True or False."""
    for name, value in flags.items():
        if not isinstance(value, bool | np.bool_):
            raise ArgumentError(f"{name} must be True or False; found {value!r}")


def as_lambda(value: object) -> float | None:
    """A lambda that was given as a number, or None for anything else.

    Raises
    ------
    ArgumentError
        It is infinite, missing, or so large that nothing but rounding would be left of an estimate.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        return None
    # whole numbers of Python's may be larger than any float
    number = np.inf if isinstance(value, int) and abs(value) > LARGEST_LAMBDA else float(value)
    if not abs(number) <= LARGEST_LAMBDA:
        raise ArgumentError(
            f"tune is a lambda, 0 for the labelled rows alone and 1 for the plain estimator, and no larger than "
            f"{LARGEST_LAMBDA:g}; found {value!r}"
        )
    return number


def check_target(target: object) -> None:
    """Raise ArgumentError unless it is one of `TARGETS`."""
    check_choice("target", target, TARGETS)


def as_names(value: object, argument: str) -> tuple[str, ...]:
    """A column name or a list of them as a tuple without repetitions."""
    if value is None:
        return ()
    names = [value] if isinstance(value, str) else value
    if isinstance(names, Mapping) or not isinstance(names, Iterable) or not all(isinstance(n, str) for n in names):
        raise ArgumentError(f"{argument} must be a column name or a list of column names; found {value!r}")
    found = tuple(dict.fromkeys(names))
    check_not_empty(found, argument)
    return found


def as_texts(value: object, argument: str) -> tuple[str, ...]:
    """One text or several, in order, none left out."""
    texts = [value] if isinstance(value, str) else value
    found = tuple(texts) if isinstance(texts, Iterable) else (None,)
    if not all(isinstance(text, str) for text in found):
        raise ArgumentError(f"{argument} must be text or a list of texts; found {value!r}")
    return found


def check_texts(**texts: object) -> None:
    """Raise ArgumentError unless all are text or None."""
    for name, value in texts.items():
        if value is not None and not isinstance(value, str):
            raise ArgumentError(f"{name} must be text; found {type(value).__name__}")


def as_name(value: object, argument: str) -> str | None:
    """One column name, or None."""
    if value is None:
        return None
    if isinstance(value, str):
        check_not_empty((value,), argument)
        return value
    found = repr(value) if isinstance(value, int | float | list | tuple) else type(value).__name__
    raise ArgumentError(
        f"{argument} must be the name of one column; found {found}. Add what you have to the data as a column, name that"
    )


def check_not_empty(names: Iterable[str], argument: str) -> None:
    """Raise ArgumentError for an empty name: most often a variable of the caller's that was not set."""
    if "" in names:
        raise ArgumentError(f"{argument} is an empty name (''): name a column, or leave {argument} out")


def pair_surrogates(
    predicted_var: Pairs, prediction: Names | None
) -> tuple[tuple[str, ...], tuple[str, ...], dict[str, tuple[str, ...]]]:
    """Predicted variables, surrogate columns, and which surrogates stand for which variable, where that is known."""
    listed = as_names(prediction, "prediction")
    if isinstance(predicted_var, Mapping):
        check_not_empty(map(str, predicted_var), "predicted_var")
        paired = {str(gold): as_names(names, "predicted_var") for gold, names in predicted_var.items()}
        every = tuple(dict.fromkeys([*(name for names in paired.values() for name in names), *listed]))
        return tuple(paired), every, {gold: names for gold, names in paired.items() if names}
    predicted = as_names(predicted_var, "predicted_var")
    # as many predictions as variables: paired in order. Otherwise nobody can tell.
    pairs = zip(predicted, listed, strict=True) if len(predicted) == len(listed) else ()
    return predicted, listed, {gold: (name,) for gold, name in pairs}


def as_rectangle(folds: Sequence[ArrayLike] | AnyArray) -> AnyArray:
    """Supplied folds as an array."""
    try:
        return np.asarray(folds)
    except ValueError:
        sizes = ", ".join(str(np.size(split)) for split in folds)
        raise FoldError(
            f"folds must have one entry for each row of data in every split; found {sizes} entries"
        ) from None


Seed: TypeAlias = int | np.random.Generator


def check_count(value: object, *, name: str, least: int = 0) -> int:
    """Return `value` as an int of at least `least`. `name` is the argument named in the error."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
        raise ArgumentError(f"{name} must be a whole number, not {value!r}.")
    if value < least:
        raise ArgumentError(f"{name} is {value}; it must be at least {least}.")
    # what indexes arrays has 64 bits
    if value > MOST_COUNT:
        raise ArgumentError(f"{name} is {value}; it must be at most {MOST_COUNT}.")
    return int(value)


def random_generator(seed: Seed) -> np.random.Generator:
    """Return the generator itself, or a new one started from an integer."""
    if isinstance(seed, np.random.Generator):
        return seed
    return np.random.default_rng(check_count(seed, name="seed"))


def check_probabilities(prob: object, *, n_rows: int) -> FloatArray:
    """Return one number or one number per row as an array of shape (n_rows,), all in (0, 1]."""
    try:
        values = np.asarray(prob, dtype=np.float64)
    except (TypeError, ValueError):
        raise ArgumentError(f"sample_prob must be a number or one number per row, not {prob!r}.") from None
    if values.ndim == 0:
        values = np.full(n_rows, float(values))
    if values.shape != (n_rows,):
        raise ArgumentError(f"sample_prob has shape {values.shape}; give one number or shape ({n_rows},).")
    # negated, so that NaN is bad too
    bad = np.flatnonzero(~((values > 0) & (values <= 1)))
    if bad.size:
        first = ", ".join(f"row {i}: {values[i]:g}" for i in bad[:3])
        raise SampleProbabilityError(
            f"{bad.size} values of sample_prob are missing or outside (0, 1] ({first}); every row needs a "
            "known, positive probability of being labelled."
        )
    return values
