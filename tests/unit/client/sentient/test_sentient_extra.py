"""The framework is an extra, and whoever misses it is told which."""

import importlib

import pytest


def test_the_agent_names_the_extra_that_it_needs() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'llmgateway\[sentient\]'"):
        importlib.import_module("llmgateway.sentient.agent")
