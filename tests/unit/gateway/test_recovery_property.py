"""Answers that are cut anywhere, in every mode: the reader has it whole, once, or honestly not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from hypothesis import event, given
from hypothesis import strategies as st

from llmgateway_server.domain.answer import Finish, FinishReason, Usage
from llmgateway_server.domain.capabilities import Capabilities
from llmgateway_server.domain.content import Message, Role, TextPart
from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.domain.events import (
    Delta,
    ReasoningDelta,
    Recovery,
    RecoveryKind,
    SignatureDelta,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
)
from llmgateway_server.domain.request import (
    GenerationRequest,
    Output,
    RecoveryMode,
    Sampling,
)
from llmgateway_server.gateway.gateway import Gateway
from support.money import PRICES, FixedPrices
from support.provider import Step
from support.scripted_targets import (
    ASK,
    Outcome,
    ScriptedTarget,
    assert_idle,
    call,
    failure,
    gateway_with,
)
from support.virtual_time import run_virtual

# A part of an answer: its kind, and all that was said of it.
Part = tuple[str, str]
FAULTS = [
    Reason.PROVIDER_ERROR,
    Reason.PROVIDER_PROTOCOL_ERROR,
    Reason.PROVIDER_TIMEOUT,
    Reason.PROVIDER_OVERLOADED,
]
# Silence, which the idle timers end.
SILENCE = 3600.0


@dataclass(frozen=True)
class Written:
    """An answer as a model writes it; empty where it has no such part."""

    reasoning: str
    text: str
    arguments: str

    def deltas(self, size: int, text: str | None = None, *, reasons: bool = True) -> list[Delta]:
        """Its deltas, of some characters each; with `text`, the rest from there on."""
        found: list[Delta] = []
        index = 0
        if self.reasoning and reasons:
            found += [ReasoningDelta(0, piece) for piece in _pieces(self.reasoning, size)]
            found.append(SignatureDelta(0, b"s"))
            index += 1
        text = self.text if text is None else text
        if text:
            found += [TextDelta(index, piece) for piece in _pieces(text, size)]
            index += 1
        if self.arguments:
            found.append(ToolCallDelta(index, "id", "f"))
            found += [
                ToolCallDelta(index, arguments_json=piece)
                for piece in _pieces(self.arguments, size)
            ]
        return found

    def parts(self, *, with_reasoning: bool) -> list[Part]:
        """What a reader has in the end."""
        reasoning = self.reasoning + "s" if self.reasoning and with_reasoning else ""
        arguments = "id:f:" + self.arguments if self.arguments else ""
        said = [("reasoning", reasoning), ("text", self.text), ("tool", arguments)]
        return [part for part in said if part[1]]


def _pieces(text: str, size: int) -> Iterator[str]:
    return (text[start : start + size] for start in range(0, len(text), size))


@dataclass(frozen=True)
class Play:
    """What becomes of one attempt: in pieces of which size, how many to a batch, and when cut."""

    size: int
    batch: int
    cut_after: int | None
    fault: Reason | None


@dataclass
class Models:
    """Two models that write the answers; each attempt follows the next play."""

    answers: tuple[Written, Written]
    plays: Sequence[Play]
    with_reasoning: bool
    reader: Outcome = field(default_factory=Outcome)
    count: int = 0
    refusals: int = 0
    prefills: list[str] = field(default_factory=list)

    def script(self, which: int, request: GenerationRequest, *, refuses: bool) -> Sequence[Step]:
        play = self.plays[min(self.count, len(self.plays) - 1)]
        self.count += 1
        last = request.messages[-1]
        if last.role is not Role.ASSISTANT:
            deltas = self.answers[which].deltas(play.size)
        elif refuses:
            self.refusals += 1
            return [failure(Reason.PROVIDER_REJECTED_REQUEST)]
        else:
            (part,) = last.parts
            assert isinstance(part, TextPart)
            deltas = self.continued(which, part.text, play.size)
        return _played(deltas, play)

    def continued(self, which: int, begun: str, size: int) -> list[Delta]:
        """The rest of whichever answer the reader has begun; if it is both, of the model's own.

        The model is not told of white space at the end, which no real one could have known.
        """
        self.prefills.append(begun)
        told = _parts(self.reader.events)
        assert [(kind, said.rstrip()) for kind, said in told] == [("text", begun)]
        for answer in (self.answers[which], self.answers[1 - which]):
            if _begins(answer.parts(with_reasoning=self.with_reasoning), told):
                break
        else:
            raise AssertionError("what was told is the beginning of no answer")
        return answer.deltas(size, answer.text[len(begun) :], reasons=False)


def _played(deltas: Sequence[Delta], play: Play) -> Sequence[Step]:
    told = deltas if play.cut_after is None else deltas[: play.cut_after]
    steps: list[Step] = [()]
    steps += [told[start : start + play.batch] for start in range(0, len(told), play.batch)]
    if play.cut_after is None:
        steps.append([Usage(10, len(deltas)), Finish(FinishReason.STOP, "stop")])
    else:
        steps.append(SILENCE if play.fault is None else failure(play.fault))
    return steps


# White space and repetitions, where seams could go wrong.
TEXT = st.text(st.sampled_from("ab \n\N{GRINNING FACE}"), min_size=1, max_size=8)
NONE = st.just("")
ANSWER = st.one_of(
    st.builds(Written, NONE, TEXT | st.just("abab  ab"), NONE),
    st.builds(Written, NONE, TEXT, TEXT),
    st.builds(Written, NONE, NONE, TEXT),
    st.builds(Written, TEXT, TEXT, NONE | TEXT),
)
CUT = st.integers(1, 5)
PLAYS = st.tuples(
    *(
        st.builds(
            Play,
            size=st.integers(1, 3),
            batch=st.integers(1, 3),
            cut_after=cut,
            fault=st.none() | st.sampled_from(FAULTS),
        )
        for cut in (CUT | st.integers(0, 8), st.none() | CUT, st.none(), st.none() | CUT)
    )
)


@dataclass(frozen=True)
class Scene:
    """One call."""

    answers: tuple[Written, Written]
    plays: Sequence[Play]
    mode: RecoveryMode
    is_deterministic: bool
    with_reasoning: bool
    prefill: tuple[bool | None, bool | None]
    refuses_prefill: bool
    targets: str


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    first = draw(ANSWER)
    # The same, another, or one that begins in the same way.
    second = draw(
        st.just(first)
        | ANSWER
        | TEXT.map(lambda more: Written(first.reasoning, first.text[:3] + more, first.arguments))
    )
    return Scene(
        (first, second),
        draw(PLAYS),
        draw(st.sampled_from([*RecoveryMode, RecoveryMode.CONTINUE, RecoveryMode.CONTINUE])),
        draw(st.booleans()),
        draw(st.booleans()),
        draw(st.tuples(*[st.sampled_from([True, True, True, False, None])] * 2)),
        draw(st.sampled_from([False, False, False, True])),
        draw(st.sampled_from(["ab", "ab", "a"])),
    )


@given(scenes())
def test_an_answer_is_whole_and_told_once_or_breaks_off_honestly(scene: Scene) -> None:
    models = Models(scene.answers, scene.plays, scene.with_reasoning)
    targets = {name: _target(models, scene, which) for which, name in enumerate(scene.targets)}

    async def main() -> tuple[Outcome, Gateway]:
        gateway = gateway_with(targets, prices=FixedPrices(PRICES))
        outcome = await call(gateway, _request(scene), recovery=scene.mode, into=models.reader)
        await assert_idle(gateway, targets)
        return outcome, gateway

    outcome, gateway = run_virtual(main())
    has_restarted = _check_recoveries(outcome, scene.mode)
    whole = [answer.parts(with_reasoning=scene.with_reasoning) for answer in scene.answers]
    told = _parts(outcome.events)
    if outcome.error is None:
        assert told in whole
        assert outcome.answer.route.attempt_count == models.count
    else:
        _check_failure(outcome.error, told, whole)
    assert models.count <= 3
    assert all(stream.closed for target in targets.values() for stream in target.streams)
    _check_usage(outcome, gateway)
    event(f"{'failed' if outcome.error else 'answered'} after {models.count}, {scene.mode.name}")
    event(f"restarted: {has_restarted}, continued by prefill: {bool(models.prefills)}")
    event(f"a refused prefill: {bool(models.refusals)}")


def _target(models: Models, scene: Scene, which: int) -> ScriptedTarget:
    def script(request: GenerationRequest) -> Sequence[Step]:
        return models.script(which, request, refuses=scene.refuses_prefill)

    return ScriptedTarget(script, capabilities=Capabilities(prefill=scene.prefill[which]))


def _request(scene: Scene) -> GenerationRequest:
    return GenerationRequest(
        ASK.model,
        (Message(Role.USER, (TextPart("hi"),)),),
        sampling=Sampling(temperature=0.0) if scene.is_deterministic else Sampling(),
        output=Output(include_reasoning=scene.with_reasoning),
    )


def _check_recoveries(outcome: Outcome, mode: RecoveryMode) -> bool:
    kinds = {each.kind for each in outcome.events if isinstance(each, Recovery)}
    assert not kinds or mode is not RecoveryMode.NONE
    has_restarted = RecoveryKind.RESTARTED in kinds
    assert not has_restarted or mode is RecoveryMode.RESTART
    return has_restarted


def _check_failure(error: GatewayError, told: list[Part], whole: list[list[Part]]) -> None:
    assert error.partial_output_sent is bool(told)
    if told:
        assert error.reason is Reason.STREAM_INTERRUPTED
        assert any(_begins(parts, told) for parts in whole)
    else:
        assert error.reason in FAULTS
    assert error.attempts


def _begins(whole: list[Part], told: list[Part]) -> bool:
    """Whether what was told is the beginning of an answer."""
    *complete, (kind, said) = told
    if len(told) > len(whole) or complete != whole[: len(complete)]:
        return False
    last = whole[len(complete)]
    return last[0] == kind and last[1].startswith(said)


def _check_usage(outcome: Outcome, gateway: Gateway) -> None:
    """The reader is told what all attempts took together."""
    accounts = gateway.accounts.totals().values()
    took = [totals for each in accounts for totals in (each.answered, each.wasted)]
    usage = outcome.answer.usage if outcome.error is None else outcome.error.usage
    told = usage or Usage(cost_nano_usd=0)
    assert told.input_token_count == sum(each.input_token_count for each in took)
    assert told.output_token_count == sum(each.output_token_count for each in took)
    assert told.cost_nano_usd == sum(each.cost_nano_usd for each in took)
    answered = sum(each.answered.calls for each in accounts)
    assert answered == (0 if outcome.error else 1)


def _parts(events: Sequence[StreamEvent]) -> list[Part]:
    """What the reader holds, folded here once more, part by part in the order of their numbers."""
    held: dict[int, tuple[str, list[str]]] = {}
    for each in events:
        match each:
            case Recovery(kind=RecoveryKind.RESTARTED):
                held.clear()
            case TextDelta(index, text):
                _hold(held, index, "text", text)
            case ReasoningDelta(index, text):
                _hold(held, index, "reasoning", text)
            case SignatureDelta(index, signature):
                _hold(held, index, "reasoning", signature.decode())
            case ToolCallDelta(index, call_id, name, arguments):
                _hold(held, index, "tool", f"{call_id}:{name}:" if call_id else arguments)
            case _:
                pass
    assert sorted(held) == list(range(len(held))), "parts are numbered as they appear"
    return [(kind, "".join(said)) for _, (kind, said) in sorted(held.items())]


def _hold(held: dict[int, tuple[str, list[str]]], index: int, kind: str, piece: str) -> None:
    known, said = held.setdefault(index, (kind, []))
    assert known == kind, "a part is of one kind"
    said.append(piece)
