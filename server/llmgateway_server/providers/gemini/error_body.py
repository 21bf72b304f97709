"""Reads what an error says.

Google's is `{"error": {"code", "message", "status", "details"}}`, within a list where a stream is
asked for without `alt=sse`; proxies send plain text or HTML.

Source: https://cloud.google.com/apis/design/errors, and the messages of google.rpc that `details`
holds (https://github.com/googleapis/googleapis/blob/master/google/rpc/error_details.proto).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec
from msgspec import Struct

_BOM: Final = b"\xef\xbb\xbf"
# Of a text that is no JSON; it is cut again where it is shown.
_MAX_PLAIN: Final = 4096
_MAX_NAME: Final = 256
# google.protobuf.Duration in JSON.
_DURATION: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)s")


class ErrorBody(Struct, frozen=True):
    """An error in Google's words.

    `code` is an HTTP status of 400 to 599, `status` the name of a google.rpc.Code, `reason` that of
    an ErrorInfo. `quotas` are the ids of those that are used up; `has_no_quota` says that one of
    them is zero. `retry_delay` is in seconds.
    """

    message: str = ""
    code: int | None = None
    status: str = ""
    reason: str = ""
    quotas: tuple[str, ...] = ()
    has_no_quota: bool = False
    retry_delay: float | None = None


def read_error(body: bytes) -> ErrorBody:
    """What the body of an error says; never raises."""
    try:
        value = msgspec.json.decode(body.removeprefix(_BOM))
    except (ValueError, RecursionError):
        return ErrorBody(message=_plain_text(body))
    if isinstance(value, list):
        value = next((item for item in value if isinstance(item, dict)), None)
    return error_of(value.get("error", value)) if isinstance(value, dict) else ErrorBody()


def error_of(error: Any) -> ErrorBody:
    """What the value of `error` says; never raises, whatever it is."""
    if not isinstance(error, dict):
        return ErrorBody(message=_text(error))
    details = _objects(error.get("details"))
    violations = [each for detail in details for each in _objects(detail.get("violations"))]
    return ErrorBody(
        message=_text(error.get("message")),
        code=_status_code(error.get("code")),
        status=_text(error.get("status"))[:_MAX_NAME],
        reason=_first(_text(detail.get("reason")) for detail in details)[:_MAX_NAME],
        quotas=tuple(filter(None, (_text(each.get("quotaId")) for each in violations))),
        has_no_quota=any(each.get("quotaValue") == "0" for each in violations),
        retry_delay=_seconds(_first(_text(detail.get("retryDelay")) for detail in details)),
    )


def _objects(value: Any) -> list[dict[str, Any]]:
    """The objects in a list; none where it is no list."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _status_code(value: Any) -> int | None:
    return value if isinstance(value, int) and 400 <= value < 600 else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _first(texts: Iterable[str]) -> str:
    return next(filter(None, texts), "")


def _seconds(duration: str) -> float | None:
    """A duration; None where it is none, or no wait at all."""
    match = _DURATION.fullmatch(duration)
    return (float(match[1]) or None) if match else None


def _plain_text(body: bytes) -> str:
    """A text that is no JSON; a page says nothing to a caller, so it is nothing."""
    text = body.decode("utf-8", "replace").strip()
    return "" if text.startswith("<") else text[:_MAX_PLAIN]
