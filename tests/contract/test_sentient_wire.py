"""Our events are the real framework's to the byte; `sentient/record.py` recorded those."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from llmgateway.sentient.conversation import history
from llmgateway.sentient.events import EventStream
from llmgateway.sentient.frames import Frames, TextStream
from llmgateway.sentient.request import Interaction, InvalidBodyError, read_request
from llmgateway.sentient.ulid import UlidSequence
from llmgateway.v1.generation_service_pb2 import (
    FINISH_REASON_STOP,
    Delta,
    Finish,
    GenerateStreamResponse,
    StreamStart,
)
from support.sentient_wire import read_frames

RECORDED = Path(__file__).parent / "sentient"
SOURCE = "sentient-chat-client"
SCRIPTS: dict[str, list[list[Any]]] = json.loads((RECORDED / "scripts.json").read_text())
BODIES: dict[str, list[str]] = json.loads((RECORDED / "bodies.json").read_text())
ANSWERS: dict[str, list[Any]] = json.loads((RECORDED / "answers.json").read_text())

# Where we differ from the framework on purpose: its own Python client cannot read these characters.
LINE_SEPARATORS = {"\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def recorded(script: str) -> bytes:
    return (RECORDED / f"{script}.sse").read_bytes()


def without_ids(body: bytes) -> str:
    """The same with ids of events left out, and ids of streams numbered as they come."""
    text = re.sub(r'"id":"[0-9A-Z]{26}"', '"id":""', body.decode())
    numbers: dict[str, str] = {}

    def number(match: re.Match[str]) -> str:
        return f'"stream_id":"{numbers.setdefault(match[1], str(len(numbers)))}"'

    return re.sub(r'"stream_id":"([a-z0-9]{10})"', number, text)


def played(script: list[list[Any]]) -> bytes:
    """What the framework's agent does in a script, done with our frames."""
    frames = Frames(SOURCE, UlidSequence())
    streams: dict[str, TextStream] = {}
    out = []
    for kind, *values in script:
        match kind:
            case "stream":
                streams[values[0]] = frames.text_stream(values[1])
            case "chunk":
                out.append(streams[values[0]].chunk(values[1]))
            case "end":
                out.append(streams.pop(values[0]).close())
            case "json":
                out.append(frames.document(*values))
            case "error":
                out.append(frames.error(*values))
    # Its handler closes what is open, in order, then says that it is done.
    out.extend(stream.close() for stream in streams.values())
    return b"".join([*out, frames.done()])


# We have no use for text blocks, which the framework's agents write.
@pytest.mark.parametrize("script", sorted(set(SCRIPTS) - {"text-block"}))
def test_frames_are_the_frameworks_to_the_byte(script: str) -> None:
    theirs = without_ids(recorded(script))
    for character, escape in LINE_SEPARATORS.items():
        theirs = theirs.replace(character, escape)
    assert without_ids(played(SCRIPTS[script])) == theirs


@pytest.mark.parametrize("script", ["text-stream", "unicode", "line-separators", "empty-chunk"])
def test_an_answer_is_the_same_stream_with_metadata_and_documents(script: str) -> None:
    stream = EventStream(source=SOURCE)
    texts = [step[2] for step in SCRIPTS[script] if step[0] == "chunk"]
    messages = [
        GenerateStreamResponse(start=StreamStart(response_id="r", model="demo/small")),
        *(GenerateStreamResponse(deltas=[Delta(text=text)]) for text in texts),
        GenerateStreamResponse(finish=Finish(reason=FINISH_REASON_STOP)),
    ]
    ours = b"".join([*map(stream.feed, messages), stream.finish()])
    ours = re.sub(rb'"metadata":\{[^}]*\}', b'"metadata":null', ours)
    ours = re.sub(rb"event: ROUTE\n.*\n\n", b"", ours)
    theirs = recorded(script)
    # Nor do we send empty chunks, on which its TypeScript client fails.
    theirs = re.sub(rb'event: .*\ndata: .*"is_complete":false,"content":""\}\n\n', b"", theirs)
    theirs = re.sub(rb"event: NOTE\n.*\n\n", b"", theirs)
    text = without_ids(theirs)
    for character, escape in LINE_SEPARATORS.items():
        text = text.replace(character, escape)
    assert without_ids(ours) == text


@pytest.mark.parametrize("name", BODIES)
def test_bodies_are_taken_and_refused_as_the_framework_does(name: str) -> None:
    content_type, body = BODIES[name]
    said = [200, ""]
    try:
        read_request(body.encode(), content_type)
    except InvalidBodyError as error:
        said = [422, error.body.decode()]
    # pydantic names the kinds that there are, and the framework's are members of an enum.
    theirs = re.sub(r"<EventContentType\.\w+: ('[a-z.]+')>", r"\1", ANSWERS[name][1])
    assert said == [ANSWERS[name][0], theirs]


@pytest.mark.parametrize("script", sorted(set(SCRIPTS) - {"line-separators"}))
def test_what_the_framework_answered_is_read_back_as_history(script: str) -> None:
    events = [event.data for event in read_frames(recorded(script))]
    interaction = Interaction.model_validate(
        {"request": {}, "responses": [{"event": event} for event in events]}
    )
    expected: dict[str, str] = {}
    thoughts = {step[1] for step in SCRIPTS[script] if step[0] == "stream" and "REASON" in step[2]}
    for number, (kind, *values) in enumerate(SCRIPTS[script]):
        if kind == "chunk" and values[0] not in thoughts:
            expected[values[0]] = expected.get(values[0], "") + values[1]
        elif kind == "block":
            expected[str(number)] = values[1]
    turns = list(history([interaction]))
    texts = [part.text for turn in turns for part in turn.parts]
    assert texts == [text for text in expected.values() if text]
