"""An answer's events, through a response handler of the framework.

The handler sends what it is given. So here is what its clients need: no empty chunk, no character
that ends a line for httpx, no half of a surrogate pair (the connection would be cut), one stream of
text however many parts the text has. And its `emit_chunk` never lets other tasks run: this does.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Protocol

from llmgateway.sentient.documents import Document
from llmgateway.sentient.events import EventOptions
from llmgateway.sentient.frames import json_text, valid_name

# In JSON none of them is special, but for httpx they end the line, and the Python client fails.
_LINE_ENDS = str.maketrans(dict.fromkeys("\x85\u2028\u2029", "\n"))
_ESCAPED_LINE_ENDS = str.maketrans(dict.fromkeys("\x85\u2028\u2029", "\\n"))


class TextStream(Protocol):
    """A stream of text as the framework's handler makes it, as far as it is used here."""

    @property
    def id(self) -> str:
        """Tells the streams of a response apart."""
        ...

    async def emit_chunk(self, chunk: str) -> object:
        """Sends more text."""
        ...

    async def complete(self) -> None:
        """Sends the last chunk."""
        ...


class ResponseHandler(Protocol):
    """The framework's ResponseHandler, as far as it is used here."""

    def create_text_stream(self, event_name: str) -> TextStream:
        """A new stream of text."""
        ...

    async def emit_text_block(self, event_name: str, content: str) -> None:
        """Sends a whole text."""
        ...

    async def emit_json(self, event_name: str, data: Mapping[str, object]) -> None:
        """Sends a JSON object."""
        ...

    async def emit_error(
        self, error_message: str, error_code: int, details: Mapping[str, object] | None
    ) -> None:
        """Sends an error; `error_code` is an HTTP status."""
        ...

    async def complete(self) -> None:
        """Closes what is open, then ends the response."""
        ...


class Emitter:
    """Sends the events of one answer.

    Args:
        handler: Where they go.
        options: What the streams of text are called.
    """

    def __init__(self, handler: ResponseHandler, options: EventOptions) -> None:
        self._handler = handler
        self._options = options
        self._part = 0
        self._texts: dict[int, TextStream] = {}
        self._thoughts: TextStream | None = None
        self._opened: list[str] = []
        self._told: dict[int, list[str]] = {}

    @property
    def told(self) -> str:
        """The answer's text as the client got it, without what a restart made void."""
        return "".join(text for pieces in self._told.values() for text in pieces)

    async def text(self, text: str, part_index: int | None = None) -> None:
        """More text of the answer.

        Args:
            text: It may be empty, which sends nothing.
            part_index: The part that it belongs to; None: the latest one. Parts that follow one
                another share a stream; one that grows after a later one began gets its own.
        """
        if not text:
            return
        await self._close_thoughts()
        index = self._part if part_index is None else part_index
        if index < self._part and self._texts:
            key = index
        else:
            self._part, key = index, -1
        stream = self._texts.get(key)
        if stream is None:
            stream = self._texts[key] = self._open(self._options.text_event_name)
        text = readable(text)
        self._told.setdefault(key, []).append(text)
        await self._chunk(stream, text)

    async def reasoning(self, text: str) -> None:
        """More of what the model thinks; its stream is closed when text follows."""
        if not text:
            return
        if self._thoughts is None:
            self._thoughts = self._open(self._options.reasoning_event_name)
        await self._chunk(self._thoughts, readable(text))

    async def text_block(self, name: str, text: str) -> None:
        """A whole text; an empty one sends nothing."""
        if text:
            await self._handler.emit_text_block(valid_name(name), readable(text))
            await asyncio.sleep(0)

    async def document(self, name: str, content: Mapping[str, object]) -> None:
        """A JSON object.

        Raises:
            TypeError, ValueError: it is not JSON.
        """
        await self._handler.emit_json(valid_name(name), readable_document(content))
        await asyncio.sleep(0)

    async def close_streams(self) -> None:
        """Sends the last chunks of all open streams."""
        texts, self._texts, self._part = self._texts, {}, 0
        for stream in texts.values():
            await stream.complete()
        await self._close_thoughts()

    async def restart(self) -> list[str]:
        """All text so far is void; the ids of its streams."""
        await self.close_streams()
        void, self._opened = self._opened, []
        self._told.clear()
        return void

    async def fail(self, message: str, code: int, details: Document) -> None:
        """Tells an error, once what is open is closed; `code` is an HTTP status."""
        await self.close_streams()
        await self._handler.emit_error(readable(message), code, readable_document(details))

    async def end(self) -> None:
        """Ends the response; a second time does nothing."""
        await self._handler.complete()

    def _open(self, name: str) -> TextStream:
        stream = self._handler.create_text_stream(name)
        self._opened.append(stream.id)
        return stream

    async def _chunk(self, stream: TextStream, text: str) -> None:
        await stream.emit_chunk(text)
        # So that the server sends it, and others have their turn.
        await asyncio.sleep(0)

    async def _close_thoughts(self) -> None:
        if self._thoughts is not None:
            thoughts, self._thoughts = self._thoughts, None
            await thoughts.complete()


def readable(text: str) -> str:
    """The text as all clients can read it: rare line ends become the common one."""
    if text.isascii():
        return text
    return _whole(text).translate(_LINE_ENDS)


def readable_document(content: Mapping[str, object]) -> dict[str, object]:
    """The same of a JSON object.

    Raises:
        TypeError, ValueError: it is not JSON.
    """
    document: dict[str, object] = json.loads(
        _whole(json_text(content)).translate(_ESCAPED_LINE_ENDS)
    )
    return document


def _whole(text: str) -> str:
    """Halves of surrogate pairs joined, and U+FFFD for those that stay alone."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
