"""Which names the price list means, and which it only resembles.

genai-prices matches families: a clause such as "starts with gemini-3.6-flash" takes any model that
may yet be called so, and gives it the price of the one that it knows. Here a name is priced only
where the entry that matches it also spells it out: as its id, as the text of one of its clauses, or
by a pattern for the whole name. What may come on top are the marks of a release of the same model
(a date, a revision, "-latest", "-preview"), and before it a path or a region where the clause
allows any. Everything else has no price: none is better than a wrong one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from genai_prices.types import (
    ClauseAnd,
    ClauseContains,
    ClauseEndsWith,
    ClauseEquals,
    ClauseOr,
    ClauseRegex,
    ClauseStartsWith,
    MatchLogic,
)

_RELEASE_MARK: Final = re.compile(
    r"(?:[-@]\d{4}-\d\d-\d\d"  # -2024-08-06
    r"|[-@]\d{8}"  # -20250929, and with @ at Vertex
    r"|-\d\d-\d{2,4}"  # -05-20, -09-2025
    r"|-\d{3,4}"  # -001, -2411
    r"|-v\d+:\d+"  # Bedrock's -v1:0
    r"|-latest|-preview)$"
)


def spells_out(entry_id: str, logic: MatchLogic, name: str) -> bool:
    """Whether an entry that matches the lower-case name really means it."""
    if _is_whole_pattern_match(logic, name):
        return True
    for spelling in _without_marks(name):
        if spelling == entry_id.lower():
            return True
        for clause in _literal_clauses(logic):
            match clause:
                case ClauseEquals(text) | ClauseStartsWith(text):
                    met = spelling == text.lower()
                case ClauseEndsWith(text) | ClauseContains(text):
                    met = spelling == text.lower() or _is_tail(spelling, text.lower())
            if met:
                return True
    return False


def _without_marks(name: str) -> Iterator[str]:
    """The name, then the same with one release mark after the other taken off."""
    if name.startswith("ft:"):
        # ft:MODEL:ORGANISATION:NAME:ID; fine-tuned models have entries of their own.
        name = ":".join(name.split(":", 2)[:2])
    while True:
        yield name
        shorter = _RELEASE_MARK.sub("", name)
        if shorter == name:
            return
        name = shorter


_Literal = ClauseEquals | ClauseStartsWith | ClauseEndsWith | ClauseContains


def _literal_clauses(logic: MatchLogic) -> Iterator[_Literal]:
    match logic:
        case ClauseOr(clauses) | ClauseAnd(clauses):
            for clause in clauses:
                yield from _literal_clauses(clause)
        case ClauseEquals() | ClauseStartsWith() | ClauseEndsWith() | ClauseContains():
            yield logic


def _is_whole_pattern_match(logic: MatchLogic, name: str) -> bool:
    match logic:
        case ClauseOr(clauses):
            return any(_is_whole_pattern_match(clause, name) for clause in clauses)
        case ClauseRegex(pattern):
            is_whole = pattern.startswith("^") and pattern.endswith("$")
            return is_whole and logic.is_match(name)
    return False


def _is_tail(name: str, text: str) -> bool:
    """Whether the name is the text after a path or a region: anthropic.claude-3, models/gemini."""
    return name.endswith((f"/{text}", f".{text}"))
