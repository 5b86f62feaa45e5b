"""Positional parameters: from undecoded JSON to the values a handler takes.

The common case is one pass of msgspec over the whole array. Only when that fails are the
values looked at one by one, in their order, to say which of them is wrong in the words of
go-ethereum.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw

from fondaco.api.declarations import Param
from fondaco.jsonrpc import InvalidParams, split_array

LONGEST_EXPLAINED = 64
"""Arguments. In a longer list nobody needs to know which of the first ones is wrong too."""

_NULL = b"null"


class Parameters:
    """The declared parameters of one method, made ready for decoding."""

    def __init__(self, params: Sequence[Param]) -> None:
        self._params = tuple(params)
        fields: list[tuple[str, Any, Any]] = []
        for index, param in enumerate(self._params):
            required = param.required or param.type is Raw
            accepted: Any = param.type if required else param.type | None
            default = msgspec.NODEFAULT if param.required else None
            fields.append((f"at_{index}", accepted, default))
        row = msgspec.defstruct("Row", fields, array_like=True, forbid_unknown_fields=True)
        self._rows = msgspec.json.Decoder(row)
        self._decoders = [msgspec.json.Decoder(param.type) for param in self._params]
        # Raw takes null as it comes; whether that means "left out" is said here.
        self._takes_raw = any(param.type is Raw for param in self._params)

    def decode(self, raw: Raw | None) -> tuple[Any, ...]:
        """Return one value per declared parameter; None for an optional one left out.

        Raises:
            InvalidParams: ``non-array args``, ``too many arguments, want at most N``,
                ``invalid argument N: ...``, ``missing value for required argument N``; N
                counts from 0. ``data`` names the parameter and what was expected.
        """
        if raw is None:
            return self._one_by_one([])
        try:
            row = msgspec.structs.astuple(self._rows.decode(raw))
            if not self._takes_raw:
                return row
            values = split_array(raw, LONGEST_EXPLAINED)
        except (msgspec.DecodeError, RecursionError):
            values = split_array(raw, LONGEST_EXPLAINED)
        wanted = len(self._params)
        if values is not None:
            decoded = self._one_by_one(values[:wanted])
            if len(values) <= wanted:
                return decoded
        raise InvalidParams(
            f"too many arguments, want at most {wanted}",
            {"code": "InvalidParams", "expected": f"at most {wanted} arguments"},
        )

    def _one_by_one(self, values: Sequence[Raw]) -> tuple[Any, ...]:
        decoded: list[Any] = []
        for index, raw in enumerate(values):
            param = self._params[index]
            if memoryview(raw) == _NULL:
                if param.required:
                    raise _missing(index, param)
                decoded.append(None)
                continue
            try:
                decoded.append(self._decoders[index].decode(raw))
            except RecursionError:
                raise _invalid(index, param, "nested too deep") from None
            except msgspec.DecodeError as exc:
                raise _invalid(index, param, str(exc)) from None
        for index in range(len(decoded), len(self._params)):
            if self._params[index].required:
                raise _missing(index, self._params[index])
            decoded.append(None)
        return tuple(decoded)


def _missing(index: int, param: Param) -> InvalidParams:
    return InvalidParams(
        f"missing value for required argument {index}",
        {"code": "InvalidParams", "field": param.name, "expected": "a value"},
    )


def _invalid(index: int, param: Param, problem: str) -> InvalidParams:
    wanted, _, path = problem.partition(" - at `$")
    expected = wanted.removeprefix("Expected ").partition(", got")[0]
    return InvalidParams(
        f"invalid argument {index}: {problem}",
        {
            "code": "InvalidParams",
            "field": param.name + path.rstrip("`"),
            "expected": expected.replace("`", ""),
        },
    )
