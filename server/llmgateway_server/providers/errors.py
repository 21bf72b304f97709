"""Turns what went wrong at a provider into the one error that crosses the layers.

Source of the table: the contract's error table; 529 is Anthropic's "overloaded", 520 to 527 are
Cloudflare's (https://developers.cloudflare.com/support/troubleshooting/http-status-codes/).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final

import httpx

from llmgateway_server.domain.errors import AttemptFailure, GatewayError, Reason
from llmgateway_server.providers.dialect import Failure
from llmgateway_server.providers.redaction import Scrubber

_REASONS: Final = {
    400: Reason.PROVIDER_REJECTED_REQUEST,
    401: Reason.PROVIDER_CREDENTIALS_REJECTED,
    402: Reason.PROVIDER_QUOTA_EXHAUSTED,
    403: Reason.PROVIDER_CREDENTIALS_REJECTED,
    404: Reason.MODEL_NOT_FOUND,
    408: Reason.PROVIDER_TIMEOUT,
    409: Reason.PROVIDER_CONFLICT,
    413: Reason.REQUEST_TOO_LARGE,
    415: Reason.PROVIDER_REJECTED_REQUEST,
    422: Reason.PROVIDER_REJECTED_REQUEST,
    429: Reason.PROVIDER_RATE_LIMITED,
    500: Reason.PROVIDER_ERROR,
    502: Reason.PROVIDER_ERROR,
    503: Reason.PROVIDER_ERROR,
    504: Reason.PROVIDER_TIMEOUT,
    **dict.fromkeys(range(520, 529), Reason.PROVIDER_ERROR),
    529: Reason.PROVIDER_OVERLOADED,
}

# OpenAI and most others; Azure; OpenRouter; Mistral; DeepSeek; Anthropic.
_REQUEST_ID_HEADERS: Final = (
    "x-request-id",
    "apim-request-id",
    "x-generation-id",
    "mistral-correlation-id",
    "x-ds-trace-id",
    "request-id",
)

_RESET_HEADER: Final = re.compile(r"anthropic-ratelimit-(.+)-reset")

# The longest google.protobuf.Duration; a wait that no message can carry says nothing.
_LONGEST_WAIT: Final = 315_576_000_000.0


def reason_of_status(status: int) -> Reason:
    """The contract's reason for an HTTP status of 400 or more."""
    return _REASONS.get(status, Reason.PROVIDER_PROTOCOL_ERROR)


def request_id(headers: Mapping[str, str]) -> str:
    """The provider's id of the request, as it came; empty where there is none."""
    return next((headers[name] for name in _REQUEST_ID_HEADERS if headers.get(name)), "")


def retry_after(status: int, headers: Mapping[str, str], now: float) -> float | None:
    """How many seconds the provider asks to wait; None where it says nothing of use.

    `retry-after-ms` (OpenAI, Azure) comes before `retry-after` (RFC 9110, 10.2.3: seconds or a
    date), and both before the times at which a 429's limits are fresh again (Anthropic). Zero
    counts as nothing: Azure sends `retry-after-ms: 0` beside `retry-after: 1`.

    Args:
        status: 400 or more; on other responses these headers mean nothing.
        headers: By their names in lower case.
        now: Unix time in seconds.
    """
    waits = (
        _seconds(headers.get("retry-after-ms")) / 1000,
        _seconds(headers.get("retry-after")),
        _seconds_until(headers.get("retry-after"), now),
        _until_reset(headers, now) if status == 429 else math.nan,
    )
    return next((wait for wait in waits if 0 < wait <= _LONGEST_WAIT), None)


def should_retry(headers: Mapping[str, str]) -> bool | None:
    """Whether the provider says that the same call may be tried again; None where it says nothing.

    OpenAI and Anthropic send `x-should-retry` with errors, and their SDKs let it overrule the
    status.

    Args:
        headers: Those of a response of 400 or more.
    """
    word = headers.get("x-should-retry", "").strip().lower()
    return {"true": True, "false": False}.get(word)


def _seconds(value: str | None) -> float:
    try:
        return float(value or "nan")
    except ValueError:
        return math.nan


def _seconds_until(value: str | None, now: float) -> float:
    try:
        return parsedate_to_datetime(value or "").timestamp() - now
    except (ValueError, OverflowError):
        return math.nan


def _until_reset(headers: Mapping[str, str], now: float) -> float:
    """The seconds until Anthropic's limits let a call through again.

    That is the latest reset of those that are used up. Where none says so (a rest may be too small
    for the call that was refused) it is the next reset, after which there is more of something.
    Source: https://platform.claude.com/docs/en/api/rate-limits#response-headers, RFC 3339 times.
    """
    spent: list[float] = []
    others: list[float] = []
    for name in headers:
        limit = _RESET_HEADER.fullmatch(name)
        if limit is None:
            continue
        wait = _seconds_until_instant(headers[name], now)
        if wait > 0:
            rest = _seconds(headers.get(f"anthropic-ratelimit-{limit[1]}-remaining"))
            (spent if rest <= 0 else others).append(wait)
    return max(spent, default=min(others, default=math.nan))


def _seconds_until_instant(value: str, now: float) -> float:
    try:
        instant = datetime.fromisoformat(value.strip())
    except ValueError:
        return math.nan
    # RFC 3339 times have an offset; without one nobody knows what is meant.
    return instant.timestamp() - now if instant.tzinfo is not None else math.nan


def transport_failure(error: httpx.RequestError) -> Failure:
    """What an exception of the HTTP client means; its text may hold anything and is not used."""
    match error:
        case httpx.PoolTimeout():
            return Failure(
                Reason.PROVIDER_TIMEOUT, "no connection became free in time", unsent=True
            )
        case httpx.ConnectTimeout():
            return Failure(Reason.PROVIDER_TIMEOUT, "could not be reached in time", unsent=True)
        case httpx.TimeoutException():
            return Failure(Reason.PROVIDER_TIMEOUT, "did not answer in time")
        case httpx.ConnectError():
            return Failure(Reason.PROVIDER_ERROR, "could not be reached", unsent=True)
        case httpx.RemoteProtocolError() | httpx.DecodingError():
            return Failure(Reason.PROVIDER_PROTOCOL_ERROR, "its answer is not valid HTTP")
        case _:
            return Failure(Reason.PROVIDER_ERROR, "the connection broke")


class ErrorReport:
    """Words the errors of one provider; nothing leaves it uncut or unscrubbed."""

    def __init__(self, provider: str, secret: str) -> None:
        self._provider = provider
        self._scrubber = Scrubber(secret)

    def label(self, text: str) -> str:
        """An id or code of the provider, fit to be shown."""
        return self._scrubber.label(text)

    def error(
        self,
        failure: Failure,
        model: str,
        *,
        status: int = 0,
        request_id: str = "",
        retry_after: float | None = None,
        should_retry: bool | None = None,
    ) -> GatewayError:
        """The error of one attempt; `status` 0 where no response came.

        `retry_after` is what the headers ask for, and goes before what the failure itself does.
        """
        metadata = failure.metadata
        if failure.reason is Reason.CONTENT_BLOCKED:
            metadata = (*metadata, ("blocked_by", self._provider))
        return GatewayError(
            failure.reason,
            self._message(failure, status),
            retry_after=retry_after or failure.retry_after,
            should_retry=should_retry,
            unsent=failure.unsent,
            metadata=metadata,
            attempt=AttemptFailure(
                provider=self._provider,
                model=model,
                http_status=status,
                provider_code=self._scrubber.label(failure.code),
                provider_request_id=self._scrubber.label(request_id),
            ),
        )

    def _message(self, failure: Failure, status: int) -> str:
        answered = f"{self._provider} answered {status}" if status >= 300 else self._provider
        if failure.reason is Reason.PROVIDER_CREDENTIALS_REJECTED:
            # Providers quote the key here, masked in ways of their own, and callers have no use
            # for it; the code in the attempt tells the operator which refusal it was.
            return f"{answered}: the gateway's credentials were refused"
        return f"{answered}: {self._scrubber.text(failure.message) or 'no reason given'}"
