"""uvicorn's HTTP protocol with bounded request heads, and the API straight on top of it."""

from __future__ import annotations

import asyncio
import http
import secrets
from typing import Any

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from fotapool.api import refuse
from fotapool.model import Refusal
from fotapool.server.exchange import Exchange, Head
from fotapool.server.log import log_request
from fotapool.server.shell import Shell

HEAD_BYTES_MAX = 65_536
HEAD_TIMEOUT_S = 20.0
API = b"/api/"


class BoundedHttp(HttpToolsProtocol):
    """Closes a connection whose request line and headers are too long or too slow.

    uvicorn bounds neither: a client could hold a connection, or fill memory, with a head that
    never ends. What is no HTTP is refused with a request id and a body like any other request.

    Requests to the API become exchanges, which need no task, no ASGI messages and one write an
    answer; any other goes the way that uvicorn made for it. Keeping alive, pipelining and
    stopping are uvicorn's for both: to it an exchange is a request cycle like its own.
    """

    cycle: Any
    """The exchange, or uvicorn's own cycle, of the request that came last."""
    parser: Any

    def __init__(self, *arguments: Any, shell: Shell, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._shell = shell
        self._in_head = True
        self._head_timer: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._exchange: Exchange | None = None
        self._answering = False

    # --- what the transport tells --------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_head()
        if isinstance(self.cycle, Exchange):
            self.cycle = None  # told below; it has no event to be woken by
        self.pipeline.clear()
        super().connection_lost(exc)
        if self._exchange is not None:
            self._exchange.lose()

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._head_is_too_large() and not self.transport.is_closing():
            self._refuse(Refusal.HEAD_TOO_LARGE)
        elif self._in_head:
            self._await_head()
        elif self._exchange is not None:
            self._exchange.await_rest()

    # --- what the parser finds -----------------------------------------------------------------

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if not self._in_head:
            self._in_head = True
            self._head_bytes = 0

    def on_headers_complete(self) -> None:
        url = httptools.parse_url(self.url)
        if not (url.path or b"").startswith(API):
            super().on_headers_complete()
            self._end_head()
            return
        exchange = Exchange(self._shell, self, self._read_head(url.path, url.query or b""))
        self._end_head()
        free = self._is_free()
        self.cycle = exchange
        if free:
            self._begin(exchange)
        else:
            self.flow.pause_reading()
            waiting: Any = (exchange, self.app)
            self.pipeline.appendleft(waiting)

    def on_body(self, body: bytes) -> None:
        if not isinstance(self.cycle, Exchange):
            super().on_body(body)
            return
        self.cycle.receive(body)
        if self.cycle is not self._exchange and self.cycle.body_bytes > HIGH_WATER_LIMIT:
            self.flow.pause_reading()

    def on_message_complete(self) -> None:
        if isinstance(self.cycle, Exchange):
            self.cycle.receive_end()
        else:
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 -- uvicorn names it
        # A request line beyond the parser's own limit ends here as well.
        too_large = self._head_is_too_large()
        self._refuse(Refusal.HEAD_TOO_LARGE if too_large else Refusal.REQUEST_MALFORMED)

    def _unsupported_upgrade_warning(self) -> None:
        """Nothing: the request is answered as if it asked for no upgrade."""

    def _read_head(self, path: bytes, query: bytes) -> Head:
        """Headers by name. One that came twice keeps both values: no value that is known."""
        headers: dict[str, str] = {}
        for raw_name, raw_value in self.headers:
            name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
            headers[name] = f"{headers[name]}\n{value}" if name in headers else value
        return Head(
            self.parser.get_method().decode("ascii"),
            path.decode("ascii"),
            query.decode("latin-1"),
            headers,
            self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive(),
            self.expect_100_continue,
        )

    # --- what an exchange asks for -------------------------------------------------------------

    def send(self, data: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(data)

    def standing_headers(self) -> bytes:
        """What every answer says, with the line that ends the headers."""
        lines = [b"%b: %b\r\n" % pair for pair in self.server_state.default_headers]
        return b"".join([*lines, b"\r\n"])

    def hold_reading(self) -> None:
        self.flow.pause_reading()

    def go_on_reading(self) -> None:
        self.flow.resume_reading()

    def end(self, exchange: Exchange) -> None:
        """The exchange is over; the next one, if there is one, begins."""
        self._exchange = None
        self.tasks.discard(exchange)
        if not exchange.keep_alive and not self.transport.is_closing():
            self.transport.close()
        self.on_response_complete()

    # --- one after the other -------------------------------------------------------------------

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.pipeline and not self._answering:
            self.on_response_complete()

    def on_response_complete(self) -> None:
        self._answering = False
        # A client that reads no answers is given no more of them.
        if not (self.pipeline and self.flow.write_paused):
            super().on_response_complete()

    def _is_free(self) -> bool:
        """Whether a request can be answered now: all before it are, and answers are read."""
        last = self.cycle
        return (last is None or last.response_complete) and not self.flow.write_paused

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self._answering = True
        if isinstance(cycle, Exchange):
            self._begin(cycle)
            cycle.await_rest()
        else:
            super()._start_asgi_task(cycle, app)

    def _begin(self, exchange: Exchange) -> None:
        self._answering = True
        self._exchange = exchange
        # Waited for when the server stops, and cancelled after the grace, like a task.
        self.tasks.add(exchange)  # type: ignore[arg-type]
        exchange.begin()

    # --- bounds of the head --------------------------------------------------------------------

    def _head_is_too_large(self) -> bool:
        return self._in_head and self._head_bytes > HEAD_BYTES_MAX

    def _refuse(self, refusal: Refusal) -> None:
        reply = refuse("", refusal)
        request_id = secrets.token_hex(16)
        head = [
            f"HTTP/1.1 {reply.status} {http.HTTPStatus(reply.status).phrase}",
            f"content-length: {len(reply.body)}",
            "content-type: application/json",
            f"x-request-id: {request_id}",
            "connection: close",
        ]
        self.transport.write("\r\n".join([*head, "", ""]).encode() + reply.body)
        self.transport.close()
        log_request({"status": reply.status, "bytes": len(reply.body), "request": request_id})

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._give_up)

    def _end_head(self) -> None:
        self._in_head = False
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _give_up(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            self.transport.close()
