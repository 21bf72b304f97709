"""What the image promises, read off the Dockerfile; `tests/e2e` runs its steps."""

import fnmatch
import re
from pathlib import Path

from support.dockerfile import DOCKERFILE, Stage, read_stages

REPOSITORY = DOCKERFILE.parent
KNOWN = {
    "FROM", "LABEL", "ENV", "WORKDIR", "COPY", "RUN", "USER", "EXPOSE", "STOPSIGNAL",
    "HEALTHCHECK", "ENTRYPOINT", "CMD",
}  # fmt: skip


def builder() -> Stage:
    return read_stages()[0]


def runtime() -> Stage:
    return read_stages()[-1]


def test_only_known_instructions_are_used_and_nothing_is_fetched_by_address() -> None:
    used = {line.name for stage in read_stages() for line in stage.instructions}

    # ADD fetches addresses and unpacks archives; SHELL and ONBUILD change what the rest means.
    assert used <= KNOWN
    assert "://" not in DOCKERFILE.read_text()


def test_the_image_is_built_in_one_stage_and_runs_in_another() -> None:
    assert len(read_stages()) == 2
    assert [line.value for line in runtime().all("COPY")] == ["--from=builder /opt/venv /opt/venv"]
    assert builder().image == runtime().image


def test_the_base_is_named_by_a_tag_that_cannot_move_to_another_python() -> None:
    assert re.fullmatch(r"python:3\.\d+-slim-\w+", runtime().image)


def test_every_package_is_installed_from_a_lock_or_from_our_own_wheels() -> None:
    installs = [
        command
        for line in builder().all("RUN")
        for command in line.value.split("&&")
        if " install " in command
    ]

    assert len(installs) == 3
    for command in installs:
        assert re.search(
            r"--require-hashes -r requirements/\w+\.lock|--no-deps --no-index", command
        )


def test_the_process_is_an_unprivileged_numbered_user_and_no_pip_is_left() -> None:
    names = [line.name for line in runtime().instructions]

    assert runtime().only("USER").value == "65532:65532"
    assert "RUN" not in names[names.index("USER") :]
    assert runtime().only("RUN").value.startswith("python3 -m pip uninstall --yes pip")
    assert "--without-pip /opt/venv" in builder().all("RUN")[0].value


def test_the_server_is_the_first_process_and_gets_the_signal_that_drains() -> None:
    assert runtime().only("ENTRYPOINT").exec_form() == ["/opt/venv/bin/llmgateway-server"]
    assert runtime().only("CMD").exec_form()[0] == "serve"
    assert runtime().only("STOPSIGNAL").value == "SIGTERM"


def test_the_health_check_needs_no_shell_and_asks_the_exposed_port() -> None:
    assert runtime().only("HEALTHCHECK").exec_form() == ["/opt/venv/bin/llmgateway", "health"]
    port = runtime().only("EXPOSE").value
    assert runtime().environment()["LLMGATEWAY_ADDRESS"] == f"127.0.0.1:{port}"


def test_nothing_is_written_when_the_root_file_system_is_read_only() -> None:
    assert runtime().environment()["PYTHONDONTWRITEBYTECODE"] == "1"
    assert not runtime().all("VOLUME")


def test_all_that_is_copied_exists_and_is_let_through_by_dockerignore() -> None:
    rules = (REPOSITORY / ".dockerignore").read_text().splitlines()
    let_through = [rule[1:] for rule in rules if rule.startswith("!")]
    sources = [Path(name) for line in builder().all("COPY") for name in line.value.split()[:-1]]

    assert "*" in rules
    for source in sources:
        assert (REPOSITORY / source).exists()
        ancestors = (str(source), *map(str, source.parents))
        assert any(fnmatch.fnmatch(name, rule) for name in ancestors for rule in let_through)
