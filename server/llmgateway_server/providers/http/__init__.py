"""The one outbound HTTP client: httpx's types and interface over connections of our own.

httpx's own pool stays out: it dies for good under cancelled requests, and a gateway cancels all
day. What there is instead is small: asyncio's sockets, llhttp's parser (httptools), a pool.
"""

from llmgateway_server.providers.http.response import ResponseBody, StaleConnectionError
from llmgateway_server.providers.http.transport import HttpTransport

__all__ = ["HttpTransport", "ResponseBody", "StaleConnectionError"]
