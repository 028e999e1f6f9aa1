"""Wire version 3: `/api/fota/v3/licenses/…` (docs/reference/licenses.md, protocol.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from fotapool.model import Cursor, Outcome, Verb, imei_text, parse_imei
from fotapool.wire import family
from fotapool.wire._json import (
    ASSIGN_REASONS,
    REMOVE_REASONS,
    ReadItem,
    by_number,
    encode,
    go_style,
    parse_or_keep,
    parse_times,
    read_device_cursor,
    read_device_list,
    read_device_page,
    read_fields,
    read_total,
    read_verdicts,
    rfc3339,
    spell,
    write_device_page,
)
from fotapool.wire.documented import (
    DeviceResult1,
    LicenseResponse1,
    LicensesAssignedRemovedRequest,
    LicenseSummary,
)
from fotapool.wire.family import write_subscription

if TYPE_CHECKING:
    from fotapool.model import AccountKey, Change, DevicePage, Page, RegisteredDevice

__all__ = [
    "read_change",
    "read_cursor",
    "read_moments",
    "read_outcomes",
    "read_page",
    "read_request",
    "write_change",
    "write_device_list",
    "write_device_names",
    "write_named_devices",
    "write_page",
    "write_request",
    "write_subscription",
]

PROTOCOL = "LWM2M"
"""The documented default of the protocol that a device list is asked for."""

ASSIGN_WORDS = spell(ASSIGN_REASONS, success="LicenseAssignSuccess", failure="LicenseAssignFailed")
REMOVE_WORDS = spell(REMOVE_REASONS, success="Success", failure="Failure")
WORDS = {Verb.ASSIGN: ASSIGN_WORDS, Verb.REMOVE: REMOVE_WORDS}
_SAID = {
    verb: {number: (status, reason, reason, "") for number, (status, reason) in words.items()}
    for verb, words in by_number(WORDS).items()
}

# Other words that pages of the vendor print for the same reasons.
SYNONYMS = {
    "Invalid device IMEI.": Outcome.MALFORMED,
    "Device Not Found.": Outcome.UNKNOWN_DEVICE,
    "Device not found.": Outcome.UNKNOWN_DEVICE,
}

_ALTERS = {Verb.ASSIGN: int(Outcome.ASSIGNED), Verb.REMOVE: int(Outcome.REMOVED)}


class _Item(msgspec.Struct, gc=False, omit_defaults=True):
    deviceId: str
    status: str
    resultReason: str
    Reason: str
    updatedTime: str = ""


class _Change(msgspec.Struct, gc=False, rename="camel"):
    account_name: str
    lic_count: int
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
    """The device texts of an assign or remove. Raises Refused."""
    return read_device_list(read_fields(body), items_max)


def write_change(change: Change) -> bytes:
    """The answer to an assign or remove: both spellings of count and reason, for either SDK.

    `updatedTime` stands only on the items that the change altered.
    """
    said, altered = _SAID[change.verb], _ALTERS[change.verb]
    words = said | {altered: (*said[altered][:3], rfc3339(change.at_ms))}
    return encode(
        _Change(
            change.account.name,
            change.totals.total,
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
    """A status page; times are in Go style, as in the documented example."""
    return write_device_page(page, page_size_max, go_style)


def write_device_list(page: DevicePage, page_size_max: int, kind: str) -> bytes:
    """A device list. What this server does not know of a device is an empty text."""
    return family.write_device_list(page, page_size_max, _listed_device, kind or PROTOCOL)


def write_named_devices(
    account: AccountKey, items: Sequence[str], found: Mapping[str, RegisteredDevice]
) -> bytes:
    """Devices that were asked for by name, in that order, each with whether it is there."""
    return encode(
        {
            "accountName": account.name,
            "deviceCount": len(items),
            "deviceList": [_named_device(item, found.get(item)) for item in items],
        }
    )


def _named_device(item: str, device: RegisteredDevice | None) -> dict[str, object]:
    if device is None:
        known = Outcome.MALFORMED if parse_imei(item) is None else Outcome.UNKNOWN_DEVICE
        reason = ASSIGN_REASONS[known]
        return {"deviceId": item, "requestStatus": "Failure", "resultReason": reason}
    return _listed_device(device, PROTOCOL) | {"requestStatus": "Success"}


def _listed_device(device: RegisteredDevice, protocol: str) -> dict[str, object]:
    return {
        "deviceId": imei_text(device.imei),
        "mdn": "",
        "model": "",
        "make": "",
        "firmware": "",
        "fotaEligible": True,
        "status": "Active",
        "licenseAssigned": device.assigned_at_ms is not None,
        "protocol": protocol,
        "softwareList": [],
        **family.upgrade_time(device),
    }


def write_request(request: LicensesAssignedRemovedRequest) -> bytes:
    """The body of an assign or remove, as a client sends it."""
    return encode(request)


def write_device_names(imeis: list[str]) -> bytes:
    """The body that asks for devices by name, as a client sends it."""
    return encode({"deviceList": imeis})


def read_page(body: bytes) -> LicenseSummary:
    """A status page, as a client reads it. Raises msgspec.DecodeError."""
    return read_device_page(body)


def read_moments(texts: Sequence[str | None]) -> list[datetime | None]:
    """When each device of a page got its license; None where the text is no time."""
    return parse_times(texts)


def read_change(body: bytes) -> LicenseResponse1:
    """The answer to an assign or remove, as a client reads it. Raises msgspec.DecodeError."""
    read = _answer.decode(body)
    items = read.device_list or []
    updated = parse_or_keep([item.updatedTime for item in items])
    recent = parse_or_keep([item.recentAttemptTime for item in items])
    upcoming = parse_or_keep([item.nextAttemptTime for item in items])
    return LicenseResponse1(
        account_name=read.account_name,
        lic_count=read.lic_count,
        lic_total_count=read_total(read.lic_total_count, read.lic_count),
        lic_used_count=read.lic_used_count,
        device_list=tuple(
            DeviceResult1(item.deviceId, item.status, item.resultReason, item.said, *times)
            for item, *times in zip(items, updated, recent, upcoming, strict=True)
        ),
    )


def read_outcomes(verb: Verb, results: Sequence[DeviceResult1]) -> list[Outcome]:
    """What each verdict means; UNRECOGNIZED where the server used words not known here."""
    said = [(item.status, item.result_reason or item.reason or "") for item in results]
    return read_verdicts(WORDS[verb], SYNONYMS, said)
