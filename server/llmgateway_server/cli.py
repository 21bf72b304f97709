"""The command `llmgateway-server`.

Exit codes: 0 after a drain, 1 where the server could not run (a port in use), 2 where it was told
something that cannot be (usage, configuration).
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

# Before grpc is imported, which reads it then: its INFO lines are about its own affairs.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

import typer
import uvloop

from llmgateway_server import __version__, bootstrap, config
from llmgateway_server.providers.dialect import DialectLoadError, installed_dialects
from llmgateway_server.routing.strategies import StrategyLoadError, installed_strategies
from llmgateway_server.supervisor.embedded import (
    EmbeddedModel,
    EmbeddedModelFailed,
    EmbeddedModelMissing,
)
from llmgateway_server.transport.grpc.server import AddressInUseError

app = typer.Typer(
    help="A gRPC gateway to every LLM.", no_args_is_help=True, pretty_exceptions_enable=False
)
config_app = typer.Typer(help="Check and describe configurations.", no_args_is_help=True)
app.add_typer(config_app, name="config")

_CONFIG_ERROR = 2
_CANNOT_RUN = 1


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(f"llmgateway-server {__version__}")
        raise typer.Exit


@app.command()
def serve(
    file: Annotated[
        Path | None,
        typer.Option("--config", help="YAML or TOML file; default: $LLMGATEWAY_CONFIG."),
    ] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Serve the embedded model; needs no key and no file.")
    ] = False,
    listen: Annotated[
        str | None, typer.Option(help="host:port or unix:PATH, over the configuration's.")
    ] = None,
) -> None:
    """Serve until SIGTERM, then drain."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    if demo and file is not None:
        _fail("--demo and --config exclude each other", _CONFIG_ERROR)
    environ = dict(os.environ)
    if listen is not None:
        environ["LLMGATEWAY__SERVER__LISTEN"] = listen
    with _told(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve_demo(environ) if demo else _serve_configured(file, environ))


@config_app.command()
def check(
    file: Annotated[Path | None, typer.Argument(help="Default: $LLMGATEWAY_CONFIG.")] = None,
) -> None:
    """Validate a configuration, resolve its references, show the effective routes."""
    with _told():
        plugins = installed_dialects()
        loaded = config.load_config(
            file,
            os.environ,
            dialects=bootstrap.option_models(plugins),
            strategies=installed_strategies(),
        )
    typer.echo(config.check_text(loaded))


@config_app.command()
def schema() -> None:
    """Print the configuration's JSON Schema, from which editors complete."""
    with _told():
        dialects = bootstrap.option_models(installed_dialects())
        strategies = installed_strategies()
    typer.echo(config.schema_json(dialects, strategies))


@config_app.command()
def example() -> None:
    """Print a commented configuration file."""
    typer.echo(config.example_yaml(), nl=False)


async def _serve_configured(file: Path | None, environ: Mapping[str, str]) -> None:
    plugins = installed_dialects()
    loaded = config.load_config(
        file,
        environ,
        dialects=bootstrap.option_models(plugins),
        strategies=installed_strategies(),
    )
    await bootstrap.serve(loaded, plugins, _announce(loaded.source))


async def _serve_demo(environ: Mapping[str, str]) -> None:
    plugins = installed_dialects()
    model = EmbeddedModel()
    try:
        tree = {
            "providers": {
                "demo": {
                    "preset": "llamacpp",
                    "base_url": await model.start(),
                    "models": {model.alias: {"display_name": "SmolLM2 135M Instruct"}},
                }
            },
            "routes": {"chat": {"targets": [f"demo/{model.alias}"]}},
            "default_route": "chat",
        }
        loaded = config.load_mapping(
            tree,
            environ,
            dialects=bootstrap.option_models(plugins),
            strategies=installed_strategies(),
            source="--demo",
        )
        await bootstrap.serve(loaded, plugins, _announce("the embedded model SmolLM2 135M"))
    finally:
        await model.stop()


def _announce(source: str) -> Callable[[Sequence[str]], None]:
    """Says that calls are taken, and where; scripts wait for this line."""
    return lambda addresses: typer.echo(
        f"llmgateway-server ready on {', '.join(addresses)} ({source})"
    )


@contextmanager
def _told() -> Iterator[None]:
    """Turns what a person can mend into a clear line and an exit code."""
    try:
        yield
    except (
        config.ConfigErrors,
        config.NothingConfigured,
        DialectLoadError,
        EmbeddedModelMissing,
        StrategyLoadError,
    ) as error:
        _fail(str(error), _CONFIG_ERROR)
    except (AddressInUseError, EmbeddedModelFailed) as error:
        _fail(str(error), _CANNOT_RUN)


def _fail(message: str, code: int) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(code)


def main() -> None:
    """Entry point of `llmgateway-server`."""
    app()
