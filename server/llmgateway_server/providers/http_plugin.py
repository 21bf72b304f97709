"""The entry of a dialect over HTTP in the group `llmgateway.dialects`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from pydantic import BaseModel

from llmgateway_server.ports.provider import Provider, ProviderSettings
from llmgateway_server.providers.dialect import Dialect
from llmgateway_server.providers.http_provider import HttpProvider

Options = TypeVar("Options", bound=BaseModel)


class HttpDialectPlugin(Generic[Options]):
    """Makes HttpProviders of one dialect; see `DialectPlugin`."""

    def __init__(
        self, options: type[Options], make: Callable[[str, str, Options], Dialect]
    ) -> None:
        """Registers a dialect.

        Args:
            options: the model of its own keys in a provider's configuration.
            make: the dialect, of the provider's name, its base URL and its options.
        """
        self.options = options
        self._make = make

    def create(self, settings: ProviderSettings) -> Provider:
        """A provider that speaks the dialect.

        Raises:
            TypeError: the options are another dialect's.
            ValueError: the key cannot be sent in a header.
        """
        return HttpProvider(settings, self._dialect)

    def _dialect(self, settings: ProviderSettings) -> Dialect:
        options = settings.options
        if not isinstance(options, self.options):
            raise TypeError(f"providers.{settings.name}: not {self.options.__name__}")
        return self._make(settings.name, settings.base_url, options)
