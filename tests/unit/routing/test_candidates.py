"""Who can answer a call, and in which order they are asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgateway_server.domain.capabilities import Capabilities
from llmgateway_server.domain.catalog import ProviderEntry, RouteEntry, RouteTarget, Target
from llmgateway_server.domain.content import Message, Role, TextPart
from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.domain.request import GenerationRequest, Routing, Tool
from llmgateway_server.domain.timers import Timers
from llmgateway_server.ports.provider import ProviderHealth
from llmgateway_server.ports.strategy import Candidate, Strategy, Work
from llmgateway_server.resilience.breaker import RAMP_START
from llmgateway_server.resilience.failure import FailureClass
from llmgateway_server.routing.candidates import places_of_one_model, prospect_of, prospects_for
from llmgateway_server.routing.route_state import RouteState
from llmgateway_server.routing.routes import Resolution
from llmgateway_server.routing.strategies.priority import InOrder
from llmgateway_server.routing.target_state import TargetState
from llmgateway_server.routing.targets import Targets
from support.hand_clock import HandClock
from support.money import FixedPrices
from support.scripted_targets import ScriptedTarget

ASK = GenerationRequest("words", (Message(Role.USER, (TextPart("hi"),)),))
WITH_TOOLS = GenerationRequest("words", ASK.messages, tools=(Tool("f"),))
ILL = ProviderHealth(False, 0.1, Reason.PROVIDER_ERROR, "down")


class Custom:
    """A strategy as a plug-in might write it."""

    def __init__(self, order: Callable[[Sequence[Candidate]], Sequence[Candidate]]) -> None:
        self._order = order
        self.seen: Sequence[Candidate] = ()

    def order(self, candidates: Sequence[Candidate], work: Work) -> Sequence[Candidate]:
        del work
        self.seen = candidates
        return self._order(candidates)


class World:
    """A route over one model `m` at each of some providers, each with its capabilities."""

    def __init__(self, **providers: Capabilities) -> None:
        self.clock = HandClock(100.0)
        self.targets = Targets(
            {name: ProviderEntry(name, "scripted", True, Timers()) for name in providers},
            {name: ScriptedTarget(capabilities=known) for name, known in providers.items()},
            FixedPrices(),
            self.clock,
        )
        self.route = RouteEntry("words", tuple(RouteTarget(Target(p, "m")) for p in providers))

    def state(self, provider: str) -> TargetState:
        return self.targets.state(Target(provider, "m"))

    def fail(self, provider: str, kind: FailureClass, times: int = 1) -> None:
        for _ in range(times):
            lease = self.state(provider).lease(self.clock.now, 0)
            assert lease is not None
            lease.failed(kind, self.clock.now)

    def order(
        self,
        request: GenerationRequest = ASK,
        *,
        strategy: Strategy | None = None,
        tokens: int = 0,
    ) -> str:
        """The providers in the order in which they are asked; their names have one letter."""
        found = prospects_for(
            request,
            Resolution(self.route, is_route=True),
            targets=self.targets,
            route=RouteState(strategy or InOrder(), self.route),
            work=Work(tokens, 0),
            now=self.clock.now,
        )
        return "".join(each.place.target.provider for each in found)


def anything(names: str) -> World:
    return World(**dict.fromkeys(names, Capabilities()))


def windows(**sizes: int | None) -> World:
    return World(**{name: Capabilities(context_window=size) for name, size in sizes.items()})


def test_who_cannot_take_the_request_is_left_out() -> None:
    world = World(
        a=Capabilities(tools=False), b=Capabilities(tools=True), c=Capabilities(tools=None)
    )
    assert world.order(WITH_TOOLS) == "bc"
    assert world.order() == "abc"


def test_where_nobody_can_take_it_the_first_ones_reason_is_told() -> None:
    world = World(
        a=Capabilities(tools=False), b=Capabilities(forced_tool_choice=False, tools=False)
    )
    with pytest.raises(GatewayError) as caught:
        world.order(WITH_TOOLS)
    assert caught.value.reason is Reason.CAPABILITY_UNSUPPORTED
    assert ("capability", "tools") in caught.value.metadata


def test_a_window_that_is_surely_too_small_is_left_out_with_a_quarter_of_margin() -> None:
    world = windows(a=1000, b=2000, c=None)
    assert world.order(tokens=1000) == "abc"
    assert world.order(tokens=1250) == "abc"
    assert world.order(tokens=1251) == "bc"
    assert world.order(tokens=2501) == "c"
    assert world.order(tokens=10**9) == "c"


def test_where_every_window_is_too_small_the_providers_judge() -> None:
    assert windows(a=1000, b=2000).order(tokens=2501) == "ab"
    assert windows(a=1000).order(tokens=2501) == "a"


def test_the_callers_providers_come_first_in_its_order() -> None:
    def preferring(*names: str) -> GenerationRequest:
        return GenerationRequest("words", ASK.messages, routing=Routing(provider_order=names))

    world = anything("abcd")
    assert world.order(preferring("c", "a")) == "cabd"
    assert world.order(preferring("unknown", "d")) == "dabc"
    # Its word is stronger than the health of a target.
    world.fail("c", FailureClass.BACKPRESSURE)
    assert world.order(preferring("c")) == "cabd"
    assert world.order() == "abdc"


STRANGERS = (Target("zz", "m"), Target("a", "another"))


@given(
    st.lists(
        st.sampled_from([*(Target(name, "m") for name in "abcd"), *STRANGERS]), max_size=8
    ).map(lambda chosen: [Candidate(target) for target in chosen])
)
def test_a_plugin_that_forgets_repeats_or_invents_loses_no_candidate(
    answer: list[Candidate],
) -> None:
    world = anything("abcd")
    ordered = world.order(strategy=Custom(lambda _: answer))
    known = dict.fromkeys(each.target.provider for each in answer if each.target not in STRANGERS)
    named = "".join(known)
    assert ordered == named + "".join(name for name in "abcd" if name not in known)


@given(st.sampled_from(list(permutations(range(4)))))
def test_the_order_of_a_plugin_is_kept(places: tuple[int, ...]) -> None:
    ordered = anything("abcd").order(strategy=Custom(lambda seen: [seen[n] for n in places]))
    assert ordered == "".join("abcd"[n] for n in places)


def test_one_candidate_needs_no_strategy() -> None:
    def never(_: Sequence[Candidate]) -> Sequence[Candidate]:
        raise AssertionError("there is nothing to order")

    assert anything("a").order(strategy=Custom(never)) == "a"


def health(world: World) -> Mapping[str, bool]:
    strategy = Custom(lambda seen: seen)
    world.order(strategy=strategy)
    return {each.target.provider: each.is_healthy for each in strategy.seen}


def test_all_are_healthy_before_anything_is_known() -> None:
    assert health(anything("ab")) == {"a": True, "b": True}


@pytest.mark.parametrize(
    ("kind", "times"),
    [
        (FailureClass.BACKPRESSURE, 1),
        (FailureClass.MISSING, 1),
        (FailureClass.CREDENTIAL, 1),
        (FailureClass.FAULT, 5),
    ],
)
def test_who_rests_or_is_shut_counts_as_ill(kind: FailureClass, times: int) -> None:
    world = anything("ab")
    world.fail("a", kind, times)
    assert health(world) == {"a": False, "b": True}
    assert world.order() == "ba"


def test_who_was_found_ill_by_a_check_counts_as_ill() -> None:
    world = anything("ab")
    world.targets.standings["a"].checked(ILL)
    assert health(world) == {"a": False, "b": True}


def test_a_callers_own_faults_and_single_faults_make_nobody_ill() -> None:
    world = anything("ab")
    for kind in (FailureClass.CALLER, FailureClass.CONTEXT, FailureClass.INCAPABLE):
        world.fail("a", kind, 9)
    world.fail("a", FailureClass.FAULT, 4)
    assert health(world) == {"a": True, "b": True}


@pytest.mark.parametrize("percent", [0, 10, 50, 90, 100])
def test_a_target_that_has_recovered_gets_its_share_and_not_more(percent: int) -> None:
    """Of 1000 draws, spread evenly, exactly the share puts the recovered target first."""
    draws = [0.5] + [(number + 0.5) / 1000 for number in range(1000)]
    entry = ProviderEntry("a", "scripted", True, Timers())
    targets = anything("a").targets
    state = TargetState(
        Target("a", "m"),
        ScriptedTarget(),
        entry,
        standing=targets.standings["a"],
        prices=lambda: None,
        rng=iter(draws).__next__,
    )
    for _ in range(5):
        lease = state.lease(0.0, 0)
        assert lease is not None
        lease.failed(FailureClass.FAULT, 0.0)
    for _ in range(3):
        lease = state.lease(5.0, 0)
        assert lease is not None
        lease.first_content(5.0, slow_after=10.0)
        lease.release(5.0)
    place, now = RouteTarget(Target("a", "m")), 5.0 + percent / 10
    if percent == 100:
        assert state.candidate(place, now).is_healthy
        return
    seen = Counter(state.candidate(place, now).is_healthy for _ in range(1000))
    share = RAMP_START + (1 - RAMP_START) * percent / 100
    assert seen[True] == round(1000 * share)


def test_one_outside_of_the_route_has_to_be_able_too() -> None:
    world = World(a=Capabilities(), b=Capabilities(tools=False))
    resolution = Resolution(world.route, is_route=True)
    place = RouteTarget(Target("b", "m"))
    assert prospect_of(ASK, place, resolution, world.targets).name == "b/m"
    with pytest.raises(GatewayError):
        prospect_of(WITH_TOOLS, place, resolution, world.targets)


def test_only_targets_of_the_first_ones_model_embed() -> None:
    world = anything("abc")
    models = {"a": "m", "b": "other", "c": "m"}
    route = RouteEntry("e", tuple(RouteTarget(Target(p, m)) for p, m in models.items()))
    found = places_of_one_model(Resolution(route, is_route=True), world.targets)
    assert [each.name for each in found] == ["a/m", "c/m"]
