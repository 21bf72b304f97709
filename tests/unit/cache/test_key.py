"""The key of answers: equal for requests whose answers are as good as each other's, only."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import fields, replace

from llmgateway_server.cache.key import cache_key, is_cacheable
from llmgateway_server.domain.content import (
    MediaPart,
    Message,
    Part,
    ReasoningPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from llmgateway_server.domain.policies import CachePolicy
from llmgateway_server.domain.request import (
    CacheMode,
    GenerationRequest,
    Output,
    Priority,
    ReasoningEffort,
    ResponseFormat,
    Routing,
    Sampling,
    Tool,
    ToolChoice,
    ToolMode,
)

# Few and short ones: requests that differ in one place only shall be likely.
texts = st.sampled_from(["", "a", "b", "ab", "\x00", "é"])
data = st.sampled_from([b"", b"a", b"\x00"])
flags = st.booleans()


def maybe(values: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.none() | values


plain = st.builds(TextPart, texts, flags) | st.builds(
    MediaPart, texts, maybe(data), maybe(texts), flags
)
parts = (
    plain
    | st.builds(ReasoningPart, texts, data, texts, flags)
    | st.builds(ToolCallPart, texts, texts, texts, flags)
    | st.builds(ToolResultPart, texts, st.lists(plain, max_size=2).map(tuple), is_error=flags)
)
messages = st.builds(Message, st.sampled_from(Role), st.lists(parts, max_size=3).map(tuple))
numbers = maybe(st.sampled_from([0.0, 0.5, 1.0]))
counts = maybe(st.integers(0, 2))
samplings = st.builds(Sampling, numbers, numbers, numbers, numbers, counts, counts)
outputs = st.builds(
    Output,
    counts,
    st.lists(texts, max_size=2).map(tuple),
    maybe(st.sampled_from(ReasoningEffort)),
    flags,
    maybe(st.sampled_from(ResponseFormat)),
    texts,
)
routings = st.builds(
    Routing,
    provider_order=st.lists(texts, max_size=2).map(tuple),
    disable_fallback=flags,
    priority=st.sampled_from(Priority),
)
requests = st.builds(
    GenerationRequest,
    texts,
    st.lists(messages, max_size=3).map(tuple),
    samplings,
    outputs,
    st.lists(st.builds(Tool, texts, texts, texts), max_size=2).map(tuple),
    st.builds(ToolChoice, maybe(st.sampled_from(ToolMode)), texts, maybe(flags)),
    routings,
    end_user_id=texts,
    provider_options=st.dictionaries(texts, data, max_size=2).map(lambda d: tuple(d.items())),
)
calls = st.tuples(requests, texts, texts)


def key(request: GenerationRequest, route: str = "r", tenant: str = "t") -> bytes:
    return cache_key(request, route=route, tenant=tenant)


def shaping(call: tuple[GenerationRequest, str, str]) -> str:
    """The same by another way: the text of all that counts, which tells 1 from 1.0 and True."""
    request, route, tenant = call
    counting = replace(
        request,
        model="",
        messages=tuple(
            replace(message, parts=tuple(map(unmarked, message.parts)))
            for message in request.messages
        ),
        routing=Routing(
            provider_order=request.routing.provider_order,
            disable_fallback=request.routing.disable_fallback,
        ),
        labels=(),
        end_user_id="",
        provider_options=tuple(sorted(request.provider_options)),
    )
    return repr((counting, route, tenant))


def unmarked(part: Part) -> Part:
    if isinstance(part, ToolResultPart):
        part = replace(part, parts=tuple(map(unmarked, part.parts)))
    return replace(part, cache_breakpoint=False)


@given(calls, calls)
def test_keys_are_equal_for_calls_of_the_same_shape_only(
    one: tuple[GenerationRequest, str, str], other: tuple[GenerationRequest, str, str]
) -> None:
    assert (key(*one) == key(*other)) == (shaping(one) == shaping(other))


@given(calls, st.data())
def test_each_change_of_one_field_counts_or_does_not(
    call: tuple[GenerationRequest, str, str], draw: st.DataObject
) -> None:
    request, route, tenant = call
    other = draw.draw(requests)
    name = draw.draw(st.sampled_from([field.name for field in fields(GenerationRequest)]))
    changed = (replace(request, **{name: getattr(other, name)}), route, tenant)
    assert (key(*call) == key(*changed)) == (shaping(call) == shaping(changed))


BASE = GenerationRequest(
    "chat",
    (Message(Role.USER, (TextPart("hi"),)),),
    tools=(Tool("f", "does", '{"type":"object"}'),),
)


def same() -> Iterator[GenerationRequest]:
    yield replace(BASE, model="")
    yield replace(BASE, labels=(("team", "a"),))
    yield replace(BASE, end_user_id="u")
    for routing in (
        Routing(first_content_timeout=1.0),
        Routing(idle_content_timeout=1.0),
        Routing(max_attempts=1),
        Routing(cache_mode=CacheMode.ONLY),
        Routing(priority=Priority.BATCH),
    ):
        yield replace(BASE, routing=routing)
    yield said(TextPart("hi", cache_breakpoint=True))


def others() -> Iterator[GenerationRequest]:
    yield replace(BASE, routing=Routing(provider_order=("p",)))
    yield replace(BASE, routing=Routing(disable_fallback=True))
    yield replace(BASE, sampling=Sampling(temperature=0.0))
    yield replace(BASE, sampling=Sampling(temperature=1.0))
    yield replace(BASE, sampling=Sampling(seed=1))
    yield replace(BASE, sampling=Sampling(top_k=1))
    yield replace(BASE, output=Output(include_reasoning=True))
    yield replace(BASE, output=Output(stop_sequences=("ab",)))
    yield replace(BASE, output=Output(stop_sequences=("a", "b")))
    yield replace(BASE, tools=(Tool("f", "does", '{"type": "object"}'),))
    yield replace(BASE, tool_choice=ToolChoice(parallel_tool_calls=True))
    yield replace(BASE, tool_choice=ToolChoice(parallel_tool_calls=False))
    yield replace(BASE, provider_options=(("p", b"{}"),))
    yield said(TextPart("hi"), TextPart(""))
    yield said(TextPart("h"), TextPart("i"))
    yield said(ReasoningPart("hi"))
    yield said(MediaPart("hi"))
    yield said(MediaPart("hi", b""))
    yield said(MediaPart("hi", b"u"))
    yield said(MediaPart("hi", uri="u"))
    yield said(MediaPart("hi", uri=""))


def said(*parts: Part) -> GenerationRequest:
    return replace(BASE, messages=(Message(Role.USER, parts),))


@pytest.mark.parametrize("request_", list(same()))
def test_what_does_not_shape_the_answer_does_not_count(request_: GenerationRequest) -> None:
    assert key(request_) == key(BASE)


def test_what_shapes_the_answer_counts() -> None:
    keys = [key(BASE), *map(key, others())]
    keys += [key(BASE, "other"), key(BASE, "r", ""), key(BASE, "r", "other"), key(BASE, "t", "r")]
    assert len(set(keys)) == len(keys)


def test_the_order_of_provider_options_means_nothing() -> None:
    options = (("p", b"{}"), ("q", b"[]"))
    assert key(replace(BASE, provider_options=options)) == key(
        replace(BASE, provider_options=options[::-1])
    )


def test_a_breakpoint_inside_a_tool_result_does_not_count() -> None:
    marked = ToolResultPart("id", (TextPart("a", cache_breakpoint=True),), cache_breakpoint=True)
    assert key(said(marked)) == key(said(ToolResultPart("id", (TextPart("a"),))))


def test_kinds_of_parts_differ_in_the_names_of_their_fields() -> None:
    """The encoding tells them apart by these alone."""
    kinds: list[type[Struct]] = [TextPart, ReasoningPart, ToolCallPart, MediaPart, ToolResultPart]
    names = {frozenset(field.name for field in fields(kind)) for kind in kinds}
    assert len(names) == len(kinds)


_PROGRAM = """
from llmgateway_server.cache.key import cache_key
from llmgateway_server.domain.content import MediaPart, Message, Role, TextPart
from llmgateway_server.domain.request import GenerationRequest, Tool
parts = (TextPart("hi"), MediaPart("image/png", b"x"))
tool = Tool("f", "does", '{"type":"object"}')
request = GenerationRequest("chat", (Message(Role.USER, parts),), tools=(tool,))
print(cache_key(request, route="r", tenant="t").hex())
"""


def test_the_key_is_the_same_in_another_process() -> None:
    told = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        env={**os.environ, "PYTHONHASHSEED": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    request = said(TextPart("hi"), MediaPart("image/png", b"x"))
    assert told.stdout.strip() == key(request).hex()


@pytest.mark.parametrize(
    ("sampling", "cacheable"),
    [
        (Sampling(), True),
        (Sampling(temperature=0.0), True),
        (Sampling(temperature=0.7), False),
        (Sampling(temperature=0.7, seed=0), True),
        (Sampling(top_p=1.0), True),
        (Sampling(top_p=0.9), False),
        (Sampling(top_p=0.0), True),
        (Sampling(top_p=0.9, temperature=0.0), True),
        (Sampling(top_k=1, temperature=1.0), True),
        (Sampling(top_k=40), False),
        (Sampling(top_k=40, seed=7), True),
        (Sampling(presence_penalty=1.0, frequency_penalty=1.0), True),
    ],
)
def test_who_asks_for_variety_gets_a_new_answer(sampling: Sampling, cacheable: bool) -> None:
    request = replace(BASE, sampling=sampling)
    assert is_cacheable(request, CachePolicy(60.0)) is cacheable
    assert is_cacheable(request, CachePolicy(60.0, include_sampled=True))
