"""What is gathered for a decision: all of it read inside the transaction that writes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from fotapool.model.pool import Change


@dataclass(frozen=True, slots=True)
class Facts:
    """What is special about the devices that a group of requests names; the rest is ordinary.

    `upgraded` holds devices whose firmware was upgraded by a later change than the one that
    granted their license, `listed` those on the candidate list. `pending` are the account's
    licenses that a shrink has taken and a running upgrade still holds, the last taken first: at
    least those of the named devices, and as many more as could be released. `members` are the
    devices that are scheduled under the upgrade that a request names.
    """

    unknown: frozenset[int] = frozenset()
    licensed: frozenset[int] = frozenset()
    scheduled: frozenset[int] = frozenset()
    running: frozenset[int] = frozenset()
    upgraded: frozenset[int] = frozenset()
    listed: frozenset[int] = frozenset()
    pending: Sequence[int] = ()
    members: Collection[int] | None = None
    shrink: ShrinkFacts | None = None
    undone: UndoneFacts | None = None


@dataclass(frozen=True, slots=True)
class ShrinkFacts:
    """Who would lose a license next: candidates in the list's order, then the oldest (R7).

    None of them is pending already. There are as many as the shrink needs, or all there are.
    """

    candidates: Sequence[int] = ()
    oldest: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class UndoneFacts:
    """The change to undo, and what became of the devices it altered (R12).

    `before` is the total before it. `changed_by` names, of devices that no longer stand as it left
    them, the last change that altered them; `undoings` those of these that undid the same change.
    A pending license that was released is among them only where a change was found that says so.
    """

    change: Change
    before: int
    changed_by: Mapping[int, int] = field(default_factory=dict)
    undoings: frozenset[int] = frozenset()


class Place(NamedTuple):
    """A device's place in the order of a list: by which change, and where in that change."""

    imei: int
    sequence: int
    place: int
