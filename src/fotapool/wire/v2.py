"""Wire version 2: `/api/fota/v2/licenses/…` (docs/reference/licenses.md, protocol.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from fotapool.model import Cursor, Listing, Outcome, Verb, imei_text
from fotapool.wire import family
from fotapool.wire._json import (
    ASSIGN_REASONS,
    REMOVE_REASONS,
    ReadItem,
    by_number,
    encode,
    go_style,
    read_device_cursor,
    read_device_list,
    read_device_page,
    read_fields,
    read_total,
    rfc3339,
    spell,
    write_device_page,
)
from fotapool.wire.documented import DeviceResult, LicenseIMEI, LicenseResponse, LicenseSummary
from fotapool.wire.family import (
    read_index,
    write_listed,
    write_subscription,
    write_success,
)

if TYPE_CHECKING:
    from fotapool.model import CandidatePage, Change, DevicePage, Page, RegisteredDevice

__all__ = [
    "read_change",
    "read_cursor",
    "read_index",
    "read_listing",
    "read_page",
    "read_request",
    "write_candidate_page",
    "write_change",
    "write_device_list",
    "write_listed",
    "write_page",
    "write_request",
    "write_subscription",
    "write_success",
]

GO_ZERO_TIME = "0001-01-01 00:00:00 +0000 UTC"

_MALFORMED = {Outcome.MALFORMED: "Invalid device IMEI."}

ASSIGN_WORDS = spell(ASSIGN_REASONS | _MALFORMED, success="Success", failure="Failure")
REMOVE_WORDS = spell(REMOVE_REASONS | _MALFORMED, success="Success", failure="Failure")
WORDS = {Verb.ASSIGN: ASSIGN_WORDS, Verb.REMOVE: REMOVE_WORDS}
_SAID = by_number(WORDS)


class _Item(msgspec.Struct, gc=False, rename="camel"):
    device_id: str
    status: str
    result_reason: str


class _Change(msgspec.Struct, gc=False, rename="camel"):
    account_name: str
    lic_total_count: int
    lic_used_count: int
    device_list: list[_Item]


class _Answer(msgspec.Struct, rename="camel"):
    account_name: str
    lic_used_count: int
    lic_count: int | None = None
    lic_total_count: int | None = None
    device_list: list[ReadItem] | None = None


_answer = msgspec.json.Decoder(_Answer)


def read_request(body: bytes, account: str, items_max: int) -> list[str]:
    """The device texts of an assign or remove. Raises Refused.

    The body may name the account once more; it must be the one in the path.
    """
    fields = read_fields(body)
    family.check_account(fields, account)
    return read_device_list(fields, items_max)


def read_listing(body: bytes, account: str, items_max: int) -> tuple[list[str], Listing]:
    """The devices of a candidate list, and whether they are added. Raises Refused.

    The body may name the account once more, as that of an assign may.
    """
    fields = read_fields(body)
    family.check_account(fields, account)
    return family.read_listing(fields, items_max)


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
    """Where a page begins. Raises Refused."""
    return read_device_cursor(text)


def write_page(page: Page, page_size_max: int) -> bytes:
    """A status page; times are RFC 3339 with milliseconds, as in the documented example."""
    return write_device_page(page, page_size_max, rfc3339)


def write_candidate_page(page: CandidatePage) -> bytes:
    """Part of the candidate list; a list that never was has the platform's zero time."""
    at_ms = page.changed_at_ms
    return family.write_candidate_page(page, go_style(at_ms) if at_ms else GO_ZERO_TIME)


def write_device_list(page: DevicePage, page_size_max: int, kind: str) -> bytes:
    """A device list. What this server does not know of a device is an empty text."""
    return family.write_device_list(page, page_size_max, _listed_device, kind or "HTTP")


def _listed_device(device: RegisteredDevice, distribution_type: str) -> dict[str, object]:
    return {
        "deviceId": imei_text(device.imei),
        "mdn": "",
        "model": "",
        "make": "",
        "fotaEligible": True,
        "appFotaEligible": True,
        "licenseAssigned": device.assigned_at_ms is not None,
        "distributionType": distribution_type,
        "softwareList": [],
        **family.upgrade_time(device),
    }


def write_request(request: LicenseIMEI) -> bytes:
    """The body of an assign or remove, as a client sends it."""
    return encode(request)


def read_page(body: bytes) -> LicenseSummary:
    """A status page, as a client reads it. Raises msgspec.DecodeError."""
    return read_device_page(body)


def read_change(body: bytes) -> LicenseResponse:
    """The answer to an assign or remove, as a client reads it. Raises msgspec.DecodeError."""
    read = _answer.decode(body)
    return LicenseResponse(
        account_name=read.account_name,
        lic_total_count=read_total(read.lic_total_count, read.lic_count),
        lic_used_count=read.lic_used_count,
        device_list=tuple(
            DeviceResult(item.deviceId, item.status, item.resultReason or item.said)
            for item in read.device_list or ()
        ),
    )
