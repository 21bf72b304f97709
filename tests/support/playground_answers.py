"""Answers that show all that the playground can show."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.error_details_pb2 import RetryInfo

from llmgateway.v1 import catalog_service_pb2 as catalog
from llmgateway.v1 import generation_service_pb2 as generation
from llmgateway.v1.errors_pb2 import AttemptFailure, GenerationFailure
from llmgateway.v1.usage_pb2 import CACHE_STATUS_MISS, Route, Usage
from support.scripted_gateway import Abort, Step, pause, text

LONG = """Merging works because both lists are **already sorted**: the smallest element that is \
left is always at the front of one of the two. So you only ever compare two elements.

```python
def merge(left: list[int], right: list[int]) -> list[int]:
    \"\"\"Merge two sorted lists into one sorted list.\"\"\"
    merged, i, j = [], 0, 0
    while i < len(left) and j < len(right):
        if left[i] <= right[j]:  # <= keeps equal elements in their order: the merge is stable
            merged.append(left[i])
            i += 1
        else:
            merged.append(right[j])
            j += 1
    return merged + left[i:] + right[j:]
```

### Why it is linear

1. Each turn of the loop appends exactly one element, so there are at most \
`len(left) + len(right)` turns.
2. What is left over is copied once, by slices.
3. Nothing is looked at twice:
   - `i` and `j` only grow;
   - neither goes past the end of its list.

Time and memory are both *O(n + m)*. If memory matters, write it as a generator and \
`yield` each element instead."""

THOUGHT = """The reader wants a merge and a proof that it is linear. A two-pointer loop is the \
clearest; I should mention stability, because `<=` matters. Then count the iterations."""

HOSTILE = """<img src=x onerror="document.title='owned'"> <script>document.title='owned'</script>

```html
<script>document.title = "owned"</script>
```

- <b>not bold</b> and [a link](javascript:document.title='owned')"""

ROUTE = Route(
    provider="openai",
    provider_model="gpt-5.1-mini",
    attempt_count=2,
    cache_status=CACHE_STATUS_MISS,
    provider_request_id="req_7f3a9c21",
    gateway_queue_duration=Duration(nanos=400_000),
    time_to_first_token=Duration(nanos=212_000_000),
)
START = generation.GenerateStreamResponse(
    start=generation.StreamStart(
        response_id="01JAAAAAAAAAAAAAAAAAAAAAAA", model="openai/gpt-5.1-mini", route=ROUTE
    )
)
USAGE = Usage(
    input_token_count=1834,
    cached_input_token_count=1024,
    output_token_count=412,
    reasoning_token_count=64,
    cost_nano_usd=1_282_400,
)
FINISH = generation.GenerateStreamResponse(
    usage=USAGE,
    finish=generation.Finish(
        reason=generation.FINISH_REASON_STOP,
        provider_reason="stop",
        total_duration=Duration(seconds=4, nanos=900_000_000),
    ),
)
LENGTH = generation.GenerateStreamResponse(
    usage=USAGE, finish=generation.Finish(reason=generation.FINISH_REASON_LENGTH)
)
OVERLOADED = Abort(
    grpc.StatusCode.UNAVAILABLE,
    "NO_PROVIDER_AVAILABLE",
    "all circuit breakers of route chat are open",
    trailers=(("grpc-retry-pushback-ms", "-1"),),
    details=(
        RetryInfo(retry_delay=Duration(seconds=12)),
        GenerationFailure(
            response_id="01JAAAAAAAAAAAAAAAAAAAAAAA",
            attempts=[
                AttemptFailure(provider="openai", model="gpt-5.1-mini", http_status=503),
                AttemptFailure(provider="anthropic", model="claude-haiku-4-5"),
            ],
        ),
    ),
)


class Gate:
    """A step that waits until the test opens it."""

    def __init__(self) -> None:
        self._opened = threading.Event()

    def __call__(self) -> None:
        assert self._opened.wait(20), "nobody opened the gate"

    def open(self) -> None:
        """Lets the answer go on."""
        self._opened.set()


def thought(*pieces: str) -> generation.GenerateStreamResponse:
    """A message of reasoning, in a part before the text's."""
    deltas = [generation.Delta(reasoning=piece, part_index=0) for piece in pieces]
    return generation.GenerateStreamResponse(deltas=deltas)


def tool_call(arguments: str) -> generation.GenerateStreamResponse:
    """A complete call of a tool."""
    call = generation.ToolCallDelta(
        tool_call_id="call_1", name="get_weather", arguments_json=arguments
    )
    return generation.GenerateStreamResponse(
        deltas=[generation.Delta(tool_call=call, part_index=7)]
    )


def restarted(provider: str, model: str) -> generation.GenerateStreamResponse:
    """Another provider starts again."""
    return generation.GenerateStreamResponse(
        recovery=generation.Recovery(
            kind=generation.RECOVERY_KIND_RESTARTED,
            route=Route(provider=provider, provider_model=model, attempt_count=2),
            cause=AttemptFailure(provider="openai", model="gpt-5.1-mini", http_status=500),
        )
    )


def pieces(whole: str, *, size: int = 9, pace: float = 0.0) -> Iterator[Step]:
    """A text in small messages, whatever they cut through, `pace` seconds apart."""
    for at in range(0, len(whole), size):
        yield text(whole[at : at + size], part_index=1)
        if pace:
            yield pause(pace)


MODELS = [
    catalog.Model(name="anthropic/claude-haiku-4-5", provider="anthropic"),
    catalog.Model(
        name="chat",
        targets=["openai/gpt-5.1-mini", "anthropic/claude-haiku-4-5"],
        context_window_token_count=400_000,
        max_output_token_count=128_000,
        supports_tools=True,
        supports_json_schema=True,
    ),
    catalog.Model(
        name="openai/gpt-5.1-mini",
        display_name="GPT-5.1 mini",
        provider="openai",
        context_window_token_count=400_000,
        max_output_token_count=128_000,
        supports_tools=True,
        supports_images=True,
        supports_json_schema=True,
        supports_reasoning=True,
        input_price_nano_usd_per_million_tokens=250_000_000,
        output_price_nano_usd_per_million_tokens=2_000_000_000,
        cached_input_price_nano_usd_per_million_tokens=25_000_000,
    ),
]
ACTIVE = catalog.PROVIDER_STATE_ACTIVE


def providers() -> list[catalog.Provider]:
    """Three providers in three states, since 2 hours, ever, and 2 days."""
    now = int(time.time())
    return [
        catalog.Provider(
            name="anthropic",
            dialect="anthropic",
            state=catalog.PROVIDER_STATE_DEGRADED,
            state_change_time=Timestamp(seconds=now - 2 * 3600 - 60),
            in_flight_request_count=1,
        ),
        catalog.Provider(
            name="local", dialect="openai_chat", state=catalog.PROVIDER_STATE_CIRCUIT_OPEN
        ),
        catalog.Provider(
            name="openai",
            dialect="openai_responses",
            state=ACTIVE,
            state_change_time=Timestamp(seconds=now - 2 * 86400 - 60),
            in_flight_request_count=12,
        ),
    ]
