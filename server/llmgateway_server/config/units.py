"""Durations and sizes as people write them: `250ms`, `5s`, `1m30s`, `2h`; `512KiB`, `64MiB`."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema

_A_DURATION: Final = "a duration such as 250ms, 5s, 1m30s or 2h"

_DURATION = re.compile(
    r"(?=\d)(?:(\d{1,4})h)?(?:(\d{1,6})m)?(?:(\d{1,8})s)?(?:(\d{1,9})ms)?", re.ASCII
)
_SIZE = re.compile(r"(\d{1,6})(KiB|MiB|GiB)", re.ASCII)
_BYTES = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_PATTERN: Final = "([0-9]+(h|m|s|ms))+"
_Written = Annotated[str, Field(pattern=f"^{_PATTERN}$", examples=["5s", "1m30s"])]


def parse_duration(text: object) -> float:
    """The duration in seconds.

    Raises:
        ValueError: it is not whole numbers with units, the largest unit first.
    """
    found = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError(f"expected {_A_DURATION}")
    hours, minutes, seconds, milliseconds = (int(part or 0) for part in found.groups())
    return ((hours * 60 + minutes) * 60_000 + seconds * 1000 + milliseconds) / 1000


def format_duration(seconds: float) -> str:
    """The shortest form that `parse_duration` reads back, to the millisecond."""
    rest, milliseconds = divmod(round(seconds * 1000), 1000)
    minutes, whole = divmod(rest, 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "m"), (whole, "s"), (milliseconds, "ms"))
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0s"


def parse_size(text: object) -> int:
    """The size in bytes.

    Raises:
        ValueError: it is not a whole number above 0 with its unit.
    """
    found = _SIZE.fullmatch(text) if isinstance(text, str) else None
    if found is None or not int(found[1]):
        raise ValueError("expected a size such as 512KiB, 64MiB or 2GiB")
    return int(found[1]) * _BYTES[found[2]]


def format_size(size: int) -> str:
    """The form with the largest unit that `parse_size` reads back; `size` is whole KiB."""
    unit = max((unit for unit in _BYTES if size % _BYTES[unit] == 0), key=_BYTES.__getitem__)
    return f"{size // _BYTES[unit]}{unit}"


def _positive(seconds: float) -> float:
    if not seconds:
        raise ValueError("expected a duration longer than 0s")
    return seconds


def _read_or(word: str) -> BeforeValidator:
    def read(value: object) -> float | None:
        if value == word:
            return None
        try:
            return _positive(parse_duration(value))
        except ValueError:
            raise ValueError(f"expected {word} or {_A_DURATION}") from None

    return BeforeValidator(read)


def _write_or(word: str) -> PlainSerializer:
    return PlainSerializer(
        lambda value: word if value is None else format_duration(value), return_type=str
    )


def _schema_or(word: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": f"^({word}|{_PATTERN})$"})


DurationOrZero = Annotated[
    float,
    BeforeValidator(parse_duration, json_schema_input_type=_Written),
    PlainSerializer(format_duration, return_type=str),
]
Duration = Annotated[DurationOrZero, AfterValidator(_positive)]
DurationOrOff = Annotated[float | None, _read_or("off"), _write_or("off"), _schema_or("off")]
DurationOrP95 = Annotated[float | None, _read_or("p95"), _write_or("p95"), _schema_or("p95")]
Size = Annotated[
    int,
    BeforeValidator(parse_size),
    PlainSerializer(format_size, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9]{1,6}(KiB|MiB|GiB)$"}),
]
