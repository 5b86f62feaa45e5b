"""Why something of the market is refused. The text of a stranger is quoted in part only.

    NodeError
    '- MarketRefusal               something will not be taken; nothing was stored
       |- MalformedContract        a field: which, and what was expected
       |- ContractTooLarge         more bytes than anybody may send
       |- ForeignContract          it speaks for another's GUID
       |- OtherNetwork             signed for another network than ours
       |- BadSignature             the native signature, or its chain, does not hold
       |- MalformedListing         a listing's or an index' own fields
       |- ListingOutdated          a newer one is known, or its time is over
       |- ImageRefused             a picture that is not decoded, or not decodable
       |- ClearSignRefused         a clear-signed text that proves nothing
       |  |- MalformedClearSign    not the layout of the original
       |  |- BadClearSignature     no valid signature by the certificate it names
       |  '- LegacySignature       made with SHA-1, which proves nothing any more
       |- ForbiddenTransition      what the state of a listing does not allow
       |- MalformedPeerMessage     a peer's message: which field, and what was expected
       '- RequestRefused           what a client of ``/ws`` asked for is not done
          |- MalformedRequest      no envelope with a command in it
          |- MalformedParams       a parameter: which, and what was expected
          |- UnknownCommand        a word that this API does not have
          |- OwnerOnly             it was not the owner who asked
          '- CommandUnavailable    understood, and not to be had here
             '- TradeUnavailable   it would move money

``field`` names a place as its sender would write it: ``Contract.item_price``. It is empty where
the whole is meant.
"""

from __future__ import annotations

from fondaco.errors import NodeError, Verdict
from fondaco.market.limits import MAX_QUOTED


class MarketRefusal(NodeError):
    """Something of the market will not be taken; nothing was stored.

    Args:
        field: its path, or "" for the whole.
        expected: what would have been taken.
    """

    code = "Refused"
    verdict = Verdict.REJECT

    def __init__(self, field: str, expected: str) -> None:
        super().__init__(f"{field}: expected {expected}" if field else f"expected {expected}")
        self.field = field
        self.expected = expected


class MalformedContract(MarketRefusal):
    """A field of a contract is missing, has another type or is out of bounds."""

    code = "MalformedContract"


class ContractTooLarge(MarketRefusal):
    """More bytes than anybody may send."""

    code = "ContractTooLarge"

    def __init__(self, size: int, limit: int) -> None:
        super().__init__("", f"at most {limit} bytes, not {size}")


class ForeignContract(MarketRefusal):
    """A contract that names another seller than the one who signs it."""

    code = "ForeignContract"

    def __init__(self, field: str = "Seller.seller_GUID") -> None:
        super().__init__(field, "the GUID of the key that signs")


class OtherNetwork(MarketRefusal):
    """Signed for another network. Who passes it on may serve both."""

    code = "OtherNetwork"
    verdict = Verdict.IGNORE


class BadSignature(MarketRefusal):
    """The native signature, or the chain it belongs to, does not hold."""

    code = "BadSignature"


class MalformedListing(MarketRefusal):
    """A listing or a store index that breaks a rule of its own fields."""

    code = "MalformedListing"


class ListingOutdated(MarketRefusal):
    """Overtaken by a newer version or by time, which the sender may not have known."""

    code = "ListingOutdated"
    verdict = Verdict.IGNORE


class ImageRefused(MarketRefusal):
    """A picture that is not decoded because it is too large, or that cannot be."""

    code = "ImageRefused"


class ClearSignRefused(MarketRefusal):
    """A clear-signed text that proves nothing."""

    code = "ClearSignRefused"

    def __init__(self, expected: str, field: str = "signed_contract_body") -> None:
        super().__init__(field, expected)


class MalformedClearSign(ClearSignRefused):
    """Not laid out as the original does it."""

    code = "MalformedClearSign"


class BadClearSignature(ClearSignRefused):
    """No valid signature by the certificate that the layer itself names."""

    code = "BadClearSignature"


class LegacySignature(ClearSignRefused):
    """Made with SHA-1, as was usual in 2014: legacy, weak.

    Whoever may choose two texts can today make one signature fit both. Such a contract can be
    shown as what somebody kept, not as what its seller said.
    """

    code = "LegacySignature"
    verdict = Verdict.IGNORE


class ForbiddenTransition(MarketRefusal):
    """What the state of a listing does not allow."""

    code = "ForbiddenTransition"
    verdict = Verdict.IGNORE


class MalformedPeerMessage(MarketRefusal):
    """A message of a peer that no honest node of this network sends."""

    code = "MalformedPeerMessage"


class RequestRefused(MarketRefusal):
    """What a client of ``/ws`` asked for is not done. It is told so in an error frame."""

    code = "RequestRefused"
    verdict = Verdict.IGNORE


class MalformedRequest(RequestRefused):
    """A message that is no envelope with a command in it."""

    code = "MalformedRequest"


class MalformedParams(RequestRefused):
    """A parameter of a command that is missing, has another type or is out of bounds."""

    code = "MalformedParams"


class UnknownCommand(RequestRefused):
    """A command that this API does not have."""

    code = "UnknownCommand"

    def __init__(self, name: str) -> None:
        short = name if len(name) <= MAX_QUOTED else name[:MAX_QUOTED] + "..."
        super().__init__("command", f"a command of this API, not {short!r}")


class OwnerOnly(RequestRefused):
    """A command for the owner of the node, asked for by somebody else."""

    code = "OwnerOnly"

    def __init__(self, name: str) -> None:
        super().__init__("command", f"the node's owner, for {name}")


class CommandUnavailable(RequestRefused):
    """A command that is understood, and that this node cannot do; the text says why."""

    code = "CommandUnavailable"

    def __init__(self, name: str, reason: str) -> None:
        NodeError.__init__(self, f"{name}: {reason}")
        self.field = "command"
        self.expected = "another command"


class TradeUnavailable(CommandUnavailable):
    """A command that would move money."""

    code = "TradeUnavailable"
