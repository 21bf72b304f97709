"""Decodes answers: one JSON object a line, the last with `done: true`."""

from __future__ import annotations

from msgspec import Struct
from msgspec.json import Decoder as JsonDecoder

from llmgateway_server.domain.answer import Finish, FinishReason, Usage
from llmgateway_server.domain.errors import Reason
from llmgateway_server.domain.events import ProviderEvent, TextDelta
from llmgateway_server.providers.dialect import Failure, WireError

_MOST_BYTES = 1024 * 1024  # of a line
_REASONS = {"stop": FinishReason.STOP, "length": FinishReason.LENGTH}


class _Message(Struct, gc=False):
    content: str = ""


class _Line(Struct, gc=False):
    message: _Message | None = None
    done: bool = False
    done_reason: str = ""
    prompt_eval_count: int = 0
    eval_count: int = 0
    error: str = ""


_LINE = JsonDecoder(_Line)


class LineStream:
    """See `Decoder`."""

    def __init__(self) -> None:
        self.request_id = ""
        self.usage: Usage | None = None
        self.failure: Failure | None = None
        self._rest = b""
        self._is_done = False

    def feed(self, data: bytes) -> list[ProviderEvent]:
        """Takes the next bytes."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        out: list[ProviderEvent] = []
        try:
            for line in lines:
                self._take(line, out)
            if len(self._rest) > _MOST_BYTES:
                raise _unreadable("a line of it is too long")
        except WireError as error:
            self.failure = error.failure
        return out

    def end(self) -> list[ProviderEvent]:
        """Takes the end of the bytes."""
        out = self.feed(b"\n")
        if not self._is_done and self.failure is None:
            self.failure = Failure(
                Reason.PROVIDER_ERROR, "its stream ended in the middle of the answer"
            )
        return out

    def _take(self, data: bytes, out: list[ProviderEvent]) -> None:
        if self._is_done or not data.strip():
            return
        try:
            line = _LINE.decode(data)
        except (ValueError, RecursionError):
            raise _unreadable("a line of it is no JSON") from None
        if line.error:
            raise WireError(Failure(Reason.PROVIDER_ERROR, line.error))
        if line.message is not None and line.message.content:
            out.append(TextDelta(0, line.message.content))
        if line.done:
            self._is_done = True
            self.usage = Usage(max(line.prompt_eval_count, 0), max(line.eval_count, 0))
            reason = _REASONS.get(line.done_reason, FinishReason.OTHER)
            out += [self.usage, Finish(reason, line.done_reason)]


def decode_lines(body: bytes) -> list[ProviderEvent]:
    """The events of a whole answer.

    Raises:
        WireError: it is an error, or not whole.
    """
    stream = LineStream()
    events = [*stream.feed(body), *stream.end()]
    if stream.failure is not None:
        raise WireError(stream.failure)
    return events


def _unreadable(message: str) -> WireError:
    return WireError(Failure(Reason.PROVIDER_PROTOCOL_ERROR, message))
