"""Every recorded stream ended at every byte: a failure, or an answer that lacks nothing it says."""

from collections.abc import Callable, Sequence

import pytest

from llmgateway_server.domain.answer import Finish, Usage
from llmgateway_server.domain.events import StreamEvent
from llmgateway_server.providers.anthropic.stream import MessageStream
from llmgateway_server.providers.dialect import Decoder
from llmgateway_server.providers.gemini.stream import GeminiStream
from llmgateway_server.providers.openai_chat.stream import ChatStream
from llmgateway_server.providers.openai_responses.stream import ResponseStream
from support.recordings import Case, decoded_by, names, recordings

DECODERS: dict[str, Callable[[], Decoder]] = {
    "openai": ChatStream,
    "compatible": ChatStream,
    "openai_responses": ResponseStream,
    "anthropic": MessageStream,
    "gemini": GeminiStream,
}
STREAMS = [
    (decoder, case)
    for group, decoder in DECODERS.items()
    for case in recordings(group).values()
    if case.is_stream
]


def without_usage(events: Sequence[StreamEvent]) -> list[StreamEvent]:
    """What is counted may come behind the finish, and so be all that is missing."""
    return [event for event in events if not isinstance(event, Usage)]


@pytest.mark.long
@pytest.mark.parametrize(("decoder", "case"), STREAMS, ids=names(case for _, case in STREAMS))
def test_no_end_is_a_short_success(decoder: Callable[[], Decoder], case: Case) -> None:
    whole = decoded_by(decoder(), [case.body])
    for end in range(len(case.body)):
        events, failure, _ = decoded_by(decoder(), [case.body[:end]])
        if failure is not None:
            assert not any(isinstance(event, Finish) for event in events), end
        elif whole.failure is None:
            assert without_usage(events) == without_usage(whole.events), end
