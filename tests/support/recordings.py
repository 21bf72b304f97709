"""Recorded answers, and what a decoder makes of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from llmgateway_server.domain.answer import Finish, FinishReason, Route, Usage
from llmgateway_server.domain.coalesce import merge
from llmgateway_server.domain.content import Part
from llmgateway_server.domain.events import ProviderEvent, StreamEvent, StreamStart
from llmgateway_server.domain.fold import Fold
from llmgateway_server.providers.dialect import Decoder, Dialect, Failure, WireError

RECORDED = Path(__file__).parents[1] / "contract" / "recorded"
# The provider whose signatures a folded answer holds.
PROVIDER = "recorded"


class Case(NamedTuple):
    """A recorded answer; `sdk` is what the vendor's own SDK makes of it, where it reads it."""

    name: str
    meta: dict[str, Any]
    sdk: dict[str, Any]
    body: bytes

    @property
    def is_stream(self) -> bool:
        """Whether it came as server-sent events."""
        return bool(self.meta["body_file"] == "stream.sse")


class Outcome(NamedTuple):
    """All that an answer came to, neighbouring deltas joined."""

    events: Sequence[StreamEvent]
    failure: Failure | None
    usage: Usage | None


def recordings(*groups: str) -> dict[str, Case]:
    """The cases of some groups, by `group/case`."""
    folders = sorted(p.parent for group in groups for p in (RECORDED / group).rglob("meta.json"))
    return {case.name: case for case in map(_load, folders)}


def names(cases: Iterable[Case]) -> list[str]:
    """What pytest calls them."""
    return [case.name for case in cases]


def decoded_by(decoder: Decoder, pieces: Iterable[bytes]) -> Outcome:
    """What a fresh decoder makes of a stream in pieces."""
    events: list[ProviderEvent] = []
    for piece in pieces:
        events += decoder.feed(piece)
    events += decoder.end()
    return Outcome(merge(events), decoder.failure, decoder.usage)


def outcome_by(dialect: Dialect, case: Case) -> Outcome:
    """What a dialect makes of a recording read at once."""
    if case.meta["status"] != 200:
        return Outcome([], dialect.failure(case.meta["status"], case.body), None)
    if case.is_stream:
        return decoded_by(dialect.decoder(), [case.body])
    try:
        events = dialect.decode_body(case.body)
    except WireError as error:
        return Outcome([], error.failure, None)
    usage = next((event for event in events if isinstance(event, Usage)), None)
    return Outcome(merge(events), None, usage)


def parts_of(events: Sequence[StreamEvent]) -> tuple[Part, ...]:
    """The parts of an answer, also of one that breaks off."""
    fold = Fold()
    fold.add(StreamStart("", "", Route(PROVIDER, "")))
    for event in events:
        fold.add(event)
    if not fold.finished:
        fold.add(Finish(FinishReason.OTHER))
    return fold.answer().parts


def cuts_of(body: bytes, cuts: Iterable[int]) -> list[bytes]:
    """A body cut at these places."""
    return [body[start:end] for start, end in pairwise([0, *sorted(cuts), len(body)])]


def _load(folder: Path) -> Case:
    meta = json.loads((folder / "meta.json").read_text())
    view = folder / "sdk_view.json"
    sdk = json.loads(view.read_text()) if view.exists() else {}
    name = str(folder.relative_to(RECORDED))
    return Case(name, meta, sdk, (folder / meta["body_file"]).read_bytes())
