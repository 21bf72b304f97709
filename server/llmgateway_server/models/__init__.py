"""What is known of the vendors' models: a table in data files, with the date and the sources."""

from llmgateway_server.models.table import capabilities_of

__all__ = ["capabilities_of"]
