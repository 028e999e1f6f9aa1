"""What the exchanges of one server share: the API, the room to wait in, threads, the way back."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from fotapool.api import Api, Found
from fotapool.model import Refusal, Refused
from fotapool.server.log import lines_together
from fotapool.server.settings import Settings

ANONYMOUS_BYTES_MAX = 65_536
"""What a body may hold before its sender has proved who it is."""

ID_BYTES = 16
IDS_AT_ONCE = 256

Take = Callable[[Future[Any]], None]


class Shell:
    """The API as a server offers it: bounded, and never waited for on the event loop.

    What may be under way is bounded in number of requests and bytes of bodies; beyond it the
    answer is 503 and nothing was done (docs/reference/protocol.md R15).
    """

    def __init__(
        self,
        api: Api,
        executor: Executor,
        settings: Settings,
        random: Callable[[int], bytes],
    ) -> None:
        self.api = api
        self.request_ids: Iterator[bytes] = _request_ids(random)
        self.body_timeout_s: float = settings.body_timeout_s
        self._executor = executor
        self._body_bytes_max = settings.body_bytes_max
        self._room = _Room(settings.queue_requests_max, settings.queue_bytes_max)
        self._mailbox: Mailbox | None = None

    def body_bytes_max(self, found: Found) -> int:
        """How much a body of this row may hold."""
        if found.route.role is None:
            return min(self._body_bytes_max, ANONYMOUS_BYTES_MAX)
        return self._body_bytes_max

    def hold(self) -> Held:
        """Room for one request, nothing of it taken up yet."""
        return Held(self._room)

    def in_thread(self, function: Callable[[], object], take: Take) -> None:
        """Run what may wait in a thread; what it comes to is taken on the event loop."""
        self.when_done(self._executor.submit(function), take)

    def when_done(self, future: Future[Any], take: Take) -> None:
        """Have a future that another thread settles taken on the event loop."""
        if self._mailbox is None:
            self._mailbox = Mailbox(asyncio.get_running_loop())
        mailbox = self._mailbox
        future.add_done_callback(lambda done: mailbox.put(take, done))


def _request_ids(random: Callable[[int], bytes]) -> Iterator[bytes]:
    """Ids without end, drawn many at a time: a system call for each would cost more than it."""
    while True:
        drawn = random(ID_BYTES * IDS_AT_ONCE)
        for at in range(0, len(drawn), ID_BYTES):
            yield drawn[at : at + ID_BYTES]


class Mailbox:
    """Carries settled futures to the event loop: however many at one waking."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._letters: deque[tuple[Take, Future[Any]]] = deque()
        self._called = False

    def put(self, take: Take, future: Future[Any]) -> None:
        """From any thread. A loop that has ended takes nothing: nobody waits there any more."""
        self._letters.append((take, future))
        if not self._called:
            self._called = True
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._empty)

    def _empty(self) -> None:
        with lines_together():
            while True:
                while self._letters:
                    take, future = self._letters.popleft()
                    take(future)
                self._called = False
                # What was put in just before that line has not called.
                if not self._letters:
                    return
                self._called = True


class _Room:
    """What is under way in this process, bounded in number of requests and bytes of bodies."""

    def __init__(self, requests_max: int, bytes_max: int) -> None:
        self.requests_left = requests_max
        self.bytes_left = bytes_max


@dataclass(slots=True)
class Held:
    """The room that one request takes up. Adding raises Refused when there is none left."""

    room: _Room
    requests: int = 0
    bytes: int = 0

    def add_bytes(self, size: int) -> None:
        if self.room.bytes_left < size:
            raise Refused(Refusal.BUSY)
        self.room.bytes_left -= size
        self.bytes += size

    def add_request(self) -> None:
        if self.room.requests_left < 1:
            raise Refused(Refusal.BUSY)
        self.room.requests_left -= 1
        self.requests += 1

    def give_back(self) -> None:
        self.room.requests_left += self.requests
        self.room.bytes_left += self.bytes
        self.requests = self.bytes = 0
