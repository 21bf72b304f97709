"""Secrets stay out of the configuration: it names where each one lies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from llmgateway_server.config.errors import HIDDEN, KeyPath
from llmgateway_server.config.reading import Document
from llmgateway_server.config.schema import Config

_MAX_BYTES: Final = 1 << 20


class Secret:
    """A value that no repr, log, pickle or traceback shows; `reveal` where it is sent."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself."""
        return self._value

    def __repr__(self) -> str:
        return HIDDEN

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is never pickled")


@dataclass(frozen=True, slots=True)
class TlsMaterial:
    """What the listener's TLS needs, in PEM."""

    certificate: str
    key: Secret
    client_ca: str | None


@dataclass(frozen=True, slots=True)
class Resolved:
    """What the references lead to."""

    api_keys: Mapping[str, Secret]
    """By provider; a provider without `api_key` is not in it."""
    tls: TlsMaterial | None


class _Unresolved(Exception):  # noqa: N818 - becomes a ConfigError with its place
    pass


class Resolver:
    """Follows references; files are relative to the configuration's directory."""

    def __init__(self, environ: Mapping[str, str], directory: Path, document: Document) -> None:
        self._environ = environ
        self._directory = directory
        self._document = document

    def resolve(self, config: Config) -> Resolved:
        """Every secret the configuration names; what cannot be had becomes the document's error."""
        api_keys = {
            name: self._api_key(("providers", name, "api_key"), provider.api_key)
            for name, provider in config.providers.items()
            if provider.api_key is not None
        }
        tls = config.server.tls
        if tls is None:
            return Resolved(api_keys, None)
        path = ("server", "tls")
        material = TlsMaterial(
            self._pem((*path, "certificate"), tls.certificate, "CERTIFICATE"),
            Secret(self._pem((*path, "key"), tls.key, "PRIVATE KEY")),
            self._pem((*path, "client_ca"), tls.client_ca, "CERTIFICATE")
            if tls.client_ca
            else None,
        )
        return Resolved(api_keys, material)

    def _api_key(self, path: KeyPath, reference: str) -> Secret:
        key = self._read(path, reference)
        if not (key.isascii() and key.isprintable()) or " " in key:
            # It would break the header it is sent in, far from here and with the key in the error.
            words = f"{reference} holds a space, a line break or a character no HTTP header carries"
            self._document.report(path, words)
        return Secret(key)

    def _pem(self, path: KeyPath, reference: str, label: str) -> str:
        text = self._read(path, reference)
        if text and f"{label}-----" not in text:
            # gRPC would only say that it could not listen.
            self._document.report(path, f"{reference} holds no PEM block with a {label.lower()}")
        return text

    def _read(self, path: KeyPath, reference: str) -> str:
        scheme, _, name = reference.partition(":")
        try:
            return self._variable(name) if scheme == "env" else self._file(name)
        except _Unresolved as error:
            self._document.report(path, str(error))
            return ""

    def _variable(self, name: str) -> str:
        value = self._environ.get(name, "")
        if not value:
            state = "empty" if name in self._environ else "not set"
            raise _Unresolved(f"the environment variable {name} is {state}")
        return value

    def _file(self, name: str) -> str:
        path = self._directory / name
        try:
            # A pipe or a device would hang or never end.
            if path.exists() and not path.is_file():
                raise _Unresolved(f"{path} is not a regular file")
            with path.open("rb") as file:
                content = file.read(_MAX_BYTES + 1)
            text = content.decode()
        except OSError as error:
            raise _Unresolved(f"cannot read {path}: {error.strerror or 'no such path'}") from None
        except ValueError:
            raise _Unresolved(f"{path} is not UTF-8 text") from None
        text = text.rstrip("\r\n")
        if not text or len(content) > _MAX_BYTES:
            raise _Unresolved(f"{path} is {'larger than 1 MiB' if text else 'empty'}")
        return text
