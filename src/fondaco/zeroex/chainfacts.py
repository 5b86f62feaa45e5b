"""What must be known of the chain before orders can be judged, and is it the right chain?

    chain ID          the node's data, its settings and the endpoint must agree
    ZRX_ASSET_DATA    the fee asset of v2 orders, as the Exchange itself names it
    domain hash       the Exchange of each version is really one

Asked at the first start and kept, so that a later start serves what it has when the
endpoint is away; then the chain is checked as soon as it answers.
"""

from __future__ import annotations

import logging

import msgspec
import sqlalchemy as sa
from tiny_keccak import keccak256

from fondaco.chain import providers
from fondaco.chain.blocks import verify_chain_id
from fondaco.chain.contracts import ChainContracts, Deployment
from fondaco.chain.errors import EndpointError
from fondaco.chain.providers import Trouble
from fondaco.chain.rpc import EthereumClient
from fondaco.clock import Clock
from fondaco.errors import ConfigurationError, Unavailable
from fondaco.store import metadata
from fondaco.store.database import Database
from fondaco.zeroex.eip712 import domain_separator
from fondaco.zeroex.order import Address, ProtocolVersion

log = logging.getLogger(__name__)

CHAIN_ID_KEY = "ethereum.chain_id"
"""Name of the chain ID in the node's metadata."""

RETRY_SECONDS = 2.0
"""Between two tries to reach the endpoint."""

_DOMAIN_HASH = {
    ProtocolVersion.V2: "EIP712_DOMAIN_HASH()",
    ProtocolVersion.V3: "EIP712_EXCHANGE_DOMAIN_HASH()",
}
"""Getter of the domain separator. Source: 0x Exchange v2 ``LibEIP712``, v3
``LibEIP712ExchangeDomain``."""

_hex_decoder = msgspec.json.Decoder(str)


class ChainFacts:
    """Finds the facts out, and keeps them."""

    def __init__(
        self,
        *,
        client: EthereumClient,
        database: Database,
        clock: Clock,
        contracts: ChainContracts,
    ) -> None:
        self._client = client
        self._database = database
        self._clock = clock
        self._contracts = contracts
        self._is_verified = False

    async def check_stored_chain(self) -> None:
        """Refuse a data directory that belongs to another chain.

        Raises:
            ConfigurationError: it does.
        """
        wanted = str(self._contracts.chain_id)

        def work(connection: sa.Connection) -> str:
            stored = metadata.get(connection, CHAIN_ID_KEY)
            if stored is None:
                metadata.put(connection, CHAIN_ID_KEY, wanted)
            return stored or wanted

        stored = await self._database.write(work)
        if stored != wanted:
            raise ConfigurationError(
                "ETHEREUM_CHAIN_ID",
                f"is {wanted}, but the data in DATA_DIR is of chain {stored}",
                "choose another DATA_DIR for this chain, or correct the chain ID",
            )

    async def zrx_asset_data(self) -> bytes:
        """Return the fee asset of v2 orders; empty where v2 is not served.

        Waits for the endpoint only when the Exchange was never asked before.

        Raises:
            ConfigurationError: the endpoint is of another chain, or what is configured as
                an Exchange is none.
        """
        deployment = self._contracts.v2
        key = "zeroex.zrx_asset_data." + (deployment.exchange.hex() if deployment else "none")
        stored = await self._database.read(lambda connection: metadata.get(connection, key))
        if stored is not None:
            return bytes.fromhex(stored)
        await self.verify()
        data = b"" if deployment is None else await self._ask_zrx_asset_data(deployment)
        await self._database.write(lambda connection: metadata.put(connection, key, data.hex()))
        return data

    async def _ask_zrx_asset_data(self, deployment: Deployment) -> bytes:
        while True:
            try:
                return _abi_bytes(await self._call(deployment, "ZRX_ASSET_DATA()"))
            except (Unavailable, EndpointError) as problem:
                await self._wait(problem)

    async def _wait(self, problem: Exception) -> None:
        log.warning("waiting for the Ethereum endpoint: %s", problem)
        await self._clock.sleep(RETRY_SECONDS)

    async def verify(self) -> None:
        """Check that the endpoint serves the configured chain and contracts; wait until it can.

        Raises:
            ConfigurationError: it serves another chain, or other contracts.
        """
        while not self._is_verified:
            try:
                await verify_chain_id(self._client, self._contracts.chain_id)
                for version, deployment in (
                    (ProtocolVersion.V2, self._contracts.v2),
                    (ProtocolVersion.V3, self._contracts.v3),
                ):
                    if deployment is not None:
                        await self._verify_exchange(version, deployment)
                self._is_verified = True
            except (Unavailable, EndpointError) as problem:
                await self._wait(problem)

    async def _verify_exchange(self, version: ProtocolVersion, deployment: Deployment) -> None:
        try:
            answer = await self._call(deployment, _DOMAIN_HASH[version])
        except EndpointError as problem:
            if providers.classify(problem) is not Trouble.REVERTED:
                raise
            answer = b""  # a contract, but one that has no such getter
        chain_id = 0 if version is ProtocolVersion.V2 else self._contracts.chain_id
        if answer != domain_separator(version, Address(deployment.exchange), chain_id):
            raise ConfigurationError(
                "CUSTOM_CONTRACT_ADDRESSES",
                f"the contract at 0x{deployment.exchange.hex()} is not the 0x v{version} "
                f"Exchange of chain {self._contracts.chain_id}",
                "correct the address, or name the versions the chain has in ORDER_PROTOCOLS",
            )

    async def _call(self, deployment: Deployment, getter: str) -> bytes:
        transaction = {
            "to": f"0x{deployment.exchange.hex()}",
            "data": f"0x{keccak256(getter.encode())[:4].hex()}",
        }
        raw = await self._client.call_raw("eth_call", [transaction, "latest"])
        try:
            return bytes.fromhex(_hex_decoder.decode(raw).removeprefix("0x"))
        except (msgspec.MsgspecError, ValueError) as problem:
            raise Unavailable(f"eth_call answered nonsense: {problem}") from problem


def _abi_bytes(answer: bytes) -> bytes:
    """Return the one dynamic ``bytes`` value in *answer*.

    Raises:
        Unavailable: *answer* is something else. The contract is known to be an Exchange,
            so the endpoint answered nonsense.
    """
    length = int.from_bytes(answer[32:64])
    if answer[:32] != _ONE_WORD_ON or not 64 + length <= len(answer) <= 64 + length + 31:
        raise Unavailable(f"ZRX_ASSET_DATA answered {len(answer)} bytes that are not ABI bytes")
    return answer[64 : 64 + length]


_ONE_WORD_ON = (32).to_bytes(32, "big")
# Where the value begins: right behind this head.
