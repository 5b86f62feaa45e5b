"""Read a JSON object field by field; every complaint names the field and what was expected.

A field that is absent, null or (where a number or a choice is read) an empty string is taken as
not given: the web client leaves members out that its user did not touch.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from typing import Any, TypeVar

from fondaco.market.errors import MalformedContract
from fondaco.market.limits import MAX_NUMBER_TEXT
from fondaco.market.money import EXPECTED_PRICE, Satoshi, read_bitcoin

Choice = TypeVar("Choice", bound=Enum)


class Section:
    """One object of a contract, and where it stands: ``Contract.item_delivery``."""

    __slots__ = ("_fields", "path")

    def __init__(self, value: object, path: str = "") -> None:
        """Take a decoded JSON value.

        Raises:
            MalformedContract: it is not an object.
        """
        if not isinstance(value, dict):
            raise MalformedContract(path, "an object")
        self._fields: dict[str, Any] = value
        self.path = path

    def at(self, name: str) -> str:
        """Return the path of a field."""
        return f"{self.path}.{name}" if self.path else name

    def has(self, name: str) -> bool:
        """Say whether a field is given at all."""
        return self._fields.get(name) is not None

    def value(self, name: str) -> object:
        """Return a field as it was decoded; None where it is not given."""
        return self._fields.get(name)

    def section(self, name: str, *, default: dict[str, Any] | None = None) -> Section:
        """Return an object inside this one."""
        value = self._fields.get(name)
        return Section(default if value is None and default is not None else value, self.at(name))

    def text(self, name: str, *, default: str | None = None) -> str:
        """Return a string."""
        value = self._fields.get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, str):
            raise MalformedContract(self.at(name), "a string")
        return value

    def texts(self, name: str) -> list[str]:
        """Return a list of strings; an empty one where it is not given."""
        value = self._fields.get(name)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise MalformedContract(self.at(name), "a list of strings")
        return value

    def price(self, name: str, *, default: Satoshi | None = None) -> Satoshi:
        """Return the satoshi of a number of bitcoin, given as a JSON number or as text."""
        value = self._fields.get(name)
        if value in (None, "") and default is not None:
            return default
        text = _number_text(value)
        amount = None if text is None else read_bitcoin(text)
        if amount is None:
            raise MalformedContract(self.at(name), EXPECTED_PRICE)
        return amount

    def count(self, name: str, *, most: int) -> int:
        """Return a whole number, given as a JSON number or as text."""
        text = _number_text(self._fields.get(name))
        if text is None or not (text.isascii() and text.isdigit()) or int(text) > most:
            raise MalformedContract(self.at(name), f"a whole number from 0 to {most}")
        return int(text)

    def choice(self, name: str, kind: type[Choice]) -> Choice:
        """Return the member of an enumeration that a string names."""
        try:
            return kind(self._fields.get(name))
        except ValueError:
            names = ", ".join(str(member.value) for member in kind)
            raise MalformedContract(self.at(name), f"one of: {names}") from None


def _number_text(value: object) -> str | None:
    """Return a number as text, of MAX_NUMBER_TEXT characters at most."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return None
    if isinstance(value, int) and not 0 <= value < 10**MAX_NUMBER_TEXT:
        return None  # str() of a long integer raises
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= MAX_NUMBER_TEXT else None
