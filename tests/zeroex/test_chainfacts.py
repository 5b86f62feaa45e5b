"""The right chain, the right contracts, the right data; and patience where nobody answers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tiny_keccak import keccak256

from fondaco.chain.contracts import ChainContracts
from fondaco.errors import ConfigurationError
from fondaco.store.database import Database, open_database
from fondaco.testing.clock import FakeClock
from fondaco.testing.ethereum import FakeChain, FakeEndpoint, RpcFault, fake_client
from fondaco.testing.until import until
from fondaco.zeroex.chainfacts import RETRY_SECONDS, ChainFacts
from fondaco.zeroex.eip712 import domain_separator
from fondaco.zeroex.order import Address, ProtocolVersion
from support.chain_words import CONTRACTS, ZRX_ASSET

V2_ONLY = msgspec.structs.replace(CONTRACTS, v3=None)
V3_ONLY = msgspec.structs.replace(CONTRACTS, v2=None)


def selector(getter: str) -> str:
    return f"0x{keccak256(getter.encode())[:4].hex()}"


def abi_bytes(data: bytes) -> str:
    padded = data + bytes(-len(data) % 32)
    return "0x" + ((32).to_bytes(32, "big") + len(data).to_bytes(32, "big") + padded).hex()


class Bench:
    """A chain with an Exchange of each version at one address, as the getters show it."""

    def __init__(self, database: Database, contracts: ChainContracts = CONTRACTS) -> None:
        self.chain = FakeChain(chain_id=1337)
        self.chain.handlers["eth_call"] = self._call
        self.endpoint = FakeEndpoint(self.chain)
        self.clock = FakeClock()
        exchange = Address((CONTRACTS.v3 or pytest.fail("no v3")).exchange)
        v2, v3 = ProtocolVersion.V2, ProtocolVersion.V3
        self.answers: dict[str, object] = {
            selector("EIP712_DOMAIN_HASH()"): "0x" + domain_separator(v2, exchange, 0).hex(),
            selector("EIP712_EXCHANGE_DOMAIN_HASH()"): (
                "0x" + domain_separator(v3, exchange, 1337).hex()
            ),
            selector("ZRX_ASSET_DATA()"): abi_bytes(ZRX_ASSET),
        }
        self.facts = ChainFacts(
            client=fake_client(self.chain, self.clock, endpoint=self.endpoint),
            database=database,
            clock=self.clock,
            contracts=contracts,
        )

    def _call(self, params: Any) -> object:
        answer = self.answers[params[0]["data"]]
        if isinstance(answer, RpcFault):
            raise answer
        return answer

    @property
    def asked(self) -> list[str]:
        return [method for method, _ in self.chain.requests]


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(tmp_path / "node.sqlite") as opened:
        yield opened


async def test_the_fee_asset_is_what_the_exchange_says(database: Database) -> None:
    assert await Bench(database).facts.zrx_asset_data() == ZRX_ASSET


async def test_it_is_asked_once_and_then_known_without_the_endpoint(database: Database) -> None:
    await Bench(database).facts.zrx_asset_data()
    later = Bench(database)
    later.endpoint.is_away = True
    assert await later.facts.zrx_asset_data() == ZRX_ASSET
    assert later.asked == []


async def test_without_v2_there_is_no_such_asset(database: Database) -> None:
    bench = Bench(database, V3_ONLY)
    del bench.answers[selector("ZRX_ASSET_DATA()")]
    assert await bench.facts.zrx_asset_data() == b""


async def test_a_first_start_waits_for_the_endpoint(database: Database) -> None:
    bench = Bench(database)
    bench.endpoint.is_away = True
    asking = asyncio.create_task(bench.facts.zrx_asset_data())
    await until(lambda: bench.clock.sleeping == 1)
    await bench.clock.advance(RETRY_SECONDS)
    assert not asking.done()
    bench.endpoint.is_away = False
    await until(lambda: bench.clock.sleeping == 1)
    await bench.clock.advance(RETRY_SECONDS)
    assert await asking == ZRX_ASSET


async def test_another_chain_is_refused_with_advice(database: Database) -> None:
    bench = Bench(database)
    bench.chain.chain_id = 1
    with pytest.raises(ConfigurationError, match="serves chain 1") as refused:
        await bench.facts.verify()
    assert refused.value.setting == "ETHEREUM_CHAIN_ID"
    assert refused.value.remedy


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param("0x", id="no contract there"),
        pytest.param("0x" + "11" * 32, id="another domain"),
        pytest.param(RpcFault(3, "execution reverted", "0x"), id="no such getter"),
    ],
)
@pytest.mark.parametrize(
    ("contracts", "getter"),
    [
        pytest.param(V2_ONLY, "EIP712_DOMAIN_HASH()", id="v2"),
        pytest.param(V3_ONLY, "EIP712_EXCHANGE_DOMAIN_HASH()", id="v3"),
    ],
)
async def test_what_is_no_exchange_is_refused(
    database: Database, contracts: ChainContracts, getter: str, answer: object
) -> None:
    bench = Bench(database, contracts)
    bench.answers[selector(getter)] = answer
    with pytest.raises(ConfigurationError, match="is not the 0x v"):
        await bench.facts.verify()


@pytest.mark.parametrize(
    "nonsense",
    [
        pytest.param("0x", id="nothing"),
        pytest.param("0x" + "ff" * 96, id="no ABI"),
        pytest.param("what?", id="no hex"),
        pytest.param(17, id="no text"),
    ],
)
async def test_nonsense_for_an_asset_is_asked_again(database: Database, nonsense: object) -> None:
    bench = Bench(database)
    right = bench.answers[selector("ZRX_ASSET_DATA()")]
    bench.answers[selector("ZRX_ASSET_DATA()")] = nonsense
    asking = asyncio.create_task(bench.facts.zrx_asset_data())
    await until(lambda: bench.clock.sleeping == 1)
    bench.answers[selector("ZRX_ASSET_DATA()")] = right
    await bench.clock.advance(RETRY_SECONDS)
    assert await asking == ZRX_ASSET


async def test_it_is_verified_once(database: Database) -> None:
    bench = Bench(database)
    await bench.facts.verify()
    asked = len(bench.asked)
    await bench.facts.verify()
    assert len(bench.asked) == asked


async def test_data_of_another_chain_is_refused(database: Database) -> None:
    await Bench(database).facts.check_stored_chain()
    await Bench(database).facts.check_stored_chain()
    other = Bench(database, msgspec.structs.replace(CONTRACTS, chain_id=42))
    with pytest.raises(ConfigurationError, match="is of chain 1337") as refused:
        await other.facts.check_stored_chain()
    assert "DATA_DIR" in str(refused.value)


async def test_giving_up_waiting_leaves_nothing_behind(database: Database) -> None:
    bench = Bench(database)
    bench.endpoint.is_away = True
    asking = asyncio.create_task(bench.facts.verify())
    await until(lambda: bench.clock.sleeping == 1)
    asking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asking
    assert bench.clock.sleeping == 0
