"""Token counts in the one convention: input includes cached, output includes reasoning."""

from __future__ import annotations

from typing import Any

from llmgateway_server.domain.answer import Usage
from llmgateway_server.providers.token_counts import fields_of, inclusive, told


class UsageTally:
    """The usage of one answer, whose reports are cumulative.

    A stream reports at its start and at its end; the end's fields replace the start's, as far as
    it has them: often it has the output only, and after server tools other input than the start.
    What the cache read or wrote comes beside `input_tokens`.
    """

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self._input: int | None = None
        self._read: int | None = None
        self._written: int | None = None
        self._output: int | None = None
        self._reasoning: int | None = None

    def report(self, usage: Any) -> None:
        """Takes a report, if it is one."""
        fields = fields_of(usage)
        details = fields_of(fields.get("output_tokens_details"))
        self._input = _later(told(fields, "input_tokens"), self._input)
        self._read = _later(told(fields, "cache_read_input_tokens"), self._read)
        self._written = _later(told(fields, "cache_creation_input_tokens"), self._written)
        self._output = _later(told(fields, "output_tokens"), self._output)
        self._reasoning = _later(told(details, "thinking_tokens"), self._reasoning)
        if self._input is not None or self._output is not None:
            self.usage = self._normalised()

    def _normalised(self) -> Usage:
        read, written = self._read or 0, self._written or 0
        prompt = (self._input or 0) + read + written
        return inclusive(prompt, self._output or 0, read, written, self._reasoning or 0)


def _later(count: int | None, before: int | None) -> int | None:
    return before if count is None else count
