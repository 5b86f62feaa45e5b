"""Why a 0x order is refused: Mesh's codes, letter for letter.

    NodeError
    '- OrderRejected        carries a RejectionCode: code, message, kind, verdict
       |- InvalidSchema     not an order at all; names the field
       '- OrderTooLarge     the limit is part of the message

The door to clients prints ``code``, ``message`` and ``kind``; the door to peers reads
``verdict``. Source: ``RejectedOrderStatus`` of 0x Mesh v6 to v9.4.3.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

from fondaco.errors import NodeError, Verdict


class RejectionKind(enum.Enum):
    """Who is at fault, as ``rejected[].kind`` prints it."""

    ZEROEX_VALIDATION = "ZEROEX_VALIDATION"
    """The order breaks a rule of the protocol or cannot be filled."""

    MESH_ERROR = "MESH_ERROR"
    """The node could not tell; trying again may help."""

    MESH_VALIDATION = "MESH_VALIDATION"
    """The order is outside what this node takes."""

    COORDINATOR_ERROR = "COORDINATOR_ERROR"
    """Only the missing coordinator endpoint; kept for clients that know the word."""


_ZEROEX = RejectionKind.ZEROEX_VALIDATION
_MESH_ERROR = RejectionKind.MESH_ERROR
_POLICY = RejectionKind.MESH_VALIDATION

# A peer is blamed for what the bytes of the order alone would have told it, never
# for what depends on a block, a clock, another node's load or its settings.
_BLAME = Verdict.REJECT
_EXCUSE = Verdict.IGNORE


class RejectionCode(enum.Enum):
    """One row per code: what a client reads and what a peer deserves.

    Attributes:
        code: the word on the wire.
        message: its fixed text.
        kind: who is at fault.
        verdict: what to do with a gossiped order refused for this reason.

    The three ``COORDINATOR_…`` rows cannot be reached: orders with a sender are
    refused before any coordinator would be asked.
    """

    ETH_RPC_REQUEST_FAILED = (
        "EthRPCRequestFailed",
        "network request to Ethereum RPC endpoint failed",
        _MESH_ERROR,
        _EXCUSE,
    )
    COORDINATOR_REQUEST_FAILED = (
        "CoordinatorRequestFailed",
        "network request to coordinator server endpoint failed",
        _MESH_ERROR,
        _EXCUSE,
    )
    COORDINATOR_SOFT_CANCELLED = (
        "CoordinatorSoftCancelled",
        "order was soft-cancelled via the coordinator server",
        _MESH_ERROR,
        _EXCUSE,
    )
    COORDINATOR_ENDPOINT_NOT_FOUND = (
        "CoordinatorEndpointNotFound",
        "corresponding coordinator endpoint not found in CoordinatorRegistry contract",
        RejectionKind.COORDINATOR_ERROR,
        _EXCUSE,
    )
    INVALID_MAKER_ASSET_AMOUNT = (
        "OrderHasInvalidMakerAssetAmount",
        "order makerAssetAmount cannot be 0",
        _ZEROEX,
        _BLAME,
    )
    INVALID_TAKER_ASSET_AMOUNT = (
        "OrderHasInvalidTakerAssetAmount",
        "order takerAssetAmount cannot be 0",
        _ZEROEX,
        _BLAME,
    )
    EXPIRED = (
        "OrderExpired",
        "order expired according to latest block timestamp",
        _ZEROEX,
        _EXCUSE,
    )
    FULLY_FILLED = ("OrderFullyFilled", "order already fully filled", _ZEROEX, _EXCUSE)
    CANCELLED = ("OrderCancelled", "order cancelled", _ZEROEX, _EXCUSE)
    UNFUNDED = (
        "OrderUnfunded",
        "maker has insufficient balance or allowance for this order to be filled",
        _ZEROEX,
        _EXCUSE,
    )
    INVALID_MAKER_ASSET_DATA = (
        "OrderHasInvalidMakerAssetData",
        "order makerAssetData must encode a supported assetData type",
        _ZEROEX,
        _BLAME,
    )
    INVALID_TAKER_ASSET_DATA = (
        "OrderHasInvalidTakerAssetData",
        "order takerAssetData must encode a supported assetData type",
        _ZEROEX,
        _BLAME,
    )
    INVALID_MAKER_FEE_ASSET_DATA = (
        "OrderHasInvalidMakerFeeAssetData",
        "order makerFeeAssetData must encode a supported assetData type",
        _ZEROEX,
        _BLAME,
    )
    INVALID_TAKER_FEE_ASSET_DATA = (
        "OrderHasInvalidTakerFeeAssetData",
        "order takerFeeAssetData must encode a supported assetData type",
        _ZEROEX,
        _BLAME,
    )
    INVALID_SIGNATURE = (
        "OrderHasInvalidSignature",
        "order signature must be valid",
        _ZEROEX,
        _BLAME,
    )
    MAX_EXPIRATION_EXCEEDED = (
        "OrderMaxExpirationExceeded",
        "order expiration too far in the future",
        _POLICY,
        _EXCUSE,
    )
    INTERNAL_ERROR = (
        "InternalError",
        "an unexpected internal error has occurred",
        _MESH_ERROR,
        _EXCUSE,
    )
    MAX_ORDER_SIZE_EXCEEDED = (
        "MaxOrderSizeExceeded",
        "order exceeds the maximum encoded size of 16000 bytes",
        _POLICY,
        _BLAME,
    )
    ALREADY_STORED_AND_UNFILLABLE = (
        "OrderAlreadyStoredAndUnfillable",
        "order is already stored and is unfillable. Mesh keeps unfillable orders in storage "
        "for a little while incase a block re-org makes them fillable again",
        _POLICY,
        _EXCUSE,
    )
    INCORRECT_CHAIN = (
        "OrderForIncorrectChain",
        "order was created for a different chain than the one this Mesh node is configured "
        "to support",
        _POLICY,
        _BLAME,
    )
    INCORRECT_EXCHANGE_ADDRESS = (
        "IncorrectExchangeAddress",
        "the exchange address for the order does not match the chain ID/network ID",
        _POLICY,
        _BLAME,
    )
    SENDER_ADDRESS_NOT_ALLOWED = (
        "SenderAddressNotAllowed",
        "orders with a senderAddress are not currently supported",
        _POLICY,
        _BLAME,
    )
    DATABASE_FULL_OF_ORDERS = (
        "DatabaseFullOfOrders",
        "database is full of pinned orders and no orders can be deleted to make space "
        "(consider increasing MAX_ORDERS_IN_STORAGE)",
        _MESH_ERROR,
        _EXCUSE,
    )
    INVALID_SCHEMA = (
        "InvalidSchema",
        "order did not pass JSON-schema validation: ",
        _POLICY,
        _BLAME,
    )

    def __init__(self, code: str, message: str, kind: RejectionKind, verdict: Verdict) -> None:
        self.code = code
        self.message = message
        self.kind = kind
        self.verdict = verdict


class OrderRejected(NodeError):
    """A signed order that will not be stored.

    Args:
        rejection: the row of the table.
        detail: the true reason where the fixed text is too coarse; for logs and
            ``mesh_explain``, not part of ``status.message``.
        message: replaces the fixed text where Mesh's text has a variable part.
        verdict: replaces the row's verdict where the same code has another cause,
            such as a contract wallet that has changed its mind.
    """

    code: str  # type: ignore[misc]  # the base says one code per class; here one per value
    verdict: Verdict  # type: ignore[misc]  # likewise

    def __init__(
        self,
        rejection: RejectionCode,
        detail: str = "",
        *,
        message: str | None = None,
        verdict: Verdict | None = None,
    ) -> None:
        self.rejection = rejection
        self.code = rejection.code
        self.kind = rejection.kind
        self.message = rejection.message if message is None else message
        self.detail = detail
        self.verdict = rejection.verdict if verdict is None else verdict
        super().__init__(f"{self.code}: {detail or self.message}")


class InvalidSchema(OrderRejected):
    """The bytes do not spell a signed order.

    Args:
        field: JSON name of the first bad field, ``(root)`` when it is the whole.
        errors: every fault found, in the wording of Mesh's schema library, such as
            ``(root): makerAddress is required``. Without any, the text is Mesh's
            ``Malformed JSON or empty payload``.
        detail: what exactly is wrong, when *errors* is empty.
    """

    def __init__(self, field: str, errors: Sequence[str] = (), detail: str = "") -> None:
        listed = f"[{' '.join(errors)}]" if errors else "Malformed JSON or empty payload"
        super().__init__(
            RejectionCode.INVALID_SCHEMA,
            detail or (errors[0] if errors else listed),
            message=RejectionCode.INVALID_SCHEMA.message + listed,
        )
        self.field = field
        self.errors = tuple(errors)


class OrderTooLarge(OrderRejected):
    """The encoded order is over the limit of its protocol version (both in bytes)."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(
            RejectionCode.MAX_ORDER_SIZE_EXCEEDED,
            f"{size} bytes, at most {limit} allowed",
            message=f"order exceeds the maximum encoded size of {limit} bytes",
        )
        self.size = size
        self.limit = limit
