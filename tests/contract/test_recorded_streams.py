"""Every recorded stream, cut into pieces and ended early.

Pieces change nothing. An early end is a failure, or an answer that lacks nothing it says.
"""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgateway_server.domain.answer import Finish, Usage
from llmgateway_server.domain.events import StreamEvent
from llmgateway_server.providers.anthropic.stream import MessageStream
from llmgateway_server.providers.dialect import Decoder
from llmgateway_server.providers.gemini.stream import GeminiStream
from llmgateway_server.providers.openai_chat.stream import ChatStream
from llmgateway_server.providers.openai_responses.stream import ResponseStream
from support.recordings import Case, cuts_of, decoded_by, names, recordings

DECODERS: dict[str, Callable[[], Decoder]] = {
    "openai": ChatStream,
    "compatible": ChatStream,
    "openai_responses": ResponseStream,
    "anthropic": MessageStream,
    "gemini": GeminiStream,
}
FOUND = [
    (decoder, case)
    for group, decoder in DECODERS.items()
    for case in recordings(group).values()
    if case.is_stream
]
STREAMS = pytest.mark.parametrize(("decoder", "case"), FOUND, ids=names(case for _, case in FOUND))


def without_usage(events: Sequence[StreamEvent]) -> list[StreamEvent]:
    """What is counted may come behind the finish, and so be all that is missing."""
    return [event for event in events if not isinstance(event, Usage)]


@STREAMS
def test_byte_by_byte_is_the_same_as_at_once(decoder: Callable[[], Decoder], case: Case) -> None:
    pieces = [case.body[at : at + 1] for at in range(len(case.body))]
    assert decoded_by(decoder(), pieces) == decoded_by(decoder(), [case.body])


@given(data=st.data())
@STREAMS
def test_cuts_anywhere_change_nothing(
    decoder: Callable[[], Decoder], case: Case, data: st.DataObject
) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(case.body)), min_size=1, max_size=8))
    pieces = cuts_of(case.body, cuts)
    assert decoded_by(decoder(), pieces) == decoded_by(decoder(), [case.body])


@pytest.mark.long
@STREAMS
def test_one_cut_at_every_byte_changes_nothing(decoder: Callable[[], Decoder], case: Case) -> None:
    whole = decoded_by(decoder(), [case.body])
    for at in range(len(case.body)):
        assert decoded_by(decoder(), cuts_of(case.body, [at])) == whole


@pytest.mark.long
@STREAMS
def test_no_end_is_a_short_success(decoder: Callable[[], Decoder], case: Case) -> None:
    whole = decoded_by(decoder(), [case.body])
    for end in range(len(case.body)):
        events, failure, _ = decoded_by(decoder(), [case.body[:end]])
        if failure is not None:
            assert not any(isinstance(event, Finish) for event in events), end
        elif whole.failure is None:
            assert without_usage(events) == without_usage(whole.events), end
