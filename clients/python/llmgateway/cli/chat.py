"""`llmgateway chat`: one prompt, streamed to the terminal."""

from __future__ import annotations

import sys
import time

from google.protobuf.json_format import MessageToJson

from llmgateway import Reasoning, Response, Restarted, Stream, Text, ToolCallFragment
from llmgateway.cli.output import note, write_text


class Stopwatch:
    """When the answer began and ended, in seconds since the call was made, on this side."""

    def __init__(self) -> None:
        self._begin = time.monotonic()
        self.first_content: float | None = None
        self.end = 0.0

    def content(self) -> None:
        """Content came."""
        if self.first_content is None:
            self.first_content = time.monotonic() - self._begin

    def stop(self) -> None:
        """The answer is whole."""
        self.end = time.monotonic() - self._begin


def show(stream: Stream, *, as_json: bool) -> None:
    """Writes the answer as it comes, or as one JSON document at its end, then what it took."""
    watch = Stopwatch()
    last = "\n"
    with stream:
        for event in stream:
            if isinstance(event, Text | Reasoning | ToolCallFragment):
                watch.content()
            if as_json:
                continue
            if isinstance(event, Restarted):
                note(f"\n[{event.cause.provider} failed; {event.route.provider} starts again]")
            write_text(event.text)
            last = event.text or last
        watch.stop()
        response = stream.response()
    if as_json:
        document = MessageToJson(response.message, preserving_proto_field_name=True)
        sys.stdout.write(document + "\n")
    else:
        for call in response.tool_calls:
            write_text(f"{call.name}({call.arguments_json})\n")
        if not last.endswith("\n"):
            sys.stdout.write("\n")
    sys.stdout.flush()
    note(summary(response, watch))


def summary(response: Response, watch: Stopwatch) -> str:
    """One line: speed, route, usage and why it ended."""
    facts: list[str] = []
    tokens = response.usage.output_token_count
    if watch.first_content is not None:
        facts.append(f"first token {watch.first_content:.2f} s")
        writing = watch.end - watch.first_content
        # The first token's time is counted apart, so it is not part of the rate.
        if tokens > 1 and writing > 0:
            facts.append(f"{(tokens - 1) / writing:.1f} tokens/s")
    facts.append(response.model)
    if response.route.attempt_count > 1:
        facts.append(f"attempt {response.route.attempt_count}")
    about = "about " if response.usage.is_estimated else ""
    facts.append(f"{about}{response.usage.input_token_count} tokens in, {tokens} out")
    if response.usage.HasField("cost_nano_usd"):
        facts.append(f"${response.usage.cost_nano_usd / 1e9:.6f}")
    facts.append(f"{response.finish_reason}")
    return " · ".join(facts)
