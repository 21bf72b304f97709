"""What is measured: the same load on our server, on the floors, and on the provider itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import processes
from processes import Program

STREAM = "/llmgateway.v1.GenerationService/GenerateStream"
UNARY = "/llmgateway.v1.GenerationService/Generate"


@dataclass(frozen=True)
class Subject:
    """Something that answers: where, how it is spoken to, how it names models."""

    program: Program
    protocol: str = "grpc"
    prefix: str = ""
    connections: int = 4

    def arguments(self, model: str, *, unary: bool) -> list[str]:
        """The load generator's words for this subject."""
        path = "/v1/chat/completions"
        if self.protocol == "grpc":
            path = UNARY if unary else STREAM
        words = [
            *("--port", str(self.program.port), "--proto", self.protocol, "--path", path),
            *("--model", self.prefix + model, "--conns", str(self.connections)),
        ]
        return [*words, "--unary"] if unary else words


@dataclass(frozen=True)
class Scenario:
    """One load; `units` is what the CPU time is divided by."""

    name: str
    model: str
    streams: int
    total: int
    chunks: int = 0
    unary: bool = False
    extra: Sequence[str] = ()
    timeout: int = 60
    floor_model: str = ""

    @property
    def units(self) -> int:
        """Chunks, or requests."""
        return self.total * self.chunks if self.chunks else self.total


BURST = Scenario("burst", "instant-500", 64, 256, 500, floor_model="merged-500-100")
PACED = Scenario("paced", "paced-100-20", 100, 100, 100, extra=("--ramp", "0.5"))
MANY = Scenario("many", "paced-100-100", 1000, 1000, 100, extra=("--ramp", "1"))
UNARY_1 = Scenario("unary c=1", "unary-200", 1, 1000, unary=True)
UNARY_64 = Scenario("unary c=64", "unary-200", 64, 6000, unary=True)
CHURN = Scenario("churn", "unary-200", 16, 1500, unary=True, extra=("--churn",))
TTFT_64 = Scenario("ttft 64", "paced-10-20", 64, 1280, 10, extra=("--ramp", "0.5"))
SCENARIOS = (BURST, PACED, MANY, UNARY_1, UNARY_64, CHURN, TTFT_64)


@dataclass
class Result:
    """What one run on one subject cost."""

    scenario: str
    load: dict[str, Any]
    cpu_us: float
    rss_idle: int
    rss_peak: int
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def errors(self) -> int:
        """Failed streams, and chunks that were lost, doubled or out of order."""
        return int(self.load["errors"]) + int(self.load["seq_errors"])


class _Peak(threading.Thread):
    """Watches the resident memory of a program while a load runs."""

    def __init__(self, program: Program) -> None:
        super().__init__(daemon=True)
        self._program = program
        self._over = threading.Event()
        self.bytes = program.rss_bytes()

    def run(self) -> None:
        while not self._over.wait(0.1):
            self.bytes = max(self.bytes, self._program.rss_bytes())

    def stop(self) -> int:
        self._over.set()
        self.join()
        return self.bytes


def run(subject: Subject, scenario: Scenario, *, floor: bool = False) -> Result:
    """Runs one load; the CPU is that of the subject's process tree, idle time included."""
    model = scenario.floor_model if floor and scenario.floor_model else scenario.model
    arguments = [
        *subject.arguments(model, unary=scenario.unary),
        *("--streams", str(scenario.streams), "--total", str(scenario.total)),
        *("--timeout", str(scenario.timeout), *scenario.extra),
    ]
    if scenario.chunks:
        arguments += ["--expect-chunks", str(scenario.chunks)]
    time.sleep(0.2)
    idle = subject.program.rss_bytes()
    peak = _Peak(subject.program)
    peak.start()
    before = subject.program.cpu_seconds()
    load = processes.load(arguments)
    cpu = subject.program.cpu_seconds() - before
    return Result(scenario.name, load, cpu / scenario.units * 1e6, idle, peak.stop())


def warm(subject: Subject) -> None:
    """Fills pools and caches."""
    run(subject, Scenario("warm", "instant-20", 64, 256, 20, floor_model="instant-20"))
    run(subject, Scenario("warm", "unary-200", 64, 500, unary=True))


def held(subject: Subject, *, low: int = 50, high: int = 1600, p99_ms: float = 50.0) -> int:
    """The most streams of 50 chunks/s that the subject carries, by bisection to 25.

    Carried: no error, chunk p99 below 50 ms, and the load over within 10 % of its ideal time.
    """
    while high - low > 25:
        middle = (low + high) // 2
        scenario = Scenario(
            "held", "paced-150-20", middle, middle, 150, extra=("--ramp", "1"), timeout=20
        )
        result = run(subject, scenario)
        in_time = float(result.load["wall_s"]) < 4.0 * 1.1
        fast = float(result.load["chunk_ms"]["p99"]) < p99_ms
        low, high = (middle, high) if in_time and fast and not result.errors else (low, middle)
    return low
