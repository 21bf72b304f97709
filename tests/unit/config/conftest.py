from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel, Field

from llmgateway_server.config import ConfigErrors, Dialects, load_text
from support.strategies import STRATEGIES


class AcmeOptions(BaseModel):
    organization: str | None = Field(None, description="Sent as a header.")
    auth: Literal["bearer", "basic"] = Field("bearer", description="How the key is sent.")


@pytest.fixture
def dialects() -> Dialects:
    return {"acme": AcmeOptions, "plain": None}


@pytest.fixture
def errors_of(dialects: Dialects, tmp_path: Path) -> Callable[..., list[str]]:
    """The lines with which a file's text is refused."""

    def errors_of(
        text: str, environ: Mapping[str, str] | None = None, source: str = "gateway.yaml"
    ) -> list[str]:
        with pytest.raises(ConfigErrors) as raised:
            load_text(
                text,
                environ or {},
                dialects=dialects,
                strategies=STRATEGIES,
                source=source,
                directory=tmp_path,
            )
        assert len(raised.value.errors) == len(str(raised.value).splitlines())
        return str(raised.value).splitlines()

    return errors_of
