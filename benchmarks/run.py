"""`make bench`: our server, its two floors, and what is between them.

python benchmarks/run.py [--only NAME] [--rounds N] [--json FILE] [--compare FILE] [--markdown]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

import processes
import report
import scenarios
from scenarios import SCENARIOS, Scenario, Subject


def main() -> int:
    options = _options()
    processes.build()
    chosen = [s for s in SCENARIOS if not options.only or options.only in s.name]
    with ExitStack() as stack:
        provider = stack.enter_context(processes.upstream())
        ours = Subject(stack.enter_context(processes.gateway(provider)), prefix="up/")
        floor = Subject(stack.enter_context(processes.canned()))
        alone = Subject(provider, protocol="sse")
        for subject in (ours, floor):
            scenarios.warm(subject)
        measured = {
            scenario.name: _measure(scenario, options.rounds, ours, floor, alone)
            for scenario in chosen
        }
        if not options.only or options.only == "held":
            measured["held"] = {
                "ours": {"streams": scenarios.held(ours)},
                "floor": {"streams": scenarios.held(floor)},
            }
    document = {"machine": _machine(), "scenarios": measured}
    if options.json:
        Path(options.json).write_text(json.dumps(document, indent=1) + "\n")
    baseline = json.loads(Path(options.compare).read_text()) if options.compare else None
    print(report.table(document, baseline, markdown=options.markdown))
    verdicts = report.verdicts(document)
    print("\n".join(verdicts))
    return 0


def _measure(
    scenario: Scenario, rounds: int, ours: Subject, floor: Subject, alone: Subject
) -> dict[str, Any]:
    """The median round of each subject; rounds are interleaved, since the machine drifts."""
    found: dict[str, list[dict[str, Any]]] = {"ours": [], "floor": [], "upstream": []}
    for _ in range(rounds):
        for name, result in _round(scenario, ours, floor, alone):
            found[name].append(result)
    return {name: _median(results) for name, results in found.items() if results}


def _round(
    scenario: Scenario, ours: Subject, floor: Subject, alone: Subject
) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, subject in (("ours", ours), ("floor", floor), ("upstream", alone)):
        if name == "upstream" and scenario.unary and "--churn" in scenario.extra:
            continue
        result = scenarios.run(subject, scenario, floor=name == "floor")
        grown = max(0, result.rss_peak - result.rss_idle)
        yield (
            name,
            {
                "cpu_us": result.cpu_us,
                "errors": result.errors,
                "ttft_p50_ms": result.load["ttft_ms"]["p50"],
                "ttft_p99_ms": result.load["ttft_ms"]["p99"],
                "chunk_p50_ms": result.load["chunk_ms"]["p50"],
                "chunk_p99_ms": result.load["chunk_ms"]["p99"],
                "total_p50_ms": result.load["total_ms"]["p50"],
                "total_p99_ms": result.load["total_ms"]["p99"],
                "per_second": scenario.units / result.load["wall_s"],
                "peak_in_flight": result.load["peak_in_flight"],
                "messages": result.load["messages"],
                "rss_idle_mb": result.rss_idle / 1e6,
                "rss_kb_per_stream": grown / 1024 / scenario.streams,
                "load_cpu_share": result.load["cpu_s"] / max(result.load["wall_s"], 1e-9),
            },
        )


def _median(results: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        key: None if results[0][key] is None else statistics.median(r[key] for r in results)
        for key in results[0]
    }


def _machine() -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "grpcio": version("grpcio"),
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="part of a scenario's name, or `held`")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", help="write everything that was measured to this file")
    parser.add_argument("--compare", help="show the ratio to this earlier file")
    parser.add_argument("--markdown", action="store_true", help="the table as Markdown")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
