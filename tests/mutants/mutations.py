"""Makes mutants of any Python file: each changes what the file does in one place.

No library does it: mutmut does not reach code that runs at import, and cosmic-ray mutates type annotations but neither
texts nor statements.
"""

import ast
from collections.abc import Iterator
from copy import copy
from typing import Any

from tests.mutants.mutant import ROOT, Mutant

KIND = "rest"
Place = ast.expr | ast.stmt | ast.excepthandler
_REPLACEMENTS: dict[type[ast.AST], Any] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Pow: ast.Mult,
}
_ONLY_FOR_TYPES = {"TypeVar", "Literal", "Callable", "cast"}
_FALSY = {"None", "False"}
"""Texts that an `if` cannot tell apart."""
_NOT_AT_RUN_TIME = {"annotation", "returns", "bases"}


def mutants() -> Iterator[Mutant]:
    """Yield mutants of the domain and the adapter. The embedded server is left out, since the tests run on it."""
    for place in ("domain", "adapters/postgres"):
        for file in sorted((ROOT / place).rglob("*.py")):
            yield from mutants_of(str(file.relative_to(ROOT)))


def mutants_of(file: str) -> Iterator[Mutant]:
    source = (ROOT / file).read_text()
    lines = source.splitlines(keepends=True)

    def offset(line: int, column: int) -> int:
        return len("".join(lines[: line - 1])) + len(lines[line - 1].encode()[:column].decode())

    for node in _executed(ast.parse(source)):
        for first, last, replacement in _mutations(node):
            end_line = last.end_lineno or last.lineno
            start, end = offset(first.lineno, first.col_offset), offset(end_line, last.end_col_offset or 0)
            mutated = source[:start] + replacement + source[end:]
            yield Mutant(KIND, file, source, mutated, range(first.lineno, end_line + 1))


def _executed(node: ast.AST) -> Iterator[Place]:
    """Yield the nodes that do something when the program runs: no imports, no docstrings, no types."""
    match node:
        case ast.Expr(value=ast.Constant()) | ast.Import() | ast.ImportFrom():
            return
        case ast.Call(func=ast.Name(id=name)) | ast.Subscript(value=ast.Name(id=name)) if name in _ONLY_FOR_TYPES:
            return
        case ast.keyword(arg="slots"):  # only saves memory
            return
        case ast.expr() | ast.stmt() | ast.excepthandler():
            yield node
    if isinstance(node, ast.JoinedStr):  # Python gives the places of its parts only from 3.12 on
        return
    for name, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and name not in _NOT_AT_RUN_TIME:
                yield from _executed(child)


def _mutations(node: Place) -> Iterator[tuple[Place, Place, str]]:
    """Yield the first node, the last node, and the text that replaces them."""
    for replacement in (*_of_operators(node), *_of_values(node), *_of_statements(node)):
        yield node, node, replacement
    match node:
        case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test):
            yield from _negated(test)
        case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
            for test in (test for loop in node.generators for test in loop.ifs):
                yield from _negated(test)
        case ast.ExceptHandler(body=[first, *_]) if not isinstance(first, ast.Raise):
            yield first, node.body[-1], "raise"
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            for decorator in node.decorator_list:
                yield decorator, decorator, "(lambda it: it)"


def _negated(test: ast.expr) -> Iterator[tuple[Place, Place, str]]:
    if not isinstance(test, ast.Compare | ast.BoolOp | ast.UnaryOp):  # these are mutated themselves
        yield test, test, f"(not {ast.unparse(test)})"


def _of_operators(node: Place) -> Iterator[str]:
    match node:
        case ast.Compare():
            for place, operator in enumerate(node.ops):
                other = copy(node)
                other.ops = [*node.ops[:place], _REPLACEMENTS[type(operator)](), *node.ops[place + 1 :]]
                yield f"({ast.unparse(other)})"
        case ast.BoolOp(op=operator) | ast.BinOp(op=operator) if type(operator) in _REPLACEMENTS:
            one = copy(node)
            one.op = _REPLACEMENTS[type(operator)]()
            yield f"({ast.unparse(one)})"
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield f"({ast.unparse(node.operand)})"
        case ast.Call(func=ast.Attribute(attr="suppress")):
            yield "contextlib.nullcontext()"


def _of_values(node: Place) -> Iterator[str]:
    match node:
        case ast.Constant(value=bool(value)):
            yield str(not value)
        case ast.Constant(value=int(value) | float(value)):
            yield str(value + 1)
        case ast.Constant(value=str()) | ast.JoinedStr():
            yield repr("another text")


def _of_statements(node: Place) -> Iterator[str]:
    match node:
        case ast.Return(value=ast.expr() as value) if ast.unparse(value) not in _FALSY:
            yield "return None"
        case ast.Expr(value=ast.Yield()):
            return
        case ast.Expr() | ast.Raise() | ast.AugAssign() | ast.Delete():
            yield "pass"
        case ast.Assign(targets=[target]) | ast.AnnAssign(target=target) if not isinstance(
            target, ast.Name | ast.Tuple
        ):
            yield "pass"
        case ast.Break():
            yield "continue"
        case ast.Continue():
            yield "break"
