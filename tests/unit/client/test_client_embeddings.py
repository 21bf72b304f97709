import struct
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgateway import Embeddings, EmbedRequest
from llmgateway._embeddings import embed_request
from llmgateway.v1 import embedding_service_pb2 as embedding

vectors = st.lists(st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=9))


def test_a_text_is_one_input_and_not_its_letters() -> None:
    assert list(embed_request("Hello", {}).inputs) == ["Hello"]


def test_texts_keep_their_order() -> None:
    assert list(embed_request(("b", "a"), {}).inputs) == ["b", "a"]


def test_nothing_said_is_nothing_sent_but_the_cheaper_encoding() -> None:
    encoding = embedding.EMBEDDING_ENCODING_F32_LE
    assert embed_request("Hello", {}) == EmbedRequest(inputs=["Hello"], encoding=encoding)


def test_options_win_over_a_given_request_which_stays_as_it_was() -> None:
    mine = EmbedRequest(model="a", inputs=["Hello"], end_user_id="u")
    given_ = embed_request(mine, {"model": "b", "dimensions": 3})
    assert (given_.model, given_.dimension_count, given_.end_user_id) == ("b", 3, "u")
    assert mine == EmbedRequest(model="a", inputs=["Hello"], end_user_id="u")


def test_an_encoding_that_was_asked_for_stays() -> None:
    mine = EmbedRequest(inputs=["Hello"], encoding=embedding.EMBEDDING_ENCODING_FLOAT)
    assert embed_request(mine, {}) == mine


@given(vectors, st.booleans())
def test_vectors_are_the_same_in_either_encoding(values: list[list[float]], packed: bool) -> None:
    message = embedding.EmbedResponse(
        embeddings=[
            embedding.Embedding(
                index=index,
                values=None if packed else each,
                values_f32_le=struct.pack(f"<{len(each)}f", *each) if packed else b"",
            )
            for index, each in enumerate(values)
        ]
    )
    read = Embeddings(message).vectors
    assert [bytes(each) for each in read] == [bytes(array("f", each)) for each in values]


def test_vectors_are_read_once() -> None:
    answer = Embeddings(embedding.EmbedResponse(embeddings=[embedding.Embedding(values=[1.0])]))
    assert answer.vectors is answer.vectors
    assert memoryview(answer.vectors[0]).format == "f"


def test_bytes_that_are_no_vector_are_an_error() -> None:
    message = embedding.EmbedResponse(embeddings=[embedding.Embedding(values_f32_le=b"\0" * 5)])
    with pytest.raises(ValueError, match="multiple"):
        _ = Embeddings(message).vectors
