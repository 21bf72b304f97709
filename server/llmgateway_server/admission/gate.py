"""The gateway's own limit: how many calls it works on, how many wait, and who is shed first.

A limit inside the handlers, since grpc's own cannot tell a batch call from one that somebody
waits for, and is left stuck by malformed calls.
"""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.domain.policies import AdmissionLimits
from llmgateway_server.domain.request import Priority
from llmgateway_server.ports.clock import Clock
from llmgateway_server.resilience.adaptive_limit import AdaptiveLimit

BATCH_PERCENT: Final = 80
"""The most of the limit that batch calls use; at least one call."""

# Calls that wait, the oldest first: whether each was let in. Any of them can go in O(1).
_Line = OrderedDict[asyncio.Future[bool], None]


class Slot:
    """A call's place inside; whoever holds it leaves, whatever became of the call.

    Attributes:
        queued: Seconds that the call waited for it.
    """

    __slots__ = ("_gate", "_is_batch", "queued")

    def __init__(self, gate: Gate, *, is_batch: bool, queued: float) -> None:
        self._gate: Gate | None = gate
        self._is_batch = is_batch
        self.queued = queued

    def leave(self, *, went_well: bool = True) -> None:
        """Makes room for the next call, at once; again does nothing.

        Args:
            went_well: False keeps the call from raising the adaptive limit: a call that a
                provider turned away is no sign that there is room for more.
        """
        gate, self._gate = self._gate, None
        if gate is not None:
            gate._left(is_batch=self._is_batch, went_well=went_well)


class Gate:
    """Lets calls in up to a limit, and lets a few more wait for a moment.

    As many calls wait as the limit allows inside, in the order in which they came, interactive
    ones before batch ones. What does not fit is shed: batch calls first, which also use no more
    than their share of the limit. Belongs to one event loop.
    """

    def __init__(
        self,
        limits: AdmissionLimits,
        clock: Clock,
        random: Callable[[], float] = random.random,
    ) -> None:
        least = limits.least if limits.adaptive else limits.in_flight
        self._limit = AdaptiveLimit(limits.in_flight, least)
        self._longest_wait = limits.queue
        self._clock = clock
        self._random = random
        self._in_flight = 0
        self._batch_in_flight = 0
        self._interactive: _Line = OrderedDict()
        self._batch: _Line = OrderedDict()

    @property
    def in_flight(self) -> int:
        """Calls inside."""
        return self._in_flight

    @property
    def waiting(self) -> int:
        """Calls that wait to be let in."""
        return len(self._interactive) + len(self._batch)

    def enter_now(self, priority: Priority) -> Slot | None:
        """A slot where there is room; None where the call has to wait for it."""
        is_batch = priority is Priority.BATCH
        # Whoever could go in has been let in by now, so room means that nobody waits for it.
        if not self._has_room(is_batch=is_batch):
            return None
        self._let_in(is_batch=is_batch)
        return Slot(self, is_batch=is_batch, queued=0.0)

    async def enter(self, priority: Priority, deadline: float) -> Slot:
        """A slot, at once where there is room.

        Args:
            priority: Batch calls wait behind the others and are shed first.
            deadline: The call's own, as the clock shows it; nobody waits longer.

        Raises:
            GatewayError: GATEWAY_OVERLOADED; it says when to come again.
        """
        slot = self.enter_now(priority)
        if slot is not None:
            return slot
        is_batch = priority is Priority.BATCH
        came = self._clock.time()
        until = min(came + self._longest_wait, deadline)
        if until <= came or not self._may_wait(is_batch=is_batch):
            raise self._shed()
        if not await self._wait(until, is_batch=is_batch):
            raise self._shed()
        return Slot(self, is_batch=is_batch, queued=self._clock.time() - came)

    def pushed_back(self) -> None:
        """A provider answered 429 or 529."""
        if self._is_in_use:
            self._limit.pushed_back(self._clock.time())

    def first_token(self, seconds: float, usual: float | None) -> None:
        """A call's first token came.

        Args:
            seconds: How long it took.
            usual: How long it usually takes there, None where that is not known.
        """
        if self._is_in_use:
            self._limit.first_token(seconds, usual, self._clock.time())

    @property
    def _is_in_use(self) -> bool:
        """Whether there are calls enough inside for the limit to matter, at least half of it.

        Otherwise one provider that pushes back would shut the gate for the calls of all others.
        """
        return 2 * self._in_flight >= self._limit.value

    def _has_room(self, *, is_batch: bool) -> bool:
        limit = self._limit.value
        if self._in_flight >= limit:
            return False
        return not is_batch or self._batch_in_flight < max(1, limit * BATCH_PERCENT // 100)

    def _let_in(self, *, is_batch: bool) -> None:
        self._in_flight += 1
        self._batch_in_flight += is_batch

    def _left(self, *, is_batch: bool, went_well: bool) -> None:
        if went_well:
            self._limit.succeeded(self._in_flight)
        self._in_flight -= 1
        self._batch_in_flight -= is_batch
        for line, is_batch_line in ((self._interactive, False), (self._batch, True)):
            while line and self._has_room(is_batch=is_batch_line):
                first, _ = line.popitem(last=False)
                # A call that was cancelled a moment ago is still in line until its task runs.
                if not first.done():
                    self._let_in(is_batch=is_batch_line)
                    first.set_result(True)

    def _may_wait(self, *, is_batch: bool) -> bool:
        """Whether there is room in the queue; the newest batch call makes it for others."""
        if self.waiting < self._limit.value:
            return True
        if is_batch or not self._batch:
            return False
        newest, _ = self._batch.popitem()
        if not newest.done():
            newest.set_result(False)
        return True

    async def _wait(self, until: float, *, is_batch: bool) -> bool:
        """Stands in line; whether the call was let in."""
        line = self._batch if is_batch else self._interactive
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def give_up() -> None:
            if not turn.done():
                del line[turn]
                turn.set_result(False)

        line[turn] = None
        timer = self._clock.call_at(until, give_up)
        try:
            return await turn
        except BaseException:
            # Cancelled. A place that was given to the call at that very moment goes to the next.
            if turn in line:
                del line[turn]
            elif not turn.cancelled() and turn.result():
                self._left(is_batch=is_batch, went_well=False)
            raise
        finally:
            timer.cancel()

    def _shed(self) -> GatewayError:
        return GatewayError(
            Reason.GATEWAY_OVERLOADED,
            "the gateway has as many calls as it can take: wait for the time that this error "
            "names, then try again; nothing was sent to a provider",
            retry_after=0.5 + self._random(),
        )
