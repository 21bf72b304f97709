"""One row of the table: a variant of a fault, and what has to come of it."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from support.fault_table.expected import CONFLICT, FAULT, MIDWAY, Course, Status
from support.upstream import Script, Upstream


class Place:
    """An address that a faulty target is configured with.

    Args:
        base_url: the address.
        upstream: who serves it, where that can see what it is asked.
    """

    def __init__(self, base_url: str, upstream: Upstream | None = None) -> None:
        self.base_url = base_url
        self.upstream = upstream


MakePlace = Callable[[], AbstractAsyncContextManager[Place]]


def scripted(script: Script, **settings: Any) -> MakePlace:
    """A place where this script answers every request; `settings` are Upstream's."""

    @asynccontextmanager
    async def place() -> AsyncIterator[Place]:
        async with Upstream(script, **settings) as upstream:
            yield Place(upstream.base_url, upstream)

    return place


@dataclass(frozen=True)
class Row:
    """A variant of a fault.

    Attributes:
        id: the fault's.
        name: the variant's.
        place: makes the faulty target; each call of the row gets one of its own.
        status: how a call fails that has nobody else to go to.
        course: how often targets are asked.
        text: what the caller has got before the fault.
        timeouts: the faulty target's.
        timeout: seconds until the caller's deadline.
        is_whole: the provider's answers end properly, so that connections may be kept.
        is_restarted: a whole answer is got from the other target although a stream fails.
        counts: what the place sees of an attempt: `requests`, `connections` where it does not
            come to requests, or `nothing`.
    """

    id: str
    name: str
    place: MakePlace
    status: Status
    course: Course
    text: str = ""
    timeouts: Mapping[str, str] = field(default_factory=dict)
    timeout: float = 20.0
    is_whole: bool = False
    is_restarted: bool = False
    counts: str = "requests"

    @property
    def has_fresh_connections(self) -> bool:
        """Every attempt comes on a connection that nobody has used."""
        is_fault = self.course is FAULT or self.course is MIDWAY
        return (is_fault and self.status is not CONFLICT) or self.counts == "connections"
