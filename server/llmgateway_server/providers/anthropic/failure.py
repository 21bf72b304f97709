"""What a server's error means: by its type, then its words, then the HTTP status.

Anthropic's is `{"type": "error", "error": {"type", "message"}}`, which reads like OpenAI's; servers
that imitate the API answer with OpenAI's (llama.cpp), and proxies with text or HTML.
Source: https://platform.claude.com/docs/en/api/errors, and errors that users of the API report.
"""

from __future__ import annotations

import re
from typing import Final

from llmgateway_server.domain.errors import Reason
from llmgateway_server.providers.dialect import Failure
from llmgateway_server.providers.errors import reason_of_status
from llmgateway_server.providers.openai_errors.body import ErrorBody, read_error

# These say as much as a status, or more; the last ones are other servers'.
_DECISIVE: Final = {
    "authentication_error": Reason.PROVIDER_CREDENTIALS_REJECTED,
    "permission_error": Reason.PROVIDER_CREDENTIALS_REJECTED,
    "billing_error": Reason.PROVIDER_QUOTA_EXHAUSTED,
    "not_found_error": Reason.MODEL_NOT_FOUND,
    "conflict_error": Reason.PROVIDER_CONFLICT,
    "request_too_large": Reason.REQUEST_TOO_LARGE,
    "rate_limit_error": Reason.PROVIDER_RATE_LIMITED,
    "timeout_error": Reason.PROVIDER_TIMEOUT,
    "overloaded_error": Reason.PROVIDER_OVERLOADED,
    "exceed_context_size_error": Reason.CONTEXT_LENGTH_EXCEEDED,
    "context_length_exceeded": Reason.CONTEXT_LENGTH_EXCEEDED,
    "insufficient_quota": Reason.PROVIDER_QUOTA_EXHAUSTED,
    "invalid_api_key": Reason.PROVIDER_CREDENTIALS_REJECTED,
    "model_not_found": Reason.MODEL_NOT_FOUND,
}
_INVALID_REQUEST: Final = "invalid_request_error"

# What Anthropic has no types for: all of them are an invalid_request_error with 400.
_TELLING_WORDS: Final = (
    (
        re.compile(r"prompt is too long|context (?:length|limit|size|window)", re.IGNORECASE),
        Reason.CONTEXT_LENGTH_EXCEEDED,
    ),
    (re.compile(r"content filtering policy", re.IGNORECASE), Reason.CONTENT_BLOCKED),
    (
        re.compile(r"credit balance is too low|API usage limits", re.IGNORECASE),
        Reason.PROVIDER_QUOTA_EXHAUSTED,
    ),
)
_OVERLOAD_WORDS: Final = re.compile(r"overloaded", re.IGNORECASE)

# "prompt is too long: 210000 tokens > 200000 maximum", and "input length and `max_tokens` exceed
# context limit: 190000 + 20000 > 200000".
_TOKENS: Final = re.compile(r"(\d{1,9})(?: \+ (\d{1,9}))?(?: tokens?)? > (\d{1,9})")


def failure_of_response(status: int, body: bytes) -> Failure:
    """The failure behind an HTTP status of 400 or more; never raises."""
    error = read_error(body)
    return _failure(error, _from_words(error, status) or reason_of_status(status))


def failure_in_answer(body: bytes) -> Failure:
    """The failure behind an error that came with 200, as a body or as an event of a stream."""
    error = read_error(body)
    status = error.status or (400 if _INVALID_REQUEST in error.names else None)
    reason = _from_words(error, status)
    if reason is None:
        reason = reason_of_status(status) if status else Reason.PROVIDER_ERROR
    return _failure(error, reason)


def _from_words(error: ErrorBody, status: int | None) -> Reason | None:
    """The reason that the server's own words give; None where they say no more than the status."""
    for name in error.names:
        if name in _DECISIVE:
            return _DECISIVE[name]
    if status is None or status in {400, 422}:
        for words, reason in _TELLING_WORDS:
            if words.search(error.message):
                return reason
    is_servers_trouble = status is None or status >= 500
    if is_servers_trouble and _OVERLOAD_WORDS.search(error.message):
        return Reason.PROVIDER_OVERLOADED
    return None


def _failure(error: ErrorBody, reason: Reason) -> Failure:
    metadata: tuple[tuple[str, str], ...] = ()
    if reason is Reason.CONTEXT_LENGTH_EXCEEDED:
        limit, requested = error.limit_tokens, error.request_tokens
        counts = _TOKENS.search(error.message)
        if counts:
            limit = int(counts[3])
            requested = int(counts[1]) + int(counts[2] or 0)
        named = (("limit_tokens", limit), ("request_tokens", requested))
        metadata = tuple((name, str(count)) for name, count in named if count)
    return Failure(reason, error.message, _code(error), metadata)


def _code(error: ErrorBody) -> str:
    # In OpenAI's shape the code may be the status.
    return next((name for name in error.names if not name.isdigit()), "")
