"""Records what the real Sentient Agent Framework answers; run by hand, in its own environment.

    python -m venv framework && framework/bin/pip install sentient-agent-framework==0.3.0
    framework/bin/python tests/contract/sentient/record.py

Its DefaultServer serves an agent that plays each script of `scripts.json`; the bodies of the
answers go, byte for byte, to `<script>.sse`. Then every body of `bodies.json`, and what the server
says of it, goes to `answers.json`. It writes nothing else, and no test needs the framework.
"""

import asyncio
import importlib
import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ID = "01JAAAAAAAAAAAAAAAAAAAAAAA"
REQUEST = {
    "query": {"id": ID, "prompt": "Hello"},
    "session": {
        "processor_id": "sentient-chat-client",
        "activity_id": ID,
        "request_id": ID,
        "interactions": [],
    },
}


class ScriptedAgent:
    """Plays one script; as much of the framework's AbstractAgent as its server looks at."""

    name = "Scripted Agent"

    def __init__(self, script: list[list[Any]]) -> None:
        self.script = script

    async def assist(self, session: Any, query: Any, response_handler: Any) -> None:
        streams = {}
        for kind, *values in self.script:
            if kind == "stream":
                key, name = values
                streams[key] = response_handler.create_text_stream(name)
            elif kind == "chunk":
                key, text = values
                await streams[key].emit_chunk(text)
            elif kind == "end":
                await streams[values[0]].complete()
            else:
                emit = {
                    "block": response_handler.emit_text_block,
                    "json": response_handler.emit_json,
                    "error": response_handler.emit_error,
                }[kind]
                await emit(*values)
        await response_handler.complete()


async def answer(app: Any, body: bytes, content_type: str) -> tuple[int, bytes]:
    """The status and the body of `POST /assist`, as the server sends it."""
    status = 0
    out = bytearray()
    sent = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        if not sent:
            await asyncio.Future()  # the client stays
        return sent.pop()

    async def send(message: dict[str, Any]) -> None:
        nonlocal status
        status = message.get("status", status)
        out.extend(message.get("body", b""))

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "path": "/assist",
        "query_string": b"",
        "headers": [(b"content-type", content_type.encode())] if content_type else [],
    }
    await app(scope, receive, send)
    return status, bytes(out)


def server_app(script: list[list[Any]]) -> Any:
    # Not installed where types are checked.
    framework: Any = importlib.import_module("sentient_agent_framework")
    return framework.DefaultServer(ScriptedAgent(script))._app


async def main() -> None:
    scripts = json.loads((HERE / "scripts.json").read_text())
    for name, script in scripts.items():
        app = server_app(script)
        _, body = await answer(app, json.dumps(REQUEST).encode(), "application/json")
        (HERE / f"{name}.sse").write_bytes(body)
    app = server_app([])
    answers = {}
    for name, (content_type, text) in json.loads((HERE / "bodies.json").read_text()).items():
        status, body = await answer(app, text.encode(), content_type)
        answers[name] = [status, "" if status == 200 else body.decode()]
    lines = (f" {json.dumps(name)}: {json.dumps(said)}" for name, said in answers.items())
    (HERE / "answers.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    asyncio.run(main())
