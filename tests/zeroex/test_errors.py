"""The table of codes against the page a client developer would read."""

from __future__ import annotations

import pytest

from fondaco.errors import NodeError, Verdict
from fondaco.zeroex.errors import (
    InvalidSchema,
    OrderRejected,
    OrderTooLarge,
    RejectionCode,
    RejectionKind,
)

BLAMED = {
    "InvalidSchema",
    "OrderHasInvalidMakerAssetAmount",
    "OrderHasInvalidTakerAssetAmount",
    "OrderHasInvalidMakerAssetData",
    "OrderHasInvalidTakerAssetData",
    "OrderHasInvalidMakerFeeAssetData",
    "OrderHasInvalidTakerFeeAssetData",
    "OrderHasInvalidSignature",
    "MaxOrderSizeExceeded",
    "OrderForIncorrectChain",
    "IncorrectExchangeAddress",
    "SenderAddressNotAllowed",
}

KINDS = {
    RejectionKind.MESH_ERROR: {
        "EthRPCRequestFailed",
        "CoordinatorRequestFailed",
        "CoordinatorSoftCancelled",
        "InternalError",
        "DatabaseFullOfOrders",
    },
    RejectionKind.MESH_VALIDATION: {
        "OrderMaxExpirationExceeded",
        "MaxOrderSizeExceeded",
        "OrderAlreadyStoredAndUnfillable",
        "OrderForIncorrectChain",
        "IncorrectExchangeAddress",
        "SenderAddressNotAllowed",
        "InvalidSchema",
    },
    RejectionKind.COORDINATOR_ERROR: {"CoordinatorEndpointNotFound"},
}


@pytest.mark.parametrize("row", RejectionCode)
def test_each_code_has_the_kind_of_mesh_and_a_verdict_by_blame(row: RejectionCode) -> None:
    kind = next((k for k, codes in KINDS.items() if row.code in codes), None)
    assert row.kind is (kind or RejectionKind.ZEROEX_VALIDATION)
    assert row.verdict is (Verdict.REJECT if row.code in BLAMED else Verdict.IGNORE)
    assert row.message


def test_every_code_stands_once() -> None:
    assert len({row.code for row in RejectionCode}) == len(RejectionCode) == 24


def test_a_rejection_carries_the_row_and_its_own_reason() -> None:
    rejection = OrderRejected(RejectionCode.UNFUNDED, "balance 7 of 100")
    assert isinstance(rejection, NodeError)
    assert rejection.code == "OrderUnfunded"
    assert rejection.message.startswith("maker has insufficient balance")
    assert rejection.kind is RejectionKind.ZEROEX_VALIDATION
    assert rejection.verdict is Verdict.IGNORE
    assert str(rejection) == "OrderUnfunded: balance 7 of 100"


def test_the_verdict_can_depend_on_the_cause() -> None:
    rejection = OrderRejected(RejectionCode.INVALID_SIGNATURE, verdict=Verdict.IGNORE)
    assert rejection.verdict is Verdict.IGNORE
    assert OrderRejected(RejectionCode.INVALID_SIGNATURE).verdict is Verdict.REJECT


def test_schema_errors_are_listed_behind_the_fixed_text() -> None:
    rejection = InvalidSchema("salt", ["(root): salt is required", "x: y"])
    assert rejection.field == "salt"
    assert rejection.message == (
        "order did not pass JSON-schema validation: [(root): salt is required x: y]"
    )
    assert InvalidSchema("(root)", detail="cut").message == (
        "order did not pass JSON-schema validation: Malformed JSON or empty payload"
    )


def test_the_size_limit_is_part_of_the_text() -> None:
    assert OrderTooLarge(8193, 8192).message == (
        "order exceeds the maximum encoded size of 8192 bytes"
    )
    assert OrderTooLarge(16_001, 16_000).message == RejectionCode.MAX_ORDER_SIZE_EXCEEDED.message
