"""A chat of the framework becomes the contract's conversation, past prompts included."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgateway.sentient.conversation import conversation_input
from llmgateway.sentient.events import EventOptions, EventStream
from llmgateway.sentient.request import AssistRequest, InvalidBodyError, read_request
from llmgateway.v1.content_pb2 import ROLE_ASSISTANT, ROLE_SYSTEM, ROLE_USER, Message
from llmgateway.v1.generation_service_pb2 import (
    FINISH_REASON_STOP,
    RECOVERY_KIND_RESTARTED,
    Delta,
    Finish,
    GenerateStreamResponse,
    Recovery,
    StreamStart,
)
from support.sentient_wire import PING, read_frames

ID = "01JAAAAAAAAAAAAAAAAAAAAAAA"
QUERY = {"id": ID, "prompt": "And now?"}


def asked(*prompts: str) -> dict[str, Any]:
    parts = [{"prompt": prompt, "fileIds": ["f1"]} for prompt in prompts]
    content = {"capability": "assist", "request_payload": {"parts": parts}}
    return {"sender": "user", "event": {"id": ID, "chatId": ID, "content": content}}


def chunk(stream: str, content: str, *, last: bool = False, name: str = "FINAL_RESPONSE") -> Any:
    return {
        "event": {
            "content_type": "chunked.text",
            "event_name": name,
            "source": "me",
            "stream_id": stream,
            "is_complete": last,
            "content": content,
        }
    }


def interaction(request: Any, *responses: Any) -> dict[str, Any]:
    return {"request": request, "responses": list(responses)}


def body(*interactions: dict[str, Any], **more: Any) -> dict[str, Any]:
    session = {"processor_id": "proc", "activity_id": ID, "request_id": ID}
    return {"query": QUERY, "session": {**session, "interactions": list(interactions), **more}}


def turns(value: Any, **options: Any) -> list[tuple[Any, ...]]:
    generation = conversation_input(AssistRequest.model_validate(value), **options)
    return [turn(message) for message in generation.messages]


def turn(message: Message) -> tuple[Any, ...]:
    return (message.role, *(part.text for part in message.parts))


def test_what_was_asked_and_answered_comes_before_the_query() -> None:
    past = [
        interaction(asked("Hi", "there"), chunk("a", "Hel"), chunk("a", "lo"), chunk("a", " ")),
        interaction(asked("More"), chunk("b", "Sure."), chunk("b", " ", last=True)),
    ]
    assert turns(body(*past)) == [
        (ROLE_USER, "Hi", "there"),
        (ROLE_ASSISTANT, "Hello "),
        (ROLE_USER, "More"),
        (ROLE_ASSISTANT, "Sure."),
        (ROLE_USER, "And now?"),
    ]


def test_streams_are_joined_by_their_ids_and_blocks_are_text_too() -> None:
    block = {"content_type": "atomic.textblock", "event_name": "SEARCH", "content": "Searching"}
    found = {"content_type": "atomic.json", "event_name": "SOURCES", "content": {"results": []}}
    done = {"content_type": "atomic.done", "event_name": "done"}
    past = interaction(
        asked("Hi"),
        chunk("a", "One"),
        {"event": block},
        chunk("b", "Other"),
        chunk("a", " two"),
        {"event": found},
        chunk("b", " end", last=True),
        {"event": done},
    )
    assert turns(body(past))[1] == (ROLE_ASSISTANT, "One two", "Searching", "Other end")


def test_thoughts_voids_and_turns_without_text_are_left_out() -> None:
    restarted = {
        "content_type": "atomic.json",
        "event_name": "RESTARTED",
        "content": {"void_stream_ids": ["a"]},
    }
    odd = {**restarted, "content": {"void_stream_ids": 5}}
    past = [
        interaction(
            asked("Hi"),
            chunk("t", "Hmm", name="THINKING"),
            chunk("a", "Void"),
            {"event": restarted},
            {"event": odd},
            chunk("b", "Valid"),
        ),
        interaction(asked("", " "), chunk("c", " ", last=True)),
    ]
    options = EventOptions(reasoning_event_name="THINKING")
    assert turns(body(*past), options=options) == [
        (ROLE_USER, "Hi"),
        (ROLE_ASSISTANT, "Valid"),
        (ROLE_USER, "And now?"),
    ]


@pytest.mark.parametrize(
    "request_", [{}, {"event": None}, {"event": "garbage"}, {"event": {"content": {}}}]
)
def test_a_request_that_the_framework_never_looked_at_is_no_error(request_: Any) -> None:
    past = interaction(request_, chunk("a", "Hello"))
    assert turns(body(past)) == [(ROLE_ASSISTANT, "Hello"), (ROLE_USER, "And now?")]


def test_a_request_of_another_session_needs_none() -> None:
    for value in ({"query": QUERY}, {"query": QUERY, "session": None}):
        request = AssistRequest.model_validate(value)
        assert request.source == ""
        generation = conversation_input(request)
        assert not generation.labels
        assert [turn(message) for message in generation.messages] == [(ROLE_USER, "And now?")]


def test_instructions_model_and_labels_go_along() -> None:
    request = AssistRequest.model_validate(body(processor_id="p" * 500))
    generation = conversation_input(request, model="chat", instructions="Be brief.")
    assert generation.model == "chat"
    assert turn(generation.messages[0]) == (ROLE_SYSTEM, "Be brief.")
    assert generation.labels == {"processor_id": "p" * 128, "activity_id": ID, "request_id": ID}
    assert not generation.end_user_id  # a processor id is no credential, nor a person


def test_an_empty_label_is_none() -> None:
    request = AssistRequest.model_validate(body(processor_id=""))
    assert set(conversation_input(request).labels) == {"activity_id", "request_id"}


def test_the_oldest_turns_go_beyond_the_contracts_limit() -> None:
    past = [interaction(asked(f"q{n}"), chunk("a", f"a{n}")) for n in range(1500)]
    all_turns = turns(body(*past), instructions="Be brief.")
    assert len(all_turns) == 2048
    assert all_turns[0] == (ROLE_SYSTEM, "Be brief.")
    assert all_turns[-1] == (ROLE_USER, "And now?")
    assert all_turns[-2] == (ROLE_ASSISTANT, "a1499")


def test_our_own_events_are_read_back_as_the_answer() -> None:
    stream = EventStream(source="me")
    messages = [
        GenerateStreamResponse(start=StreamStart(response_id="r", model="demo/small")),
        GenerateStreamResponse(deltas=[Delta(reasoning="Hm")]),
        GenerateStreamResponse(deltas=[Delta(text="Void", part_index=1)]),
        GenerateStreamResponse(),
        GenerateStreamResponse(recovery=Recovery(kind=RECOVERY_KIND_RESTARTED)),
        GenerateStreamResponse(deltas=[Delta(text="Bon")]),
        GenerateStreamResponse(deltas=[Delta(text="jour")]),
        GenerateStreamResponse(finish=Finish(reason=FINISH_REASON_STOP)),
    ]
    sent = b"".join([*map(stream.feed, messages), stream.finish()])
    responses = [{"event": event.data} for event in read_frames(sent) if event.kind != PING]
    past = interaction(asked("Hi"), *responses)
    assert turns(body(past))[1] == (ROLE_ASSISTANT, "Bonjour")


def test_half_characters_of_a_cut_text_become_a_sign() -> None:
    text = json.dumps({"query": {"id": ID, "prompt": "cut \ud83d"}})
    request = read_request(text.encode())
    assert request.query.prompt == "cut \ufffd"
    pair = json.dumps({"query": {"id": ID, "prompt": "\U0001f600 \\ud83d"}})
    assert read_request(pair.encode()).query.prompt == "\U0001f600 \\ud83d"
    raw = b'{"query":{"id":"%s","prompt":"\xed\xa0\xbd"}}' % ID.encode()
    assert read_request(raw).query.prompt == "\ufffd"


@pytest.mark.parametrize(
    "text",
    [
        b'{"query":{"id":NaN}}',
        b'{"query":{"id":' + b"1" * 5000 + b"}}",
        b"[" * 100_000,
        b"\xff\xfe\xfa",
        b'{"query":{"id":true,"prompt":NaN}}',
        b'{"query":{"id":-1,"prompt":""}}',
        b'{"query":{"id":340282366920938463463374607431768211456,"prompt":""}}',
        b'{"query":{"id":[],"prompt":"\\ud800"},"session":5}',
    ],
)
def test_an_odd_body_is_an_error_in_the_frameworks_shape(text: bytes) -> None:
    with pytest.raises(InvalidBodyError) as caught:
        read_request(text)
    detail = json.loads(caught.value.body)["detail"]
    assert detail
    for each in detail:
        assert {"type", "loc", "msg", "input"} <= set(each)
        assert each["loc"][0] == "body"


def test_a_body_of_errors_is_not_answered_by_a_larger_one() -> None:
    value = body(*[0] * 5000)  # type: ignore[arg-type]
    with pytest.raises(InvalidBodyError) as caught:
        read_request(json.dumps(value).encode())
    assert len(json.loads(caught.value.body)["detail"]) == 100


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["query", "session", "id", "prompt", "interactions", "request", "event"]
            ),
            inner,
            max_size=3,
        )
    ),
)


@given(values | st.binary())
def test_any_body_is_read_or_refused(value: Any) -> None:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    said = b'{"detail":["none"]}'
    try:
        read_request(text)
    except InvalidBodyError as error:
        said = error.body
    assert json.loads(said)["detail"]
