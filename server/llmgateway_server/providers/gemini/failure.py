"""What Google's error means: by its details, then its words, then the HTTP status.

Source: https://ai.google.dev/gemini-api/docs/generate-content/api-errors,
https://ai.google.dev/gemini-api/docs/rate-limits, recorded errors and public reports of others.
"""

from __future__ import annotations

import re
from typing import Any, Final

from llmgateway_server.domain.errors import Reason
from llmgateway_server.providers.dialect import Failure
from llmgateway_server.providers.errors import reason_of_status
from llmgateway_server.providers.gemini.error_body import ErrorBody, error_of, read_error

# google.rpc.Code as HTTP: https://cloud.google.com/apis/design/errors#handling_errors.
_STATUSES: Final = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "ALREADY_EXISTS": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 500,
    "UNKNOWN": 500,
    "INTERNAL": 500,
    "DATA_LOSS": 500,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}

# What a message says beside a status that says less, or the wrong thing.
_TELLING_WORDS: Final = (
    (
        frozenset({400}),
        re.compile(r"token count.{0,40}(?:exceeds|only supports)", re.IGNORECASE),
        Reason.CONTEXT_LENGTH_EXCEEDED,
    ),
    (
        frozenset({400}),
        re.compile(r"payload size exceeds", re.IGNORECASE),
        Reason.REQUEST_TOO_LARGE,
    ),
    # Our account's trouble with status 400; a key is refused with it too.
    (
        frozenset({400}),
        re.compile(
            r"api key (?:not valid|expired|not found)|location is not supported|enable billing",
            re.IGNORECASE,
        ),
        Reason.PROVIDER_CREDENTIALS_REJECTED,
    ),
    # A file or a cache that the caller names and that is not there: our key is good.
    (
        frozenset({403}),
        re.compile(r"may not exist|CachedContent not found", re.IGNORECASE),
        Reason.PROVIDER_REJECTED_REQUEST,
    ),
    (
        frozenset({429}),
        re.compile(r"credits are depleted|spending cap|spend limit", re.IGNORECASE),
        Reason.PROVIDER_QUOTA_EXHAUSTED,
    ),
    (
        frozenset({500, 503}),
        re.compile(r"overloaded|high demand|out of capacity", re.IGNORECASE),
        Reason.PROVIDER_OVERLOADED,
    ),
)

_LIMIT: Final = re.compile(r"(?:allowed|supports up to)[ (]{0,2}([0-9]{1,9})")
_REQUESTED: Final = re.compile(r"token count (?:is )?\(?([0-9]{1,9})")


def failure_of_response(status: int, body: bytes) -> Failure:
    """The failure behind an HTTP status of 400 or more; never raises."""
    return _failure(read_error(body), status)


def failure_in_answer(error: Any) -> Failure:
    """The failure behind the value of `error` in a body or a chunk that came with 200.

    The status that it names counts as if it had come by HTTP, so that a call fails in the same
    way whether it is streamed or not.
    """
    read = error_of(error)
    return _failure(read, read.code or 500)


def _failure(error: ErrorBody, status: int) -> Failure:
    reason = _reason(error, _STATUSES.get(error.status, status))
    code = error.reason or error.status or (str(error.code) if error.code else "")
    # Google asks to wait some seconds even where a day's quota is used up.
    wait = None if reason is Reason.PROVIDER_QUOTA_EXHAUSTED else error.retry_delay
    return Failure(reason, error.message, code, _token_counts(reason, error.message), wait)


def _reason(error: ErrorBody, status: int) -> Reason:
    if error.reason.startswith("API_KEY_"):
        return Reason.PROVIDER_CREDENTIALS_REJECTED
    if error.reason == "BILLING_DISABLED":
        return Reason.PROVIDER_QUOTA_EXHAUSTED
    is_for_long = error.has_no_quota or any("PerDay" in quota for quota in error.quotas)
    if status == 429 and is_for_long:
        return Reason.PROVIDER_QUOTA_EXHAUSTED
    for statuses, words, reason in _TELLING_WORDS:
        if status in statuses and words.search(error.message):
            return reason
    return reason_of_status(status)


def _token_counts(reason: Reason, message: str) -> tuple[tuple[str, str], ...]:
    if reason is not Reason.CONTEXT_LENGTH_EXCEEDED:
        return ()
    found = (
        ("limit_tokens", _LIMIT.search(message)),
        ("request_tokens", _REQUESTED.search(message)),
    )
    return tuple((name, match[1]) for name, match in found if match)
