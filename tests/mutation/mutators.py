"""Small changes to Python source, each of which some test should notice.

A change replaces the text of one node of the syntax tree, so that the rest of the file stays as it was. Left alone is what
no test should depend on (documentation, messages, type annotations, ``__repr__``) and what cannot change a result (checks of
equal lengths by ``strict=``, element types, limits below 1e-6 that only tell rounding errors from zero).
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

NO_RESULT = {"strict", "dtype", "copy", "stacklevel", "repr", "slots", "desc", "file", "order"}
"""Arguments whose absence changes no number, or only how arrays lie in memory."""
TEXT_ONLY = {"__repr__", "__str__", "__dir__"}
ROUNDING = 1e-6
"""Constants below this size are limits that tell rounding errors from zero: twice as much is as good."""
COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
SWAPPED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult,
    ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One change to one file."""

    name: str
    """Stays the same while the changed line does, wherever it moves within its file."""
    path: str
    line: int
    old: str
    new: str
    start: int
    """Position of `old` in the file, in bytes."""

    def apply(self, source: bytes) -> bytes:
        """The file with the change."""
        old = self.old.encode()
        end = self.start + len(old)
        if source[self.start : end] != old:
            raise ValueError(f"{self.path} has changed under {self.name}")
        return source[: self.start] + self.new.encode() + source[end:]


def mutants(path: str, source: bytes) -> list[Mutant]:
    """All changes to a file, in an order that follows from their names alone."""
    lines = source.split(b"\n")
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    out: dict[str, Mutant] = {}
    for (line, column, end_line, end_column), new in _changes(ast.parse(source)):
        start, end = starts[line - 1] + column, starts[end_line - 1] + end_column
        old = source[start:end].decode()
        text = f"{lines[line - 1].decode().strip()}|{old}|{new}"
        copies = sum(known.startswith(_name(path, text)) for known in out)
        name = _name(path, text) + (f"-{copies + 1}" if copies else "")
        out[name] = Mutant(name=name, path=path, line=line, old=old, new=new, start=start)
    return sorted(out.values(), key=lambda mutant: mutant.name.split(":")[1])


def _name(path: str, text: str) -> str:
    return f"{path}:{sha256(text.encode()).hexdigest()[:10]}"


Span = tuple[int, int, int, int]
"""Line and column of the start and of the end."""


def _changes(tree: ast.AST) -> Iterator[tuple[Span, str]]:
    """Places, and the text that is put there."""
    for node in _relevant(tree):
        yield from ((_span(node), text) for text in (*_of_operators(node), *_of_constants(node)))
        if isinstance(node, ast.If | ast.IfExp | ast.While) and isinstance(
            node.test, ast.Call | ast.Name | ast.Attribute
        ):
            yield _span(node.test), f"(not {ast.unparse(node.test)})"
        if isinstance(node, ast.Call):
            yield from _fewer_arguments(node)
        yield from _dropped(node)


def _of_operators(node: ast.AST) -> Iterator[str]:
    """The expression with another operator, or without it."""
    match node:
        case ast.Compare(ops=[one]) if type(one) in COMPARED:
            yield _text(ast.Compare(node.left, [COMPARED[type(one)]()], node.comparators))
        case ast.BoolOp():
            yield _text(ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values))
        case ast.BinOp() if type(node.op) in SWAPPED and not _is_type(node):
            yield _text(ast.BinOp(node.left, SWAPPED[type(node.op)](), node.right))
        case ast.UnaryOp(op=ast.USub() | ast.Not()) if not isinstance(node.operand, ast.Constant):
            yield _text(node.operand)


def _of_constants(node: ast.AST) -> Iterator[str]:
    """Another constant: the other truth value, one more, twice as much."""
    match node:
        case ast.Constant(value=bool()):
            yield str(not node.value)
        case ast.Constant(value=int()):
            yield str(node.value + 1)
        case ast.Constant(value=float()) if node.value == 0.0 or abs(node.value) >= ROUNDING:
            yield "1.0" if node.value == 0.0 else f"{2 * node.value!r}"


def _span(node: ast.AST) -> Span:
    return node.lineno, node.col_offset, node.end_lineno, node.end_col_offset  # type: ignore[attr-defined]


def _text(node: ast.AST) -> str:
    return f"({ast.unparse(node)})"


def _is_type(node: ast.BinOp) -> bool:
    """Whether ``a | b`` is a union of types, as in ``isinstance(x, int | np.ndarray)``."""
    names = [part.attr if isinstance(part, ast.Attribute) else getattr(part, "id", "") for part in ast.walk(node)]
    types = any(name in {"int", "float", "str", "bool", "integer", "number", "ndarray"} for name in names)
    return isinstance(node.op, ast.BitOr) and (types or any(name[:1].isupper() for name in names))


def _fewer_arguments(call: ast.Call) -> Iterator[tuple[Span, str]]:
    """Each argument given by name left out, with its comma."""
    given: list[ast.AST] = [*call.args, *call.keywords]
    for place, argument in enumerate(given):
        if not isinstance(argument, ast.keyword) or argument.arg is None or argument.arg in NO_RESULT:
            continue
        start, end = _span(argument)[:2], _span(argument)[2:]
        if place + 1 < len(given):
            end = _span(given[place + 1])[:2]
        elif place:
            start = _span(given[place - 1])[2:]
        yield (*start, *end), ""


def _dropped(node: ast.AST) -> Iterator[tuple[Span, str]]:
    """Statements without which the function still has all its names."""
    known = {inner.arg for inner in ast.walk(node) if isinstance(inner, ast.arg)} if _is_function(node) else set()
    for body in (getattr(node, part, None) for part in ("body", "orelse", "finalbody")):
        for statement in body if isinstance(body, list) else []:
            match statement:
                case ast.Expr(value=ast.Call()) | ast.AugAssign() | ast.Raise(exc=ast.Call()):
                    yield _span(statement), "pass"
                case ast.Assign(targets=[ast.Subscript() | ast.Attribute()]):
                    yield _span(statement), "pass"
                case ast.Assign(targets=[ast.Name(id=name)]) if name in known:
                    yield _span(statement), "pass"
            known |= {inner.id for inner in ast.walk(statement) if isinstance(inner, ast.Name)}


def _is_function(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef)


def _relevant(node: ast.AST) -> Iterator[ast.AST]:
    """The node and those below it whose changes a test should notice."""
    if _is_text(node):
        return
    yield node
    skipped: list[ast.AST | None] = []
    match node:
        case ast.FunctionDef():
            skipped = [*node.decorator_list, node.returns]
        case ast.ClassDef():
            skipped = [*node.decorator_list, *node.bases]
        case ast.arg() | ast.AnnAssign():
            skipped = [node.annotation]
    for child in ast.iter_child_nodes(node):
        if not any(child is part for part in skipped):
            yield from _relevant(child)


def _is_text(node: ast.AST) -> bool:
    """Whether what is below is for readers and type checkers: messages, types, imports."""
    match node:
        case ast.FunctionDef(name=name):
            return name in TEXT_ONLY
        case ast.If(test=ast.Name(id=name)):
            return name == "TYPE_CHECKING"
        case ast.Call(func=ast.Name(id=name)):
            return "warn" in name or name == "field"
        case ast.keyword(arg=str(name)):
            return name in NO_RESULT
        case ast.Assign(targets=[ast.Name(id=name)]):
            return name == "__all__"
        case ast.Subscript(value=ast.Name(id=name)):
            return name in {"Callable", "Literal", "tuple", "dict", "list"}
        case _:
            return isinstance(node, ast.Raise | ast.Assert | ast.JoinedStr | ast.Import | ast.ImportFrom)
