"""Markdown tables, and what they are made of: constants with the reasons beside them."""

from __future__ import annotations

import ast
import enum
import inspect
import itertools
from collections.abc import Iterable, Sequence
from types import ModuleType

import msgspec


class Constant(msgspec.Struct, frozen=True, kw_only=True):
    """A named value and what its docstring says."""

    name: str
    value: object
    text: str
    """One line."""


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; ``|`` in a cell is escaped."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines
    )


def constants(owner: ModuleType | type) -> list[Constant]:
    """Return the documented constants of a module, members of an enum or fields of a struct.

    A struct's fields need defaults: those are the values.
    """
    body = ast.parse(inspect.getsource(owner)).body
    values: object = owner
    if isinstance(owner, type):
        (statement,) = body
        assert isinstance(statement, ast.ClassDef)
        body = statement.body
        values = owner if issubclass(owner, enum.Enum) else owner()
    found = []
    for statement, after in itertools.pairwise(body):
        name = _assigned(statement)
        text = _docstring(after)
        if name and text:
            found.append(Constant(name=name, value=getattr(values, name), text=text))
    return found


def first_sentence(text: str | None) -> str:
    """Return the first sentence of a docstring, on one line."""
    line = one_line((text or "").partition("\n\n")[0])
    sentence, dot, _ = line.partition(". ")
    return sentence + dot.strip()


def one_line(text: str) -> str:
    """Return *text* without its line breaks."""
    return " ".join(text.split())


def _assigned(statement: ast.stmt) -> str | None:
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)]):
            return name
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr()):
            return name
    return None


def _docstring(statement: ast.stmt) -> str | None:
    match statement:
        case ast.Expr(value=ast.Constant(value=str(text))):
            return one_line(text)
    return None
