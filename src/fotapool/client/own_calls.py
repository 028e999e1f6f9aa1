"""The operations of a fotapool server as calls: what is sent, and what is made of the answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar

from fotapool.client.calls import Call, is_replayed, paged, path_of_account, query_of
from fotapool.client.errors import Response
from fotapool.client.results import (
    ChangeSummary,
    ClockHealth,
    DryRun,
    Holding,
    LicensedDevice,
    NamedChange,
    Page,
    PoolAccount,
    PoolChange,
    PoolDevice,
    PoolStatus,
    Refusals,
    Verdict,
)
from fotapool.model import Outcome
from fotapool.wire import pool_answers as answers
from fotapool.wire.pool_answers import read

T = TypeVar("T")
VerdictsT = TypeVar("VerdictsT", DryRun, PoolChange)
PartT = TypeVar("PartT", DryRun, PoolChange, Refusals)

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


def dry_run_call(account: str, below: str, body: bytes, cursor: str | None) -> Call[Page[DryRun]]:
    """A page of a dry run: its one item is the dry run with some of its verdicts."""
    call = Call(
        "POST",
        path_below(account, f"dry-run/{below}") + query_of({"cursor": cursor}),
        lambda response: read(response.body, answers.DryRun),
        body,
        writes=False,
        session=False,
    )
    return paged(call, lambda told: (dry_run_of(told),), lambda told: told.next)


def change_call(account: str, number: int, cursor: str | None) -> Call[Page[PoolChange]]:
    """A page of a change: its one item is the change with some of its verdicts."""
    call = get_call(account, f"changes/{number}", {"cursor": cursor}, answers.Change)
    return paged(call, lambda told: (pool_change(told, replayed=False),), lambda told: told.next)


def refusals_call(
    account: str, asked: dict[str, str | None], cursor: str | None
) -> Call[Page[Refusals]]:
    """A page of refusals: its one item is some of their counts."""
    call = get_call(account, "refusals", {**asked, "cursor": cursor}, answers.Refusals)
    return paged(call, lambda told: (refusals_of(account, told),), lambda told: told.next)


def part_of(page: Page[PartT]) -> PartT:
    """The one item of a page, with the page's answer."""
    return replace(page.items[0], response=page.response)


def with_every_verdict(parts: Sequence[VerdictsT]) -> VerdictsT:
    """What the parts of one dry run or change come to: the first, with the verdicts of all."""
    return replace(parts[0], verdicts=tuple(verdict for part in parts for verdict in part.verdicts))


def with_every_count(parts: Sequence[Refusals]) -> Refusals:
    """The first part, with the counts of all."""
    counts: Counter[tuple[str, str]] = Counter()
    for part in parts:
        counts.update(part.counts)
    return replace(parts[0], counts=dict(counts))


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
    return pool_change(read(response.body, answers.Change), replayed=is_replayed(response))


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
        verdicts=verdicts_of(told.items),
    )


def account_of(told: answers.Account) -> PoolAccount:
    return PoolAccount(
        account=told.account,
        sequence=told.sequence,
        purchase_type=told.purchase_type,
        policy=told.policy,
        active=told.active,
        total=told.total,
        used=told.used,
        free=told.free,
        overhang=told.overhang,
        candidates=told.candidates,
        subscribed_at=told.subscribed_at,
        changed_at=told.changed_at,
    )


def refusals_of(account: str, told: answers.Refusals) -> Refusals:
    counts: Counter[tuple[str, str]] = Counter()
    for item in told.items:
        counts[item.verb, item.outcome] += item.count
    return Refusals(account, counts)


def clock_of(told: answers.Clock) -> ClockHealth:
    return ClockHealth(told.account, told.sequence, told.now, told.changed_at, told.behind_ms)


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


def verdicts_of(items: Iterable[answers.Verdict]) -> tuple[Verdict, ...]:
    return tuple(
        Verdict(
            item.imei,
            _OUTCOMES.get(item.outcome, Outcome.UNRECOGNIZED),
            item.outcome,
            "",
            by=item.by,
        )
        for item in items
    )


def named_change(told: answers.Named) -> NamedChange:
    return NamedChange(told.change, told.at, told.actor, told.verb)


def summary_of(told: answers.Entry) -> ChangeSummary:
    return _entry_of(ChangeSummary, told)


def pool_change(told: answers.Change, *, replayed: bool) -> PoolChange:
    return _entry_of(
        PoolChange,
        told,
        account=told.account,
        verdicts=verdicts_of(told.items),
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
