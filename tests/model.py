"""An independent model of one account's pool: plain dictionaries, one device at a time.

It shares no code with the rules it judges, remembers everything, and is slow.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

DAY_MS = 24 * 3_600_000

Verdict = tuple[str, str, int]
"""A device, what became of it, and the later change that was before an undo (else 0)."""


@dataclass
class License:
    """Since which change a device holds it, and the change, place and time of its first grant."""

    since: int
    origin: int
    place: int
    at_ms: int


@dataclass
class Made:
    """One change as the model made it, and what was licensed after it."""

    sequence: int
    at_ms: int
    verb: str
    verdicts: list[Verdict]
    total: int
    used: int
    licensed: dict[str, int]
    undoes: int = 0
    root: str = ""

    @property
    def items(self) -> list[str]:
        return [device for device, _, _ in self.verdicts]

    @property
    def outcomes(self) -> list[str]:
        return [outcome for _, outcome, _ in self.verdicts]

    def devices(self, outcomes: set[str]) -> list[str]:
        return [device for device, outcome, _ in self.verdicts if outcome in outcomes]


GAINED = {"assigned", "given_back"}
LOST = {
    "removed",
    "left_and_freed",
    "taken_candidate",
    "taken_oldest",
    "finished_and_taken",
    "failed_and_taken",
    "taken_back",
}
PENDED = {"pending_candidate", "pending_oldest"}


@dataclass
class Key:
    """What a key was used for: the request, its answer, and the day of its change."""

    request: tuple[str, str, str]
    answer: bytes
    day: int


class Refusal(Exception):
    """The request as a whole is refused."""


@dataclass
class Pool:
    """An account. `upgrades` holds what is scheduled or running.

    Without `remembers` it keeps no copy of what was licensed after each change: long histories.
    """

    total: int
    now_ms: int
    purchase_type: str = "MRC"
    policy: str = "registered"
    registered: set[str] = field(default_factory=set)
    licensed: dict[str, License] = field(default_factory=dict)
    upgrades: dict[str, str] = field(default_factory=dict)
    upgraded: dict[str, int] = field(default_factory=dict)
    pending: list[str] = field(default_factory=list)
    candidates: list[str] = field(default_factory=list)
    ended: list[tuple[str, int, int]] = field(default_factory=list)
    last_license: dict[str, License] = field(default_factory=dict)
    changes: list[Made] = field(default_factory=list)
    keys: dict[str, Key] = field(default_factory=dict)
    key_days: set[int] = field(default_factory=set)
    remembers: bool = True
    granted: int = 0

    def __post_init__(self) -> None:
        self.note("create_account", [])

    # --- what stands --------------------------------------------------------------------------

    @property
    def last(self) -> Made:
        return self.changes[-1]

    @property
    def next(self) -> int:
        return self.last.sequence + 1 if self.changes else 1

    @property
    def time_ms(self) -> int:
        """The account's own time never goes back."""
        return max(self.now_ms, self.last.at_ms) if self.changes else self.now_ms

    @property
    def used(self) -> int:
        return len(self.licensed)

    @property
    def overhang(self) -> int:
        return max(0, self.used - self.total)

    # --- what is asked ------------------------------------------------------------------------

    def carry_out(self, verb: str, items: list[str], number: int = 0) -> list[Verdict]:
        """A verdict an item. Raises Refusal."""
        if verb == "resize":
            return self.note(verb, self.resize(number))
        if verb == "undo":
            return self.undo(number)
        if verb in ("replace", "append", "clear"):
            return self.note("candidates", self.edit_candidates(verb, items))
        if verb in ("open", "registered"):
            self.policy = verb
            return self.note("policy", [])
        if verb in ("MRC", "EVNT", "both"):
            if verb == "EVNT" and (self.total or self.used):
                raise Refusal("LICENSES_LEFT")
            self.purchase_type = verb
            return self.note("type", [])
        judge = getattr(self, verb)
        verdicts = [(item, judge(item) if is_imei(item) else "malformed", 0) for item in items]
        return self.note(verb, verdicts)

    def rehearse(self, verb: str, items: list[str], number: int = 0) -> list[Verdict]:
        return copy.deepcopy(self).carry_out(verb, items, number)

    def assign(self, item: str) -> str:
        if item in self.licensed:
            return "already_licensed"
        if item not in self.registered and self.policy != "open":
            return "unknown_device"
        if self.used >= self.total:
            return "no_free_license"
        self.registered.add(item)
        self.licensed[item] = License(self.next, self.next, self.granted, self.time_ms)
        self.granted += 1
        return "assigned"

    def remove(self, item: str) -> str:
        refused = self.why_not_removed(item)
        if refused is None:
            self.lose(item)
        return refused or "removed"

    def why_not_removed(self, item: str) -> str | None:
        if item not in self.licensed:
            return "not_licensed"
        if self.upgrades.get(item) == "running":
            return "upgrade_running"
        if self.upgraded.get(item, 0) > self.licensed[item].origin:
            return "upgraded"
        return None

    def register(self, item: str) -> str:
        if item in self.registered:
            return "already_registered"
        self.registered.add(item)
        return "registered"

    def unregister(self, item: str) -> str:
        if item not in self.registered:
            return "unknown_device"
        freed = item in self.licensed
        if freed:
            self.lose(item)
        self.upgrades.pop(item, None)
        self.drop_candidate(item)
        self.registered.discard(item)
        return "left_and_freed" if freed else "left"

    def schedule(self, item: str) -> str:
        if item not in self.registered:
            return "unknown_device"
        if item in self.upgrades:
            running = self.upgrades[item] == "running"
            return "upgrade_running" if running else "already_scheduled"
        if self.purchase_type == "MRC" and item not in self.licensed:
            return "not_licensed"
        self.upgrades[item] = "scheduled"
        return "scheduled"

    def start(self, item: str) -> str:
        return self.step(item, "scheduled", "running", "started")

    def cancel(self, item: str) -> str:
        return self.step(item, "scheduled", None, "cancelled")

    def finish(self, item: str) -> str:
        outcome = self.step(item, "running", None, "finished")
        if outcome == "finished":
            self.upgraded[item] = self.next
        return self.take_pending(item, outcome)

    def fail(self, item: str) -> str:
        return self.take_pending(item, self.step(item, "running", None, "failed"))

    def step(self, item: str, before: str, after: str | None, outcome: str) -> str:
        if item not in self.registered:
            return "unknown_device"
        if self.upgrades.get(item) != before:
            if before == "running":
                return "not_running"
            return "upgrade_running" if item in self.upgrades else "not_scheduled"
        del self.upgrades[item]
        if after:
            self.upgrades[item] = after
        return outcome

    def take_pending(self, item: str, outcome: str) -> str:
        if outcome in ("finished", "failed") and item in self.pending:
            self.lose(item)
            return outcome + "_and_taken"
        return outcome

    def resize(self, total: int) -> list[Verdict]:
        if self.purchase_type == "EVNT":
            raise Refusal("EVENT_ONLY")
        needed = self.used - total - len(self.pending)
        self.total = total
        taken = []
        for _ in range(needed):
            device, why = self.next_to_go()
            waits = self.upgrades.get(device) == "running"
            taken.append((device, f"{'pending' if waits else 'taken'}_{why}", 0))
            if waits:
                self.pending.append(device)
            else:
                self.lose(device)
        return taken + [(device, "released", 0) for device in self.release()]

    def next_to_go(self) -> tuple[str, str]:
        for device in self.candidates:
            if device in self.licensed and device not in self.pending:
                return device, "candidate"
        queue = [device for device in self.licensed if device not in self.pending]
        order = {device: self.licensed[device] for device in queue}
        return min(queue, key=lambda device: (order[device].origin, order[device].place)), "oldest"

    def release(self) -> list[str]:
        released = []
        while len(self.pending) > self.overhang:
            released.append(self.pending.pop())
        return released

    def edit_candidates(self, how: str, items: list[str]) -> list[Verdict]:
        for item in items:
            if not is_imei(item):
                raise Refusal("Invalid device id format")
            if item not in self.registered:
                raise Refusal("Device does not exist.")
        if how != "append":
            self.candidates = []
        verdicts = []
        for item in items:
            listed = item in self.candidates
            verdicts.append((item, "already_listed" if listed else "listed", 0))
            if not listed:
                self.candidates.append(item)
        return verdicts

    def undo(self, number: int) -> list[Verdict]:
        if not 0 < number <= self.last.sequence:
            raise Refusal("CHANGE_NOT_FOUND")
        made = self.changes[number - 1]
        root = made.root or made.verb
        if root not in ("assign", "remove", "resize"):
            raise Refusal("UNDO_IMPOSSIBLE")
        if root == "resize":
            self.set_back(made)
        verdicts = []
        # A license that waits to be taken holds no seat of those that a resize took away.
        waiting = len(self.pending) if root == "resize" else 0
        free = max(0, self.total - self.used + waiting)
        for device, was, _ in made.verdicts:
            if was in GAINED | LOST | PENDED:
                outcome, by = self.undo_one(device, was, number, free)
                free -= outcome == "given_back"
                verdicts.append((device, outcome, by))
        self.turn_back(verdicts)
        if root == "resize":
            for device in self.release():
                verdict = next((told for told in verdicts if told[0] == device), None)
                if verdict:
                    verdicts[verdicts.index(verdict)] = device, "released", 0
                else:
                    verdicts.append((device, "released", 0))
        return self.note("undo", verdicts, undoes=number, root=root)

    def set_back(self, made: Made) -> None:
        before = self.changes[made.sequence - 2].total
        if self.purchase_type == "EVNT":
            raise Refusal("EVENT_ONLY")
        if self.total != made.total:
            raise Refusal("RESIZED_SINCE")
        if before < self.used:
            raise Refusal("MORE_USED")
        self.total = before

    def turn_back(self, verdicts: list[Verdict]) -> None:
        for device, outcome, _ in verdicts:
            if outcome == "taken_back":
                self.lose(device)
            elif outcome == "given_back":
                old = self.last_license[device]
                self.licensed[device] = License(self.next, old.origin, old.place, old.at_ms)
                self.registered.add(device)

    def undo_one(self, device: str, was: str, number: int, free: int) -> tuple[str, int]:
        later = self.last_to_say(device, GAINED | LOST, number)
        if was in PENDED:
            if later is None and device not in self.pending:
                later = self.last_to_say(device, {"released"}, number)
            if later is None:
                return "changed_since", 0
        if later is not None:
            reversed_ = later.undoes == number
            return ("already_reversed" if reversed_ else "changed_since"), later.sequence
        if was in GAINED:
            return self.why_not_removed(device) or "taken_back", 0
        if device not in self.registered and self.policy != "open":
            return "unknown_device", 0
        return ("given_back" if free > 0 else "no_free_license"), 0

    def last_to_say(self, device: str, outcomes: set[str], after: int) -> Made | None:
        found = [made for made in self.changes[after:] if device in made.devices(outcomes)]
        return found[-1] if found else None

    # --- what hangs on it ---------------------------------------------------------------------

    def lose(self, device: str) -> None:
        held = self.licensed.pop(device)
        self.ended.append((device, held.since, self.next))
        self.last_license[device] = held
        if self.upgrades.get(device) == "scheduled":
            del self.upgrades[device]
        if device in self.pending:
            self.pending.remove(device)
        self.drop_candidate(device)

    def drop_candidate(self, device: str) -> None:
        if device in self.candidates:
            self.candidates.remove(device)

    def note(
        self, verb: str, verdicts: list[Verdict], undoes: int = 0, root: str = ""
    ) -> list[Verdict]:
        self.release()
        self.granted = 0
        held = self.licensed if self.remembers else {}
        dates = {device: license_.at_ms for device, license_ in held.items()}
        self.changes.append(
            Made(
                self.next,
                self.time_ms,
                verb,
                verdicts,
                self.total,
                self.used,
                dates,
                undoes,
                root,
            )
        )
        return verdicts

    # --- what was -----------------------------------------------------------------------------

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
        now = [(self.licensed[item].since, None)] if item in self.licensed else []
        return [*held, *now]


def is_imei(item: str) -> bool:
    return len(item) == 15 and item.isascii() and item.isdigit()
