"""How requests travel: a seam that tests and other libraries can take the place of."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from fotapool.client.errors import Response
from fotapool.client.forks import IMPORTING, renewed_in_children
from fotapool.client.network import Network
from fotapool.model import ConfigurationError

if TYPE_CHECKING:
    from fotapool.client.connections import Connections


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request ready to be sent: an absolute URL, all headers, the whole body."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None


class Transport(Protocol):
    """Carries one request and brings its answer. Must be thread-safe.

    One with a clock of its own may also have `pause(seconds)`, what waits between attempts, and
    `clock_s()`, by which the time for them is counted. One that goes only some ways may have
    `check(url)`, which raises ConfigurationError for others; a client asks it at once.
    """

    def send(self, request: HttpRequest, timeout_s: float) -> Response:
        """The answer, whatever its status; redirects are answers, not followed.

        Raises ConnectionFailed or TimedOut when there is none.
        """
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


class Urllib3Transport:
    """Pooled connections over urllib3. Thread-safe; a forked child opens its own.

    `send` and `check` raise ConfigurationError for a URL to which the network as it was told has
    no way: plain http beyond this machine, a proxy that cannot be used.
    """

    def __init__(self, network: Network | None = None) -> None:
        self.network: Network = network or Network()
        self._opening = threading.Lock()
        self._opened: Connections | None = None
        renewed_in_children(self)

    def check(self, url: str) -> None:
        self.network.check(url)

    def send(self, request: HttpRequest, timeout_s: float) -> Response:
        return self._open().send(request, timeout_s)

    def close(self) -> None:
        with self._opening:
            opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    def forked(self) -> None:
        """The connections are the parent's, and the lock may be held by a thread of its."""
        self._opening = threading.Lock()
        self._opened = None

    def _open(self) -> Connections:
        opened = self._opened
        if opened is None:
            with IMPORTING:
                # Imported here: it is half of what importing fotapool would cost.
                from fotapool.client.connections import Connections  # noqa: PLC0415

            with self._opening:
                if self._opened is None:
                    self._opened = Connections(self.network)
                opened = self._opened
        return opened


_stand_in: Transport | None = None


@contextmanager
def standing_in(transport: Transport) -> Iterator[None]:
    """While the block runs, this carries the calls of every client without its own transport.

    In the whole process, also for clients that were made before.
    """
    global _stand_in  # noqa: PLW0603 -- what the whole process shares is the purpose
    before, _stand_in = _stand_in, transport
    try:
        yield
    finally:
        _stand_in = before


class DefaultTransport:
    """What a client has that was given none: whoever stands in, else pooled connections."""

    def __init__(self, network: Network | None = None) -> None:
        self._pooled = Urllib3Transport(network)

    def check(self, url: str) -> None:
        if _stand_in is None:
            self._pooled.check(url)

    def send(self, request: HttpRequest, timeout_s: float) -> Response:
        return (_stand_in or self._pooled).send(request, timeout_s)

    def pause(self, seconds: float) -> None:
        pause(_stand_in, seconds)

    def clock_s(self) -> float:
        return clock_s(_stand_in)

    def close(self) -> None:
        self._pooled.close()


def refuse_beside(transport: object, network: Network) -> None:
    """Raises ConfigurationError for words about the network beside what is to carry instead."""
    if transport is not None and network.is_told:
        raise ConfigurationError(
            "proxy, ca_file, client_certificate, allow_http and connections_max are not heard "
            "beside a transport: give them to it, as in Urllib3Transport(Network(…))"
        )


def check(transport: object, url: str) -> None:
    """Raises ConfigurationError where it is known that a transport will not carry to a URL."""
    checked = getattr(transport, "check", None)
    if checked is not None:
        checked(url)


def pause(transport: Transport | None, seconds: float) -> None:
    """Wait as this transport waits."""
    getattr(transport, "pause", time.sleep)(seconds)


def clock_s(transport: object) -> float:
    """Seconds of the clock by which this transport waits; only differences mean something."""
    now_s: float = getattr(transport, "clock_s", time.monotonic)()
    return now_s


def stand_in() -> Transport | None:
    """Who stands in, if somebody does."""
    return _stand_in


def host_of(url: str) -> str:
    """Host and port of a URL."""
    return url.split("/")[2]
