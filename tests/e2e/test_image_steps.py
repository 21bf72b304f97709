"""The Dockerfile's own steps in an empty folder: no container engine is needed to try them."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.dockerfile import DOCKERFILE, read_stages

CONFIG = """
server:
  listen: 127.0.0.1:0
providers:
  local:
    dialect: openai_chat
    base_url: http://127.0.0.1:9/v1
"""

pytestmark = pytest.mark.timeout(300)


class Image:
    """A folder that stands for the image's root; the Dockerfile's absolute paths lie in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        tools = root / "tools"
        tools.mkdir()
        # The base image's python3: the interpreter that this environment was made with.
        python = f"{sys.base_prefix}/bin/python{sys.version_info[0]}.{sys.version_info[1]}"
        (tools / "python3").write_text(f'#!/bin/sh\nexec "{python}" "$@"\n')
        (tools / "python3").chmod(0o755)
        self.environment = {
            name: value
            for name, value in os.environ.items()
            # How this machine reaches its package registry is the machine's business.
            if name.startswith(("PIP_", "SSL_", "HTTP", "http", "NO_PROXY", "no_proxy"))
        }
        self.environment |= {"PATH": f"{tools}:/usr/bin:/bin", "HOME": str(root / "home")}

    def inside(self, text: str) -> str:
        """Move the absolute paths of an instruction into the folder."""
        return re.sub(r"(?<![\w./])/(?=(opt|src|wheels)\b)", f"{self.root}/", text)

    def build(self) -> None:
        builder = read_stages()[0]
        environment = self.environment | builder.environment()
        folder = Path(self.inside(builder.only("WORKDIR").value))
        folder.mkdir()
        for line in builder.instructions:
            if line.name == "COPY":
                *sources, target = line.value.split()
                for source in sources:
                    copy(DOCKERFILE.parent / source, folder / target)
            elif line.name == "RUN":
                subprocess.run(
                    ["/bin/sh", "-ec", self.inside(line.value)],
                    cwd=folder,
                    env=environment,
                    check=True,
                )

    def files(self) -> dict[str, int]:
        venv = self.root / "opt/venv"
        return {str(path): path.stat().st_mtime_ns for path in venv.rglob("*")}


def copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        # Ours all go into folders.
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    image = Image(tmp_path_factory.mktemp("image"))
    image.build()
    return image


@pytest.fixture
def server(image: Image, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The entry point with the image's own command, on a free port; yields it and its address."""
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG)
    runtime = read_stages()[-1]
    (entry_point,) = runtime.only("ENTRYPOINT").exec_form()
    *command, _ = runtime.only("CMD").exec_form()
    with subprocess.Popen(
        [image.inside(entry_point), *command, str(config)],
        cwd="/",
        env=runtime.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if ready := re.search(r"ready on (\S+)", line):
                break
        else:
            pytest.fail("the server ended before it was ready: " + "".join(said))
        # It must not block on a full pipe while the test looks elsewhere.
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield process, ready[1]
        process.kill()


def test_the_steps_leave_both_commands_and_no_pip(image: Image) -> None:
    commands = {path.name for path in (image.root / "opt/venv/bin").iterdir()}

    assert {"llmgateway", "llmgateway-server"} <= commands
    assert not {name for name in commands if name.startswith("pip")}


def test_the_image_serves_passes_its_health_check_writes_nothing_and_drains(
    image: Image, server: tuple[subprocess.Popen[str], str]
) -> None:
    process, address = server
    before = image.files()
    runtime = read_stages()[-1]
    command, *arguments = runtime.only("HEALTHCHECK").exec_form()

    health = subprocess.run(
        [image.inside(command), *arguments],
        env=runtime.environment() | {"LLMGATEWAY_ADDRESS": address},
        capture_output=True,
        text=True,
        check=False,
    )
    process.send_signal(signal.Signals[runtime.only("STOPSIGNAL").value])

    assert health.returncode == 0, health.stdout + health.stderr
    assert process.wait(timeout=30) == 0
    assert image.files() == before
