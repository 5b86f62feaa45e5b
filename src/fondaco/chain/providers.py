"""What the errors of Ethereum nodes and providers mean.

There is no standard: the same trouble has another code and text everywhere, and the
same code means other troubles. The table below is read from the top, the first row
that fits decides. Texts are compared in lower case.
"""

from __future__ import annotations

import enum

import msgspec

from fondaco.chain.errors import AnswerTooLarge, EndpointError, EndpointUnavailable


class Trouble(enum.Enum):
    """What a failed request means for the next step."""

    RATE_LIMITED = "the provider wants fewer requests: wait"
    TOO_MANY_RESULTS = "ask for fewer blocks"
    REVERTED = "the contract call ran and failed: asking again gives the same"
    BLOCK_UNKNOWN = "the block is not there, not yet or no longer"
    REQUEST_TOO_LARGE = "send less at once"
    BUSY = "wait and try again"
    OTHER = "asking again gives the same"


TRANSIENT = frozenset({Trouble.RATE_LIMITED, Trouble.BLOCK_UNKNOWN, Trouble.BUSY})
"""Troubles that may be over a moment later."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One rule: any of the codes, or any of the text fragments."""

    trouble: Trouble
    codes: frozenset[int] = frozenset()
    fragments: tuple[str, ...] = ()
    seen_at: str
    """Where such errors come from."""


TABLE = (
    Row(
        trouble=Trouble.REVERTED,
        codes=frozenset({3, -32015}),
        fragments=(
            "execution reverted",  # Geth, Erigon, Besu, anvil
            "vm execution error",  # Parity, Nethermind
            "vm exception",  # ganache, hardhat
        ),
        seen_at="eth_call. First, since a contract chooses the words that follow: one that "
        "reverts with 'rate limit' must not make us ask again and again",
    ),
    Row(
        trouble=Trouble.OTHER,
        codes=frozenset({-32601, -32700}),
        fragments=("method not found", "does not exist/is not available"),
        seen_at="JSON-RPC: no such method, not JSON. 'not found' below must not catch it",
    ),
    Row(
        trouble=Trouble.RATE_LIMITED,
        codes=frozenset({429, -32029, -32097}),
        fragments=(
            "rate limit",  # Infura, QuickNode, Cloudflare
            "request rate exceeded",  # Infura, code -32005 as for too many results
            "daily request count exceeded",  # Infura
            "too many requests",
            "compute units",  # Alchemy
            "exceeded its throughput",  # Alchemy
            "concurrent requests capacity",  # Alchemy
        ),
        seen_at="providers",
    ),
    Row(
        trouble=Trouble.TOO_MANY_RESULTS,
        codes=frozenset({-32005, -32614}),
        fragments=(
            "query returned more than",  # Infura, Geth gateways, Parity
            "response size exceeded",  # Alchemy
            "response size should not",  # Alchemy, older
            "response is too big",
            "block range",  # Alchemy, Geth 1.15, Ankr, Erigon
            "blocks range",
            "range limit",
            "range is too large",
            "range too large",
            "range too wide",
            "is limited to a",  # QuickNode
            "too many results",
            "too many logs",  # Nethermind
            "too many blocks",
            "exceeds max results",
            "query timeout exceeded",  # Infura: "consider reducing your block range"
        ),
        seen_at="eth_getLogs everywhere",
    ),
    Row(
        trouble=Trouble.REVERTED,
        fragments=(
            "revert",
            "evm error",  # anvil
            "invalid opcode",
            "out of gas",
            "stack underflow",
            "invalid jump",
            "intrinsic gas too low",
            "gas required exceeds",
        ),
        seen_at="eth_call everywhere",
    ),
    Row(
        trouble=Trouble.BLOCK_UNKNOWN,
        codes=frozenset({-32001}),
        fragments=(
            "unknown block",  # Geth, anvil
            "header not found",  # Geth, Alchemy, Infura
            "not found",  # go-ethereum's ethereum.NotFound
            "cannot be found",  # Parity: "one of the blocks specified in filter ..."
            "blockoutofrange",  # anvil
            "not currently canonical",  # Geth, EIP-1898
            "missing trie node",  # Geth: the state is pruned
            "state not available",
            "state is not available",  # Geth, path scheme
            "no state available",  # Nethermind
            "state already discarded",  # Parity
        ),
        seen_at="behind load balancers, and after reorganisations",
    ),
    Row(
        trouble=Trouble.REQUEST_TOO_LARGE,
        codes=frozenset({-32600, 413}),
        fragments=(
            "too large",  # Geth: "content length too large", nginx: "entity too large"
            "initcode size",  # Geth, EIP-3860
            "code size",  # Geth, EIP-170
        ),
        seen_at="anvil says -32600 to a body over 2 MB",
    ),
    Row(
        trouble=Trouble.BUSY,
        codes=frozenset({-32002, -32016, -32603, 500, 502, 503, 504}),
        fragments=(
            "timeout",
            "timed out",
            "deadline exceeded",  # Go's context, as gateways print it
            "internal error",
            "temporar",
            "unavailable",
            "try again",
            "retry",
            "busy",
            "overload",
            "bad gateway",
            "connection re",  # reset, refused
        ),
        seen_at="everywhere",
    ),
)


def classify(error: EndpointError | EndpointUnavailable) -> Trouble:
    """Return what *error* means."""
    if isinstance(error, AnswerTooLarge):
        return Trouble.TOO_MANY_RESULTS
    if isinstance(error, EndpointUnavailable):
        if error.status == 413:
            return Trouble.REQUEST_TOO_LARGE
        return Trouble.RATE_LIMITED if error.status == 429 else Trouble.BUSY
    text = error.message.lower()
    for row in TABLE:
        if error.rpc_code in row.codes or any(fragment in text for fragment in row.fragments):
            return row.trouble
    return Trouble.OTHER


def is_transient(error: EndpointError | EndpointUnavailable) -> bool:
    """Return whether the same request may succeed a moment later."""
    return classify(error) in TRANSIENT


def revert_data(error: EndpointError) -> bytes:
    """Return the bytes a contract reverted with; empty where the node does not say.

    Geth and anvil put hex in ``data``; Parity and Nethermind write ``Reverted 0x..``.
    """
    if isinstance(error.data, str):
        try:
            return bytes.fromhex(error.data.removeprefix("Reverted ").removeprefix("0x"))
        except ValueError:
            return b""
    return b""
