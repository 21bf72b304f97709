from llmgateway import FinishReason, Response, ToolCall
from llmgateway.v1 import generation_service_pb2 as generation
from llmgateway.v1.content_pb2 import ROLE_ASSISTANT, ContentPart, ReasoningPart

CALL = ToolCall(tool_call_id="1", name="lookup", arguments_json="{}")
PARTS = [
    ContentPart(reasoning=ReasoningPart(text="Hm.", signature=b"proof", signature_provider="one")),
    ContentPart(text="Hel"),
    ContentPart(tool_call=CALL),
    ContentPart(text="lo"),
]


def test_an_answer_gives_its_kinds_of_content() -> None:
    response = Response(generation.GenerateResponse(parts=PARTS))
    assert response.text == "Hello"
    assert response.reasoning == "Hm."
    assert response.tool_calls == (CALL,)
    assert list(response.parts) == PARTS


def test_an_answer_goes_back_as_a_turn_with_nothing_lost() -> None:
    turn = Response(generation.GenerateResponse(parts=PARTS)).as_turn()
    assert turn.role == ROLE_ASSISTANT
    assert list(turn.parts) == PARTS


def test_every_finish_reason_of_the_contract_has_its_name() -> None:
    named = {
        FinishReason.from_wire(value)
        for value in generation.FinishReason.values()
        if value != generation.FINISH_REASON_UNSPECIFIED
    }
    assert named == set(FinishReason)


def test_a_finish_reason_newer_than_the_client_is_other() -> None:
    assert FinishReason.from_wire(99) is FinishReason.OTHER


def test_a_partial_answer_has_no_finish_reason() -> None:
    assert Response(generation.GenerateResponse(parts=PARTS)).finish_reason is None
