import json

import pytest

from llmgateway import (
    GenerationInput,
    StreamOptions,
    ToolChoice,
    assistant,
    image,
    system,
    tool,
    tool_result,
    user,
)
from llmgateway._input import generation_input, stream_request
from llmgateway.v1 import content_pb2 as content
from llmgateway.v1 import generation_service_pb2 as generation


def test_a_text_is_one_user_message() -> None:
    given = generation_input("Hello", {})
    assert given == GenerationInput(messages=[user("Hello")])
    assert given.messages[0].role == content.ROLE_USER


def test_nothing_said_is_nothing_sent() -> None:
    given = generation_input("Hello", {})
    assert not given.HasField("sampling")
    assert not given.HasField("output")


def test_zero_is_said() -> None:
    given = generation_input("Hello", {"temperature": 0.0, "seed": 0})
    assert given.sampling.HasField("temperature")
    assert given.sampling.HasField("seed")
    assert not given.sampling.HasField("top_p")


def test_a_conversation_keeps_its_order_and_the_system_text_goes_first() -> None:
    turns = [user("1"), assistant("2"), tool_result("call", "3", is_error=True)]
    given = generation_input(turns, {"system": "Be brief."})
    assert list(given.messages) == [system("Be brief."), *turns]
    result = given.messages[3].parts[0].tool_result
    assert (result.tool_call_id, result.parts[0].text, result.is_error) == ("call", "3", True)


def test_options_win_over_a_given_input_which_stays_as_it_was() -> None:
    mine = GenerationInput(model="a", messages=[user("Hello")], tools=[tool("old")])
    given = generation_input(mine, {"model": "b", "tools": [tool("new")], "max_output_tokens": 9})
    assert (given.model, [t.name for t in given.tools]) == ("b", ["new"])
    assert given.output.max_output_tokens == 9
    assert mine == GenerationInput(model="a", messages=[user("Hello")], tools=[tool("old")])


def test_every_option_reaches_its_field() -> None:
    choice = ToolChoice(tool_name="lookup", parallel_tool_calls=False)
    given = generation_input(
        user("Hello"),
        {
            "top_p": 0.5,
            "stop": ["END"],
            "tools": [tool("lookup", "Look it up", {"type": "object"})],
            "tool_choice": choice,
            "json_schema": {"type": "object"},
            "reasoning_effort": "high",
            "include_reasoning": True,
        },
    )
    assert given.sampling.top_p == 0.5
    assert given.tool_choice == choice
    assert json.loads(given.tools[0].parameters_schema_json) == {"type": "object"}
    assert given.output == generation.OutputOptions(
        stop_sequences=["END"],
        reasoning_effort=generation.REASONING_EFFORT_HIGH,
        include_reasoning=True,
        response_format=generation.RESPONSE_FORMAT_JSON_SCHEMA,
        response_schema_json='{"type": "object"}',
    )


def test_a_lone_stop_sequence_is_not_cut_into_letters() -> None:
    assert list(generation_input("Hello", {"stop": "END"}).output.stop_sequences) == ["END"]


def test_an_image_is_bytes_with_a_type_or_an_address() -> None:
    seen = user("What is this?", image(b"PNG", "image/png"), image("https://example.org/a.png"))
    assert seen.parts[1].media.data == b"PNG"
    assert seen.parts[2].media.uri == "https://example.org/a.png"
    with pytest.raises(ValueError, match="media type"):
        image(b"PNG")


def test_a_stream_asks_for_restart_unless_told_otherwise() -> None:
    given = generation_input("Hello", {})
    none = StreamOptions(recovery=generation.RECOVERY_MODE_NONE)
    assert stream_request(given, None).stream_options == StreamOptions(
        recovery=generation.RECOVERY_MODE_RESTART
    )
    assert stream_request(given, none).stream_options == none
