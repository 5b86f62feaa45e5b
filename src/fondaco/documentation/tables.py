"""Markdown tables, and what they are made of: constants with the reasons beside them."""

from __future__ import annotations

import ast
import enum
import inspect
import itertools
import re
import sys
from collections.abc import Iterable, Sequence
from types import ModuleType

import msgspec

_TITLE = re.compile(r"# --- (.+?) -+")


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
    return _documented(body, values)


def _documented(body: Sequence[ast.stmt], values: object) -> list[Constant]:
    found = []
    for statement, after in itertools.pairwise(body):
        name = _assigned(statement)
        text = _docstring(after)
        if name and text:
            found.append(Constant(name=name, value=getattr(values, name), text=text))
    return found


def sections(module: ModuleType) -> dict[str, list[Constant]]:
    """Return the documented constants of a module under the titles between its lines.

    A title is a comment such as ``# --- gossip: one peer ------``; what stands above the first
    has the title ``""``.
    """
    source = inspect.getsource(module)
    titles = [(0, "")]
    for number, line in enumerate(source.splitlines(), 1):
        if match := _TITLE.fullmatch(line):
            titles.append((number, match[1]))
    found: dict[str, list[Constant]] = {}
    for (start, title), (stop, _) in itertools.pairwise([*titles, (sys.maxsize, "")]):
        body = [one for one in ast.parse(source).body if start <= one.lineno < stop]
        found[title] = _documented(body, module)
    return {title: listed for title, listed in found.items() if listed}


def limits_table(found: Iterable[Constant]) -> str:
    """Return a table of limits, their values and what stands beside them."""
    rows = [(f"`{constant.name}`", shown(constant.value), constant.text) for constant in found]
    return table(("limit", "value", "unit and reason"), rows)


def shown(value: object) -> str:
    """Return *value* as people write it: thousands apart, long numbers as powers."""
    if isinstance(value, dict):
        return ", ".join(f"v{key}: {shown(each)}" for key, each in value.items())
    if isinstance(value, tuple):
        return ", ".join(map(shown, value))
    if isinstance(value, int) and value >= 2**62:
        return f"2^{value.bit_length()} - 1"
    return f"{value:,}" if isinstance(value, int | float) else str(value)


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
