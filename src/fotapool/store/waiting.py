"""What waits to be written: by account, each in its order, and the accounts take turns."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Hashable, Sequence
from typing import Generic, Protocol, TypeVar

GROUP_REQUESTS_MAX = 32
GROUP_DEVICES_MAX = 100_000


class Waits(Protocol):
    """Something in the queue."""

    @property
    def lane(self) -> Hashable:
        """The account whose turn it waits for; None goes before every account."""
        ...

    @property
    def weight(self) -> int:
        """How many devices it is about."""
        ...


EntryT = TypeVar("EntryT", bound=Waits)


class Waiting(Generic[EntryT]):
    """Entries by lane. A lane keeps its order; between lanes each turn takes one entry.

    However much one account sends, another's next request is in one of the next groups. A group
    is of many lanes when `mixed`, for one writer; otherwise of one lane, which gives nothing more
    until that group is done, so that several writers can take groups at once.
    """

    def __init__(self, *, mixed: bool) -> None:
        self._mixed = mixed
        self._lanes: dict[Hashable, deque[EntryT]] = {}
        self._turns: deque[Hashable] = deque()
        self._taken: set[Hashable] = set()
        self._changed = threading.Condition()
        self._closed = False

    def __len__(self) -> int:
        with self._changed:
            return sum(map(len, self._lanes.values()))

    def put(self, entry: EntryT) -> bool:
        """Queue an entry; False when the queue is closed."""
        with self._changed:
            if self._closed:
                return False
            lane = entry.lane
            waiting = self._lanes.get(lane)
            if waiting is None:
                self._lanes[lane] = deque((entry,))
                if lane not in self._taken:
                    self._give_turn(lane)
            else:
                waiting.append(entry)
            return True

    def take(self) -> list[EntryT]:
        """The next group, waited for; empty once the queue is closed and nothing is left."""
        with self._changed:
            while not self._turns:
                if self._closed and not self._lanes:
                    return []
                self._changed.wait()
            return self._take_mixed() if self._mixed else self._take_lane()

    def done(self, group: Sequence[EntryT]) -> None:
        """A group has been answered."""
        with self._changed:
            for lane in {entry.lane for entry in group} & self._taken:
                self._taken.remove(lane)
                if lane in self._lanes:
                    self._give_turn(lane)
            if self._closed:
                self._changed.notify_all()

    def close(self) -> None:
        """Take nothing more; what is queued will be given out."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _give_turn(self, lane: Hashable) -> None:
        if lane is None:
            self._turns.appendleft(lane)
        else:
            self._turns.append(lane)
        self._changed.notify()

    def _take_mixed(self) -> list[EntryT]:
        """One entry of each lane in turn, up to the limits; no request is waited for."""
        group: list[EntryT] = []
        weight = 0
        while self._turns and len(group) < GROUP_REQUESTS_MAX and weight < GROUP_DEVICES_MAX:
            lane = self._turns.popleft()
            group.append(self._pop(lane))
            weight += group[-1].weight
            if lane in self._lanes:
                self._give_turn(lane)
        return group

    def _take_lane(self) -> list[EntryT]:
        lane = self._turns.popleft()
        self._taken.add(lane)
        group = [self._pop(lane)]
        weight = group[0].weight
        while lane in self._lanes and len(group) < GROUP_REQUESTS_MAX:
            weight += self._lanes[lane][0].weight
            if weight > GROUP_DEVICES_MAX:
                break
            group.append(self._pop(lane))
        return group

    def _pop(self, lane: Hashable) -> EntryT:
        waiting = self._lanes[lane]
        entry = waiting.popleft()
        if not waiting:
            del self._lanes[lane]
        return entry
