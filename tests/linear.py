"""Does one order of an account's changes, that of its ledger, explain every answer?

What clients saw (`Write`, `Read`: who, what, when asked, when answered) is held against the
ledger (`Change`) and against the independent model in model.py. It shares no code with fotapool.

- Each answered write is exactly one change, with these devices, verdicts and counts; each change
  is one that a client asked for. What was refused is none; what got no answer is one or none.
- The model, given the changes in order, comes to the same verdicts and counts, and each read shows
  the model's state at the change that it names.
- What was answered before something else was asked stands before it, writes and reads alike.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from math import inf
from typing import NamedTuple

from model import Pool, Refusal

PAGE_SIZE = 1000
UNKNOWN = "OUTCOME_UNKNOWN"


class Counts(NamedTuple):
    total: int
    used: int
    overhang: int = 0


@dataclass(frozen=True, slots=True)
class Asked:
    """What a write asks for. `number` is the total of a resize or the change of an undo."""

    verb: str
    items: tuple[str, ...] = ()
    number: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """A row of the ledger."""

    sequence: int
    request: str
    asked: Asked
    verdicts: tuple[tuple[str, str], ...]
    counts: Counts


@dataclass(frozen=True, slots=True)
class Answer:
    """What a write was told; all but status and code only where it was carried out.

    `whole` is False where the answer lists the first verdicts alone.
    """

    status: int
    code: str = ""
    change: int = 0
    request: str = ""
    verdicts: tuple[tuple[str, str], ...] = ()
    counts: Counts | None = None
    replayed: bool = False
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Write:
    """A write as its client saw it; without an answer where the connection died.

    Times are of one monotonic clock. Writes with one `key` are attempts at the same write.
    `if_sequence` is the only change after which it was wanted.
    """

    client: str
    asked: Asked
    began_ns: int
    ended_ns: int
    answer: Answer | None
    key: str = ""
    if_sequence: int | None = None

    @property
    def done(self) -> bool:
        return self.answer is not None and self.answer.status == 200

    @property
    def repeated(self) -> bool:
        return self.answer is not None and self.answer.replayed

    @property
    def unknown(self) -> bool:
        return self.answer is None or self.answer.code == UNKNOWN

    def __str__(self) -> str:
        devices = f" of {len(self.asked.items)} devices" if self.asked.items else ""
        number = f" {self.asked.number}" if self.asked.number else ""
        return f"{self.client}'s {self.asked.verb}{number}{devices}"


@dataclass(frozen=True, slots=True)
class Read:
    """A page as its client saw it: of the licensed devices after one, or of the candidates.

    `sequence` is the change that the page names; a page of candidates tells no counts.
    """

    client: str
    view: str
    began_ns: int
    ended_ns: int
    sequence: int
    items: tuple[str, ...]
    counts: Counts | None = None
    after: str = ""
    more: bool = False

    def __str__(self) -> str:
        return f"{self.client}'s read of {self.view} at change {self.sequence}"


@dataclass
class History:
    """What was recorded of one account."""

    writes: list[Write] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)


def check(pool: Pool, ledger: Sequence[Change], history: History) -> list[str]:
    """What is wrong, the gravest first; nothing where the ledger explains all of it.

    `pool` is the model as it was before the history began; it is changed.
    """
    first = pool.last.sequence
    changes = {change.sequence: change for change in ledger}
    expected = range(first + 1, first + 1 + len(ledger))
    if list(changes) != list(expected):
        return [f"the ledger does not number its changes {expected.start}, {expected.start + 1}, …"]
    explained = _Explained(changes, _attempts(history.writes))
    found = [*explained.judge(), *_replay(pool, ledger, history.reads)]
    return found + list(_out_of_time(explained.points() + _points_of(history.reads)))


# --- each answer a change, each change an answer ------------------------------------------------


@dataclass
class _Attempts:
    """All attempts at one write. Two requests are two writes unless they share a key."""

    writes: list[Write]

    @property
    def asked(self) -> Asked:
        return self.writes[0].asked

    @property
    def done(self) -> list[Write]:
        return [write for write in self.writes if write.done]

    @property
    def unknown(self) -> bool:
        """Whether a change may be there of which nobody was told."""
        return not self.done and any(write.unknown for write in self.writes)

    @property
    def began_ns(self) -> int:
        """Before this it cannot have been carried out."""
        told = [write for write in self.done if write.answer and not write.answer.replayed]
        return min(write.began_ns for write in told or self.writes)

    @property
    def ended_ns(self) -> float:
        """By then it had been carried out."""
        return min((write.ended_ns for write in self.done), default=inf)

    def __str__(self) -> str:
        return str(self.writes[0])


def _attempts(writes: Iterable[Write]) -> list[_Attempts]:
    keyed: defaultdict[str, list[Write]] = defaultdict(list)
    found = []
    for write in writes:
        if write.key:
            keyed[write.key].append(write)
        else:
            found.append(_Attempts([write]))
    return found + [_Attempts(some) for some in keyed.values()]


@dataclass
class _Explained:
    """Which change belongs to which attempts."""

    changes: Mapping[int, Change]
    attempts: Sequence[_Attempts]
    owners: dict[int, _Attempts] = field(default_factory=dict)

    def judge(self) -> list[str]:
        found = [text for attempts in self.attempts for text in self._claim(attempts)]
        return found + list(self._explain_the_rest())

    def points(self) -> list[_Point]:
        return [
            _Point(sequence, owner.began_ns, owner.ended_ns, f"change {sequence} ({owner})")
            for sequence, owner in self.owners.items()
        ]

    def _claim(self, attempts: _Attempts) -> Iterator[str]:
        yield from _oddities(attempts)
        for write in attempts.done:
            told = write.answer
            assert told is not None
            change = self.changes.get(told.change)
            if change is None:
                yield f"{write} was answered as change {told.change}, and the ledger has none"
                continue
            owner = self.owners.setdefault(change.sequence, attempts)
            if owner is not attempts:
                yield f"change {change.sequence} is the answer to two: {owner}, and {write}"
            yield from _differences(write, told, change)

    def _explain_the_rest(self) -> Iterator[str]:
        """Changes that nobody was told of: each must be one that got no answer."""
        unknown: defaultdict[Asked, list[_Attempts]] = defaultdict(list)
        for attempts in sorted(self.attempts, key=lambda a: a.began_ns, reverse=True):
            if attempts.unknown:
                unknown[attempts.asked].append(attempts)
        for sequence, change in self.changes.items():
            if sequence in self.owners:
                continue
            if unknown[change.asked]:
                self.owners[sequence] = unknown[change.asked].pop()
            else:
                yield self._why_unexplained(change)

    def _why_unexplained(self, change: Change) -> str:
        named = f"change {change.sequence}"
        for attempts in self.attempts:
            if attempts.asked != change.asked:
                continue
            for write in attempts.done:
                assert write.answer is not None
                return f"{named} does again what change {write.answer.change} did for {write}"
            refused = next((w.answer for w in attempts.writes if not w.unknown), None)
            if refused is not None:
                return f"{named} was made by {attempts}, which was refused ({refused.status})"
        return f"{named} ({change.asked.verb}) was asked for by nobody"


def _oddities(attempts: _Attempts) -> Iterator[str]:
    """What is wrong with the attempts at one write among themselves."""
    for write in attempts.writes:
        status = 0 if write.answer is None else write.answer.status
        if status not in (0, 200, 503) and not 400 <= status < 500:
            yield f"{write} was answered {status}"
    answers = [write.answer for write in attempts.done if write.answer]
    if len({answer.change for answer in answers}) > 1:
        numbers = ", ".join(sorted(str(answer.change) for answer in answers))
        yield f"{attempts} was carried out more than once under one key: changes {numbers}"
    if sum(not answer.replayed for answer in answers) > 1:
        yield f"{attempts} was more than once answered as if it were the first time"
    first = [w for w in attempts.writes if w.unknown or (w.done and not w.repeated)]
    if any(answer.replayed for answer in answers) and not first:
        yield f"{attempts} was answered as a repetition, though nothing had been done before"


def _differences(write: Write, told: Answer, change: Change) -> Iterator[str]:
    named = f"{write}, answered as change {change.sequence}"
    if write.asked != change.asked:
        yield f"{named}: the ledger has {change.asked.verb} of {len(change.asked.items)} devices"
        return
    if told.request != change.request and not (told.replayed and not told.request):
        yield f"{named}: the ledger has another request's id"
    if write.if_sequence not in (None, change.sequence - 1) and not told.replayed:
        yield f"{named}: it was wanted after change {write.if_sequence} only"
    kept = change.verdicts if told.whole else change.verdicts[: len(told.verdicts)]
    if told.verdicts != kept:
        yield f"{named}: {_first_difference(told.verdicts, kept, 'told', 'in the ledger')}"
    if told.counts is None or told.counts != change.counts:
        shown = "nothing" if told.counts is None else _of(told.counts)
        yield f"{named}: told {shown}, in the ledger {_of(change.counts)}"


def _first_difference(
    some: Sequence[object], others: Sequence[object], name: str, other_name: str
) -> str:
    for one, other in zip(some, others, strict=False):
        if one != other:
            return f"{_shown(one)} {name}, {_shown(other)} {other_name}"
    return f"{len(some)} devices {name}, {len(others)} {other_name}"


def _shown(value: object) -> str:
    return " ".join(value) if isinstance(value, tuple) else str(value)


def _of(counts: Counts) -> str:
    return f"{counts.used} of {counts.total}" + (f"+{counts.overhang}" if counts.overhang else "")


# --- what the model makes of it -----------------------------------------------------------------


def _replay(pool: Pool, ledger: Sequence[Change], reads: Sequence[Read]) -> Iterator[str]:
    """Play the changes on the model, and look at each read when its change is reached."""
    waiting: defaultdict[int, list[Read]] = defaultdict(list)
    for read in reads:
        waiting[read.sequence].append(read)
    yield from _look(pool, waiting.pop(pool.last.sequence, []))
    for change in ledger:
        wrong = _play(pool, change)
        if wrong:
            yield f"change {change.sequence} ({change.asked.verb}): {wrong}"
            return  # after it nothing can be judged
        yield from _look(pool, waiting.pop(change.sequence, []))
    for read in (read for some in waiting.values() for read in some):
        yield f"{read}: there is no such change after the beginning"


def _play(pool: Pool, change: Change) -> str | None:
    asked = change.asked
    try:
        judged = pool.carry_out(asked.verb, list(asked.items), asked.number)
    except Refusal as refusal:
        return f"the model refuses it ({refusal})"
    verdicts = tuple((item, outcome) for item, outcome, _ in judged)
    if verdicts != change.verdicts:
        return _first_difference(change.verdicts, verdicts, "in the ledger", "by the model")
    counts = Counts(pool.total, pool.used, pool.overhang)
    if counts != change.counts:
        return f"{_of(change.counts)} in the ledger, {_of(counts)} by the model"
    return None


def _look(pool: Pool, reads: Sequence[Read]) -> Iterator[str]:
    if not reads:
        return
    counts = Counts(pool.total, pool.used, pool.overhang)
    views = {"licenses": sorted(pool.licensed), "candidates": list(pool.candidates)}
    for read in reads:
        items = [item for item in views[read.view] if not read.after or item > read.after]
        page = tuple(items[:PAGE_SIZE])
        if read.counts not in (None, counts):
            assert read.counts is not None
            yield f"{read}: shows {_of(read.counts)}, the model has {_of(counts)}"
        elif read.items != page:
            yield f"{read}: {_first_difference(read.items, page, 'shown', 'in the model')}"
        elif read.more != (len(items) > PAGE_SIZE):
            yield f"{read}: it is wrong about whether more follows"


# --- what was answered first stands first -------------------------------------------------------


class _Point(NamedTuple):
    """Something that took effect once, between its call and its return, at a place in the order.

    A read of change 7 stands at 7.5.
    """

    place: float
    began_ns: int
    ended_ns: float
    name: str


def _points_of(reads: Sequence[Read]) -> list[_Point]:
    return [_Point(read.sequence + 0.5, read.began_ns, read.ended_ns, str(read)) for read in reads]


def _out_of_time(points: Iterable[_Point]) -> Iterator[str]:
    """Each point that was asked for only after one of a later place had been answered."""
    earliest = _Point(inf, 0, inf, "")
    in_order = sorted(points, key=lambda point: point.place, reverse=True)
    for _, group in groupby(in_order, key=lambda point: point.place):
        together = list(group)
        for point in together:
            if point.began_ns > earliest.ended_ns:
                yield f"{point.name} was asked for only after {earliest.name} had been answered"
        earliest = min(earliest, *together, key=lambda point: point.ended_ns)
