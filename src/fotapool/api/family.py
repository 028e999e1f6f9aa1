"""The documented neighbours of the license operations: candidate lists, subscriptions, device
lists, and the upgrades of version 1."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

from fotapool.api.exchange import Call, Pending, Reply
from fotapool.api.licenses import change_headers
from fotapool.api.pool import read_reply
from fotapool.auth import Identity
from fotapool.ledger import PAGE_SIZE_MAX
from fotapool.model import (
    AccountKey,
    CandidatePage,
    Change,
    Command,
    Cursor,
    DeviceList,
    DevicePage,
    Listing,
    Subscription,
    UpgradePlan,
    Verb,
    imei_text,
)
from fotapool.wire import family, v1_upgrades, v3

if TYPE_CHECKING:
    from concurrent.futures import Future

    from fotapool.api import Api

NAMED_DEVICES_MAX = 1000
"""Documented: how many devices a v3 call may ask for by name."""


class Lists(Protocol):
    """What a wire version with candidate lists offers the server."""

    def read_listing(
        self, body: bytes, account: str, items_max: int
    ) -> tuple[list[str], Listing]: ...
    def read_index(self, text: str | None) -> int: ...
    def write_listed(self, page: CandidatePage) -> bytes: ...
    def write_candidate_page(self, page: CandidatePage) -> bytes: ...
    def write_success(self) -> bytes: ...


class Devices(Protocol):
    """What a wire version offers of an account and its devices."""

    def read_cursor(self, text: str | None) -> Cursor: ...
    def write_device_list(self, page: DevicePage, page_size_max: int, kind: str) -> bytes: ...
    def write_subscription(self, subscription: Subscription) -> bytes: ...


# --- candidate lists ---------------------------------------------------------------------------


def create_list(version: Lists) -> Callable[[Api, Call], Pending]:
    """Replace or extend the candidate list."""

    def write(change: Change) -> bytes:
        if change.candidates is None:
            raise ValueError("the list was not read after the change")
        return version.write_listed(change.candidates)

    def operation(api: Api, call: Call) -> Pending:
        identity, account = api.authorize(call)
        items, listing = version.read_listing(call.request.body, account.name, call.items_max)
        command = _command(call, identity, account, Verb.CANDIDATES, items)
        return _pending(api, replace(command, listing=listing, render=write), write)

    return operation


def delete_list(version: Lists) -> Callable[[Api, Call], Pending]:
    """Empty the candidate list."""

    def operation(api: Api, call: Call) -> Pending:
        identity, account = api.authorize(call)
        command = _command(call, identity, account, Verb.CANDIDATES, [])
        return _pending(
            api, replace(command, listing=Listing.CLEAR), lambda _: version.write_success()
        )

    return operation


def show_list(version: Lists) -> Callable[[Api, Call], Reply]:
    """A page of the candidate list."""

    def operation(api: Api, call: Call) -> Reply:
        _, account = api.authorize(call)
        index = version.read_index(call.segment("index") or call.query("startIndex"))
        page = api.registry.candidates(account, index)
        return read_reply(version.write_candidate_page(page), page.sequence)

    return operation


# --- accounts and their devices ----------------------------------------------------------------


def subscription(version: Devices) -> Callable[[Api, Call], Reply]:
    """What the account has bought."""

    def operation(api: Api, call: Call) -> Reply:
        _, account = api.authorize(call)
        found = api.registry.subscription(account)
        return read_reply(version.write_subscription(found), found.row.sequence)

    return operation


def device_list(version: Devices, kind: str = "") -> Callable[[Api, Call], Reply]:
    """A page of the account's devices; `kind` is the parameter that asks for a protocol."""

    def operation(api: Api, call: Call) -> Reply:
        _, account = api.authorize(call)
        cursor = version.read_cursor(call.segment("cursor") or call.query("lastSeenDeviceId"))
        page = api.registry.devices(account, cursor)
        asked = (call.query(kind) if kind else None) or ""
        return read_reply(version.write_device_list(page, PAGE_SIZE_MAX, asked), page.sequence)

    return operation


def named_devices(api: Api, call: Call) -> Reply:
    """Devices that are asked for by name (v3)."""
    _, account = api.authorize(call)
    items = v3.read_request(call.request.body, account.name, NAMED_DEVICES_MAX)
    imeis = [imei for imei in DeviceList.parse(items).imeis if imei >= 0]
    sequence, found = api.registry.named_devices(account, imeis)
    by_item = {imei_text(device.imei): device for device in found}
    return read_reply(v3.write_named_devices(account, items, by_item), sequence)


# --- upgrades (v1) -----------------------------------------------------------------------------


def create_upgrade(api: Api, call: Call) -> Pending:
    """Schedule an upgrade of some devices. The account stands in the body."""
    body = call.request.body
    identity, account = api.authorize(call, lambda: v1_upgrades.read_account(body))
    upgrade_id = UUID(bytes=call.request.id, version=4).bytes
    plan, items = v1_upgrades.read_upgrade(body, upgrade_id, call.items_max)
    command = _command(call, identity, account, Verb.SCHEDULE, items)

    def write(change: Change) -> bytes:
        # A replay is of the upgrade that was made then.
        made = bytes.fromhex(change.detail.removeprefix("upgrade="))
        return v1_upgrades.write_made(change, replace(plan, id=made))

    return _pending(api, replace(command, upgrade=plan), write)


def show_upgrade(api: Api, call: Call) -> Reply:
    """An upgrade, and how far it is with each of its devices."""
    _, account = api.authorize(call)
    sequence, found = api.registry.upgrade(account, _upgrade_id(call))
    return read_reply(v1_upgrades.write_upgrade(account, found), sequence)


def change_upgrade(api: Api, call: Call) -> Pending:
    """Add devices to an upgrade, or take them out of it."""
    identity, account = api.authorize(call)
    upgrade_id = _upgrade_id(call)
    verb, items = v1_upgrades.read_step(call.request.body, account.name, call.items_max)
    api.registry.upgrade(account, upgrade_id)
    command = _command(call, identity, account, verb, items)
    return _pending(
        api,
        replace(command, upgrade=UpgradePlan(upgrade_id)),
        lambda change: v1_upgrades.write_step(change, upgrade_id),
    )


def cancel_upgrade(api: Api, call: Call) -> Pending:
    """Cancel what is still scheduled of an upgrade."""
    identity, account = api.authorize(call)
    upgrade_id = _upgrade_id(call)
    command = _command(call, identity, account, Verb.CANCEL, [])
    return _pending(
        api, replace(command, upgrade=UpgradePlan(upgrade_id)), lambda _: family.write_success()
    )


def _upgrade_id(call: Call) -> bytes:
    return v1_upgrades.read_upgrade_id(call.segment("upgrade") or "")


def _command(
    call: Call, identity: Identity, account: AccountKey, verb: Verb, items: list[str]
) -> Command:
    return Command(
        account,
        verb,
        DeviceList.parse(items) if items else DeviceList.of([]),
        actor=identity.name,
        request_id=call.request.id,
        key=call.request.key,
    )


def _pending(api: Api, command: Command, write: Callable[[Change], bytes]) -> Pending:
    def reply(future: Future[Change]) -> Reply:
        made = future.result()
        body = write(made) if made.answer is None else made.answer
        return Reply(200, body, change_headers(made))

    return Pending(api.ledger.submit(command), reply)
