"""The documented license operations, the same for every wire version."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Protocol

from fotapool.api.exchange import Call, Headers, Pending, Reply, Request
from fotapool.ledger import PAGE_SIZE_MAX
from fotapool.model import (
    Change,
    Command,
    Cursor,
    DeviceList,
    IdempotencyKey,
    Page,
    Refusal,
    Refused,
    Verb,
)

if TYPE_CHECKING:
    from fotapool.api import Api

FINGERPRINT_BYTES = 16
"""Of SHA-256: enough that no two requests are taken for one."""

_KEY = re.compile(r"[\x20-\x7e]{1,128}")


class Version(Protocol):
    """What a wire version offers the server; each module of `wire` is one."""

    def read_request(self, body: bytes, account: str, items_max: int) -> list[str]: ...
    def write_change(self, change: Change) -> bytes: ...
    def read_cursor(self, text: str | None) -> Cursor: ...
    def write_page(self, page: Page, page_size_max: int) -> bytes: ...


def status(version: Version) -> Callable[[Api, Call], Reply]:
    """Read a page of an account's licensed devices."""

    def operation(api: Api, call: Call) -> Reply:
        _, account = api.authorize(call)
        text = call.segment("cursor") or call.query("lastSeenDeviceId")
        page = api.ledger.status(account, version.read_cursor(text))
        at = ("Fotapool-Sequence", str(page.sequence))
        return Reply(200, version.write_page(page, PAGE_SIZE_MAX), (at,))

    return operation


def change(version: Version, verb: Verb) -> Callable[[Api, Call], Pending]:
    """Assign or remove licenses."""

    def operation(api: Api, call: Call) -> Pending:
        identity, account = api.authorize(call)
        request = call.request
        items = version.read_request(request.body, account.name, call.items_max)
        command = Command(
            account,
            verb,
            DeviceList.parse(items),
            actor=identity.name,
            request_id=request.id,
            key=_read_key(request),
        )

        def reply(future: Future[Change]) -> Reply:
            made = future.result()
            return Reply(200, version.write_change(made), _change_headers(made))

        return Pending(api.ledger.submit(command), reply)

    return operation


def _read_key(request: Request) -> IdempotencyKey | None:
    """The name a client gave a write, and what tells the write from others (protocol.md R11).

    Raises Refused.
    """
    text = request.headers.get("idempotency-key")
    if text is None:
        return None
    if not _KEY.fullmatch(text):
        raise Refused(Refusal.KEY_INVALID)
    hashed = hashlib.sha256()
    for part in (request.method.encode(), request.path.encode(), request.query.encode()):
        hashed.update(len(part).to_bytes(4, "big") + part)
    hashed.update(request.body)
    return IdempotencyKey(text, hashed.digest()[:FINGERPRINT_BYTES])


def _change_headers(made: Change) -> Headers:
    number = ("Fotapool-Change", str(made.sequence))
    return (number, ("Idempotency-Replayed", "true")) if made.replayed else (number,)
