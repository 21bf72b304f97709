"""Refusals by HTTP status, in the words of the servers that send them.

OpenAI's 401, 404, unsupported_parameter and insufficient_quota, Mistral's 422, Azure's and
OpenRouter's 429 follow recorded answers; the other bodies are made up after the vendors' error
pages, since no recording of them is public.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from support.openai.chunks import Json, error_body

_INVALID = "invalid_request_error"


@dataclass(frozen=True)
class HttpError:
    """A refused call: its status, body and extra headers."""

    status: int
    body: Json | str
    headers: Mapping[str, str] = field(default_factory=dict)


def _html(title: str) -> HttpError:
    page = f"<html>\r\n<head><title>{title}</title></head>\r\n<body><h1>{title}</h1></body></html>"
    return HttpError(int(title[:3]), page, {"content-type": "text/html"})


_RATE_LIMITED = error_body(
    "Rate limit reached for gpt-test in organization org-REDACTED on requests per min (RPM): "
    "Limit 3, Used 3, Requested 1. Please try again in 20s.",
    "requests",
    "rate_limit_exceeded",
)


def _rate_limited(**headers: str) -> HttpError:
    limits = {
        "x-ratelimit-limit-requests": "3",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "20s",
    }
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpError(429, _RATE_LIMITED, {**limits, **named})


_CALLERS_FAULT = {
    "http_400_context_length_exceeded": HttpError(
        400,
        error_body(
            "This model's maximum context length is 8192 tokens. However, your messages resulted "
            "in 9041 tokens. Please reduce the length of the messages.",
            _INVALID,
            "context_length_exceeded",
            "messages",
        ),
    ),
    # llama.cpp has its own type for it and an integer code.
    "http_400_exceed_context_size": HttpError(
        400,
        {
            "error": {
                "code": 400,
                "message": "the request exceeds the available context size, try increasing it",
                "type": "exceed_context_size_error",
                "n_prompt_tokens": 9041,
                "n_ctx": 8192,
            }
        },
    ),
    "http_400_unsupported_parameter": HttpError(
        400,
        error_body(
            "Unsupported parameter: 'max_tokens' is not supported with this model. "
            "Use 'max_completion_tokens' instead.",
            _INVALID,
            "unsupported_parameter",
            "max_tokens",
        ),
    ),
    "http_400_content_policy": HttpError(
        400,
        error_body(
            "Your request was rejected as a result of our safety system.",
            _INVALID,
            "content_policy_violation",
        ),
    ),
    # Azure's name for it.
    "http_400_content_filter": HttpError(
        400,
        error_body(
            "The response was filtered due to the prompt triggering the content management policy.",
            _INVALID,
            "content_filter",
            "prompt",
        ),
    ),
    "http_413": HttpError(413, error_body("Request too large.", _INVALID, None)),
    "http_415": HttpError(415, error_body("Unsupported media type.", _INVALID, None)),
    "http_422": HttpError(
        422,
        {
            "detail": [
                {
                    "type": "missing",
                    "loc": ["body", "messages"],
                    "msg": "Field required",
                    "input": {},
                }
            ]
        },
    ),
}

_OURS = {
    "http_401": HttpError(
        401,
        error_body(
            "Incorrect API key provided: sk-te******0000. You can find your API key at "
            "https://platform.openai.com/account/api-keys.",
            _INVALID,
            "invalid_api_key",
        ),
    ),
    "http_402": HttpError(
        402, error_body("Insufficient Balance", "unknown_error", "invalid_request_error")
    ),
    "http_403": HttpError(
        403,
        error_body(
            "Country, region, or territory not supported",
            "request_forbidden",
            "unsupported_country_region_territory",
        ),
    ),
    "http_404_model_not_found": HttpError(
        404,
        error_body(
            "The model `gpt-test` does not exist or you do not have access to it.",
            _INVALID,
            "model_not_found",
        ),
    ),
}

_BACKPRESSURE = {
    "http_429_insufficient_quota": HttpError(
        429,
        error_body(
            "You exceeded your current quota, please check your plan and billing details.",
            "insufficient_quota",
            "insufficient_quota",
        ),
    ),
    "http_429_rate_limit_exceeded": _rate_limited(),
    "http_429_retry_after_seconds": _rate_limited(retry_after="7"),
    # Azure sends both; the one in milliseconds counts.
    "http_429_retry_after_ms": _rate_limited(retry_after="1", retry_after_ms="350"),
    # Far enough ahead to be the future whenever this runs.
    "http_429_retry_after_http_date": _rate_limited(retry_after="Fri, 01 Jan 2100 00:00:00 GMT"),
    "http_429_retry_after_negative": _rate_limited(retry_after="-5"),
    "http_429_retry_after_huge": _rate_limited(retry_after="1e308"),
    "http_429_retry_after_junk": _rate_limited(retry_after="a little later"),
}

_FAULTS = {
    "http_408": HttpError(408, error_body("Request timed out.", "timeout", None)),
    "http_409": HttpError(409, error_body("The resource is locked, try again.", _INVALID, None)),
    "http_500": HttpError(
        500,
        error_body(
            "The server had an error while processing your request. Sorry about that!",
            "server_error",
            None,
        ),
    ),
    "http_502": _html("502 Bad Gateway"),
    "http_503": HttpError(
        503,
        error_body(
            "The engine is currently overloaded, please try again later.",
            "service_unavailable_error",
            "slow_down",
        ),
    ),
    # llama.cpp while it starts; the code is an integer.
    "http_503_loading_model": HttpError(503, error_body("Loading model", "unavailable_error", 503)),
    "http_504": _html("504 Gateway Time-out"),
    "http_520": _html("520 Web server is returning an unknown error"),
    "http_529": HttpError(529, error_body("Overloaded", "overloaded_error", None)),
}

HTTP_ERRORS: dict[str, HttpError] = {**_CALLERS_FAULT, **_OURS, **_BACKPRESSURE, **_FAULTS}
"""Every refusal by name; each is also a script of the same name in FAULTS."""
