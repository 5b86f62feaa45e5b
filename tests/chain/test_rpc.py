from __future__ import annotations

import asyncio

import pytest

from fondaco.chain.budget import RpcBudget
from fondaco.chain.errors import BudgetExhausted, DailyBudgetExhausted, EndpointUnavailable
from fondaco.chain.rpc import EthereumClient, open_ethereum
from fondaco.clock import SystemClock
from fondaco.errors import ConfigurationError
from fondaco.testing.clock import FakeClock
from fondaco.testing.ethereum import (
    FakeChain,
    FakeEndpoint,
    Fault,
    ample_budget,
    fake_client,
    open_fake_ethereum,
)


def limited(clock: FakeClock, *, per_day: int = 1_000, per_second: float = 2) -> EthereumClient:
    budget = RpcBudget(per_day=per_day, per_second=per_second, now_ns=clock.now_ns())
    return EthereumClient(FakeEndpoint(FakeChain()), budget=budget, clock=clock, timeout=30.0)


async def test_requests_wait_for_their_turn_in_the_order_they_came() -> None:
    clock = FakeClock()
    client = limited(clock)
    answered: list[tuple[int, float]] = []

    async def ask(place: int) -> None:
        await client.call("eth_chainId")
        answered.append((place, clock.monotonic()))

    async with asyncio.TaskGroup() as tasks:
        for place in range(4):
            tasks.create_task(ask(place))
        await clock.advance(10)
    assert answered == [(0, 0.0), (1, 0.5), (2, 1.0), (3, 1.5)]


async def test_a_turn_that_comes_after_the_time_out_is_given_up_at_once() -> None:
    client = limited(FakeClock(), per_second=0.5)
    await client.call("eth_chainId")
    with pytest.raises(BudgetExhausted):
        await client.call("eth_chainId", timeout=1.0)
    assert client.budget.snapshot(FakeClock().now_ns()).expired == 1


async def test_the_day_s_limit() -> None:
    client = limited(FakeClock(), per_day=1)
    await client.call("eth_chainId")
    with pytest.raises(DailyBudgetExhausted):
        await client.call("eth_chainId")


async def test_in_memory_client_answers_and_has_no_heads() -> None:
    client = fake_client(FakeChain(chain_id=5), FakeClock())
    assert await client.call("eth_chainId") == "0x5"
    assert not client.has_subscriptions
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await client.next_head(0)


@pytest.mark.parametrize("scheme", ["url", "ws_url"])
async def test_a_slow_endpoint_is_given_up(scheme: str) -> None:
    clock = SystemClock()
    async with (
        open_fake_ethereum() as server,
        open_ethereum(
            getattr(server, scheme), budget=ample_budget(clock), clock=clock, timeout=5.0
        ) as client,
    ):
        server.chain.fail(Fault(is_hanging=True))
        with pytest.raises(EndpointUnavailable, match=r"eth_chainId: no answer within 0\.05 s"):
            await client.call("eth_chainId", timeout=0.05)
        assert await client.call("eth_chainId") == "0x539"


async def test_new_heads_over_a_websocket_survive_a_lost_connection() -> None:
    clock = FakeClock()
    async with (
        open_fake_ethereum() as server,
        open_ethereum(server.ws_url, budget=ample_budget(clock), clock=clock) as client,
    ):
        assert client.has_subscriptions
        heads = client.new_heads()
        await anext(heads)  # listening from now on; what came before is counted as one
        server.chain.mine()
        await anext(heads)
        server.chain.mine()
        server.chain.mine()
        await anext(heads)
        await server.go_away()
        server.chain.mine()
        await clock.until_sleeping()
        await clock.advance(1)  # tries in vain
        await clock.until_sleeping()
        await server.come_back()
        await clock.advance(60)
        await anext(heads)
        subscriptions = [method for method, _ in server.chain.requests if "subscribe" in method]
        assert len(subscriptions) == 2
        await heads.aclose()  # type: ignore[attr-defined]


async def test_a_refused_subscription_is_asked_for_again() -> None:
    clock = FakeClock()
    async with (
        open_fake_ethereum() as server,
        open_ethereum(server.ws_url, budget=ample_budget(clock), clock=clock) as client,
    ):
        server.chain.fail(Fault(error=(-32601, "no subscriptions here", None)))
        waiting = asyncio.create_task(client.next_head(0))
        await clock.until_sleeping()
        await clock.advance(1)
        assert await waiting == 1


@pytest.mark.parametrize(
    "url",
    ["", "localhost:8545", "ftp://host", "http://", "ws:///x", "http://h:99999", "/geth.ipc"],
)
async def test_a_url_that_cannot_be_used_is_refused_without_quoting_it(url: str) -> None:
    clock = FakeClock()
    with pytest.raises(ConfigurationError) as caught:
        async with open_ethereum(url, budget=ample_budget(clock), clock=clock):
            pass
    assert caught.value.setting == "ETHEREUM_RPC_URL"
    assert not url or url not in str(caught.value).replace("http://localhost:8545", "")
