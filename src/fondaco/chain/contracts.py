"""Which contracts make up the 0x protocol on which chain.

The built-in tables are those of 0x Mesh: v6.1.2-beta for protocol v2, v9.4.3 for v3.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class Deployment(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The contracts of one protocol version on one chain; 20-byte addresses."""

    exchange: bytes
    dev_utils: bytes
    erc20_proxy: bytes
    erc721_proxy: bytes
    erc1155_proxy: bytes
    coordinator: bytes | None = None
    coordinator_registry: bytes | None = None
    weth9: bytes | None = None
    zrx_token: bytes | None = None
    chai_bridge: bytes | None = None
    chai_token: bytes | None = None
    maximum_gas_price: bytes | None = None


class ChainContracts(msgspec.Struct, frozen=True, kw_only=True):
    """The contracts a node works with."""

    chain_id: int
    v3: Deployment | None = None
    v2: Deployment | None = None
    token_names: Mapping[bytes, str] = {}
    """For display only: address to name."""
