"""Measures our server beside its floors, and with --peers beside other gateways."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

import peers
import processes
import report
import scenarios
import subjects
from scenarios import SCENARIOS, Figures, Scenario
from subjects import Start, Subject

BASELINE = processes.HERE / "baseline.json"
FLOORS: Mapping[str, Start] = {
    "canned": subjects.canned,
    "relay": subjects.relay,
    "client": subjects.client,
    "upstream": subjects.alone,
}
# It explains the cost of a chunk, and nothing else.
CLIENT_IN = ("paced", "burst")
# What the load is held against at its limit; the other floors say nothing there.
HELD_BY = ("ours", "canned")


def main() -> int:
    options = _options()
    document = json.loads(options.show.read_text()) if options.show else _measure(options)
    if options.json:
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    if options.save_baseline:
        BASELINE.write_text(json.dumps(document, indent=1) + "\n")
    before = None
    if options.compare and options.compare.exists():
        before = json.loads(options.compare.read_text())
    print(report.text(document, before, markdown=options.markdown))
    return 0


def _measure(options: argparse.Namespace) -> dict[str, Any]:
    began = time.monotonic()
    processes.build()
    processes.stay_off_the_server_core()
    # Peers one after the other: what one does when it should be idle is not the next one's cost.
    groups: list[Mapping[str, Start]] = [{"ours": subjects.ours, **FLOORS}]
    if options.peers:
        groups += [{name: peers.PEERS[name]} for name in options.peer or peers.PEERS]
    failures: dict[str, str] = {}
    measured: dict[str, dict[str, Any]] = {}
    for group in groups:
        for name, rows in _measure_group(group, options, failures):
            measured.setdefault(name, {}).update(rows)
    return {
        "machine": _machine(),
        "seconds": round(time.monotonic() - began),
        "failures": failures,
        "scenarios": measured,
    }


def _measure_group(
    group: Mapping[str, Start], options: argparse.Namespace, failures: dict[str, str]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    with ExitStack() as stack:
        provider = stack.enter_context(subjects.upstream())
        started: dict[str, Subject] = {}
        for name, start in group.items():
            _say(f"starting {name}")
            try:
                subject = stack.enter_context(start(provider))
                scenarios.warm(subject, provider)
                started[name] = subject
            except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
                failures[name] = str(error)
                _say(f"{name}: {error}")
        for scenario in SCENARIOS:
            if not options.only or scenario.name in options.only:
                yield scenario.name, _rounds(scenario, options.rounds, started, provider, failures)
        if not options.only or "held" in options.only:
            yield (
                "held",
                {
                    name: {"streams": _held(name, subject, provider)}
                    for name, subject in started.items()
                    if name in HELD_BY or name in peers.PEERS
                },
            )


def _held(name: str, subject: Subject, provider: processes.Program) -> int:
    _say(f"held: {name}")
    return scenarios.held(subject, provider)


def _rounds(
    scenario: Scenario,
    rounds: int,
    started: Mapping[str, Subject],
    provider: processes.Program,
    failures: dict[str, str],
) -> dict[str, Figures]:
    """The median of each row; rounds are interleaved, since the machine drifts."""
    found: dict[str, list[Figures]] = {}
    for number in range(min(rounds, scenario.rounds)):
        _say(f"{scenario.name}: round {number + 1}")
        for name, subject in started.items():
            if not scenario.chunks and not subject.has_unary:
                continue
            if name == "client" and scenario.name not in CLIENT_IN:
                continue
            if scenario.only and name not in scenario.only:
                continue
            try:
                for row, model in scenario.models(name).items():
                    figures = scenarios.run(subject, scenario, provider, model)
                    found.setdefault(row, []).append(figures)
            except (RuntimeError, OSError) as error:
                failures[f"{name}, {scenario.name}"] = str(error)
    return {row: dict(_medians(runs)) for row, runs in found.items()}


def _medians(runs: list[Figures]) -> Iterator[tuple[str, float | None]]:
    for key in runs[0]:
        values = [value for figures in runs if (value := figures[key]) is not None]
        # A failed stream or a doubled chunk in any round counts.
        worst = key in ("errors", "sequence_errors")
        yield key, (max(values) if worst else statistics.median(values)) if values else None


def _machine() -> dict[str, Any]:
    models = (
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    )
    return {
        "processor": next(models, platform.machine()),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("grpcio", "uvloop", "aiohttp", "protobuf")},
    }


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    names = [scenario.name for scenario in SCENARIOS]
    add = parser.add_argument
    add(
        "--only",
        action="append",
        choices=[*names, "held"],
        metavar="SCENARIO",
        help=f"one of {', '.join(names)}, held; may be given again",
    )
    add("--rounds", type=int, default=3, help="runs of each row; default 3")
    add("--peers", action="store_true", help="other gateways too (installs them)")
    add("--peer", action="append", choices=peers.PEERS, help="with --peers: only")
    add("--json", type=Path, help="write everything that was measured")
    add("--show", type=Path, help="measure nothing, print such a file")
    add(
        "--compare",
        type=Path,
        nargs="?",
        const=BASELINE,
        metavar="FILE",
        help="CPU as a ratio to an earlier run's; default baseline.json",
    )
    add("--save-baseline", action="store_true", help="keep it as baseline.json")
    add("--markdown", action="store_true", help="tables for README.md")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
