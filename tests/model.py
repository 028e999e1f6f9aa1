"""An independent model of one account's pool: plain dictionaries, one device at a time.

It shares no code with the rules it judges, remembers everything, and is slow.
"""

from __future__ import annotations

from dataclasses import dataclass, field

DAY_MS = 24 * 3_600_000


@dataclass
class Made:
    """One change as the model made it, and what was licensed after it."""

    sequence: int
    at_ms: int
    verb: str
    items: list[str]
    outcomes: list[str]
    total: int
    licensed: dict[str, tuple[int, int]]


@dataclass
class Key:
    """What a key was used for: the request, its answer, and the day of its change."""

    request: tuple[str, str, str]
    answer: bytes
    day: int


@dataclass
class Pool:
    """An account: `licensed` maps a device to the sequence and time of its grant."""

    total: int
    now_ms: int
    registered: set[str] = field(default_factory=set)
    licensed: dict[str, tuple[int, int]] = field(default_factory=dict)
    ended: list[tuple[str, int, int]] = field(default_factory=list)
    changes: list[Made] = field(default_factory=list)
    keys: dict[str, Key] = field(default_factory=dict)
    key_days: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.note("create_account", [], [])

    @property
    def last(self) -> Made:
        return self.changes[-1]

    @property
    def time_ms(self) -> int:
        """The account's own time never goes back."""
        return max(self.now_ms, self.last.at_ms) if self.changes else self.now_ms

    def carry_out(self, verb: str, items: list[str]) -> list[str]:
        judge = {"assign": self.assign, "remove": self.remove, "register": self.register}[verb]
        outcomes = [judge(item) for item in items]
        self.note(verb, items, outcomes)
        return outcomes

    def rehearse(self, verb: str, items: list[str]) -> list[str]:
        copy = Pool(self.total, self.now_ms, set(self.registered), dict(self.licensed))
        copy.changes = list(self.changes)
        return copy.carry_out(verb, items)

    def assign(self, item: str) -> str:
        if not is_imei(item):
            return "malformed"
        if item in self.licensed:
            return "already_licensed"
        if item not in self.registered:
            return "unknown_device"
        if len(self.licensed) >= self.total:
            return "no_free_license"
        self.licensed[item] = (self.last.sequence + 1, self.time_ms)
        return "assigned"

    def remove(self, item: str) -> str:
        if not is_imei(item):
            return "malformed"
        if item not in self.licensed:
            return "not_licensed"
        since, _ = self.licensed.pop(item)
        self.ended.append((item, since, self.last.sequence + 1))
        return "removed"

    def register(self, item: str) -> str:
        if not is_imei(item):
            return "malformed"
        if item in self.registered:
            return "already_registered"
        self.registered.add(item)
        return "registered"

    def note(self, verb: str, items: list[str], outcomes: list[str]) -> None:
        number = self.last.sequence + 1 if self.changes else 1
        licensed = dict(self.licensed)
        made = Made(number, self.time_ms, verb, items, outcomes, self.total, licensed)
        self.changes.append(made)

    def known_key(self, text: str) -> Key | None:
        """A key is known on the day of its change, and on until another day with keys is over."""
        key = self.keys.get(text)
        today = self.time_ms // DAY_MS
        kept = {today, max((day for day in self.key_days if day < today), default=today)}
        return key if key and key.day in kept else None

    def keep_key(self, text: str, key: Key) -> None:
        self.keys[text] = key
        self.key_days.add(key.day)

    def at(self, moment_ms: int) -> Made | None:
        """The last change that is not later."""
        return next((made for made in reversed(self.changes) if made.at_ms <= moment_ms), None)

    def history(self, item: str) -> list[tuple[int, int | None]]:
        held = [(since, until) for device, since, until in self.ended if device == item]
        now = [(self.licensed[item][0], None)] if item in self.licensed else []
        return [*held, *now]


def is_imei(item: str) -> bool:
    return len(item) == 15 and item.isascii() and item.isdigit()
