"""Reads JSON that is none to the letter, and that every vendor's own SDK reads all the same.

Servers in Python write NaN and Infinity (vLLM among log probabilities), servers in JavaScript
halves of a character (a text cut between two UTF-16 units), and careless ones a line break inside
of a string. Only what cannot be read the first time is read again, so it may cost.
"""

from __future__ import annotations

import json
from typing import TypeVar

from msgspec.json import Decoder

T = TypeVar("T")


def reread(decoder: Decoder[T], data: bytes) -> T:
    """What the decoder makes of it, numbers that are none being null, half characters U+FFFD.

    Raises:
        ValueError: it is no JSON for anybody, or not what the decoder is for.
        RecursionError: it is nested too deeply.
    """
    value = json.loads(data.decode(), strict=False, parse_constant=lambda _: None)
    text = json.dumps(value, ensure_ascii=False)
    # Two halves that meet are a character; one alone is none.
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return decoder.decode(whole.encode())
