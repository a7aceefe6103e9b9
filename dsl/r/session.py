"""The embedded R: started once, called from one thread, its errors and warnings brought to Python.

The only module that imports rpy2.
"""

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from dsl.exceptions import DSLError, DSLWarning, MissingDependencyError

Sexp = Any
"""An R object (``rpy2.rinterface.Sexp``)."""

INSTALL = "pip install 'dsl[r]' (needs R itself first: see r_compat/install_r.sh)"


SUPPORT = ("support.R", "reference.R")
"""Files of this folder that R loads."""


class RError(DSLError, RuntimeError):
    """R stopped with an error. The message is R's."""


class RWarning(DSLWarning):
    """R issued a warning. The message is R's."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a call of an R function left behind."""

    value: Sexp
    warnings: tuple[str, ...]
    printed: tuple[str, ...]
    """Lines that R printed."""


@dataclass(frozen=True, slots=True)
class Session:
    """The running R."""

    interface: Any
    """The module ``rpy2.rinterface``."""
    support: Sexp
    """Environment with the functions of the R files beside this one."""
    thread: int


@contextmanager
def _own_libraries() -> Iterator[None]:
    """Put the search path for shared libraries back, which starting R changes.

    R's holds the system's folders, so that processes started later (parallel workers) could load another Python's library.
    """
    before = os.environ.get("LD_LIBRARY_PATH")
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("LD_LIBRARY_PATH", None)
        else:
            os.environ["LD_LIBRARY_PATH"] = before


@cache
def session() -> Session:
    """Start R, once.

    Raises
    ------
    MissingDependencyError
        rpy2 or R is missing or does not work.
    """
    try:
        with warnings.catch_warnings(), _own_libraries():
            warnings.simplefilter("ignore")
            import rpy2.rinterface

            interface: Any = rpy2.rinterface
            interface.initr()
    except (ImportError, ValueError, OSError, RuntimeError) as error:  # rpy2 raises any of these where R is missing
        raise MissingDependencyError(f"dsl.r needs R and rpy2: {INSTALL}. Python said: {error}") from error
    code = "\n".join(resources.files("dsl.r").joinpath(name).read_text(encoding="utf-8") for name in SUPPORT)
    # the R files go into an environment of their own, not the user's workspace
    load = interface.evalr("function(code) { e <- new.env(parent = globalenv()); eval(parse(text = code), e); e }")
    return Session(interface, load(interface.StrSexpVector([code])), threading.get_ident())


def check_thread() -> None:
    """Raise RError in any other thread than the one that started R."""
    if session().thread != threading.get_ident():
        raise RError("R runs in the thread that first used it and cannot be called from another one; use processes")


def support(name: str) -> Sexp:
    """A function of the R files beside this one."""
    return session().support[name]


def run(function: str, /, *args: Sexp, **named: Sexp) -> Outcome:
    """Call an R function with R objects, collecting its warnings and output.

    Parameters
    ----------
    function : str
        Name, with or without its package (``"stats::lm"``), or the code of a function.
    *args, **named
        R objects. A name's double underscore stands for a dot.

    Raises
    ------
    RError
        R stopped, or the package or function is not there.
    """
    check_thread()
    interface = session().interface
    names = [""] * len(args) + [name.replace("__", ".") for name in named]
    out = support("run")(
        interface.StrSexpVector([function]),
        interface.ListSexpVector([*args, *named.values()]),
        interface.StrSexpVector(names),
    )
    value, problem, warned, printed = (out[j] for j in range(4))
    if len(problem):
        raise RError(f"R's {_short(function)} stopped: {problem[0]}")
    return Outcome(value, tuple(warned), tuple(printed))


def call(function: str, /, *args: Sexp, **named: Sexp) -> Sexp:
    """As `run`, but give back the value alone and turn R's warnings into `RWarning`."""
    outcome = run(function, *args, **named)
    for message in outcome.warnings:
        warnings.warn(f"R's {_short(function)}: {message}", RWarning, stacklevel=3)
    return outcome.value


def _short(function: str) -> str:
    if function in _OWN_NAMES:
        return _OWN_NAMES[function]
    first = function.strip().splitlines()[0]
    return first if len(first) <= 60 else f"{first[:57]}..."


_OWN_NAMES = {"run_reference": "dsl", "learner_fit": "learner", "learner_predict": "predict"}


def has_package(name: str) -> bool:
    """Whether an R package is installed."""
    interface = session().interface
    return bool(support("has_package")(interface.StrSexpVector([name]))[0])


def need_package(name: str, purpose: str, how: str = "") -> None:
    """Raise MissingDependencyError unless an R package is installed."""
    if not has_package(name):
        advice = how or f"install it from within R: install.packages('{name}')"
        raise MissingDependencyError(f"{purpose} needs the R package '{name}'; {advice}")
