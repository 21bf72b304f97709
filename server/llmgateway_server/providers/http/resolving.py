"""From a name to its addresses, by the system's resolver."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading

AddrInfo = tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int]]


async def resolve(host: str, port: int) -> list[AddrInfo]:
    """The addresses of a name; at least one.

    In a thread of its own, because a lookup cannot be cancelled and takes as long as a name server
    is silent. In a pool the names of two dead domains hold up those of everybody else: libuv, and
    with it uvloop, runs two lookups at a time.

    Raises:
        OSError: There is no such name, nobody who could tell, or no address.
        UnicodeError: The name is not valid.
    """
    loop = asyncio.get_running_loop()
    found: asyncio.Future[list[AddrInfo]] = loop.create_future()

    def tell(addresses: list[AddrInfo], failure: Exception | None) -> None:
        if found.done():
            return  # cancelled
        if failure is not None:
            found.set_exception(failure)
        elif addresses:
            found.set_result(addresses)
        else:
            found.set_exception(socket.gaierror(socket.EAI_NONAME, "no address"))

    def look_up() -> None:
        addresses: list[AddrInfo] = []
        failure: Exception | None = None
        try:
            addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)  # type: ignore[assignment]
        except (OSError, UnicodeError) as error:
            failure = error
        # Closed meanwhile, the loop has nobody left who waits.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(tell, addresses, failure)

    # A daemon, so that a silent name server does not hold up the end of the process.
    threading.Thread(target=look_up, name=f"resolve {host}", daemon=True).start()
    return await found
