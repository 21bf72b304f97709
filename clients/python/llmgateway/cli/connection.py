"""The options that say where the gateway is, and how a failed call ends a command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import grpc
import typer

from llmgateway import (
    TLS,
    AuthenticationError,
    Client,
    ContextLengthError,
    DeadlineError,
    GatewayError,
    InternalError,
    InterruptedStreamError,
    ModelNotFoundError,
    PermissionDeniedError,
    ProviderError,
    QuotaError,
    TransportError,
)
from llmgateway.cli.output import printable

Address = Annotated[
    str,
    typer.Option(envvar="LLMGATEWAY_ADDRESS", help="The gateway's host:port.", metavar="TARGET"),
]
Tls = Annotated[bool, typer.Option("--tls", help="Use TLS with the system's roots.")]
Ca = Annotated[
    Path | None,
    typer.Option(exists=True, dir_okay=False, help="Use TLS with the roots in this PEM file."),
]
Token = Annotated[
    str | None,
    typer.Option(
        envvar="LLMGATEWAY_TOKEN",
        help="Bearer token. Prefer the variable: others can see a command line.",
    ),
]
Timeout = Annotated[
    float | None, typer.Option(min=0.001, help="Seconds that the call may take.", metavar="SECONDS")
]

# What to do about it; the first class that fits.
_ADVICE: tuple[tuple[type[GatewayError], str], ...] = (
    (ModelNotFoundError, "see `llmgateway models`"),
    (ContextLengthError, "shorten the prompt or choose a model with a larger context"),
    (AuthenticationError, "set LLMGATEWAY_TOKEN to a valid token"),
    (PermissionDeniedError, "ask the gateway's operator"),
    (QuotaError, "ask the gateway's operator"),
    (ProviderError, "try again, or ask the gateway's operator"),
    (InterruptedStreamError, "the answer is cut off; try again"),
    (DeadlineError, "allow more time with --timeout, or ask for less with --max-tokens"),
    (InternalError, "report it with the request id"),
)


@contextmanager
def connect(address: str, tls: bool, ca: Path | None, token: str | None) -> Iterator[Client]:
    """A client for one command; a failed call becomes one line on stderr and exit code 1."""
    try:
        client = Client(address, tls=TLS(ca=ca) if ca else tls, token=token or None)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    with client:
        try:
            yield client
        except GatewayError as error:
            typer.echo(f"llmgateway: {explain(error, address)}", err=True)
            raise typer.Exit(1) from error


def explain(error: GatewayError, address: str) -> str:
    """The error as one line: what happened, and what to do about it."""
    fields = "".join(f"; {v.field}: {v.description}" for v in error.violations)
    text = printable(f"{error}{fields}".replace("\n", " "))
    advice = _advice(error, address)
    request = f" [request {error.request_id}]" if error.request_id else ""
    return f"{text} - {advice}{request}" if advice else f"{text}{request}"


def _advice(error: GatewayError, address: str) -> str:
    if error.retry_after is not None:
        return f"try again in {error.retry_after:.3g} s"
    if isinstance(error, TransportError) and error.code is grpc.StatusCode.UNAVAILABLE:
        return f"is the gateway up at {address}? Start it, or say where it is with --address"
    return next((advice for kind, advice in _ADVICE if isinstance(error, kind)), "")
