"""The table of settings is well formed: names, flags, sections."""

from __future__ import annotations

import re

import pytest

from fondaco.settings import MESH_NAMES_WITHOUT_EFFECT, SETTINGS, Setting

MESH_V6_AND_V9 = (
    "VERBOSITY",
    "DATA_DIR",
    "P2P_TCP_PORT",
    "P2P_WEBSOCKETS_PORT",
    "ETHEREUM_RPC_URL",
    "ETHEREUM_CHAIN_ID",
    "USE_BOOTSTRAP_LIST",
    "BOOTSTRAP_LIST",
    "BLOCK_POLLING_INTERVAL",
    "ETHEREUM_RPC_MAX_CONTENT_LENGTH",
    "ENABLE_ETHEREUM_RPC_RATE_LIMITING",
    "ETHEREUM_RPC_MAX_REQUESTS_PER_24_HR_UTC",
    "ETHEREUM_RPC_MAX_REQUESTS_PER_SECOND",
    "CUSTOM_CONTRACT_ADDRESSES",
    "MAX_ORDERS_IN_STORAGE",
    "CUSTOM_ORDER_FILTER",
    "ADDITIONAL_PUBLIC_IP_SOURCES",
    "RPC_ADDR",
    "WS_RPC_ADDR",
    "HTTP_RPC_ADDR",
)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_a_row_is_complete(setting: Setting) -> None:
    assert re.fullmatch("[a-z][a-z0-9_]*", setting.name)
    assert setting.help.endswith(".")
    assert setting.environment[-1] == "FONDACO_" + setting.name.upper()
    assert setting.kind.expected.split()[0] in {"a", "an"}
    assert bool(setting.flag) is not setting.is_secret


@pytest.mark.parametrize("name", MESH_V6_AND_V9)
def test_every_name_of_mesh_means_something(name: str) -> None:
    known = {name for setting in SETTINGS for name in setting.environment}
    assert (name in known) is not (name in MESH_NAMES_WITHOUT_EFFECT)
