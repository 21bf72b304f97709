"""The event-stream decoder against a slow reading of the standard, at every split."""

import re
import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llmgateway_server.providers.eventstream import (
    MAX_EVENT_BYTES,
    MAX_LINE_BYTES,
    MAX_STREAM_BYTES,
    EventStreamDecoder,
    EventStreamError,
    ServerEvent,
)

# What a whole stream gives: its events, and the cap it broke.
Outcome = tuple[list[tuple[str, bytes]], str | None]

# Small enough that generated streams break each of them often.
SMALL = {"max_line": 24, "max_event": 40, "max_stream": 300}


class Reference:
    """The standard's algorithm, a line at a time, without a thought for speed."""

    def __init__(self, max_line: int, max_event: int) -> None:
        self.events: list[tuple[str, bytes]] = []
        self.max_line = max_line
        self.max_event = max_event
        self.data: list[bytes] = []
        self.name = ""

    def take(self, line: bytes) -> str | None:
        """Interpret one line; name the cap it breaks."""
        field, _, value = line.partition(b":")
        value = value[1:] if value[:1] == b" " else value
        if len(line) > self.max_line:
            return "line"
        if line == b"":
            if self.data:
                self.events.append((self.name or "message", b"\n".join(self.data)))
            self.data, self.name = [], ""
        if field == b"data":
            self.data.append(value)
        if field == b"event":
            self.name = value.decode("utf-8", "replace")
        return "event" if len(b"\n".join(self.data)) > self.max_event else None


def reference(stream: bytes, *, max_line: int, max_event: int, max_stream: int) -> Outcome:
    parser = Reference(max_line, max_event)
    text = stream[:max_stream].removeprefix(b"\xef\xbb\xbf")
    *lines, rest = re.split(rb"\r\n|\r|\n", text)
    for line in lines:
        if cap := parser.take(line):
            return parser.events, cap
    if len(rest) > max_line:
        return parser.events, "line"
    if len(stream) > max_stream:
        return parser.events, "stream"
    # The one departure: the end of the stream ends the line and the event.
    cap = parser.take(rest) or parser.take(b"")
    return parser.events, cap


def decoded(pieces: list[bytes], **caps: int) -> Outcome:
    decoder = EventStreamDecoder(**caps)
    events: list[ServerEvent] = []
    cap: str | None = None
    try:
        for piece in pieces:
            events += decoder.feed(piece)
        events += decoder.end()
    except EventStreamError as error:
        cap = error.cap
    return [(event.event, event.data) for event in events], cap


def split(stream: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]


FRAGMENTS = st.sampled_from(
    [
        *(b"\n", b"\n\n", b"\r", b"\r\n", b"\r\n\r\n", b" ", b":", b"\x00", b"\xff\xfe"),
        *(b"data", b"data:", b"data: ", b"data:  x", b"dat", b"datax: y", b'data: {"a":1}\n\n'),
        *(b"event: error\n", b"event:", b"id: 7\n", b"retry: 10\n", b": ping\n\n", b"[DONE]"),
        *(b"\xef\xbb\xbf", b"\xef\xbb", b"\xf0\x9f\x98\x80", b"x" * 20, b"y" * 30),
    ]
)
STREAMS = st.one_of(st.lists(FRAGMENTS, max_size=40).map(b"".join), st.binary(max_size=400))
CUTS = st.lists(st.integers(min_value=0, max_value=400), max_size=20)


@given(STREAMS, CUTS)
@example(b"data: a\r\n\r\ndata: b\r\n\r\n", [8, 9, 10])
@example(b"\xef\xbb\xbfdata: a\n\n", [1, 2])
def test_every_split_gives_what_the_standard_says(stream: bytes, cuts: list[int]) -> None:
    expected = reference(
        stream,
        max_line=MAX_LINE_BYTES,
        max_event=MAX_EVENT_BYTES,
        max_stream=MAX_STREAM_BYTES,
    )
    assert decoded([stream]) == expected
    assert decoded(split(stream, cuts)) == expected


@given(STREAMS, CUTS)
@example(b"data: a\n\ndata: " + b"x" * 20, [])
@example(b"data: a\n\n" * 40, [3])
def test_caps_break_at_the_same_byte_at_every_split(stream: bytes, cuts: list[int]) -> None:
    expected = reference(stream, **SMALL)
    assert decoded([stream], **SMALL) == expected
    assert decoded(split(stream, cuts), **SMALL) == expected


@given(st.lists(st.binary(max_size=64), max_size=20))
def test_random_bytes_raise_nothing_but_the_decoders_own_error(pieces: list[bytes]) -> None:
    decoded(pieces)
    decoded(pieces, **SMALL)


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: a\n\n", [("message", b"a")]),
        (b"data:a\n\n", [("message", b"a")]),
        (b"data:  a\n\n", [("message", b" a")]),
        (b"data: a\r\rdata: b\r\r", [("message", b"a"), ("message", b"b")]),
        (b"data: a\ndata: b\ndata\n\n", [("message", b"a\nb\n")]),
        (b"data\n\n", [("message", b"")]),
        (b"\n\n\n", []),
        (b": ping\n\nid: 1\nretry: 5\nfoo: bar\n\n", []),
        (b"event: error\ndata: x\n\ndata: y\n\n", [("error", b"x"), ("message", b"y")]),
        (b"event: lost\n\ndata: y\n\n", [("message", b"y")]),
        (b"event: a\nevent: b\ndata: x\n\n", [("b", b"x")]),
        (b"event: \xff\ndata: \xff\n\n", [("�", b"\xff")]),
        (b"\xef\xbb\xbfdata: a\n\n", [("message", b"a")]),
        (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n", []),
        (b"data: a\n", [("message", b"a")]),
        (b"data: [DONE]", [("message", b"[DONE]")]),
        (b"event: error\ndata: a", [("error", b"a")]),
        (b"event: error", []),
        (b"", []),
    ],
)
def test_streams_as_the_standard_and_providers_write_them(
    stream: bytes, events: list[tuple[str, bytes]]
) -> None:
    assert decoded([stream]) == (events, None)
    assert decoded([stream[i : i + 1] for i in range(len(stream))]) == (events, None)


def test_an_event_is_delivered_by_the_byte_that_completes_it() -> None:
    decoder = EventStreamDecoder()
    assert decoder.feed(b"data: a\r\n") == []
    assert decoder.feed(b"\r") == [ServerEvent(b"a")]
    assert decoder.feed(b"\n") == []
    assert decoder.feed(b"data: b\r\n\r\n") == [ServerEvent(b"b")]


def test_events_before_a_broken_cap_are_returned_and_every_later_call_raises() -> None:
    decoder = EventStreamDecoder(max_line=10)
    assert decoder.feed(b"data: a\n\ndata: too long\n\n") == [ServerEvent(b"a")]
    for _ in range(2):
        with pytest.raises(EventStreamError, match="one line is longer than 10 bytes"):
            decoder.feed(b"data: b\n\n")
    with pytest.raises(EventStreamError):
        decoder.end()


def test_the_longest_line_event_and_stream_allowed_pass() -> None:
    line = b"data: " + b"x" * (MAX_LINE_BYTES - 6)
    assert decoded([line + b"\n\n"]) == ([("message", line[6:])], None)
    four = b"data: %b\n" % (b"y" * (MAX_EVENT_BYTES // 4 - 7))
    events, cap = decoded([four * 4 + b"data: %b\n\n" % (b"z" * 24)])
    assert (len(events[0][1]), cap) == (MAX_EVENT_BYTES, None)
    comment = b": %b\n" % (b"c" * (64 * 1024 - 3))
    assert decoded([comment] * (MAX_STREAM_BYTES // len(comment))) == ([], None)


def feed_for_ever(decoder: EventStreamDecoder, piece: bytes) -> None:
    while True:
        assert decoder.feed(piece) == []


@pytest.mark.parametrize(
    ("piece", "cap"),
    [
        (b"x" * 512, "line"),
        (b"data: " + b"x" * 512 + b"\n", "event"),
        (b"data\n" * 100, "event"),
        (b": comment\n" * 100, "stream"),
        (b"event: e\nid: 1\n" * 100, "stream"),
    ],
)
def test_an_endless_line_event_or_stream_breaks_its_cap_in_bounded_memory(
    piece: bytes, cap: str
) -> None:
    decoder = EventStreamDecoder(max_line=32_768, max_event=65_536, max_stream=1_048_576)
    tracemalloc.start()
    try:
        with pytest.raises(EventStreamError) as raised:
            feed_for_ever(decoder, piece)
        assert tracemalloc.get_traced_memory()[1] < 3 * 65_536
    finally:
        tracemalloc.stop()
    assert raised.value.cap == cap


def test_a_line_of_a_mebibyte_that_comes_byte_by_byte_is_taken_in_linear_time() -> None:
    # Copying the line for each byte would move 500 GB here: no clock is needed to notice that.
    line = b"data: " + b"x" * (MAX_LINE_BYTES - 6)
    decoder = EventStreamDecoder()
    for i in range(len(line)):
        assert decoder.feed(line[i : i + 1]) == []
    assert decoder.feed(b"\n\n") == [ServerEvent(line[6:])]
