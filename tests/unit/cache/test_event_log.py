"""The log of a shared call: positions stay what they are, whatever happens before them."""

from hypothesis import given
from hypothesis import strategies as st

from llmgateway_server.cache.event_log import EventLog
from llmgateway_server.domain.events import StreamEvent, TextDelta


def said(events: "list[StreamEvent]") -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


actions = st.lists(
    st.sampled_from(["append", "append", "append", "read", "merge", "drop"]), max_size=60
)


@given(actions)
def test_a_reader_gets_what_came_after_its_position(todo: list[str]) -> None:
    """One reader; `merge` and `drop` reach up to where it is."""
    log, position = EventLog(), 0
    whole = unread = kept = ""
    for number, action in enumerate(todo):
        match action:
            case "append":
                letter = chr(97 + number % 26)
                log.append(TextDelta(0, letter))
                whole, unread, kept = whole + letter, unread + letter, kept + letter
            case "read":
                assert said([*log.after(position)]) == unread
                position, unread = log.end, ""
            case "merge":
                log.merge_before(position)
                assert log.unmerged == len(unread)
            case _:
                log.drop_before(position)
                kept = unread
        assert said([*log.after(log.first)]) == kept
        assert said([*log.after(position)]) == unread
        assert log.content == len(kept)
        assert log.produced == len(whole)
        assert log.unmerged >= 0
