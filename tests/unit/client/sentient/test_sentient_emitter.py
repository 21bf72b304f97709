"""What goes to the framework's handler is what its clients can read, and lets others run."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgateway.sentient.emitter import Emitter, readable, readable_document
from llmgateway.sentient.events import EventOptions

LINE_ENDS = "a\x85b\u2028c\u2029d"


class Stream:
    def __init__(self, handler: "Handler", name: str) -> None:
        self.handler = handler
        self.name = name
        self.id = f"stream-{len(handler.streams)}"
        self.is_complete = False

    async def emit_chunk(self, chunk: str) -> "Stream":
        assert not self.is_complete
        self.handler.sent.append((self.name, self.id, chunk))
        return self

    async def complete(self) -> None:
        assert not self.is_complete
        self.is_complete = True
        self.handler.sent.append((self.name, self.id, None))


class Handler:
    """Keeps what the framework's handler would send."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.streams: list[Stream] = []

    def create_text_stream(self, event_name: str) -> Stream:
        self.streams.append(Stream(self, event_name))
        return self.streams[-1]

    async def emit_text_block(self, event_name: str, content: str) -> None:
        self.sent.append((event_name, content))

    async def emit_json(self, event_name: str, data: Mapping[str, object]) -> None:
        self.sent.append((event_name, data))

    async def emit_error(
        self, error_message: str, error_code: int, details: Mapping[str, object] | None
    ) -> None:
        self.sent.append(("error", error_message, error_code, details))

    async def complete(self) -> None:
        self.sent.append("done")


@pytest.fixture
def handler() -> Handler:
    return Handler()


@pytest.fixture
def emitter(handler: Handler) -> Emitter:
    return Emitter(handler, EventOptions())


async def test_parts_of_text_share_a_stream_and_nothing_empty_is_sent(
    emitter: Emitter, handler: Handler
) -> None:
    for text, part in (("", 0), ("Hel", 0), ("lo", 0), ("", 1), (" you", 2)):
        await emitter.text(text, part)
    await emitter.text("!")
    await emitter.text_block("SEARCH", "")
    await emitter.close_streams()
    await emitter.close_streams()
    name, stream = "FINAL_RESPONSE", "stream-0"
    texts = ["Hel", "lo", " you", "!", None]
    assert handler.sent == [(name, stream, text) for text in texts]
    assert emitter.told == "Hello you!"


async def test_a_part_that_grows_after_a_later_one_began_has_its_own_stream(
    emitter: Emitter, handler: Handler
) -> None:
    for text, part in (("a", 0), ("b", 1), ("A", 0), ("B", 1), ("A", 0)):
        await emitter.text(text, part)
    await emitter.close_streams()
    assert [sent[1:] for sent in handler.sent] == [
        ("stream-0", "a"),
        ("stream-0", "b"),
        ("stream-1", "A"),
        ("stream-0", "B"),
        ("stream-1", "A"),
        ("stream-0", None),
        ("stream-1", None),
    ]
    assert emitter.told == "abBAA"


async def test_thoughts_are_a_stream_of_their_own_that_text_closes(
    emitter: Emitter, handler: Handler
) -> None:
    await emitter.reasoning("hm")
    await emitter.reasoning("")
    await emitter.text("Well", 1)
    await emitter.reasoning("hm again")
    await emitter.close_streams()
    assert [(sent[0], sent[2]) for sent in handler.sent] == [
        ("REASONING", "hm"),
        ("REASONING", None),
        ("FINAL_RESPONSE", "Well"),
        ("REASONING", "hm again"),
        ("FINAL_RESPONSE", None),
        ("REASONING", None),
    ]
    assert emitter.told == "Well"


async def test_a_restart_voids_what_was_told_and_opens_new_streams(
    emitter: Emitter, handler: Handler
) -> None:
    assert await emitter.restart() == []
    await emitter.reasoning("hm")
    await emitter.text("first", 1)
    assert await emitter.restart() == ["stream-0", "stream-1"]
    await emitter.text("second", 0)
    assert emitter.told == "second"
    assert handler.sent[-2:] == [
        ("FINAL_RESPONSE", "stream-1", None),
        ("FINAL_RESPONSE", "stream-2", "second"),
    ]
    assert await emitter.restart() == ["stream-2"]


async def test_an_error_comes_after_the_last_chunks(emitter: Emitter, handler: Handler) -> None:
    await emitter.text("cut")
    await emitter.fail("broken\u2028", 503, {"reason": "X"})
    await emitter.end()
    assert handler.sent[1:] == [
        ("FINAL_RESPONSE", "stream-0", None),
        ("error", "broken\n", 503, {"reason": "X"}),
        "done",
    ]


async def test_what_no_client_could_read_is_made_readable(
    emitter: Emitter, handler: Handler
) -> None:
    await emitter.text(LINE_ENDS)
    await emitter.text_block("NOTE", LINE_ENDS + "\ud83d\ude00\ud83d")
    await emitter.document("NOTE", {LINE_ENDS: [LINE_ENDS, "\ude00"], "number": 1.5, "none": None})
    assert handler.sent == [
        ("FINAL_RESPONSE", "stream-0", "a\nb\nc\nd"),
        ("NOTE", "a\nb\nc\nd\U0001f600\ufffd"),
        ("NOTE", {"a\nb\nc\nd": ["a\nb\nc\nd", "\ufffd"], "number": 1.5, "none": None}),
    ]


@pytest.mark.parametrize("name", ["", " ", "A\nB", "A\u2028B"])
async def test_names_that_break_the_wire_are_refused(name: str, emitter: Emitter) -> None:
    with pytest.raises(ValueError, match="not a name"):
        await emitter.text_block(name, "text")
    with pytest.raises(ValueError, match="not a name"):
        await emitter.document(name, {})


async def test_what_is_not_json_is_an_error(emitter: Emitter, handler: Handler) -> None:
    with pytest.raises(TypeError):
        await emitter.document("NOTE", {"it": object()})
    circle: dict[str, object] = {}
    circle["it"] = circle
    with pytest.raises(ValueError, match="Circular"):
        await emitter.document("NOTE", circle)
    assert handler.sent == []


async def test_every_event_lets_others_run(emitter: Emitter) -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    for _ in range(100):
        await emitter.text("x")
        await emitter.reasoning("x")
        await emitter.text_block("NOTE", "x")
        await emitter.document("NOTE", {})
    task.cancel()
    assert turns >= 400


ANY_TEXT = st.text(st.characters() | st.sampled_from("\x85\u2028\u2029\ud83d\ude00\n\r"))


@given(ANY_TEXT)
def test_readable_text_can_be_sent_and_is_one_line_of_json(text: str) -> None:
    made = readable(text)
    line = json.dumps(made, ensure_ascii=False)
    assert line.splitlines() == [line]
    assert line.encode()
    assert readable(made) == made
    assert readable_document({"text": text}) == {"text": made}
