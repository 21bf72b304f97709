"""A dialect's fuzz target; import it with the server's modules instrumented."""

import contextlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

from llmgateway_server.domain.answer import Finish
from llmgateway_server.domain.coalesce import merge
from llmgateway_server.domain.events import ProviderEvent, StreamEvent
from llmgateway_server.providers.dialect import Decoder, Failure, WireError
from llmgateway_server.providers.errors import ErrorReport
from support.fuzzing import cut, fuzz


class DialectTarget(NamedTuple):
    """What of a dialect reads the bytes of others.

    `readers` are those of whole bodies, and may raise nothing but WireError; `compared` is an event
    without what differs each time it is read.
    """

    name: str
    key: str
    decoder: Callable[[], Decoder]
    failure_of_response: Callable[[int, bytes], Failure]
    readers: Sequence[Callable[[bytes], object]]
    compared: Callable[[ProviderEvent], StreamEvent] = lambda event: event

    def fuzz(self, seeds: Sequence[bytes], words: Sequence[str]) -> None:
        """Fuzzes until libFuzzer ends the process."""
        fuzz(self.name, self.check, seeds, 1200, words)

    def check(self, data: bytes) -> None:
        """Reads an input as a stream, whole and in pieces, as an error and as every body."""
        stream, pieces = cut(data)
        whole = self._streamed([stream])
        if self._streamed(pieces) != whole:
            raise AssertionError(f"pieces {pieces} give something else than the whole: {whole}")
        self._check_error(stream)
        for read in self.readers:
            with contextlib.suppress(WireError):
                read(stream)

    def _streamed(self, pieces: Sequence[bytes]) -> tuple[list[StreamEvent], Failure | None]:
        decoder = self.decoder()
        events = [event for piece in pieces for event in decoder.feed(piece)]
        events += decoder.end()
        finishes = [event for event in events if isinstance(event, Finish)]
        finished = decoder.failure is None
        if len(finishes) != finished or (finishes and events[-1] is not finishes[0]):
            raise AssertionError(f"neither finish nor failure ends it: {events}, {decoder.failure}")
        return merge([self.compared(event) for event in events]), decoder.failure

    def _check_error(self, body: bytes) -> None:
        failure = self.failure_of_response(400 + len(body) % 200, body)
        error = ErrorReport("up", self.key).error(failure, "m", status=500)
        if self.key in f"{error.message} {error.attempts}":
            raise AssertionError(f"the key is shown: {error.message} {error.attempts}")
