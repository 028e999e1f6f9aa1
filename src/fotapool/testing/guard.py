"""Keeps a test from the network: a call to another host fails the test, by name."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

EVERY_HOST = "*"

_CONNECTS = ("connect", "connect_ex")


class OtherHostCalled(AssertionError):
    """Something tried to reach a host that the test does not allow.

    No OSError: what takes those for a bad network would try again instead of failing.
    """


class Guard:
    """Which hosts may be reached, and which were tried all the same. Thread-safe.

    This machine itself may always be reached.
    """

    def __init__(self, test: str, allowed: Iterable[str] = ()) -> None:
        self._test = test
        self._allowed = set(allowed)
        self._resolved: set[str] = set()
        self.refused: list[str] = []

    def allows(self, host: str) -> bool:
        """Whether a host, by its name or address, may be reached."""
        if EVERY_HOST in self._allowed or is_local(host):
            return True
        return host in self._allowed or host in self._resolved

    def names(self, *hosts: str) -> bool:
        """Whether one of these was allowed by name, and not only because it is near."""
        return any(host in self._allowed for host in hosts)

    def allow(self, host: str) -> None:
        """Let a host be reached from now on."""
        self._allowed.add(host)

    def resolved(self, address: str) -> None:
        """Let an address be reached: it is that of a host which may."""
        self._resolved.add(address)

    def check(self, host: str, port: object) -> None:
        """Raises OtherHostCalled."""
        if not self.allows(host):
            self.refused.append(f"{host}:{port}")
            raise OtherHostCalled(self.told(f"{host}:{port}"))

    def verify(self) -> None:
        """Raises OtherHostCalled where another host was tried, even if that was caught."""
        if self.refused:
            tried, self.refused = self.refused, []
            raise OtherHostCalled(self.told(", ".join(dict.fromkeys(tried))))

    def told(self, tried: str) -> str:
        host = tried.rpartition(":")[0]
        return (
            f"{self._test} tried to reach {tried}, and only the emulator answers here. "
            f'If it must: @pytest.mark.fota(allow_hosts=["{host}"]), '
            f'or emulated(allow_hosts=["{host}"])'
        )


def is_local(host: str) -> bool:
    """Whether a host is this machine."""
    if host in ("", "localhost", "0.0.0.0", "::"):  # noqa: S104 -- recognised, not bound
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host.endswith(".localhost")


@contextmanager
def guarding(guard: Guard) -> Iterator[Guard]:
    """While the block runs, sockets of this process reach only what the guard allows."""
    resolve = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *arguments: Any, **named: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name and not _is_address(name):
            guard.check(name, port)
        found = resolve(host, port, *arguments, **named)
        if name and guard.allows(name):
            for *_, address in found:
                guard.resolved(str(address[0]))
        return found

    # The class that everyone's sockets are of; its base has these methods, or a guard around us.
    before = {name: vars(socket.socket).get(name) for name in _CONNECTS}
    socket.getaddrinfo = getaddrinfo
    for name in _CONNECTS:
        setattr(socket.socket, name, _checked(guard, getattr(socket.socket, name)))
    try:
        yield guard
    finally:
        socket.getaddrinfo = resolve
        for name, method in before.items():
            if method is None:
                delattr(socket.socket, name)
            else:
                setattr(socket.socket, name, method)


def _checked(guard: Guard, connect: Callable[..., Any]) -> Callable[..., Any]:
    def connect_checked(self: socket.socket, address: Any) -> Any:
        if isinstance(address, tuple) and self.family in (socket.AF_INET, socket.AF_INET6):
            try:
                guard.check(str(address[0]), address[1])
            except OtherHostCalled:
                self.close()  # whoever opened it looks for an OSError, and would leave it open
                raise
        return connect(self, address)

    return connect_checked


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
