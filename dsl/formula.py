"""R/Wilkinson formulas -> design matrices for gold and for predicted values.

The only importer of formulaic. Differences from R that matter here are resolved before formulaic sees
the text: ``^`` inside a call is a power, ``factor``, ``as.factor`` and ``sqrt`` exist, and
``y ~ x | unit + year`` names fixed effects.
"""

import ast
import io
import tokenize
import warnings
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import formulaic
import numpy as np
import pandas as pd
from formulaic.errors import DataMismatchWarning
from formulaic.parser.algos.tokenize import tokenize as formula_tokens
from formulaic.parser.types import Token
from formulaic.transforms import TRANSFORMS

from dsl._typing import BoolArray, FloatArray, IntArray
from dsl.exceptions import (
    ArgumentError,
    CollinearityError,
    ColumnTypeError,
    DataError,
    DSLError,
    FormulaError,
    InfiniteValueError,
)
from dsl.tables import first_rows

FUNCTIONS: dict[str, Any] = {
    "factor": TRANSFORMS["C"],
    "as_factor": TRANSFORMS["C"],
    "sqrt": np.sqrt,
    "log1p": np.log1p,
    "expm1": np.expm1,
    "abs": np.abs,
}
"""Functions that a formula may use besides formulaic's own (`np`, `log`, `exp`, `C`, `poly`, `bs`, ...)."""

R_FUNCTIONS = {
    "ns": "write cr(x, df=4) for a natural cubic spline",
    "relevel": "write C(g, contr.treatment(base='b')) to choose the reference category",
    "offset": "offsets are not supported; subtract it from the outcome of a linear model",
    "ifelse": "compute the column first, e.g. with np.where",
    "cut": "compute the column first, with pd.cut",
}
"""What to write instead of functions that R has."""

Functions = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedFormula:
    """A formula as written, and what formulaic makes of it."""

    text: str
    outcome: Any
    """Formula of the left-hand side."""
    covariates: Any
    """Formula of the right-hand side."""
    absorbed: tuple[str, ...]
    """Columns after ``|``."""
    variables: tuple[str, ...]
    """Data columns of outcome and covariates."""
    functions: Functions = field(repr=False)
    """Functions that the formula calls, besides formulaic's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One side of a formula, fitted: levels, contrasts and knots are those of the analysis data."""

    spec: Any
    """formulaic.ModelSpec of all columns."""
    fixed: FloatArray = field(repr=False)
    """(N, f) columns without predicted variables."""
    fixed_index: tuple[int, ...]
    """Their places among all columns."""
    predicted_index: tuple[int, ...]
    """Places of the other p columns."""
    changing: Any
    """formulaic.ModelSpec of these; None if there are none."""
    direct: tuple[str, ...] | None
    """The predicted variables that these columns are, where they are just that."""
    data: pd.DataFrame = field(repr=False)
    """Analysis data."""
    functions: Functions = field(repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all columns in the formula's order."""
        return tuple(str(name) for name in self.spec.column_names)

    def at(self, values: Mapping[str, FloatArray], rows: BoolArray | None = None) -> FloatArray:
        """Predicted columns with the predicted variables at `values`, on `rows` (all by default); (rows, p)."""
        if self.direct is not None:
            return np.column_stack([values[name] for name in self.direct])
        if self.changing is None:
            return np.empty((len(self.data) if rows is None else int(rows.sum()), 0))
        data = (self.data if rows is None else self.data[rows]).assign(**values)
        return evaluate(self.changing, data, self.functions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """Both sides of the formula, and what the labelled rows show."""

    covariates: Part
    outcome: Part
    gold: FloatArray = field(repr=False)
    """(n, p) predicted covariate columns at the gold values."""
    gold_outcome: FloatArray = field(repr=False)
    """(n,) outcome on the labelled rows."""

    @property
    def order(self) -> IntArray:
        """Positions that bring columns ordered as fixed, predicted into the formula's order."""
        return np.argsort([*self.covariates.fixed_index, *self.covariates.predicted_index])

    @property
    def block_names(self) -> tuple[str, ...]:
        """Column names ordered as fixed, predicted."""
        names = self.covariates.names
        return tuple(names[j] for j in (*self.covariates.fixed_index, *self.covariates.predicted_index))

    def outcome_at(self, values: Mapping[str, FloatArray]) -> FloatArray:
        """Outcome with the predicted variables at `values`; (N,)."""
        return self.outcome.at(values)[:, 0] if self.outcome.predicted_index else self.outcome.fixed[:, 0]


def parse(
    formula: str,
    columns: Sequence[str],
    caller: Mapping[str, Any] | None = None,
    *,
    outside_dot: Container[str] = (),
) -> ParsedFormula:
    """Read a formula.

    Parameters
    ----------
    formula : str
        ``y ~ x + factor(z)``, with ``| unit + year`` behind it for fixed effects.
    columns : sequence of str
        Names of the data's columns.
    caller : mapping, optional
        The caller's variables, among which functions named in the formula are looked up.
    outside_dot : container of str
        Columns with another part in the design (surrogates, probabilities), which ``.`` does not stand for.

    Raises
    ------
    FormulaError
        It does not parse, has no left-hand side, or calls an unknown function.
    """
    if not isinstance(formula, str):
        raise ArgumentError(f"formula must be a string such as 'y ~ x1 + x2'; found {type(formula).__name__}")
    try:
        tokens = list(formula_tokens(formula))
        tokens, absorbed = _split_absorbed(tokens, formula)
        dot = [name for name in columns if name not in outside_dot]
        text = " ".join(_spelled(token, formula, columns) for token in tokens)
        parsed = formulaic.Formula(text, _context={"__formulaic_variables_available__": dot})
    except DSLError:
        raise
    except Exception as error:  # the parser fails in many ways
        reason = str(error).replace("\x1b[1;31m", "").replace("\x1b[0m", "").replace("⧛", "").replace("⧚", "")
        raise FormulaError(
            f"formula '{formula}' does not parse: {' '.join(reason.split())}. {_advice(formula)}"
        ) from error
    if not hasattr(parsed, "lhs") or len(list(parsed.lhs)) != 1 or str(tokens[-1]) == "~":
        raise FormulaError(
            f"formula '{formula}' must have one outcome on the left of '~' and terms on its right, as in 'y ~ x1 + x2'"
        )
    if not all(hasattr(term, "factors") for term in parsed.rhs):
        raise FormulaError(
            f"formula '{formula}' has several right-hand sides; fixed effects come last, as in 'y ~ x | unit'"
        )
    variables, functions = _resolve([*parsed.lhs, *parsed.rhs], columns, caller or {}, formula)
    return ParsedFormula(
        text=formula,
        outcome=parsed.lhs,
        covariates=parsed.rhs,
        absorbed=absorbed,
        variables=variables,
        functions=functions,
    )


def build(
    parsed: ParsedFormula, data: pd.DataFrame, labeled: BoolArray, predicted: Sequence[str], *, absorbed: bool = False
) -> Design:
    """Fit both sides of the formula to the data and evaluate what no split changes.

    Parameters
    ----------
    parsed : ParsedFormula
    data : DataFrame
        (N rows) complete but for the predicted variables, which are NaN off the labelled rows.
    labeled : (N,) bool array
    predicted : sequence of str
        The predicted variables.
    absorbed : bool
        Whether fixed effects take the intercept's place.

    Raises
    ------
    FormulaError
        No or several outcome columns, a predicted variable used as a category, a call that fails.
    InfiniteValueError
        A term is infinite or undefined for some rows.
    """
    absent = [name for name in predicted if name not in parsed.variables]
    if absent:
        raise FormulaError(
            f"predicted variable '{absent[0]}' does not occur in the formula '{parsed.text}'; add it, or take it "
            "out of predicted_var"
        )
    outcome = _fit(parsed.outcome, parsed.functions, data, labeled, predicted)
    if len(outcome.names) != 1:
        raise FormulaError(
            f"the outcome of '{parsed.text}' makes {len(outcome.names)} columns ({', '.join(outcome.names[:4])}); it must "
            "be one column of numbers: recode categories as 0/1"
        )
    covariates = _fit(parsed.covariates, parsed.functions, data, labeled, predicted, absorbed=absorbed)
    if not covariates.names:
        raise FormulaError(f"formula '{parsed.text}' has no columns on its right-hand side")
    if len(covariates.names) >= len(data):
        raise FormulaError(
            f"formula '{parsed.text}' makes {len(covariates.names)} coefficients for {len(data)} rows; leave terms out, or "
            "merge categories"
        )
    gold = {name: data[name].to_numpy()[labeled] for name in predicted}
    gold_outcome = outcome.at(gold, labeled) if outcome.predicted_index else outcome.fixed[labeled]
    return Design(
        covariates=covariates,
        outcome=outcome,
        gold=covariates.at(gold, labeled),
        gold_outcome=gold_outcome[:, 0],
    )


def _fit(
    side: Any,
    functions: Functions,
    data: pd.DataFrame,
    labeled: BoolArray,
    predicted: Sequence[str],
    *,
    absorbed: bool = False,
) -> Part:
    """Fit one side: means, scales and knots of predicted terms come from the gold values of the labelled rows."""
    _refuse_dates(side, data)
    used = set(predicted) & variables_in(side)
    filled = data.assign(**{name: data[name].fillna(data[name].mean()) for name in used}) if used else data
    matrix, spec = _materialise(side, filled, functions)
    if absorbed and "Intercept" in spec.column_names:
        kept = [term for term in spec.terms if str(term) != "1"]
        matrix = matrix[:, [j for term in kept for j in spec.term_indices[term]]]
        spec = spec.subset(kept)
    empty = [str(term) for term in spec.terms if not spec.term_indices[term]]
    if empty:
        raise CollinearityError(f"'{empty[0]}' has the same value in every row; take it out of the formula")
    terms = [term for term in spec.terms if variables_in([term]) & used]
    if terms:
        factors = [factor for term in terms for factor in term.factors if _names_in(factor)[0] & used]
        _refuse_categories(spec, factors, used)
        spec = _gold_state(side, spec, data[labeled], functions, factors)
    places = [j for term in terms for j in spec.term_indices[term]]
    fixed = [j for j in range(matrix.shape[1]) if j not in set(places)]
    plain = [str(term) for term in terms]
    return Part(
        spec=spec,
        fixed=matrix if not places else matrix[:, fixed],
        fixed_index=tuple(fixed),
        predicted_index=tuple(places),
        changing=spec.subset(terms) if terms else None,
        direct=tuple(plain) if terms and set(plain) <= used else None,
        data=data,
        functions=functions,
    )


def _gold_state(side: Any, spec: Any, gold: pd.DataFrame, functions: Functions, factors: Sequence[Any]) -> Any:
    """The spec with the state of predicted terms (`scale`, `poly`, ...) taken from gold values."""
    stateful = [factor.expr for factor in factors if factor.expr in spec.transform_state]
    if not stateful:
        return spec
    on_gold = _materialise(side, gold, functions)[1]
    return spec.update(transform_state={**spec.transform_state, **{e: on_gold.transform_state[e] for e in stateful}})


def _refuse_categories(spec: Any, factors: Sequence[Any], used: set[str]) -> None:
    for factor in factors:
        kind = spec.encoder_state.get(factor.expr, (None,))[0]
        if kind is not None and kind.value == "categorical":
            name = next(iter(_names_in(factor)[0] & used))
            raise FormulaError(
                f"'{factor.expr}' makes categories of the predicted variable '{name}', which is predicted as a number; "
                f"use '{name}' itself, or one 0/1 column for each category"
            )


def _refuse_dates(side: Any, data: pd.DataFrame) -> None:
    for name in sorted({factor.expr for term in side for factor in term.factors} & set(data.columns)):
        if data[name].dtype.kind in "mM" or isinstance(data[name].dtype, pd.PeriodDtype):
            raise ColumnTypeError(
                f"column '{name}' (formula) holds dates or durations ({data[name].dtype}); use numbers made of them, such as "
                f"data['{name}'].dt.year or .dt.days, or factor({name}) for a coefficient for each"
            )


def _materialise(side: Any, data: pd.DataFrame, functions: Functions) -> tuple[FloatArray, Any]:
    """Matrix and fitted spec of one side of a formula."""
    frame = _model_frame(side, data, functions)
    return _checked(frame), frame.model_spec


def evaluate(spec: Any, data: pd.DataFrame, functions: Functions) -> FloatArray:
    """Columns of a fitted spec."""
    return _checked(_model_frame(spec, data, functions))


def _model_frame(spec: Any, data: pd.DataFrame, functions: Functions) -> Any:
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # log of a negative number: reported by _checked
            warnings.simplefilter("error", DataMismatchWarning)  # else a new category would count as the reference
            return spec.get_model_matrix(data, context=functions, na_action="ignore", output="pandas")
    except DataMismatchWarning as error:
        raise DataError(f"{str(error).split('. They')[0]}; predict for categories that the analysis had") from error
    except Exception as error:  # whatever a function in the formula raises
        reason = " ".join(str(error).split()).replace("Unable to evaluate factor ", "")
        raise FormulaError(
            f"a term of the formula cannot be evaluated: {reason}; compute the column first, or check that it holds numbers"
        ) from error


def _checked(frame: Any) -> FloatArray:
    """Values of a model matrix; raises InfiniteValueError if some are infinite or undefined."""
    try:
        matrix: FloatArray = frame.to_numpy(dtype=float)
    except (TypeError, ValueError) as error:
        raise ColumnTypeError(
            f"the columns {', '.join(map(str, frame.columns[:5]))} of the formula cannot all be read as numbers ({error}); "
            "convert their variables to numbers or categories"
        ) from error
    if not np.isfinite(matrix.sum()):
        bad = ~np.isfinite(matrix)
        column = int(bad.any(axis=0).argmax()) if bad.any() else 0
        if bad.any():
            raise InfiniteValueError(
                f"'{frame.columns[column]}' is infinite or undefined in {first_rows(bad[:, column], frame.index)}; "
                "transform it so that it exists for every row (log1p for counts), where it is predicted for every prediction too"
            )
    return matrix


def _names_in(factor: Any) -> tuple[set[str], set[str]]:
    """Names of the variables and of the functions (or modules) in a formulaic factor."""
    if factor.eval_method.value == "lookup":
        return {factor.expr}, set()
    if factor.eval_method.value == "literal":
        return set(), set()
    tree = ast.parse(factor.expr, mode="eval")
    functions = {
        node.id
        for owner in ast.walk(tree)
        if isinstance(owner, ast.Call | ast.Attribute)
        for node in [owner.func if isinstance(owner, ast.Call) else owner.value]
        if isinstance(node, ast.Name)
    }
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return names - functions, functions


def variables_in(terms: Iterable[Any]) -> set[str]:
    """Names of the variables in some terms."""
    return {name for term in terms for factor in term.factors for name in _names_in(factor)[0]}


def _resolve(
    terms: Sequence[Any], columns: Sequence[str], caller: Mapping[str, Any], formula: str
) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Columns and functions that a parsed formula needs."""
    functions = dict(FUNCTIONS)
    for name in sorted({name for term in terms for factor in term.factors for name in _names_in(factor)[1]}):
        if name in functions or name in TRANSFORMS:
            continue
        if name not in caller:
            close = get_close_matches(name, [*FUNCTIONS, *TRANSFORMS], n=2)
            advice = "define it before the call, or compute the column first"
            hint = R_FUNCTIONS.get(name) or (f"did you mean {' or '.join(close)}?" if close else advice)
            if name in columns:
                raise FormulaError(
                    f"formula '{formula}' uses attributes of the column '{name}'; compute the new column first, and name that"
                )
            raise FormulaError(f"formula '{formula}' calls '{name}', which is unknown; {hint}")
        functions[name] = caller[name]
    return tuple(sorted(variables_in(terms))), functions


def _advice(formula: str) -> str:
    """How to write what probably was meant."""
    if "==" in formula:
        return "Write comparisons inside I(), as in I(x == 1)"
    if "~" not in formula:
        return "Put '~' between outcome and covariates, as in 'y ~ x1 + x2'"
    return "Write it as in 'y ~ x1 + x2'; column names with spaces or signs go between backticks"


def _split_absorbed(tokens: list[Token], formula: str) -> tuple[list[Token], tuple[str, ...]]:
    """Tokens before ``|``, and the columns named behind it."""
    bars = [j for j, token in enumerate(tokens) if str(token) == "|" and token.kind is Token.Kind.OPERATOR]
    if not bars:
        return tokens, ()
    behind = tokens[bars[0] + 1 :]
    names = [str(token) for token in behind[::2]]
    regular = len(behind) % 2 == 1 and all(token.kind is Token.Kind.NAME for token in behind[::2])
    if not regular or any(str(token) != "+" for token in behind[1::2]):
        raise FormulaError(
            f"formula '{formula}': the part behind '|' must list the columns of the fixed effects, as in "
            "'y ~ x | unit + year'"
        )
    return tokens[: bars[0]], tuple(dict.fromkeys(names))


def _spelled(token: Token, formula: str, columns: Sequence[str]) -> str:
    """A token as formulaic should read it."""
    text = str(token)
    if token.kind is Token.Kind.PYTHON:
        code = _python(text)
        return "{" + code + "}" if formula[token.source_start] == "{" else code
    if token.kind is Token.Kind.NAME and not text.isidentifier() and (text in columns or " " in text):
        return f"`{text}`"
    return text


def _python(code: str) -> str:
    """R's spelling inside a call turned into Python's: ``^`` is a power, ``as.factor``, ``TRUE``, ``FALSE``."""
    code = " ".join(code.splitlines())
    tokens = list(tokenize.generate_tokens(io.StringIO(code).readline))
    out, done = [], 0
    for j, token in enumerate(tokens):
        start, new = token.start[1], token.string
        if token.type == tokenize.OP and token.string == "^":
            new = "**"
        elif token.type == tokenize.NAME and token.string in ("TRUE", "FALSE"):
            new = token.string.capitalize()
        elif token.string == "factor" and [t.string for t in tokens[max(j - 2, 0) : j]] == ["as", "."]:
            start, new = tokens[j - 2].start[1], "as_factor"
        if new != token.string:
            out += [code[done:start], new]
            done = token.end[1]
    return "".join([*out, code[done:]])
