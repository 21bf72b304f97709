"""A network of its own behind a cable: what is lost on it is lost to nobody else.

Only sockets live there: a thread goes in, makes one and comes back, and the event loop serves the
socket like any other. Needs root and the commands ip, iptables and tc.
"""

from __future__ import annotations

import ctypes
import ipaddress
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

_CLONE_NEWNET = 0x40000000
# For tests of network devices (RFC 2544), so nobody's. Each process has four addresses of its own.
_RESOLVER = "127.0.0.1"
_NETWORK = ipaddress.ip_network("198.18.0.0/15")


class Namespace:
    """The far end of a cable whose near end is in this machine's own network.

    Attributes:
        here: this side's address.
        there: the far side's.
    """

    def __init__(self, name: str, cable: str) -> None:
        first = int(_NETWORK.network_address) + 4 * (os.getpid() % (_NETWORK.num_addresses // 4))
        self.here, self.there = (str(ipaddress.ip_address(first + each)) for each in (1, 2))
        self._name = name
        self._cable = cable

    def run(self, *command: str) -> None:
        """Runs a command on the far side."""
        _run("ip", "netns", "exec", self._name, *command)

    def drop(self, *match: str) -> None:
        """Swallows what arrives there, of what iptables' words match."""
        self.run("iptables", "-A", "INPUT", *match, "-j", "DROP")

    def vanish(self) -> None:
        """Neither gives nor takes another packet: a machine that lost its power."""
        for chain in ("INPUT", "OUTPUT"):
            self.run("iptables", "-I", chain, "-j", "DROP")

    def throttle(self, rate: str) -> None:
        """Lets no more through than this rate, in tc's words, towards this side."""
        words = ("rate", rate, "burst", "4kb", "latency", "400ms")
        self.run("tc", "qdisc", "add", "dev", f"{self._cable}b", "root", "tbf", *words)

    def tcp_socket(self) -> socket.socket:
        """A TCP socket of the far side."""
        return self._socket(socket.SOCK_STREAM, socket.IPPROTO_TCP)

    def listener(self) -> socket.socket:
        """A socket that is bound to a port there."""
        made = self.tcp_socket()
        made.bind((self.there, 0))
        return made

    def name_server(self) -> socket.socket:
        """A socket that is bound to where processes there ask for names; see `within`."""
        made = self._socket(socket.SOCK_DGRAM, socket.IPPROTO_UDP)
        made.bind((_RESOLVER, 53))
        return made

    def within(self, directory: Path) -> tuple[str, ...]:
        """What to put before a command so that it runs there, and asks `name_server` for names.

        Args:
            directory: for a file that stands in for the system's own while the command runs.
        """
        file = directory / "resolv.conf"
        file.write_text(f"nameserver {_RESOLVER}\noptions timeout:5 attempts:1\n")
        script = f'mount --bind "$0" /etc/resolv.conf && exec ip netns exec {self._name} "$@"'
        return ("unshare", "--mount", "sh", "-c", script, str(file))

    def _socket(self, kind: socket.SocketKind, protocol: int) -> socket.socket:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(self._made_there, kind, protocol).result()

    def _made_there(self, kind: socket.SocketKind, protocol: int) -> socket.socket:
        # The thread that goes in ends, so it need not come back.
        libc = ctypes.CDLL(None, use_errno=True)
        with Path(f"/run/netns/{self._name}").open("rb") as file:
            if libc.setns(file.fileno(), _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
        # Without its protocol asyncio would not set TCP_NODELAY.
        return socket.socket(type=kind, proto=protocol)


@contextmanager
def namespace() -> Iterator[Namespace]:
    """A namespace with its cable, for as long as the block lasts."""
    name = f"llmgateway-{os.getpid()}"
    cable = f"llmgw{os.getpid() % 100_000}"
    _run("ip", "netns", "add", name)
    try:
        far = f"{cable}b"
        _run("ip", "link", "add", f"{cable}a", "type", "veth", "peer", "name", far, "netns", name)
        made = Namespace(name, cable)
        _run("ip", "address", "add", f"{made.here}/30", "dev", f"{cable}a")
        _run("ip", "link", "set", f"{cable}a", "up")
        made.run("ip", "address", "add", f"{made.there}/30", "dev", far)
        made.run("ip", "link", "set", far, "up")
        made.run("ip", "link", "set", "lo", "up")
        yield made
    finally:
        # Sockets that are not closed yet keep a namespace, and with it the cable's far end.
        subprocess.run(("ip", "link", "delete", f"{cable}a"), check=False, capture_output=True)
        _run("ip", "netns", "delete", name)


def why_not() -> str:
    """Why this machine cannot have namespaces; empty where it can."""
    if os.geteuid() != 0:
        return "not root, so no network namespaces"
    missing = [name for name in ("ip", "iptables", "tc") if shutil.which(name) is None]
    if missing:
        return f"no network namespaces without {', '.join(missing)}"
    try:
        with namespace() as made:
            made.drop("-p", "tcp", "--dport", "9")
    except subprocess.CalledProcessError as error:
        return f"no network namespaces here: {error.stderr.strip()}"
    return ""


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=20)
