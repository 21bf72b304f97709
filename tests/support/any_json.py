"""JSON of the right names with anything inside."""

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

SCALARS: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
)


def anything(
    keys: st.SearchStrategy[str], leaves: st.SearchStrategy[Any] = SCALARS
) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    )


def bodies(values: st.SearchStrategy[Any], max_size: int = 40) -> st.SearchStrategy[bytes]:
    """Bodies that hold such a value, or no JSON at all."""
    return values.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=max_size)


def streams(
    values: st.SearchStrategy[Any], known: Sequence[st.SearchStrategy[bytes]]
) -> st.SearchStrategy[bytes]:
    """Streams of known events, of events that hold such a value, and of bytes."""
    odd = values.map(lambda value: b"data: " + json.dumps(value).encode() + b"\n\n")
    events = st.one_of(*known, odd, st.binary(max_size=20))
    return st.lists(events, max_size=12).map(b"".join)
