"""Law 1 at the client: however a stream is cut into messages, its fold is the same answer."""

from hypothesis import given
from hypothesis import strategies as st

from llmgateway import Fold, Restarted, Text
from llmgateway._events import events_of
from llmgateway.v1.content_pb2 import ContentPart, ReasoningPart, ToolCall
from llmgateway.v1.errors_pb2 import AttemptFailure
from llmgateway.v1.generation_service_pb2 import (
    FINISH_REASON_STOP,
    RECOVERY_KIND_CONTINUED,
    RECOVERY_KIND_RESTARTED,
    Delta,
    Finish,
    GenerateResponse,
    GenerateStreamResponse,
    Recovery,
    StreamStart,
    ToolCallDelta,
)
from llmgateway.v1.usage_pb2 import Route, Usage

ROUTE = Route(provider="one", provider_model="m")
FINISH = Finish(reason=FINISH_REASON_STOP)
USAGE = Usage(input_token_count=1, output_token_count=2)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
text_parts = texts.map(lambda text: ContentPart(text=text))
reasoning_parts = st.builds(
    lambda text, signature: ContentPart(
        reasoning=ReasoningPart(
            text=text, signature=signature, signature_provider="one" if signature else ""
        )
    ),
    texts,
    st.binary(max_size=6),
)
tool_parts = st.builds(
    lambda call, arguments: ContentPart(
        tool_call=ToolCall(tool_call_id=call, name="lookup", arguments_json=arguments)
    ),
    texts,
    texts,
)
part_lists = st.lists(text_parts | reasoning_parts | tool_parts, max_size=4)


def cut(draw: st.DrawFn, text: str) -> list[str]:
    """The text in pieces, at least one, some maybe empty."""
    places = sorted(draw(st.lists(st.integers(0, len(text)), max_size=4)))
    return [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]


def deltas_of(draw: st.DrawFn, index: int, part: ContentPart) -> list[Delta]:
    match part.WhichOneof("kind"):
        case "text":
            return [Delta(text=piece, part_index=index) for piece in cut(draw, part.text)]
        case "tool_call":
            call = part.tool_call
            first = ToolCallDelta(tool_call_id=call.tool_call_id, name=call.name)
            rest = [ToolCallDelta(arguments_json=piece) for piece in cut(draw, call.arguments_json)]
            return [Delta(tool_call=piece, part_index=index) for piece in (first, *rest)]
        case _:
            pieces = cut(draw, part.reasoning.text)
            deltas = [Delta(reasoning=piece, part_index=index) for piece in pieces]
            if part.reasoning.signature:
                signature = part.reasoning.signature
                deltas.append(Delta(reasoning_signature=signature, part_index=index))
            return deltas


@st.composite
def interleaved(draw: st.DrawFn, parts: list[ContentPart]) -> list[Delta]:
    """The deltas of all parts, those of each in order."""
    queues = [deltas_of(draw, index, part) for index, part in enumerate(parts)]
    deltas = []
    while any(queues):
        queue = draw(st.sampled_from([queue for queue in queues if queue]))
        deltas.append(queue.pop(0))
    return deltas


@st.composite
def partitioned(draw: st.DrawFn, deltas: list[Delta]) -> list[GenerateStreamResponse]:
    """The deltas in messages, heartbeats between them."""
    messages = []
    rest = list(deltas)
    while rest:
        size = draw(st.integers(0, 3))  # 0 is a heartbeat
        messages.append(GenerateStreamResponse(deltas=rest[:size]))
        rest = rest[size:]
    return messages


def whole(parts: list[ContentPart], route: Route = ROUTE) -> GenerateResponse:
    return GenerateResponse(
        response_id="id", model="one/m", parts=parts, finish=FINISH, usage=USAGE, route=route
    )


def framed(messages: list[GenerateStreamResponse]) -> list[GenerateStreamResponse]:
    start = StreamStart(response_id="id", model="one/m", route=ROUTE)
    return [
        GenerateStreamResponse(start=start),
        *messages,
        GenerateStreamResponse(usage=USAGE, finish=FINISH),
    ]


def folded(messages: list[GenerateStreamResponse]) -> GenerateResponse:
    fold = Fold()
    for message in messages:
        assert not fold.finished
        fold.add(message)
    assert fold.finished
    return fold.answer()


@given(st.data(), part_lists)
def test_the_fold_of_any_partition_is_the_answer(
    data: st.DataObject, parts: list[ContentPart]
) -> None:
    messages = data.draw(partitioned(data.draw(interleaved(parts))))
    assert folded(framed(messages)) == whole(parts)


@given(st.data(), part_lists, part_lists)
def test_after_a_restart_only_the_new_answer_counts(
    data: st.DataObject, dropped: list[ContentPart], parts: list[ContentPart]
) -> None:
    before = data.draw(partitioned(data.draw(interleaved(dropped))))
    after = data.draw(partitioned(data.draw(interleaved(parts))))
    route = Route(provider="one", provider_model="other", attempt_count=2)
    recovery = Recovery(kind=RECOVERY_KIND_RESTARTED, route=route)
    # With the first new deltas in the same message: the recovery applies before them.
    first = GenerateStreamResponse(recovery=recovery, deltas=after[0].deltas if after else [])
    assert folded(framed([*before, first, *after[1:]])) == whole(parts, route)


@given(st.data(), part_lists)
def test_a_continuation_drops_nothing(data: st.DataObject, parts: list[ContentPart]) -> None:
    messages = data.draw(partitioned(data.draw(interleaved(parts))))
    at = data.draw(st.integers(0, len(messages)))
    route = Route(provider="one", attempt_count=2)
    recovery = Recovery(kind=RECOVERY_KIND_CONTINUED, route=route)
    messages.insert(at, GenerateStreamResponse(recovery=recovery))
    assert folded(framed(messages)) == whole(parts, route)


@given(st.data(), part_lists)
def test_the_text_events_put_together_are_the_text(
    data: st.DataObject, parts: list[ContentPart]
) -> None:
    messages = framed(data.draw(partitioned(data.draw(interleaved(parts)))))
    spoken: dict[int, str] = {}
    for event in (event for message in messages for event in events_of(message)):
        if isinstance(event, Text):
            spoken[event.part_index] = spoken.get(event.part_index, "") + event.text
    texts_in_order = [spoken[index] for index in sorted(spoken)]
    assert texts_in_order == [part.text for part in parts if part.HasField("text")]


def test_a_signature_belongs_to_the_provider_of_the_route_that_holds_when_it_comes() -> None:
    other = Recovery(kind=RECOVERY_KIND_CONTINUED, route=Route(provider="two"))
    answer = folded(
        framed(
            [
                GenerateStreamResponse(deltas=[Delta(reasoning_signature=b"1", part_index=0)]),
                GenerateStreamResponse(
                    recovery=other, deltas=[Delta(reasoning_signature=b"2", part_index=1)]
                ),
            ]
        )
    )
    assert [part.reasoning.signature_provider for part in answer.parts] == ["one", "two"]


def test_a_delta_of_a_kind_newer_than_the_client_is_ignored() -> None:
    messages = framed([GenerateStreamResponse(deltas=[Delta(part_index=0)])])
    assert folded(messages) == whole([])
    assert list(events_of(messages[1])) == []


def test_the_recovery_event_comes_before_the_deltas_of_its_message() -> None:
    cause = AttemptFailure(provider="one", http_status=503)
    recovery = Recovery(kind=RECOVERY_KIND_RESTARTED, route=ROUTE, cause=cause)
    message = GenerateStreamResponse(deltas=[Delta(text="new")], recovery=recovery)
    assert list(events_of(message)) == [Restarted(ROUTE, cause), Text("new")]
