"""An upstream's script that counts what it was asked, and when."""

import asyncio
from collections.abc import Callable, Sequence
from itertools import pairwise

from support.upstream import Conn, Script


class Recorder:
    """Plays one script a request, in turn; the last of them again and again.

    `times` holds when each request came, as loop time.
    """

    def __init__(self, *scripts: Script) -> None:
        self.times: list[float] = []
        self._scripts = scripts

    async def __call__(self, conn: Conn) -> None:
        """Answers a request."""
        self.times.append(asyncio.get_running_loop().time())
        turn = min(len(self.times), len(self._scripts)) - 1
        await self._scripts[turn](conn)

    @property
    def count(self) -> int:
        """How many requests came."""
        return len(self.times)

    @property
    def gaps(self) -> Sequence[float]:
        """The seconds between one request and the next."""
        return [later - earlier for earlier, later in pairwise(self.times)]


def after(seconds: float, script: Script) -> Script:
    """The script, once that much time has passed."""

    async def waiting(conn: Conn) -> None:
        await conn.sleep(seconds)
        await script(conn)

    return waiting


def until_then(holds: Callable[[], bool], before: Script, later: Script) -> Script:
    """One script while something holds, another one after that."""

    async def either(conn: Conn) -> None:
        await (before if holds() else later)(conn)

    return either
