"""What the commands write: answers to stdout, all about them to stderr."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

# A model's text must not move the cursor, retitle the window or write to the clipboard.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    """The text without the characters that a terminal obeys instead of showing."""
    return _CONTROL.sub("", text)


def write_text(text: str) -> None:
    """Writes a piece of an answer at once; as it is into a file or a pipe."""
    if text:
        sys.stdout.write(printable(text) if sys.stdout.isatty() else text)
        sys.stdout.flush()


def note(text: str) -> None:
    """Writes one line about an answer to stderr, dim on a terminal."""
    typer.secho(text, err=True, dim=True)


def write_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on a terminal; tab-separated lines without a heading into a file or a pipe."""
    if not sys.stdout.isatty():
        for row in rows:
            typer.echo("\t".join(row))
        return
    table = Table(*columns, box=None, header_style="bold")
    for row in rows:
        # As Text, because a str may hold what looks like rich's markup.
        table.add_row(*(Text(printable(cell)) for cell in row))
    Console().print(table)
