"""``fondaco lab`` as a shell sees it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from fondaco.cli.laboratory import ProgressLine, as_text, print_report, seconds_of
from fondaco.devnet.fetch import PartsStore
from fondaco.errors import ConfigurationError
from fondaco.lab.figures import Equality, Reading, Report, report
from fondaco.lab.sightings import Sightings
from fondaco.testing.until import until
from support.left_over import processes_with

PATIENCE = 120.0
"""Seconds; CI shares two cores."""


def lab(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "fondaco", "lab", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    with process:
        out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


def small_report() -> Report:
    seen = Sightings(["0x01"], 2)
    seen.posted(0, [0], 1.0)
    seen.seen(0, ["0x01"], 1.25)
    seen.seen(1, ["0x01"], 1.5)
    reading = msgspec.convert(dict.fromkeys(Reading.__struct_fields__, 0), Reading)
    return report(
        seen, ["n01", "n02"], [reading] * 2, [reading] * 2, Equality(is_reached=True, seconds=0.5)
    )


def test_json_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    print_report(small_report(), as_json=True)
    out, _ = capsys.readouterr()
    assert out.count("\n") == 1
    found = json.loads(out)
    assert (found["nodes"], found["orders"], found["coverage"]) == (2, 1, 1.0)
    assert [row["node"] for row in found["per_node"]] == ["n01", "n02"]


def test_people_get_two_tables(capsys: pytest.CaptureFixture[str]) -> None:
    print_report(small_report(), as_json=False)
    lines = [re.split(r"  +", line.strip()) for line in capsys.readouterr().out.splitlines()]
    assert ["coverage", "1"] in lines
    assert ["p50 ms", "500"] in lines
    assert ["digests equal", "yes"] in lines
    assert [line[0] for line in lines if line[0].startswith("n0")] == ["n01", "n02"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (True, "yes"), (False, "no"), (1_234_567, "1,234,567"), ("n01", "n01"),
     (0.02, "0.02"), (99.123, "99.12"), (1_234.5, "1,234")],
)  # fmt: skip
def test_values_are_written_for_people(value: object, text: str) -> None:
    assert as_text(value) == text


def test_durations_are_spelt_as_in_settings() -> None:
    assert seconds_of("--latency", "50ms") == 0.05
    with pytest.raises(ConfigurationError, match="--latency: '50' is not a duration; write"):
        seconds_of("--latency", "50")


def test_progress_is_not_a_flood(capsys: pytest.CaptureFixture[str]) -> None:
    now = 10.0
    with ProgressLine(lambda: now) as progress:
        for line in ("one", "two", "three"):
            progress.show(line)
        now += 2.0
        progress.show("one")
        progress.show("three")
        now += 2.0
        progress.show("three")
    out, err = capsys.readouterr()
    assert (out, err.split()) == ("", ["one", "three"])


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["1"], "fondaco: N: is not in 2 … 50; say how many nodes to start"),
        (["3", "--latency", "fast"], "fondaco: --latency: 'fast' is not a duration"),
        (["3", "--no-gossip", "--no-order-sync"], "leave no way for orders to spread"),
        (["3", "--folder", str(Path(__file__).parent)], "is not empty; name a new one"),
    ],
)
def test_what_cannot_be_done_is_refused_at_once(arguments: list[str], problem: str) -> None:
    code, out, err = ended(lab(*arguments))
    assert (code, out) == (2, "")
    assert problem in err
    assert err.count("\n") == 1


@pytest.mark.chain
@pytest.mark.xdist_group("peers")
def test_a_laboratory_says_how_far_it_is_and_what_it_found(
    chain_parts: PartsStore, tmp_path: Path
) -> None:
    folder = tmp_path / "kept"
    code, out, err = ended(
        lab("2", "--orders", "200", "--seed", "7", "--json", "--folder", str(folder))
    )
    assert code == 0, err
    found = json.loads(out)
    assert (found["coverage"], found["digests_equal"], found["seed"]) == (1.0, True, 7)
    assert "starting the chain" in err
    assert (folder / "n02" / "node.log").is_file()
    assert processes_with(folder) == []


@pytest.mark.chain
@pytest.mark.xdist_group("peers")
@pytest.mark.parametrize(("sign", "code"), [(signal.SIGINT, 0), (signal.SIGKILL, -9)])
async def test_no_process_survives_it(
    chain_parts: PartsStore, tmp_path: Path, sign: signal.Signals, code: int
) -> None:
    folder = tmp_path / "kept"
    process = lab("2", "--orders", "10", "--folder", str(folder))
    # Two nodes, each with a watcher, and at least one p2p process.
    await until(lambda: len(processes_with(folder)) >= 5, PATIENCE)
    os.kill(process.pid, sign)
    assert ended(process)[:2] == (code, "")
    await until(lambda: not processes_with(folder), PATIENCE)
