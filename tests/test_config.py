"""One frozen configuration from four sources; every bad value is named."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from fondaco.config import Config, ListenAddress, load
from fondaco.errors import ConfigurationError
from fondaco.settings import MESH_NAMES_WITHOUT_EFFECT, SETTINGS, Setting

NEEDED = {"ETHEREUM_RPC_URL": "http://127.0.0.1:8545", "ETHEREUM_CHAIN_ID": "1337"}
KEY = "a1b2c3d4e5f60718293a4b5c6d7e8f90"


def config(
    toml: str | None = None,
    environment: dict[str, str] | None = None,
    flags: dict[str, str] | None = None,
) -> Config:
    return load(toml, {**NEEDED, **(environment or {})}, flags or {})


def refusal(
    toml: str | None = None,
    environment: dict[str, str] | None = None,
    flags: dict[str, str] | None = None,
) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        config(toml, environment, flags)
    return caught.value


def test_defaults() -> None:
    made = config()
    assert made.ethereum_rpc_url == "http://127.0.0.1:8545"
    assert made.ethereum_chain_id == 1337
    assert made.rpc_addr == ListenAddress("127.0.0.1", 60557)
    assert made.http_rpc_addr is None
    assert made.data_dir == Path("fondaco_data")
    assert made.block_polling_interval == 5.0
    assert made.order_protocols == {2, 3}
    assert made.max_orders_in_storage == 100_000
    assert made.ethereum_rpc_max_requests_per_24_hr_utc == 200_000
    assert made.ethereum_rpc_max_content_length == 524_288
    assert made.event_log_retention == 7 * 86_400
    assert made.event_log_max_rows == 5_000_000
    assert made.custom_order_filter == "{}"
    assert made.without_effect == ()


def test_table_and_fields_agree() -> None:
    fields = {field.name for field in dataclasses.fields(Config)}
    assert {setting.name for setting in SETTINGS} == fields - {"without_effect"}
    assert len(SETTINGS) == len(fields) - 1
    names = [name for setting in SETTINGS for name in setting.environment]
    assert len({*names, *MESH_NAMES_WITHOUT_EFFECT}) == len(names) + len(MESH_NAMES_WITHOUT_EFFECT)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_default_can_be_written_down(setting: Setting) -> None:
    if setting.default is None:
        return
    written = f"{setting.name} = '{setting.default}'"
    assert getattr(config(written), setting.name) == getattr(config(), setting.name)


def test_later_sources_win() -> None:
    toml = "max_orders_in_storage = 1\nverbosity = 'warn'\ndata_dir = 'a'"
    environment = {"MAX_ORDERS_IN_STORAGE": "2", "VERBOSITY": "5"}
    made = config(toml, environment, {"max_orders_in_storage": "3"})
    assert (made.max_orders_in_storage, made.verbosity, made.data_dir) == (3, 5, Path("a"))


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("RPC_ADDR", "localhost:60557", "rpc_addr", ListenAddress("127.0.0.1", 60557)),
        ("WS_RPC_ADDR", "127.0.0.1:0", "rpc_addr", ListenAddress("127.0.0.1", 0)),
        ("FONDACO_RPC_ADDR", "[::1]:1", "rpc_addr", ListenAddress("::1", 1)),
        ("HTTP_RPC_ADDR", "127.0.0.1:60556", "http_rpc_addr", ListenAddress("127.0.0.1", 60556)),
        ("HTTP_RPC_ADDR", "localhost:60557", "http_rpc_addr", None),
        ("BLOCK_POLLING_INTERVAL", "1m30s", "block_polling_interval", 90.0),
        ("ENABLE_ETHEREUM_RPC_RATE_LIMITING", "F", "enable_ethereum_rpc_rate_limiting", False),
        ("EVENT_LOG_RETENTION", "36h", "event_log_retention", 129_600.0),
        ("ORDER_PROTOCOLS", "v2", "order_protocols", frozenset({2})),
        ("ACCEPT_PARTIALLY_FUNDED", "true", "accept_partially_funded", True),
        ("CUSTOM_ORDER_FILTER", '{"type":"object"}', "custom_order_filter", '{"type":"object"}'),
        (
            "ETHEREUM_RPC_MAX_REQUESTS_PER_SECOND",
            "0.5",
            "ethereum_rpc_max_requests_per_second",
            0.5,
        ),
        ("DATA_DIR", "", "data_dir", Path("fondaco_data")),
    ],
)
def test_environment_names(name: str, text: str, field: str, value: object) -> None:
    assert getattr(config(environment={name: text}), field) == value


def test_toml_values_may_be_native() -> None:
    made = config(
        "verbosity = 3\n"
        "accept_partially_funded = true\n"
        "allowed_hosts = ['node.example', 'other.example']\n"
        "ethereum_rpc_max_requests_per_second = 2.5\n"
        "custom_order_filter = {properties = {makerFee = {const = '0'}}}\n"
    )
    assert made.verbosity == 3
    assert made.accept_partially_funded is True
    assert made.allowed_hosts == ("node.example", "other.example")
    assert made.ethereum_rpc_max_requests_per_second == 2.5
    assert made.custom_order_filter == '{"properties": {"makerFee": {"const": "0"}}}'


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("BLOCK_POLLING_INTERVAL", "5", "a duration"),
        ("BLOCK_POLLING_INTERVAL", "0", "a duration"),
        ("BLOCK_POLLING_INTERVAL", "-5s", "a duration"),
        ("ETHEREUM_CHAIN_ID", "0x1", "a whole number"),
        ("ETHEREUM_CHAIN_ID", "1_337", "a whole number"),
        ("ETHEREUM_RPC_URL", "localhost:8545", "an http, https, ws or wss URL"),
        ("ETHEREUM_RPC_URL", "http://host:99999", "an http, https, ws or wss URL"),
        ("RPC_ADDR", "60557", "HOST:PORT"),
        ("RPC_ADDR", "node.example:60557", "an IP address or localhost"),
        ("HTTP_RPC_ADDR", "127.0.0.1:65536", "HOST:PORT"),
        ("VERBOSITY", "7", "a level from 0 to 6"),
        ("ORDER_PROTOCOLS", "v4", "v2, v3 or v2,v3"),
        ("CUSTOM_ORDER_FILTER", "[]", "a JSON object"),
        ("CUSTOM_CONTRACT_ADDRESSES", "{", "a JSON object"),
        ("CUSTOM_CONTRACT_ADDRESSES", '{"a":NaN}', "a JSON object"),
        ("CUSTOM_ORDER_FILTER", "[" * 100_000, "a JSON object"),
        ("MAX_ORDERS_IN_STORAGE", "0", "a whole number from 1"),
        ("ACCEPT_PARTIALLY_FUNDED", "yes", "a boolean"),
        ("ETHEREUM_RPC_MAX_REQUESTS_PER_SECOND", "nan", "a number above 0"),
        ("DATA_DIR", "a\0b", "a path"),
        ("BOOTSTRAP_LIST", "a,,b", "without empty entries"),
    ],
)
def test_a_bad_value_is_named_with_its_source(name: str, text: str, expected: str) -> None:
    refused = refusal(environment={name: text})
    assert refused.setting == f"{name} (environment)"
    assert expected in refused.problem
    assert len(str(refused)) < 600


def test_sources_are_told_apart() -> None:
    assert refusal("verbosity = 9").setting == "verbosity (fondaco.toml)"
    assert refusal(flags={"verbosity": "9"}).setting == "--verbosity (command line)"
    assert "a date is not" in refusal("data_dir = 2020-01-01").problem
    assert "a list is not" in refusal("allowed_hosts = ['a,b']").problem


def test_a_missing_setting_says_where_it_can_be_set() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(None, {"ETHEREUM_CHAIN_ID": "1"}, {})
    assert caught.value.setting == "ethereum_rpc_url"
    for place in ("ETHEREUM_RPC_URL", "--ethereum-rpc-url", "fondaco.toml"):
        assert place in caught.value.remedy


@pytest.mark.parametrize(
    ("toml", "environment", "wrong", "near"),
    [
        ("data_dirr = 'x'", {}, "data_dirr", "did you mean data_dir?"),
        ("DATA_DIR = 'x'", {}, "DATA_DIR", "did you mean data_dir?"),
        ("[data_dir]\nx = 1\n[whatever]", {}, "whatever", ""),
        ("", {"FONDACO_VERBOSTY": "1"}, "FONDACO_VERBOSTY", "did you mean FONDACO_VERBOSITY?"),
    ],
)
def test_unknown_names_are_refused(
    toml: str, environment: dict[str, str], wrong: str, near: str
) -> None:
    refused = refusal(toml, environment)
    assert refused.setting.startswith(wrong)
    assert refused.remedy == near


def test_a_file_that_is_not_toml() -> None:
    assert "is not TOML" in refusal("verbosity =").problem


def test_foreign_environment_names_are_passed_over() -> None:
    assert config(environment={"PATH": "/bin", "VERBOSE": "x", "FONDACO_NODE": "y"}) == config()


def test_two_names_of_one_setting_must_agree() -> None:
    same = {"WS_RPC_ADDR": "127.0.0.1:1", "RPC_ADDR": "127.0.0.1:1"}
    assert config(environment=same).rpc_addr.port == 1
    refused = refusal(environment={**same, "RPC_ADDR": "127.0.0.1:2"})
    assert refused.setting == "WS_RPC_ADDR and RPC_ADDR (environment)"


def test_what_has_no_effect_is_told() -> None:
    made = config("p2p_websockets_port = 0", {"RPC_PORT": "1"})
    assert [line.partition(":")[0] for line in made.without_effect] == [
        "p2p_websockets_port (fondaco.toml)",
        "RPC_PORT (environment)",
    ]


@pytest.mark.parametrize(
    ("polling", "cap", "is_refused"),
    [
        ("5s", "67280", False),
        ("5s", "67279", True),
        ("1s", "200000", False),
        ("100ms", "200000", True),
        ("1h", "50000", True),
    ],
)
def test_budget_must_leave_room_beside_polling(polling: str, cap: str, is_refused: bool) -> None:
    environment = {
        "BLOCK_POLLING_INTERVAL": polling,
        "ETHEREUM_RPC_MAX_REQUESTS_PER_24_HR_UTC": cap,
    }
    if is_refused:
        assert "enable_ethereum_rpc_rate_limiting off" in refusal(environment=environment).remedy
        environment["ENABLE_ETHEREUM_RPC_RATE_LIMITING"] = "false"
    assert config(environment=environment).ethereum_rpc_max_requests_per_24_hr_utc == int(cap)


@pytest.mark.parametrize(
    ("protocols", "length", "is_refused"),
    [("v2,v3", "15999", True), ("v3", "16000", False), ("v2", "8192", False), ("v2", "8191", True)],
)
def test_requests_must_hold_the_largest_order(
    protocols: str, length: str, is_refused: bool
) -> None:
    environment = {"ORDER_PROTOCOLS": protocols, "ETHEREUM_RPC_MAX_CONTENT_LENGTH": length}
    if is_refused:
        assert "largest order" in refusal(environment=environment).problem
    else:
        assert config(environment=environment).ethereum_rpc_max_content_length == int(length)


@pytest.mark.parametrize("name", ["RPC_ADDR", "HTTP_RPC_ADDR"])
def test_other_machines_need_a_token(name: str) -> None:
    refused = refusal(environment={name: ":60558"})
    assert refused.setting == name.lower()
    assert "0.0.0.0:60558" in refused.problem
    assert "RPC_TOKEN" in refused.remedy
    assert config(environment={name: ":60558", "FONDACO_RPC_TOKEN": KEY}).rpc_token == KEY


def test_secrets_are_not_shown() -> None:
    url = f"https://user:{KEY}@eth.example/v3/{KEY}?apikey={KEY}"
    made = config(environment={"ETHEREUM_RPC_URL": url, "FONDACO_RPC_TOKEN": KEY})
    assert made.ethereum_rpc_url == url
    assert KEY not in repr(made)
    assert KEY not in made.redactor()(f"lost {url}, then {KEY}, then /v3/{KEY}")
    assert KEY not in str(refusal(environment={"ETHEREUM_RPC_URL": url.replace("https", "ftp")}))
    assert "short" not in str(refusal(environment={"FONDACO_RPC_TOKEN": "short word"}))
    assert refusal(flags={"rpc_token": KEY}).problem == "is no flag"
