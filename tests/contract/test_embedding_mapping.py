"""Embeddings between protobuf and the domain: every rule of the contract, and no bit lost."""

import contextlib
import struct
from array import array
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgateway.v1 import embedding_service_pb2 as pb
from llmgateway.v1 import generation_service_pb2
from llmgateway_server.domain.answer import CacheStatus, Route, Usage
from llmgateway_server.domain.embedding import EmbeddingRequest, Embeddings
from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.domain.request import Routing
from llmgateway_server.transport.grpc.mapping.embedding import (
    embedding_request_from,
    embeddings_to,
)

ROUTE = Route("p", "m", 1, CacheStatus.BYPASS, "req", 0.25, 1.5)

vectors = st.lists(
    st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=40), max_size=8
)


def minimal() -> pb.EmbedRequest:
    return pb.EmbedRequest(model="words", inputs=["hi"])


def packed(values: list[float]) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)


def answer(values: list[list[float]]) -> Embeddings:
    return Embeddings("01", "p/m", tuple(map(packed, values)), Usage(5), ROUTE)


def test_a_full_request_keeps_everything() -> None:
    proto = minimal()
    proto.inputs.append("é")
    proto.dimension_count = 256
    proto.encoding = pb.EMBEDDING_ENCODING_F32_LE
    proto.routing.first_content_timeout.FromMilliseconds(1500)
    proto.labels["b"] = "2"
    proto.labels["a"] = "1"
    proto.end_user_id = "u"
    proto.provider_options_json = '{"openai": {"store": true}}'
    assert embedding_request_from(proto) == EmbeddingRequest(
        model="words",
        inputs=("hi", "é"),
        dimensions=256,
        end_user_id="u",
        provider_options=(("openai", b'{"store": true}'),),
        routing=Routing(first_content_timeout=1.5),
        labels=(("a", "1"), ("b", "2")),
    )


def test_what_is_not_said_is_left_to_the_model() -> None:
    assert embedding_request_from(minimal()) == EmbeddingRequest("words", ("hi",))


@pytest.mark.parametrize(
    ("field", "spoil"),
    [
        ("model", lambda p: setattr(p, "model", "x" * 257)),
        ("inputs", lambda p: p.ClearField("inputs")),
        ("inputs", lambda p: p.inputs.extend(["x"] * 2048)),
        ("inputs[1]", lambda p: p.inputs.extend(["", "x"])),
        ("dimension_count", lambda p: setattr(p, "dimension_count", 0)),
        ("dimension_count", lambda p: setattr(p, "dimension_count", -1)),
        ("encoding", lambda p: setattr(p, "encoding", 99)),
        ("routing.max_attempts", lambda p: setattr(p.routing, "max_attempts", 0)),
        ("routing.first_content_timeout", lambda p: p.routing.first_content_timeout.SetInParent()),
        (
            "routing.idle_content_timeout",
            lambda p: p.routing.idle_content_timeout.FromSeconds(1801),
        ),
        ("routing.cache_mode", lambda p: setattr(p.routing, "cache_mode", 99)),
        ("routing.priority", lambda p: setattr(p.routing, "priority", 99)),
        ("labels", lambda p: p.labels.update({str(n): "" for n in range(17)})),
        ("provider_options_json", lambda p: setattr(p, "provider_options_json", "[1]")),
        (
            "provider_options_json.openai",
            lambda p: setattr(p, "provider_options_json", '{"openai": 1}'),
        ),
    ],
)
def test_a_broken_rule_names_its_field(
    field: str, spoil: Callable[[pb.EmbedRequest], object]
) -> None:
    proto = minimal()
    spoil(proto)
    with pytest.raises(GatewayError) as caught:
        embedding_request_from(proto)
    assert caught.value.reason is Reason.REQUEST_INVALID
    assert [violation.field for violation in caught.value.violations] == [field]


def test_everything_that_is_wrong_is_told_at_once() -> None:
    proto = minimal()
    proto.inputs.append("")
    proto.dimension_count = 0
    proto.encoding = 99  # type: ignore[assignment]
    with pytest.raises(GatewayError) as caught:
        embedding_request_from(proto)
    assert len(caught.value.violations) == 3


@pytest.mark.parametrize(
    "spoil",
    [
        lambda p: setattr(p, "model", "x" * 256),
        lambda p: p.inputs.extend(["x"] * 2047),
        lambda p: setattr(p, "dimension_count", 1),
        lambda p: p.routing.first_content_timeout.FromMilliseconds(1),
        lambda p: p.routing.idle_content_timeout.FromSeconds(1800),
        lambda p: p.labels.update({str(n): "" for n in range(16)}),
        *(lambda p, value=value: setattr(p, "encoding", value) for value in range(3)),
    ],
)
def test_what_is_just_within_a_rule_passes(spoil: Callable[[pb.EmbedRequest], object]) -> None:
    proto = minimal()
    spoil(proto)
    embedding_request_from(proto)


def test_a_demand_for_cached_answers_only_is_refused_without_a_cache() -> None:
    proto = minimal()
    proto.routing.cache_mode = generation_service_pb2.CACHE_MODE_ONLY
    with pytest.raises(GatewayError) as caught:
        embedding_request_from(proto)
    assert caught.value.reason is Reason.CAPABILITY_UNSUPPORTED


@given(st.binary(max_size=300))
def test_no_bytes_make_the_mapping_fail_in_another_way(data: bytes) -> None:
    try:
        proto = pb.EmbedRequest.FromString(data)
    except Exception:  # what protobuf itself refuses is the boundary's to answer
        return
    with contextlib.suppress(GatewayError):
        embedding_request_from(proto)


@given(vectors, st.sampled_from([pb.EMBEDDING_ENCODING_UNSPECIFIED, pb.EMBEDDING_ENCODING_FLOAT]))
def test_floats_are_those_of_the_provider_to_the_bit(
    values: list[list[float]], encoding: pb.EmbeddingEncoding.ValueType
) -> None:
    proto = sent(answer(values), encoding)
    assert [each.index for each in proto.embeddings] == list(range(len(values)))
    assert [packed(list(each.values)) for each in proto.embeddings] == list(map(packed, values))
    assert not any(each.values_f32_le for each in proto.embeddings)


@given(vectors)
def test_packed_vectors_are_those_of_the_provider_to_the_bit(values: list[list[float]]) -> None:
    proto = sent(answer(values), pb.EMBEDDING_ENCODING_F32_LE)
    assert [each.index for each in proto.embeddings] == list(range(len(values)))
    assert [each.values_f32_le for each in proto.embeddings] == list(map(packed, values))
    assert not any(each.values for each in proto.embeddings)


def test_an_answer_says_who_gave_it_and_what_it_took() -> None:
    proto = sent(answer([[1.0]]), pb.EMBEDDING_ENCODING_FLOAT)
    assert (proto.response_id, proto.model) == ("01", "p/m")
    assert proto.usage.input_token_count == 5
    assert proto.route.provider_request_id == "req"
    assert proto.route.time_to_first_token.ToMilliseconds() == 1500


def test_the_example_of_the_format_reads_as_it_is_told() -> None:
    (packed_one,) = sent(answer([[1.0, -2.0]]), pb.EMBEDDING_ENCODING_F32_LE).embeddings
    assert packed_one.values_f32_le == b"\x00\x00\x80\x3f\x00\x00\x00\xc0"
    (float_one,) = sent(answer([[1.0, -2.0]]), pb.EMBEDDING_ENCODING_FLOAT).embeddings
    assert array("f", float_one.values) == array("f", [1.0, -2.0])


def sent(embeddings: Embeddings, encoding: pb.EmbeddingEncoding.ValueType) -> pb.EmbedResponse:
    """The answer after its way over the wire."""
    return pb.EmbedResponse.FromString(embeddings_to(embeddings, encoding).SerializeToString())
