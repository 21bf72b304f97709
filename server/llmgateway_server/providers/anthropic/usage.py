"""Token counts in the one convention: input includes cached, output includes reasoning."""

from __future__ import annotations

from typing import Final

from llmgateway_server.domain.answer import Usage
from llmgateway_server.providers.anthropic.wire import Number, TokenUsage

# The contract counts in int32.
_MAX: Final = 2**31 - 1


class UsageTally:
    """The usage of one answer, whose reports are cumulative.

    A stream reports at its start and at its end; the end's fields replace the start's, as far as
    it has them: often it has the output only, and after server tools other input than the start.
    """

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self._input: int | None = None
        self._read: int | None = None
        self._written: int | None = None
        self._output: int | None = None
        self._reasoning: int | None = None

    def report(self, usage: TokenUsage | None) -> None:
        """Takes a report, if it is one."""
        if usage is None:
            return
        details = usage.output_tokens_details
        self._input = _later(usage.input_tokens, self._input)
        self._read = _later(usage.cache_read_input_tokens, self._read)
        self._written = _later(usage.cache_creation_input_tokens, self._written)
        self._output = _later(usage.output_tokens, self._output)
        self._reasoning = _later(details.thinking_tokens if details else None, self._reasoning)
        if self._input is not None or self._output is not None:
            self.usage = self._normalised()

    def _normalised(self) -> Usage:
        read, written = self._read or 0, self._written or 0
        output = self._output or 0
        return Usage(
            input_token_count=min((self._input or 0) + read + written, _MAX),
            output_token_count=output,
            cached_input_token_count=read,
            cache_write_input_token_count=written,
            reasoning_token_count=min(self._reasoning or 0, output),
        )


def token_count(value: Number) -> int:
    """A count as the contract holds it."""
    return 0 if value is None else int(min(max(value, 0), _MAX))


def _later(value: Number, before: int | None) -> int | None:
    return before if value is None else token_count(value)
