"""The loads, and what one run of one on one subject costs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import processes
from processes import Program
from subjects import Subject

# A figure of a run; None where the scenario has none of its kind.
Figures = dict[str, float | None]

_CONNECTIONS = 4  # of a gRPC client; HTTP/1.1 takes one a stream


@dataclass(frozen=True)
class Scenario:
    """One load: `streams` at a time until `total` are done."""

    name: str
    model: str
    streams: int
    total: int
    chunks: int = 0  # of each stream; 0: unary
    ramp: float = 0.0  # seconds over which the first streams are opened
    churn: bool = False
    rounds: int = 9  # at most this many
    # The same load for the canned floor in other words, each a row of its own.
    canned: tuple[tuple[str, str], ...] = ()
    only: tuple[str, ...] = ()  # the subjects that it is for; empty: all

    def models(self, subject: str) -> Mapping[str, str]:
        """The rows that a subject fills, and the model that each asks for."""
        return dict(self.canned) if self.canned and subject == "canned" else {subject: self.model}


SCENARIOS = (
    # First, since memory a stream shows only in a process that has not held as many before.
    Scenario("many", "paced-100-100", 1000, 1000, 100, ramp=1.0, rounds=1),
    Scenario("paced", "paced-100-20", 100, 100, 100, ramp=0.5),
    Scenario(
        "burst", "instant-500", 64, 128, 500,
        canned=(("canned", "merged-500-100"), ("canned, 1 a message", "instant-500")),
    ),
    Scenario("ttft", "paced-50-20", 64, 256, 50, ramp=1.0),
    Scenario("unary-1", "unary-200", 1, 1000),
    Scenario("unary-64", "unary-200", 64, 4000),
    # A route of ours that keeps its answers; the provider is asked once.
    Scenario(
        "cached", "cached", 1, 1000, canned=(("canned", "unary-200"),), only=("ours", "canned")
    ),
    Scenario("churn", "unary-200", 16, 1000, churn=True),
)  # fmt: skip
HELD = "paced-100-20"
_WARM = (
    Scenario("warm", "instant-20", 64, 256, 20),
    Scenario("warm", "unary-200", 64, 500),
)
MODELS = sorted({s.model for s in (*SCENARIOS, *_WARM)} | {HELD})


def run(
    subject: Subject, scenario: Scenario, provider: Program, model: str = "", timeout: float = 60.0
) -> Figures:
    """One run. CPU is that of the subject's process tree, less what it uses idle.

    Divided by what came out, which with failed streams is less than was asked for.
    """
    arguments = [
        *subject.arguments(model or scenario.model, unary=not scenario.chunks),
        *("--streams", str(scenario.streams), "--total", str(scenario.total)),
        *("--conns", str(_CONNECTIONS), "--ramp", str(scenario.ramp)),
        *("--expect-chunks", str(scenario.chunks), "--timeout", str(timeout)),
    ]
    program = subject.program
    idle_share = program.settle()
    program.forget_peak()
    idle_bytes = program.rss_bytes()
    before, provider_before = program.cpu_seconds(), provider.cpu_seconds()
    load = processes.load([*arguments, "--churn"] if scenario.churn else arguments)
    cpu = program.cpu_seconds() - before - idle_share * load["wall_s"]
    provider_cpu = provider.cpu_seconds() - provider_before
    wall = max(load["wall_s"], 1e-9)
    units = (load["chunks"] if scenario.chunks else load["ok"]) or math.nan
    grown = max(0, program.peak_bytes() - idle_bytes)
    return {
        "cpu_us": cpu / units * 1e6,
        "core": cpu / wall,
        "per_second": units / wall,
        **{f"ttft_{q}_ms": load["ttft_ms"][q] for q in ("p50", "p99")},
        **{f"chunk_{q}_ms": load["chunk_ms"][q] for q in ("p50", "p99")},
        **{f"total_{q}_ms": load["total_ms"][q] for q in ("p50", "p99")},
        "errors": load["errors"],
        "sequence_errors": load["seq_errors"],
        "peak_in_flight": load["peak_in_flight"],
        "messages_per_stream": load["messages"] / scenario.total if scenario.chunks else None,
        "rss_idle_mb": idle_bytes / 1e6,
        "rss_kb_per_stream": grown / 1024 / scenario.streams if scenario.streams > 1 else None,
        "wall_s": wall,
        "load_core": (load["cpu_s"] + provider_cpu) / wall,
    }


def warm(subject: Subject, provider: Program) -> None:
    """Fills pools and caches; raises where the subject does not answer at all."""
    for scenario in _WARM:
        if scenario.chunks or subject.has_unary:
            figures = run(subject, scenario, provider)
            if figures["errors"]:
                raise RuntimeError(f"{figures['errors']} of {scenario.total} warm-up calls failed")


def held(subject: Subject, provider: Program, *, low: int = 8, high: int = 1600) -> int:
    """The most streams of 50 chunks/s that the subject carries, by bisection to 6 %.

    Carried: every chunk came in order, p99 of their latency below 50 ms, and the load over within
    10 % of its ideal 2.5 s. A number counts as too much when it fails twice.
    """
    while high / low > 1.06:
        middle = round(math.sqrt(low * high))
        carried = _carries(subject, provider, middle) or _carries(subject, provider, middle)
        low, high = (middle, high) if carried else (low, middle)
    return low


def _carries(subject: Subject, provider: Program, streams: int) -> bool:
    scenario = Scenario("held", HELD, streams, streams, 100, ramp=0.5)
    figures = run(subject, scenario, provider, timeout=3.5)
    failed = (figures["errors"] or 0) + (figures["sequence_errors"] or 0)
    return (
        not failed
        and (figures["wall_s"] or 0.0) < 2.5 * 1.1
        and (figures["chunk_p99_ms"] or 0.0) < 50.0
    )
