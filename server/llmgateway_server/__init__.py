"""llmgateway-server: a gRPC gateway to every LLM."""

__version__ = "0.1.0"
