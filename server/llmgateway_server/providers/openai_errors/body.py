"""Reads what an error says, in all the shapes that servers give it.

OpenAI's is `{"error": {"message", "type", "param", "code"}}`. OpenRouter, Perplexity and vLLM put
the status into `code`, Groq into `status_code`; at xAI `error` is the text; old vLLM has the fields
at the top; Mistral and FastAPI servers have `detail`, a text or a list; proxies send plain text or
HTML.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

_BOM = b"\xef\xbb\xbf"
# Of a text that is no JSON; it is cut again where it is shown.
_MAX_PLAIN = 4096


class ErrorBody(Struct, frozen=True):
    """An error in the server's words.

    `names` are its codes and types, most specific first; `status` is the HTTP status that it
    names by itself; the token counts come with a context that is too long (llama.cpp).
    """

    message: str = ""
    names: tuple[str, ...] = ()
    status: int | None = None
    limit_tokens: int | None = None
    request_tokens: int | None = None
    is_moderation: bool = False


def read_error(body: bytes) -> ErrorBody:
    """What the body of an error, or an error event, says; never raises."""
    try:
        value = msgspec.json.decode(body.removeprefix(_BOM))
    except (ValueError, RecursionError):
        return ErrorBody(message=_plain_text(body))
    if isinstance(value, list):
        # Gemini's compatible endpoint wraps the error into a list.
        value = next((item for item in value if isinstance(item, dict)), {})
    return _read_object(value) if isinstance(value, dict) else ErrorBody()


def _read_object(outer: dict[str, Any]) -> ErrorBody:
    inner = next((error for error in _errors(outer) if error), None)
    fields = inner if isinstance(inner, dict) else outer
    message = _text(inner) or _text(fields.get("message")) or _detail(fields.get("detail"))
    metadata = fields.get("metadata")
    if isinstance(metadata, dict):
        # OpenRouter's own message is only that the provider behind it had an error.
        message = " ".join(filter(None, (message, _text(metadata.get("raw")))))
    return ErrorBody(
        message=message,
        names=tuple(_names(fields)),
        status=_status(fields),
        limit_tokens=_integer(fields.get("n_ctx")),
        request_tokens=_integer(fields.get("n_prompt_tokens")),
        is_moderation=isinstance(metadata, dict) and "flagged_input" in metadata,
    )


def _errors(outer: dict[str, Any]) -> Iterator[Any]:
    """Where an error may be: at the top, in Groq's corner of a chunk, in a choice."""
    yield outer.get("error")
    groq = outer.get("x_groq")
    if isinstance(groq, dict):
        yield groq.get("error")
    choices = outer.get("choices")
    if isinstance(choices, list):
        for choice in choices:
            if isinstance(choice, dict):
                yield choice.get("error")


def _names(fields: dict[str, Any]) -> Iterator[str]:
    # Azure: {"code": "content_filter", "innererror": {"code": "ResponsibleAIPolicyViolation"}}.
    inner = fields.get("innererror")
    values = [fields.get("code"), fields.get("type"), fields.get("status")]
    if isinstance(inner, dict):
        values.append(inner.get("code"))
    for value in values:
        is_name = isinstance(value, str | int) and not isinstance(value, bool)
        # An event of a stream has the type "error", which names nothing.
        if is_name and value not in {"", "error"}:
            yield str(value)[:256]


def _status(fields: dict[str, Any]) -> int | None:
    for key in ("status_code", "code", "status"):
        status = _integer(fields.get(key))
        if status is not None and 400 <= status < 600:
            return status
    return None


def _integer(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _detail(value: Any) -> str:
    """FastAPI's: a text, or what is wrong with each field."""
    if not isinstance(value, list):
        return _text(value)
    lines = []
    for item in value:
        if isinstance(item, dict):
            place = item.get("loc")
            path = ".".join(str(step) for step in place) if isinstance(place, list) else ""
            lines.append(": ".join(filter(None, (path, _text(item.get("msg"))))))
    return "; ".join(filter(None, lines))


def _plain_text(body: bytes) -> str:
    """A text that is no JSON; a page says nothing to a caller, so it is nothing."""
    text = body.decode("utf-8", "replace").strip()
    return "" if text.startswith("<") else text[:_MAX_PLAIN]
