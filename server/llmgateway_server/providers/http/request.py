"""A request's first bytes."""

from __future__ import annotations

import re

import httpx

from llmgateway_server.providers.http.connecting import Origin

# These follow from the body and from our rules, not from the request's headers.
_DROPPED = frozenset(
    {b"accept-encoding", b"connection", b"content-length", b"expect", b"transfer-encoding"}
)
# Header fields, RFC 9110 section 5: no name and no value can begin another one.
_FIELDS = re.compile(rb"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+: [^\x00-\x08\x0a-\x1f\x7f]*\r\n)*")
_METHOD = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_BODILESS = frozenset({"GET", "HEAD", "OPTIONS", "DELETE", "TRACE"})


def origin_of(url: httpx.URL) -> Origin:
    """Where a request goes.

    Raises:
        httpx.UnsupportedProtocol: The URL is no HTTP URL.
    """
    scheme, host = url.scheme, url.raw_host.decode("ascii")
    if scheme not in ("http", "https") or not host:
        raise httpx.UnsupportedProtocol("the URL has to start with http or https and name a host")
    is_tls = scheme == "https"
    return Origin(is_tls, host, url.port or (443 if is_tls else 80))


def head_of(request: httpx.Request, size: int) -> bytes:
    """Request line and header of a request whose body has `size` bytes.

    Raises:
        httpx.LocalProtocolError: Its method or a header cannot be sent.
    """
    method = request.method.encode()
    lines = [
        b"%b: %b\r\n" % (name, value)
        for name, value in request.headers.raw
        if name.lower() not in _DROPPED
    ]
    fields = b"".join(lines)
    # One match for all of them; the count catches a value that brings a line of its own.
    is_valid = _FIELDS.fullmatch(fields) and fields.count(b"\n") == len(lines)
    if not is_valid or not _METHOD.fullmatch(method):
        raise httpx.LocalProtocolError("the request's method or headers are not valid")
    length = b"content-length: %d\r\n" % size if size or request.method not in _BODILESS else b""
    return b"%b %b HTTP/1.1\r\n%baccept-encoding: identity\r\n%b\r\n" % (
        method,
        request.url.raw_path,
        fields,
        length,
    )
