"""What the transport takes from a call's metadata, and what it tells at the call's end."""

import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llmgateway_server.domain.answer import Route
from llmgateway_server.domain.errors import AttemptFailure, GatewayError, Reason
from llmgateway_server.domain.request import CallOptions, RecoveryMode
from llmgateway_server.transport.grpc.call import Call, MethodBudget
from support.virtual_time import run_virtual


class Caller:
    """A caller with metadata and without a deadline."""

    def __init__(self, *metadata: tuple[str, str | bytes]) -> None:
        self._metadata = metadata

    def invocation_metadata(self) -> tuple[tuple[str, str | bytes], ...]:
        return self._metadata

    def time_remaining(self) -> None:
        return None


def call(*metadata: tuple[str, str | bytes]) -> Call:
    """A call at loop time 0."""

    async def made() -> Call:
        caller: Any = Caller(*metadata)
        return Call(caller, MethodBudget(default=60.0, maximum=60.0))

    return run_virtual(made())


def failed(model: str = "m", status: int = 0, provider: str = "p") -> GatewayError:
    attempt = AttemptFailure(provider, model, status)
    return GatewayError(Reason.PROVIDER_ERROR, "words", attempt=attempt)


def told(*failures: GatewayError) -> str | bytes | None:
    ended = call()
    ended.failures = failures
    return dict(ended.trailers()).get("x-llmgateway-failures")


@pytest.mark.parametrize(
    ("said", "counted"),
    [
        ("0", 0),
        ("2", 2),
        ("007", 7),
        ("", 0),
        ("-1", 0),
        ("1.0", 0),
        ("1 ", 0),
        ("two", 0),
        ("\u0662", 0),
        (b"2", 0),
        ("1000", 0),
        ("9" * 5000, 0),
    ],
)
def test_the_callers_own_retries_are_counted_where_it_gives_a_number(
    said: str | bytes, counted: int
) -> None:
    assert call(("grpc-previous-rpc-attempts", said)).previous_attempts == counted


@pytest.mark.parametrize(("said", "counted"), [("1", 0), ("3", 2), ("0", 0), ("many", 0)])
def test_a_meshs_retries_count_as_well(said: str, counted: int) -> None:
    assert call(("x-envoy-attempt-count", said)).previous_attempts == counted


def test_the_core_is_told_what_is_known_of_the_call() -> None:
    assert call().options() == CallOptions(60.0)
    retried = call(("x-request-id", "mine"), ("grpc-previous-rpc-attempts", "1"))
    assert retried.options(RecoveryMode.CONTINUE) == CallOptions(60.0, RecoveryMode.CONTINUE, 1)


def test_a_call_without_failures_tells_of_none() -> None:
    assert told() is None


def test_failed_attempts_are_told_in_order_with_their_status() -> None:
    late = GatewayError(Reason.PROVIDER_TIMEOUT, "words", attempt=AttemptFailure("q", "a/b:c"))
    assert told(failed(status=503), late) == "p/m=PROVIDER_ERROR;503,q/a/b:c=PROVIDER_TIMEOUT"


def test_what_never_went_upstream_is_no_failed_attempt() -> None:
    assert told(GatewayError(Reason.REQUEST_INVALID, "words")) is None


def test_the_last_five_are_told() -> None:
    entries = str(told(*(failed(str(number)) for number in range(9)))).split(",")
    assert [entry.partition("=")[0] for entry in entries] == [f"p/{n}" for n in range(4, 9)]


def test_failures_are_told_before_any_route_is_known_and_beside_it() -> None:
    ended = call(("x-request-id", "mine"))
    ended.failures = (failed(),)
    early = ended.trailers()
    assert early == (("x-request-id", "mine"), ("x-llmgateway-failures", "p/m=PROVIDER_ERROR"))
    ended.route = Route("q", "m", 2)
    trailers = dict(ended.trailers())
    assert trailers["x-llmgateway-provider"] == "q"
    assert trailers["x-llmgateway-failures"] == "p/m=PROVIDER_ERROR"


NAMES = st.text(max_size=300)


@example([failed("\U0001f600" * 256, 503), failed("a,b;c=d\r\nx: y")])
@given(st.lists(st.builds(failed, NAMES, st.integers(0, 599), NAMES), min_size=1, max_size=9))
def test_no_name_breaks_the_header_or_its_form(failures: list[GatewayError]) -> None:
    value = str(told(*failures))
    assert len(value) <= 1024
    entries = value.split(",")
    assert len(entries) == min(len(failures), 5)
    assert all(re.fullmatch(r"[\x21-\x7e]*=[A-Z_]+(;[0-9]+)?", entry) for entry in entries)
