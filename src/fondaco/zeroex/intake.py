"""The steps of taking orders in that need nothing but the orders: run in threads, in batches.

    texts --> read_orders --> [looked up in the store] --> check_orders --> [asked of the chain]
              decode, hash,                                rules of the
              policy of the node                           protocol, signature

Cheap before dear: what is decoded and known already never costs a signature recovery.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from fondaco.zeroex import codec, signatures, validator
from fondaco.zeroex.eip712 import order_hash
from fondaco.zeroex.errors import InvalidSchema, OrderRejected, RejectionCode
from fondaco.zeroex.order import OrderHash, ProtocolVersion, SignedOrder

NO_HASH = OrderHash(bytes(32))
"""What stands for the hash of something that could not be read as an order."""

MAX_RECEIVED = 1024
"""Bytes of an unreadable order that are sent back to who sent it."""


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """An order that has passed every check made so far."""

    order_hash: OrderHash
    order: SignedOrder
    body: bytes
    """The order's one spelling."""


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """An order that will not be stored, and why."""

    order_hash: OrderHash
    """``NO_HASH`` when the text was not an order."""
    signed_order: bytes
    """JSON with every field of its version, whatever was sent: clients throw on less."""
    rejection: OrderRejected
    received: str | None = None
    """The text as it was sent, cut; only where it was not an order."""


def read_orders(
    texts: Iterable[bytes | msgspec.Raw],
    policy: validator.Policy,
    default_version: ProtocolVersion,
) -> list[Candidate | Refusal]:
    """Decode, hash and hold against the node's policy; one answer per text, in sequence."""
    return [_read_order(text, policy, default_version) for text in texts]


def _read_order(
    text: bytes | msgspec.Raw, policy: validator.Policy, default_version: ProtocolVersion
) -> Candidate | Refusal:
    try:
        order = codec.decode_order(text)
    except InvalidSchema as rejection:
        return Refusal(
            order_hash=NO_HASH,
            signed_order=msgspec.json.encode(codec.best_effort(text, default_version)),
            rejection=rejection,
            received=bytes(memoryview(text)[:MAX_RECEIVED]).decode(errors="replace"),
        )
    candidate = Candidate(order_hash=order_hash(order), order=order, body=codec.encode_order(order))
    try:
        validator.check_policy(order, candidate.body, policy)
    except OrderRejected as rejection:
        return refuse(candidate, rejection)
    return candidate


def check_orders(
    candidates: Sequence[Candidate], policy: validator.Policy
) -> list[Candidate | Refusal]:
    """Hold against the protocol's own rules and recover signatures, in sequence.

    Signatures only a contract can judge pass here and are asked of the chain.
    """
    checked: list[Candidate | Refusal] = []
    to_recover: list[int] = []
    for position, candidate in enumerate(candidates):
        try:
            validator.check_order(candidate.order, policy)
        except OrderRejected as rejection:
            checked.append(refuse(candidate, rejection))
            continue
        checked.append(candidate)
        if not signatures.needs_chain(candidate.order):
            to_recover.append(position)
    good = signatures.recover_many(
        (candidates[position].order_hash, candidates[position].order) for position in to_recover
    )
    for position, is_good in zip(to_recover, good, strict=True):
        if not is_good:
            checked[position] = refuse(
                candidates[position],
                OrderRejected(
                    RejectionCode.INVALID_SIGNATURE,
                    "the signature does not recover to makerAddress",
                ),
            )
    return checked


def once(
    read: Iterable[Candidate | Refusal], seen: set[OrderHash]
) -> Iterable[Candidate | Refusal]:
    """Leave out what stood in the request before; unreadable texts have no name to repeat."""
    for answer in read:
        if answer.order_hash != NO_HASH:
            if answer.order_hash in seen:
                continue
            seen.add(answer.order_hash)
        yield answer


def parted(
    answers: Iterable[Candidate | Refusal],
) -> tuple[list[Candidate], list[Refusal]]:
    """Return the candidates and the refusals, each in sequence."""
    candidates: list[Candidate] = []
    refusals: list[Refusal] = []
    for answer in answers:
        if isinstance(answer, Candidate):
            candidates.append(answer)
        else:
            refusals.append(answer)
    return candidates, refusals


def refuse(candidate: Candidate, rejection: OrderRejected) -> Refusal:
    """Return the refusal of a *candidate* that was readable."""
    return Refusal(
        order_hash=candidate.order_hash, signed_order=candidate.body, rejection=rejection
    )
