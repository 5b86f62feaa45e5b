"""A listing to test with."""

from __future__ import annotations

from typing import Any

from fondaco.market.contract_signing import sign_contract
from fondaco.market.listing import Listing, offer_contract
from support.contracts import SELLER, make_contract

NOW = 1_790_000_000


def make_listing(quantity: int = 1, **item: Any) -> Listing:
    """Return a listing of SELLER, with other members of ``Contract``."""
    signed = sign_contract(make_contract(**item), SELLER, network="main")
    return offer_contract(signed, SELLER, network="main", sequence=1, quantity=quantity, now=NOW)
