"""The commands and their options."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer

from llmgateway import GatewayError
from llmgateway._base import DEFAULT_ADDRESS
from llmgateway._input import GenerationOptions
from llmgateway.cli.bridge import bridge
from llmgateway.cli.chat import show
from llmgateway.cli.connection import Address, Ca, Timeout, Tls, Token, connect
from llmgateway.cli.output import write_table

app = typer.Typer(
    help="Talk to an llmgateway: one contract, every LLM.",
    no_args_is_help=True,
    add_completion=False,
    # A traceback with every local variable would show tokens and prompts.
    pretty_exceptions_enable=False,
)
app.command()(bridge)


@app.command()
def chat(
    prompt: Annotated[
        str, typer.Argument(help="What to ask; read from stdin if left out or `-`.")
    ] = "-",
    *,
    model: Annotated[
        str, typer.Option(help="A route or provider/model; the gateway's default if left out.")
    ] = "",
    system: Annotated[str, typer.Option(help="Instructions to the model.")] = "",
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Write the whole answer as one JSON document (the contract's) at its end.",
        ),
    ] = False,
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help="The longest answer, in tokens.")
    ] = None,
    temperature: Annotated[float | None, typer.Option(min=0, help="Randomness, 0 to 2.")] = None,
    timeout: Timeout = None,
    address: Address = DEFAULT_ADDRESS,
    tls: Tls = False,
    ca: Ca = None,
    token: Token = None,
) -> None:
    """Stream an answer to the terminal.

    The answer goes to stdout; the time to the first token, tokens a second, route and usage go to
    stderr.
    """
    options: GenerationOptions = {"model": model}
    if system:
        options["system"] = system
    if max_tokens is not None:
        options["max_output_tokens"] = max_tokens
    if temperature is not None:
        options["temperature"] = temperature
    if timeout is not None:
        options["timeout"] = timeout
    text = _read_prompt(prompt)
    with connect(address, tls, ca, token) as client:
        show(client.stream(text, **options), as_json=as_json)


@app.command()
def models(
    *, address: Address = DEFAULT_ADDRESS, tls: Tls = False, ca: Ca = None, token: Token = None
) -> None:
    """List what --model can name: routes and the providers' models."""
    with connect(address, tls, ca, token) as client:
        rows = [
            (
                model.name,
                ", ".join(model.targets) or model.provider,
                _count(model.context_window_token_count),
                _count(model.max_output_token_count),
            )
            for model in client.models()
        ]
    write_table(("MODEL", "PROVIDER OR TARGETS", "CONTEXT", "MAX OUTPUT"), rows)


@app.command()
def health(
    service: Annotated[
        str,
        typer.Argument(help="A full service name, `liveness` or `route/NAME`; the whole if empty."),
    ] = "",
    *,
    wait: Annotated[
        float, typer.Option(min=0, help="Wait this long until it serves.", metavar="SECONDS")
    ] = 0.0,
    address: Address = DEFAULT_ADDRESS,
    tls: Tls = False,
    ca: Ca = None,
    token: Token = None,
) -> None:
    """Ask whether the gateway serves: exit code 0 if SERVING, else 1."""
    deadline = time.monotonic() + wait
    with connect(address, tls, ca, token) as client:
        while True:
            left = deadline - time.monotonic()
            try:
                status = client.health(service, timeout=max(left, 5.0))
            except GatewayError:
                if left <= 0:
                    raise
                status = ""
            if status == "SERVING" or left <= 0:
                break
            time.sleep(min(0.2, left))
    typer.echo(status)
    raise typer.Exit(0 if status == "SERVING" else 1)


def _read_prompt(prompt: str) -> str:
    if prompt == "-" and sys.stdin.isatty():
        raise typer.BadParameter("give a prompt, or pipe one in", param_hint="PROMPT")
    try:
        text = sys.stdin.read() if prompt == "-" else prompt
        text.encode()  # an argument that is not UTF-8 arrives as half characters
    except UnicodeError as error:
        raise typer.BadParameter("the prompt is not UTF-8 text", param_hint="PROMPT") from error
    if not text.strip():
        raise typer.BadParameter("the prompt is empty", param_hint="PROMPT")
    return text


def _count(tokens: int) -> str:
    """A token count of the catalogue, where 0 stands for unset: no model has none."""
    return f"{tokens}" if tokens else "-"
