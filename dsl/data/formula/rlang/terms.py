"""The operators of a formula: what ``+ - * : / ^ %in% .`` make of its variables, as R's ``terms``."""

from collections.abc import Sequence
from dataclasses import dataclass

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
    r_text,
    walk,
)
from dsl.exceptions import FormulaError


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The right-hand side of a formula, expanded."""

    variables: tuple[Node, ...]
    """Expressions, in order of appearance."""
    terms: tuple[tuple[int, ...], ...]
    """Positions of each term's variables, ascending. Main effects come first, as R orders them."""
    intercept: bool
    offsets: tuple[Node, ...] = ()


RANDOM_EFFECTS = (
    "random effects such as (1 | g) cannot be estimated; use cluster='g' for standard errors, fixed effects "
    "'y ~ x | g' with model='felm', or factor(g). A logical 'or' goes inside I(), as in I(a | b)"
)
SUMS = ("+", "-", "*", "/", ":", "^", "%in%")
MOST_TERMS = 10_000
"""Terms that a formula may have: each takes time and memory before the data are looked at."""


def expand(formula: Node, columns: Sequence[str], outcome: Node, text: str) -> Terms:
    """Expand the right-hand side `formula` into terms.

    Parameters
    ----------
    formula : expression
    columns : sequence of str
        What ``.`` stands for, but for the names in `outcome`.
    outcome : expression
    text : str
        The formula as written, for messages.

    Raises
    ------
    FormulaError
        A part of the formula has no meaning.
    """
    used = set(names(outcome))
    expander = _Expander(tuple(name for name in columns if name not in used), text)
    found = expander.terms(formula)
    # by number of variables. The sort is stable, so that terms of one order stay as they were written.
    ordered = sorted((term for term in dict.fromkeys(found) if term), key=int.bit_count)
    response = r_text(outcome)
    if response in expander.places and any(term >> expander.places[response] & 1 for term in ordered):
        raise expander.error(f"'{response}' stands on both sides of '~'")
    return Terms(
        variables=tuple(expander.variables),
        # from bits back to positions: bit j stands for variable j
        terms=tuple(tuple(j for j in range(term.bit_length()) if term >> j & 1) for term in ordered),
        intercept=expander.intercept,
        offsets=tuple(expander.offsets),
    )


class _Expander:
    """Terms are sets of variables, kept as bits of an integer."""

    def __init__(self, dot: tuple[str, ...], text: str) -> None:
        self.dot = dot
        self.text = text
        self.variables: list[Node] = []
        self.places: dict[str, int] = {}
        self.intercept = True
        self.offsets: list[Node] = []
        self._removing = False
        self._in_product = False

    def error(self, reason: str) -> FormulaError:
        return FormulaError(f"formula '{self.text}': {reason}")

    def terms(self, node: Node) -> list[int]:
        # sums are walked down their left side without recursion: a spelled-out formula may have thousands of terms
        right: list[Node] = []
        while isinstance(node, Binary) and node.op == "+":
            right.append(node.right)
            node = node.left
        out = self.addend(node)
        for each in reversed(right):
            out.extend(self.terms(each))
        return out

    def addend(self, node: Node) -> list[int]:
        match node:
            case Paren(arg=arg, braces=False):
                return self.terms(arg)
            case Number():
                return self.number(node)
            case Binary(op="-"):
                left = self.terms(node.left)
                return self.without(left, node.right)
            case Unary(op="+"):
                return self.terms(node.arg)
            case Unary(op="-"):
                return self.without([], node.arg)
            case Binary(op=op) if op in SUMS:
                return self.product(node)
            case Call(function="offset"):
                return self.offset(node)
            case _:
                return self.variable(node)

    def without(self, kept: list[int], removed: Node) -> list[int]:
        self._removing = not self._removing
        # inside, "1" takes the intercept away and a second minus gives back
        gone = set(self.terms(removed))
        self._removing = not self._removing
        return [term for term in kept if term not in gone]

    def number(self, node: Number) -> list[int]:
        if self._in_product or node.value not in (0.0, 1.0):
            raise self.error(
                f"the number {r_text(node)} can only stand alone, + 1 or - 1 for the intercept; arithmetic goes inside I(), "
                "as in I(2 * x)"
            )
        self.intercept = (node.value == 1.0) != self._removing
        return []

    def offset(self, node: Call) -> list[int]:
        if self._in_product or self._removing or len(node.args) != 1:
            raise self.error("an offset is added with '+', and takes one argument, as in y ~ x + offset(log(n))")
        self.offsets.append(node.args[0][1])
        return []

    def product(self, node: Binary) -> list[int]:
        outer, self._in_product = self._in_product, True
        if node.op == "^":
            out = self.power(node)
        else:
            if node.op == "%in%" and _listing(node.right):
                raise self.error(
                    f"'%in%' between terms is a nesting of factors; membership goes inside I(), as in I({r_text(node)})"
                )
            left, right = self.terms(node.left), self.terms(node.right)
            self.check_size(len(left) + len(right) + (len(right) if node.op == "%in%" else len(left) * len(right)))
            out = {
                "*": lambda: [*left, *right, *_cross(left, right)],
                ":": lambda: _cross(left, right),
                # a / b is a + b %in% a: b within the combination of everything on the left
                "/": lambda: [*left, *_cross([_union(left)], right)],
                "%in%": lambda: _cross(left, [_union(right)]),
            }[node.op]()
        self._in_product = outer
        return out

    def power(self, node: Binary) -> list[int]:
        exponent = node.right
        if not isinstance(exponent, Number) or exponent.value < 1.0 or not exponent.value.is_integer():
            raise self.error(
                f"'^' between terms crosses them up to a whole degree, as in (a + b)^2; a power is written I({r_text(node)})"
            )
        base = self.terms(node.left)
        out = base
        # higher degrees add nothing: a product of terms is the union of their variables
        for _ in range(min(int(exponent.value), 1 + len(base)) - 1):
            found = list(dict.fromkeys(_cross(out, base)))
            self.check_size(len(found))
            if len(found) == len(out):
                break
            out = found
        return out

    def check_size(self, count: int) -> None:
        if count > MOST_TERMS:
            raise self.error(
                f"crossing makes {count:,} terms or more, and {MOST_TERMS:,} are the most; '*' crosses everything on its sides, "
                "(a + b + c)^2 stops at pairs, and single interactions are written a:b"
            )

    def variable(self, node: Node) -> list[int]:
        if node == Name("."):
            return [self.place(Name(name)) for name in self.dot]
        if isinstance(node, Constant | String):
            raise self.error(f"{r_text(node)} is not a variable; a column name with spaces goes between backticks")
        if any(inner == Name(".") for inner in walk(node)):
            raise self.error("'.' stands for all other columns, and cannot be used inside a function")
        if isinstance(node, Binary) and node.op in ("|", "||") and not _logical(node.left):
            raise self.error(RANDOM_EFFECTS)
        return [self.place(node)]

    def place(self, node: Node) -> int:
        # expressions are the same variable if R writes them alike
        key = r_text(node)
        if key not in self.places:
            self.places[key] = len(self.variables)
            self.variables.append(node)
        return 1 << self.places[key]


def _cross(left: list[int], right: list[int]) -> list[int]:
    return [a | b for a in left for b in right]


def _union(terms: list[int]) -> int:
    out = 0
    for term in terms:
        out |= term
    return out


def _listing(node: Node) -> bool:
    """Whether an expression lists values, as ``c("a", "b")`` and ``1:3`` do."""
    match node:
        case Paren():
            return _listing(node.arg)
        case Number() | String():
            return True
        case Binary(op=":"):
            return _listing(node.left)
        case Call():
            return node.function in ("c", "seq")
        case _:
            return False


def _logical(node: Node) -> bool:
    """Whether an expression is a comparison, or made of comparisons."""
    match node:
        case Paren():
            return _logical(node.arg)
        case Unary(op="!"):
            return True
        case Binary(op=op):
            return op in ("==", "!=", "<", ">", "<=", ">=", "&", "&&") or (op in ("|", "||") and _logical(node.left))
        case _:
            return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """The parts of a formula."""

    outcome: Node
    covariates: Node
    absorbed: dict[str, tuple[str, ...]]
    """The fixed effects behind ``|``: the columns of each, several for ``a^b``, by its name."""
    instruments: Node | None = None
    """Of ``y ~ x | d ~ z``: x + z, while the covariates are x + d."""


def split_formula(formula: Node, text: str) -> Sides:
    """Outcome, covariates, fixed effects and instruments of ``y ~ x``, ``y ~ x | unit``, ``y ~ x | d ~ z``, or all together.

    Raises
    ------
    FormulaError
        There is no outcome, or something else than columns behind ``|``.
    """
    if not isinstance(formula, Binary) or formula.op != "~":
        raise FormulaError(
            f"formula '{text}' must have one outcome on the left of '~' and terms on its right, as in 'y ~ x1 + x2'"
        )
    if isinstance(formula.left, Binary) and formula.left.op == "~":
        return _with_instruments(formula.left, formula.right, text)
    right = formula.right
    if not isinstance(right, Binary) or right.op != "|":
        return Sides(outcome=formula.left, covariates=right, absorbed={})
    absorbed = _effects(right.right)
    if isinstance(right.left, Binary) and right.left.op == "|":
        raise FormulaError(
            f"formula '{text}' has several parts behind '|'; fixed effects go there, as in 'y ~ x | unit + year', and "
            "instruments, as in 'y ~ x | d ~ z' or 'y ~ x | unit | d ~ z'. Clusters are named by cluster="
        )
    if absorbed is None:
        raise FormulaError(
            f"formula '{text}': the part behind '|' must list the columns of the fixed effects, as in "
            "'y ~ x | unit + year', or 'y ~ x | state^year' for an effect of each combination; a logical 'or' goes inside "
            "I(), as in I(a | b)"
        )
    effects = {"^".join(columns): columns for columns in absorbed}
    return Sides(outcome=formula.left, covariates=right.left, absorbed=effects)


def _with_instruments(before: Binary, excluded: Node, text: str) -> Sides:
    """The parts of ``y ~ x | d ~ z``, read as (y ~ x | d) ~ z."""
    right = before.right
    if not isinstance(right, Binary) or right.op != "|" or (isinstance(before.left, Binary) and before.left.op == "~"):
        raise FormulaError(
            f"formula '{text}' has more than one '~'; write it as in 'y ~ x1 + x2', and instruments z for d as in "
            "'y ~ x | d ~ z'"
        )
    rest = split_formula(Binary("~", before.left, right.left), text)
    for part, what in ((right.right, "covariates with instruments"), (excluded, "instruments")):
        if any(isinstance(each, Binary) and each.op == "|" for each in walk(part)):
            raise FormulaError(f"formula '{text}': '|' among the {what}; write it as in 'y ~ x | unit | d ~ z'")
    return Sides(
        outcome=rest.outcome,
        covariates=Binary("+", rest.covariates, right.right),
        absorbed=rest.absorbed,
        instruments=Binary("+", rest.covariates, excluded),
    )


def _effects(node: Node) -> list[tuple[str, ...]] | None:
    """Fixed effects joined by ``+``, the columns of each joined by ``^`` or ``:``, or None if there is anything else."""
    match node:
        case Name():
            return [(node.id,)]
        case Paren(braces=False):
            return _effects(node.arg)
        case Binary(op="+" | "^" | ":" as op):
            left, right = _effects(node.left), _effects(node.right)
            if left is None or right is None:
                return None
            if op == "+":
                return [*left, *right]
            # (a + b)^c is two combinations, as elsewhere in a formula
            return [tuple(dict.fromkeys((*one, *other))) for one in left for other in right]
        case _:
            return None
