"""Sentient's server with an agent as its examples write it; its environment has nothing of ours."""

from __future__ import annotations

import sys

import httpx2
import uvicorn
from openai import AsyncOpenAI, DefaultAsyncHttpxClient
from sentient_agent_framework import (
    AbstractAgent,
    DefaultServer,
    Query,
    ResponseHandler,
    Session,
)


class _Agent(AbstractAgent):
    """Passes a stream of the provider on. The prompt is the name of the model."""

    def __init__(self, provider: int) -> None:
        super().__init__("bench")
        # No limits, which would otherwise be 1,000 connections, 100 of them kept.
        http = DefaultAsyncHttpxClient(limits=httpx2.Limits())
        url = f"http://127.0.0.1:{provider}/v1"
        self._provider = AsyncOpenAI(base_url=url, api_key="sk-benchmark", http_client=http)

    async def assist(
        self, session: Session, query: Query, response_handler: ResponseHandler
    ) -> None:
        answer = response_handler.create_text_stream("FINAL_RESPONSE")
        chunks = await self._provider.chat.completions.create(
            model=query.prompt, messages=[{"role": "user", "content": "hi"}], stream=True
        )
        async for chunk in chunks:
            if chunk.choices and (text := chunk.choices[0].delta.content):
                await answer.emit_chunk(text)
        await answer.complete()
        await response_handler.complete()


if __name__ == "__main__":
    port, provider = map(int, sys.argv[1:])
    # Not the server's own run(), which writes a line a request.
    app = DefaultServer(_Agent(provider))._app
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error", access_log=False)
