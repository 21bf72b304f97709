"""What a failed attempt means for the next one: the classes of the design's page on resilience."""

from __future__ import annotations

import enum
from typing import Final

from msgspec import Struct

from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.resilience.retry_budget import BACKPRESSURE_COST, FAULT_COST


class FailureClass(enum.Enum):
    """Whose failure it is, and with that what may follow."""

    CALLER = "caller"
    """The request itself is refused; anybody would refuse it."""
    CONTEXT = "context"
    """The prompt does not fit here; it may fit into a larger model."""
    CREDENTIAL = "credential"
    """The gateway's key is refused, or its account is empty."""
    BACKPRESSURE = "backpressure"
    """The provider asks for less; it is not broken."""
    FAULT = "fault"
    """The provider or the way to it is broken."""
    CONFLICT = "conflict"
    """The provider saw another request in the way; once more may do."""
    TIMEOUT = "timeout"
    """A fault that took its time: the same target would take it again."""
    SLOW = "slow"
    """No first content within its timer."""
    MISSING = "missing"
    """The provider does not have the model that a route leads to."""
    INCAPABLE = "incapable"
    """The target's dialect has no words for the request; nothing was sent."""
    NOBODYS = "nobodys"
    """The caller's deadline, a drain, a bug: no attempt would help."""


class Rules(Struct, frozen=True):
    """What may follow a failure of a class.

    `same`: the same target may be asked once more; `other`: another target may be asked;
    `cost`: what the next attempt takes from the failed target's retry budget.
    """

    same: bool
    other: bool
    cost: float


RULES: Final = {
    FailureClass.CALLER: Rules(same=False, other=False, cost=0.0),
    FailureClass.CONTEXT: Rules(same=False, other=True, cost=BACKPRESSURE_COST),
    FailureClass.CREDENTIAL: Rules(same=False, other=True, cost=FAULT_COST),
    FailureClass.BACKPRESSURE: Rules(same=True, other=True, cost=BACKPRESSURE_COST),
    FailureClass.FAULT: Rules(same=True, other=True, cost=FAULT_COST),
    FailureClass.CONFLICT: Rules(same=True, other=True, cost=FAULT_COST),
    FailureClass.TIMEOUT: Rules(same=False, other=True, cost=FAULT_COST),
    FailureClass.SLOW: Rules(same=False, other=True, cost=FAULT_COST),
    FailureClass.MISSING: Rules(same=False, other=True, cost=FAULT_COST),
    FailureClass.INCAPABLE: Rules(same=False, other=True, cost=0.0),
    FailureClass.NOBODYS: Rules(same=False, other=False, cost=0.0),
}

_CLASSES: Final = {
    Reason.PROVIDER_REJECTED_REQUEST: FailureClass.CALLER,
    Reason.REQUEST_TOO_LARGE: FailureClass.CALLER,
    Reason.CONTENT_BLOCKED: FailureClass.CALLER,
    Reason.REQUEST_INVALID: FailureClass.CALLER,
    Reason.CAPABILITY_UNSUPPORTED: FailureClass.INCAPABLE,
    Reason.CONTEXT_LENGTH_EXCEEDED: FailureClass.CONTEXT,
    Reason.PROVIDER_CREDENTIALS_REJECTED: FailureClass.CREDENTIAL,
    Reason.PROVIDER_QUOTA_EXHAUSTED: FailureClass.CREDENTIAL,
    Reason.PROVIDER_RATE_LIMITED: FailureClass.BACKPRESSURE,
    Reason.PROVIDER_OVERLOADED: FailureClass.BACKPRESSURE,
    Reason.PROVIDER_ERROR: FailureClass.FAULT,
    Reason.PROVIDER_PROTOCOL_ERROR: FailureClass.FAULT,
    Reason.PROVIDER_CONFLICT: FailureClass.CONFLICT,
    Reason.PROVIDER_TIMEOUT: FailureClass.TIMEOUT,
    Reason.MODEL_NOT_FOUND: FailureClass.MISSING,
}


class FirstContentTimeoutError(GatewayError):
    """An attempt that brought no content before its timer."""


def class_of(error: GatewayError) -> FailureClass:
    """The class of a failed attempt."""
    if isinstance(error, FirstContentTimeoutError):
        return FailureClass.SLOW
    return _CLASSES.get(error.reason, FailureClass.NOBODYS)
