"""The look-up of a model's capabilities by its vendor and its name.

One TOML file a vendor lies in `data/`: `as_of` (the day on which its facts were looked up),
`sources` (where) and `rows`. A row gives the same facts for every model it names:

    [[rows]]
    models = ["gpt-4o"]      # these names, also with a date behind them: gpt-4o-2024-08-06
    families = ["gpt-4o"]    # every other name that goes on with a hyphen: gpt-4o-anything
    families = ["*"]         # every other name: what a server says of all its models
    context_window = 128_000 # fields of `Capabilities`; what is left out is not known

The most specific row alone counts; rows are not merged. A fact that no source states is left out,
since a wrong one refuses a request that the model would have answered.
"""

from __future__ import annotations

import functools
import re
import tomllib
from importlib import resources
from typing import Any, Final

import msgspec
from msgspec import Struct

from llmgateway_server.domain.capabilities import Capabilities

_UNKNOWN: Final = Capabilities()
_ANY: Final = "*"
# Azure serves OpenAI's models; what a deployment is called is its owner's choice, and usually that.
_SAME_MODELS: Final = {"azure": "openai"}
# -2024-08-06, -20250514, @20251001, -0613, -001, -preview-05-20, -preview-09-2025, -latest
_DATE = re.compile(
    r"(?:-preview)?[-@](?:[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{2}-(?:[0-9]{4}|[0-9]{2})"
    r"|[0-9]{8}|[0-9]{4}|[0-9]{3}|latest)\Z"
)


class _Vendor(Struct, frozen=True):
    models: dict[str, Capabilities]
    families: dict[str, Capabilities]


# Callers choose the names, so the memory for them is bounded.
@functools.lru_cache(maxsize=4096)
def capabilities_of(vendor: str, model: str) -> Capabilities:
    """What is known of a vendor's model; nothing for an unknown vendor or model.

    Looked for in this order: the exact name, the name without its date, the longest family, and
    what is true of all.

    Args:
        vendor: Who serves it: the name of a data file, such as `openai`, or `azure`.
        model: The model as the vendor calls it.
    """
    vendor = _SAME_MODELS.get(vendor, vendor)
    if vendor not in vendors():
        return _UNKNOWN
    table = _vendor(vendor)
    found = table.models.get(model)
    if found is not None:
        return found
    date = _DATE.search(model)
    found = table.models.get(model[: date.start()]) if date is not None else None
    if found is not None:
        return found
    family = model
    while family:
        found = table.families.get(family)
        if found is not None:
            return found
        family = family.rpartition("-")[0]
    return table.families.get(_ANY, _UNKNOWN)


@functools.cache
def vendors() -> frozenset[str]:
    """The vendors with a data file."""
    names = (entry.name for entry in _DATA.iterdir())
    return frozenset(name.removesuffix(".toml") for name in names if name.endswith(".toml"))


def read(vendor: str) -> dict[str, Any]:
    """A vendor's data file as it is written."""
    return tomllib.loads(_DATA.joinpath(f"{vendor}.toml").read_text("utf-8"))


@functools.cache
def _vendor(name: str) -> _Vendor:
    table = _Vendor({}, {})
    for row in read(name)["rows"]:
        facts = msgspec.convert(row, Capabilities)
        table.models.update(dict.fromkeys(row.get("models", ()), facts))
        table.families.update(dict.fromkeys(row.get("families", ()), facts))
    return table


_DATA = resources.files(__package__).joinpath("data")
