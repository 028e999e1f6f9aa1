"""The queue: each account's order kept, and the accounts taking turns."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import pytest

from fotapool.store.waiting import GROUP_DEVICES_MAX, GROUP_REQUESTS_MAX, Waiting


@dataclass(frozen=True)
class Entry:
    lane: str | None
    number: int = 0
    weight: int = 1


def waiting_of(text: str, *, mixed: bool) -> Waiting[Entry]:
    """A queue with an entry for each letter; `-` is a job, of no account."""
    waiting: Waiting[Entry] = Waiting(mixed=mixed)
    for number, letter in enumerate(text):
        waiting.put(Entry(None if letter == "-" else letter, number))
    return waiting


def told(group: list[Entry]) -> str:
    return "".join(f"{entry.lane or '-'}{entry.number}" for entry in group)


# queued     one writer's group     the groups of several writers, taken at once
TURNS = [
    ("",       "",                  []),
    ("aaa",    "a0a1a2",            ["a0a1a2"]),
    ("aaab",   "a0b3a1a2",          ["a0a1a2", "b3"]),
    ("aabbc",  "a0b2c4a1b3",        ["a0a1", "b2b3", "c4"]),
    ("aa-b-",  "-2-4a0b3a1",        ["-2-4", "a0a1", "b3"]),
]  # fmt: skip


@pytest.mark.parametrize(("queued", "mixed", "lanes"), TURNS)
def test_accounts_take_turns(queued: str, mixed: str, lanes: list[str]) -> None:
    one = waiting_of(queued, mixed=True)
    several = waiting_of(queued, mixed=False)
    one.close()
    several.close()

    assert told(one.take()) == mixed
    assert [told(several.take()) for _ in lanes] == lanes


def test_a_flood_of_one_account_keeps_no_other_waiting() -> None:
    waiting = waiting_of("a" * 1000 + "b", mixed=True)

    assert "b1000" in told(waiting.take())


def test_an_account_gives_nothing_more_until_its_group_is_done() -> None:
    waiting = waiting_of("a" * (GROUP_REQUESTS_MAX + 1) + "b", mixed=False)
    first, other = waiting.take(), waiting.take()
    waiting.put(Entry("a", 99))
    taken: list[str] = []
    thread = threading.Thread(target=lambda: taken.append(told(waiting.take())))
    thread.start()

    waiting.done(other)
    thread.join(0.05)
    assert (len(first), told(other), taken) == (
        GROUP_REQUESTS_MAX,
        f"b{GROUP_REQUESTS_MAX + 1}",
        [],
    )
    waiting.done(first)
    thread.join(10)
    assert taken == [f"a{GROUP_REQUESTS_MAX}a99"]


@pytest.mark.parametrize("mixed", [True, False])
def test_a_group_is_bounded_in_devices(mixed: bool) -> None:
    waiting: Waiting[Entry] = Waiting(mixed=mixed)
    for number in range(5):
        waiting.put(Entry("a", number, weight=GROUP_DEVICES_MAX // 2))

    group = waiting.take()
    waiting.done(group)

    assert (told(group), len(waiting)) == ("a0a1", 3)


def test_what_is_queued_when_the_queue_closes_is_given_out() -> None:
    waiting = waiting_of("ab", mixed=False)
    waiting.close()

    assert not waiting.put(Entry("a"))
    groups = [waiting.take(), waiting.take()]
    for group in groups:
        waiting.done(group)
    assert ([told(group) for group in groups], waiting.take()) == (["a0", "b1"], [])
