"""What the server sends: only the fields that are read, as loosely typed as events differ.

Source: https://platform.openai.com/docs/api-reference/responses-streaming, and recorded answers.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import Raw, Struct
from msgspec.json import Decoder


class Event(Struct, gc=False):
    """One event of a stream, of whichever of its many types.

    A field is of one type in the events that are read and of any other in the rest; `item` and
    `response` are whole answers at times, and wait undecoded until they are asked for.
    """

    type: Any = None
    delta: Any = None
    output_index: Any = None
    item_id: Any = None
    summary_index: Any = None
    item: Raw = Raw()
    response: Raw = Raw()
    error: Any = None


class Item(Struct, gc=False):
    """An item of the output. There are more types of them than the three that are read."""

    type: Any = None
    id: Any = None
    call_id: Any = None
    name: Any = None
    arguments: Raw = Raw()
    content: Any = None
    summary: Any = None
    encrypted_content: Any = None


class IncompleteDetails(Struct, gc=False):
    """Why an answer is incomplete."""

    reason: str | None = None


class Response(Struct, gc=False):
    """A whole answer, as a body or in the last event of a stream.

    `error` stays as it came, for the reader of errors.
    """

    status: str | None = None
    output: list[Item | None] | None = None
    incomplete_details: IncompleteDetails | None = None
    usage: Any = None
    error: Raw = Raw()


EVENT: Final = Decoder(Event)
ITEM: Final = Decoder(Item)
RESPONSE: Final = Decoder(Response)
