"""Our own operations: `/api/fotapool/v1/accounts/{account}/…` (docs/reference/protocol.md R17).

Counts are `total`, `used`, `free`, `overhang`; times RFC 3339 with milliseconds; devices `imei`;
verbs and outcomes the words of our enums; pages `items` and, where more follows, `next`.
What is not known in a request is refused, never passed over.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from fotapool.model import (
    AsOfPage,
    Change,
    ClockHealth,
    Entry,
    EntryPage,
    HoldingPage,
    Outcome,
    Page,
    Refusal,
    RefusalCounts,
    Refused,
    Totals,
    imei_text,
)
from fotapool.wire._json import encode, read_device_list, read_fields, rfc3339
from fotapool.wire.query import NAME_SHOWN_MAX, List

DEVICES_KEY = "imeis"
VERDICTS_LISTED_MAX = 1000
"""Verdicts on a page of one change; an answer to a write has them all."""

_WORDS = {int(outcome): outcome.word for outcome in Outcome}


class _Device(msgspec.Struct, gc=False):
    imei: str
    assigned_at: str


class _Verdict(msgspec.Struct, gc=False):
    imei: str
    outcome: str


# --- requests ----------------------------------------------------------------------------------


def read_request(body: bytes, account: str, items_max: int) -> list[str]:
    """The device texts of an assign or remove: `{"imeis": […]}`. Raises Refused."""
    fields = read_fields(body)
    for name in fields:
        if name != DEVICES_KEY:
            raise Refused(Refusal.FIELD_UNKNOWN, name=name[:NAME_SHOWN_MAX])
    return read_device_list(fields, items_max, keys=(DEVICES_KEY,))


# --- answers -----------------------------------------------------------------------------------


def write_change(change: Change) -> bytes:
    """The answer to an assign or remove."""
    return encode(entry_head(change) | {"items": verdicts(change)})


def write_dry_run(change: Change) -> bytes:
    """What a write would have answered; `sequence` is the position it holds for."""
    return encode(dry_run_head(change) | {"items": verdicts(change)})


def write_change_page(change: Change, start: int, listed: List) -> bytes:
    """One change, its verdicts from one on."""
    end = start + VERDICTS_LISTED_MAX
    place = end if end < len(change.devices) else None
    items = verdicts(change)[start:end]
    return encode(entry_head(change) | {"items": items} | next_place(listed.write_place(place)))


def write_page(page: Page, listed: List) -> bytes:
    """Licensed devices and totals now."""
    last = page.imeis[-1] if page.more else None
    return encode(
        {
            "account": page.account.name,
            "sequence": page.sequence,
            **totals(page.totals),
            "items": _devices(page.imeis, page.assigned_at_ms),
            **next_place(listed.write_place(last)),
        }
    )


def write_as_of(page: AsOfPage, listed: List) -> bytes:
    """Licensed devices and totals at a position of the past."""
    return encode(
        {
            "account": page.account.name,
            "sequence": page.sequence,
            "at": rfc3339(page.at_ms),
            **totals(page.totals),
            "items": _devices(page.imeis, page.assigned_at_ms),
            **next_place(listed.write_place(page.sequence, page.next)),
        }
    )


def write_entries(page: EntryPage, listed: List) -> bytes:
    """Changes of an account."""
    return encode(
        {
            "account": page.account.name,
            "sequence": page.sequence,
            "items": [_entry(entry) for entry in page.entries],
            **next_place(listed.write_place(page.next)),
        }
    )


def write_holdings(page: HoldingPage, listed: List) -> bytes:
    """The times for which a device held a license."""
    items = [
        {"since": _named(holding.since)}
        | ({} if holding.until is None else {"until": _named(holding.until)})
        for holding in page.holdings
    ]
    return encode(
        {
            "account": page.account.name,
            "sequence": page.sequence,
            "imei": imei_text(page.imei),
            "items": items,
            **next_place(listed.write_place(page.next)),
        }
    )


def write_refusals(counted: RefusalCounts, listed: List) -> bytes:
    """How many devices were refused, by verb and outcome."""
    items = [
        {"verb": verb.word, "outcome": outcome.word, "count": count}
        for (verb, outcome), count in sorted(counted.counts.items())
    ]
    return encode(
        {
            "account": counted.account.name,
            "sequence": counted.sequence,
            "changes": counted.changes,
            "items": items,
            **next_place(listed.write_place(counted.next)),
        }
    )


def write_clock(health: ClockHealth) -> bytes:
    """The clock against the account's own time."""
    return encode(
        {
            "account": health.account.name,
            "sequence": health.sequence,
            "now": rfc3339(health.now_ms),
            "changed_at": rfc3339(health.changed_at_ms),
            "behind_ms": health.behind_ms,
        }
    )


def dry_run_head(change: Change) -> dict[str, object]:
    """What every dry run tells beside its devices."""
    return {
        "account": change.account.name,
        "sequence": change.sequence,
        "verb": change.verb.word,
        "outcomes": _outcomes(change.outcomes),
        **totals(change.totals),
    }


def entry_head(entry: Entry) -> dict[str, object]:
    """What every answer to a write tells beside its devices."""
    return {"account": entry.account.name} | _entry(entry)


def _entry(entry: Entry) -> dict[str, object]:
    told: dict[str, object] = {
        "change": entry.sequence,
        "at": rfc3339(entry.at_ms),
        "actor": entry.actor,
        "verb": entry.verb.word,
        "request": entry.request_id.hex(),
        "outcomes": _outcomes(entry.outcomes),
        **totals(entry.totals),
        "hash": entry.hash.hex(),
    }
    return told | ({"detail": entry.detail} if entry.detail else {})


def _named(entry: Entry) -> dict[str, object]:
    return {
        "change": entry.sequence,
        "at": rfc3339(entry.at_ms),
        "actor": entry.actor,
        "verb": entry.verb.word,
    }


def totals(sums: Totals) -> dict[str, int]:
    """The counts, by the names that every body gives them."""
    return {
        "total": sums.total,
        "used": sums.used,
        "free": sums.free,
        "overhang": sums.overhang,
    }


def _outcomes(outcomes: bytes) -> dict[str, int]:
    return {_WORDS[number]: outcomes.count(number) for number in sorted(set(outcomes))}


def verdicts(change: Change) -> list[_Verdict]:
    """Every item of a change with its verdict."""
    return [
        _Verdict(item, _WORDS[outcome])
        for item, outcome in zip(change.devices.items, change.outcomes, strict=True)
    ]


def _devices(imeis: Sequence[int], times_ms: Sequence[int]) -> list[_Device]:
    times = {at_ms: rfc3339(at_ms) for at_ms in set(times_ms)}
    return [
        _Device(imei_text(imei), times[at_ms]) for imei, at_ms in zip(imeis, times_ms, strict=True)
    ]


def next_place(place: str | None) -> dict[str, str]:
    """Where the next page begins, if there is one."""
    return {} if place is None else {"next": place}
