"""Reads streams of events with the framework's own models; run where the framework is.

A line in: a stream's text, as JSON. A line out: the list of its events as the models hold them, or
why they cannot. Lines of a stream end where httpx, with which Sentient's Python client reads, ends
them.
"""

import json
import sys
from typing import Any

from sentient_agent_framework.interface.events import ResponseEventAdapter


def read(body: str) -> list[dict[str, Any]]:
    """The events of one stream; an exception where the client would have one."""
    events = []
    for block in body.split("\n\n"):
        lines = block.splitlines()
        data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
        if not data:
            assert all(line.startswith(":") for line in lines), block
            continue
        event = ResponseEventAdapter.validate_python(json.loads("\n".join(data)))
        events.append(event.model_dump(mode="json"))
    return events


for line in sys.stdin:
    answer: object
    try:
        answer = read(json.loads(line))
    except Exception as error:
        answer = repr(error)
    print(json.dumps(answer), flush=True)  # noqa: T201 - the answer
