"""One request to the API and its answer: begun by its head, moved on by what arrives or is done.

No task and no coroutine: a request whose body came with its head is opened at once, and what
its change comes to is written in one piece when it is committed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from enum import Enum, auto
from functools import partial
from http import HTTPStatus
from typing import NamedTuple, Protocol

from fotapool.api import Call, Found, Pending, Reply, Request, refuse
from fotapool.model import Refusal, Refused
from fotapool.server.log import LOGGER, Told
from fotapool.server.shell import ANONYMOUS_BYTES_MAX, Shell

DRAIN_S = 2.0
"""How long what a client still sends is thrown away, so that it reads our refusal and no reset."""

_CLIENT_GONE = 499
_CLOSE = ("Connection", "close")
_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus
}
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Head(NamedTuple):
    """Request line and headers. `path` is still percent-encoded, names are in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    keep_alive: bool
    expects_continue: bool


class Connection(Protocol):
    """What an exchange needs of the connection that it is on."""

    loop: asyncio.AbstractEventLoop

    def send(self, data: bytes) -> None: ...
    def standing_headers(self) -> bytes: ...
    def hold_reading(self) -> None: ...
    def go_on_reading(self) -> None: ...
    def end(self, exchange: Exchange) -> None: ...


class _Stage(Enum):
    WAITING = auto()
    """What came before it on the connection is still being answered."""
    READING = auto()
    IDENTIFYING = auto()
    """The body is large, and whether its sender is known is being looked up."""
    WORKING = auto()
    DRAINING = auto()
    """Refused in the middle of the body; closing on unread bytes would reset the connection, and
    the client would never see why."""
    DONE = auto()


class Exchange:
    """A request on its way through the API. Bodies are bounded in size and time (R15)."""

    def __init__(self, shell: Shell, connection: Connection, head: Head) -> None:
        self.keep_alive: bool = head.keep_alive
        self._shell = shell
        self._connection = connection
        self._head = head
        self._stage = _Stage.WAITING
        self._held = shell.hold()
        self._chunks: list[bytes] = []
        self._size = 0
        self._size_max = ANONYMOUS_BYTES_MAX
        self._whole = False
        self._sender_known = False
        self._gone = False
        self._writing = False
        self._found: Found
        self._timer: asyncio.TimerHandle | None = None
        self.told: Told

    # --- what the connection tells -------------------------------------------------------------

    @property
    def response_complete(self) -> bool:
        """Whether the next request may be answered."""
        return self._stage is _Stage.DONE

    @property
    def body_bytes(self) -> int:
        """How much of the body is kept."""
        return self._size

    def begin(self) -> None:
        """Its turn has come."""
        head = self._head
        sent_id = head.headers.get("x-request-id", "")
        self.told = Told(head.method, head.path, next(self._shell.request_ids), sent_id)
        self._stage = _Stage.READING
        self._step(self._find)

    def receive(self, chunk: bytes) -> None:
        """A part of the body has arrived."""
        if self._stage is _Stage.WAITING:
            self._chunks.append(chunk)
            self._size += len(chunk)
        elif self._stage in (_Stage.READING, _Stage.IDENTIFYING):
            self._step(partial(self._read, chunk))

    def receive_end(self) -> None:
        """The body is whole."""
        self._whole = True
        if self._stage is _Stage.READING:
            self._step(self._carry_out)
        elif self._stage is _Stage.DRAINING:
            self._end()

    def await_rest(self) -> None:
        """No more has arrived for now: if more must come, it is waited for so long."""
        if self._stage is _Stage.READING and self._timer is None:
            slow = partial(self._refuse, Refused(Refusal.BODY_TOO_SLOW))
            self._timer = self._connection.loop.call_later(self._shell.body_timeout_s, slow)

    def lose(self) -> None:
        """The client hung up. A write that was begun goes on by itself, and is logged."""
        self._gone = True
        if self._stage in (_Stage.READING, _Stage.IDENTIFYING):
            self.told.status = _CLIENT_GONE
            self._end()
        elif self._stage is _Stage.DRAINING:
            self._end()

    def cancel(self, msg: str | None = None) -> None:  # noqa: ARG002 -- as a task is cancelled
        """The server stops and its grace is over."""
        self._connection.loop.call_soon(self._give_up)

    def _give_up(self) -> None:
        unknown = Refusal.OUTCOME_UNKNOWN if self._writing else Refusal.BUSY
        if self._stage is _Stage.DRAINING:
            self._end()
        elif self._stage is not _Stage.DONE:
            self._answer(refuse(self._head.path, unknown, headers=(_CLOSE,)))

    # --- the steps -----------------------------------------------------------------------------

    def _step(self, step: Callable[[], None]) -> None:
        """Take a step; whatever goes wrong in it becomes the answer."""
        try:
            step()
        except Refused as refused:
            self._refuse(refused)
        except Exception:  # noqa: BLE001 -- logged, and answered as documented
            LOGGER.exception("the server failed", extra={"fields": {"request": self.told.shown_id}})
            self._answer(refuse(self._head.path, Refusal.INTERNAL))

    def _find(self) -> None:
        head = self._head
        found = self._shell.api.find(head.method, head.path)
        if isinstance(found, Reply):
            self._answer(found)
            return
        self._found = found
        self._size_max = self._shell.body_bytes_max(found)
        if int(head.headers.get("content-length", "0")) > self._size_max:
            raise Refused(Refusal.BODY_TOO_LARGE, limit=self._size_max)
        if head.expects_continue and not (self._whole or self._chunks):
            self._connection.send(_CONTINUE)
        early, self._chunks, self._size = b"".join(self._chunks), [], 0
        if early:
            self._read(early)
        if self._whole and self._stage is _Stage.READING:
            self._carry_out()

    def _read(self, chunk: bytes) -> None:
        self._held.add_bytes(len(chunk))
        self._chunks.append(chunk)
        self._size += len(chunk)
        if self._size > self._size_max:
            raise Refused(Refusal.BODY_TOO_LARGE, limit=self._size_max)
        known = self._sender_known or self._stage is _Stage.IDENTIFYING
        if self._size > ANONYMOUS_BYTES_MAX and not known:
            self._stage = _Stage.IDENTIFYING
            self._connection.hold_reading()
            api = self._shell.api
            self._shell.in_thread(partial(api.identify, self._call(b"")), self._take_sender)

    def _take_sender(self, identified: Future[object]) -> None:
        def go_on() -> None:
            self._connection.go_on_reading()
            self._stage = _Stage.READING
            identified.result()
            self._sender_known = True
            if self._whole:
                self._carry_out()
            else:
                self.await_rest()

        if self._stage is _Stage.IDENTIFYING:
            self._step(go_on)

    def _carry_out(self) -> None:
        self._stop_timer()
        self._stage = _Stage.WORKING
        self._held.add_request()
        call = self._call(b"".join(self._chunks))
        self._chunks = []
        self._writing = call.route.writes
        api = self._shell.api
        if api.opens_at_once(call):
            self._take(api.open(call))
        else:
            self._shell.in_thread(partial(api.open, call), self._take_opened)

    def _call(self, body: bytes) -> Call:
        head = self._head
        request = Request(
            head.method, head.path, head.query, head.headers, body, self.told.id, self.told.log
        )
        return self._shell.api.call(self._found, request)

    def _take_opened(self, opened: Future[Reply | Pending]) -> None:
        self._step(lambda: self._take(opened.result()))

    def _take(self, opened: Reply | Pending) -> None:
        if isinstance(opened, Reply):
            self._answer(opened)
        else:
            reply = opened.reply
            # What the future ends with, an error too, is for the reply to say.
            self._shell.when_done(
                opened.change, lambda done: self._step(lambda: self._answer(reply(done)))
            )

    # --- the answer ----------------------------------------------------------------------------

    def _refuse(self, refused: Refused) -> None:
        reply = refuse(self._head.path, refused.refusal, named=refused.named)
        if self._whole:
            self._answer(reply)
            return
        self._stop_timer()
        self._write(Reply(reply.status, reply.body, (*reply.headers, _CLOSE)))
        self._stage = _Stage.DRAINING
        self._chunks = []
        self._held.give_back()
        self._connection.go_on_reading()
        self._timer = self._connection.loop.call_later(DRAIN_S, self._end)

    def _answer(self, reply: Reply) -> None:
        if self._stage is not _Stage.DONE:
            self._write(reply)
            self._end()

    def _write(self, reply: Reply) -> None:
        self.told.status, self.told.body_bytes = reply.status, len(reply.body)
        if self._gone:
            return
        headers = self.headers(reply)
        if ("connection", "close") in headers:
            self.keep_alive = False
        elif not self.keep_alive:
            headers.append(("connection", "close"))
        lines = _lines(_STATUS_LINES[reply.status], headers).encode("latin-1")
        body = b"" if self._head.method == "HEAD" else reply.body
        self._connection.send(b"".join((lines, self._connection.standing_headers(), body)))

    def headers(self, reply: Reply) -> list[tuple[str, str]]:
        """The answer's headers, names in lower case."""
        headers = [("content-length", str(len(reply.body)))]
        if reply.body:
            headers.append(("content-type", "application/json"))
        headers += [(name.lower(), text) for name, text in reply.headers]
        headers.append(("x-request-id", self.told.shown_id))
        return headers

    def _end(self) -> None:
        if self._stage is _Stage.DONE:
            return
        self._stage = _Stage.DONE
        self._stop_timer()
        self._held.give_back()
        self._chunks = []
        self.told.write()
        self._connection.end(self)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _lines(status_line: str, headers: Sequence[tuple[str, str]]) -> str:
    """Status line and headers. Raises ValueError for a header that would break its line."""
    lines = status_line + "".join([f"{name}: {text}\r\n" for name, text in headers])
    if not lines.count("\n") == lines.count("\r") == len(headers) + 1:
        raise ValueError("a header holds more than one line")
    return lines
