"""The dialect's calls: where they go, what they carry, and what is read of their answers."""

import json
import struct

import pytest
from pydantic import BaseModel, ValidationError

from llmgateway_server.domain.answer import Usage
from llmgateway_server.domain.capabilities import Capabilities
from llmgateway_server.domain.content import Message, Role, TextPart
from llmgateway_server.domain.embedding import EmbeddingRequest
from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.domain.request import GenerationRequest, Tool
from llmgateway_server.ports.provider import ProviderSettings
from llmgateway_server.providers.dialect import Dialect, DialectPlugin, HttpCall, WireError
from llmgateway_server.providers.gemini import DIALECT, Gemini, GeminiOptions

BASE = "https://generativelanguage.googleapis.com/v1beta"
PLUGIN: DialectPlugin = DIALECT
GEMINI: Dialect = Gemini("up", BASE, GeminiOptions())
ASK = GenerationRequest(
    "",
    (Message(Role.SYSTEM, (TextPart("Be brief."),)), Message(Role.USER, (TextPart("Hi"),))),
    tools=(Tool("now"),),
)
ERROR = {"error": {"code": 429, "message": "m", "status": "RESOURCE_EXHAUSTED"}}


def encoded(value: object) -> bytes:
    return json.dumps(value).encode()


def test_the_key_goes_into_a_header_and_nowhere_else() -> None:
    assert GEMINI.headers("k-1") == (("x-goog-api-key", "k-1"),)
    assert GEMINI.headers("") == ()


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gemini-2.5-flash", "/models/gemini-2.5-flash"),
        ("models/gemini-2.5-flash", "/models/gemini-2.5-flash"),
        ("tunedModels/my-model", "/tunedModels/my-model"),
        ("a b/../c?d#e", "/models/a%20b%2F..%2Fc%3Fd%23e"),
        ("tunedModels/../x", "/tunedModels/..%2Fx"),
    ],
)
def test_the_model_is_in_the_path(model: str, path: str) -> None:
    none = Capabilities()
    assert (
        GEMINI.build(ASK, model, none, stream=True).path == f"{path}:streamGenerateContent?alt=sse"
    )
    assert GEMINI.build(ASK, model, none, stream=False).path == f"{path}:generateContent"
    counting = GEMINI.count_call(ASK, model, none)
    assert counting is not None
    assert counting.path == f"{path}:countTokens"
    embedding = GEMINI.embed_call(EmbeddingRequest("", ("a",)), model)
    assert embedding.path == f"{path}:batchEmbedContents"


def test_a_stream_and_a_body_are_asked_for_in_the_same_words() -> None:
    none = Capabilities()
    assert (
        GEMINI.build(ASK, "m", none, stream=True).body
        == GEMINI.build(ASK, "m", none, stream=False).body
    )


def test_the_probe_lists_one_model() -> None:
    assert GEMINI.probe() == HttpCall("/models?pageSize=1", b"", "GET")


def test_the_whole_request_is_counted() -> None:
    none = Capabilities()
    counting = GEMINI.count_call(ASK, "m", none)
    assert counting is not None
    assert json.loads(counting.body) == {
        "generateContentRequest": {
            "model": "models/m",
            **json.loads(GEMINI.build(ASK, "m", none, stream=True).body),
        }
    }
    assert "systemInstruction" in json.loads(counting.body)["generateContentRequest"]


def test_a_count_is_read() -> None:
    body = {"totalTokens": 31, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 31}]}
    assert GEMINI.read_count(encoded(body)) == 31


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"totalTokens": "31"}', b"[" * 9999])
def test_what_is_no_count_is_a_protocol_error(body: bytes) -> None:
    with pytest.raises(WireError) as raised:
        GEMINI.read_count(body)
    assert raised.value.failure.reason is Reason.PROVIDER_PROTOCOL_ERROR


def test_errors_behind_a_200_are_errors() -> None:
    for read in (GEMINI.read_count, lambda body: GEMINI.read_embeddings(body, 1)):
        with pytest.raises(WireError) as raised:
            read(encoded(ERROR))
        assert raised.value.failure.reason is Reason.PROVIDER_RATE_LIMITED


def test_texts_are_embedded_in_one_batch() -> None:
    request = EmbeddingRequest(
        "",
        ("a", "b"),
        dimensions=256,
        end_user_id="user-7",
        provider_options=(
            ("up", b'{"taskType": "RETRIEVAL_DOCUMENT", "title": "t"}'),
            ("other", b'{"x": 1}'),
        ),
    )
    assert json.loads(GEMINI.embed_call(request, "gemini-embedding-001").body) == {
        "requests": [
            {
                "model": "models/gemini-embedding-001",
                "content": {"parts": [{"text": text}]},
                "outputDimensionality": 256,
                "taskType": "RETRIEVAL_DOCUMENT",
                "title": "t",
            }
            for text in ("a", "b")
        ]
    }


def test_a_bare_embedding_says_nothing_that_was_not_said() -> None:
    sent = json.loads(GEMINI.embed_call(EmbeddingRequest("", ("a",)), "m").body)
    assert sent == {"requests": [{"model": "models/m", "content": {"parts": [{"text": "a"}]}}]}


@pytest.mark.parametrize("options", [b'{"model": "m"}', b'{"outputDimensionality": 1}', b'{"x":1}'])
def test_embedding_options_that_are_none_are_refused(options: bytes) -> None:
    request = EmbeddingRequest("", ("a",), provider_options=(("up", options),))
    with pytest.raises(GatewayError) as raised:
        GEMINI.embed_call(request, "m")
    assert raised.value.violations[0].field == "provider_options_json"


def test_vectors_are_packed_in_order() -> None:
    body = {
        "embeddings": [{"values": [0.5, -1, 3e-3]}, {"values": [1.0, 2, 3]}],
        "usageMetadata": {"promptTokenCount": 7},
    }
    answer = GEMINI.read_embeddings(encoded(body), 2)
    assert answer.vectors == (
        struct.pack("<3f", 0.5, -1.0, 3e-3),
        struct.pack("<3f", 1.0, 2.0, 3.0),
    )
    assert answer.usage == Usage(input_token_count=7)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"embeddings": []}',
        b'{"embeddings": [{}]}',
        b'{"embeddings": [{"values": []}]}',
        b'{"embeddings": [{"values": ["x"]}]}',
        b'{"embeddings": [{"values": [1e39]}]}',
        b'{"embeddings": [{"values": [1e999]}]}',
        b'{"embeddings": [{"values": [1]}, {"values": [1]}]}',
    ],
)
def test_what_is_not_one_vector_for_each_text_is_a_protocol_error(body: bytes) -> None:
    with pytest.raises(WireError) as raised:
        GEMINI.read_embeddings(body, 1)
    assert raised.value.failure.reason is Reason.PROVIDER_PROTOCOL_ERROR


class OtherOptions(BaseModel):
    """Those of another dialect."""


def test_options_of_another_dialect_are_refused() -> None:
    settings = ProviderSettings("up", BASE, None, OtherOptions())
    with pytest.raises(TypeError, match=r"providers\.up"):
        DIALECT.create(settings)
    assert DIALECT.options is GeminiOptions


def test_there_are_no_options() -> None:
    with pytest.raises(ValidationError):
        GeminiOptions.model_validate({"api_version": "v1"})
