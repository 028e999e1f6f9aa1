"""How requests travel: a seam that tests and other libraries can take the place of."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from fotapool.client.errors import ConnectionFailed, Response, TimedOut

CONNECT_TIMEOUT_S = 5.0
POOL_SIZE = 32


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
    `clock_s()`, by which the time for them is counted.
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
    """Pooled connections over urllib3."""

    def __init__(self) -> None:
        # Imported here: it is half of what importing fotapool would cost.
        import urllib3  # noqa: PLC0415

        self._urllib3 = urllib3
        self._pool = urllib3.PoolManager(maxsize=POOL_SIZE, retries=False)

    def send(self, request: HttpRequest, timeout_s: float) -> Response:
        errors = self._urllib3.exceptions
        timeout = self._urllib3.Timeout(connect=min(CONNECT_TIMEOUT_S, timeout_s), read=timeout_s)
        try:
            answer = self._pool.request(
                request.method,
                request.url,
                body=request.body,
                headers=request.headers,
                timeout=timeout,
                redirect=False,
            )
        except errors.NewConnectionError as error:
            raise ConnectionFailed(
                f"cannot connect to {host_of(request.url)}: {error}", sent=False
            ) from error
        except errors.ConnectTimeoutError as error:
            raise TimedOut(
                f"no connection to {host_of(request.url)} in time", sent=False
            ) from error
        except errors.TimeoutError as error:
            raise TimedOut(
                f"{host_of(request.url)} did not answer within {timeout_s:g} s", sent=True
            ) from error
        except errors.HTTPError as error:
            raise ConnectionFailed(
                f"the connection to {host_of(request.url)} broke: {error}", sent=True
            ) from error
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Response(answer.status, headers, answer.data)

    def close(self) -> None:
        self._pool.clear()


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

    def __init__(self) -> None:
        self._pooled: Urllib3Transport | None = None
        self._making = threading.Lock()

    def send(self, request: HttpRequest, timeout_s: float) -> Response:
        if _stand_in is not None:
            return _stand_in.send(request, timeout_s)
        with self._making:
            pooled = self._pooled = self._pooled or Urllib3Transport()
        return pooled.send(request, timeout_s)

    def pause(self, seconds: float) -> None:
        pause(_stand_in, seconds)

    def clock_s(self) -> float:
        return clock_s(_stand_in)

    def close(self) -> None:
        if self._pooled is not None:
            self._pooled.close()


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
