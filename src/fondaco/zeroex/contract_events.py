"""Chain logs that can move an order, and how clients see them.

    Log --> known contract? --> topic + number of topics --> ContractEvent
                                                              |-> watch_index: who is touched?
                                                              '-> to_json: contractEvents[]

A log carries no type of its own: ERC20 and ERC721 share ``Transfer`` and ``Approval``,
ERC721 and ERC1155 share ``ApprovalForAll``. What a contract is comes from the orders
that trade it (``KnownContracts``); logs of contracts nobody asked about are skipped
before anything is decoded. A log that does not fit its event is skipped too: any
account may emit any bytes.

Decoded values stay bytes and integers; text is made only for events that touched an
order. Source: 0x Mesh ``ethereum/decoder``, event signatures of ERC20/721/1155, WETH9
and the 0x Exchange v2 and v3.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import msgspec
from tiny_keccak import keccak256

from fondaco.chain.errors import AbiError
from fondaco.chain.logs import (
    Log,
    address_at,
    boolean_at,
    bytes_at,
    topic_address,
    uint_array_at,
    word,
)
from fondaco.zeroex.order import ProtocolVersion

CHECKSUMS_CACHED = 4096
"""EIP-55 spellings kept. One costs a hash; a block's events name the same few traders."""


class ContractRole(enum.IntFlag):
    """What a contract is to the orders that are watched. A contract can be several."""

    NONE = 0
    ERC20 = 1
    ERC721 = 2
    ERC1155 = 4
    EXCHANGE_V2 = 8
    EXCHANGE_V3 = 16


class KnownContracts(Protocol):
    """What the decoder asks of whoever knows the orders (``watch_index.WatchIndex``)."""

    def role(self, address: bytes) -> ContractRole:
        """Return what the contract at *address* (20 bytes) is; NONE when unknown."""


class EventKind(enum.Enum):
    """``kind`` of a contract event on the wire.

    The first thirteen are Mesh's. The last has no place there: real clients throw on a
    kind they do not know, so it only wakes orders up (``is_listed``).
    """

    ERC20_TRANSFER = "ERC20TransferEvent"
    ERC20_APPROVAL = "ERC20ApprovalEvent"
    ERC721_TRANSFER = "ERC721TransferEvent"
    ERC721_APPROVAL = "ERC721ApprovalEvent"
    ERC721_APPROVAL_FOR_ALL = "ERC721ApprovalForAllEvent"
    ERC1155_TRANSFER_SINGLE = "ERC1155TransferSingleEvent"
    ERC1155_TRANSFER_BATCH = "ERC1155TransferBatchEvent"
    ERC1155_APPROVAL_FOR_ALL = "ERC1155ApprovalForAllEvent"
    WETH_DEPOSIT = "WethDepositEvent"
    WETH_WITHDRAWAL = "WethWithdrawalEvent"
    EXCHANGE_FILL = "ExchangeFillEvent"
    EXCHANGE_CANCEL = "ExchangeCancelEvent"
    EXCHANGE_CANCEL_UP_TO = "ExchangeCancelUpToEvent"
    SIGNATURE_VALIDATOR_APPROVAL = "SignatureValidatorApprovalEvent"

    @property
    def is_listed(self) -> bool:
        """Whether clients may see it in ``contractEvents``."""
        return self is not EventKind.SIGNATURE_VALIDATOR_APPROVAL


Value = bytes | int | bool | tuple[int, ...]
"""A decoded parameter: address (20 bytes), hash (32), data (any), number, flag, numbers."""


class ContractEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A log that was understood."""

    kind: EventKind
    version: ProtocolVersion | None
    """Protocol version of the Exchange that emitted it; None for a token's event."""
    values: tuple[Value, ...]
    """Parameters in the sequence of ``PARAMETERS[kind, version]``."""
    log: Log


# One letter per parameter says how it is written: c checksummed address, a lower-case
# address, n number, N numbers, f flag, h hex bytes.
_TRANSFER = (("from", "c"), ("to", "c"))
_OWNER_SPENDER = (("owner", "c"), ("spender", "c"), ("value", "n"))
_FOR_ALL = (("owner", "a"), ("operator", "a"), ("approved", "f"))
_OPERATOR = (("operator", "c"), *_TRANSFER)
_WETH = (("owner", "c"), ("value", "n"))
_AMOUNTS = (
    ("makerAssetFilledAmount", "n"),
    ("takerAssetFilledAmount", "n"),
    ("makerFeePaid", "n"),
    ("takerFeePaid", "n"),
)
_FILL_HEAD = (
    ("makerAddress", "c"),
    ("takerAddress", "c"),
    ("senderAddress", "c"),
    ("feeRecipientAddress", "c"),
    *_AMOUNTS,
)
_DATA = (("orderHash", "h"), ("makerAssetData", "h"), ("takerAssetData", "h"))
_CANCEL = (("makerAddress", "c"), ("senderAddress", "c"), ("feeRecipientAddress", "c"), *_DATA)
_V2, _V3 = ProtocolVersion.V2, ProtocolVersion.V3

PARAMETERS: dict[tuple[EventKind, ProtocolVersion | None], tuple[tuple[str, str], ...]] = {
    (EventKind.ERC20_TRANSFER, None): (*_TRANSFER, ("value", "n")),
    (EventKind.ERC20_APPROVAL, None): _OWNER_SPENDER,
    (EventKind.ERC721_TRANSFER, None): (*_TRANSFER, ("tokenId", "n")),
    (EventKind.ERC721_APPROVAL, None): (("owner", "c"), ("approved", "c"), ("tokenId", "n")),
    (EventKind.ERC721_APPROVAL_FOR_ALL, None): _FOR_ALL,
    (EventKind.ERC1155_TRANSFER_SINGLE, None): (*_OPERATOR, ("id", "n"), ("value", "n")),
    (EventKind.ERC1155_TRANSFER_BATCH, None): (*_OPERATOR, ("ids", "N"), ("values", "N")),
    (EventKind.ERC1155_APPROVAL_FOR_ALL, None): _FOR_ALL,
    (EventKind.WETH_DEPOSIT, None): _WETH,
    (EventKind.WETH_WITHDRAWAL, None): _WETH,
    (EventKind.EXCHANGE_FILL, _V2): (*_FILL_HEAD, *_DATA),
    (EventKind.EXCHANGE_FILL, _V3): (
        *_FILL_HEAD,
        ("protocolFeePaid", "n"),
        *_DATA,
        ("makerFeeAssetData", "h"),
        ("takerFeeAssetData", "h"),
    ),
    (EventKind.EXCHANGE_CANCEL, _V2): _CANCEL,
    (EventKind.EXCHANGE_CANCEL, _V3): _CANCEL,
    (EventKind.EXCHANGE_CANCEL_UP_TO, _V2): (
        ("makerAddress", "c"),
        ("senderAddress", "c"),
        ("orderEpoch", "n"),
    ),
    (EventKind.EXCHANGE_CANCEL_UP_TO, _V3): (
        ("makerAddress", "c"),
        ("orderSenderAddress", "c"),
        ("orderEpoch", "n"),
    ),
    (EventKind.SIGNATURE_VALIDATOR_APPROVAL, _V2): (
        ("signerAddress", "c"),
        ("validatorAddress", "c"),
        ("isApproved", "f"),
    ),
    (EventKind.SIGNATURE_VALIDATOR_APPROVAL, _V3): (
        ("signerAddress", "c"),
        ("validatorAddress", "c"),
        ("isApproved", "f"),
    ),
}
"""Name and writing of each parameter. Source: 0x Mesh v6 (v2 orders) and v9 (v3)."""


def _indexed_addresses(log: Log, count: int) -> tuple[bytes, ...]:
    """Return *count* indexed addresses; there must be no further topic."""
    if len(log.topics) != count + 1:
        raise AbiError(f"{len(log.topics)} topics instead of {count + 1}")
    return tuple([topic_address(topic) for topic in log.topics[1:]])


def _two_and_number(log: Log) -> tuple[Value, ...]:
    return (*_indexed_addresses(log, 2), word(log.data, 0))


def _one_and_number(log: Log) -> tuple[Value, ...]:
    return (*_indexed_addresses(log, 1), word(log.data, 0))


def _two_and_flag(log: Log) -> tuple[Value, ...]:
    return (*_indexed_addresses(log, 2), boolean_at(log.data, 0))


def _two_and_token_id(log: Log) -> tuple[Value, ...]:
    """Take the token id from the third topic, or from data where a token does not index it."""
    topics = log.topics
    if len(topics) == 4:
        return topic_address(topics[1]), topic_address(topics[2]), word(topics[3], 0)
    return _two_and_number(log)


def _transfer_single(log: Log) -> tuple[Value, ...]:
    return (*_indexed_addresses(log, 3), word(log.data, 0), word(log.data, 1))


def _transfer_batch(log: Log) -> tuple[Value, ...]:
    ids, values = (tuple(uint_array_at(log.data, index)) for index in range(2))
    return (*_indexed_addresses(log, 3), ids, values)


def _indexed_order(log: Log) -> tuple[bytes, bytes, bytes]:
    """Return maker, fee recipient and order hash, indexed alike in Fill and Cancel."""
    topics = log.topics
    if len(topics) != 4:
        raise AbiError(f"{len(topics)} topics instead of 4")
    return topic_address(topics[1]), topic_address(topics[2]), topics[3]


def _fill_v2(log: Log) -> tuple[Value, ...]:
    maker, fee_recipient, order_hash = _indexed_order(log)
    data = log.data
    return (
        maker,
        address_at(data, 0),
        address_at(data, 1),
        fee_recipient,
        *[word(data, index) for index in range(2, 6)],
        order_hash,
        bytes_at(data, 6),
        bytes_at(data, 7),
    )


def _fill_v3(log: Log) -> tuple[Value, ...]:
    maker, fee_recipient, order_hash = _indexed_order(log)
    data = log.data
    return (
        maker,
        address_at(data, 4),
        address_at(data, 5),
        fee_recipient,
        *[word(data, index) for index in range(6, 11)],
        order_hash,
        *[bytes_at(data, index) for index in range(4)],
    )


def _cancel_v2(log: Log) -> tuple[Value, ...]:
    maker, fee_recipient, order_hash = _indexed_order(log)
    data = log.data
    sender = address_at(data, 0)
    return maker, sender, fee_recipient, order_hash, bytes_at(data, 1), bytes_at(data, 2)


def _cancel_v3(log: Log) -> tuple[Value, ...]:
    maker, fee_recipient, order_hash = _indexed_order(log)
    data = log.data
    sender = address_at(data, 2)
    return maker, sender, fee_recipient, order_hash, bytes_at(data, 0), bytes_at(data, 1)


class _Form(NamedTuple):
    """How a log of one topic is read when its contract has one of *role*."""

    role: ContractRole
    kind: EventKind
    version: ProtocolVersion | None
    read: Callable[[Log], tuple[Value, ...]]
    topic_count: int | None = None
    """Number of topics that selects this form; None: any."""


_ERC20, _ERC721, _ERC1155 = ContractRole.ERC20, ContractRole.ERC721, ContractRole.ERC1155
_IN_V2, _IN_V3 = ContractRole.EXCHANGE_V2, ContractRole.EXCHANGE_V3

_SIGNATURES: tuple[tuple[str, tuple[_Form, ...]], ...] = (
    (
        "Transfer(address,address,uint256)",
        (
            _Form(_ERC721, EventKind.ERC721_TRANSFER, None, _two_and_token_id, 4),
            _Form(_ERC20, EventKind.ERC20_TRANSFER, None, _two_and_number),
            _Form(_ERC721, EventKind.ERC721_TRANSFER, None, _two_and_token_id),
        ),
    ),
    (
        "Approval(address,address,uint256)",
        (
            _Form(_ERC721, EventKind.ERC721_APPROVAL, None, _two_and_token_id, 4),
            _Form(_ERC20, EventKind.ERC20_APPROVAL, None, _two_and_number),
            _Form(_ERC721, EventKind.ERC721_APPROVAL, None, _two_and_token_id),
        ),
    ),
    (
        "ApprovalForAll(address,address,bool)",
        (
            _Form(_ERC721, EventKind.ERC721_APPROVAL_FOR_ALL, None, _two_and_flag),
            _Form(_ERC1155, EventKind.ERC1155_APPROVAL_FOR_ALL, None, _two_and_flag),
        ),
    ),
    (
        "TransferSingle(address,address,address,uint256,uint256)",
        (_Form(_ERC1155, EventKind.ERC1155_TRANSFER_SINGLE, None, _transfer_single),),
    ),
    (
        "TransferBatch(address,address,address,uint256[],uint256[])",
        (_Form(_ERC1155, EventKind.ERC1155_TRANSFER_BATCH, None, _transfer_batch),),
    ),
    (
        "Deposit(address,uint256)",
        (_Form(_ERC20, EventKind.WETH_DEPOSIT, None, _one_and_number),),
    ),
    (
        "Withdrawal(address,uint256)",
        (_Form(_ERC20, EventKind.WETH_WITHDRAWAL, None, _one_and_number),),
    ),
    (
        "Fill(address,address,address,address,uint256,uint256,uint256,uint256,bytes32,bytes,bytes)",
        (_Form(_IN_V2, EventKind.EXCHANGE_FILL, _V2, _fill_v2),),
    ),
    (
        "Fill(address,address,bytes,bytes,bytes,bytes,bytes32,address,address,"
        "uint256,uint256,uint256,uint256,uint256)",
        (_Form(_IN_V3, EventKind.EXCHANGE_FILL, _V3, _fill_v3),),
    ),
    (
        "Cancel(address,address,address,bytes32,bytes,bytes)",
        (_Form(_IN_V2, EventKind.EXCHANGE_CANCEL, _V2, _cancel_v2),),
    ),
    (
        "Cancel(address,address,bytes,bytes,address,bytes32)",
        (_Form(_IN_V3, EventKind.EXCHANGE_CANCEL, _V3, _cancel_v3),),
    ),
    (
        "CancelUpTo(address,address,uint256)",
        (
            _Form(_IN_V3, EventKind.EXCHANGE_CANCEL_UP_TO, _V3, _two_and_number),
            _Form(_IN_V2, EventKind.EXCHANGE_CANCEL_UP_TO, _V2, _two_and_number),
        ),
    ),
    (
        "SignatureValidatorApproval(address,address,bool)",
        (
            _Form(_IN_V3, EventKind.SIGNATURE_VALIDATOR_APPROVAL, _V3, _two_and_flag),
            _Form(_IN_V2, EventKind.SIGNATURE_VALIDATOR_APPROVAL, _V2, _two_and_flag),
        ),
    ),
)

EVENT_TOPICS: dict[str, bytes] = {
    signature: keccak256(signature.encode()) for signature, _ in _SIGNATURES
}
"""Topic (32 bytes) of each event signature."""

TOPICS: tuple[bytes, ...] = tuple(EVENT_TOPICS.values())
"""Every topic worth asking ``eth_getLogs`` for."""

# Roles as bare numbers: an IntFlag's "&" costs as much as the rest of decoding a log.
_FORMS = {
    EVENT_TOPICS[signature]: tuple([(form.role.value, form) for form in forms])
    for signature, forms in _SIGNATURES
}


def decode_event(log: Log, known: KnownContracts) -> ContractEvent | None:
    """Return what *log* says; None when it is not for us or does not fit its event."""
    try:
        return _decode(log, known)
    except AbiError:
        return None


def decode_events(logs: Iterable[Log], known: KnownContracts) -> tuple[list[ContractEvent], int]:
    """Return the events among *logs*, in their sequence, and how many logs were malformed.

    Malformed means: from a known contract, with a topic we look for, in another form.
    """
    events: list[ContractEvent] = []
    malformed = 0
    for log in logs:
        try:
            event = _decode(log, known)
        except AbiError:
            malformed += 1
            continue
        if event is not None:
            events.append(event)
    return events, malformed


def _decode(log: Log, known: KnownContracts) -> ContractEvent | None:
    forms = _FORMS.get(log.topics[0]) if log.topics else None
    if forms is None:
        return None
    role = known.role(log.address).value
    if not role:
        return None
    for wanted, form in forms:
        if wanted & role and form.topic_count in (None, len(log.topics)):
            values = form.read(log)
            return ContractEvent(kind=form.kind, version=form.version, values=values, log=log)
    return None


@lru_cache(maxsize=CHECKSUMS_CACHED)
def checksum_address(address: bytes) -> str:
    """Return *address* (20 bytes) in the mixed case of EIP-55."""
    text = address.hex()
    digest = keccak256(text.encode()).hex()
    return "0x" + "".join(
        letter.upper() if nibble >= "8" else letter
        for letter, nibble in zip(text, digest, strict=False)
    )


def _hex(data: bytes) -> str:
    return "0x" + data.hex()


def _number_texts(values: tuple[int, ...]) -> list[str]:
    return [str(value) for value in values]


_WRITERS: dict[str, Callable[[Any], object]] = {
    "c": checksum_address,
    "a": _hex,
    "h": _hex,
    "n": str,
    "N": _number_texts,
    "f": bool,
}


def parameters(event: ContractEvent) -> dict[str, object]:
    """Return ``parameters`` of the event as Mesh prints them."""
    names = PARAMETERS[event.kind, event.version]
    return {
        name: _WRITERS[writing](value)
        for (name, writing), value in zip(names, event.values, strict=True)
    }


def to_json(event: ContractEvent) -> dict[str, object]:
    """Return one entry of ``contractEvents``, ready to be encoded."""
    log = event.log
    return {
        "blockHash": _hex(log.block_hash),
        "txHash": _hex(log.transaction_hash),
        "txIndex": log.transaction_index,
        "logIndex": log.log_index,
        "isRemoved": log.removed,
        "address": _hex(log.address),
        "kind": event.kind.value,
        "parameters": parameters(event),
    }


_encoder = msgspec.json.Encoder()


def encode_event(event: ContractEvent) -> msgspec.Raw:
    """Return ``to_json`` as encoded JSON, to be joined into several events' texts."""
    return msgspec.Raw(_encoder.encode(to_json(event)))
