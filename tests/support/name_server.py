"""A name server that answers by the first label of the name it is asked for."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

_RESPONSE = 0x8180
_NAME_ERROR = 3
_ADDRESS, _INTERNET = 1, 1


class _Serving(asyncio.DatagramProtocol):
    def __init__(self, address: str, slow: float) -> None:
        self._address = socket.inet_aton(address)
        self._slow = slow

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        label = data[13 : 13 + data[12]].decode()
        match label:
            case "unknown":
                self._transport.sendto(self._reply(data, code=_NAME_ERROR), addr)
            case "empty":
                self._transport.sendto(self._reply(data), addr)
            case "silent":
                pass
            case _:
                reply = self._reply(data, self._address)
                asyncio.get_running_loop().call_later(
                    self._slow if label == "slow" else 0.0, self._transport.sendto, reply, addr
                )

    def _reply(self, query: bytes, address: bytes = b"", *, code: int = 0) -> bytes:
        """RFC 1035, section 4.1; an address only to those who ask for one of IPv4."""
        end = query.index(0, 12) + 5
        question = query[12:end]
        kind = int.from_bytes(question[-4:-2])
        answer = b""
        if address and kind == _ADDRESS:
            answer = struct.pack(">HHHIH", 0xC00C, _ADDRESS, _INTERNET, 5, 4) + address
        counts = struct.pack(">HHHH", 1, bool(answer), 0, 0)
        return query[:2] + struct.pack(">H", _RESPONSE | code) + counts + question + answer


@asynccontextmanager
async def name_server(sock: socket.socket, address: str, *, slow: float) -> AsyncIterator[None]:
    """Serves names on a socket.

    Args:
        sock: a bound UDP socket.
        address: what names resolve to, but for those that begin with `unknown`, `empty` (the name
            is there, without an address) or `silent` (no reply).
        slow: seconds until the reply for a name that begins with `slow`.
    """
    loop = asyncio.get_running_loop()
    sock.setblocking(False)
    transport, _ = await loop.create_datagram_endpoint(lambda: _Serving(address, slow), sock=sock)
    try:
        yield
    finally:
        transport.close()
