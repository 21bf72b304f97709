"""The stream of an answer, as events.

A provider yields deltas, then Usage (where it reports any) and Finish as the last. The gateway
puts a StreamStart before them and Recovery events between them. Deltas are untracked by the
garbage collector: they hold no containers, and there is one for each token.
"""

from __future__ import annotations

import enum

from msgspec import Struct

from llmgateway_server.domain.answer import Finish, Route, Usage
from llmgateway_server.domain.errors import AttemptFailure


class TextDelta(Struct, frozen=True, gc=False):
    """More text of part `part_index`; never empty, never cut inside a code point."""

    part_index: int
    text: str


class ReasoningDelta(Struct, frozen=True, gc=False):
    """More reasoning text of part `part_index`."""

    part_index: int
    text: str


class SignatureDelta(Struct, frozen=True, gc=False):
    """The opaque signature of the reasoning part `part_index`."""

    part_index: int
    signature: bytes


class ToolCallDelta(Struct, frozen=True, gc=False):
    """A tool call's id and name (on its first delta only), or more of its arguments."""

    part_index: int
    tool_call_id: str = ""
    name: str = ""
    arguments_json: str = ""


Delta = TextDelta | ReasoningDelta | SignatureDelta | ToolCallDelta
ProviderEvent = Delta | Usage | Finish


class StreamStart(Struct, frozen=True):
    """The first event: the answer's id (a ULID), the resolved model and the route."""

    response_id: str
    model: str
    route: Route


class RecoveryKind(enum.Enum):
    """What a mid-stream failover does to the content so far: nothing, or drop it all."""

    CONTINUED = "continued"
    RESTARTED = "restarted"


class Recovery(Struct, frozen=True):
    """A mid-stream failover; the deltas after it come from `route`."""

    kind: RecoveryKind
    route: Route
    cause: AttemptFailure


StreamEvent = StreamStart | ProviderEvent | Recovery
