"""What models cost: the price list of genai-prices, and what the configuration says instead."""

from llmgateway_server.pricing.book import GenaiPriceBook

__all__ = ["GenaiPriceBook"]
