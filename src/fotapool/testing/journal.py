"""What was asked, what was answered, which rule decided; and assertions about it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import overload

import msgspec

from fotapool.model import Change, Outcome
from fotapool.store import SqliteStore
from fotapool.testing.clock import moment
from fotapool.testing.exchange import Answer, Asked, Remark
from fotapool.testing.scenario import Scenario
from fotapool.testing.scrubbing import scrubbed_body, scrubbed_headers
from fotapool.testing.why import Witness, rule_of

ENTRIES_MAX = 10_000
BYTES_MAX = 64 * 1024 * 1024
"""How many exchanges, and bytes of bodies, are remembered; the oldest are forgotten."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One device of a request: the verdict, the rule behind it, and why, where it is a no."""

    item: str
    outcome: Outcome
    rule: str
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One exchange, without its secrets. `status` is 0 where no answer was sent."""

    number: int
    at: datetime
    method: str
    path: str
    query: str
    operation: str
    account: str
    request_headers: dict[str, str]
    request_body: bytes
    status: int
    headers: dict[str, str]
    body: bytes
    change: int | None
    replayed: bool
    verdicts: Sequence[Judged]
    rule: str
    """The rule by which the whole request was refused; empty where it was not."""
    why: str
    remarks: Sequence[Remark]
    faults: Sequence[str]

    def __str__(self) -> str:
        query = f"?{self.query}" if self.query else ""
        parts = [f"{self.number}. {self.method} {self.path}{query} -> {self.status or 'no answer'}"]
        if self.why:
            parts.append(f"{self.rule} {self.why}".strip())
        refused = [judged for judged in self.verdicts if not judged.outcome.ok]
        parts += [f"{judged.item}: {judged.rule} {judged.why}" for judged in refused[:3]]
        if len(refused) > 3:
            parts.append(f"and {len(refused) - 3} devices more")
        told = "; ".join(parts)
        parts += [f"{r.code}: {r.text}" for r in self.remarks if r.text not in told]
        parts += [f"fault {name}" for name in self.faults]
        return "; ".join(parts)

    @property
    def weight(self) -> int:
        """The bytes of its bodies."""
        return len(self.request_body) + len(self.body)

    def json(self) -> object:
        """The devices and all else that the request's body told; None where it was no JSON."""
        try:
            return msgspec.json.decode(self.request_body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None


class Journal(Sequence[Entry]):
    """The exchanges of this emulator, oldest first. Thread-safe."""

    def __init__(self, scenario: Scenario, store: SqliteStore) -> None:
        self._witness = Witness(scenario, store)
        self._lock = threading.Lock()
        self._entries: deque[Entry] = deque()
        self._bytes = 0
        self._numbers = 0

    def __len__(self) -> int:
        return len(self._entries)

    @overload
    def __getitem__(self, at: int) -> Entry: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Entry]: ...
    def __getitem__(self, at: int | slice) -> Entry | Sequence[Entry]:
        return self._now()[at]

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._now())

    def __str__(self) -> str:
        return "\n".join(map(str, self)) or "no requests"

    def clear(self) -> None:
        """Forget all of it."""
        with self._lock:
            self._entries.clear()
            self._bytes = 0

    def of(self, operation: str, *, account: str | None = None) -> list[Entry]:
        """The exchanges of one operation: `assign`, `status`, `token` …"""
        return [
            entry
            for entry in self
            if entry.operation == operation and account in (None, entry.account)
        ]

    @property
    def last(self) -> Entry:
        """The newest exchange. Raises AssertionError where there was none."""
        entries = self._now()
        if not entries:
            raise AssertionError("no request was made")
        return entries[-1]

    @property
    def remarks(self) -> list[tuple[Entry, Remark]]:
        """Everything that is likely a mistake, with its exchange."""
        return [(entry, remark) for entry in self for remark in entry.remarks]

    # --- assertions --------------------------------------------------------------------------

    def assert_assigned(
        self, imeis: Iterable[str], *, account: str | None = None, only: bool = False
    ) -> None:
        """Each of these devices was given a license by a request; with `only`, no other was."""
        __tracebackhide__ = True
        self._assert_each(imeis, "assign", Outcome.ASSIGNED, account, only)

    def assert_removed(
        self, imeis: Iterable[str], *, account: str | None = None, only: bool = False
    ) -> None:
        """The same of licenses that were removed."""
        __tracebackhide__ = True
        self._assert_each(imeis, "remove", Outcome.REMOVED, account, only)

    def assert_called(self, operation: str, times: int | None = None) -> None:
        """The operation was asked for, this often if a number is given."""
        __tracebackhide__ = True
        found = len(self.of(operation))
        if found != times and (times is not None or not found):
            wanted = "at least once" if times is None else f"{times} times"
            raise AssertionError(f"{operation} was called {found} times, not {wanted}\n{self}")

    def assert_not_called(self, operation: str) -> None:
        """The operation was never asked for."""
        __tracebackhide__ = True
        self.assert_called(operation, 0)

    def assert_clean(self) -> None:
        """No request had a remark: no unknown path, malformed IMEI or deprecated call."""
        __tracebackhide__ = True
        if self.remarks:
            told = "\n".join(
                f"{entry.number}. {entry.method} {entry.path}: {remark.code}: {remark.text}"
                for entry, remark in self.remarks
            )
            raise AssertionError(f"{len(self.remarks)} remarks on what was asked\n{told}")

    def _assert_each(
        self, imeis: Iterable[str], operation: str, wanted: Outcome, account: str | None, only: bool
    ) -> None:
        __tracebackhide__ = True
        if isinstance(imeis, str):
            raise TypeError("imeis must be a list of IMEIs, not one text: write [imei]")
        told = self._told(operation, account)
        imeis = list(imeis)
        problems = [
            _missing(imei, operation, told.get(imei, ()))
            for imei in imeis
            if wanted not in [judged.outcome for judged in told.get(imei, ())]
        ]
        if only:
            done = [
                imei for imei, all_of in told.items() if any(j.outcome is wanted for j in all_of)
            ]
            extra = sorted(set(done) - set(imeis))
            problems += [f"{imei}: {wanted.word}, which was not expected" for imei in extra]
        if problems:
            raise AssertionError("\n".join([*problems, "what was asked:", str(self)]))

    def _told(self, operation: str, account: str | None) -> dict[str, list[Judged]]:
        told: dict[str, list[Judged]] = {}
        for entry in self.of(operation, account=account):
            for judged in entry.verdicts:
                told.setdefault(judged.item, []).append(judged)
        return told

    # --- noting ------------------------------------------------------------------------------

    def note(self, asked: Asked, answer: Answer, at_ms: int) -> None:
        """Remember an exchange, its secrets taken out."""
        request = asked.sent
        rule, why = self._witness.refused(asked, answer)
        has_secrets = not asked.account
        with self._lock:
            self._numbers += 1
            entry = Entry(
                number=self._numbers,
                at=moment(at_ms),
                method=request.method,
                path=request.path,
                query=request.query,
                operation=asked.operation,
                account=asked.account,
                request_headers=scrubbed_headers(request.headers),
                request_body=scrubbed_body(request.body) if has_secrets else request.body,
                status=answer.status if answer.cut is None else 0,
                headers=scrubbed_headers(answer.headers),
                body=scrubbed_body(answer.body) if has_secrets else answer.body,
                change=None if asked.change is None else asked.change.sequence,
                replayed=asked.change is not None and asked.change.replayed,
                verdicts=_Verdicts(asked.change, asked.refused, self._witness),
                rule=rule,
                why=why,
                remarks=tuple(asked.remarks),
                faults=tuple(asked.faults),
            )
            self._keep(entry)

    def _keep(self, entry: Entry) -> None:
        self._entries.append(entry)
        self._bytes += entry.weight
        while len(self._entries) > ENTRIES_MAX or self._bytes > BYTES_MAX:
            self._bytes -= self._entries.popleft().weight

    def _now(self) -> list[Entry]:
        with self._lock:
            return list(self._entries)


class _Verdicts(Sequence[Judged]):
    """The verdicts of a change, told when they are asked for: most never are."""

    def __init__(self, change: Change | None, refused: Mapping[int, str], witness: Witness) -> None:
        self._change = change
        self._refused = refused
        self._witness = witness

    def __len__(self) -> int:
        return 0 if self._change is None else len(self._change.devices)

    @overload
    def __getitem__(self, at: int) -> Judged: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Judged]: ...
    def __getitem__(self, at: int | slice) -> Judged | Sequence[Judged]:
        if isinstance(at, slice):
            return [self._judged(place) for place in range(len(self))[at]]
        return self._judged(range(len(self))[at])

    def _judged(self, at: int) -> Judged:
        change = self._change
        if change is None:
            raise IndexError(at)
        item, outcome = change.devices.items[at], Outcome(change.outcomes[at])
        why = "" if outcome.ok else self._witness.verdict(item, outcome, change)
        if at in self._refused:
            why = f"the fault {self._refused[at]}"
        return Judged(item, outcome, rule_of(change.verb, outcome), why)


def _missing(imei: str, operation: str, told: Sequence[Judged]) -> str:
    if not told:
        return f"{imei}: no {operation} named it"
    last = told[-1]
    return f"{imei}: {last.outcome.word}, by {last.rule}: {last.why or last.outcome.word}"
