"""What an OpenAI-compatible server says: chunks, whole answers, errors, and every way to fail."""

from support.openai.chunks import (
    ToolCall,
    error_body,
    error_chunk,
    finish_chunk,
    reasoning_chunk,
    role_chunk,
    text_chunk,
    tool_head_chunk,
    tool_piece_chunk,
    usage_chunk,
)
from support.openai.errors import HTTP_ERRORS, HttpError
from support.openai.faults import CONTENT, FAULTS
from support.openai.scripts import (
    REQUEST_ID,
    error,
    plain_completion,
    respond_json,
    start_stream,
    stream_chunks,
    stream_text,
    stream_tools,
)

__all__ = [
    "CONTENT",
    "FAULTS",
    "HTTP_ERRORS",
    "REQUEST_ID",
    "HttpError",
    "ToolCall",
    "error",
    "error_body",
    "error_chunk",
    "finish_chunk",
    "plain_completion",
    "reasoning_chunk",
    "respond_json",
    "role_chunk",
    "start_stream",
    "stream_chunks",
    "stream_text",
    "stream_tools",
    "text_chunk",
    "tool_head_chunk",
    "tool_piece_chunk",
    "usage_chunk",
]
