"""The emulator in place of the network: a transport without a socket, sync and async."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from fotapool.client import ConnectionFailed, HttpRequest, Response, TimedOut
from fotapool.testing.clock import EmulatorClock
from fotapool.testing.exchange import Answer, Cut

API = "/api/"

Exchange = Callable[[str, str, str, Mapping[str, str], bytes], Answer]
"""Method, path, query, headers and body to what comes back."""


class InProcessTransport:
    """Carries requests straight to an emulator, whatever host they name. Thread-safe.

    Time that an answer would take passes on the emulator's clock, not in the test.
    """

    def __init__(self, exchange: Exchange, clock: EmulatorClock) -> None:
        self._exchange = exchange
        self._clock = clock

    def send(self, request: HttpRequest, timeout_s: float) -> Response:
        """As `Transport.send`."""
        parts = urlsplit(request.url)
        answer = self._exchange(
            request.method,
            path_below_origin(parts.path),
            parts.query,
            {name.lower(): value for name, value in request.headers.items()},
            request.body or b"",
        )
        return self._arrived(answer, parts.netloc, timeout_s)

    async def send_async(self, request: HttpRequest, timeout_s: float) -> Response:
        """The same for a coroutine; others get their turn before it."""
        import asyncio  # noqa: PLC0415 -- whoever awaits this has it already; others do without

        await asyncio.sleep(0)
        return self.send(request, timeout_s)

    async def close_async(self) -> None:
        """Nothing is held."""

    def pause(self, seconds: float) -> None:
        """Wait between two attempts: on the emulator's clock."""
        self._clock.advance(seconds=seconds)

    def clock_s(self) -> float:
        """The emulator's clock, by which a client counts the time for its attempts."""
        return self._clock() / 1000

    def close(self) -> None:
        """Nothing is held."""

    def _arrived(self, answer: Answer, host: str, timeout_s: float) -> Response:
        """What of an answer gets through, within the time that a client has for all of it."""
        clock = self._clock
        drip_s = answer.drip_s if answer.cut is None else 0.0
        if answer.delay_s + drip_s >= timeout_s:
            clock.advance(seconds=timeout_s)
            raise TimedOut(f"{host} did not answer within {timeout_s:g} s", sent=True)
        clock.advance(seconds=answer.delay_s)
        if answer.cut is not None:
            where = "before an answer came" if answer.cut is Cut.BEFORE_ANSWER else "mid-answer"
            raise ConnectionFailed(f"the connection to {host} broke {where}", sent=True)
        clock.advance(seconds=drip_s)
        return Response(answer.status, answer.headers, answer.body)


def path_below_origin(path: str) -> str:
    """The path below a mounted origin, as a server behind a proxy sees it."""
    return path[path.index(API) :] if API in path else path
