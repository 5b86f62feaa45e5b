"""What a node tells its clients of contracts: its own, and those of other stores."""

from __future__ import annotations

from typing import Any

import msgspec

from fondaco.market.codec import spell_contract
from fondaco.market.contract import SignedContract
from fondaco.market.envelope import Result
from fondaco.market.fields import spell_fields
from fondaco.market.listing_words import ListingItem


class ContractsPage(msgspec.Struct, frozen=True, kw_only=True):
    """Ten of the own contracts."""

    contracts: list[dict[str, Any]]
    page: int
    total_contracts: int
    """All that are not removed."""


class Contracts(Result, frozen=True, kw_only=True, tag="contracts"):
    """Answers ``query_contracts``. Made by ``contracts``."""

    contracts: ContractsPage
    """Twice the same name inside each other, as the original has it."""


def contracts(items: list[ListingItem], *, page: int, total: int) -> Contracts:
    """Return one page of the own contracts."""
    inner = ContractsPage(
        contracts=[spell_fields(item) for item in items], page=page, total_contracts=total
    )
    return Contracts(contracts=inner)


class StoreContract(Result, frozen=True, kw_only=True, tag="store_contract"):
    """One thing that a store offers."""

    contract: dict[str, Any]
    """The peer's ``listing_result``, by ``peer_messages.forwarded``. The web client shows it if
    ``senderGUID`` is the store that it looks at."""


class NoListingsFound(Result, frozen=True, kw_only=True, tag="no_listings_found"):
    """A store offers nothing."""


class GlobalSearchResult(Result, frozen=True, kw_only=True, tag="global_search_result"):
    """One hit of a search, for clients of the first version. Made by ``search_result``."""

    data: dict[str, Any]
    key: str
    rawContract: str
    nickname: str


def search_result(signed: SignedContract, *, nickname: str) -> GlobalSearchResult:
    """Return a contract that was found, with the name of its store."""
    return GlobalSearchResult(
        data=spell_contract(signed.contract),
        key=signed.key.hex(),
        rawContract=signed.text.decode(),
        nickname=nickname,
    )
