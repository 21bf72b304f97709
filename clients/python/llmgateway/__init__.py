"""A typed client of the llmgateway gRPC gateway: one contract, every LLM.

from llmgateway import Client

with Client() as client, client.stream("Why is the sky blue?") as stream:
    for event in stream:
        print(event.text, end="")
    print(stream.response().route.provider)
"""

from llmgateway._aio import AsyncClient, AsyncStream
from llmgateway._channel import SERVICE_CONFIG, TLS
from llmgateway._client import Client, Stream
from llmgateway._embeddings import EmbeddingInput, Embeddings
from llmgateway._errors import (
    AuthenticationError,
    ContentBlockedError,
    ContextLengthError,
    DeadlineError,
    Failure,
    GatewayError,
    InternalError,
    InterruptedStreamError,
    InvalidRequestError,
    ModelNotFoundError,
    PermissionDeniedError,
    ProviderError,
    QuotaError,
    RateLimitError,
    TransportError,
    UnavailableError,
    Violation,
)
from llmgateway._events import (
    Continued,
    Event,
    Finished,
    Reasoning,
    Restarted,
    Start,
    Text,
    ToolCallFragment,
    UsageUpdate,
)
from llmgateway._fold import Fold
from llmgateway._input import (
    Prompt,
    assistant,
    image,
    system,
    tool,
    tool_result,
    user,
)
from llmgateway._response import FinishReason, Response
from llmgateway.v1.content_pb2 import ContentPart, Message, ToolCall
from llmgateway.v1.embedding_service_pb2 import EmbedRequest
from llmgateway.v1.generation_service_pb2 import (
    CountTokensResponse,
    GenerationInput,
    StreamOptions,
    ToolChoice,
    ToolDefinition,
)

__all__ = [
    "SERVICE_CONFIG",
    "TLS",
    "AsyncClient",
    "AsyncStream",
    "AuthenticationError",
    "Client",
    "ContentBlockedError",
    "ContentPart",
    "ContextLengthError",
    "Continued",
    "CountTokensResponse",
    "DeadlineError",
    "EmbedRequest",
    "EmbeddingInput",
    "Embeddings",
    "Event",
    "Failure",
    "FinishReason",
    "Finished",
    "Fold",
    "GatewayError",
    "GenerationInput",
    "InternalError",
    "InterruptedStreamError",
    "InvalidRequestError",
    "Message",
    "ModelNotFoundError",
    "PermissionDeniedError",
    "Prompt",
    "ProviderError",
    "QuotaError",
    "RateLimitError",
    "Reasoning",
    "Response",
    "Restarted",
    "Start",
    "Stream",
    "StreamOptions",
    "Text",
    "ToolCall",
    "ToolCallFragment",
    "ToolChoice",
    "ToolDefinition",
    "TransportError",
    "UnavailableError",
    "UsageUpdate",
    "Violation",
    "assistant",
    "image",
    "system",
    "tool",
    "tool_result",
    "user",
]
