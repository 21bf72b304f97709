"""The client's own tests on protobuf 6; everything else here runs them on protobuf 7."""

import asyncio
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


async def run(*command: str | Path) -> str:
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    return out.decode()


@pytest.mark.timeout(300)
async def test_the_client_works_on_protobuf_6(tmp_path: Path) -> None:
    environment = tmp_path / "venv"
    await run(sys.executable, "-m", "venv", environment)
    python = environment / "bin" / "python"
    await run(
        *(python, "-m", "pip", "install", "--quiet", "--require-hashes"),
        *("-r", "requirements/client-protobuf6.lock"),
    )
    site = (await run(python, "-c", "import site; print(site.getsitepackages()[0])")).strip()
    (Path(site) / "client.pth").write_text(f"{ROOT / 'clients' / 'python'}\n")
    version = await run(python, "-c", "import google.protobuf as p; print(p.__version__)")
    assert version.startswith("6.")
    tests = [ROOT / "tests/unit/client", *sorted(ROOT.glob("tests/integration/test_client*.py"))]
    out = await run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests)
    assert " passed" in out
