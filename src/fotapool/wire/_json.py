"""What the wire versions truly share: request bodies, cursors, times, and reading verdicts."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from fotapool.model import (
    IMEI_DIGITS,
    ITEM_LENGTH_MAX,
    Cursor,
    Outcome,
    Refusal,
    Refused,
    Verb,
    imei_text,
)
from fotapool.wire.answered import UNREADABLE
from fotapool.wire.documented import LicenseSummary, LicenseSummaryDevice

if TYPE_CHECKING:
    from fotapool.model import Page

Words = Mapping[Outcome, tuple[str, str]]
"""Status and reason of each outcome: written by the server, read backwards by the client."""

Reasons = dict[Outcome, str]

TIMES_KEPT_MAX = 8192
"""Texts of whole seconds that are kept: changes and licenses share few of them."""

ASSIGN_REASONS: Reasons = {
    Outcome.MALFORMED: "Invalid Device IMEI.",
    Outcome.ALREADY_LICENSED: "Device license preexisting",
    Outcome.UNKNOWN_DEVICE: "Device does not exist.",
    Outcome.NO_FREE_LICENSE: "No available license",
    Outcome.ASSIGNED: "Success",
}
REMOVE_REASONS: Reasons = {
    Outcome.MALFORMED: "Invalid Device IMEI.",
    Outcome.NOT_LICENSED: "No license attached to device",
    Outcome.UPGRADE_RUNNING: "Upgrade in progress.",
    Outcome.UPGRADED: "License removal not allowed for devices that have ever upgraded firmware.",
    Outcome.REMOVED: "Success",
}

encode = msgspec.json.Encoder().encode

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_texts = msgspec.json.Decoder(list[str])
_anything = msgspec.json.Decoder()

_TIME = re.compile(
    r"(\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(?:\.\d+)?)\s*(Z|[+-]\d{2}:?\d{2})?(?:\s*UTC)?",
    re.ASCII,
)
_AT_UTC = (None, "Z", "+0000", "+00:00", "-0000", "-00:00")


def spell(reasons: Reasons, *, success: str, failure: str) -> Words:
    """A version's words: its reasons, each with the status word that goes with it."""
    return {
        outcome: (success if outcome.ok else failure, reason) for outcome, reason in reasons.items()
    }


def by_number(words: Mapping[Verb, Words]) -> dict[Verb, dict[int, tuple[str, str]]]:
    """The same words by the bytes in which a change keeps its outcomes."""
    return {
        verb: {int(outcome): pair for outcome, pair in spelled.items()}
        for verb, spelled in words.items()
    }


def read_fields(body: bytes) -> dict[str, msgspec.Raw]:
    """The members of a JSON object. Raises Refused for anything else (`Input binding error`)."""
    try:
        return _fields.decode(body)
    except UNREADABLE:
        raise Refused(Refusal.BODY_UNREADABLE) from None


def find_field(fields: Mapping[str, msgspec.Raw], keys: Collection[str]) -> msgspec.Raw | None:
    """A member by its lower-case name; the vendor's platform does not mind the case."""
    for name, raw in fields.items():
        if name.lower() in keys:
            return raw
    return None


def read_device_list(
    fields: Mapping[str, msgspec.Raw],
    items_max: int,
    *,
    keys: Collection[str] = ("devicelist", "devcelist"),
) -> list[str]:
    """The items of a request's device list, as texts. Raises Refused (protocol.md R1, R15).

    The list goes by its own name, or as request tables of the vendor's pages spell it.
    """
    raw = find_field(fields, keys)
    if raw is None:
        raise Refused(Refusal.DEVICE_LIST_EMPTY)
    try:
        items = _texts.decode(raw)
    except UNREADABLE:
        raise Refused(_why_unreadable(raw)) from None
    if not items:
        raise Refused(Refusal.DEVICE_LIST_EMPTY)
    if len(items) > items_max:
        raise Refused(Refusal.DEVICE_LIST_TOO_LONG, limit=items_max)
    if max(map(len, items)) > ITEM_LENGTH_MAX:
        raise Refused(Refusal.BODY_UNREADABLE)
    return items


def _why_unreadable(raw: msgspec.Raw) -> Refusal:
    """No list at all is an empty one; a list of something else cannot be bound."""
    try:
        is_list = isinstance(_anything.decode(raw), list)
    except UNREADABLE:
        return Refusal.BODY_UNREADABLE
    return Refusal.BODY_UNREADABLE if is_list else Refusal.DEVICE_LIST_EMPTY


def read_device_cursor(text: str | None) -> Cursor:
    """Where a v2 or v3 page begins: absent, empty and `0` are the start (protocol.md R4).

    Raises Refused for what is no number of at most 15 digits.
    """
    if text in (None, "", "0"):
        return Cursor()
    if not (text.isascii() and text.isdigit() and len(text) <= IMEI_DIGITS):
        raise Refused(Refusal.DEVICE_ID_INVALID)
    return Cursor(imei=int(text))


def rfc3339(at_ms: int) -> str:
    """`2017-11-29T16:03:42.000Z`"""
    return f"{_to_the_second(at_ms // 1000)}.{at_ms % 1000:03d}Z"


def go_style(at_ms: int) -> str:
    """`2017-11-29 20:15:42.738 +0000 UTC`, the fraction's trailing zeros dropped, as Go prints."""
    fraction = f".{at_ms % 1000:03d}".rstrip("0").rstrip(".")
    return f"{_to_the_second(at_ms // 1000).replace('T', ' ')}{fraction} +0000 UTC"


@lru_cache(TIMES_KEPT_MAX)
def _to_the_second(seconds: int) -> str:
    """`2017-11-29T16:03:42`"""
    return f"{_EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}"


def parse_time(text: str | None) -> datetime | None:
    """A moment in any style the service prints; None for none and for what is no time at all.

    Accepts RFC 3339 and Go style, any number of fraction digits, and no zone (then UTC).
    """
    match = _TIME.fullmatch(text.strip()) if text else None
    if match is None:
        return None
    moment, zone = match.groups()
    offset = "Z" if zone in _AT_UTC else zone
    try:
        at = datetime.fromisoformat(moment + offset)
        return at if at.tzinfo is UTC else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def parse_times(texts: Sequence[str | None]) -> list[datetime | None]:
    """Many moments at once; a page has few distinct ones."""
    known = {text: parse_time(text) for text in set(texts)}
    return [known[text] for text in texts]


def parse_or_keep(texts: Sequence[str | None]) -> list[datetime | str | None]:
    """Many moments at once, each as its text where that is no time."""
    known = {text: parse_time(text) or text or None for text in set(texts)}
    return [known[text] for text in texts]


class ReadItem(msgspec.Struct, gc=False):
    """One device's verdict as a client reads it: whichever spellings the server uses."""

    deviceId: str
    status: str
    resultReason: str | None = None
    Reason: str | None = None
    reason: str | None = None
    updatedTime: str | None = None
    recentAttemptTime: str | None = None
    nextAttemptTime: str | None = None

    @property
    def said(self) -> str | None:
        """The reason under its other two names."""
        return self.Reason or self.reason


def read_total(lic_total_count: int | None, lic_count: int | None) -> int:
    """The subscription's size, which servers print under either name. Raises ValidationError."""
    total = lic_count if lic_total_count is None else lic_total_count
    if total is None:
        raise msgspec.ValidationError("Object missing required field `licTotalCount`")
    return total


def read_verdicts(
    words: Words, synonyms: Mapping[str, Outcome], said: Sequence[tuple[str, str]]
) -> list[Outcome]:
    """The outcomes that statuses and their reasons mean; a list repeats few distinct pairs."""
    known = {pair: _read_verdict(words, synonyms, *pair) for pair in set(said)}
    return [known[pair] for pair in said]


def _read_verdict(
    words: Words, synonyms: Mapping[str, Outcome], status: str, reason: str
) -> Outcome:
    """One verdict; UNRECOGNIZED where status and reason say nothing known.

    Statuses differ between versions and servers, so success is whatever ends in "success"; the
    reason then tells which. A success with an unknown reason is the verb's plain success, which
    stands last in precedence.
    """
    lowered = status.lower()
    succeeded = lowered.endswith("success")
    if not succeeded and not lowered.endswith(("failure", "failed", "fail")):
        return Outcome.UNRECOGNIZED
    outcomes = {known: outcome for outcome, (_, known) in words.items()} | dict(synonyms)
    outcome = outcomes.get(reason, Outcome.UNRECOGNIZED)
    if outcome.ok is succeeded:
        return outcome
    return list(words)[-1] if succeeded else Outcome.UNRECOGNIZED


class _Device(msgspec.Struct, gc=False, rename="camel"):
    device_id: str
    assignment_time: str


class _Page(msgspec.Struct, gc=False, rename="camel"):
    account_name: str
    total_license: int
    total_licenses: int
    assigned_licenses: int
    has_more_data: bool
    last_seen_device_id: str
    max_page_size: int
    device_list: list[_Device]


def write_device_page(page: Page, page_size_max: int, time_text: Callable[[int], str]) -> bytes:
    """A v2 or v3 status page. Both spellings of the total: each SDK reads only its own."""
    times = {at_ms: time_text(at_ms) for at_ms in set(page.assigned_at_ms)}
    return encode(
        _Page(
            page.account.name,
            page.totals.total,
            page.totals.total,
            page.totals.used,
            page.more,
            _last_seen(page),
            page_size_max,
            [
                _Device(imei_text(imei), times[at_ms])
                for imei, at_ms in zip(page.imeis, page.assigned_at_ms, strict=True)
            ],
        )
    )


def _last_seen(page: Page) -> str:
    """The cursor for the next page; on an empty one the request's own, so a loop still ends."""
    if page.imeis:
        return imei_text(page.imeis[-1])
    return "0" if page.cursor.imei is None else imei_text(page.cursor.imei)


class _Summary(msgspec.Struct, rename="camel"):
    account_name: str
    assigned_licenses: int
    has_more_data: bool
    max_page_size: int
    total_license: int | None = None
    total_licenses: int | None = None
    last_seen_device_id: str | int | None = None
    device_list: tuple[LicenseSummaryDevice, ...] | None = None


_summary = msgspec.json.Decoder(_Summary)


def read_device_page(body: bytes) -> LicenseSummary:
    """A v2 or v3 status page as a client reads it. Raises msgspec.DecodeError."""
    read = _summary.decode(body)
    last = read.last_seen_device_id
    return LicenseSummary(
        account_name=read.account_name,
        total_license=read.total_licenses if read.total_license is None else read.total_license,
        assigned_licenses=read.assigned_licenses,
        has_more_data=read.has_more_data,
        last_seen_device_id=None if last is None else str(last),
        max_page_size=read.max_page_size,
        device_list=read.device_list or (),
    )
