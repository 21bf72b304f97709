import json

import pytest

from llmgateway import SERVICE_CONFIG, TLS, Client
from llmgateway._channel import Endpoint, is_local

LOCAL = [
    "127.0.0.1:50051",
    "127.9.9.9",
    "localhost:1",
    "[::1]:50051",
    "dns:///localhost:1",
    "dns:localhost:1",
    "ipv4:127.0.0.1:1",
    "ipv6:[::1]:1",
    "unix:/run/llmgateway.sock",
    "unix-abstract:name",
]
REMOTE = [
    "10.0.0.1:50051",
    "example.org",
    "localhost.example.org:1",
    "127.0.0.1.example.org:1",
    "dns:///gateway:1",
    "dns://127.0.0.1/gateway:1",
    "[2001:db8::1]:1",
    "0.0.0.0:1",
    "ipv4:127.0.0.1:1,10.0.0.1:1",
    "",
]


@pytest.mark.parametrize("address", LOCAL)
def test_a_local_address_is_local(address: str) -> None:
    assert is_local(address)


@pytest.mark.parametrize("address", REMOTE)
def test_any_other_address_is_not(address: str) -> None:
    assert not is_local(address)


@pytest.mark.parametrize("address", REMOTE)
def test_a_token_never_leaves_the_machine_in_the_clear(address: str) -> None:
    with pytest.raises(ValueError, match="use TLS"):
        Client(address, token="secret")


def test_a_token_is_a_header_on_loopback_and_a_call_credential_with_tls() -> None:
    plain = Endpoint("localhost:1", None, lambda: "secret", {"X-Team": "a"})
    assert plain.call_metadata({"x-request-id": "7"}) == (
        ("x-team", "a"),
        ("x-request-id", "7"),
        ("authorization", "Bearer secret"),
    )
    assert Endpoint("example.org:1", TLS(), "secret", {}).call_metadata(None) == ()


def test_no_secret_shows_in_a_repr() -> None:
    tls = TLS(certificate=b"chain", key=b"secret")
    endpoint = Endpoint("localhost:1", tls, "secret", {"x-key": "secret"})
    with Client("localhost:1", token="secret") as client:
        assert "secret" not in f"{tls!r} {endpoint!r} {client!r}"


def test_half_of_a_client_certificate_is_refused() -> None:
    with pytest.raises(ValueError, match="both"):
        TLS(certificate=b"chain")


def test_the_service_config_retries_unavailable_only_and_never_hedges() -> None:
    config = json.loads(SERVICE_CONFIG)
    (method,) = config["methodConfig"]
    assert method["retryPolicy"]["retryableStatusCodes"] == ["UNAVAILABLE"]
    assert method["retryPolicy"]["maxAttempts"] == 3
    assert config["retryThrottling"]["maxTokens"] > 0
    assert "hedgingPolicy" not in method
