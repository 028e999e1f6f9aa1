"""What the wire versions share beside licenses: candidate lists, subscriptions, device lists."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import msgspec

from fotapool.model import IMEI_DIGITS, Cursor, Listing, PurchaseType, Refusal, Refused, imei_text
from fotapool.wire._json import (
    encode,
    find_field,
    go_style,
    read_device_list,
    rfc3339,
)
from fotapool.wire.answered import UNREADABLE

if TYPE_CHECKING:
    from fotapool.model import CandidatePage, DevicePage, RegisteredDevice, Subscription

INDEX_DIGITS_MAX = 18

Fields = Mapping[str, msgspec.Raw]
"""The members of a request's body, not yet read."""

_text = msgspec.json.Decoder(str | None)


# --- candidate lists ---------------------------------------------------------------------------


def read_listing(fields: Fields, items_max: int) -> tuple[list[str], Listing]:
    """The devices of a candidate list, and whether they are added. Raises Refused (R8)."""
    raw = find_field(fields, ("type",))
    try:
        kind = None if raw is None else _text.decode(raw)
    except UNREADABLE:
        raise Refused(Refusal.BODY_UNREADABLE) from None
    if kind not in (None, "", "append"):
        raise Refused(Refusal.LIST_TYPE_INVALID)
    items = read_device_list(fields, items_max)
    return items, Listing.APPEND if kind else Listing.REPLACE


def read_index(text: str | None) -> int:
    """Where a page of a candidate list begins; absent and empty are the start. Raises Refused."""
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()):
        raise Refused(Refusal.INDEX_INVALID)
    if len(text) > INDEX_DIGITS_MAX:
        raise Refused(Refusal.INDEX_TOO_HIGH)
    return int(text)


def write_listed(page: CandidatePage) -> bytes:
    """The answer to an edit: how long the whole list is now, and its beginning."""
    return encode({"count": page.count, "deviceList": [imei_text(imei) for imei in page.imeis]})


def write_candidate_page(page: CandidatePage, update_time: str | None) -> bytes:
    """Part of the list. `update_time` is that of its last change, in the version's style."""
    told: dict[str, object] = {"count": page.count, "hasMoreData": page.more}
    if update_time is not None:
        told["updateTime"] = update_time
    return encode(told | {"deviceList": [imei_text(imei) for imei in page.imeis]})


def write_success() -> bytes:
    """The answer to a deletion."""
    return encode({"success": True})


# --- subscriptions -----------------------------------------------------------------------------

PURCHASE_TYPES = {
    PurchaseType.MRC: "TS-HFOTA-MRC",
    PurchaseType.EVNT: "TS-HFOTA-EVNT",
    PurchaseType.BOTH: "TS-HFOTA-EVNT,TS-HFOTA-MRC",
}


def write_subscription(subscription: Subscription) -> bytes:
    """What an account has bought, the same in every version (thingspace: RFC 3339 in all)."""
    return encode(
        {
            "accountName": subscription.account.name,
            "purchaseType": PURCHASE_TYPES[subscription.row.purchase_type],
            "licenseCount": subscription.row.totals.total,
            "licenseUsedCount": subscription.row.totals.used,
            "updateTime": rfc3339(subscription.row.subscribed_at_ms),
        }
    )


# --- device lists ------------------------------------------------------------------------------


def last_seen(page: DevicePage) -> str:
    """The cursor for the next page; on an empty one the request's own, so a loop still ends."""
    if page.devices:
        return imei_text(page.devices[-1].imei)
    return "0" if page.cursor.imei is None else imei_text(page.cursor.imei)


def upgrade_time(device: RegisteredDevice) -> dict[str, object]:
    """When the device's firmware was last upgraded; absent where it never was."""
    at_ms = device.upgraded_at_ms
    return {} if at_ms is None else {"upgradeTime": go_style(at_ms)}


def write_device_list(
    page: DevicePage, page_size_max: int, device: Callable[..., dict[str, object]], kind: str
) -> bytes:
    """A v2 or v3 device list; `device` writes one of it, `kind` is the protocol asked for."""
    return encode(
        {
            "accountName": page.account.name,
            "hasMoreData": page.more,
            "lastSeenDeviceId": last_seen(page),
            "maxPageSize": page_size_max,
            "deviceList": [device(found, kind) for found in page.devices],
        }
    )


def read_offset_or_imei(text: str | None) -> Cursor:
    """Where a v1 page begins: 15 digits are an IMEI, fewer an offset. Raises Refused."""
    if text in (None, ""):
        return Cursor(offset=0)
    if not (text.isascii() and text.isdigit() and len(text) <= IMEI_DIGITS):
        raise Refused(Refusal.DEVICE_ID_INVALID)
    return Cursor(imei=int(text)) if len(text) == IMEI_DIGITS else Cursor(offset=int(text))


def account_name_of(fields: Fields) -> str | None:
    """The account that a body names; None where it names none. Raises Refused."""
    raw = find_field(fields, ("accountname",))
    try:
        return None if raw is None else _text.decode(raw)
    except UNREADABLE:
        raise Refused(Refusal.BODY_UNREADABLE) from None


def check_account(fields: Fields, account: str) -> None:
    """Raises Refused where a body names another account than the path."""
    if account_name_of(fields) not in (None, account):
        raise Refused(Refusal.ACCOUNT_MISMATCH)
