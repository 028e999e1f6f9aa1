"""Wire version 1: `/api/fota/v1/licenses/…` (docs/reference/protocol.md)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from fotapool.model import (
    CandidatePage,
    Change,
    Cursor,
    DevicePage,
    Listing,
    Page,
    RegisteredDevice,
    Verb,
    imei_text,
)
from fotapool.wire import family
from fotapool.wire._json import (
    ASSIGN_REASONS,
    REMOVE_REASONS,
    by_number,
    encode,
    go_style,
    read_device_list,
    read_fields,
    rfc3339,
    spell,
)
from fotapool.wire.family import (
    read_index,
    write_listed,
    write_subscription,
    write_success,
)

__all__ = [
    "read_cursor",
    "read_index",
    "read_listing",
    "read_request",
    "write_candidate_page",
    "write_change",
    "write_device_list",
    "write_listed",
    "write_page",
    "write_subscription",
    "write_success",
]

ASSIGN_WORDS = spell(ASSIGN_REASONS, success="LicenseAssignSuccess", failure="LicenseAssignFailed")
REMOVE_WORDS = spell(REMOVE_REASONS, success="LicenseRemoveSuccess", failure="LicenseRemoveFailed")
WORDS = {Verb.ASSIGN: ASSIGN_WORDS, Verb.REMOVE: REMOVE_WORDS}
_SAID = by_number(WORDS)

NEVER = "01/01/1900 0:0:0"
"""The documented upgrade time of a device that was never upgraded."""


class _Item(msgspec.Struct, gc=False):
    deviceId: str
    status: str
    Reason: str


class _Change(msgspec.Struct, gc=False, rename="camel"):
    account_name: str
    lic_count: int
    lic_used_count: int
    device_list: list[_Item]


class _Device(msgspec.Struct, gc=False, rename="camel"):
    device_id: str
    assignment_time: str


class _Page(msgspec.Struct, gc=False, rename="camel"):
    account_name: str
    total_licenses: int
    assigned_licenses: int
    has_more_data: bool
    last_seen_device_id: int | str
    device_list: list[_Device]


def read_request(body: bytes, account: str, items_max: int) -> list[str]:
    """The device texts of an assign or remove. Raises Refused."""
    return read_device_list(read_fields(body), items_max)


def read_listing(body: bytes, account: str, items_max: int) -> tuple[list[str], Listing]:
    """The devices of a candidate list, and whether they are added. Raises Refused."""
    return family.read_listing(read_fields(body), items_max)


def write_change(change: Change) -> bytes:
    """The answer to an assign or remove."""
    words = _SAID[change.verb]
    return encode(
        _Change(
            change.account.name,
            change.totals.total,
            change.totals.used,
            [
                _Item(item, *words[outcome])
                for item, outcome in zip(change.devices.items, change.outcomes, strict=True)
            ],
        )
    )


def read_cursor(text: str | None) -> Cursor:
    """Where a page begins: 15 digits are an IMEI, fewer an offset. Raises Refused."""
    return family.read_offset_or_imei(text)


def write_page(page: Page, page_size_max: int) -> bytes:
    """A status page. It answers in kind: an offset to an offset, an IMEI to an IMEI.

    At the end it is 0, as documented. An IMEI is a text here: as a number it would lose its
    leading zeros, and 32 bits do not hold it.
    """
    times = {at_ms: rfc3339(at_ms) for at_ms in set(page.assigned_at_ms)}
    return encode(
        _Page(
            page.account.name,
            page.totals.total,
            page.totals.used,
            page.more,
            _last_seen(page.more, page.cursor, page.imeis),
            [
                _Device(imei_text(imei), times[at_ms])
                for imei, at_ms in zip(page.imeis, page.assigned_at_ms, strict=True)
            ],
        )
    )


def _last_seen(more: bool, cursor: Cursor, imeis: Sequence[int]) -> int | str:
    if not more:
        return 0
    return imei_text(imeis[-1]) if cursor.offset is None else cursor.offset + len(imeis)


def write_candidate_page(page: CandidatePage) -> bytes:
    """Part of the candidate list."""
    at_ms = page.changed_at_ms
    return family.write_candidate_page(page, rfc3339(at_ms) if at_ms else None)


def write_device_list(page: DevicePage, page_size_max: int, kind: str) -> bytes:
    """A device list. What this server does not know of a device is an empty text."""
    imeis = [device.imei for device in page.devices]
    return encode(
        {
            "accountName": page.account.name,
            "hasMoreData": page.more,
            "lastSeenDeviceId": _last_seen(page.more, page.cursor, imeis),
            "deviceList": [_listed_device(device) for device in page.devices],
        }
    )


def _listed_device(device: RegisteredDevice) -> dict[str, object]:
    at_ms = device.upgraded_at_ms
    return {
        "deviceId": imei_text(device.imei),
        "mdn": "",
        "model": "",
        "make": "",
        "firmware": "",
        "fotaEligible": True,
        "licenseAssigned": device.assigned_at_ms is not None,
        "upgradeTime": NEVER if at_ms is None else go_style(at_ms),
    }
