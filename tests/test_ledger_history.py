"""The past: every question held against a plain replay of what was asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fotapool.ledger import history as history_module
from fotapool.model import (
    AccountKey,
    ChangeFilter,
    Outcome,
    Refused,
    Totals,
    Verb,
)
from fotapool.store import SqliteStore
from world import NOON_MS, Clock, World, imeis

A, B, C = 990003425730000, 990003425730001, 7
MINUTE = 60_000


def name(imei: int) -> str:
    return f"{imei:015d}"


@pytest.fixture
def lived(world: World) -> tuple[World, AccountKey]:
    """Changes a minute apart: 1 made, 2 registered, 3 A B, 4 A off, 5 A C x, 6 B A off, 7 C."""
    account = world.add_account(licenses=2, devices=[A, B, C])
    for verb, items in [
        (Verb.ASSIGN, [name(A), name(B)]),
        (Verb.REMOVE, [name(A)]),
        (Verb.ASSIGN, [name(A), name(C), "x"]),
        (Verb.REMOVE, [name(B), name(A), "nobody"]),
        (Verb.ASSIGN, [name(C), name(9)]),
    ]:
        world.clock.advance(minutes=1)
        world.carry_out(account, verb, items)
    return world, account


# --- as of -------------------------------------------------------------------------------------

# sequence  minutes later        licensed, each since the minute        used
STOOD = [
    (1,      None,               {},                                     0),
    (2,      0,                  {},                                     0),
    (3,      1,                  {A: 1, B: 1},                           2),
    (4,      2,                  {B: 1},                                 1),
    (5,      3,                  {B: 1, A: 3},                           2),
    (6,      4,                  {},                                     0),
    (7,      5,                  {C: 5},                                 1),
]  # fmt: skip


@pytest.mark.parametrize(("sequence", "minutes", "licensed", "used"), STOOD)
def test_as_of_a_sequence_or_the_moment_it_was_made(
    lived: tuple[World, AccountKey],
    sequence: int,
    minutes: int | None,
    licensed: dict[int, int],
    used: int,
) -> None:
    world, account = lived
    pages = [world.history.as_of(account, sequence=sequence)]
    if minutes is not None:
        at_ms = NOON_MS + minutes * MINUTE
        pages += [world.history.as_of(account, at_ms=at_ms)]
        if minutes < 5:
            pages += [world.history.as_of(account, at_ms=at_ms + MINUTE - 1)]

    for page in pages:
        assert page.sequence == sequence
        assert dict(zip(page.imeis, page.assigned_at_ms, strict=True)) == {
            imei: NOON_MS + since * MINUTE for imei, since in licensed.items()
        }
        assert list(page.imeis) == sorted(page.imeis)
        assert (page.totals, page.next) == (Totals(2, used), None)
        assert page.at_ms == NOON_MS + (minutes or 0) * MINUTE


# asked                             refused
NEVER = [
    ({"sequence": 0},               "AS_OF_BEFORE"),
    ({"sequence": -5},              "AS_OF_BEFORE"),
    ({"at_ms": NOON_MS - 1},        "AS_OF_BEFORE"),
    ({"at_ms": -(10**15)},          "AS_OF_BEFORE"),
    ({"sequence": 8},               "AS_OF_LATER"),
    ({"sequence": 10**17},          "AS_OF_LATER"),
    ({"at_ms": NOON_MS + 5 * MINUTE + 1}, "AS_OF_LATER"),
    ({},                            "AS_OF_BEFORE"),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "refused"), NEVER)
def test_as_of_what_never_was(
    lived: tuple[World, AccountKey], asked: dict[str, int], refused: str
) -> None:
    world, account = lived

    with pytest.raises(Refused) as caught:
        world.history.as_of(account, **asked)
    assert caught.value.refusal.name == refused


def test_a_clock_that_goes_back_or_ahead(lived: tuple[World, AccountKey]) -> None:
    """The account's own time stands still while the clock is behind, and health says so."""
    world, account = lived
    noon5 = NOON_MS + 5 * MINUTE
    assert world.history.clock(account).behind_ms == 0
    world.clock.advance(minutes=-60)
    change = world.carry_out(account, Verb.REMOVE, [name(C)])

    assert change.at_ms == noon5
    assert world.history.clock(account).behind_ms == 60 * MINUTE
    assert world.history.as_of(account, at_ms=noon5).sequence == 8
    assert world.history.as_of(account, at_ms=noon5 - 1).sequence == 6
    with pytest.raises(Refused):
        world.history.as_of(account, at_ms=noon5 + 1)

    world.clock.advance(minutes=60 * 24 * 365)
    assert world.carry_out(account, Verb.ASSIGN, [name(C)]).sequence == 9
    year_on = world.clock()
    world.clock.advance(minutes=-60 * 24 * 365)
    assert world.carry_out(account, Verb.REMOVE, [name(C)]).at_ms == year_on
    assert world.history.clock(account).behind_ms == 60 * 24 * 365 * MINUTE
    assert world.history.as_of(account, at_ms=noon5 + 1).sequence == 8


# --- a device ----------------------------------------------------------------------------------


def holdings(world: World, account: AccountKey, imei: int, **asked: int) -> list[Any]:
    page = world.history.device(account, imei, **asked)
    return [
        (
            holding.since.sequence,
            holding.since.actor,
            None if holding.until is None else holding.until.sequence,
        )
        for holding in page.holdings
    ]


def test_the_intervals_of_a_device(lived: tuple[World, AccountKey]) -> None:
    world, account = lived

    assert holdings(world, account, A) == [(3, "cli:test", 4), (5, "cli:test", 6)]
    assert holdings(world, account, B) == [(3, "cli:test", 6)]
    assert holdings(world, account, C) == [(7, "cli:test", None)]
    held = world.history.device(account, A).holdings[1]
    assert held.until is not None
    assert (held.since.at_ms, held.until.at_ms) == (NOON_MS + 3 * MINUTE, NOON_MS + 4 * MINUTE)
    assert (held.interval.since_ms, held.interval.until_ms) == (held.since.at_ms, held.until.at_ms)
    assert (held.until.verb, held.until.request_id) != (held.since.verb, held.since.request_id)


def test_a_device_that_never_held_one_and_one_that_never_was(
    lived: tuple[World, AccountKey],
) -> None:
    world, account = lived
    world.carry_out(account, Verb.REGISTER, [name(8)])

    assert holdings(world, account, 8) == []
    with pytest.raises(Refused) as caught:
        world.history.device(account, 9)
    assert (caught.value.refusal.name, caught.value.named) == ("DEVICE_UNKNOWN", {"imei": name(9)})
    other = world.add_account("other", devices=[9])
    with pytest.raises(Refused):
        world.history.device(other, A)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_a_device_that_came_and_went_often(
    small_world: World, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(history_module, "INTERVALS_LISTED_MAX", size)
    world = small_world
    account = world.add_account(licenses=1, devices=[A, A + 1])
    for _ in range(6):
        world.carry_out(account, Verb.ASSIGN, [name(A)])
        world.carry_out(account, Verb.REMOVE, [name(A)])
    world.carry_out(account, Verb.ASSIGN, [name(A)])

    found, after = [], 0
    while True:
        page = world.history.device(account, A, after=after)
        assert len(page.holdings) <= size
        found += [holding.since.sequence for holding in page.holdings]
        if page.next is None:
            break
        after = page.next
    assert found == [3, 5, 7, 9, 11, 13, 15]


# --- changes -----------------------------------------------------------------------------------

# wanted                                                            sequences, newest first
WANTED = [
    (ChangeFilter(),                                                [7, 6, 5, 4, 3, 2, 1]),
    (ChangeFilter(verb=Verb.ASSIGN),                                [7, 5, 3]),
    (ChangeFilter(verb=Verb.CREATE_ACCOUNT),                        [1]),
    (ChangeFilter(actor="cli:test"),                                [7, 6, 5, 4, 3, 2, 1]),
    (ChangeFilter(actor="nobody"),                                  []),
    (ChangeFilter(since_ms=NOON_MS + 3 * MINUTE),                   [7, 6, 5]),
    (ChangeFilter(since_ms=NOON_MS + 3 * MINUTE + 1),               [7, 6]),
    (ChangeFilter(until_ms=NOON_MS + 3 * MINUTE),                   [4, 3, 2, 1]),
    (ChangeFilter(since_ms=NOON_MS, until_ms=NOON_MS),              []),
    (ChangeFilter(since_ms=NOON_MS + 9 * MINUTE),                   []),
    (ChangeFilter(imei=A),                                          [6, 5, 4, 3, 2]),
    (ChangeFilter(imei=9),                                          [7]),
    (ChangeFilter(imei=12345),                                      []),
    (ChangeFilter(outcome=Outcome.ASSIGNED),                        [7, 5, 3]),
    (ChangeFilter(outcome=Outcome.MALFORMED),                       [6, 5]),
    (ChangeFilter(outcome=Outcome.NO_FREE_LICENSE),                 [5]),
    (ChangeFilter(imei=C, outcome=Outcome.NO_FREE_LICENSE),         [5]),
    (ChangeFilter(imei=A, outcome=Outcome.NO_FREE_LICENSE),         []),
    (ChangeFilter(imei=A, outcome=Outcome.REMOVED, verb=Verb.REMOVE, until_ms=NOON_MS + 3 * MINUTE), [4]),
]  # fmt: skip


def sequences(
    world: World, account: AccountKey, wanted: ChangeFilter, *, newest_first: bool = True
) -> list[int]:
    """All pages of a list of changes."""
    found: list[int] = []
    after = None
    while True:
        page = world.history.changes(account, wanted, newest_first=newest_first, after=after)
        found += [entry.sequence for entry in page.entries]
        if page.next is None:
            return found
        after = page.next


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (3, 2), (100, 1000)])
@pytest.mark.parametrize(("wanted", "expected"), WANTED)
def test_changes_are_filtered_and_paged(
    lived: tuple[World, AccountKey],
    monkeypatch: pytest.MonkeyPatch,
    wanted: ChangeFilter,
    expected: list[int],
    size: tuple[int, int],
) -> None:
    world, account = lived
    examined, listed = size
    monkeypatch.setattr(history_module, "CHANGES_EXAMINED_MAX", examined)
    monkeypatch.setattr(history_module, "CHANGES_LISTED_MAX", listed)

    assert sequences(world, account, wanted) == expected
    assert sequences(world, account, wanted, newest_first=False) == expected[::-1]


def test_a_device_is_found_at_its_place_alone(small_world: World) -> None:
    """Eight bytes that lie across two devices are no device."""
    world = small_world
    account = world.add_account(licenses=9, devices=[1, 2])
    world.carry_out(account, Verb.ASSIGN, [name(1), name(2)])
    across = int.from_bytes((1).to_bytes(8, "big")[4:] + (2).to_bytes(8, "big")[:4], "big")

    assert 0 < across < 10**15
    assert sequences(world, account, ChangeFilter(imei=across)) == []


def test_one_change_whole(lived: tuple[World, AccountKey]) -> None:
    world, account = lived
    found = world.history.change(account, 5)
    change = found.change

    assert change.devices.items == [name(A), name(C), "x"]
    assert list(change.outcomes) == [13, 12, 1]
    assert found.sequence == 7
    for sequence in (0, 8, -1):
        with pytest.raises(Refused, match="no change of this number"):
            world.history.change(account, sequence)


# --- refusals ----------------------------------------------------------------------------------


@pytest.mark.parametrize("examined", [1, 2, 1000])
def test_refusals_are_counted_page_by_page(
    lived: tuple[World, AccountKey], monkeypatch: pytest.MonkeyPatch, examined: int
) -> None:
    world, account = lived
    monkeypatch.setattr(history_module, "CHANGES_EXAMINED_MAX", examined)

    def counted(**asked: Any) -> dict[tuple[str, str], int]:
        total: dict[tuple[str, str], int] = {}
        before = None
        while True:
            page = world.history.refusals(account, before=before, **asked)
            for (verb, outcome), count in page.counts.items():
                total[verb.word, outcome.word] = total.get((verb.word, outcome.word), 0) + count
            assert page.changes <= examined
            if page.next is None:
                return total
            before = page.next

    assert counted() == {
        ("assign", "malformed"): 1,
        ("assign", "no_free_license"): 1,
        ("assign", "unknown_device"): 1,
        ("remove", "malformed"): 1,
    }
    assert counted(verb=Verb.REMOVE) == {("remove", "malformed"): 1}
    assert counted(since_ms=NOON_MS + 5 * MINUTE) == {("assign", "unknown_device"): 1}
    assert counted(until_ms=NOON_MS) == {}


# --- against a plain model ---------------------------------------------------------------------


@dataclass
class Model:
    """What was licensed after each change, by a plain replay."""

    stood: list[dict[int, int]] = field(default_factory=lambda: [{}, {}])

    def apply(self, verb: Verb, devices: list[int], outcomes: bytes, at_ms: int) -> None:
        licensed = dict(self.stood[-1])
        for imei, outcome in zip(devices, outcomes, strict=True):
            if outcome == Outcome.ASSIGNED:
                licensed[imei] = at_ms
            elif outcome == Outcome.REMOVED:
                del licensed[imei]
        self.stood.append(licensed)


STEPS = st.lists(
    st.tuples(
        st.sampled_from([Verb.ASSIGN, Verb.REMOVE]),
        st.lists(st.integers(0, 11), min_size=1, max_size=8),
        st.integers(-2, 3),
    ),
    min_size=1,
    max_size=14,
)


@settings(max_examples=60, deadline=None)
@given(STEPS, st.integers(1, 5))
def test_every_past_sequence_stands_as_it_stood(
    steps: list[tuple[Verb, list[int], int]], size: int
) -> None:
    clock = Clock()
    store = SqliteStore(None, clock=clock)
    world = World(store, clock)
    account = world.add_account(licenses=5, devices=range(10))
    model = Model()
    for verb, devices, ms in steps:
        clock.advance(ms=ms)
        change = world.carry_out(account, verb, list(map(name, devices)))
        model.apply(verb, devices, change.outcomes, change.at_ms)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(history_module, "PAGE_SIZE_MAX", size)
        for sequence, licensed in enumerate(model.stood, start=1):
            found: dict[int, int] = {}
            after, pages = -1, 0
            while True:
                page = world.history.as_of(account, sequence=sequence, after=after)
                assert len(page.imeis) <= size
                found |= dict(zip(page.imeis, page.assigned_at_ms, strict=True))
                pages += 1
                if page.next is None:
                    break
                assert page.next > after
                after = page.next
            assert found == licensed
            assert page.totals.used == len(licensed)
            assert pages <= 12
    store.close()


def test_a_page_looks_at_a_bounded_number_of_devices(small_world: World) -> None:
    """Also where nothing fits: the page is empty and says where to go on."""
    world = small_world
    devices = imeis(2500)
    account = world.add_account(licenses=3000, devices=devices)
    world.carry_out(account, Verb.ASSIGN, list(map(name, devices)))

    page = world.history.as_of(account, sequence=2)
    assert (page.imeis, page.next) == ([], devices[999])
    page = world.history.as_of(account, sequence=2, after=devices[1999])
    assert (page.imeis, page.next) == ([], None)
