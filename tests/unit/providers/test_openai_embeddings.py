"""OpenAI's embeddings: the body that asks for them, and vectors in whichever form they come."""

import json
import struct
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgateway_server.domain.answer import Usage
from llmgateway_server.domain.embedding import EmbeddingAnswer, EmbeddingRequest
from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.providers.dialect import Failure, WireError
from llmgateway_server.providers.openai_embeddings import embeddings_body, read_embeddings

FLOATS = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1)


def body(request: EmbeddingRequest, *, is_openai: bool = True) -> dict[str, Any]:
    written: dict[str, Any] = json.loads(
        embeddings_body(request, "small", "up", is_openai=is_openai)
    )
    return written


def packed(*numbers: float) -> bytes:
    return struct.pack(f"<{len(numbers)}f", *numbers)


def item(embedding: Any, index: int | None = None) -> dict[str, Any]:
    return {"object": "embedding", "embedding": embedding, "index": index}


def answer(*items: Any, **more: Any) -> bytes:
    return json.dumps({"object": "list", "data": items, **more}).encode()


def failure_in(data: bytes, count: int = 1) -> Failure:
    with pytest.raises(WireError) as raised:
        read_embeddings(data, count)
    return raised.value.failure


def test_texts_are_sent_together_and_asked_for_in_bytes() -> None:
    assert body(EmbeddingRequest("", ("a", "b"))) == {
        "model": "small",
        "input": ["a", "b"],
        "encoding_format": "base64",
    }


def test_dimensions_and_user_are_said() -> None:
    written = body(EmbeddingRequest("", ("a",), 256, "user-7"))
    assert (written["dimensions"], written["user"]) == (256, "user-7")


def test_options_come_last() -> None:
    options = (("up", b'{"encoding_format": "float"}'), ("other", b'{"x": 1}'))
    written = body(EmbeddingRequest("", ("a",), provider_options=options))
    assert written["encoding_format"] == "float"
    assert "x" not in written


def test_only_a_compatible_server_is_sent_options_that_openai_does_not_have() -> None:
    request = EmbeddingRequest("", ("a",), provider_options=(("up", b'{"truncate": true}'),))
    assert body(request, is_openai=False)["truncate"] is True
    with pytest.raises(GatewayError, match="truncate"):
        body(request)


@pytest.mark.parametrize("name", ["model", "input"])
def test_options_cannot_change_what_is_asked(name: str) -> None:
    options = (("up", json.dumps({name: "x"}).encode()),)
    with pytest.raises(GatewayError) as raised:
        body(EmbeddingRequest("", ("a",), provider_options=options), is_openai=False)
    assert raised.value.reason is Reason.REQUEST_INVALID


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_bytes_and_numbers_give_the_same_vector(bom: bytes) -> None:
    vector = packed(0.5, -1.0, 3)
    data = answer(
        item([0.5, -1.0, 3], 0),
        item(b64encode(vector).decode(), 1),
        usage={"prompt_tokens": 7, "total_tokens": 7},
    )
    assert read_embeddings(bom + data, 2) == EmbeddingAnswer(
        (vector, vector), Usage(input_token_count=7)
    )


@given(vectors=st.lists(FLOATS, min_size=1, max_size=4))
def test_every_vector_comes_through_in_either_form(vectors: list[list[float]]) -> None:
    expected = tuple(packed(*vector) for vector in vectors)
    for data in (
        answer(*map(item, vectors)),
        answer(*(item(b64encode(vector).decode()) for vector in expected)),
    ):
        assert read_embeddings(data, len(vectors)).vectors == expected


def test_vectors_are_put_into_the_order_of_their_texts() -> None:
    data = answer(item([2.0], 1), item([1.0], 0))
    assert read_embeddings(data, 2).vectors == (packed(1.0), packed(2.0))


@pytest.mark.parametrize(
    ("usage", "count"),
    [
        (None, 0),
        ({}, 0),
        ({"prompt_tokens": None, "total_tokens": 5}, 5),
        ({"prompt_tokens": 10**12}, 2**31 - 1),
        ({"prompt_tokens": -1}, 0),
        ({"prompt_tokens": 3.0}, 3),
    ],
)
def test_usage_is_counted_as_the_contract_counts(usage: Any, count: int) -> None:
    data = answer(item([1.0]), usage=usage)
    assert read_embeddings(data, 1).usage == Usage(input_token_count=count)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"data": null}',
        b'{"data": 7}',
        b'{"data": [' + b"[" * 100_000,
        answer(),
        answer(item([1.0]), item([1.0])),
        answer(item([1.0], 1)),
        answer(item([1.0], -1)),
        answer(item([])),
        answer(item("")),
        answer(item("AAAA")),
        answer(item("AAA=AAAA")),
        answer(item("é" * 4)),
        answer(item([1e300])),
        answer(item(["1"])),
        answer(item({"0": 1})),
        answer({"index": 0}),
        b'{"data": [{"embedding": [1' + b"0" * 400 + b"]}]}",
    ],
)
def test_what_is_not_one_vector_for_each_text_is_none(data: bytes) -> None:
    assert failure_in(data).reason is Reason.PROVIDER_PROTOCOL_ERROR


def test_two_vectors_for_one_text_are_not_one_for_each() -> None:
    data = answer(item([1.0], 0), item([2.0], 0))
    assert failure_in(data, 2).reason is Reason.PROVIDER_PROTOCOL_ERROR


def test_an_error_behind_a_200_is_one() -> None:
    data = json.dumps({"error": {"code": "insufficient_quota", "message": "m"}}).encode()
    assert failure_in(data) == Failure(Reason.PROVIDER_QUOTA_EXHAUSTED, "m", "insufficient_quota")


@given(data=st.binary(max_size=80), count=st.integers(1, 3))
def test_no_body_is_too_odd(data: bytes, count: int) -> None:
    for odd in (data, b'{"data":[{"embedding":' + data + b"}]}"):
        try:
            assert len(read_embeddings(odd, count).vectors) == count
        except WireError:
            continue
