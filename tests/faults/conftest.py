"""The fault table's own report: a line an id, and how many of all ids hold."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from support.fault_table.ids import TITLES

_IDS = pytest.StashKey[dict[str, str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Makes the table's marks known."""
    config.addinivalue_line("markers", "fault(id): the id of the fault table that a test is for")
    config.addinivalue_line("markers", "netns: needs root and network namespaces")
    config.stash[_IDS] = {}


def pytest_collection_finish(session: pytest.Session) -> None:
    """Remembers which test is for which id."""
    for item in session.items:
        mark = item.get_closest_marker("fault")
        if mark is not None:
            session.config.stash[_IDS][item.nodeid] = mark.args[0]


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Writes the table, where any of it was collected."""
    ids = config.stash[_IDS]
    if not ids:
        return
    outcomes = _outcomes(terminalreporter.stats, ids)
    terminalreporter.section("fault table")
    for id_ in sorted(set(ids.values()), key=lambda each: (each[0] != "U", int(each[1:]))):
        terminalreporter.line(f"{id_} {TITLES[id_]} ... {_words(outcomes[id_])}")
    for line in _total(outcomes, set(ids.values()), terminalreporter.stats, ids):
        terminalreporter.line(line)


Outcomes = dict[str, dict[str, set[str]]]


def _outcomes(stats: dict[str, list[Any]], ids: dict[str, str]) -> Outcomes:
    """The tests of each id by how they ended; one that failed anywhere has failed."""
    found: Outcomes = defaultdict(lambda: {"failed": set(), "skipped": set(), "passed": set()})
    kinds = {"failed": "failed", "error": "failed", "skipped": "skipped", "passed": "passed"}
    for outcome, kind in kinds.items():
        for report in stats.get(outcome, []):
            id_ = ids.get(getattr(report, "nodeid", ""))
            if id_ is not None:
                found[id_][kind].add(report.nodeid)
    return found


def _words(outcome: dict[str, set[str]]) -> str:
    passed = len(outcome["passed"] - outcome["failed"])
    words = f"{'ok' if _holds(outcome) else 'FAILED' if outcome['failed'] else 'not run'} ({passed}"
    for kind, name in (("failed", "failed"), ("skipped", "not run")):
        if outcome[kind]:
            words += f", {len(outcome[kind])} {name}"
    return f"{words})"


def _holds(outcome: dict[str, set[str]]) -> bool:
    return bool(outcome["passed"]) and not outcome["failed"]


def _total(
    outcomes: Outcomes, asked: set[str], stats: dict[str, list[Any]], ids: dict[str, str]
) -> Iterator[str]:
    held = sum(_holds(outcomes[id_]) for id_ in asked)
    variants = sum(len(each["passed"] - each["failed"]) for each in outcomes.values())
    skipped = [report for report in stats.get("skipped", []) if report.nodeid in ids]
    line = f"{held}/{len(asked)} faults survived in {variants} variants"
    if skipped:
        reasons = sorted({report.longrepr[2].removeprefix("Skipped: ") for report in skipped})
        line += f"; {len(skipped)} variants not run: {'; '.join(reasons)}"
    yield line
