"""Expressions -> vectors: R's meaning of operators and calls on the columns of a data frame."""

import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import TypeAlias

import numpy as np
import pandas as pd

from dsl._typing import Record
from dsl.data.formula.rlang.basis import State, most_columns
from dsl.data.formula.rlang.contrasts import KINDS, Contrast
from dsl.data.formula.rlang.functions import (
    COMPARE,
    PACKAGES,
    PLAIN,
    REFUSED,
    STATEFUL,
    arithmetic,
    bind_columns,
    compare,
    is_in,
    span,
)
from dsl.data.formula.rlang.python import FORMULAIC, NUMPY, PREFIXES, plain_numpy, python_function
from dsl.data.formula.rlang.syntax import (
    Binary,
    Call,
    Constant,
    Name,
    Node,
    Number,
    Paren,
    String,
    Unary,
    names,
    python_text,
    r_text,
    walk,
)
from dsl.data.formula.rlang.values import (
    Factor,
    Matrix,
    Quantity,
    Value,
    Vector,
    as_factor,
    column_value,
    logicals,
    numbers,
    plain_vector,
)
from dsl.data.kinds import plain, standard
from dsl.exceptions import DSLError, FormulaError

SPECIAL = ("C", "Q", "cbind", "offset")
WITH_STATE = ("cr", "cc", "cs")
"""Stateful functions taken from formulaic."""
BUILT_IN: dict[str, float] = {"pi": np.pi, "T": True, "F": False, "Inf": np.inf, "NaN": np.nan}
Functions: TypeAlias = Mapping[str, object]
"""The caller's functions, modules and numbers, by the names that the formula uses."""
States: TypeAlias = Record
"""A `State` by the text of each call, a `Factor` or `Quantity` by the key of each column."""

SHORT = 1000
"""Elements up to which a list in the caller's code is taken for knots, breaks or levels."""


def column_key(name: str) -> str:
    """Where a column's levels or unit are among the states: no call's text begins like this."""
    return f"column {name}"


def r_spelling(function: str) -> str:
    """A function's name in R: ``as_factor`` is ``as.factor``."""
    # Python has no dots in names: only the first underscore stands for one, as in as_factor
    dotted = function.replace("_", ".", 1)
    known = function in PLAIN or function in STATEFUL
    return dotted if not known and (dotted in PLAIN or dotted in STATEFUL) else function


def resolve(
    expressions: Sequence[Node], columns: Sequence[str], caller: Mapping[str, object], text: str
) -> tuple[tuple[str, ...], dict[str, object]]:
    """Columns that expressions need, and what they use of the caller's functions and numbers.

    Raises
    ------
    FormulaError
        An unknown function is called.
    """
    found: dict[str, object] = {}
    variables: dict[str, None] = {}
    for expression in expressions:
        for node in walk(expression):
            if isinstance(node, Call):
                found.update(_resolve_call(node, columns, caller, text))
        skipped = _contrast_names(expression)
        for name in names(expression):
            # a column, or a name that stands alone and must be one: its absence is reported with the data's columns at
            # hand
            if name in columns or isinstance(expression, Name):
                variables[name] = None
            elif name in BUILT_IN or name in skipped:
                continue
            elif name in caller and is_constant(caller[name]):
                found[name] = caller[name]
            else:
                variables[name] = None
    return tuple(sorted(variables)), found


def _contrast_names(expression: Node) -> set[str]:
    """Names that stand for contrasts, inside ``C()``."""
    return {
        inner.id
        for node in walk(expression)
        if isinstance(node, Call) and node.function == "C"
        for _, arg in node.args[1:]
        for inner in walk(arg)
        if isinstance(inner, Name) and inner.id in KINDS
    }


def is_constant(value: object) -> bool:
    """Whether a value of the caller's is a number, a text or a short list of these."""
    if isinstance(value, str | int | float | np.number):
        return True
    if not (isinstance(value, list | tuple | np.ndarray) and 0 < len(value) <= SHORT):
        return False
    return all(isinstance(element, str | int | float | np.number) for element in value)


def _resolve_call(node: Call, columns: Sequence[str], caller: Mapping[str, object], text: str) -> dict[str, object]:
    """The caller's function (or module) that a call needs, if any."""
    name, (head, *attributes) = r_spelling(node.function), node.function.split(".")
    if node.package is not None and node.package not in PACKAGES:
        raise FormulaError(
            f"formula '{text}' calls '{node.package}::{node.function}', which is unknown; compute the column first"
        )
    if (
        name in PLAIN
        or name in STATEFUL
        or name in SPECIAL
        or name in KINDS
        or (node.function in FORMULAIC and name not in REFUSED)
        or (plain_numpy(node) and caller.get(head, np) is np)
    ):
        return {}
    if head in caller and _reachable(caller[head], shadowed=head in columns, attributes=bool(attributes)):
        return {head: caller[head]}
    if name in REFUSED:
        raise FormulaError(f"formula '{text}' calls '{node.function}': {REFUSED[name]}")
    if head in columns:
        raise FormulaError(
            f"formula '{text}' uses attributes of the column '{head}'; compute the new column first, and name that"
        )
    if head in PREFIXES and attributes:
        raise FormulaError(
            f"formula '{text}' calls '{node.function}', which needs 'import numpy as np' where the formula is written in Python, "
            f"and which one from a shell, a file or a log may not call; any formula may call np.{', '.join(NUMPY)}"
        )
    close = get_close_matches(node.function, [*PLAIN, *STATEFUL, *FORMULAIC], n=2)
    advice = "define it before the call, or compute the column first"
    hint = f"did you mean {' or '.join(close)}?" if close else advice
    raise FormulaError(f"formula '{text}' calls '{head}', which is unknown; {hint}")


def _reachable(value: object, *, shadowed: bool, attributes: bool) -> bool:
    """Whether a call may be one of this value of the caller's, which a column of its name (`shadowed`) stands before."""
    if inspect.ismodule(value):
        return True
    # a column's methods are not the formula's, whatever the caller has under the column's name
    return not shadowed if attributes else callable(value)


class Columns(Mapping[str, pd.Series]):
    """Columns of a table by name, taken out of it when asked for: a formula names few of many."""

    def __init__(self, data: pd.DataFrame) -> None:
        self._data = data
        self._names = {str(name): name for name in data.columns}

    def __getitem__(self, name: str) -> pd.Series:
        """One column."""
        return self._data[self._names[name]]

    def __contains__(self, name: object) -> bool:
        """Whether there is such a column."""
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        """Names of the columns."""
        return iter(self._names)

    def __len__(self) -> int:
        """Number of columns."""
        return len(self._names)


class Evaluator:
    """Values of expressions on the rows of one frame.

    Parameters
    ----------
    columns : mapping of str to Series
    rows : int
        Number of rows.
    functions : mapping
        The caller's functions and numbers.
    states : dict
        What stateful functions remember, by the text of their call. It is filled on first use.
    """

    def __init__(self, columns: Mapping[str, pd.Series], rows: int, functions: Functions, states: States) -> None:
        self.columns = columns
        self.rows = rows
        self.functions = functions
        self.states = states

    def __call__(self, node: Node) -> Value:
        """Value of an expression, with one element for each row.

        Raises
        ------
        FormulaError
            It cannot be computed, or does not have one value for each row.
        """
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # log of a negative number: reported by its rows
                value = self.value(node)
        except DSLError as error:
            raise type(error)(f"a term of the formula cannot be evaluated: `{python_text(node)}`: {error}") from error
        except Exception as error:  # whatever a function in the formula raises
            reason = " ".join(str(error).split())
            raise FormulaError(
                f"a term of the formula cannot be evaluated: `{python_text(node)}`: {reason}; compute the column first, or "
                "check that it holds numbers"
            ) from error
        if length(value) != self.rows:
            raise FormulaError(
                f"'{python_text(node)}' has {length(value)} values for {self.rows} rows; a term needs one for each row"
            )
        return value

    def value(self, node: Node) -> Value:
        """Value of a part of an expression: one element, or one for each row."""
        match node:
            case Name():
                return self.named(node.id)
            case Number():
                return np.array([node.value]).astype(np.int64 if node.integer else float)
            case String():
                return np.array([node.value], dtype=object)
            case Constant():
                return None if node.value is None else np.array([node.value])
            case Paren():
                return self.value(node.arg)
            case Unary():
                return self.unary(node)
            case Binary():
                return self.binary(node)
            case Call():
                return self.call(node)

    def named(self, name: str) -> Value:
        """Value of a column or a constant."""
        if name in self.columns:
            return self.column(name)
        value = self.functions[name] if name in self.functions else BUILT_IN[name]
        return plain_vector(np.atleast_1d(np.asarray(value)))

    def column(self, name: str) -> Value:
        """A column, with the levels that it had when the formula was fitted."""
        key = column_key(name)
        value = column_value(self.columns[name], self.states.get(key))
        if isinstance(value, Factor | Quantity) and key not in self.states:
            self.states[key] = value.without_rows()
        return value

    def unary(self, node: Unary) -> Vector:
        """``-x``, ``+x``, ``!x``."""
        value = self.value(node.arg)
        if node.op == "!":
            return np.asarray(~logicals(value, "'!'"))
        out = numbers(value, f"'{node.op}'")
        out = -out if node.op == "-" else out
        # -TRUE and -2L are integers in R
        whole = isinstance(value, np.ndarray) and value.dtype.kind in "bi"
        return out.astype(np.int64) if whole else out

    def binary(self, node: Binary) -> Vector:
        """Arithmetic, comparisons, ``%in%``, ``&``, ``|`` and ``from:to``."""
        left, right, op = self.value(node.left), self.value(node.right), node.op
        sizes = (length(left), length(right))
        if 1 not in sizes and sizes[0] != sizes[1] and op != "%in%":
            raise FormulaError(f"'{op}' has {sizes[0]} values on its left and {sizes[1]} on its right")
        if op in COMPARE:
            return compare(op, left, right)
        if op == "%in%":
            return is_in(left, right)
        if op in ("&", "&&", "|", "||"):
            sides = [logicals(side, f"'{op}'") for side in (left, right)]
            return np.asarray(sides[0] & sides[1] if op[0] == "&" else sides[0] | sides[1])
        if op == ":":
            return span(left, right)
        if op.startswith("%") and op not in ("%%", "%/%"):
            raise FormulaError(f"the operator '{op}' cannot be used; compute the column first")
        return arithmetic(op, left, right)

    def call(self, node: Call) -> Value:
        """A function call."""
        name = r_spelling(node.function)
        if name == "Q" and isinstance(node.args[0][1], String):
            return self.named(node.args[0][1].value)
        if name == "C":
            return self.contrasted(node)
        if name == "cbind":
            labels = [label or (arg.id if isinstance(arg, Name) else "") for label, arg in node.args]
            return bind_columns(labels, *(self.value(arg) for _, arg in node.args))
        if name in PLAIN:
            return _apply(PLAIN[name], node, [(label, self.value(arg)) for label, arg in node.args])
        if name in STATEFUL:
            state = self.states.setdefault(r_text(node), {})
            return _apply(STATEFUL[name], node, [(label, self.value(arg)) for label, arg in node.args], state)
        return self.external(node)

    def contrasted(self, node: Call) -> Factor:
        """R's ``C(x, contrasts)`` and formulaic's."""
        inner = Call("as.factor", node.args[:1])
        found = self.value(inner)
        if not isinstance(found, Factor):
            raise FormulaError("C() needs categories")
        given = {label or ("contr", "how.many")[j]: arg for j, (label, arg) in enumerate(node.args[1:])}
        contrast = _contrast(given.get("contr", given.get("contrasts")), given.get("base"), found.used())
        return replace(found.used(), contrast=contrast)

    def external(self, node: Call) -> Value:
        """A Python function: one of the caller's, numpy's or formulaic's."""
        head, *rest = node.function.split(".")
        if head in self.functions:
            function = self.functions[head]
            for attribute in rest:
                function = getattr(function, attribute)
        else:
            function = python_function(node.function)
        positional = [self.argument(arg) for label, arg in node.args if label is None]
        named = {label: self.argument(arg) for label, arg in node.args if label is not None}
        if node.function in WITH_STATE:
            self.check_knots(node.function, [*positional[1:2], named.get("df")])
            # formulaic's own protocol: empty at the first call, filled there
            named["_state"] = self.states.setdefault(r_text(node), {})
        if not callable(function):
            raise FormulaError(f"'{node.function}' is no function")
        return from_python(function(*positional, **named))

    def check_knots(self, function: str, counts: Sequence[object]) -> None:
        """Raise FormulaError where a function of formulaic's would make more knots than there are rows."""
        most = max((count for count in counts if isinstance(count, int | float)), default=0)
        if most > min(self.rows, most_columns(self.rows)):
            raise FormulaError(
                f"{function}() is asked for {most:,} columns, and there are {self.rows:,} rows; ask for fewer"
            )

    def argument(self, node: Node) -> object:
        """A value as Python functions expect it: a Series of a column, a number, a list."""
        if isinstance(node, Number):
            return int(node.value) if node.value.is_integer() else node.value
        if isinstance(node, String | Constant):
            return node.value
        if isinstance(node, Name) and node.id in self.columns:
            return self.columns[node.id]
        if isinstance(node, Name) and node.id in self.functions:
            return self.functions[node.id]
        value = self.value(node)
        if isinstance(value, Factor):
            value = value.text()
        if isinstance(value, Quantity):
            value = value.values
        if isinstance(value, Matrix) or value is None:
            return value.values if value is not None else None
        if any(name in self.columns for name in names(node)) and len(value) == self.rows:
            return pd.Series(value, index=next(iter(self.columns.values())).index)
        return value.item() if value.size == 1 and not isinstance(node, Call) else value.tolist()


def length(value: Value) -> int:
    """Number of elements or rows."""
    if value is None:
        return 0
    if isinstance(value, Quantity):
        return len(value.exact)
    return len(value.codes if isinstance(value, Factor) else value.values if isinstance(value, Matrix) else value)


def from_python(result: object) -> Value:
    """What a Python function returned as one of our vectors."""
    if isinstance(result, Mapping):  # formulaic's splines: name -> column
        columns = {str(name): column for name, column in result.items() if not str(name).startswith("__")}
        values = np.column_stack([np.asarray(column, dtype=float) for column in columns.values()])
        return Matrix(values=values, suffixes=tuple(columns))
    if isinstance(result, pd.DataFrame):
        return Matrix(values=result.to_numpy(dtype=float), suffixes=tuple(str(name) for name in result.columns))
    if isinstance(result, pd.Categorical | pd.Series):
        return column_value(standard(plain(pd.Series(result))))
    found = np.asarray(result)
    if found.ndim == 2:
        return Matrix(values=found.astype(float), suffixes=tuple(str(j + 1) for j in range(found.shape[1])))
    return plain_vector(np.atleast_1d(found))


def _apply(function: Callable[..., Value], node: Call, args: list[tuple[str | None, Value]], *state: State) -> Value:
    """Call a function with R's matching of arguments: by name, by a name's beginning, by place."""
    known = list(inspect.signature(function).parameters)[len(state) :]
    named: dict[str, Value] = {}
    for label, value in args:
        if label is not None:
            spelled = {"from": "start"}.get(label, label.replace(".", "_"))
            # R takes a beginning that fits one argument only, as len = for length.out =
            fitting = [spelled] if spelled in known else [name for name in known if name.startswith(spelled)]
            if len(fitting) != 1:
                advice = f"it has {', '.join(known)}" if known else "it takes none by name"
                raise FormulaError(f"{node.function}() has no argument '{label}'; {advice}")
            named[fitting[0]] = value
    positional = [value for label, value in args if label is None]
    try:
        bound = inspect.signature(function).bind(*state, *positional, **named)
    except TypeError as error:
        if not set(named) & set(known[: len(positional)]):
            raise FormulaError(f"{node.function}() is called with the wrong arguments: {error}") from None
        # R gives arguments without a name the places that named ones left free
        free = [name for name in known if name not in named]
        named.update(zip(free, positional, strict=False))
        bound = inspect.signature(function).bind(*state, **named)
    return function(*bound.args, **bound.kwargs)


def _contrast(node: Node | None, base: Node | None, factor: Factor) -> Contrast | None:
    """The contrasts named in ``C()``: R's, formulaic's (``contr.treatment(base='b')``) or patsy's."""
    if node is None:
        return None
    name = node.function if isinstance(node, Call) else node.value if isinstance(node, String) else None
    name = node.id if isinstance(node, Name) else name
    if name not in KINDS:
        raise FormulaError(
            f"C() does not know the contrasts {r_text(node)}; use contr.treatment, contr.sum, contr.helmert, contr.poly"
        )
    kind = KINDS[name]
    args: Sequence[tuple[str | None, Node]] = node.args if isinstance(node, Call) else ()
    given: dict[str, Node] = {label or "": arg for label, arg in args}
    reference = given.get("base", given.get("reference", base))
    # contr.treatment(3) or contr.treatment(n = 3), which R names by number
    counted = isinstance(given.get("", given.get("n")), Number)
    first = given.get("", given.get("n"))
    if kind == "treatment" and reference is None and first is not None and not _is_count(first, factor):
        reference, counted = first, False
    scores = given.get("scores")
    numbers_given = _scores(scores) if scores is not None else ()
    place = 0 if reference is None else _level(reference, factor, by_number=counted or base is not None)
    return Contrast(kind, base=place, numbered=not isinstance(node, Call) or counted, scores=numbers_given)


def _is_count(node: Node, factor: Factor) -> bool:
    text = r_text(node)
    return isinstance(node, Number) and node.value == len(factor.levels) and text not in factor.levels


def _scores(node: Node) -> tuple[float, ...]:
    value = Evaluator({}, 0, {}, {}).value(node)
    return tuple(float(v) for v in numbers(value, "scores of contr.poly()"))


def _level(node: Node, factor: Factor, *, by_number: bool) -> int:
    """Position of a reference level, given by name or (as R does) by number."""
    if isinstance(node, Number) and by_number:
        return int(node.value) - 1
    text = as_factor(Evaluator({}, 0, {}, {}).value(node)).levels[0]
    if text not in factor.levels:
        raise FormulaError(f"the reference level {text!r} is not among {', '.join(factor.levels[:8])}")
    return factor.levels.index(text)
