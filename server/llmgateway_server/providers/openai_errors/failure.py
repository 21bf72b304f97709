"""What a server's error means: by its codes, then its words, then the HTTP status.

Source: https://platform.openai.com/docs/guides/error-codes, and recorded errors of the servers
that imitate it.
"""

from __future__ import annotations

import re
from typing import Final

from llmgateway_server.domain.errors import Reason
from llmgateway_server.providers.dialect import Failure
from llmgateway_server.providers.errors import reason_of_status
from llmgateway_server.providers.openai_errors.body import ErrorBody, read_error

# Names are compared in lower case, without - and _ and blanks.
# These say more than the status beside them, whatever it is: xAI refuses a key with 400, OpenAI
# an empty account with 429.
_DECISIVE: Final = {
    "contextlengthexceeded": Reason.CONTEXT_LENGTH_EXCEEDED,
    "exceedcontextsizeerror": Reason.CONTEXT_LENGTH_EXCEEDED,
    "contentfilter": Reason.CONTENT_BLOCKED,
    "contentpolicyviolation": Reason.CONTENT_BLOCKED,
    "responsibleaipolicyviolation": Reason.CONTENT_BLOCKED,
    "imagecontentpolicyviolation": Reason.CONTENT_BLOCKED,
    "biopolicy": Reason.CONTENT_BLOCKED,
    "misalignmentpolicyviolation": Reason.CONTENT_BLOCKED,
    "insufficientquota": Reason.PROVIDER_QUOTA_EXHAUSTED,
    "billinghardlimitreached": Reason.PROVIDER_QUOTA_EXHAUSTED,
    "billingnotactive": Reason.PROVIDER_QUOTA_EXHAUSTED,
    "modelnotfound": Reason.MODEL_NOT_FOUND,
    "deploymentnotfound": Reason.MODEL_NOT_FOUND,
    "invalidapikey": Reason.PROVIDER_CREDENTIALS_REJECTED,
}
# These stand in for a status where there is none.
_IN_PLACE_OF_STATUS: Final = {
    "ratelimitexceeded": 429,
    "ratelimiterror": 429,
    "ratelimitreached": 429,
    "toomanyrequests": 429,
    "authenticationerror": 401,
    "permissionerror": 403,
    "permissiondenied": 403,
    "notfounderror": 404,
    "timeout": 504,
    "timeouterror": 504,
    "gatewaytimeout": 504,
    "invalidrequesterror": 400,
    "badrequesterror": 400,
    # What Responses find out only when they have begun to answer.
    **dict.fromkeys(
        (
            "invalidprompt",
            "dataresidencymismatch",
            "invalidimage",
            "invalidimageformat",
            "invalidbase64image",
            "invalidimageurl",
            "invalidimagemode",
            "imagetoolarge",
            "imagetoosmall",
            "imageparseerror",
            "imagefiletoolarge",
            "imagefilenotfound",
            "unsupportedimagemediatype",
            "emptyimagefile",
            "failedtodownloadimage",
        ),
        400,
    ),
}
_OVERLOADED: Final = frozenset({"overloaded", "overloadederror", "engineoverloaded", "slowdown"})

# What servers without codes of their own say; looked for beside 400 and 422 only.
_TELLING_WORDS: Final = (
    (
        re.compile(
            r"maximum (?:context|prompt) length|context (?:length|window|size)|prompt is too long",
            re.IGNORECASE,
        ),
        Reason.CONTEXT_LENGTH_EXCEEDED,
    ),
    (
        re.compile(
            r"content (?:management )?policy|safety system|(?:was|been) flagged", re.IGNORECASE
        ),
        Reason.CONTENT_BLOCKED,
    ),
    (
        re.compile(r"(?:incorrect|invalid) api key|api key not valid", re.IGNORECASE),
        Reason.PROVIDER_CREDENTIALS_REJECTED,
    ),
)
_OVERLOAD_WORDS: Final = re.compile(r"overloaded|slow down|at capacity", re.IGNORECASE)

_LIMIT: Final = re.compile(
    r"(?:length is|context size \(|tokens >) ?(\d{1,9})|(\d{1,9}) (?:tokens? )?maximum",
    re.IGNORECASE,
)
_REQUESTED: Final = re.compile(
    r"(?:requested(?: about)?|resulted in|contains|request has|request \(|too long:) ?(\d{1,9})",
    re.IGNORECASE,
)


def failure_of_response(status: int, body: bytes) -> Failure:
    """The failure behind an HTTP status of 400 or more; never raises."""
    error = read_error(body)
    reason = _from_words(error, status) or reason_of_status(status)
    return _failure(error, reason)


def failure_in_answer(body: bytes) -> Failure:
    """The failure behind an error that came with 200, as a body or as an event of a stream.

    The status that it names counts as if it had come by HTTP, so that a call fails in the same
    way whether it is streamed or not.
    """
    error = read_error(body)
    status = error.status or _status_by_name(error)
    reason = _from_words(error, status)
    if reason is None:
        reason = reason_of_status(status) if status else Reason.PROVIDER_ERROR
    return _failure(error, reason)


def _failure(error: ErrorBody, reason: Reason) -> Failure:
    metadata: tuple[tuple[str, str], ...] = ()
    if reason is Reason.CONTEXT_LENGTH_EXCEEDED:
        limit = error.limit_tokens or _number(_LIMIT, error.message)
        requested = error.request_tokens or _number(_REQUESTED, error.message)
        counts = (("limit_tokens", limit), ("request_tokens", requested))
        metadata = tuple((name, str(count)) for name, count in counts if count)
    words = [name for name in error.names if not name.isdigit()]
    code = next(iter(words or error.names), "")
    return Failure(reason, error.message, code, metadata)


def _from_words(error: ErrorBody, status: int | None) -> Reason | None:
    """The reason that the server's own words give; None where they say no more than the status."""
    names = [_plain(name) for name in error.names]
    for name in names:
        if name in _DECISIVE:
            return _DECISIVE[name]
    if error.is_moderation:
        return Reason.CONTENT_BLOCKED
    if status is None or status in {400, 422}:
        for words, reason in _TELLING_WORDS:
            if words.search(error.message):
                return reason
    is_servers_trouble = status is None or status >= 500
    is_overloaded = _OVERLOADED.intersection(names) or _OVERLOAD_WORDS.search(error.message)
    return Reason.PROVIDER_OVERLOADED if is_servers_trouble and is_overloaded else None


def _status_by_name(error: ErrorBody) -> int | None:
    statuses = (_IN_PLACE_OF_STATUS.get(_plain(name)) for name in error.names)
    return next((status for status in statuses if status), None)


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")


def _number(pattern: re.Pattern[str], message: str) -> int | None:
    match = pattern.search(message)
    return int(next(group for group in match.groups() if group)) if match else None
