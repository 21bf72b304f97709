"""What can be chosen about the bridge, and what cannot."""

import pytest

from llmgateway.sentient.settings import BridgeOptions, parse_size


@pytest.mark.parametrize(("text", "size"), [("64KiB", 65536), ("1MiB", 1048576)])
def test_sizes_have_units(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "1", "0KiB", "1 MiB", "1mib", "-1MiB", "1GB", "\u0661MiB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a size"):
        parse_size(text)


@pytest.mark.parametrize("origin", ["*", "https://a.example", "http://127.0.0.1:3000"])
def test_origins_are_scheme_host_and_port(origin: str) -> None:
    options = BridgeOptions(cors_origins=(origin,))
    assert options.allows_origin(origin)
    assert options.allows_origin("https://b.example") is (origin == "*")
    assert not BridgeOptions().allows_origin(origin)
    assert not BridgeOptions().allows_origin(None)


@pytest.mark.parametrize("origin", ["", "a.example", "https://a.example/", "https://a/b", "null"])
def test_an_origin_that_could_never_match_is_refused(origin: str) -> None:
    with pytest.raises(ValueError, match="is no origin"):
        BridgeOptions(cors_origins=(origin,))
