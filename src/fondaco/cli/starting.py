"""Commands that start something and stay until they are told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fondaco.cli.lifetime import report, run_until_signal
from fondaco.cli.sources import load_config, with_setting_flags
from fondaco.errors import NodeError

if TYPE_CHECKING:
    from fondaco.clock import Clock
    from fondaco.config import Config
    from fondaco.devnet.chain import Devnet
    from fondaco.ready import ReadyInfo

log = logging.getLogger("fondaco")

DEMO_POLLING_INTERVAL = "250ms"
"""The demo's chain is on this machine; a newcomer should not wait for it."""

LOOK_AGAIN_SECONDS = 0.05
"""Between two looks at the block that the node has reached."""

Json = Annotated[bool, typer.Option("--json", help="Print one JSON line when ready.")]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", envvar="FONDACO_CONFIG", help="TOML file; else ./fondaco.toml."),
]
Address = Annotated[str, typer.Option("--rpc-addr", help="Where the node serves JSON-RPC.")]


def add_commands(app: typer.Typer) -> None:
    """Hang the commands of this module into *app*."""
    app.command()(with_setting_flags(run))
    for command in (demo, devnet, fetch):
        app.command()(command)


def run(as_json: Json = False, config_file: ConfigFile = None, **flags: Any) -> None:
    """Start a node and serve until SIGINT or SIGTERM."""
    try:
        config = load_config(config_file, flags)
    except NodeError as exc:
        raise typer.Exit(report(exc)) from None
    _open_log(config)
    for line in config.without_effect:
        log.warning("setting without effect", extra={"setting": line})

    async def work() -> None:
        await serve(config, lambda ready: _announce(ready, as_json))

    raise typer.Exit(run_until_signal(work, redact=config.redactor()))


async def serve(config: Config, on_ready: Callable[[ReadyInfo], None]) -> None:
    """Run the node of *config* on the system's clock until cancelled."""
    from fondaco import node
    from fondaco.clock import SystemClock

    def announce(ready: ReadyInfo) -> None:
        # What is there now stays: a full collection would walk it and hold the event loop.
        gc.freeze()
        on_ready(ready)

    await node.run(config, clock=SystemClock(), on_ready=announce)


def demo(as_json: Json = False, rpc_addr: Address = "127.0.0.1:60557") -> None:
    """Run a local chain, a node on it and a few traders; show the book as it moves."""
    raise typer.Exit(run_until_signal(lambda: _demo(as_json, rpc_addr)))


async def _demo(as_json: bool, rpc_addr: str) -> None:
    import tempfile

    from fondaco.config import load
    from fondaco.devnet.chain import open_devnet

    async with open_devnet() as chain:
        with tempfile.TemporaryDirectory(prefix="fondaco-demo-") as folder:
            flags = {
                "ethereum_rpc_url": chain.http_url,
                "ethereum_chain_id": str(chain.chain_id),
                "custom_contract_addresses": json.dumps(chain.contracts),
                "enable_ethereum_rpc_rate_limiting": "false",
                "block_polling_interval": DEMO_POLLING_INTERVAL,
                "data_dir": folder,
                "rpc_addr": rpc_addr,
                "enable_p2p": "false",
                "verbosity": "warn",
            }
            config = load(None, {}, flags)
            _open_log(config)
            await _run_market(config, chain, as_json)


async def _run_market(config: Config, chain: Devnet, as_json: bool) -> None:
    """Run the node, its traders, and what is shown of them."""
    from random import Random

    from fondaco.cli.asking import ask
    from fondaco.clock import SystemClock
    from fondaco.devnet.demo import trade_forever

    clock = SystemClock()
    ready: asyncio.Future[ReadyInfo] = asyncio.get_running_loop().create_future()
    happened = [""]

    async def submit(orders: list[dict[str, object]]) -> object:
        await _wait_for_newest_block(info, chain, clock)
        options = {"pinned": True}
        return await asyncio.to_thread(ask, info.http, "", "mesh_addOrders", orders, options)

    def report(line: str) -> None:
        happened[0] = line

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(serve(config, ready.set_result), name="node")
        info = await ready
        if as_json:
            _print_line(info.to_json(chain.describe()))
        else:
            tasks.create_task(_show(info, chain, happened), name="table")
        await trade_forever(chain, submit, random=Random(), clock=clock, report=report)


async def _wait_for_newest_block(info: ReadyInfo, chain: Devnet, clock: Clock) -> None:
    """Return when the node knows what the traders' transactions have changed."""
    from fondaco.cli.asking import ask

    newest = int(await chain.rpc.call("eth_blockNumber"), 16)
    while True:
        stats = await asyncio.to_thread(ask, info.http, "", "mesh_getStats")
        if stats["latestBlock"]["number"] >= newest:
            return
        await clock.sleep(LOOK_AGAIN_SECONDS)


async def _show(info: ReadyInfo, chain: Devnet, happened: Sequence[str]) -> None:
    from rich.console import Console

    from fondaco.cli.showing import heading, show_book
    from fondaco.devnet.live_table import LiveBook, token_names
    from fondaco.devnet.order_events import order_events

    await show_book(
        order_events(info.rpc),
        LiveBook(token_names(chain.addresses)),
        heading(info, chain.describe()),
        Console(),
        happened=happened,
    )


def devnet(
    as_json: Json = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8545,
    block_time: Annotated[
        float | None,
        typer.Option(min=0.1, help="Seconds between blocks; unset, one per transaction."),
    ] = None,
) -> None:
    """Start just the local chain with the real 0x contracts."""

    async def work() -> None:
        from fondaco.devnet.chain import open_devnet

        async with open_devnet(port=port, block_time=block_time) as chain:
            # A program that reads our output wants the line it can parse.
            if as_json or not sys.stdout.isatty():
                _print_line(json.dumps({"ready": True, **chain.describe()}, separators=(",", ":")))
            else:
                print(f"chain {chain.chain_id} at {chain.http_url} and {chain.ws_url}")
                print(f"mnemonic: {chain.mnemonic}")
                print("CUSTOM_CONTRACT_ADDRESSES='" + json.dumps(chain.contracts) + "'")
                _print_line("stop with Ctrl-C")
            await asyncio.Event().wait()

    raise typer.Exit(run_until_signal(work))


def fetch() -> None:
    """Fetch the parts of the local chain into the user's cache."""
    from fondaco.devnet.fetch import fetch_everything

    try:
        fetch_everything()
    except NodeError as exc:
        raise typer.Exit(report(exc)) from None


def _open_log(config: Config) -> None:
    from fondaco.logbook import open_log

    open_log(
        verbosity=config.verbosity,
        as_json=config.log_json or not sys.stderr.isatty(),
        redact=config.redactor(),
        stream=sys.stderr,
    )


def _announce(ready: ReadyInfo, as_json: bool) -> None:
    if as_json:
        _print_line(ready.to_json())
    else:
        print(f"JSON-RPC at {ready.rpc} (WebSocket) and {ready.http} (POST)")
        print("peers at " + (" ".join(ready.p2p) or "nowhere: see the log for why"))
        _print_line(f"peer ID {ready.peer_id}, process {ready.pid}; stop with Ctrl-C")


def _print_line(text: str) -> None:
    # Whoever started us may have gone; that is no reason to stop serving others.
    with contextlib.suppress(BrokenPipeError):
        print(text, flush=True)
