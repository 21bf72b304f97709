"""Figures to words: the table, and whether each target holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_COLUMNS = (
    ("CPU us", "cpu_us", "{:.1f}"),
    ("/s", "per_second", "{:,.0f}"),
    ("TTFT p50 ms", "ttft_p50_ms", "{:.2f}"),
    ("TTFT p99 ms", "ttft_p99_ms", "{:.2f}"),
    ("chunk p50 ms", "chunk_p50_ms", "{:.2f}"),
    ("chunk p99 ms", "chunk_p99_ms", "{:.2f}"),
    ("p50 ms", "total_p50_ms", "{:.2f}"),
    ("p99 ms", "total_p99_ms", "{:.2f}"),
    ("RSS KB/stream", "rss_kb_per_stream", "{:.0f}"),
    ("errors", "errors", "{:.0f}"),
    ("load CPU", "load_cpu_share", "{:.0%}"),
)


def table(
    document: Mapping[str, Any], baseline: Mapping[str, Any] | None, *, markdown: bool
) -> str:
    """A row a scenario and subject; with a baseline, the ratio of the CPU to it."""
    heads = ["scenario", "subject", *(head for head, _, _ in _COLUMNS), "ratio to floor"]
    heads += ["ratio to baseline"] if baseline else []
    rows = []
    for name, subjects in document["scenarios"].items():
        if name == "held":
            continue
        for subject, figures in subjects.items():
            cells = [name, subject]
            # A unary call has no chunks, so no times of them.
            cells += [
                "-" if figures[key] is None else form.format(figures[key])
                for _, key, form in _COLUMNS
            ]
            cells.append(f"{figures['cpu_us'] / subjects['floor']['cpu_us']:.2f}")
            if baseline:
                before = baseline["scenarios"].get(name, {}).get(subject, {}).get("cpu_us")
                cells.append(f"{figures['cpu_us'] / before:.2f}" if before else "-")
            rows.append(cells)
    return _markdown(heads, rows) if markdown else _plain(heads, rows)


def _plain(heads: list[str], rows: list[list[str]]) -> str:
    widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(heads))]
    lines = [
        [cell.rjust(width) for cell, width in zip(r, widths, strict=True)] for r in [heads, *rows]
    ]
    return "\n".join("  ".join(line) for line in lines)


def _markdown(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def verdicts(document: Mapping[str, Any]) -> list[str]:
    """The targets, each with its figure."""
    found = document["scenarios"]
    lines = []
    for name, most in (("burst", 2.0), ("paced", 1.35), ("unary c=64", 3.0)):
        if name in found:
            ratio = found[name]["ours"]["cpu_us"] / found[name]["floor"]["cpu_us"]
            lines.append(_line(f"{name}: CPU {ratio:.2f}x the floor", ratio <= most, f"<={most}x"))
    if "many" in found:
        many = found["many"]["ours"]
        lines.append(_line(f"many: {many['errors']:.0f} errors", not many["errors"], "0"))
        memory = many["rss_kb_per_stream"]
        lines.append(_line(f"many: {memory:.0f} KB a stream", memory <= 40, "<=40 KB"))
        peak = many["peak_in_flight"]
        lines.append(_line(f"many: {peak:.0f} in flight at once", peak >= 1000, "1000"))
    if "ttft 64" in found:
        subjects = found["ttft 64"]
        added = subjects["ours"]["ttft_p50_ms"] - subjects["upstream"]["ttft_p50_ms"]
        lines.append(_line(f"ttft 64: {added:.2f} ms added at p50", added <= 1.5, "<=1.5 ms"))
    if "held" in found:
        ours, floor = found["held"]["ours"]["streams"], found["held"]["floor"]["streams"]
        lines.append(f"  --   held: {ours} streams of 50 chunks/s on one core (floor {floor})")
    return lines


def _line(text: str, holds: bool, target: str) -> str:
    return f"  {'ok  ' if holds else 'MISS'} {text} (target {target})"
