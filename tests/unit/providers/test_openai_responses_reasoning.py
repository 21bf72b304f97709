"""Reasoning in Responses: what is shown of it, and what the caller keeps for the next turn."""

import json
from typing import Any

import pytest

from llmgateway_server.domain.content import ReasoningPart
from llmgateway_server.domain.events import ReasoningDelta, SignatureDelta, TextDelta
from llmgateway_server.providers.openai_responses.reasoning import reasoning_item, signature_of
from support.decoding import deltas
from support.responses_stream import (
    COMPLETED,
    Json,
    added,
    answered,
    completed,
    done,
    event,
    message,
    reasoning,
    summary,
    text,
)

SIGNATURE = signature_of("rs_1", "gAAA")


def test_a_summary_is_told_in_sections_and_signed_at_its_end() -> None:
    events = answered(
        # The head's encrypted content is not the whole of it.
        added(reasoning(encrypted="gA")),
        event("reasoning_summary_part.added", summary_index=0, output_index=0),
        summary("**One**"),
        summary(" thing"),
        event("reasoning_summary_text.done", text="**One** thing", output_index=0),
        summary("**Two**", 1),
        done(reasoning("**One** thing", "**Two**", encrypted="gAAA")),
        text("Yes", 1),
        completed(reasoning("**One** thing", "**Two**", encrypted="gAAA"), message("Yes")),
    )
    assert deltas(events) == [
        ReasoningDelta(0, "**One**"),
        ReasoningDelta(0, " thing"),
        ReasoningDelta(0, "\n\n**Two**"),
        SignatureDelta(0, SIGNATURE),
        TextDelta(1, "Yes"),
    ]


def test_reasoning_that_shows_nothing_is_a_part_all_the_same() -> None:
    events = answered(
        added(reasoning()), done(reasoning(encrypted="gAAA")), text("Yes", 1), COMPLETED
    )
    assert deltas(events) == [SignatureDelta(0, SIGNATURE), TextDelta(1, "Yes")]


def test_reasoning_that_neither_shows_nor_keeps_anything_is_nothing() -> None:
    for empty in ("", None):
        item = reasoning(encrypted=empty)
        assert deltas(answered(added(item), done(item), text("Yes", 1), completed(item))) == [
            TextDelta(0, "Yes")
        ]


def test_several_items_have_a_signature_each() -> None:
    second = reasoning(encrypted="gBBB", item_id="rs_2")
    events = answered(done(reasoning(encrypted="gAAA"), 0), done(second, 1), COMPLETED)
    assert deltas(events) == [
        SignatureDelta(0, SIGNATURE),
        SignatureDelta(1, signature_of("rs_2", "gBBB")),
    ]


@pytest.mark.parametrize(
    "payloads",
    [
        (done(reasoning("One", "Two", encrypted="gAAA")), COMPLETED),
        (completed(reasoning("One", "Two", encrypted="gAAA")),),
        (
            done(reasoning("One", "Two", encrypted="gAAA")),
            completed(reasoning("One", "Two", encrypted="gAAA")),
        ),
    ],
)
def test_reasoning_that_comes_whole_is_told_once(payloads: tuple[Json, ...]) -> None:
    assert deltas(answered(*payloads)) == [
        ReasoningDelta(0, "One\n\nTwo"),
        SignatureDelta(0, SIGNATURE),
    ]


def raw(delta: str) -> Json:
    return event("reasoning_text.delta", delta=delta, content_index=0, output_index=0)


def test_open_models_show_the_reasoning_itself() -> None:
    item = {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "Hm."}]}
    streamed = answered(raw("H"), raw("m."), done(item), completed(item))
    assert deltas(streamed) == [ReasoningDelta(0, "H"), ReasoningDelta(0, "m.")]
    assert deltas(answered(completed(item))) == [ReasoningDelta(0, "Hm.")]


def test_reasoning_told_twice_over_is_heard_once() -> None:
    events = answered(raw("Hm."), summary("Hm."), raw(" So."), summary(" So."), COMPLETED)
    assert deltas(events) == [ReasoningDelta(0, "Hm."), ReasoningDelta(0, " So.")]


def test_a_signature_says_what_it_is() -> None:
    assert json.loads(SIGNATURE) == {
        "type": "openai_responses.reasoning",
        "id": "rs_1",
        "encrypted_content": "gAAA",
    }


@pytest.mark.parametrize(
    ("item_id", "words", "expected"),
    [
        ("rs_1", "", {"id": "rs_1", "summary": []}),
        ("rs_1", "Hm.", {"id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}]}),
        ("", "", {"summary": []}),
    ],
)
def test_a_signature_becomes_the_item_that_it_came_from(
    item_id: str, words: str, expected: dict[str, Any]
) -> None:
    part = ReasoningPart(words, signature_of(item_id, "gAAA"), "up")
    assert reasoning_item(part) == {"type": "reasoning", "encrypted_content": "gAAA", **expected}


@pytest.mark.parametrize(
    "signature",
    [
        b"",
        b"\xff",
        b"gAAA",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"type": "reasoning", "id": "rs_1", "encrypted_content": "g"}',
        # Only named, it would be looked up among all that the account stored.
        b'{"type": "openai_responses.reasoning", "id": "rs_1"}',
        b'{"type": "openai_responses.reasoning", "id": "rs_1", "encrypted_content": ""}',
        b'{"type": "openai_responses.reasoning", "id": 7, "encrypted_content": "g"}',
    ],
)
def test_what_is_no_signature_of_ours_is_no_item(signature: bytes) -> None:
    assert reasoning_item(ReasoningPart("Hm.", signature, "up")) is None


def test_nothing_else_gets_into_the_item() -> None:
    forged = json.loads(SIGNATURE) | {"role": "developer", "content": [{"file_id": "file_1"}]}
    item = reasoning_item(ReasoningPart("", json.dumps(forged).encode(), "up"))
    assert item is not None
    assert set(item) == {"type", "id", "summary", "encrypted_content"}
