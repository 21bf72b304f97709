"""Counts what a provider's calls came to."""

from __future__ import annotations

from llmgateway_server.domain.answer import Usage
from llmgateway_server.ports.provider import ProviderMetrics


class CallMeter:
    """The counters of one provider; never reset."""

    def __init__(self) -> None:
        self._started = 0
        self._succeeded = 0
        self._failed = 0
        self._cancelled = 0
        self._input = 0
        self._output = 0

    def begin(self) -> MeteredCall:
        """Counts a call as started; it has to end."""
        self._started += 1
        return MeteredCall(self)

    def snapshot(self) -> ProviderMetrics:
        """The counters now."""
        ended = self._succeeded + self._failed + self._cancelled
        return ProviderMetrics(
            started=self._started,
            succeeded=self._succeeded,
            failed=self._failed,
            cancelled=self._cancelled,
            in_flight=self._started - ended,
            input_token_count=self._input,
            output_token_count=self._output,
        )


class MeteredCall:
    """One call, whose first end counts; later ones do nothing."""

    def __init__(self, meter: CallMeter) -> None:
        self._meter: CallMeter | None = meter

    def succeeded(self, usage: Usage | None) -> None:
        """The answer came to its end."""
        meter = self._end()
        if meter is not None:
            meter._succeeded += 1
            self._burn(meter, usage)

    def failed(self, usage: Usage | None = None) -> None:
        """The provider or the way to it failed; what was reported until then counts."""
        meter = self._end()
        if meter is not None:
            meter._failed += 1
            self._burn(meter, usage)

    def cancelled(self, usage: Usage | None = None) -> None:
        """The caller went away."""
        meter = self._end()
        if meter is not None:
            meter._cancelled += 1
            self._burn(meter, usage)

    def _end(self) -> CallMeter | None:
        meter, self._meter = self._meter, None
        return meter

    def _burn(self, meter: CallMeter, usage: Usage | None) -> None:
        if usage is not None:
            meter._input += usage.input_token_count
            meter._output += usage.output_token_count
