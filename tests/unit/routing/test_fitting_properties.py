"""Laws of fitting that hold for every request and every model."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from llmgateway_server.domain.capabilities import REFUSABLE, Capabilities, Unsupported
from llmgateway_server.domain.content import MediaPart, Message, Part, Role, TextPart
from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.domain.request import (
    GenerationRequest,
    Output,
    ReasoningEffort,
    ResponseFormat,
    Sampling,
    Tool,
    ToolChoice,
    ToolMode,
)
from llmgateway_server.routing.fitting import Fitted, fit

MAYBE = st.none() | st.booleans()
COUNT = st.none() | st.integers(1, 100)
NUMBER = st.none() | st.sampled_from([0.0, 0.5, 1.0, 2.0])
EFFORT = st.none() | st.sampled_from(ReasoningEffort)
REFUSED = st.frozensets(st.sampled_from(sorted(REFUSABLE)))
PART: st.SearchStrategy[Part] = st.sampled_from(
    [TextPart("hi"), MediaPart("image/png", b"x"), MediaPart("audio/wav", b"x")]
)


capabilities = st.builds(
    Capabilities,
    context_window=COUNT,
    max_output=COUNT,
    streaming=MAYBE,
    tools=MAYBE,
    parallel_tool_calls=MAYBE,
    forced_tool_choice=MAYBE,
    images=MAYBE,
    json_object=MAYBE,
    json_schema=MAYBE,
    reasoning=MAYBE,
    efforts=st.none() | st.frozensets(st.sampled_from(ReasoningEffort)),
    default_effort=EFFORT,
    prefill=MAYBE,
    max_stop_sequences=st.none() | st.integers(0, 4),
    refused=REFUSED,
    refused_while_reasoning=REFUSED,
)
requests = st.builds(
    GenerationRequest,
    model=st.just("m"),
    messages=st.lists(
        st.builds(Message, st.sampled_from(Role), st.lists(PART, max_size=3).map(tuple)),
        max_size=3,
    ).map(tuple),
    sampling=st.builds(
        Sampling, NUMBER, NUMBER, NUMBER, NUMBER, COUNT, st.none() | st.integers(-5, 5)
    ),
    output=st.builds(
        Output,
        st.none() | st.integers(0, 200),
        st.lists(st.text(max_size=2), max_size=6).map(tuple),
        EFFORT,
        st.booleans(),
        st.none() | st.sampled_from(ResponseFormat),
    ),
    tools=st.lists(st.just(Tool("t")), max_size=2).map(tuple),
    tool_choice=st.builds(
        ToolChoice, st.none() | st.sampled_from(ToolMode), st.sampled_from(["", "t"]), MAYBE
    ),
)
SHADES = {
    *(f"sampling.{name}" for name in Sampling.__struct_fields__),
    "output.reasoning_effort",
    "output.max_output_tokens",
    "tool_choice.parallel_tool_calls",
}


def outcome(
    request: GenerationRequest, model: Capabilities, policy: Unsupported
) -> Fitted | GatewayError:
    try:
        return fit(request, model, policy)
    except GatewayError as error:
        refused = error
    assert refused.reason is Reason.CAPABILITY_UNSUPPORTED
    assert {key for key, _ in refused.metadata} == {"capability", "field"}
    return refused


def shades(request: GenerationRequest) -> dict[str, Any]:
    return {
        f"{section}.{name}": value
        for section in ("sampling", "output", "tool_choice")
        for name, value in asdict(getattr(request, section)).items()
        if f"{section}.{name}" in SHADES
    }


@given(request=requests, policy=st.sampled_from(Unsupported))
def test_a_model_of_which_nothing_is_known_takes_everything(
    request: GenerationRequest, policy: Unsupported
) -> None:
    assert fit(request, Capabilities(), policy) == Fitted(request)


@given(request=requests, model=capabilities, policy=st.sampled_from(Unsupported))
def test_a_fitted_request_fits(
    request: GenerationRequest, model: Capabilities, policy: Unsupported
) -> None:
    fitted = outcome(request, model, policy)
    if isinstance(fitted, Fitted):
        assert fit(fitted.request, model, Unsupported.REJECT) == Fitted(fitted.request)


@given(request=requests, model=capabilities)
def test_rejecting_drops_nothing_and_is_never_more_lenient_than_dropping(
    request: GenerationRequest, model: Capabilities
) -> None:
    rejecting = outcome(request, model, Unsupported.REJECT)
    dropping = outcome(request, model, Unsupported.DROP)
    if isinstance(rejecting, Fitted):
        assert rejecting.dropped == ()
        assert dropping == rejecting
    elif isinstance(dropping, Fitted):
        assert dropping.dropped
        assert dict(rejecting.metadata)["field"].removeprefix("input.") in dropping.dropped


@given(request=requests, model=capabilities)
def test_only_what_shades_the_answer_changes_and_each_change_is_named(
    request: GenerationRequest, model: Capabilities
) -> None:
    fitted = outcome(request, model, Unsupported.DROP)
    if isinstance(fitted, GatewayError):
        return
    assert len(set(fitted.dropped)) == len(fitted.dropped)
    assert set(fitted.dropped) <= SHADES
    before, after = shades(request), shades(fitted.request)
    changed = {name for name in SHADES if before[name] != after[name]}
    assert set(fitted.dropped) <= changed
    # What the model does anyway goes without a word.
    silent = {name: before[name] for name in changed - set(fitted.dropped)}
    assert all(value in {0.0, 1.0, ReasoningEffort.NONE} for value in silent.values())
    plain = replace(
        fitted.request,
        sampling=request.sampling,
        output=replace(
            fitted.request.output,
            reasoning_effort=request.output.reasoning_effort,
            max_output_tokens=request.output.max_output_tokens,
        ),
        tool_choice=replace(
            fitted.request.tool_choice,
            parallel_tool_calls=request.tool_choice.parallel_tool_calls,
        ),
    )
    assert plain == request


@given(request=requests, model=capabilities)
def test_no_more_output_and_no_unknown_effort_is_ever_asked_for(
    request: GenerationRequest, model: Capabilities
) -> None:
    fitted = outcome(request, model, Unsupported.DROP)
    if isinstance(fitted, Fitted):
        output = fitted.request.output
        if output.max_output_tokens is not None:
            assert output.max_output_tokens <= (model.max_output or model.context_window or 200)
        if output.reasoning_effort is not None and model.efforts is not None:
            assert output.reasoning_effort in model.efforts
