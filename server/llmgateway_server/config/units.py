"""Durations as people write them: `250ms`, `5s`, `1m30s`, `2h`."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

_DURATION = re.compile(
    r"(?=\d)(?:(\d{1,4})h)?(?:(\d{1,6})m)?(?:(\d{1,8})s)?(?:(\d{1,9})ms)?", re.ASCII
)
_Written = Annotated[str, Field(pattern=r"^([0-9]+(h|m|s|ms))+$", examples=["5s", "1m30s"])]


def parse_duration(text: object) -> float:
    """The duration in seconds.

    Raises:
        ValueError: it is not whole numbers with units, the largest unit first.
    """
    found = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError("expected a duration such as 250ms, 5s, 1m30s or 2h")
    hours, minutes, seconds, milliseconds = (int(part or 0) for part in found.groups())
    return ((hours * 60 + minutes) * 60_000 + seconds * 1000 + milliseconds) / 1000


def format_duration(seconds: float) -> str:
    """The shortest form that `parse_duration` reads back, to the millisecond."""
    rest, milliseconds = divmod(round(seconds * 1000), 1000)
    minutes, whole = divmod(rest, 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "m"), (whole, "s"), (milliseconds, "ms"))
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0s"


def _positive(seconds: float) -> float:
    if not seconds:
        raise ValueError("expected a duration longer than 0s")
    return seconds


DurationOrZero = Annotated[
    float,
    BeforeValidator(parse_duration, json_schema_input_type=_Written),
    PlainSerializer(format_duration, return_type=str),
]
Duration = Annotated[DurationOrZero, AfterValidator(_positive)]
