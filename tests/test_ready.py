"""The line a node prints when it is ready."""

from __future__ import annotations

from fondaco.ready import ReadyInfo

INFO = ReadyInfo(rpc="ws://127.0.0.1:1", http="http://127.0.0.1:1", peer_id="16Uiu2HA", pid=7)


def test_keys_are_those_of_the_documentation() -> None:
    assert INFO.to_json() == (
        '{"ready":true,"rpc":"ws://127.0.0.1:1","http":"http://127.0.0.1:1",'
        '"peerID":"16Uiu2HA","pid":7,"p2p":[]}'
    )


def test_more_members_follow() -> None:
    assert INFO.to_json({"chainId": 1337}).endswith(',"p2p":[],"chainId":1337}')
