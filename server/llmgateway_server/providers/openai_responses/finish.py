"""How an answer ended: in a finish, or in a failure.

Source: https://platform.openai.com/docs/api-reference/responses/object (`status`,
`incomplete_details`, `error`).
"""

from __future__ import annotations

from typing import Final

import msgspec

from llmgateway_server.domain.answer import Finish, FinishReason
from llmgateway_server.domain.errors import Reason
from llmgateway_server.providers.dialect import Failure
from llmgateway_server.providers.openai_errors import failure_in_answer
from llmgateway_server.providers.openai_responses.wire import Response

_COMPLETED: Final = "completed"
_INCOMPLETE: Final = "incomplete"
_UNFINISHED: Final = frozenset({"queued", "in_progress"})
_BROKEN: Final = frozenset({"failed", "cancelled"})
_INCOMPLETE_REASONS: Final = {
    "max_output_tokens": FinishReason.LENGTH,
    "content_filter": FinishReason.CONTENT_FILTER,
}


def failure_of(response: Response, status: str) -> Failure | None:
    """The failure that an answer of this status stands for, if it stands for one.

    Raises:
        ValueError: its error cannot be read.
    """
    error = bytes(response.error)
    if error and msgspec.json.decode(error):
        # As an answer of its own, since some servers write a text where OpenAI has an object.
        return failure_in_answer(b'{"error":%b}' % error)
    if status in _BROKEN:
        return Failure(Reason.PROVIDER_ERROR, f"it gave up the answer as {status!r}", status)
    if status in _UNFINISHED:
        return Failure(Reason.PROVIDER_PROTOCOL_ERROR, f"it ended the answer as {status!r}", status)
    return None


def finish_of(response: Response, status: str, *, has_tool_calls: bool, is_refusal: bool) -> Finish:
    """The finish of an answer that did not fail.

    The provider's word is the status, or where that is "incomplete" the reason for it.
    """
    if status == _COMPLETED:
        if has_tool_calls:
            return Finish(FinishReason.TOOL_CALLS, status)
        return Finish(FinishReason.REFUSAL if is_refusal else FinishReason.STOP, status)
    if status != _INCOMPLETE:
        return Finish(FinishReason.OTHER, status)
    details = response.incomplete_details
    word = (details.reason if details is not None else None) or status
    return Finish(_INCOMPLETE_REASONS.get(word, FinishReason.OTHER), word)
