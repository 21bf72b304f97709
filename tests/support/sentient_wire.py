"""A strict reader of Sentient's event stream: what any real client of it rejects, it rejects.

The framework's Python client breaks on odd line ends, unknown types and nested or null metadata;
its TypeScript client on empty chunks, sources and messages; both miss what is not closed. Ids must
increase and never be ahead of the clock. The laws of our own metadata come on top.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

_EVENT = re.compile(rb"event: ([^\r\n]+)\ndata: (\{[^\r\n]*\})\n\n|: ping\n\n")
_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
_STREAM_ID = re.compile(r"[a-z][a-z0-9]{9}")
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_COMMON = ["content_type", "event_name", "schema_version", "id", "source", "metadata"]
_FIELDS = {
    "atomic.textblock": ["content"],
    "atomic.json": ["content"],
    "chunked.text": ["stream_id", "is_complete", "content"],
    "atomic.error": ["content"],
    "atomic.done": [],
}
PING = "ping"


@dataclass(frozen=True)
class WireEvent:
    """One event; a comment has the kind PING and nothing else."""

    kind: str
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return str(self.data["event_name"])

    @property
    def metadata(self) -> dict[str, Any]:
        return self.data["metadata"] or {}

    @property
    def stream_id(self) -> str:
        return str(self.data["stream_id"])

    @property
    def is_complete(self) -> bool:
        return bool(self.data["is_complete"])

    @property
    def content(self) -> Any:
        return self.data["content"]


def ulid_ms(ulid: str) -> int:
    """The time of a ULID, in milliseconds since 1970."""
    ms = 0
    for letter in ulid[:10]:
        ms = ms * 32 + _ALPHABET.index(letter)
    return ms


def read_frames(body: bytes) -> Iterator[WireEvent]:
    """The events that bytes hold, each form checked to the byte."""
    at = 0
    while at < len(body):
        match = _EVENT.match(body, at)
        assert match is not None, body[at : at + 200]
        at = match.end()
        if match[1] is None:
            yield WireEvent(PING)
            continue
        name, text = match[1].decode(), match[2].decode()
        # httpx splits where str does.
        assert name.splitlines() == [name]
        assert text.splitlines() == [text]
        data = json.loads(text, parse_constant=_no_constant)
        _check_form(name, text, data)
        yield WireEvent(data["content_type"], data)


def _no_constant(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def _check_form(name: str, text: str, data: dict[str, Any]) -> None:
    compact = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    for line_end in "\x85\u2028\u2029":
        compact = compact.replace(line_end, f"\\u{ord(line_end):04x}")
    assert text == compact
    assert list(data) == _COMMON + _FIELDS[data["content_type"]]
    assert data["event_name"] == name
    assert data["schema_version"] == "1.0"
    assert _ULID.fullmatch(data["id"])
    assert isinstance(data["source"], str)
    assert data["source"]
    for value in (data["metadata"] or {}).values():
        assert isinstance(value, str | int | float)


@dataclass
class Answer:
    """What a reader keeps of one response."""

    streams: dict[str, list[str]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    endings: dict[str, dict[str, Any]] = field(default_factory=dict)
    documents: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)
    pings: int = 0

    def texts(self, name: str = "FINAL_RESPONSE") -> list[str]:
        """The text of each stream of that name which no restart made void, in opening order."""
        void = {
            stream
            for event, content in self.documents
            if event == "RESTARTED"
            for stream in content["void_stream_ids"]
        }
        return [
            "".join(pieces)
            for stream, pieces in self.streams.items()
            if self.names[stream] == name and stream not in void
        ]


class StrictReader:
    """Reads one response, and asserts every law of the wire on the way."""

    def __init__(self) -> None:
        self.answer = Answer()
        self.done = False
        self._last_id = ""

    def feed(self, body: bytes, now_ms: int) -> None:
        """The next bytes, which came at that time."""
        for event in read_frames(body):
            assert not self.done, "something came after done"
            if event.kind == PING:
                self.answer.pings += 1
                continue
            assert event.data["id"] > self._last_id
            assert ulid_ms(event.data["id"]) <= now_ms
            self._last_id = event.data["id"]
            self._take(event)

    def end(self) -> Answer:
        """The response is over."""
        assert self.done
        return self.answer

    def _take(self, event: WireEvent) -> None:
        match event.kind:
            case "chunked.text":
                self._take_chunk(event)
            case "atomic.json":
                assert isinstance(event.content, dict)
                self.answer.documents.append((event.name, event.content))
            case "atomic.error":
                self._take_error(event)
            case "atomic.done":
                assert event.name == "done"
                assert set(self.answer.endings) == set(self.answer.streams), "a stream is open"
                self.done = True

    def _take_chunk(self, event: WireEvent) -> None:
        stream, answer = event.stream_id, self.answer
        assert _STREAM_ID.fullmatch(stream)
        assert stream not in answer.endings, "a chunk came after the last one"
        assert not answer.errors, "text came after an error"
        assert isinstance(event.metadata["model"], str)
        if event.is_complete:
            assert event.content == " "
            assert stream in answer.streams, "a stream ended that had never begun"
            answer.endings[stream] = event.metadata
            return
        assert event.content, "an empty chunk"
        assert event.metadata["is_first_chunk"] is (stream not in answer.streams)
        assert answer.names.setdefault(stream, event.name) == event.name
        answer.streams.setdefault(stream, []).append(event.content)

    def _take_error(self, event: WireEvent) -> None:
        content = event.content
        assert event.name == "error"
        assert list(content) == ["error_message", "error_code", "details"]
        assert content["error_message"]
        assert type(content["error_code"]) is int
        assert not self.answer.errors, "two errors"
        for value in content["details"].values():
            assert isinstance(value, str | int | float | list)
        self.answer.errors.append(content)


def read_answer(pieces: Iterable[bytes], now_ms: int) -> Answer:
    """What a whole response tells."""
    reader = StrictReader()
    for piece in pieces:
        reader.feed(piece, now_ms)
    return reader.end()
