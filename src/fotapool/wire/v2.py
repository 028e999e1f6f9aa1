"""Wire version 2: `/api/fota/v2/licenses/…` (docs/reference/licenses.md, protocol.md)."""

from __future__ import annotations

import msgspec

from fotapool.model import Change, Cursor, Outcome, Page, Refusal, Refused, Verb
from fotapool.wire._json import (
    ASSIGN_REASONS,
    REMOVE_REASONS,
    ReadItem,
    encode,
    find_field,
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

_MALFORMED = {Outcome.MALFORMED: "Invalid device IMEI."}

ASSIGN_WORDS = spell(ASSIGN_REASONS | _MALFORMED, success="Success", failure="Failure")
REMOVE_WORDS = spell(REMOVE_REASONS | _MALFORMED, success="Success", failure="Failure")
WORDS = {Verb.ASSIGN: ASSIGN_WORDS, Verb.REMOVE: REMOVE_WORDS}

_account_name = msgspec.json.Decoder(str | None)


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
    named = find_field(fields, ("accountname",))
    try:
        if named is not None and _account_name.decode(named) not in (None, account):
            raise Refused(Refusal.ACCOUNT_MISMATCH)
    except msgspec.DecodeError:
        raise Refused(Refusal.BODY_UNREADABLE) from None
    return read_device_list(fields, items_max)


def write_change(change: Change) -> bytes:
    """The answer to an assign or remove."""
    words = {int(outcome): pair for outcome, pair in WORDS[change.verb].items()}
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
