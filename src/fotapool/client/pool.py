"""`client.pool`: a fotapool server's own operations: conditions, dry runs, and the past.

The vendor's service has none of them: there every call raises MissingPath.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Literal, TypeVar
from urllib.parse import quote, urlencode

from fotapool.client.calls import Call, Performer, list_of_imeis, path_of_account
from fotapool.client.errors import ApiError, Response
from fotapool.client.results import (
    ChangeSummary,
    ClockHealth,
    DryRun,
    Holding,
    LicensedDevice,
    NamedChange,
    PoolChange,
    PoolStatus,
    Refusals,
    Verdict,
)
from fotapool.model import Outcome
from fotapool.wire import pool_answers as answers
from fotapool.wire.pool_answers import read, write_imeis

T = TypeVar("T")

_OUTCOMES = {outcome.word: outcome for outcome in Outcome}


class PoolController:
    """Our own operations of one client. They need the bearer token alone, no session."""

    def __init__(self, performer: Performer) -> None:
        self._performer = performer

    def status(self, account: str) -> PoolStatus:
        """Totals now, and the first page of licensed devices. Raises ApiError."""
        return self._performer.perform(_status_call(account, "status", {}))

    def devices(self, account: str) -> Iterator[LicensedDevice]:
        """Every licensed device now, page by page as it is asked for. Raises ApiError."""
        return self._devices(account, "status", {})

    def assign(
        self,
        account: str,
        imeis: Iterable[str],
        *,
        if_sequence: int | None = None,
        idempotency_key: str | None = None,
    ) -> PoolChange:
        """Assign a license to each device.

        With `if_sequence` only while that is the account's last change; else AnswerError with
        `error_code` PRECONDITION_FAILED, and nothing is done. Raises ApiError.
        """
        return self._change(account, "assign", imeis, if_sequence, idempotency_key)

    def remove(
        self,
        account: str,
        imeis: Iterable[str],
        *,
        if_sequence: int | None = None,
        idempotency_key: str | None = None,
    ) -> PoolChange:
        """Take the license of each device; `if_sequence` as for `assign`. Raises ApiError."""
        return self._change(account, "remove", imeis, if_sequence, idempotency_key)

    def dry_run_assign(self, account: str, imeis: Iterable[str]) -> DryRun:
        """What `assign` would come to now. Nothing is changed. Raises ApiError."""
        return self._dry_run(account, "assign", imeis)

    def dry_run_remove(self, account: str, imeis: Iterable[str]) -> DryRun:
        """What `remove` would come to now. Nothing is changed. Raises ApiError."""
        return self._dry_run(account, "remove", imeis)

    def changes(
        self,
        account: str,
        *,
        verb: str | None = None,
        actor: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        imei: str | None = None,
        outcome: Outcome | None = None,
        order: Literal["newest", "oldest"] = "newest",
    ) -> Iterator[ChangeSummary]:
        """The account's changes that fit, page by page as they are asked for.

        From `since` to before `until`; with `imei` and `outcome` both, that device got that
        outcome. Raises ApiError.
        """
        asked = {
            "verb": verb,
            "actor": actor,
            "since": _time(since),
            "until": _time(until),
            "imei": imei,
            "outcome": None if outcome is None else outcome.word,
            "order": order,
        }
        for page in self._pages(account, "changes", asked, answers.Entries):
            for entry in page.items:
                yield _summary(entry)

    def change(self, account: str, number: int) -> PoolChange:
        """One change, with every verdict of it. Raises ApiError."""
        pages = list(self._pages(account, f"changes/{number}", {}, answers.Change))
        verdicts = [verdict for page in pages for verdict in _verdicts(page.items)]
        return _pool_change(pages[0], verdicts, replayed=False)

    def device_history(self, account: str, imei: str) -> Iterator[Holding]:
        """When a device held a license, by which changes and whom, the earliest first.

        Raises ApiError.
        """
        path = f"devices/{quote(imei, safe='')}/history"
        for page in self._pages(account, path, {}, answers.Holdings):
            for held in page.items:
                until = None if held.until is None else _named(held.until)
                yield Holding(_named(held.since), until)

    def as_of(
        self, account: str, *, sequence: int | None = None, at: datetime | None = None
    ) -> PoolStatus:
        """Totals and the first page of licensed devices as they stood at a sequence or moment.

        Give one of the two; the answer names the sequence. Raises ApiError.
        """
        return self._performer.perform(_status_call(account, "as-of", _position(sequence, at)))

    def devices_as_of(
        self, account: str, *, sequence: int | None = None, at: datetime | None = None
    ) -> Iterator[LicensedDevice]:
        """Every device that was licensed at a sequence or moment. Raises ApiError."""
        return self._devices(account, "as-of", _position(sequence, at))

    def refusals(
        self,
        account: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        verb: str | None = None,
    ) -> Refusals:
        """How many devices were refused from `since` to before `until`, and why.

        Raises ApiError.
        """
        asked = {"since": _time(since), "until": _time(until), "verb": verb}
        counts: Counter[tuple[str, str]] = Counter()
        for page in self._pages(account, "refusals", asked, answers.Refusals):
            for item in page.items:
                counts[item.verb, item.outcome] += item.count
        return Refusals(account, dict(counts))

    def clock(self, account: str) -> ClockHealth:
        """Whether the server's clock is behind the account's own time. Raises ApiError."""
        told = self._performer.perform(_get(account, "clock", {}, answers.Clock))
        return ClockHealth(told.account, told.sequence, told.now, told.changed_at, told.behind_ms)

    def _change(
        self,
        account: str,
        verb: str,
        imeis: Iterable[str],
        if_sequence: int | None,
        key: str | None,
    ) -> PoolChange:
        condition = () if if_sequence is None else (("If-Match", f'"{if_sequence}"'),)
        call = Call(
            "POST",
            _path(account, verb),
            _read_change,
            write_imeis(list_of_imeis(imeis)),
            key=key,
            headers=condition,
            session=False,
        )
        return self._performer.perform(call)

    def _dry_run(self, account: str, verb: str, imeis: Iterable[str]) -> DryRun:
        body = write_imeis(list_of_imeis(imeis))
        path = _path(account, f"dry-run/{verb}")
        call = Call("POST", path, _read_dry_run, body, writes=False, session=False)
        return self._performer.perform(call)

    def _devices(
        self, account: str, path: str, asked: dict[str, str | None]
    ) -> Iterator[LicensedDevice]:
        for page in self._pages(account, path, asked, answers.Status):
            yield from _devices(page)

    def _pages(
        self, account: str, path: str, asked: dict[str, str | None], kind: type[_PageT]
    ) -> Iterator[_PageT]:
        """Every page of a list, each asked for when the one before is used up."""
        while True:
            page = self._performer.perform(_get(account, path, asked, kind))
            yield page
            if page.next is None:
                return
            if page.next == asked.get("cursor"):
                raise ApiError(f"the pages of {path} do not go on, yet say so")
            asked = {**asked, "cursor": page.next}


_PageT = TypeVar(
    "_PageT", answers.Entries, answers.Change, answers.Holdings, answers.Status, answers.Refusals
)


def _path(account: str, below: str) -> str:
    return f"{path_of_account('/api/fotapool/v1/accounts/', account)}/{below}"


def _get(account: str, below: str, asked: dict[str, str | None], kind: type[T]) -> Call[T]:
    return Call(
        "GET",
        _path(account, below) + _query(asked),
        lambda response: read(response.body, kind),
        session=False,
    )


def _query(asked: dict[str, str | None]) -> str:
    given = {name: value for name, value in asked.items() if value is not None}
    return "?" + urlencode(given) if given else ""


def _status_call(account: str, below: str, asked: dict[str, str | None]) -> Call[PoolStatus]:
    path = _path(account, below) + _query(asked)
    return Call("GET", path, _read_status, session=False)


def _position(sequence: int | None, at: datetime | None) -> dict[str, str | None]:
    if (sequence is None) == (at is None):
        raise TypeError("give sequence or at, and only one of them")
    return {"sequence": None if sequence is None else str(sequence), "at": _time(at)}


def _time(moment: datetime | None) -> str | None:
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
    return _pool_change(change, _verdicts(change.items), replayed=replayed)


def _read_dry_run(response: Response) -> DryRun:
    told = read(response.body, answers.DryRun)
    return DryRun(
        account=told.account,
        sequence=told.sequence,
        verb=told.verb,
        outcomes=told.outcomes,
        total=told.total,
        used=told.used,
        free=told.free,
        overhang=told.overhang,
        verdicts=tuple(_verdicts(told.items)),
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
        devices=tuple(_devices(told)),
        has_more=told.next is not None,
    )


def _devices(page: answers.Status) -> Iterator[LicensedDevice]:
    for device in page.items:
        yield LicensedDevice(device.imei, device.assigned_at, _time(device.assigned_at))


def _verdicts(items: Iterable[answers.Verdict]) -> list[Verdict]:
    return [
        Verdict(item.imei, _OUTCOMES.get(item.outcome, Outcome.UNRECOGNIZED), item.outcome, "")
        for item in items
    ]


def _named(told: answers.Named) -> NamedChange:
    return NamedChange(told.change, told.at, told.actor, told.verb)


def _summary(told: answers.Entry) -> ChangeSummary:
    return _entry_of(ChangeSummary, told)


def _pool_change(
    told: answers.Change, verdicts: Iterable[Verdict], *, replayed: bool
) -> PoolChange:
    return _entry_of(
        PoolChange, told, account=told.account, verdicts=tuple(verdicts), replayed=replayed
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
