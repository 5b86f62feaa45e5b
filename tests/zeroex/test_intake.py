"""The steps that need nothing but the orders: their sequence, and what a refusal shows."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from fondaco.errors import Verdict
from fondaco.testing.orders import OTHER_MAKER_KEY, make_order
from fondaco.zeroex import codec, signatures
from fondaco.zeroex.eip712 import order_hash
from fondaco.zeroex.errors import InvalidSchema, OrderRejected, RejectionCode
from fondaco.zeroex.intake import (
    MAX_RECEIVED,
    NO_HASH,
    Candidate,
    Refusal,
    check_orders,
    read_orders,
    refuse,
)
from fondaco.zeroex.order import Address, Amount, ProtocolVersion, SignedOrder
from fondaco.zeroex.schema import WireV2, WireV3
from fondaco.zeroex.service import CHECK_SLICE
from fondaco.zeroex.validator import Policy
from support.chain_words import CONTRACTS
from support.order_bench import OrderBench, names, orders

V2, V3 = ProtocolVersion.V2, ProtocolVersion.V3
POLICY = Policy(contracts=CONTRACTS)
ORDER = make_order()
BODY = codec.encode_order(ORDER)
STRANGER = Address(b"\x77" * 20)


def forged(salt: int = 1) -> SignedOrder:
    """Return an order that somebody else than its maker has signed."""
    other = make_order(salt=salt, maker_key=OTHER_MAKER_KEY)
    return make_order(salt=salt, signature=other.signature)


def read(*texts: bytes | msgspec.Raw, version: ProtocolVersion = V3) -> list[Candidate | Refusal]:
    return read_orders(texts, POLICY, version)


def candidates(*given: SignedOrder) -> list[Candidate]:
    """Return orders as ``read_orders`` does when no policy is in their way."""
    return [
        Candidate(order_hash=order_hash(order), order=order, body=codec.encode_order(order))
        for order in given
    ]


def code(answer: Candidate | Refusal) -> str:
    """Return why it was refused, nothing when it was not."""
    return answer.rejection.code if isinstance(answer, Refusal) else ""


def refused(answer: Candidate | Refusal) -> Refusal:
    assert isinstance(answer, Refusal)
    return answer


# ---------------------------------------------------------------- reading


@pytest.mark.parametrize("version", [V2, V3])
@pytest.mark.parametrize("wrap", [bytes, msgspec.Raw])
def test_what_is_read_is_named_and_spelled_in_one_way(
    version: ProtocolVersion, wrap: type[bytes] | type[msgspec.Raw]
) -> None:
    order = make_order(version=version)
    body = codec.encode_order(order)
    spelled_otherwise = b" " + msgspec.json.encode({**msgspec.json.decode(body), "note": "hello"})
    assert read(wrap(spelled_otherwise)) == candidates(order)


def test_the_sequence_is_kept_and_repeats_are_left_alone() -> None:
    """Whether a repeat matters is for the caller to say."""
    other = make_order(salt=2)
    texts = [BODY, b"{}", codec.encode_order(other), BODY, b"{}"]
    answers = read(*texts)
    assert [code(answer) for answer in answers] == ["", "InvalidSchema", "", "", "InvalidSchema"]
    assert [answer.order_hash for answer in answers] == [
        order_hash(ORDER),
        NO_HASH,
        order_hash(other),
        order_hash(ORDER),
        NO_HASH,
    ]
    assert answers[0] == answers[3]


def test_a_repeat_is_checked_like_the_first() -> None:
    (good, bad) = candidates(ORDER, forged())
    assert [code(answer) for answer in check_orders([good, bad, good, bad], POLICY)] == [
        "",
        "OrderHasInvalidSignature",
        "",
        "OrderHasInvalidSignature",
    ]


def test_nothing_sent_is_nothing_said() -> None:
    assert (read(), check_orders([], POLICY)) == ([], [])


# ---------------------------------------------------------------- stage by stage


def test_the_form_is_judged_before_the_policy() -> None:
    elsewhere = {**msgspec.json.decode(BODY), "chainId": 7}
    assert code(read(msgspec.json.encode(elsewhere))[0]) == "OrderForIncorrectChain"
    assert code(read(msgspec.json.encode({**elsewhere, "salt": "x"}))[0]) == "InvalidSchema"


def test_the_policy_is_judged_before_the_protocol() -> None:
    """Wrong in every way: a stage says its own, and nothing of the later ones."""
    wrong = make_order(
        sender_address=STRANGER, maker_asset_amount=Amount(0), signature=forged().signature
    )
    (answer,) = read(codec.encode_order(wrong))
    assert code(answer) == "SenderAddressNotAllowed"
    wrong = replace(wrong, sender_address=ORDER.sender_address)
    (answer,) = read(codec.encode_order(wrong))
    assert isinstance(answer, Candidate)  # amounts and signature are looked at later
    (answer,) = check_orders([answer], POLICY)
    assert code(answer) == "OrderHasInvalidMakerAssetAmount"
    wrong = replace(wrong, maker_asset_amount=Amount(1))
    (answer,) = check_orders(candidates(wrong), POLICY)
    assert code(answer) == "OrderHasInvalidSignature"


def test_the_policy_is_judged_once() -> None:
    """The maximum may fall while an order is on its way; the store has the last word."""
    low = replace(POLICY, max_expiration=ORDER.expiration_time_seconds - 1)
    assert code(read_orders([BODY], low, V3)[0]) == "OrderMaxExpirationExceeded"
    assert check_orders(candidates(ORDER), low) == candidates(ORDER)


def test_a_refusal_of_what_was_read_shows_it_as_it_is_spelled_here() -> None:
    order = make_order(sender_address=STRANGER)
    (answer,) = read(b"\n" + codec.encode_order(order))
    refusal = refused(answer)
    assert refusal.order_hash == order_hash(order)
    assert refusal.signed_order == codec.encode_order(order)
    assert refusal.received is None


def test_refuse_keeps_name_spelling_and_reason() -> None:
    rejection = OrderRejected(RejectionCode.UNFUNDED, "0 of 42 can be delivered")
    refusal = refuse(candidates(ORDER)[0], rejection)
    assert (refusal.order_hash, refusal.signed_order, refusal.received) == (
        order_hash(ORDER),
        BODY,
        None,
    )
    assert refusal.rejection is rejection


# ---------------------------------------------------------------- what is no order


def shown(refusal: Refusal) -> dict[str, Any]:
    decoded = msgspec.json.decode(refusal.signed_order)
    assert isinstance(decoded, dict)
    return decoded


@pytest.mark.parametrize(
    ("text", "default", "fields"),
    [
        (b"7", V2, WireV2.__struct_fields__),
        (b"not JSON", V3, WireV3.__struct_fields__),
        (b"", V3, WireV3.__struct_fields__),
        (b'{"chainId":1337}', V2, WireV3.__struct_fields__),  # its own mark goes first
        (b'{"salt":"1"}', V3, WireV2.__struct_fields__),
    ],
)
def test_every_field_of_its_version_is_shown(
    text: bytes, default: ProtocolVersion, fields: tuple[str, ...]
) -> None:
    refusal = refused(read(text, version=default)[0])
    assert (code(refusal), refusal.order_hash) == ("InvalidSchema", NO_HASH)
    assert tuple(shown(refusal)) == fields
    assert {name: value for name, value in shown(refusal).items() if value is None} == {}
    assert refusal.received == text.decode()


def test_what_can_be_read_is_shown_and_the_fault_is_named() -> None:
    text = msgspec.json.encode({**msgspec.json.decode(BODY), "makerAddress": "0xhi"})
    refusal = refused(read(text)[0])
    assert isinstance(refusal.rejection, InvalidSchema)
    assert refusal.rejection.field == "makerAddress"
    assert refusal.rejection.errors[0].startswith("makerAddress: Does not match pattern")
    assert refusal.rejection.verdict is Verdict.REJECT
    assert shown(refusal) == {**msgspec.json.decode(BODY), "makerAddress": "0x" + "00" * 20}


@pytest.mark.parametrize("size", [MAX_RECEIVED - 1, MAX_RECEIVED, MAX_RECEIVED + 1, 50_000])
def test_a_long_text_is_sent_back_cut(size: int) -> None:
    assert MAX_RECEIVED == 1024
    text = b'"' + b"x" * (size - 2) + b'"'
    for given in (text, msgspec.Raw(text)):
        assert refused(read(given)[0]).received == text[:1024].decode()


def test_the_cut_may_go_through_a_letter() -> None:
    refusal = refused(read(b"x" * 1023 + "é".encode() + b"y")[0])
    assert refusal.received == "x" * 1023 + "\N{REPLACEMENT CHARACTER}"


def test_bytes_that_are_no_text_are_sent_back_as_text() -> None:
    refusal = refused(read(b'{"a":"\xff"}')[0])
    assert refusal.received == '{"a":"\N{REPLACEMENT CHARACTER}"}'


# ---------------------------------------------------------------- signatures


def mixed(count: int) -> list[Candidate]:
    """Return good, forged, contract-signed and misshapen orders in turns."""
    makers = (
        lambda salt: make_order(salt=salt),
        forged,
        lambda salt: make_order(salt=salt, signature=b"\x04"),
        lambda salt: make_order(salt=salt, signature=b"\x02"),
        lambda salt: make_order(salt=salt, version=V2),
    )
    return candidates(*(makers[number % 5](number) for number in range(count)))


def test_each_answer_stands_where_its_order_stood() -> None:
    given = mixed(20)
    answers = check_orders(given, POLICY)
    bad = "OrderHasInvalidSignature"
    assert [code(answer) for answer in answers] == ["", bad, "", bad, ""] * 4
    assert [answer.order_hash for answer in answers] == [one.order_hash for one in given]
    assert [answer for answer in answers if isinstance(answer, Candidate)] == [
        one for number, one in enumerate(given) if number % 5 in (0, 2, 4)
    ]


def test_a_forgery_and_a_bad_form_have_their_own_words() -> None:
    _, forgery, _, misshapen, _ = check_orders(mixed(5), POLICY)
    assert refused(forgery).rejection.detail == "the signature does not recover to makerAddress"
    assert refused(misshapen).rejection.detail == "type 2 takes 66 bytes, not 1"


def test_what_only_a_contract_can_judge_passes() -> None:
    for kind in (b"\x04", b"\x06", b"\x07"):
        (given,) = candidates(make_order(signature=kind))
        assert signatures.needs_chain(given.order)
        assert check_orders([given], POLICY) == [given]
    (given,) = candidates(make_order(version=V2, signature=b"\x07"))
    assert code(check_orders([given], POLICY)[0]) == "OrderHasInvalidSignature"


@pytest.mark.parametrize("size", [1, 7, 20])
def test_slices_say_what_the_whole_says(size: int) -> None:
    given = mixed(20)
    sliced = [
        (code(answer), answer.order_hash)
        for start in range(0, len(given), size)
        for answer in check_orders(given[start : start + size], POLICY)
    ]
    whole = [(code(answer), answer.order_hash) for answer in check_orders(given, POLICY)]
    assert sliced == whole


async def test_forgeries_at_the_borders_of_slices_are_found(bench: OrderBench) -> None:
    """The service checks slices in different threads and puts them together again."""
    sent = orders(2 * CHECK_SLICE + 1)
    for place in (0, CHECK_SLICE - 1, CHECK_SLICE, 2 * CHECK_SLICE):
        sent[place] = forged(salt=place + 1)
    bad = [sent[place] for place in (0, CHECK_SLICE - 1, CHECK_SLICE, 2 * CHECK_SLICE)]
    async with bench.watching():
        result = await bench.add(*sent)
    assert [refusal.order_hash for refusal in result.rejected] == names(*bad)
    assert [accepted.order_hash for accepted in result.accepted] == names(
        *(order for order in sent if order not in bad)
    )
