"""The command `llmgateway`; needs the extra `cli`."""

from __future__ import annotations

import sys


def main() -> None:
    """Runs the command line; exits with 0, 1 (the call failed), 2 (wrong usage) or 130 (Ctrl-C)."""
    try:
        from llmgateway.cli.app import app  # noqa: PLC0415 - the extra may be missing

        app(prog_name="llmgateway")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"typer", "rich"}:
            raise
        sys.stderr.write("llmgateway: this command needs: pip install 'llmgateway[cli]'\n")
        sys.exit(1)
