"""From a file and the environment to a checked configuration, or to every error at once."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmgateway_server.config.contradictions import contradictions
from llmgateway_server.config.environment import FILE_VARIABLE, apply_overrides, from_well_known
from llmgateway_server.config.errors import ConfigError, ConfigErrors, Origin
from llmgateway_server.config.presets import apply_presets
from llmgateway_server.config.reading import MAX_BYTES, Document, parse
from llmgateway_server.config.references import Resolver, Secret, TlsMaterial
from llmgateway_server.config.schema import Config
from llmgateway_server.config.validation import Dialects, validate


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A configuration that holds together, with what its references lead to."""

    config: Config
    api_keys: Mapping[str, Secret]
    """By provider; a provider without `api_key` is not in it."""
    tls: TlsMaterial | None
    version: str
    """12 hex digits that change with the effective configuration; secrets have no part in it."""
    source: str
    """The file's name, or `environment`."""


def load_config(
    path: Path | None,
    environ: Mapping[str, str],
    *,
    dialects: Dialects,
    strategies: Collection[str],
) -> LoadedConfig:
    """Loads the file, else the one LLMGATEWAY_CONFIG names, else the well-known variables.

    Args:
        path: The file, YAML or (by its name) TOML.
        environ: The environment; LLMGATEWAY__A__B sets the key a.b over the file.
        dialects: The installed dialects with the models of their own options.
        strategies: The names of the installed routing strategies.

    Raises:
        ConfigErrors: everything that is wrong.
        NothingConfigured: neither a file nor a well-known variable is there.
    """
    if path is None and environ.get(FILE_VARIABLE):
        path = Path(environ[FILE_VARIABLE])
    if path is None:
        document = from_well_known(environ, dialects)
        return _load(document, environ, dialects=dialects, strategies=strategies, directory=Path())
    return load_text(
        _read(path),
        environ,
        dialects=dialects,
        strategies=strategies,
        source=str(path),
        directory=path.parent,
    )


def load_text(
    text: str,
    environ: Mapping[str, str],
    *,
    dialects: Dialects,
    strategies: Collection[str],
    source: str,
    directory: Path,
) -> LoadedConfig:
    """Loads a file's text; files that it refers to are relative to the directory.

    Raises:
        ConfigErrors: everything that is wrong.
    """
    document = parse(text, source)
    return _load(document, environ, dialects=dialects, strategies=strategies, directory=directory)


def load_mapping(
    tree: dict[str, Any],
    environ: Mapping[str, str],
    *,
    dialects: Dialects,
    strategies: Collection[str],
    source: str,
) -> LoadedConfig:
    """Loads a configuration that the program made, such as the demo's; variables still override.

    Raises:
        ConfigErrors: everything that is wrong.
    """
    document = Document(source, copy.deepcopy(tree))
    return _load(document, environ, dialects=dialects, strategies=strategies, directory=Path())


def _load(
    document: Document,
    environ: Mapping[str, str],
    *,
    dialects: Dialects,
    strategies: Collection[str],
    directory: Path,
) -> LoadedConfig:
    apply_overrides(document, environ)
    apply_presets(document, dialects)
    config = validate(document, dialects)
    if config is not None:
        for path, message in contradictions(config, document, strategies):
            document.report(path, message)
        resolved = Resolver(environ, directory, document).resolve(config)
    if config is None or document.errors:
        raise ConfigErrors(sorted(document.errors, key=_place))
    version = hashlib.sha256(config.model_dump_json().encode()).hexdigest()[:12]
    return LoadedConfig(config, resolved.api_keys, resolved.tls, version, document.source)


def _place(error: ConfigError) -> tuple[bool, int, int, str]:
    origin = error.origin
    return origin.line is None, origin.line or 0, origin.column or 0, str(error)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no such path"
        raise _unreadable(path, f"cannot read the file: {reason}") from None
    if len(content) > MAX_BYTES:
        raise _unreadable(path, "the file is larger than 1 MiB")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _unreadable(path, "the file is not UTF-8 text", line) from None


def _unreadable(path: Path, message: str, line: int | None = None) -> ConfigErrors:
    return ConfigErrors([ConfigError(Origin(str(path), line), (), message)])
