"""Bitcoin as satoshi inside, as a decimal number of bitcoin outside. Never a float.

0.5, 1e-8   JSON numbers of a client --.
"0.50"      text of a client         --+--> 50_000_000 --> "0.5"   what is signed
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import NewType

from fondaco.market.limits import MAX_NUMBER_TEXT

Satoshi = NewType("Satoshi", int)
"""Hundred-millionths of a bitcoin; 0 <= amount <= MAX_MONEY."""

COIN = 100_000_000
"""Satoshi in a bitcoin."""

MAX_MONEY = Satoshi(21_000_000 * COIN)
"""Satoshi that there will ever be. Source: Bitcoin Core, ``consensus/amount.h``."""

EXPECTED_PRICE = "a number of bitcoin from 0 to 21000000 with at most 8 decimal places"

# Decimal() takes "1_0", " 1", "NaN" and digits of every script. The dot may lead, as in what an
# <input type=number> hands over.
_NUMBER = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,2})?")


def read_bitcoin(text: str) -> Satoshi | None:
    """Return the satoshi that a decimal number of bitcoin means; None if it cannot be one.

    Rounds nothing: a ninth decimal place that is not zero is refused.
    """
    if len(text) > MAX_NUMBER_TEXT or not _NUMBER.fullmatch(text):
        return None
    # Exact: at most 32 digits, and the context of a product has 28. So scale, do not multiply.
    amount = Decimal(text).as_tuple()
    if not isinstance(amount.exponent, int):
        return None
    digits = int("".join(map(str, amount.digits)))
    shift = amount.exponent + 8
    if shift >= 0:
        satoshi = digits * 10**shift
    else:
        satoshi, rest = divmod(digits, 10**-shift)
        if rest:
            return None
    return Satoshi(satoshi) if satoshi <= MAX_MONEY else None


def spell_bitcoin(amount: Satoshi) -> str:
    """Return the one spelling of an amount: ``0``, ``0.5``, ``21000000``; no trailing zeros."""
    whole, rest = divmod(amount, COIN)
    return f"{whole}.{rest:08}".rstrip("0") if rest else str(whole)
