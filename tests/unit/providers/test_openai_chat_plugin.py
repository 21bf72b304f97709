"""Dialects are found through their entry points, the built-in one like any other."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from llmgateway_server.ports.provider import ProviderSettings
from llmgateway_server.providers.dialect import (
    DialectLoadError,
    DialectPlugin,
    installed_dialects,
)
from llmgateway_server.providers.openai_chat import DIALECT, OpenAIChatOptions

PLUGIN: DialectPlugin = DIALECT


def install(directory: Path, distribution: str, entry: str) -> None:
    """What an installer leaves behind of a distribution with one dialect."""
    info = directory / f"{distribution}-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[llmgateway.dialects]\n{entry}\n")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Path]:
    sys.path.insert(0, str(tmp_path))
    yield tmp_path
    sys.path.remove(str(tmp_path))


def test_the_built_in_dialect_is_registered_like_any_other() -> None:
    assert installed_dialects()["openai_chat"] is DIALECT
    assert DIALECT.options is OpenAIChatOptions


def test_a_dialect_of_another_distribution_is_found(site: Path) -> None:
    (site / "third_party_dialect.py").write_text(
        "from pydantic import BaseModel\n"
        "class DIALECT:\n"
        "    options = BaseModel\n"
        "    @staticmethod\n"
        "    def create(settings): return None\n"
    )
    install(site, "third-party", "third = third_party_dialect:DIALECT")
    assert set(installed_dialects()) >= {"openai_chat", "third"}


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("broken = no_such_module:DIALECT", "cannot be imported"),
        ("broken = json:no_such_name", "cannot be imported"),
        ("broken = json:dumps", "is no dialect"),
        ("openai_chat = json:dumps", "two installed distributions"),
    ],
)
def test_a_dialect_that_cannot_be_used_is_named(site: Path, entry: str, reason: str) -> None:
    install(site, "third-party", entry)
    with pytest.raises(DialectLoadError, match=reason) as raised:
        installed_dialects()
    assert entry.partition(" ")[0] in str(raised.value)


class OtherOptions(BaseModel):
    """Those of another dialect."""


def test_options_of_another_dialect_are_refused() -> None:
    settings = ProviderSettings("up", "http://127.0.0.1/v1", None, OtherOptions())
    with pytest.raises(TypeError, match=r"providers\.up"):
        DIALECT.create(settings)


@pytest.mark.parametrize(
    "options",
    [{"organisation": "x"}, {"organization": "a\r\nx-evil: 1"}, {"api_version": "a&b=c"}],
)
def test_options_that_no_request_can_carry_are_refused(options: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        OpenAIChatOptions.model_validate(options)


def test_every_option_is_described() -> None:
    assert all(field.description for field in OpenAIChatOptions.model_fields.values())
