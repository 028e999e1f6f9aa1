"""Our own operations on the rest of a pool's life: resize, undo, candidates, devices, upgrades.

As `pool_v1`: the same words, the same pages (docs/reference/protocol.md R17).
"""

from __future__ import annotations

import msgspec

from fotapool.model import (
    CandidatePage,
    Change,
    DevicePage,
    Outcome,
    Refusal,
    Refused,
    RegisteredDevice,
    Subscription,
    imei_text,
)
from fotapool.wire._json import encode, read_fields, rfc3339
from fotapool.wire.answered import UNREADABLE
from fotapool.wire.pool_v1 import (
    VERDICTS_LISTED_MAX,
    dry_run_head,
    entry_head,
    next_place,
    totals,
    verdicts,
)
from fotapool.wire.query import NAME_SHOWN_MAX, List

_WORDS = {int(outcome): outcome.word for outcome in Outcome}
_UPGRADES = ("none", "scheduled", "running")

_number = msgspec.json.Decoder(int)


class _Verdict(msgspec.Struct, gc=False, omit_defaults=True):
    imei: str
    outcome: str
    by: int = 0


# --- requests ----------------------------------------------------------------------------------


def read_member(body: bytes, name: str, first: int, last: int) -> int:
    """The one member of a request, a whole number within bounds. Raises Refused."""
    fields = read_fields(body)
    for other in fields:
        if other != name:
            raise Refused(Refusal.FIELD_UNKNOWN, name=other[:NAME_SHOWN_MAX])
    try:
        number = _number.decode(fields[name]) if name in fields else None
    except UNREADABLE:
        number = None
    if number is None or not first <= number <= last:
        expected = f"a whole number from {first} to {last}"
        raise Refused(Refusal.PARAMETER_INVALID, name=name, expected=expected)
    return number


def read_nothing(body: bytes) -> None:
    """A request that needs no member: no body, or an empty object. Raises Refused."""
    for name in read_fields(body) if body else ():
        raise Refused(Refusal.FIELD_UNKNOWN, name=name[:NAME_SHOWN_MAX])


# --- answers -----------------------------------------------------------------------------------


def write_change(change: Change) -> bytes:
    """The answer to a resize or undo: the first devices; the rest is in the change's own pages."""
    pages = List(f"change {change.sequence}", change.account.name, {})
    return encode(entry_head(change) | _page_of(change, 0) | next_place(_place(pages, change, 0)))


def write_dry_run(change: Change, start: int, listed: List) -> bytes:
    """What a resize or undo would come to; its pages hold for the same sequence."""
    end = start + VERDICTS_LISTED_MAX
    place = listed.write_place(change.sequence, end) if end < len(change.devices) else None
    return encode(dry_run_head(change) | _page_of(change, start) | next_place(place))


def write_listed(change: Change) -> bytes:
    """The answer to an edit of the candidate list: `candidates` is its length now."""
    count = 0 if change.candidates is None else change.candidates.count
    return encode(entry_head(change) | {"candidates": count, "items": verdicts(change)})


def write_candidates(page: CandidatePage, listed: List) -> bytes:
    """Part of the candidate list, in its order."""
    end = page.start + len(page.imeis)
    told: dict[str, object] = {
        "account": page.account.name,
        "sequence": page.sequence,
        "candidates": page.count,
    }
    if page.changed_at_ms:
        told["changed_at"] = rfc3339(page.changed_at_ms)
    items = [{"imei": imei_text(imei)} for imei in page.imeis]
    place = listed.write_place(end) if page.more else None
    return encode(told | {"items": items} | next_place(place))


def write_devices(page: DevicePage, listed: List) -> bytes:
    """Part of the account's devices."""
    place = listed.write_place(page.devices[-1].imei) if page.more else None
    return encode(
        {
            "account": page.account.name,
            "sequence": page.sequence,
            "items": [_device(device) for device in page.devices],
            **next_place(place),
        }
    )


def write_account(subscription: Subscription) -> bytes:
    """What an account is, and how it stands."""
    row = subscription.row
    return encode(
        {
            "account": subscription.account.name,
            "sequence": row.sequence,
            "purchase_type": row.purchase_type.value,
            "policy": row.policy.value,
            "active": row.active,
            **totals(row.totals),
            "candidates": row.candidates,
            "subscribed_at": rfc3339(row.subscribed_at_ms),
            "changed_at": rfc3339(row.changed_at_ms),
        }
    )


def _device(device: RegisteredDevice) -> dict[str, object]:
    told: dict[str, object] = {
        "imei": imei_text(device.imei),
        "upgrade": _UPGRADES[device.upgrade],
    }
    if device.assigned_at_ms is not None:
        told["assigned_at"] = rfc3339(device.assigned_at_ms)
    if device.upgraded_at_ms is not None:
        told["upgraded_at"] = rfc3339(device.upgraded_at_ms)
    return told


def _page_of(change: Change, start: int) -> dict[str, object]:
    end = start + VERDICTS_LISTED_MAX
    late = change.changed_by[start:end] or [0] * len(change.outcomes[start:end])
    rows = zip(change.devices.items[start:end], change.outcomes[start:end], late, strict=True)
    return {"items": [_Verdict(item, _WORDS[outcome], by) for item, outcome, by in rows]}


def _place(listed: List, change: Change, start: int) -> str | None:
    end = start + VERDICTS_LISTED_MAX
    return listed.write_place(end) if end < len(change.devices) else None
