"""Collecting what is wrong with a request, so that a caller learns all of it at once."""

from __future__ import annotations

import math

import msgspec
from google.protobuf.duration_pb2 import Duration

from llmgateway_server.domain.errors import GatewayError, Reason, Violation

_MOST = 20


class Violations:
    """The findings of one request; field paths are those of the protobuf message."""

    def __init__(self) -> None:
        self._found: list[Violation] = []

    def add(self, field: str, description: str) -> None:
        """Notes one; those after the first 20 are counted out, the caller has enough to do."""
        if len(self._found) < _MOST:
            self._found.append(Violation(field, description))

    def raise_if_any(self) -> None:
        """Ends the call where something was found.

        Raises:
            GatewayError: REQUEST_INVALID with every finding.
        """
        if self._found:
            first = self._found[0]
            raise GatewayError(
                Reason.REQUEST_INVALID,
                f"{first.field}: {first.description}",
                violations=tuple(self._found),
            )

    def json_object(self, field: str, text: str) -> dict[str, msgspec.Raw] | None:
        """The members of a JSON object given as text; None, with a finding, for anything else."""
        try:
            return msgspec.json.decode(text, type=dict[str, msgspec.Raw])
        except (msgspec.MsgspecError, RecursionError):
            self.add(field, "must be the text of a JSON object")
            return None

    def seconds(self, field: str, duration: Duration, least: float, most: float) -> float:
        """A Duration in seconds, with a finding where it is out of range."""
        value = duration.seconds + duration.nanos / 1e9
        if not least <= value <= most:
            self.add(field, f"must be from {least:g} s to {most:g} s")
        return value

    def number(self, field: str, value: float, least: float, most: float) -> float:
        """A number, with a finding where it is out of range or none at all."""
        if not math.isfinite(value) or not least <= value <= most:
            bound = f"from {least:g} to {most:g}" if math.isfinite(most) else f"{least:g} or more"
            self.add(field, f"must be {bound}")
        return value
