"""A text/event-stream decoder without I/O, for input that may be hostile.

Source: WHATWG HTML, "Server-sent events", sections "Parsing" and "Interpreting an event stream"
(https://html.spec.whatwg.org/multipage/server-sent-events.html). Two departures, both from what
providers do: `data` stays bytes, because a JSON decoder wants bytes, and an event that the end of
the stream leaves unfinished is delivered (see `EventStreamDecoder.end`).
"""

from typing import Final, Literal

import msgspec

MAX_LINE_BYTES: Final = 1024 * 1024
MAX_EVENT_BYTES: Final = 4 * 1024 * 1024
MAX_STREAM_BYTES: Final = 64 * 1024 * 1024

_BOM: Final = b"\xef\xbb\xbf"
_UNNAMED: Final = "message"

Cap = Literal["line", "event", "stream"]


class ServerEvent(msgspec.Struct, frozen=True, gc=False):
    """One dispatched event.

    Attributes:
        data: The values of its `data` fields, joined with LF; not decoded.
        event: Its type, `message` where the stream names none.
    """

    data: bytes
    event: str = _UNNAMED


class EventStreamError(ValueError):
    """The stream broke one of the decoder's caps.

    Attributes:
        cap: Which one.
    """

    def __init__(self, cap: Cap, limit: int) -> None:
        super().__init__(f"event stream: one {cap} is longer than {limit} bytes")
        self.cap: Cap = cap


class EventStreamDecoder:
    """Turns the bytes of one stream, however they are split, into events.

    Takes time linear in the bytes fed and holds at most one line and one event. What comes out
    does not depend on how the input was split: where one call's input completes events and then
    breaks a cap, the events are returned and the next call raises.
    """

    def __init__(
        self,
        *,
        max_line: int = MAX_LINE_BYTES,
        max_event: int = MAX_EVENT_BYTES,
        max_stream: int = MAX_STREAM_BYTES,
    ) -> None:
        """Start at the beginning of a stream.

        Args:
            max_line: Most bytes of one line without its end.
            max_event: Most bytes of one event's data.
            max_stream: Most bytes altogether.
        """
        self._max_line = max_line
        self._max_event = max_event
        self._max_stream = max_stream
        self._room = max_stream
        self._failure: EventStreamError | None = None
        # What may still become a byte order mark; None once the stream's start is behind us.
        self._start: bytes | None = b""
        self._after_cr = False
        # Growing in place: a line of 1 MiB that comes byte by byte is copied once, not 2^20 times.
        self._line = bytearray()
        self._data: bytes | bytearray | None = None
        self._event = ""
        # What is shorter than the smallest cap altogether cannot break one.
        self._safe_size = min(max_line, max_event)
        self._is_between_events = False

    def feed(self, data: bytes) -> list[ServerEvent]:
        """Take the stream's next bytes.

        Returns:
            The events they complete, in order.

        Raises:
            EventStreamError: A cap is broken; so does every later call.
        """
        if self._is_between_events and len(data) <= self._room and b"\r" not in data:
            values = self._plain_values(data)
            if values is not None:
                self._room -= len(data)
                return list(map(ServerEvent, values))
        if self._failure is not None:
            raise self._failure
        events: list[ServerEvent] = []
        try:
            self._take(data, events)
        except EventStreamError as error:
            self._failure = error
            if not events:
                raise
        return events

    def end(self) -> list[ServerEvent]:
        """Take the stream's clean end; call it once, and not after a broken connection.

        The standard drops an event that no blank line ends. Providers do end streams right after
        their last `data` line, so it is delivered. That is safe: a value cut short is no longer
        valid JSON, and its reader says so.

        Returns:
            The unfinished event, if there is one.

        Raises:
            EventStreamError: A cap was broken by the bytes fed before.
        """
        if self._failure is not None:
            raise self._failure
        events: list[ServerEvent] = []
        if self._line:
            self._take_line(bytes(self._line), events)
            self._line.clear()
        self._dispatch(events)
        return events

    def _plain_values(self, lines: bytes) -> list[bytes] | None:
        """The values of whole events of one `data` line each, if `lines` is nothing else.

        Nearly all input is; the decoder's speed is this method.
        """
        is_plain = lines.startswith(b"data: ") and lines.endswith(b"\n\n")
        if not is_plain or len(lines) > self._safe_size:
            return None
        values = lines[6:-2].split(b"\n\ndata: ")
        return values if lines.count(b"\n") == 2 * len(values) else None

    def _take(self, data: bytes, events: list[ServerEvent]) -> None:
        self._is_between_events = False
        overflows = len(data) > self._room
        if overflows:
            data = data[: self._room]
        self._room -= len(data)
        if self._start is not None:
            data = self._skip_bom(self._start + data)
        if self._after_cr or b"\r" in data:
            data = self._normalise(data)
        if self._line:
            data = self._finish_line(data, events)
        end = data.rfind(b"\n") + 1
        if end:
            self._take_lines(data[:end], events)
        if end < len(data):
            self._extend_line(data[end:])
        if overflows:
            raise EventStreamError("stream", self._max_stream)
        self._is_between_events = (
            self._start is None
            and not self._after_cr
            and not self._line
            and self._data is None
            and not self._event
        )

    def _skip_bom(self, start: bytes) -> bytes:
        if len(start) < len(_BOM) and _BOM.startswith(start):
            self._start = start
            return b""
        self._start = None
        return start.removeprefix(_BOM)

    def _normalise(self, data: bytes) -> bytes:
        """Make every line end a LF; a CR ends its line at once, so that no event waits for a LF."""
        if not data:
            return data
        if self._after_cr and data.startswith(b"\n"):
            data = data[1:]
            self._after_cr = False
        if data:
            self._after_cr = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _finish_line(self, data: bytes, events: list[ServerEvent]) -> bytes:
        """Complete the line begun by earlier input; return what comes after it."""
        piece, newline, rest = data.partition(b"\n")
        self._extend_line(piece)
        if newline:
            line = bytes(self._line)
            self._line.clear()
            self._take_line(line, events)
        return rest

    def _extend_line(self, piece: bytes) -> None:
        if len(self._line) + len(piece) > self._max_line:
            raise EventStreamError("line", self._max_line)
        self._line += piece

    def _take_lines(self, lines: bytes, events: list[ServerEvent]) -> None:
        """Take whole lines, each with its end."""
        if lines.startswith(b"\n"):
            # The blank line of an event whose last line earlier input had begun.
            self._dispatch(events)
            lines = lines[1:]
        if self._data is None and not self._event:
            values = self._plain_values(lines)
            if values is not None:
                events += map(ServerEvent, values)
                return
        for line in lines.split(b"\n")[:-1]:
            self._take_line(line, events)

    def _take_line(self, line: bytes, events: list[ServerEvent]) -> None:
        if not line:
            self._dispatch(events)
            return
        if len(line) > self._max_line:
            raise EventStreamError("line", self._max_line)
        name, _, value = line.partition(b":")
        if name == b"data":
            self._add_data(value.removeprefix(b" "))
        elif name == b"event":
            self._event = str(value.removeprefix(b" "), "utf-8", "replace")

    def _add_data(self, value: bytes) -> None:
        size = len(value) if self._data is None else len(self._data) + 1 + len(value)
        if size > self._max_event:
            raise EventStreamError("event", self._max_event)
        if self._data is None:
            self._data = value
            return
        if isinstance(self._data, bytes):
            # Not a list of lines: a million empty `data` lines must not cost a million objects.
            self._data = bytearray(self._data)
        self._data += b"\n"
        self._data += value

    def _dispatch(self, events: list[ServerEvent]) -> None:
        if self._data is not None:
            events.append(ServerEvent(bytes(self._data), self._event or _UNNAMED))
            self._data = None
        self._event = ""
