"""The operations of a fotapool server as calls: what is sent, and what is made of the answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import TypeVar

from fotapool.client.calls import Call, path_of_account, query_of
from fotapool.client.errors import Response
from fotapool.client.results import (
    ChangeSummary,
    DryRun,
    Holding,
    LicensedDevice,
    NamedChange,
    PoolChange,
    PoolDevice,
    PoolStatus,
    Verdict,
)
from fotapool.model import Outcome
from fotapool.wire import pool_answers as answers
from fotapool.wire.pool_answers import read

T = TypeVar("T")

_OUTCOMES = {outcome.word: outcome for outcome in Outcome}


def path_below(account: str, below: str) -> str:
    """The path of an operation; of the account itself where nothing is below."""
    path = path_of_account("/api/fotapool/v1/accounts/", account)
    return f"{path}/{below}" if below else path


def get_call(account: str, below: str, asked: dict[str, str | None], kind: type[T]) -> Call[T]:
    return Call(
        "GET",
        path_below(account, below) + query_of(asked),
        lambda response: read(response.body, kind),
        session=False,
    )


def dry_run_call(account: str, below: str, body: bytes, cursor: str | None) -> Call[answers.DryRun]:
    return Call(
        "POST",
        path_below(account, f"dry-run/{below}") + query_of({"cursor": cursor}),
        lambda response: read(response.body, answers.DryRun),
        body,
        writes=False,
        session=False,
    )


def status_call(account: str, below: str, asked: dict[str, str | None]) -> Call[PoolStatus]:
    path = path_below(account, below) + query_of(asked)
    return Call("GET", path, _read_status, session=False)


def position_of(sequence: int | None, at: datetime | None) -> dict[str, str | None]:
    if (sequence is None) == (at is None):
        raise TypeError("give sequence or at, and only one of them")
    return {"sequence": None if sequence is None else str(sequence), "at": time_text(at)}


def time_text(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no time zone; give one, such as datetime.UTC")
    try:
        utc = moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{moment!r} lies outside of the years 1 to 9999 in UTC") from error
    return utc.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def read_pool_change(response: Response) -> PoolChange:
    change = read(response.body, answers.Change)
    replayed = response.headers.get("idempotency-replayed") == "true"
    return pool_change(change, verdicts_of(change.items), replayed=replayed)


def dry_run_of(told: answers.DryRun) -> DryRun:
    return DryRun(
        account=told.account,
        sequence=told.sequence,
        verb=told.verb,
        outcomes=told.outcomes,
        total=told.total,
        used=told.used,
        free=told.free,
        overhang=told.overhang,
    )


def _read_status(response: Response) -> PoolStatus:
    told = read(response.body, answers.Status)
    return PoolStatus(
        account=told.account,
        sequence=told.sequence,
        at=told.at,
        total=told.total,
        used=told.used,
        free=told.free,
        overhang=told.overhang,
        devices=tuple(devices_of(told)),
        has_more=told.next is not None,
    )


def devices_of(page: answers.Status) -> Iterator[LicensedDevice]:
    for device in page.items:
        yield LicensedDevice(device.imei, device.assigned_at, time_text(device.assigned_at))


def pool_devices_of(page: answers.Devices) -> Iterator[PoolDevice]:
    for device in page.items:
        yield PoolDevice(device.imei, device.upgrade, device.assigned_at, device.upgraded_at)


def summaries_of(page: answers.Entries) -> Iterator[ChangeSummary]:
    return map(summary_of, page.items)


def holdings_of(page: answers.Holdings) -> Iterator[Holding]:
    for held in page.items:
        until = None if held.until is None else named_change(held.until)
        yield Holding(named_change(held.since), until)


def verdicts_of(items: Iterable[answers.Verdict]) -> list[Verdict]:
    return [
        Verdict(
            item.imei,
            _OUTCOMES.get(item.outcome, Outcome.UNRECOGNIZED),
            item.outcome,
            "",
            by=item.by,
        )
        for item in items
    ]


def named_change(told: answers.Named) -> NamedChange:
    return NamedChange(told.change, told.at, told.actor, told.verb)


def summary_of(told: answers.Entry) -> ChangeSummary:
    return _entry_of(ChangeSummary, told)


def pool_change(told: answers.Change, verdicts: Iterable[Verdict], *, replayed: bool) -> PoolChange:
    return _entry_of(
        PoolChange,
        told,
        account=told.account,
        verdicts=tuple(verdicts),
        replayed=replayed,
        has_more=told.next is not None,
        candidates=told.candidates,
    )


def _entry_of(kind: Callable[..., T], told: answers.Entry, **more: object) -> T:
    return kind(
        change=told.change,
        at=told.at,
        actor=told.actor,
        verb=told.verb,
        request_id=told.request,
        outcomes=told.outcomes,
        total=told.total,
        used=told.used,
        free=told.free,
        overhang=told.overhang,
        hash=told.hash,
        detail=told.detail,
        **more,
    )
