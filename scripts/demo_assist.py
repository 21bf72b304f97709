"""Asks a Sentient bridge once, and prints how its answer begins and ends, as it is on the wire."""

from __future__ import annotations

import json
import sys
import urllib.request

from llmgateway.sentient.ulid import UlidSequence, clock_ms

_SHOWN = 3


def main(url: str, prompt: str) -> int:
    """Exit status 0 if the answer came to its end without an error."""
    query = {"id": UlidSequence(clock_ms).next().decode(), "prompt": prompt}
    request = urllib.request.Request(  # noqa: S310 - the bridge that the demo has just started
        f"{url}/assist",
        json.dumps({"query": query}).encode(),
        {"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
        blocks = answer.read().decode().split("\n\n")
    events = [block for block in blocks if block.startswith("event:")]
    hidden = len(events) - 2 * _SHOWN
    shown = [*events[:_SHOWN], f"... {hidden} more ...", *events[-_SHOWN:]]
    print("\n\n".join(shown if hidden > 0 else events))  # noqa: T201 - that is what it is for
    return 0 if events and "event: error" not in "\n".join(events) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
