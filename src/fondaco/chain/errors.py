"""What can go wrong between the node and an Ethereum endpoint.

NodeError
|- EndpointError              the endpoint understood, and answered with an error
|  '- Reverted                a call ran, and the contract refused
|- AbiError                   bytes from a contract are not what its interface promises
'- Unavailable
   |- BlockGone               the block asked for is not (or no longer) on the chain
   '- EndpointUnavailable     no usable answer: network, time-out, HTTP status
      |- MalformedAnswer      an answer that no honest endpoint gives
      '- BudgetExhausted      we did not even ask: our own limit on requests
         '- DailyBudgetExhausted
"""

from __future__ import annotations

from fondaco.errors import NodeError, Unavailable


class EndpointError(NodeError):
    """The endpoint answered with a JSON-RPC error.

    Args:
        rpc_code: the ``code`` member; its meaning differs between providers.
        message: the ``message`` member, cut to ``limits.ERROR_TEXT_KEPT``.
        data: the ``data`` member, decoded from JSON, or None.
    """

    code = "EthRPCRequestFailed"

    def __init__(self, rpc_code: int, message: str, data: object = None) -> None:
        super().__init__(f"{message} (code {rpc_code})")
        self.rpc_code = rpc_code
        self.message = message
        self.data = data


class Reverted(EndpointError):
    """A contract call ran and failed: revert, invalid opcode or out of gas.

    Args:
        output: the bytes the contract reverted with; empty where the node does not say.
    """

    code = "Reverted"

    def __init__(
        self, rpc_code: int, message: str, data: object = None, *, output: bytes = b""
    ) -> None:
        super().__init__(rpc_code, message, data)
        self.output = output


class AbiError(NodeError):
    """Bytes of a contract (log or answer) do not fit its interface."""

    code = "AbiError"


class BlockGone(Unavailable):
    """The endpoint does not know the block: reorganised away, or not there yet."""

    code = "BlockGone"


class EndpointUnavailable(Unavailable):
    """The endpoint gave no usable answer.

    Args:
        status: the HTTP status, where one was received.
        retry_after: seconds the endpoint asked us to stay away, where it did.
    """

    code = "EthRPCRequestFailed"

    def __init__(
        self, problem: str, *, status: int | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(problem)
        self.status = status
        self.retry_after = retry_after


class MalformedAnswer(EndpointUnavailable):
    """An answer of the wrong shape: not JSON, wrong id, wrong type, wrong length."""


class AnswerTooLarge(EndpointUnavailable):
    """An answer over ``limits.MAX_ANSWER_SIZE``; a smaller question may succeed."""


class BudgetExhausted(EndpointUnavailable):
    """Our own limit of requests per second left no room before the time-out."""


class DailyBudgetExhausted(BudgetExhausted):
    """Our own limit of requests per UTC day is used up."""

    def __init__(self) -> None:
        # Letter for letter the text of 0x Mesh v7-v9: clients and operators look for it.
        super().__init__("too many Ethereum RPC requests have been sent this 24 hour period")
