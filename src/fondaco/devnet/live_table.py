"""The book as a newcomer sees it: a table that follows the order events of a node.

mesh_getOrders -----.
mesh_subscribe -----+--> LiveBook.apply --> render --> rich
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from fondaco.zeroex import asset_data

ROWS_KEPT = 200
"""Orders remembered by the view; the ones that changed last stay."""

ENDED = frozenset({"FULLY_FILLED", "CANCELLED", "EXPIRED", "UNFUNDED", "STOPPED_WATCHING"})
"""End states of orders that nobody can fill now."""

STYLES = {
    "ADDED": "green",
    "FILLED": "cyan",
    "FULLY_FILLED": "bold cyan",
    "CANCELLED": "red",
    "EXPIRED": "yellow",
    "UNEXPIRED": "green",
    "UNFUNDED": "magenta",
    "FILLABILITY_INCREASED": "green",
    "STOPPED_WATCHING": "yellow",
}

ONE_TOKEN = 10**18
"""Base units: every fungible token of the local chain has 18 decimals."""

SHORT_HASH = 10
"""Characters of an order hash that tell the orders of a demo apart."""


WELL_KNOWN = {"weth9": "WETH", "zrxToken": "ZRX", "erc1155": "ERC1155"}
"""Names to show for contracts of the local chain that do not carry one."""


def token_names(addresses: Mapping[str, bytes]) -> dict[bytes, str]:
    """Return what to call each token of the local chain, by its address.

    Args:
        addresses: by name, as in ``deploy.ADDRESSES``: ``weth9``, ``erc20 SLK``.
    """
    return {
        address: WELL_KNOWN.get(name, name.rpartition(" ")[2])
        for name, address in addresses.items()
        if name in WELL_KNOWN or name.startswith(("erc20 ", "erc721 "))
    }


DIGITS_SHOWN = 5
"""Of a token id."""


@dataclasses.dataclass(slots=True)
class Row:
    """One order as shown."""

    order_hash: str
    version: str
    gives: str
    wants: str
    left: str
    """Share of the order that can still be filled."""

    state: str
    """End state of its last event."""


class LiveBook:
    """What the events so far add up to."""

    def __init__(self, token_names: Mapping[bytes, str]) -> None:
        """Take the names to show for tokens, by 20-byte address."""
        self._names = token_names
        self.rows: collections.OrderedDict[str, Row] = collections.OrderedDict()
        """By order hash; the one that changed last is the last."""

        self.counts: collections.Counter[str] = collections.Counter()
        """Events by end state."""

    def apply(self, events: Sequence[Mapping[str, Any]], *, is_news: bool = True) -> list[Row]:
        """Take order events as ``mesh_subscribe`` sends them; return the rows they changed.

        Args:
            is_news: False for orders that were there before, which are not counted.
        """
        changed = [self._row(event) for event in events]
        for row in changed:
            self.rows[row.order_hash] = row
            self.rows.move_to_end(row.order_hash)
            if is_news:
                self.counts[row.state] += 1
        while len(self.rows) > ROWS_KEPT:
            self.rows.popitem(last=False)
        return changed

    def render(self, heading: Sequence[str], height: int) -> Group:
        """Return what to show on a terminal with *height* lines."""
        table = Table(expand=True, header_style="bold", border_style="dim")
        for title in ("order", "0x", "maker gives", "maker wants", "left", "last event"):
            table.add_column(title, no_wrap=True, justify="right" if title == "left" else "left")
        room = max(1, height - len(heading) - 6)
        for row in list(reversed(self.rows.values()))[:room]:
            style = "dim" if row.state in ENDED else ""
            table.add_row(
                row.order_hash[:SHORT_HASH],
                row.version,
                row.gives,
                row.wants,
                row.left,
                Text(row.state, style=STYLES.get(row.state, "")),
                style=style,
            )
        live = sum(row.state not in ENDED for row in self.rows.values())
        events = "  ".join(f"{state} {count}" for state, count in sorted(self.counts.items()))
        return Group(*heading, table, f"{live} live orders   {events}")

    def describe(self, row: Row) -> str:
        """Return *row* as one line of plain text."""
        return (
            f"{row.state:<22} {row.order_hash[:SHORT_HASH]} {row.version} "
            f"{row.gives} for {row.wants}, {row.left} left"
        )

    def _row(self, event: Mapping[str, Any]) -> Row:
        order = event["signedOrder"]
        wanted = int(order["takerAssetAmount"])
        share = int(event["fillableTakerAssetAmount"]) / wanted if wanted else 0.0
        return Row(
            order_hash=event["orderHash"],
            version="v3" if "chainId" in order else "v2",
            gives=self._asset(order["makerAssetData"], int(order["makerAssetAmount"])),
            wants=self._asset(order["takerAssetData"], wanted),
            left=f"{share:.0%}",
            state=event["endState"],
        )

    def _asset(self, text: str, amount: int) -> str:
        try:
            asset = asset_data.decode(bytes.fromhex(text.removeprefix("0x")))
        except (asset_data.AssetDataError, ValueError):
            return "?"
        return self._describe_asset(asset, amount)

    def _describe_asset(self, asset: asset_data.MemberAsset, amount: int) -> str:
        match asset:
            case asset_data.Erc20():
                return f"{amount / ONE_TOKEN:.6g} {self._name(asset.token)}"
            case asset_data.Erc721():
                return f"{self._name(asset.token)} {_short_id(asset.token_id)}"
            case asset_data.Erc1155():
                ids = ",".join(_short_id(token_id) for token_id in asset.ids[:3])
                return f"{amount} x {self._name(asset.token)} {ids}"
            case asset_data.MultiAsset():
                parts = [
                    self._describe_asset(member, amount * each)
                    for each, member in zip(asset.amounts, asset.members, strict=True)
                ]
                return " + ".join(parts)
            case asset_data.StaticCall():
                return "a condition"
            case asset_data.Erc20Bridge():
                return f"{amount / ONE_TOKEN:.6g} {self._name(asset.token)} (bridge)"
            case _:
                return "?"

    def _name(self, token: bytes) -> str:
        return self._names.get(token, f"0x{token.hex()[:6]}")


def _short_id(token_id: int) -> str:
    """The last digits of an id; of ERC1155's fungible kinds, the kind that its top half is."""
    digits = str(token_id % 2**128 or token_id >> 128 & 2**127 - 1)
    return f"#{digits}" if len(digits) <= DIGITS_SHOWN else f"#..{digits[-DIGITS_SHOWN:]}"
