"""Figures to words: a table a scenario, and whether each target of the hot path holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_COLUMNS = (
    ("CPU us", "cpu_us", "{:.1f}"),
    ("x canned", "x_canned", "{:.2f}"),
    ("x relay", "x_relay", "{:.2f}"),
    ("x before", "x_before", "{:.2f}"),
    ("per second", "per_second", "{:,.0f}"),
    ("TTFT p50 ms", "ttft_p50_ms", "{:.2f}"),
    ("p99", "ttft_p99_ms", "{:.2f}"),
    ("chunk p50 ms", "chunk_p50_ms", "{:.2f}"),
    ("p99", "chunk_p99_ms", "{:.2f}"),
    ("call p50 ms", "total_p50_ms", "{:.2f}"),
    ("p99", "total_p99_ms", "{:.2f}"),
    ("messages/stream", "messages_per_stream", "{:.0f}"),
    ("in flight", "peak_in_flight", "{:.0f}"),
    ("idle MB", "rss_idle_mb", "{:.0f}"),
    ("KB/stream", "rss_kb_per_stream", "{:.0f}"),
    ("errors", "errors", "{:.0f}"),
    ("order", "sequence_errors", "{:.0f}"),
    ("core", "core", "{:.0%}"),
    ("load core", "load_core", "{:.0%}"),
)
# Above it the load, not the server, may set the pace. The provider alone always reaches it.
_LOAD_LIMIT = 0.9
# The ceiling of what this document calls the class of Portkey, measured elsewhere.
_PORTKEY_US = 88.0

Row = dict[str, Any]


def text(document: Mapping[str, Any], before: Mapping[str, Any] | None, *, markdown: bool) -> str:
    """Everything that was measured, then the targets."""
    machine = ", ".join(f"{name} {value}" for name, value in document["machine"].items())
    parts = [f"{machine}; measured in {document['seconds']} s"]
    if before and before["machine"] != document["machine"]:
        parts.append("The baseline is of another machine or of other versions: ratios mislead.")
    for name, subjects in document["scenarios"].items():
        earlier = before["scenarios"].get(name, {}) if before else {}
        rows = list(_held_rows(subjects) if name == "held" else _rows(subjects, earlier))
        parts.append(_table(name, rows, markdown=markdown))
    parts += [f"FAILED {name}: {reason}" for name, reason in document["failures"].items()]
    lines = [
        *_targets({n: r for n, r in document["scenarios"].items() if "ours" in r}),
        *_warnings(document["scenarios"]),
    ]
    bullet = "- " if markdown else "  "
    return "\n\n".join([*parts, "\n".join(bullet + line for line in lines)])


def _rows(subjects: Mapping[str, Row], earlier: Mapping[str, Row]) -> Iterator[list[str]]:
    extended = {name: dict(figures) for name, figures in subjects.items()}
    for name, figures in extended.items():
        for floor in ("canned", "relay"):
            figures[f"x_{floor}"] = _ratio(figures, subjects.get(floor))
        figures["x_before"] = _ratio(figures, earlier.get(name))
        if figures["chunk_p50_ms"] is not None:
            figures["total_p50_ms"] = figures["total_p99_ms"] = None
    # A column that no row of this scenario fills is left out.
    shown = [c for c in _COLUMNS if any(f[c[1]] is not None for f in extended.values())]
    yield ["", *(head for head, _, _ in shown)]
    for name, figures in extended.items():
        cells = (
            "-" if figures[key] is None else form.format(figures[key]) for _, key, form in shown
        )
        yield [name, *cells]


def _held_rows(subjects: Mapping[str, Row]) -> Iterator[list[str]]:
    yield ["", "streams of 50 chunks/s"]
    for name, figures in subjects.items():
        yield [name, str(figures["streams"])]


def _ratio(figures: Row, other: Row | None) -> float | None:
    return figures["cpu_us"] / other["cpu_us"] if other and other["cpu_us"] else None


def _table(name: str, rows: list[list[str]], *, markdown: bool) -> str:
    if markdown:
        rows = [rows[0], ["---", *["---:"] * (len(rows[0]) - 1)], *rows[1:]]
        return "\n".join([f"### {name}", "", *(f"| {' | '.join(row)} |" for row in rows)])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = (
        "  ".join(
            [
                row[0].ljust(widths[0]),
                *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True)),
            ]
        )
        for row in rows
    )
    return "\n".join([name, *lines])


def _line(holds: bool, words: str) -> str:
    return f"{'ok  ' if holds else 'MISS'} {words}"


def _targets(found: Mapping[str, Mapping[str, Row]]) -> Iterator[str]:
    limits = (
        ("burst", "relay", 2.0),
        ("paced", "canned", 1.35),
        ("unary-1", "canned", 3.0),
        ("unary-64", "canned", 3.0),
    )
    for name, floor, most in limits:
        ratio = _ratio(found[name]["ours"], found[name].get(floor)) if name in found else None
        if ratio:
            yield _line(ratio <= most, f"{name}: CPU {ratio:.2f}x {floor}, at most {most}x")
    if "many" in found:
        many = found["many"]["ours"]
        failed = many["errors"] + many["sequence_errors"]
        yield _line(not failed, f"many: {failed:.0f} errors, 0 wanted")
        memory = many["rss_kb_per_stream"]
        yield _line(memory <= 40, f"many: {memory:.0f} KB a stream, at most 40")
        peak = many["peak_in_flight"]
        yield _line(peak >= 1000, f"many: {peak:.0f} streams in flight at once, 1000 wanted")
    if "upstream" in found.get("ttft", {}):
        ttft = found["ttft"]
        added = ttft["ours"]["ttft_p50_ms"] - ttft["upstream"]["ttft_p50_ms"]
        yield _line(added <= 1.5, f"ttft: {added:.2f} ms added at p50, at most 1.5 ms")
    if "cached" in found:
        cached = found["cached"]
        added = cached["ours"]["total_p50_ms"] - cached["canned"]["total_p50_ms"]
        yield _line(added <= 1.0, f"cached: {added:.2f} ms added to canned at p50, at most 1 ms")
    yield from _peer_targets(found)


def _peer_targets(found: Mapping[str, Mapping[str, Row]]) -> Iterator[str]:
    paced, held = found.get("paced", {}), found.get("held", {})
    for peer, least in (("litellm", 15.0), ("sentient", 4.0), ("tensorzero", 0), ("envoy", 0)):
        if peer in paced and (ratio := _ratio(paced[peer], paced["ours"])):
            words = f"paced: {peer} takes {ratio:.2f}x our CPU"
            yield (
                _line(ratio >= least, f"{words}, at least {least:.0f}x")
                if least
                else f"--   {words}"
            )
    if any(peer in paced for peer in ("litellm", "sentient")):
        ours = paced["ours"]["cpu_us"]
        yield _line(ours < _PORTKEY_US, f"paced: {ours:.1f} us, below {_PORTKEY_US:.0f} us")
    if "sentient" in held:
        ratio = held["ours"]["streams"] / held["sentient"]["streams"]
        yield _line(ratio >= 5, f"held: {ratio:.1f}x the streams of sentient, at least 5x")


def _warnings(found: Mapping[str, Mapping[str, Row]]) -> Iterator[str]:
    for name, subjects in found.items():
        for subject, figures in subjects.items():
            busy = figures.get("load_core") or 0.0
            if subject != "upstream" and busy > _LOAD_LIMIT:
                yield f"NOTE {name}, {subject}: the load's core was {busy:.0%} busy"
