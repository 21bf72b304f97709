"""What the transport knows of one call: its id, its budget, its end."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import grpc
from msgspec import Struct

from llmgateway_server.domain.answer import Route
from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.domain.request import CallOptions, RecoveryMode
from llmgateway_server.domain.ulid import new_ulid

Context = grpc.aio.ServicerContext[bytes, bytes]
Metadata = tuple[tuple[str, str | bytes], ...]

# The rich status has to be on its way before the client's own deadline, which carries none.
_RESERVE = 0.1
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")
_COUNT = re.compile(r"[0-9]{1,3}")
# What counts attempts, and how many of them are this one.
_ATTEMPT_COUNTS = {"grpc-previous-rpc-attempts": 0, "x-envoy-attempt-count": 1}
_MOST_FAILURES = 5
# A caller can name a model of any letters and length; trailers have to fit into 8 KiB together.
_NO_TARGET_NAME = re.compile(r"[^\x21-\x7e]|[,;=]")
_LONGEST_TARGET = 128


class MethodBudget(Struct, frozen=True):
    """Seconds that calls of a method may take: without a deadline of the caller's, and at most."""

    default: float
    maximum: float


class Call:
    """One call in flight.

    `deadline` is loop time; `previous_attempts` counts the caller's own retries of this call.
    `route`, `dropped`, the request's fields that the model could not take, and `failures`, the
    errors of upstream attempts in order, are set by the handler as soon as it knows them.
    """

    def __init__(self, context: Context, budget: MethodBudget) -> None:
        metadata = context.invocation_metadata() or ()
        self.request_id = _request_id(metadata)
        self.previous_attempts = _previous_attempts(metadata)
        self.route: Route | None = None
        self.dropped: tuple[str, ...] = ()
        self.failures: tuple[GatewayError, ...] = ()
        self._loop = asyncio.get_running_loop()
        self.deadline = self._loop.time() + _seconds(context.time_remaining(), budget)
        self._task = asyncio.current_task()
        self._interruption: GatewayError | None = None

    def options(self, recovery: RecoveryMode | None = None) -> CallOptions:
        """What the core is told of the call besides its request."""
        return CallOptions(self.deadline, recovery, self.previous_attempts)

    def interrupt(self, error: GatewayError) -> None:
        """Ends the call from outside its task, with this error."""
        if self._interruption is None and self._task is not None:
            self._interruption = error
            self._task.cancel()

    def interruption(self) -> GatewayError | None:
        """The error that cancelled the call's task; None where the caller itself went away."""
        if self._interruption is None or self._task is None:
            return None
        return self._interruption if self._task.uncancel() == 0 else None

    def trailers(self) -> Metadata:
        """The trailing metadata that every call ends with, well or not."""
        trailers: Metadata = (("x-request-id", self.request_id),)
        failures = _failures(self.failures)
        if failures:
            trailers = (*trailers, ("x-llmgateway-failures", failures))
        if self.route is None:
            return trailers
        if self.dropped:
            trailers = (*trailers, ("x-llmgateway-dropped", ",".join(self.dropped)))
        return (
            *trailers,
            ("x-llmgateway-provider", self.route.provider),
            ("x-llmgateway-attempts", str(self.route.attempt_count)),
            ("x-llmgateway-cache", self.route.cache_status.value),
        )


class LiveCalls:
    """The calls in flight, so that a drain can wait for them or end them."""

    def __init__(self) -> None:
        self._calls: set[Call] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self.draining = False

    def __len__(self) -> int:
        """How many calls are in flight."""
        return len(self._calls)

    @contextmanager
    def track(self, call: Call) -> Iterator[None]:
        """Counts the call while it runs.

        Raises:
            GatewayError: the gateway is draining.
        """
        if self.draining:
            raise GatewayError(
                Reason.GATEWAY_DRAINING,
                "this gateway is shutting down; another replica will answer",
                retry_after=1.0,
            )
        self._calls.add(call)
        self._idle.clear()
        try:
            yield
        finally:
            self._calls.discard(call)
            if not self._calls:
                self._idle.set()

    async def wait_idle(self) -> None:
        """Returns when no call is in flight."""
        await self._idle.wait()

    def interrupt_all(self, error: GatewayError) -> None:
        """Ends every call with this error."""
        for call in self._calls:
            call.interrupt(error)


def _seconds(remaining: float | None, budget: MethodBudget) -> float:
    if remaining is None:
        return budget.default
    # A short deadline is not spent on the reserve.
    return min(max(remaining - min(_RESERVE, remaining / 4), 0.0), budget.maximum)


def _request_id(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    for key, value in metadata:
        if key == "x-request-id" and isinstance(value, str) and _REQUEST_ID.fullmatch(value):
            return value
    return new_ulid()


def _previous_attempts(metadata: Iterable[tuple[str, str | bytes]]) -> int:
    """How often the caller or a mesh before it has tried; anything but a small number is none.

    gRPC counts the attempts before this one, Envoy (`include_request_attempt_count`) this one too.
    """
    most = 0
    for key, value in metadata:
        if key in _ATTEMPT_COUNTS and isinstance(value, str) and _COUNT.fullmatch(value):
            most = max(most, int(value) - _ATTEMPT_COUNTS[key])
    return most


def _failures(errors: Sequence[GatewayError]) -> str:
    """The last of the failed upstream attempts: `provider/model=REASON;503`, comma separated."""
    told = []
    for error in errors[-_MOST_FAILURES:]:
        for attempt in error.attempts[-1:]:
            name = _NO_TARGET_NAME.sub("?", f"{attempt.provider}/{attempt.model}")
            status = f";{attempt.http_status}" if attempt.http_status else ""
            told.append(f"{name[:_LONGEST_TARGET]}={error.reason.value}{status}")
    return ",".join(told)
