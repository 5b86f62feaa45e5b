"""What an order is found by: its maker, and the maker with each token he pays with.

order --> assets of the maker (fee included) --> tokens --> keys, and contracts to know
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fondaco.chain.contracts import Deployment
from fondaco.zeroex import asset_data
from fondaco.zeroex.asset_data import (
    AssetDataError,
    Erc20,
    Erc20Bridge,
    Erc721,
    Erc1155,
    MemberAsset,
    MultiAsset,
)
from fondaco.zeroex.contract_events import ContractRole
from fondaco.zeroex.order import ProtocolVersion, SignedOrder


class WatchKeys:
    """Reads what a watch index must know out of an order's bytes.

    Args:
        deployments: the contracts of each version served.
        zrx_asset_data: fee asset of v2 orders.
    """

    def __init__(
        self, deployments: Mapping[ProtocolVersion, Deployment], zrx_asset_data: bytes
    ) -> None:
        self._deployments = deployments
        self._zrx_asset_data = zrx_asset_data

    def of(
        self, order: SignedOrder
    ) -> tuple[dict[bytes, None], dict[tuple[bytes, ContractRole], None]]:
        """Return the keys *order* is found by, and the contracts it makes known."""
        maker = order.maker_address
        keys: dict[bytes, None] = {maker: None}
        contracts: dict[tuple[bytes, ContractRole], None] = {}
        for asset in self._assets(order):
            for token, role, token_id in self._tokens(asset, order.version):
                contracts[token, role] = None
                keys[token + maker] = None
                if token_id is not None:
                    keys[token_key(token, maker, token_id)] = None
        return keys, contracts

    def is_exotic(self, order: SignedOrder) -> bool:
        """Return whether only DevUtils can say how much of *order* the maker can pay."""
        return any(map(asset_data.is_exotic, self._assets(order)))

    def _assets(self, order: SignedOrder) -> Iterator[MemberAsset]:
        """Yield what the maker pays with."""
        datas = [order.maker_asset_data]
        if order.maker_fee:
            is_v2 = order.version is ProtocolVersion.V2
            datas.append(self._zrx_asset_data if is_v2 else order.maker_fee_asset_data)
        for data in datas:
            try:
                yield asset_data.decode(data)
            except AssetDataError:
                continue  # can never be funded, so nothing can change that

    def _tokens(
        self, asset: MemberAsset, version: ProtocolVersion
    ) -> Iterator[tuple[bytes, ContractRole, int | None]]:
        match asset:
            case Erc20(token):
                yield token, ContractRole.ERC20, None
            case Erc721(token, token_id):
                yield token, ContractRole.ERC721, token_id
            case Erc1155(token):
                yield token, ContractRole.ERC1155, None
            case MultiAsset(members=members):
                for member in members:
                    yield from self._tokens(member, version)
            case Erc20Bridge(bridge=bridge):
                deployment = self._deployments.get(version)
                if deployment and deployment.chai_token and bridge == deployment.chai_bridge:
                    yield deployment.chai_token, ContractRole.ERC20, None


def token_key(token: bytes, owner: bytes, token_id: int) -> bytes:
    """Return the key of one token, one and only, of an owner."""
    return b"".join((token, owner, token_id.to_bytes(32, "big")))
