"""What the operations of a fotapool server share: paths, pages, changes, dry runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar
from urllib.parse import urlencode

from fotapool.client.calls import Call, Performer, list_of_imeis, path_of_account
from fotapool.client.errors import ApiError, Response
from fotapool.client.results import (
    ChangeSummary,
    DryRun,
    LicensedDevice,
    NamedChange,
    PoolChange,
    PoolStatus,
    Verdict,
)
from fotapool.model import Outcome
from fotapool.wire import pool_answers as answers
from fotapool.wire.pool_answers import read, write_imeis

T = TypeVar("T")
PageT = TypeVar(
    "PageT",
    answers.Entries,
    answers.Change,
    answers.Holdings,
    answers.Status,
    answers.Refusals,
    answers.Candidates,
    answers.Devices,
)

_OUTCOMES = {outcome.word: outcome for outcome in Outcome}


class OwnOperations:
    """A part of our own operations. They need the bearer token alone, no session."""

    def __init__(self, performer: Performer) -> None:
        self._performer = performer

    def _change_devices(
        self,
        account: str,
        below: str,
        imeis: Iterable[str],
        if_sequence: int | None,
        key: str | None,
    ) -> PoolChange:
        body = write_imeis(list_of_imeis(imeis))
        return self._change(account, below, body, if_sequence, key)

    def _change(
        self, account: str, below: str, body: bytes, if_sequence: int | None, key: str | None
    ) -> PoolChange:
        condition = () if if_sequence is None else (("If-Match", f'"{if_sequence}"'),)
        call = Call(
            "POST",
            path_below(account, below),
            _read_change,
            body,
            key=key,
            headers=condition,
            session=False,
        )
        return self._performer.perform(call)

    def _dry_run(self, account: str, below: str, body: bytes) -> DryRun:
        """What a write would come to, with the verdicts of every page."""
        page = self._dry_run_page(account, below, body, None)
        told = _dry_run(page)
        items = list(page.items)
        while page.next is not None:
            page = self._dry_run_page(account, below, body, page.next)
            items += page.items
        return replace(told, verdicts=tuple(verdicts_of(items)))

    def _dry_run_page(
        self, account: str, below: str, body: bytes, cursor: str | None
    ) -> answers.DryRun:
        path = path_below(account, f"dry-run/{below}") + query_of({"cursor": cursor})
        call = Call(
            "POST",
            path,
            lambda response: read(response.body, answers.DryRun),
            body,
            writes=False,
            session=False,
        )
        return self._performer.perform(call)

    def _pages(
        self, account: str, path: str, asked: dict[str, str | None], kind: type[PageT]
    ) -> Iterator[PageT]:
        """Every page of a list, each asked for when the one before is used up."""
        while True:
            page = self._performer.perform(get_call(account, path, asked, kind))
            yield page
            if page.next is None:
                return
            if page.next == asked.get("cursor"):
                raise ApiError(f"the pages of {path} do not go on, yet say so")
            asked = {**asked, "cursor": page.next}


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


def query_of(asked: dict[str, str | None]) -> str:
    given = {name: value for name, value in asked.items() if value is not None}
    return "?" + urlencode(given) if given else ""


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


def _read_change(response: Response) -> PoolChange:
    change = read(response.body, answers.Change)
    replayed = response.headers.get("idempotency-replayed") == "true"
    return pool_change(change, verdicts_of(change.items), replayed=replayed)


def _dry_run(told: answers.DryRun) -> DryRun:
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
