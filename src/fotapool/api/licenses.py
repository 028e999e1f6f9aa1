"""The documented license operations, the same for every wire version."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Protocol

from fotapool.api.exchange import Call, Headers, Pending, Reply
from fotapool.ledger import PAGE_SIZE_MAX
from fotapool.model import (
    Change,
    Command,
    Cursor,
    DeviceList,
    Page,
    Verb,
)

if TYPE_CHECKING:
    from fotapool.api import Api


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
            key=request.key,
        )

        def reply(future: Future[Change]) -> Reply:
            made = future.result()
            return Reply(200, version.write_change(made), change_headers(made))

        return Pending(api.ledger.submit(command), reply)

    return operation


def change_headers(made: Change) -> Headers:
    """What an answer to a write says of its change beside the body."""
    number = ("Fotapool-Change", str(made.sequence))
    return (number, ("Idempotency-Replayed", "true")) if made.replayed else (number,)
