"""Counting tokens without asking anybody: exact where the encoding is public, else estimated."""

from llmgateway_server.tokens.counter import OfflineCounter

__all__ = ["OfflineCounter"]
