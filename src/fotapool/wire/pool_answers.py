"""The answers of our own operations, as a client reads them. Unknown members are passed over."""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

import msgspec

T = TypeVar("T")


class Device(msgspec.Struct, gc=False):
    imei: str
    assigned_at: datetime


class Verdict(msgspec.Struct, gc=False):
    imei: str
    outcome: str
    by: int | None = None


class Named(msgspec.Struct):
    """A change by its number, with who made it and when."""

    change: int
    at: datetime
    actor: str
    verb: str


class _Counts(msgspec.Struct, kw_only=True):
    total: int
    used: int
    free: int
    overhang: int


class Entry(_Counts, kw_only=True):
    """A change in a list of changes."""

    change: int
    at: datetime
    actor: str
    verb: str
    request: str
    outcomes: dict[str, int]
    hash: str
    detail: str = ""


class Change(Entry, kw_only=True):
    """A change with its verdicts, or some of them."""

    account: str
    items: list[Verdict]
    candidates: int | None = None
    next: str | None = None


class DryRun(_Counts, kw_only=True):
    account: str
    sequence: int
    verb: str
    outcomes: dict[str, int]
    items: list[Verdict]
    next: str | None = None


class Account(_Counts, kw_only=True):
    account: str
    sequence: int
    purchase_type: str
    policy: str
    active: bool
    candidates: int
    subscribed_at: datetime
    changed_at: datetime


class Candidate(msgspec.Struct, gc=False):
    imei: str


class Candidates(msgspec.Struct, kw_only=True):
    items: list[Candidate]
    next: str | None = None


class RegisteredDevice(msgspec.Struct, gc=False):
    imei: str
    upgrade: str = "none"
    assigned_at: datetime | None = None
    upgraded_at: datetime | None = None


class Devices(msgspec.Struct, kw_only=True):
    items: list[RegisteredDevice]
    next: str | None = None


class Status(_Counts, kw_only=True):
    """Licensed devices and totals, now or at a position of the past."""

    account: str
    sequence: int
    items: list[Device]
    at: datetime | None = None
    next: str | None = None


class Entries(msgspec.Struct, kw_only=True):
    items: list[Entry]
    next: str | None = None


class Holding(msgspec.Struct):
    since: Named
    until: Named | None = None


class Holdings(msgspec.Struct, kw_only=True):
    items: list[Holding]
    next: str | None = None


class RefusalCount(msgspec.Struct):
    verb: str
    outcome: str
    count: int


class Refusals(msgspec.Struct, kw_only=True):
    items: list[RefusalCount]
    next: str | None = None


class Clock(msgspec.Struct, kw_only=True):
    account: str
    sequence: int
    now: datetime
    changed_at: datetime
    behind_ms: int


def read(body: bytes, kind: type[T]) -> T:
    """An answer of a kind. Raises msgspec.DecodeError."""
    return msgspec.json.decode(body, type=kind)


def write_imeis(imeis: list[str]) -> bytes:
    """The body of a request that names devices, as a client sends it."""
    return msgspec.json.encode({"imeis": imeis})


def write_member(name: str, number: int) -> bytes:
    """The body of a resize or undo, as a client sends it."""
    return msgspec.json.encode({name: number})


def write_nothing() -> bytes:
    """The body of a request that needs none."""
    return b"{}"
