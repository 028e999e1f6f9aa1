"""Wire version 1: `/api/fota/v1/licenses/…` (docs/reference/protocol.md)."""

from __future__ import annotations

import msgspec

from fotapool.model import IMEI_DIGITS, Change, Cursor, Page, Refusal, Refused, Verb, imei_text
from fotapool.wire._json import (
    ASSIGN_REASONS,
    REMOVE_REASONS,
    encode,
    read_device_list,
    read_fields,
    rfc3339,
    spell,
)

ASSIGN_WORDS = spell(ASSIGN_REASONS, success="LicenseAssignSuccess", failure="LicenseAssignFailed")
REMOVE_WORDS = spell(REMOVE_REASONS, success="LicenseRemoveSuccess", failure="LicenseRemoveFailed")
WORDS = {Verb.ASSIGN: ASSIGN_WORDS, Verb.REMOVE: REMOVE_WORDS}


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
    """Where a page begins: 15 digits are an IMEI, fewer an offset. Raises Refused."""
    if text in (None, ""):
        return Cursor(offset=0)
    if not (text.isascii() and text.isdigit() and len(text) <= IMEI_DIGITS):
        raise Refused(Refusal.DEVICE_ID_INVALID)
    return Cursor(imei=int(text)) if len(text) == IMEI_DIGITS else Cursor(offset=int(text))


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
            _last_seen(page),
            [
                _Device(imei_text(imei), times[at_ms])
                for imei, at_ms in zip(page.imeis, page.assigned_at_ms, strict=True)
            ],
        )
    )


def _last_seen(page: Page) -> int | str:
    if not page.more:
        return 0
    if page.cursor.offset is not None:
        return page.cursor.offset + len(page.imeis)
    return imei_text(page.imeis[-1])
