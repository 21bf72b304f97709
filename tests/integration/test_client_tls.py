"""TLS between client and gateway, with a certificate authority of our own."""

from pathlib import Path

import grpc
import pytest
import trustme

from llmgateway import TLS, AsyncClient, Client, TransportError
from support.scripted_gateway import ScriptedGateway


def server_credentials(
    certificate: trustme.LeafCert, clients: bytes | None = None
) -> grpc.ServerCredentials:
    chain = b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
    return grpc.ssl_server_credentials(
        [(certificate.private_key_pem.bytes(), chain)],
        root_certificates=clients,
        require_client_auth=clients is not None,
    )


async def test_tls_with_a_root_of_our_own_carries_the_token(tmp_path: Path) -> None:
    authority = trustme.CA()
    roots = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(roots)
    with ScriptedGateway(server_credentials(authority.issue_cert("127.0.0.1"))) as gateway:
        with Client(gateway.address, tls=TLS(ca=roots), token="secret") as client:
            assert client.stream("Hi").response().text == "Hello"
        assert gateway.metadata["authorization"] == "Bearer secret"
        tls = TLS(ca=roots.read_bytes())
        async with AsyncClient(gateway.address, tls=tls, token=lambda: "other") as client:
            assert (await client.generate("Hi")).text == "Hello"
        assert gateway.metadata["authorization"] == "Bearer other"


def test_the_certificate_may_have_the_name_that_the_caller_says() -> None:
    authority = trustme.CA()
    roots = authority.cert_pem.bytes()
    certificate = authority.issue_cert("gateway.example.org")
    with ScriptedGateway(server_credentials(certificate)) as gateway:
        with Client(gateway.address, tls=TLS(ca=roots, authority="gateway.example.org")) as client:
            assert client.generate("Hi").text == "Hello"
        with (
            Client(gateway.address, tls=TLS(ca=roots), timeout=10) as client,
            pytest.raises(TransportError),
        ):
            client.generate("Hi")
        assert len(gateway.requests) == 1


def test_a_certificate_of_another_authority_is_refused() -> None:
    with ScriptedGateway(server_credentials(trustme.CA().issue_cert("127.0.0.1"))) as gateway:
        tls = TLS(ca=trustme.CA().cert_pem.bytes())
        with (
            Client(gateway.address, tls=tls, timeout=10, token="secret") as client,
            pytest.raises(TransportError),
        ):
            client.generate("Hi")
        assert gateway.requests == []


def test_mutual_tls_shows_the_clients_certificate() -> None:
    authority = trustme.CA()
    roots = authority.cert_pem.bytes()
    mine = authority.issue_cert("client.example.org")
    chain = b"".join(blob.bytes() for blob in mine.cert_chain_pems)
    credentials = server_credentials(authority.issue_cert("127.0.0.1"), clients=roots)
    with ScriptedGateway(credentials) as gateway:
        tls = TLS(ca=roots, certificate=chain, key=mine.private_key_pem.bytes())
        with Client(gateway.address, tls=tls) as client:
            assert client.generate("Hi").text == "Hello"
        with (
            Client(gateway.address, tls=TLS(ca=roots), timeout=10) as client,
            pytest.raises(TransportError),
        ):
            client.generate("Hi")
