"""Text of a formula -> expressions, and expressions -> text as R and as Python would write it."""

import ast
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from dsl.exceptions import FormulaError


@dataclass(frozen=True, slots=True)
class Name:
    """A column or a constant named elsewhere."""

    id: str


@dataclass(frozen=True, slots=True)
class Number:
    """A number, with ``integer`` for those written ``2L``."""

    value: float
    integer: bool = False


@dataclass(frozen=True, slots=True)
class String:
    """Text between quotation marks."""

    value: str


@dataclass(frozen=True, slots=True)
class Constant:
    """``TRUE``, ``FALSE`` or ``NULL``."""

    value: bool | None


@dataclass(frozen=True, slots=True)
class Unary:
    """An operator before its operand."""

    op: str
    arg: "Node"


@dataclass(frozen=True, slots=True)
class Binary:
    """An operator between its operands."""

    op: str
    left: "Node"
    right: "Node"


@dataclass(frozen=True, slots=True)
class Paren:
    """An expression in parentheses (or, with ``braces``, in Python's formula quotes)."""

    arg: "Node"
    braces: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """A function call. `package` is what stands before ``::``."""

    function: str
    args: tuple[tuple[str | None, "Node"], ...]
    package: str | None = None


Node = Name | Number | String | Constant | Unary | Binary | Paren | Call

CONSTANTS = {"TRUE": True, "FALSE": False, "True": True, "False": False, "NULL": None, "None": None}

TOKEN = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)
    | (?P<number>0[xX][0-9a-fA-F]+L?|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?L?)
    | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | (?P<quoted>`(?:[^`\\]|\\.)*`)
    | (?P<name>(?:[^\W\d]|\.(?!\d))[\w.]*)
    | (?P<op>%[^%\s]*%|:::?|\|>|<-|->|\*\*|//|<=|>=|==|!=|&&?|\|\|?|\[\[?|[-+*/^:~!<>=(){}\],$@%?\\])
    """,
    re.VERBOSE,
)

BINDING = {
    "~": 5, "||": 10, "|": 10, "&&": 20, "&": 20,
    "==": 40, "!=": 40, "<": 40, ">": 40, "<=": 40, ">=": 40,
    "+": 50, "-": 50, "*": 60, "/": 60, "%": 70, ":": 80, "^": 100,
}  # fmt: skip
"""How strongly binary operators bind, with every ``%operator%`` as ``%``."""
PREFIX = {"!": 30, "-": 90, "+": 90, "~": 5}
SPELLINGS = {"**": "^", "//": "%/%", "%": "%%"}
"""Python's spelling of operators, and R's."""

REFUSED = {
    "$": "name columns without their data frame: write x, not data$x",
    "@": "slots cannot be used; compute the column first",
    "[": "subsetting cannot be used; compute the column first, or leave rows out of the data",
    "[[": "name columns without their data frame: write x, not data[['x']]",
    "<-": "nothing can be assigned in a formula",
    "->": "nothing can be assigned in a formula",
    "|>": "pipes cannot be used: write log(x), not x |> log()",
    "\\": "functions cannot be defined in a formula; define it in Python before the call, and name it",
    "?": "'?' has no meaning in a formula",
    "=": "'=' only names arguments; equality is '=='",
}


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while at < len(text):
        match = TOKEN.match(text, at)
        if match is None:
            raise _error(text, f"'{text[at]}' at character {at + 1} is not understood")
        kind = str(match.lastgroup)
        if kind != "space":
            found = match.group()
            yield _Token(kind, SPELLINGS.get(found, found) if kind == "op" else found, at)
        at = match.end()
    yield _Token("end", "", len(text))


def _error(text: str, reason: str) -> FormulaError:
    if "~" not in text:
        advice = "Put '~' between outcome and covariates, as in 'y ~ x1 + x2'"
    else:
        advice = "Write it as in 'y ~ x1 + x2'; column names with spaces or signs go between backticks"
    return FormulaError(f"formula '{text}' does not parse: {reason}. {advice}")


class _Parser:
    """Precedence climbing over R's grammar of expressions."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = list(_tokens(text))
        self.at = 0

    @property
    def token(self) -> _Token:
        return self.tokens[self.at]

    def advance(self) -> _Token:
        self.at += 1
        return self.tokens[self.at - 1]

    def fail(self, token: _Token) -> FormulaError:
        if token.kind == "op" and token.text in REFUSED:
            return _error(self.text, REFUSED[token.text])
        if not token.text:
            before = self.tokens[-2].text if len(self.tokens) > 1 else ""
            return _error(self.text, f"it ends after '{before}', too early")
        where = f"'{token.text}' at character {token.start + 1}"
        operand = token.kind != "op" or token.text in ("(", "{")
        return _error(self.text, f"Missing operator before {where}" if operand else f"{where} is unexpected")

    def expect(self, text: str) -> None:
        if self.token.text != text or self.token.kind != "op":
            raise self.fail(self.token)
        self.advance()

    def whole(self) -> Node:
        out = self.expression(0)
        if self.token.kind != "end":
            raise self.fail(self.token)
        return out

    def expression(self, least: int) -> Node:
        left = self.operand()
        while self.token.kind == "op":
            op = self.token.text
            binding = BINDING.get("%" if op.startswith("%") else op)
            if binding is None or binding < least:
                break
            self.advance()
            # operators of equal strength group to the left, except ^, which groups to the right
            left = Binary(op, left, self.expression(binding if op == "^" else binding + 1))
        return left

    def operand(self) -> Node:
        token = self.advance()
        if token.kind == "number":
            return _number(token.text)
        if token.kind == "string":
            return String(_unquoted(token.text))
        if token.kind in ("name", "quoted"):
            return self.named(token)
        if token.text in PREFIX:
            # Python's ~x for R's !x, where no formula can begin
            return Unary("!" if token.text == "~" else token.text, self.expression(PREFIX[token.text]))
        if token.text in ("(", "{"):
            inner = self.expression(0)
            self.expect(")" if token.text == "(" else "}")
            return Paren(inner, braces=token.text == "{")
        if token.text == "[":  # a Python list
            return Call("c", self.arguments("]"))
        raise self.fail(token)

    def named(self, token: _Token) -> Node:
        quoted = token.kind == "quoted"
        name = _unquoted(token.text) if quoted else token.text
        package = None
        if not quoted and name == "function":
            raise _error(self.text, REFUSED["\\"])
        if self.token.text in ("::", ":::"):
            self.advance()
            package, name = name, self.advance().text
        if self.token.kind == "op" and self.token.text == "(":
            self.advance()
            return Call(name, self.arguments(")"), package)
        if not quoted and name in CONSTANTS:
            return Constant(CONSTANTS[name])
        return Name(name)

    def arguments(self, closing: str) -> tuple[tuple[str | None, Node], ...]:
        out: list[tuple[str | None, Node]] = []
        while self.token.text != closing or self.token.kind != "op":
            name = None
            # one token ahead: a name or a text before "=" is the argument's
            following = self.tokens[min(self.at + 1, len(self.tokens) - 1)]
            if self.token.kind in ("name", "quoted", "string") and following.text == "=":
                name = self.advance().text
                name = name if self.tokens[self.at - 1].kind == "name" else _unquoted(name)
                self.advance()
            out.append((name, self.expression(0)))
            if self.token.text == ",":
                self.advance()
            elif self.token.text != closing:
                raise self.fail(self.token)
        self.advance()
        return tuple(out)


def _number(text: str) -> Number:
    integer = text.endswith("L")
    body = text.removesuffix("L")
    value = int(body, 16) if body[:2] in ("0x", "0X") else float(body)
    return Number(float(value), integer)


def _unquoted(text: str) -> str:
    escapes = {"n": "\n", "t": "\t", "r": "\r"}
    return re.sub(r"\\(.)", lambda match: escapes.get(match[1], match[1]), text[1:-1])


def parse_expression(text: str) -> Node:
    """Read a formula or an expression.

    Parameters
    ----------
    text : str
        R's syntax, with Python's ``**``, ``//``, ``True``, ``[1, 2]`` and ``{...}`` besides.

    Raises
    ------
    FormulaError
        It does not parse, or uses syntax that has no place in a formula.
    """
    return _Parser(text).whole()


def children(node: Node) -> tuple[Node, ...]:
    """The expressions directly inside an expression."""
    if isinstance(node, Call):
        return tuple(arg for _, arg in node.args)
    if isinstance(node, Binary):
        return (node.left, node.right)
    return (node.arg,) if isinstance(node, Unary | Paren) else ()


def walk(node: Node) -> Iterator[Node]:
    """An expression and all expressions inside it."""
    # without recursion, which a sum of a thousand terms would exhaust
    waiting = [node]
    while waiting:
        found = waiting.pop()
        yield found
        waiting.extend(reversed(children(found)))


def names(node: Node) -> list[str]:
    """Names of columns and constants in an expression, in order of appearance."""
    out = []
    for inner in walk(node):
        if isinstance(inner, Name):
            out.append(inner.id)
        if isinstance(inner, Call) and inner.function == "Q" and inner.args and isinstance(inner.args[0][1], String):
            out.append(inner.args[0][1].value)
    return list(dict.fromkeys(out))


def r_number(value: float) -> str:
    """A number as R writes it: 15 significant digits, in scientific notation where that is shorter.

    Examples
    --------
    >>> r_number(2001.0), r_number(100000.0), r_number(0.1 + 0.2)
    ('2001', '1e+05', '0.3')
    """
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Inf" if value > 0 else "-Inf")
    # 15 significant digits, trailing zeros off: the shorter of fixed and scientific notation, fixed in a tie
    mantissa, exponent = f"{abs(value):.14e}".split("e")
    digits, power = mantissa.replace(".", "").rstrip("0") or "0", int(exponent)
    sign = "-" if value < 0 else ""
    decimals = max(0, len(digits) - 1 - power)
    fixed = f"{abs(value):.{decimals}f}"
    scientific = digits[0] + ("." + digits[1:] if len(digits) > 1 else "") + f"e{power:+03d}"
    return sign + (fixed if len(fixed) <= len(scientific) else scientific)


SYNTACTIC = re.compile(r"(?:[^\W\d_]|\.(?!\d))[\w.]*\Z")
RESERVED = {
    "TRUE",
    "FALSE",
    "NULL",
    "NA",
    "if",
    "else",
    "for",
    "while",
    "repeat",
    "function",
    "in",
    "next",
}
TIGHT = {"^", ":", "/", "%%", "%/%"}
"""Operators that R writes without spaces."""


def r_text(node: Node) -> str:
    """An expression as R writes it in the names of columns."""
    match node:
        case Name():
            plain = SYNTACTIC.match(node.id) and node.id not in RESERVED
            return node.id if plain else f"`{node.id}`"
        case Number():
            return str(int(node.value)) if node.integer else r_number(node.value)
        case String():
            escaped = node.value.replace("\\", "\\\\").replace('"', '\\"')
            return '"' + escaped.replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r") + '"'
        case Constant():
            return {True: "TRUE", False: "FALSE", None: "NULL"}[node.value]
        case Unary():
            return node.op + r_text(node.arg)
        case Binary():
            gap = "" if node.op in TIGHT else " "
            return f"{r_text(node.left)}{gap}{node.op}{gap}{r_text(node.right)}"
        case Paren():
            return r_text(node.arg) if node.braces else f"({r_text(node.arg)})"
        case Call():
            args = ", ".join((f"{name} = " if name else "") + r_text(arg) for name, arg in node.args)
            return f"{node.package + '::' if node.package else ''}{node.function}({args})"


def python_text(node: Node) -> str:
    """An expression in Python's spelling where it has one: what coefficients are called by default."""
    text = _python(node)
    if isinstance(node, Name):
        return text
    try:
        # Python's own spacing and quotes, so that one expression has one name
        return ast.unparse(ast.parse(text, mode="eval"))
    except (SyntaxError, ValueError):
        return text


def _python(node: Node) -> str:
    match node:
        case Name():
            return node.id
        case Number():
            return str(int(node.value)) if node.value.is_integer() and abs(node.value) < 1e15 else repr(node.value)
        case String():
            return repr(node.value)
        case Constant():
            return str(node.value)
        case Unary():
            return node.op + _python(node.arg)
        case Binary():
            op = {"^": "**", "%%": "%", "%/%": "//"}.get(node.op, node.op)
            return f"{_python(node.left)} {op} {_python(node.right)}"
        case Paren():
            return _python(node.arg) if node.braces else f"({_python(node.arg)})"
        case Call():
            args = ", ".join((f"{name}=" if name else "") + _python(arg) for name, arg in node.args)
            return f"{python_function(node.function)}({args})"


def python_function(name: str) -> str:
    """The Python spelling of an R function: ``as.factor`` is ``as_factor``. Attributes stay."""
    return name.replace(".", "_") if name.startswith(("as.", "is.")) else name
