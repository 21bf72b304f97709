"""Secrets: found where the configuration says, shown nowhere."""

import copy
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from llmgateway_server.config import Dialects, Secret, check_text, load_text
from support.strategies import STRATEGIES

ErrorsOf = Callable[..., list[str]]


def file_with(reference: str) -> str:
    return f"providers: {{p: {{dialect: plain, base_url: http://x, api_key: '{reference}'}}}}"


def write_pem(directory: Path) -> None:
    for name in ("server.pem", "callers.pem"):
        (directory / name).write_text(f"-----BEGIN CERTIFICATE-----\n{name}\n")
    (directory / "server.key").write_text("-----BEGIN PRIVATE KEY-----\nserver.key\n")


def test_a_secret_shows_itself_only_when_asked() -> None:
    secret = Secret("hunter2")
    assert secret.reveal() == "hunter2"
    assert {str(secret), repr(secret), f"{secret}", repr([secret])} == {"*" * 10, f"[{'*' * 10}]"}
    assert copy.deepcopy({"key": secret}) == {"key": secret}
    assert copy.copy(secret) == Secret("hunter2") != Secret("other")
    assert len({secret, Secret("hunter2")}) == 1
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(secret)


def test_references_lead_to_variables_and_to_files_beside_the_configuration(
    dialects: Dialects, tmp_path: Path
) -> None:
    (tmp_path / "key.txt").write_text("from a file\n".replace(" ", "-"))
    for reference, value in (("env:KEY", "from-env"), ("file:key.txt", "from-a-file")):
        loaded = load_text(
            file_with(reference),
            {"KEY": "from-env"},
            dialects=dialects,
            strategies=STRATEGIES,
            source="g.yaml",
            directory=tmp_path,
        )
        assert loaded.api_keys["p"].reveal() == value
        assert loaded.config.providers["p"].api_key == reference
        assert value not in repr(loaded) + check_text(loaded)


@pytest.mark.parametrize(
    ("reference", "error"),
    [
        ("env:MISSING", "the environment variable MISSING is not set"),
        ("env:EMPTY", "the environment variable EMPTY is empty"),
        ("env:MULTILINE", "env:MULTILINE holds a space, a line break or a character no HTTP"),
        ("file:missing.txt", "cannot read {directory}/missing.txt: No such file or directory"),
        ("file:empty.txt", "{directory}/empty.txt is empty"),
        ("file:binary.txt", "{directory}/binary.txt is not UTF-8 text"),
        ("file:large.txt", "{directory}/large.txt is larger than 1 MiB"),
        ("file:pipe", "{directory}/pipe is not a regular file"),
        ("file:.", "{directory} is not a regular file"),
        ("file:" + "x" * 300, "cannot read {directory}/" + "x" * 300 + ": File name too long"),
        ("env:sk-hunter2", "expected env:NAME or file:PATH; a literal secret is refused"),
        ("env:", "expected env:NAME or file:PATH; a literal secret is refused"),
        ("vault:x", "expected env:NAME or file:PATH; a literal secret is refused"),
    ],
)
def test_a_reference_that_leads_nowhere_says_why(
    errors_of: ErrorsOf, tmp_path: Path, reference: str, error: str
) -> None:
    (tmp_path / "empty.txt").write_text("\n")
    (tmp_path / "binary.txt").write_bytes(b"\xff")
    (tmp_path / "large.txt").write_bytes(b"x" * ((1 << 20) + 1))
    os.mkfifo(tmp_path / "pipe")
    environ = {"EMPTY": "", "MULTILINE": "hunter2\nhunter2"}
    (line,) = errors_of(file_with(reference), environ)
    assert "hunter2" not in line
    place = "gateway.yaml:1:53: providers.p.api_key: "
    assert line.startswith(place + error.format(directory=tmp_path))


def test_tls_material_is_read_and_its_key_kept_secret(dialects: Dialects, tmp_path: Path) -> None:
    write_pem(tmp_path)
    text = """\
server:
  listen: 0.0.0.0:50051
  tls: {certificate: file:server.pem, key: file:server.key, client_ca: file:callers.pem}
providers: {p: {dialect: plain, base_url: http://x}}
"""
    loaded = load_text(
        text, {}, dialects=dialects, strategies=STRATEGIES, source="g.yaml", directory=tmp_path
    )
    assert loaded.tls is not None
    assert loaded.tls.certificate == "-----BEGIN CERTIFICATE-----\nserver.pem"
    assert loaded.tls.key.reveal() == "-----BEGIN PRIVATE KEY-----\nserver.key"
    assert loaded.tls.client_ca == "-----BEGIN CERTIFICATE-----\ncallers.pem"
    assert "PRIVATE KEY" not in repr(loaded)


def test_tls_material_that_is_no_pem_is_refused_here_and_not_by_the_listener(
    errors_of: ErrorsOf, tmp_path: Path
) -> None:
    write_pem(tmp_path)
    text = """\
server:
  tls:
    certificate: file:server.key
    key: file:server.pem
    client_ca: file:missing.pem
providers: {p: {dialect: plain, base_url: http://x}}
"""
    missing = f"{tmp_path}/missing.pem"
    assert errors_of(text) == [
        "gateway.yaml:3:5: server.tls.certificate:"
        " file:server.key holds no PEM block with a certificate",
        "gateway.yaml:4:5: server.tls.key: file:server.pem holds no PEM block with a private key",
        f"gateway.yaml:5:5: server.tls.client_ca: cannot read {missing}: No such file or directory",
    ]


def test_tls_without_client_certificates_lets_everyone_in_and_so_needs_consent(
    errors_of: ErrorsOf, dialects: Dialects, tmp_path: Path
) -> None:
    write_pem(tmp_path)
    text = """\
server:
  listen: 0.0.0.0:50051
  tls: {certificate: file:server.pem, key: file:server.key}
providers: {p: {dialect: plain, base_url: http://x}}
"""
    (line,) = errors_of(text)
    assert line.startswith("gateway.yaml:2:3: server.listen: 0.0.0.0:50051 can be reached")
    consent = {"LLMGATEWAY__SERVER__INSECURE": "true"}
    loaded = load_text(
        text, consent, dialects=dialects, strategies=STRATEGIES, source="g.yaml", directory=tmp_path
    )
    assert loaded.tls is not None
    assert loaded.tls.client_ca is None
