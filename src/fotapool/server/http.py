"""uvicorn's HTTP protocol with bounded request heads, and refusals in our shape."""

from __future__ import annotations

import asyncio
import http
import logging
import secrets
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from fotapool.api import refuse
from fotapool.model import Refusal
from fotapool.server.log import log_fields

HEAD_BYTES_MAX = 65_536
HEAD_TIMEOUT_S = 20.0


class BoundedHttp(HttpToolsProtocol):
    """Closes a connection whose request line and headers are too long or too slow.

    uvicorn bounds neither: a client could hold a connection, or fill memory, with a head that
    never ends. Bodies are bounded by the shell. What is no HTTP is refused with a request id
    and a body like any other request.
    """

    _head_timer: asyncio.TimerHandle | None = None
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._begin_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._head_timer is not None:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._head_is_too_large() and not self.transport.is_closing():
            self._refuse(Refusal.HEAD_TOO_LARGE)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 -- uvicorn names it
        # A request line beyond the parser's own limit ends here as well.
        too_large = self._head_is_too_large()
        self._refuse(Refusal.HEAD_TOO_LARGE if too_large else Refusal.REQUEST_MALFORMED)

    def _unsupported_upgrade_warning(self) -> None:
        """Nothing: the request is answered as if it asked for no upgrade."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._head_timer is None:
            self._begin_head()

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._end_head()

    def _head_is_too_large(self) -> bool:
        return self._head_timer is not None and self._head_bytes > HEAD_BYTES_MAX

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
        told = {"status": reply.status, "bytes": len(reply.body), "request": request_id}
        log_fields(logging.INFO, "request", told)

    def _begin_head(self) -> None:
        self._head_bytes = 0
        self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._give_up)

    def _end_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _give_up(self) -> None:
        self._head_timer = None
        transport: Any = self.transport
        if not transport.is_closing():
            transport.close()
