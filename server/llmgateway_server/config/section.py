"""What every section of the configuration has in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A mapping of known keys. Strict: text is not a number, `1` is not true."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True
    )


def one_or_many(value: object) -> tuple[object, ...]:
    """A list as it is, anything else as a list of one."""
    return tuple(value) if isinstance(value, list) else (value,)


def or_empty(value: object) -> object:
    """An empty mapping for a key that is written without a value."""
    return {} if value is None else value
