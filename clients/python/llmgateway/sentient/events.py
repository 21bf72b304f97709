"""The gateway's stream as the Sentient Agent Framework's events. Pure: messages in, bytes out.

stream = EventStream(source=processor_id)
for message in messages:
    send(stream.feed(message))
send(stream.finish())          # or, if the call failed: send(stream.fail(error))

| of the gateway | events |
|---|---|
| text | one stream of `chunked.text`, open until the answer ends |
| a part of reasoning | the same under its own name; closed when text follows |
| the finish | TOOL_CALL for each, USAGE, ROUTE (`atomic.json`), after the streams' last chunks |
| CONTINUED | nothing: the text goes on |
| RESTARTED | last chunks, then RESTARTED (`atomic.json`) with the ids of the streams now void |
| an error | last chunks, USAGE if known, `error` with an HTTP status; then `done` like any end |
| a heartbeat | a comment, `: ping` |

Metadata of a chunk: `model` and `is_first_chunk`. Of a stream's last chunk, whose text is a space
that is none of the answer's: `model`, and for text `tokens` (the output's, where known) and
`finish_reason`, which is also "error" or "restarted".

All parts of text share the stream, as they follow one another: what stands between them, such as a
continuation that thinks first, does not break it. Only a part that still grows after a later one
took over, which the contract allows, goes on in a stream of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import grpc

from llmgateway._errors import Failure, GatewayError, TransportError
from llmgateway._response import FinishReason
from llmgateway.sentient import documents
from llmgateway.sentient.frames import PING, Frames, TextStream, valid_name
from llmgateway.sentient.status_codes import http_status
from llmgateway.sentient.ulid import UlidSequence
from llmgateway.v1.generation_service_pb2 import (
    RECOVERY_KIND_RESTARTED,
    Delta,
    GenerateStreamResponse,
    Recovery,
)
from llmgateway.v1.usage_pb2 import Route, Usage


@dataclass(frozen=True, slots=True)
class EventOptions:
    """What the events of text are called; the defaults are what the framework's clients look for.

    Attributes:
        text_event_name: The answer's text.
        reasoning_event_name: What the model thinks, which comes only if the request asked for it.

    Raises:
        ValueError: a name is empty or not printable.
    """

    text_event_name: str = "FINAL_RESPONSE"
    reasoning_event_name: str = "REASONING"

    def __post_init__(self) -> None:
        valid_name(self.text_event_name)
        valid_name(self.reasoning_event_name)


_DEFAULTS = EventOptions()
_TEXT = "text"
_TOOL_CALL = "tool_call"


class _Part:
    """One part of the answer; its first delta decides the kind."""

    __slots__ = ("fresh", "is_overtaken", "kind", "name", "stream", "tool_call_id")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.fresh: list[str] = []
        """Text that is not written yet; of a tool call, its arguments so far."""
        self.stream: TextStream | None = None
        self.is_overtaken = False
        self.tool_call_id = ""
        self.name = ""


class EventStream:
    """The events of one answer.

    Args:
        source: Who the events come from; by custom the caller's processor id.
        options: What they are called.
        ids: Where their ids come from.
    """

    def __init__(
        self,
        *,
        source: str,
        options: EventOptions = _DEFAULTS,
        ids: UlidSequence | None = None,
    ) -> None:
        self._options = options
        self._frames = Frames(source, ids or UlidSequence())
        self._parts: dict[int, _Part] = {}
        # What is open: streams of text, the answer's own first, and parts of reasoning, which are
        # always younger.
        self._texts: list[TextStream] = []
        self._thoughts: list[_Part] = []
        self._latest: _Part | None = None
        self._sent: list[str] = []
        self._response_id = ""
        self._model = ""
        self._route: Route | None = None
        self._usage: Usage | None = None
        self._finished = False
        self._done = False

    def feed(self, message: GenerateStreamResponse) -> bytes:
        """All events of the next message in one piece; empty if it has none to show.

        However many deltas a message has, a part grows by one chunk.
        """
        if self._finished or self._done:
            return b""
        out: list[bytes] = []
        if message.HasField("start"):
            start = message.start
            self._response_id, self._model = start.response_id, start.model
            self._route = start.route
        if message.HasField("recovery"):
            self._recover(message.recovery, out)
        if message.deltas:
            self._write(message, out)
        if message.HasField("usage"):
            self._usage = message.usage
        if message.HasField("finish"):
            self._finish(message, out)
        elif not out and not message.ByteSize():
            return PING
        return b"".join(out)

    def fail(self, error: GatewayError) -> bytes:
        """The call failed: closes what is open, tells the error, and ends. Nothing after an end."""
        if self._done:
            return b""
        self._done = True
        out: list[bytes] = []
        self._close("error", out)
        usage = error.usage or self._usage
        if usage is not None and not self._finished:
            out.append(self._frames.document("USAGE", documents.usage(usage)))
        details = documents.failure(error, self._response_id, partial=bool(self._sent))
        message = error.message or error.code.name
        out.append(self._frames.error(message, http_status(error.code), details))
        out.append(self._frames.done())
        return b"".join(out)

    def finish(self) -> bytes:
        """The call ended with status OK; ends the events. A second time does nothing.

        Without a finish that is an error (the stream's law 2): something on the way cut the answer.
        """
        if self._done:
            return b""
        if not self._finished:
            text = "the stream ended without its finish: the answer is cut off"
            return self.fail(TransportError(Failure(code=grpc.StatusCode.DATA_LOSS, message=text)))
        self._done = True
        return self._frames.done()

    def _write(self, message: GenerateStreamResponse, out: list[bytes]) -> None:
        """One chunk for each part that grew, in the order in which they first did."""
        grown: dict[int, _Part] = {}
        part: _Part | None = None
        at = 0
        for delta in message.deltas:
            index = delta.part_index
            if part is None or index != at:
                part = self._parts.get(index) or self._begin_part(index, delta)
                if part is None:
                    continue
                at, grown[index] = index, part
            text = delta.text or delta.reasoning or _call_text(delta, part)
            if text:
                part.fresh.append(text)
        for part in grown.values():
            if part.fresh and part.kind != _TOOL_CALL:
                self._chunk(part, out)

    def _begin_part(self, index: int, delta: Delta) -> _Part | None:
        kind = delta.WhichOneof("delta")
        if kind is None:  # newer than this client
            return None
        part = self._parts[index] = _Part(kind)
        return part

    def _chunk(self, part: _Part, out: list[bytes]) -> None:
        text = "".join(part.fresh)
        part.fresh.clear()
        if part.kind == _TEXT:
            # Text begins, or goes on: what was thought before it is over.
            self._close_thoughts(out)
            stream = part.stream or self._text_stream(part)
        else:
            stream = part.stream or self._thought_stream(part)
        out.append(stream.chunk(text))

    def _text_stream(self, part: _Part) -> TextStream:
        before = self._latest
        if before is None or before.stream is None or part.is_overtaken:
            part.stream = self._begin_stream(self._options.text_event_name)
            self._texts.append(part.stream)
        else:
            part.stream, before.stream = before.stream, None
            before.is_overtaken = True
        if not part.is_overtaken:
            self._latest = part
        return part.stream

    def _thought_stream(self, part: _Part) -> TextStream:
        part.stream = self._begin_stream(self._options.reasoning_event_name)
        self._thoughts.append(part)
        return part.stream

    def _begin_stream(self, name: str) -> TextStream:
        stream = self._frames.text_stream(name, {"model": self._model})
        self._sent.append(stream.stream_id)
        return stream

    def _recover(self, recovery: Recovery, out: list[bytes]) -> None:
        self._route = route = recovery.route
        if recovery.kind != RECOVERY_KIND_RESTARTED:
            return
        self._close("restarted", out)
        if self._sent:
            content = documents.restarted(recovery, self._sent)
            out.append(self._frames.document("RESTARTED", content))
        self._sent = []
        self._parts.clear()
        # The start is not told again, and the target that it named is no longer the one.
        self._model = f"{route.provider}/{route.provider_model}"

    def _finish(self, message: GenerateStreamResponse, out: list[bytes]) -> None:
        finish, frames = message.finish, self._frames
        self._finished = True
        self._close(FinishReason.from_wire(finish.reason), out)
        for _, part in sorted(self._parts.items()):
            if part.kind == _TOOL_CALL:
                call = documents.tool_call(part.tool_call_id, part.name, "".join(part.fresh))
                out.append(frames.document("TOOL_CALL", call))
        if self._usage is not None:
            out.append(frames.document("USAGE", documents.usage(self._usage)))
        route = documents.route(self._route or Route(), finish, self._response_id, self._model)
        out.append(frames.document("ROUTE", route))

    def _close(self, finish_reason: str, out: list[bytes]) -> None:
        """The last chunks of all open streams, in the order in which they were opened."""
        metadata: dict[str, str | int] = {"model": self._model}
        if self._usage is not None:
            metadata["tokens"] = self._usage.output_token_count
        metadata["finish_reason"] = finish_reason
        for stream in self._texts:
            out.append(stream.close(metadata))
            metadata = {"model": self._model}
        self._texts, self._latest = [], None
        self._close_thoughts(out)

    def _close_thoughts(self, out: list[bytes]) -> None:
        for part in self._thoughts:
            if part.stream is not None:
                out.append(part.stream.close({"model": self._model}))
                part.stream = None
        self._thoughts = []


def _call_text(delta: Delta, part: _Part) -> str:
    """The arguments that a delta adds to a tool call, whose id and name are kept."""
    call = delta.tool_call
    part.tool_call_id = part.tool_call_id or call.tool_call_id
    part.name = part.name or call.name
    return call.arguments_json
