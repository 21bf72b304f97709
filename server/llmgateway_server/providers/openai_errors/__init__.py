"""What went wrong at OpenAI and at the servers that imitate it, whatever API was called."""

from llmgateway_server.providers.openai_errors.failure import failure_in_answer, failure_of_response

__all__ = ["failure_in_answer", "failure_of_response"]
