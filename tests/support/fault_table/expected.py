"""What comes of a fault: the status, and how often each target is asked."""

from dataclasses import dataclass
from typing import NamedTuple

import grpc

Code = grpc.StatusCode


class Status(NamedTuple):
    """How a call fails; `cause` is in the metadata of an interrupted stream."""

    code: Code
    reason: str
    cause: str = ""


def interrupted(cause: str) -> Status:
    """How a stream fails that had begun."""
    return Status(Code.UNAVAILABLE, "STREAM_INTERRUPTED", cause)


PROTOCOL = Status(Code.INTERNAL, "PROVIDER_PROTOCOL_ERROR")
ERROR = Status(Code.UNAVAILABLE, "PROVIDER_ERROR")
TIMEOUT = Status(Code.UNAVAILABLE, "PROVIDER_TIMEOUT")
RATE = Status(Code.RESOURCE_EXHAUSTED, "PROVIDER_RATE_LIMITED")
QUOTA = Status(Code.RESOURCE_EXHAUSTED, "PROVIDER_QUOTA_EXHAUSTED")
CREDENTIALS = Status(Code.INTERNAL, "PROVIDER_CREDENTIALS_REJECTED")
REJECTED = Status(Code.INVALID_ARGUMENT, "PROVIDER_REJECTED_REQUEST")
CONTEXT = Status(Code.INVALID_ARGUMENT, "CONTEXT_LENGTH_EXCEEDED")
BLOCKED = Status(Code.INVALID_ARGUMENT, "CONTENT_BLOCKED")
TOO_LARGE = Status(Code.INVALID_ARGUMENT, "REQUEST_TOO_LARGE")
NOT_FOUND = Status(Code.NOT_FOUND, "MODEL_NOT_FOUND")
CONFLICT = Status(Code.ABORTED, "PROVIDER_CONFLICT")
OVERLOADED = Status(Code.UNAVAILABLE, "PROVIDER_OVERLOADED")
DEADLINE = Status(Code.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED")


@dataclass(frozen=True)
class Course:
    """How often a failing target is asked, by the class of its failure.

    `alone`: where there is no other. `routed`: where there is a healthy one, how often each of
    the two. `is_answered`: the healthy one's answer reaches the caller; else the failure does.
    """

    alone: int
    routed: tuple[int, int]
    is_answered: bool = True


FAULT = Course(2, (2, 1))
"""Once more on the same target, on a fresh connection, then elsewhere."""
UNREACHED = Course(2, (1, 1))
"""Nothing was sent: elsewhere at once, and once more only where there is nobody else."""
LATE = Course(1, (1, 1))
"""Never the same target again: it was late, or it will refuse again."""
CALLERS = Course(1, (1, 0), is_answered=False)
"""The request's own fault; nobody else is asked."""
PUSHED_BACK = Course(1, (1, 1))
"""Elsewhere at once; the wait does not fit into what is left of the call."""
PATIENT = Course(3, (2, 1))
"""A short wait that the provider asks for is waited out; the last attempt is somebody else's."""
MIDWAY = Course(2, (1, 1))
"""After content: elsewhere, and once more on the same target only where there is nobody else."""
