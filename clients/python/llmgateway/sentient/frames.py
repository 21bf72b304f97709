"""The framework's events as bytes of text/event-stream, field for field in its order.

An event is `event: NAME`, `data: JSON` and an empty line, in one piece. The JSON is the framework's
own to the byte but for what its Python client cannot read: httpx splits lines at U+0085, U+2028 and
U+2029 (florimondmanca/httpx-sse#34), so these are escaped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from json.encoder import encode_basestring

from llmgateway.sentient.ulid import UlidSequence, stream_id

PING = b": ping\n\n"
"""A comment: it keeps idle connections open, and readers skip it."""

DEFAULT_SOURCE = "llmgateway"
"""The source of events whose caller gave none: the framework's clients reject an empty one."""

Metadata = Mapping[str, str | int | float | bool]
"""What an event may say about itself: flat and without null, or the framework's schema fails."""

_FIELDS = '"schema_version":"1.0","id":"'


def valid_name(name: str) -> str:
    """The name of an event, checked: it stands on a line of its own, where nothing is escaped.

    Raises:
        ValueError: it is empty, has blanks at its ends or characters that are not printable.
    """
    if not name or name != name.strip() or not name.isprintable():
        raise ValueError(f"not a name for an event: {name!r}")
    return name


class Frames:
    """Makes the events of one response.

    Args:
        source: Who they come from; by custom the caller's processor id. Empty: DEFAULT_SOURCE.
        ids: Where their ids come from.
    """

    def __init__(self, source: str, ids: UlidSequence) -> None:
        self._ids = ids
        self._source = json_text(source or DEFAULT_SOURCE)
        self._plain = f'","source":{self._source},"metadata":null'

    def text_stream(self, name: str, metadata: Metadata | None = None) -> TextStream:
        """A new stream of text; `metadata` goes with all its chunks, and tells the first one."""
        return TextStream(name, self._source, self._ids, metadata)

    def document(self, name: str, content: Mapping[str, object]) -> bytes:
        """A JSON object."""
        return self._atomic("atomic.json", name, json_text(content))

    def error(self, message: str, code: int, details: Mapping[str, object] | None) -> bytes:
        """A failure; `code` is an HTTP status. The stream must still be closed by `done`."""
        content = {"error_message": message, "error_code": code, "details": details}
        return self._atomic("atomic.error", "error", json_text(content))

    def done(self) -> bytes:
        """The end of the response."""
        return self._atomic("atomic.done", "done", "")

    def _atomic(self, content_type: str, name: str, content: str) -> bytes:
        end = f',"content":{content}}}\n\n' if content else "}\n\n"
        return b"".join(
            (wire(_head(content_type, name)), self._ids.next(), wire(self._plain + end))
        )


class TextStream:
    """One stream of text: chunks, then the last one, which closes it.

    All of a chunk but its id and its text is made once a stream.
    """

    __slots__ = ("_end", "_first", "_head", "_ids", "_next", "_source", "stream_id")

    def __init__(
        self, name: str, source: str, ids: UlidSequence, metadata: Metadata | None
    ) -> None:
        self.stream_id = stream_id()
        self._ids = ids
        self._source = source
        self._head = wire(_head("chunked.text", name))
        first = metadata if metadata is None else {**metadata, "is_first_chunk": True}
        later = metadata if metadata is None else {**metadata, "is_first_chunk": False}
        self._next = self._tail(first, is_complete=False)
        self._end = self._tail(later, is_complete=False)

    def chunk(self, text: str) -> bytes:
        """More text, which must not be empty: the TypeScript client fails on an empty chunk."""
        tail, self._next = self._next, self._end
        content = encode_basestring(text)
        body = content.encode() if content.isascii() else wire(content)
        return b"".join((self._head, self._ids.next(), tail, body, b"}\n\n"))

    def close(self, metadata: Metadata | None = None) -> bytes:
        """The last chunk. Its text is the framework's, one space, which is none of the answer's."""
        tail = self._tail(metadata, is_complete=True)
        return b"".join((self._head, self._ids.next(), tail, b'" "}\n\n'))

    def _tail(self, metadata: Metadata | None, *, is_complete: bool) -> bytes:
        return wire(
            f'","source":{self._source},"metadata":{json_text(metadata)}'
            f',"stream_id":"{self.stream_id}"'
            f',"is_complete":{json_text(is_complete)},"content":'
        )


def json_text(value: object) -> str:
    """Compact JSON, what is not ASCII left as it is."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def wire(text: str) -> bytes:
    """Frame text as bytes: safe line ends, and U+FFFD for halves of surrogate pairs."""
    # All three can only stand inside of JSON strings, where an escape means the same.
    text = text.replace("\x85", "\\u0085").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    try:
        return text.encode()
    except UnicodeEncodeError:
        # Two halves side by side are a character, a lone one is nothing.
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()


def _head(content_type: str, name: str) -> str:
    named = f'"content_type":"{content_type}","event_name":{json_text(name)}'
    return f"event: {name}\ndata: {{{named},{_FIELDS}"
