"""Which orders a node trades, as a JSON schema, and the names that follow from it.

    CUSTOM_ORDER_FILTER --> CustomSchema --+--> check / errors     (any order)
                                           '--> topic, rendezvous  (v3 gossip)

Nodes with the same filter find each other because its canonical text is part of the
names; a filter can be rebuilt from a name. v2 has no filters, its names are fixed.

Source: 0x Mesh ``orderfilter`` v9.4.3 and ``core`` v6 (names); the wording of faults is
that of its schema library.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec
from jsonschema_rs import Draft7Validator, RegexOptions, ValidationError

from fondaco.errors import InvalidParameter, Verdict
from fondaco.zeroex.codec import decode_order, encode_order
from fondaco.zeroex.errors import InvalidSchema
from fondaco.zeroex.limits import MAX_FILTER_SIZE, MAX_SCHEMA_ERRORS
from fondaco.zeroex.order import Address, ProtocolVersion, SignedOrder

DEFAULT_SCHEMA = "{}"
"""The filter that every order satisfies."""

_ANY_SPELLING = re.compile(
    r"/0x-orders/version/3/chain/(0|[1-9][0-9]{0,18})/schema/([A-Za-z0-9_=-]+)"
)


class CustomSchema:
    """A JSON schema (draft 7) that orders must satisfy besides being orders.

    It is held against the order as ``codec.encode_order`` spells it: lower-case hex,
    no extra properties. Its cost is bounded by its length, so a stranger's filter
    cannot hold the node up: patterns run in linear time, and there is no ``$ref``,
    with which a few lines could ask for ever or for a page from the network.

    Args:
        text: the schema, a JSON object.

    Raises:
        InvalidParameter: *text* is over MAX_FILTER_SIZE, not a JSON object, no schema,
            or has a reference.
    """

    def __init__(self, text: str = DEFAULT_SCHEMA) -> None:
        if len(text.encode(errors="surrogatepass")) > MAX_FILTER_SIZE:
            raise InvalidParameter("customOrderSchema", f"at most {MAX_FILTER_SIZE} bytes")
        try:
            schema: Any = json.loads(text)
            self.text = json.dumps(
                schema, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
            )
            self.text.encode()
        except (ValueError, RecursionError):
            raise InvalidParameter("customOrderSchema", "JSON") from None
        if not isinstance(schema, dict):
            raise InvalidParameter("customOrderSchema", "a JSON object")
        if _has_reference(schema):
            raise InvalidParameter("customOrderSchema", "a schema without $ref")
        try:
            self._validator = Draft7Validator(
                schema, offline=True, pattern_options=RegexOptions(size_limit=MAX_FILTER_SIZE * 16)
            )
        except (ValidationError, ValueError) as fault:
            problem = str(fault).partition("\n")[0]
            raise InvalidParameter("customOrderSchema", f"a JSON schema: {problem}") from None
        self.is_default = not schema

    def errors(self, order: dict[str, Any]) -> list[str]:
        """Return every fault of *order* (a JSON object), none when it satisfies."""
        faults: list[str] = []
        for fault in self._validator.iter_errors(order):
            faults.append(_in_words(fault))
            if len(faults) == MAX_SCHEMA_ERRORS:
                break
        return faults

    def accepts(self, order: dict[str, Any]) -> bool:
        """Return whether *order* (a JSON object) satisfies."""
        return self._validator.is_valid(order)

    def check(self, body: bytes) -> None:
        """Accept the order spelled *body* when it satisfies the schema.

        Raises:
            InvalidSchema: it does not. Nobody is blamed: the filter is our own.
        """
        order = msgspec.json.decode(body)
        if self._validator.is_valid(order):
            return
        faults = self.errors(order)
        rejection = InvalidSchema(faults[0].partition(":")[0] if faults else "(root)", faults)
        rejection.verdict = Verdict.IGNORE
        raise rejection


def _has_reference(schema: object) -> bool:
    pending = [schema]
    while pending:
        match pending.pop():
            case dict() as part if "$ref" in part:
                return True
            case dict() as part:
                pending += part.values()
            case list() as parts:
                pending += parts
    return False


def _in_words(fault: ValidationError) -> str:
    """Say *fault* as Mesh's schema library does, where its words are known."""
    path = ".".join(map(str, fault.instance_path))
    name = path or "(root)"
    kind = fault.kind.as_dict()
    match fault.kind.name:
        case "required":
            return f"{name}: {kind['property']} is required"
        case "const":
            return f"{name}: {name} does not match: {_shown(kind['expected_value'])}"
        case "enum":
            options = ", ".join(map(_shown, kind["options"]))
            return f"{name}: {name} must be one of the following: {options}"
        case "pattern":
            return f"{name}: Does not match pattern '{kind['pattern']}'"
        case _:
            return f"{name}: {fault.message}"


def _shown(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


class OrderFilter:
    """Which v3 orders travel on one topic: chain, exchange and custom schema.

    Args:
        chain_id: EIP-155 chain.
        exchange: the v3 Exchange on it.
        schema: what orders must satisfy besides.
    """

    def __init__(self, chain_id: int, exchange: Address, schema: CustomSchema) -> None:
        self.chain_id = chain_id
        self.exchange = exchange
        self.schema = schema

    @classmethod
    def from_topic(cls, topic: str, exchange: Address) -> OrderFilter:
        """Return the filter whose topic is *topic*.

        Raises:
            InvalidParameter: *topic* is of another version, or not one we would print.
        """
        match = _ANY_SPELLING.fullmatch(topic)
        if match is None:
            raise InvalidParameter("topic", "/0x-orders/version/3/chain/<id>/schema/<base64>")
        try:
            text = base64.b64decode(match[2], altchars=b"-_", validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise InvalidParameter("topic", "a schema in URL-safe base64") from None
        found = cls(int(match[1]), exchange, CustomSchema(text))
        if found.topic != topic:
            raise InvalidParameter("topic", f"the canonical spelling {found.topic}")
        return found

    @property
    def topic(self) -> str:
        """The gossip topic of these orders."""
        return f"/0x-orders/version/3/chain/{self.chain_id}/schema/{self._encoded_schema}"

    @property
    def rendezvous(self) -> str:
        """Where nodes with the same custom schema meet."""
        return (
            f"/0x-custom-filter-rendezvous/version/1/chain/{self.chain_id}"
            f"/schema/{self._encoded_schema}"
        )

    @property
    def _encoded_schema(self) -> str:
        return base64.urlsafe_b64encode(self.schema.text.encode()).decode()

    def errors(self, raw: bytes | msgspec.Raw) -> list[str]:
        """Return every fault of the order *raw*, none when it may travel here."""
        try:
            order = decode_order(raw)
        except InvalidSchema as rejection:
            faults = list(rejection.errors) or [rejection.message]
            if any(fault.startswith("exchangeAddress:") for fault in faults):
                faults.append(self._exchange_fault)
            return faults
        return self.errors_of(order)

    def errors_of(self, order: SignedOrder) -> list[str]:
        """Return every fault of *order*, none when it may travel here."""
        faults = list(self._destination_errors(order))
        return faults + self.schema.errors(msgspec.json.decode(encode_order(order)))

    def _destination_errors(self, order: SignedOrder) -> Iterator[str]:
        if order.version is ProtocolVersion.V2:
            yield "(root): chainId is required"
        elif order.chain_id != self.chain_id:
            yield f"chainId: chainId does not match: {self.chain_id}"
        if order.exchange_address != self.exchange:
            yield self._exchange_fault

    @property
    def _exchange_fault(self) -> str:
        only = f'"0x{self.exchange.hex()}"'
        return f"exchangeAddress: exchangeAddress must be one of the following: {only}"

    def matches(self, raw: bytes | msgspec.Raw) -> bool:
        """Return whether the order *raw* may travel here."""
        return not self.errors(raw)

    def matches_message(self, raw: bytes) -> bool:
        """Return whether the gossip message *raw* carries an order that may travel here."""
        try:
            message = msgspec.json.decode(raw, type=_Message)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return False
        has_topic = bool(message.topics)
        return has_topic and "order" in message.messageType and self.matches(message.order)


class _Message(msgspec.Struct, gc=False):
    """A v9 gossip message."""

    messageType: str
    order: msgspec.Raw
    topics: list[str]


def pubsub_topic(version: ProtocolVersion, chain_id: int, schema: CustomSchema) -> str:
    """Return the topic on which orders of *version* are shared. v2 has no *schema*."""
    if version is ProtocolVersion.V2:
        return f"/0x-orders/network/{chain_id}/version/1"
    return OrderFilter(chain_id, Address(bytes(20)), schema).topic


def rendezvous_points(
    version: ProtocolVersion, chain_id: int, schema: CustomSchema
) -> tuple[str, ...]:
    """Return where a node looks for peers, the most specific point first."""
    if version is ProtocolVersion.V2:
        return (f"/0x-mesh/network/{chain_id}/version/1",)
    everybody = f"/0x-mesh/network/{chain_id}/version/2"
    if schema.is_default:
        return (everybody,)
    return (OrderFilter(chain_id, Address(bytes(20)), schema).rendezvous, everybody)
