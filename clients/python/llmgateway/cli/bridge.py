"""`llmgateway bridge`: the gateway's answers as the events of the Sentient Agent Framework."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from llmgateway import TLS, AsyncClient
from llmgateway._base import DEFAULT_ADDRESS
from llmgateway.cli.connection import Address, Ca, Tls, Token

# What the extra brings; one of them is missing if it is not installed.
_EXTRA = {"starlette", "uvicorn", "httptools", "pydantic"}

Listen = Annotated[
    str, typer.Option(help="Where to serve; port 0 is any free one.", metavar="HOST:PORT")
]
Model = Annotated[
    str, typer.Option(help="A route or provider/model, for requests without ?model=.")
]
Cors = Annotated[
    list[str] | None,
    typer.Option(help="A site whose pages may ask; repeat it for more, * is all.", metavar="URL"),
]
MaxBody = Annotated[str, typer.Option(help="The largest request.", metavar="SIZE")]
Coalesce = Annotated[
    float,
    typer.Option(
        min=0, max=0.1, help="Collect text for so long between two events.", metavar="SECONDS"
    ),
]
Heartbeat = Annotated[
    float, typer.Option(min=0.1, max=3600, help="Silence before a ping.", metavar="SECONDS")
]
Reasoning = Annotated[bool, typer.Option("--reasoning", help="Send what the model thinks as well.")]
EventName = Annotated[str, typer.Option(help="The name of the answer's events.")]
Source = Annotated[
    str, typer.Option(help="Who events come from, instead of the request's processor id.")
]
Grace = Annotated[
    float,
    typer.Option(min=0, help="What SIGTERM leaves to answers under way.", metavar="SECONDS"),
]
AccessLog = Annotated[bool, typer.Option("--access-log", help="Write a line a request to stderr.")]
Cert = Annotated[
    Path | None,
    typer.Option(exists=True, dir_okay=False, help="Show this certificate chain; needs --key."),
]
Key = Annotated[
    Path | None, typer.Option(exists=True, dir_okay=False, help="The private key of --cert.")
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        exists=True, dir_okay=False, help="Read the bearer token here, again for each call."
    ),
]


def bridge(
    *,
    gateway: Address = DEFAULT_ADDRESS,
    listen: Listen = "127.0.0.1:8000",
    model: Model = "",
    cors: Cors = None,
    max_body: MaxBody = "1MiB",
    coalesce: Coalesce = 0.038,
    heartbeat: Heartbeat = 15.0,
    reasoning: Reasoning = False,
    event_name: EventName = "FINAL_RESPONSE",
    source: Source = "",
    grace: Grace = 20.0,
    access_log: AccessLog = False,
    tls: Tls = False,
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
    token: Token = None,
    token_file: TokenFile = None,
) -> None:
    """Serve Sentient's POST /assist, and a playground at /.

    The bridge has no users of its own: whoever reaches it may ask, with the token that it was
    given. What is asked and answered is logged nowhere.
    """
    try:
        from llmgateway.sentient import app, events, serve, settings  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        typer.echo("llmgateway: the bridge needs: pip install 'llmgateway[bridge]'", err=True)
        raise typer.Exit(2) from error
    try:
        options = settings.BridgeOptions(
            model=model,
            source=source,
            include_reasoning=reasoning,
            events=events.EventOptions(text_event_name=event_name),
            cors_origins=tuple(cors or ()),
            max_body=settings.parse_size(max_body),
            coalesce=coalesce,
            heartbeat=heartbeat,
        )
        given = TLS(ca=ca, certificate=cert, key=key) if ca or cert or key else tls
        client = AsyncClient(gateway, tls=given, token=_token(token, token_file))
        host, port = _address(listen)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    try:
        listener = serve.listen(host, port)
    except OSError as error:
        typer.echo(f"llmgateway: cannot listen on {listen}: {error.strerror}", err=True)
        raise typer.Exit(1) from error
    url = _url(listener.getsockname())
    serve.raise_file_limit()
    serve.BridgeServer(
        app.create_app(client, options),
        grace=grace,
        access_log=access_log,
        on_ready=lambda: typer.echo(f"llmgateway bridge ready on {url}, gateway {gateway}"),
    ).run([listener])


def _token(token: str | None, file: Path | None) -> str | Callable[[], str] | None:
    if file is None:
        return token or None
    if token:
        raise ValueError("give --token (or LLMGATEWAY_TOKEN) or --token-file, not both")
    latest = ""

    def read() -> str:
        nonlocal latest
        # It may be gone, or half replaced; the gateway says if the one before is out of date.
        with contextlib.suppress(OSError, UnicodeDecodeError):
            latest = file.read_text("utf-8").strip() or latest
        return latest

    if not read():
        raise ValueError(f"{file} holds no token")
    return read


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise ValueError(f"{text!r} is no host:port to listen on")
    return host, int(port)


def _url(address: tuple[str, int]) -> str:
    host, port = address[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
