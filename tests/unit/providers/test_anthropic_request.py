"""What a generation request becomes on the wire of Messages, its conversation apart."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from llmgateway_server.domain.capabilities import Capabilities
from llmgateway_server.domain.content import Message, Role, TextPart
from llmgateway_server.domain.embedding import EmbeddingRequest
from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.domain.request import GenerationRequest, Output, Sampling, Tool
from llmgateway_server.providers.anthropic import Anthropic, AnthropicOptions

ANTHROPIC = "https://api.anthropic.com/v1"
LOCAL = "http://127.0.0.1:8080/v1"
ASK = GenerationRequest("", (Message(Role.USER, (TextPart("Hi"),)),))
UNKNOWN = Capabilities()


def dialect(base_url: str = ANTHROPIC, **options: Any) -> Anthropic:
    return Anthropic("claude", base_url, AnthropicOptions(**options))


def body(
    request: GenerationRequest = ASK,
    capabilities: Capabilities = UNKNOWN,
    *,
    base_url: str = ANTHROPIC,
    **options: Any,
) -> dict[str, Any]:
    call = dialect(base_url, **options).build(request, "tiny", capabilities, stream=False)
    written: dict[str, Any] = json.loads(call.body)
    return written


def rejected(request: GenerationRequest, base_url: str = ANTHROPIC) -> GatewayError:
    with pytest.raises(GatewayError) as raised:
        body(request, base_url=base_url)
    return raised.value


def test_a_bare_question_says_what_has_to_be_said() -> None:
    assert body() == {
        "model": "tiny",
        "max_tokens": 4096,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
    }


def test_a_stream_is_asked_for() -> None:
    call = dialect().build(ASK, "tiny", UNKNOWN, stream=True)
    assert json.loads(call.body) == body() | {"stream": True}


@pytest.mark.parametrize(
    ("asked", "capable", "options", "sent"),
    [
        (64, 8192, {"default_max_tokens": 100}, 64),
        (None, 8192, {"default_max_tokens": 100}, 8192),
        (None, None, {"default_max_tokens": 100}, 100),
        (None, None, {}, 4096),
    ],
)
def test_there_is_always_an_output_limit(
    asked: int | None, capable: int | None, options: dict[str, Any], sent: int
) -> None:
    request = replace(ASK, output=Output(max_output_tokens=asked))
    written = body(request, Capabilities(max_output=capable), **options)
    assert written["max_tokens"] == sent


def test_every_parameter_goes_by_its_name() -> None:
    request = replace(
        ASK,
        sampling=Sampling(temperature=0.7, top_p=0.9, top_k=40),
        output=Output(max_output_tokens=64, stop_sequences=("END", "\n\n")),
        end_user_id="user-7",
    )
    written = body(request)
    del written["model"], written["messages"]
    assert written == {
        "temperature": 0.7,
        "top_p": 0.9,
        "top_k": 40,
        "max_tokens": 64,
        "stop_sequences": ["END", "\n\n"],
        "metadata": {"user_id": "user-7"},
    }


def test_zero_is_said() -> None:
    written = body(replace(ASK, sampling=Sampling(temperature=0.0, top_k=0)))
    assert (written["temperature"], written["top_k"]) == (0.0, 0)


@pytest.mark.parametrize("name", ["frequency_penalty", "presence_penalty", "seed"])
def test_what_the_api_has_no_word_for_is_refused_by_name(name: str) -> None:
    error = rejected(replace(ASK, sampling=replace(Sampling(), **{name: 0})))
    assert error.reason is Reason.CAPABILITY_UNSUPPORTED
    assert dict(error.metadata) == {"capability": name, "field": f"input.sampling.{name}"}


def options_of(text: str, provider: str = "claude") -> GenerationRequest:
    return replace(ASK, provider_options=((provider, text.encode()),))


def test_the_callers_own_options_are_added() -> None:
    written = body(options_of('{"service_tier":"auto","temperature":1.0}'))
    assert (written["service_tier"], written["temperature"]) == ("auto", 1.0)


def test_another_providers_options_are_not_for_this_one() -> None:
    assert body(options_of('{"service_tier":"auto"}', "openai")) == body()


@pytest.mark.parametrize("name", ["model", "messages", "stream", "system"])
def test_what_the_gateway_decides_is_no_option(name: str) -> None:
    assert rejected(options_of(f'{{"{name}":1}}')).reason is Reason.REQUEST_INVALID


def test_anthropics_options_are_known_and_other_servers_are_not() -> None:
    unknown = options_of('{"repeat_penalty":1.1}')
    assert "repeat_penalty" in rejected(unknown).message
    assert body(unknown, base_url=LOCAL)["repeat_penalty"] == 1.1


@pytest.mark.parametrize(
    ("base_url", "path"),
    [
        ("https://api.anthropic.com/v1", "/messages"),
        ("https://api.anthropic.com/v1/", "/messages"),
        ("https://api.anthropic.com", "/v1/messages"),
        ("https://api.anthropic.com/", "/v1/messages"),
        ("https://api.vendor.example/anthropic", "/v1/messages"),
        ("https://api.vendor.example/anthropic/v2beta", "/messages"),
    ],
)
def test_the_base_url_may_or_may_not_have_the_version(base_url: str, path: str) -> None:
    ours = dialect(base_url)
    call = ours.build(ASK, "tiny", UNKNOWN, stream=True)
    count = ours.count_call(ASK, "tiny", UNKNOWN)
    assert (call.method, call.path) == ("POST", path)
    assert count is not None
    assert (count.method, count.path) == ("POST", f"{path}/count_tokens")


def test_the_probe_lists_one_model() -> None:
    call = dialect().probe()
    assert (call.method, call.path, call.body) == ("GET", "/models?limit=1", b"")


def test_a_count_asks_for_the_input_alone() -> None:
    request = replace(
        ASK,
        messages=(Message(Role.SYSTEM, (TextPart("Be brief"),)), *ASK.messages),
        sampling=Sampling(temperature=0.5),
        output=Output(max_output_tokens=9, stop_sequences=("END",)),
        tools=(Tool("now"),),
        end_user_id="user-7",
        provider_options=(("claude", b'{"service_tier":"auto","cache_control":null}'),),
    )
    call = dialect().count_call(request, "tiny", UNKNOWN)
    assert call is not None
    assert json.loads(call.body) == {
        "cache_control": None,
        "model": "tiny",
        "system": [{"type": "text", "text": "Be brief"}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
        "tools": [{"name": "now", "input_schema": {"type": "object", "properties": {}}}],
    }


def test_there_are_no_embeddings() -> None:
    with pytest.raises(GatewayError) as raised:
        dialect().embed_call(EmbeddingRequest("tiny", ("a",)), "tiny")
    assert raised.value.reason is Reason.CAPABILITY_UNSUPPORTED
    assert ("capability", "embeddings") in raised.value.metadata


def test_the_key_is_sent_in_anthropics_header() -> None:
    assert dialect().headers("sk-1") == (
        ("anthropic-version", "2023-06-01"),
        ("x-api-key", "sk-1"),
    )


def test_a_token_is_sent_as_a_bearer_with_the_betas() -> None:
    ours = dialect(auth="bearer", beta=("oauth-2025-04-20", "files-api-2025-04-14"))
    assert ours.headers("tok") == (
        ("anthropic-version", "2023-06-01"),
        ("anthropic-beta", "oauth-2025-04-20,files-api-2025-04-14"),
        ("authorization", "Bearer tok"),
    )


@pytest.mark.parametrize("auth", ["x-api-key", "bearer"])
def test_no_key_is_no_header(auth: str) -> None:
    assert dialect(auth=auth).headers("") == (("anthropic-version", "2023-06-01"),)
