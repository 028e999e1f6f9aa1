"""The rules as tables: one row one case, the expected verdict on the same line."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fotapool.ledger.pool import Decision, Effect
from fotapool.ledger.rules import Replay, decide
from fotapool.model import (
    Account,
    AccountKey,
    Command,
    DeviceList,
    Facts,
    IdempotencyKey,
    KeyUse,
    Outcome,
    PurchaseType,
    Refused,
    Totals,
    Verb,
)

KEY = AccountKey(1, "0000123456-00001")
A, B, C, D = 990003425730524, 990000473475967, 1, 352906110000001
BAD = "9900034257305"


def account(
    total: int, used: int = 0, *, overhang: int = 0, active: bool = True, at_ms: int = 0
) -> Account:
    return Account(
        id=1,
        totals=Totals(total, used, overhang),
        purchase_type=PurchaseType.MRC,
        sequence=7,
        changed_at_ms=at_ms,
        head=b"h",
        active=active,
    )


def command(verb: Verb, *items: int | str) -> Command:
    texts = [f"{item:015d}" if isinstance(item, int) else item for item in items]
    return Command(KEY, verb, DeviceList.parse(texts), "me", bytes(16))


def facts(**kinds: set[int]) -> Facts:
    named: dict[str, Any] = {name: frozenset(devices) for name, devices in kinds.items()}
    return Facts(**named)


def verdicts(decision: Decision | Replay | Refused) -> list[str]:
    assert isinstance(decision, Decision)
    return [Outcome(outcome).word for outcome in decision.outcomes]


# who                  free  known facts                                  list            verdicts, and used after
ASSIGN = [
    ("one device",        5, facts(),                                     [A],            ["assigned"], 1),
    ("two devices",       5, facts(),                                     [A, B],         ["assigned", "assigned"], 2),
    ("leading zeros",     5, facts(),                                     [C],            ["assigned"], 1),
    ("malformed",         5, facts(),                                     [BAD],          ["malformed"], 0),
    ("malformed first",   0, facts(),                                     [BAD],          ["malformed"], 0),
    ("has one already",   5, facts(licensed={A}),                         [A],            ["already_licensed"], 0),
    ("named twice",       5, facts(),                                     [A, A],         ["assigned", "already_licensed"], 1),
    ("pool full, has it", 0, facts(licensed={A}),                         [A],            ["already_licensed"], 0),
    ("unknown",           5, facts(unknown={A}),                          [A],            ["unknown_device"], 0),
    ("unknown, pool full", 0, facts(unknown={A}),                         [A],            ["unknown_device"], 0),
    ("pool exhausted",    0, facts(),                                     [A],            ["no_free_license"], 0),
    ("exhausted midway",  1, facts(),                                     [A, B],         ["assigned", "no_free_license"], 1),
    ("in list order",     1, facts(),                                     [B, A],         ["assigned", "no_free_license"], 1),
    ("left, has license", 5, facts(licensed={A}, unknown={A}),            [A],            ["already_licensed"], 0),
    ("refused cost none", 1, facts(unknown={A}),                          [BAD, A, B, C], ["malformed", "unknown_device", "assigned", "no_free_license"], 1),
    ("all kinds",         2, facts(licensed={A}, unknown={B}),            [A, B, C, C, D], ["already_licensed", "unknown_device", "assigned", "already_licensed", "assigned"], 2),
]  # fmt: skip


@pytest.mark.parametrize(
    ("free", "known", "items", "expected", "used"),
    [case[1:] for case in ASSIGN],
    ids=[case[0] for case in ASSIGN],
)
def test_assign(
    free: int, known: Facts, items: list[int | str], expected: list[str], used: int
) -> None:
    (decision,) = decide(account(free), known, [command(Verb.ASSIGN, *items)], 5)

    assert isinstance(decision, Decision)
    assert verdicts(decision) == expected
    assert decision.account.totals == Totals(free, used)
    assert len(decision.effects.get(Effect.GRANT, ())) == used


# who                     known facts                                    list          verdicts, cancelled upgrades
REMOVE = [
    ("one device",           facts(licensed={A}),                           [A],          ["removed"], []),
    ("malformed",            facts(licensed={A}),                           [BAD],        ["malformed"], []),
    ("has none",             facts(),                                       [A],          ["not_licensed"], []),
    ("unknown",              facts(unknown={A}),                            [A],          ["not_licensed"], []),
    ("named twice",          facts(licensed={A}),                           [A, A],       ["removed", "not_licensed"], []),
    ("upgrade runs",         facts(licensed={A}, running={A}),              [A],          ["upgrade_running"], []),
    ("runs, after upgrade",  facts(licensed={A}, running={A}, upgraded={A}), [A],         ["upgrade_running"], []),
    ("upgraded since",       facts(licensed={A}, upgraded={A}),             [A],          ["upgraded"], []),
    ("upgrade scheduled",    facts(licensed={A}, scheduled={A}),            [A],          ["removed"], [A]),
    ("scheduled, upgraded",  facts(licensed={A}, scheduled={A}, upgraded={A}), [A],       ["upgraded"], []),
    ("runs, has none",       facts(running={A}),                            [A],          ["not_licensed"], []),
    ("all kinds",            facts(licensed={A, B, C}, running={B}, upgraded={C}), [BAD, D, A, B, C, A], ["malformed", "not_licensed", "removed", "upgrade_running", "upgraded", "not_licensed"], []),
]  # fmt: skip


@pytest.mark.parametrize(
    ("known", "items", "expected", "cancelled"),
    [case[1:] for case in REMOVE],
    ids=[case[0] for case in REMOVE],
)
def test_remove(
    known: Facts, items: list[int | str], expected: list[str], cancelled: list[int]
) -> None:
    (decision,) = decide(account(10, used=5), known, [command(Verb.REMOVE, *items)], 5)

    assert isinstance(decision, Decision)
    assert verdicts(decision) == expected
    assert decision.account.totals == Totals(10, 5 - expected.count("removed"))
    assert decision.effects.get(Effect.CANCEL, []) == cancelled


def test_register() -> None:
    (decision,) = decide(account(0), facts(unknown={A}), [command(Verb.REGISTER, A, A, B, BAD)], 5)

    assert isinstance(decision, Decision)
    assert verdicts(decision) == [
        "registered",
        "already_registered",
        "already_registered",
        "malformed",
    ]
    assert decision.effects == {Effect.REGISTER: [A]}


def test_each_request_of_a_group_sees_what_those_before_it_did() -> None:
    decided = decide(
        account(1),
        facts(unknown={B}),
        [
            command(Verb.ASSIGN, A),
            command(Verb.ASSIGN, A, C),
            command(Verb.REMOVE, A),
            command(Verb.ASSIGN, B),
            command(Verb.REGISTER, B),
            command(Verb.ASSIGN, B, C),
            command(Verb.REMOVE, B, A),
        ],
        5,
    )

    assert [verdicts(decision) for decision in decided] == [
        ["assigned"],
        ["already_licensed", "no_free_license"],
        ["removed"],
        ["unknown_device"],
        ["registered"],
        ["assigned", "no_free_license"],
        ["removed", "not_licensed"],
    ]
    assert [decision.sequence for decision in decided if isinstance(decision, Decision)] == [
        8,
        9,
        10,
        11,
        12,
        13,
        14,
    ]


def test_a_cancelled_upgrade_is_cancelled_once() -> None:
    first, _, third = decide(
        account(5, used=1),
        facts(licensed={A}, scheduled={A}),
        [command(Verb.REMOVE, A), command(Verb.ASSIGN, A), command(Verb.REMOVE, A)],
        5,
    )

    assert isinstance(first, Decision)
    assert isinstance(third, Decision)
    assert first.effects[Effect.CANCEL] == [A]
    assert Effect.CANCEL not in third.effects


def test_an_overhang_leaves_nothing_free() -> None:
    (decision,) = decide(account(3, used=5, overhang=2), facts(), [command(Verb.ASSIGN, A)], 5)

    assert verdicts(decision) == ["no_free_license"]


def test_an_inactive_account_refuses_the_request_and_makes_no_change() -> None:
    decided = decide(account(5, active=False), facts(), [command(Verb.ASSIGN, A)], 5)

    assert told(decided) == ["ACCOUNT_INACTIVE"]


@pytest.mark.parametrize(
    ("now_ms", "at_ms"),
    [(100, 100), (99, 99), (50, 50), (49, 50), (0, 50)],
)
def test_time_never_goes_back_within_an_account(now_ms: int, at_ms: int) -> None:
    (decision,) = decide(account(5, at_ms=50), facts(), [command(Verb.ASSIGN, A)], now_ms)

    assert isinstance(decision, Decision)
    assert decision.at_ms == at_ms


@pytest.mark.parametrize(
    ("total", "used", "overhang", "possible"),
    [
        (5, 5, 0, True),
        (0, 0, 0, True),
        (5, 6, 0, False),
        (5, 7, 2, True),
        (5, 6, 2, False),
        (-1, 0, 0, False),
        (5, -1, 0, False),
        (5, 4, -1, False),
    ],
)
def test_totals_refuse_a_sum_that_cannot_be(
    total: int, used: int, overhang: int, possible: bool
) -> None:
    if possible:
        assert Totals(total, used, overhang).used == used
    else:
        with pytest.raises(ValueError, match="impossible totals"):
            Totals(total, used, overhang)


# --- an independent model: one device at a time, in plain dictionaries -------------------------


@dataclass
class Model:
    total: int
    unknown: set[int]
    licensed: set[int]
    blocked: set[int]

    def assign(self, item: int | str) -> str:
        if isinstance(item, str):
            return "malformed"
        if item in self.licensed:
            return "already_licensed"
        if item in self.unknown:
            return "unknown_device"
        if len(self.licensed) >= self.total:
            return "no_free_license"
        self.licensed.add(item)
        return "assigned"

    def remove(self, item: int | str) -> str:
        if isinstance(item, str):
            return "malformed"
        if item not in self.licensed:
            return "not_licensed"
        if item in self.blocked:
            return "upgrade_running"
        self.licensed.remove(item)
        return "removed"


DEVICES = st.integers(min_value=1, max_value=8)
LISTS = st.lists(st.one_of(DEVICES, st.just(BAD)), min_size=1, max_size=8)


@given(
    total=st.integers(0, 8),
    unknown=st.sets(DEVICES),
    licensed=st.sets(DEVICES),
    blocked=st.sets(DEVICES),
    requests=st.lists(st.tuples(st.sampled_from([Verb.ASSIGN, Verb.REMOVE]), LISTS), max_size=6),
)
def test_decide_agrees_with_a_model_that_takes_one_device_at_a_time(
    total: int,
    unknown: set[int],
    licensed: set[int],
    blocked: set[int],
    requests: list[tuple[Verb, list[int | str]]],
) -> None:
    total = max(total, len(licensed))
    model = Model(total, unknown, set(licensed), blocked)
    decided = decide(
        account(total, used=len(licensed)),
        facts(unknown=unknown, licensed=licensed, running=blocked),
        [command(verb, *items) for verb, items in requests],
        5,
    )

    for (verb, items), decision in zip(requests, decided, strict=True):
        ask = model.assign if verb is Verb.ASSIGN else model.remove
        assert verdicts(decision) == [ask(item) for item in items]
        assert isinstance(decision, Decision)
        assert decision.account.totals == Totals(total, len(model.licensed))


# --- idempotency keys --------------------------------------------------------------------------


def keyed(text: str, fingerprint: bytes, *items: int | str) -> Command:
    return replace(command(Verb.ASSIGN, *items), key=IdempotencyKey(text, fingerprint))


def told(decided: list[Decision | Replay | Refused]) -> list[str]:
    return [
        f"change {settled.sequence}"
        if isinstance(settled, Decision)
        else f"again {settled.sequence}"
        if isinstance(settled, Replay)
        else settled.refusal.name
        for settled in decided
    ]


# known of the keys            active  requests: key, what they ask             told
KEYS = [
    ({},                        True,  [("k", b"1")],                           ["change 8"]),
    ({},                        True,  [("k", b"1"), ("k", b"1")],              ["change 8", "again 8"]),
    ({},                        True,  [("k", b"1"), ("k", b"2")],              ["change 8", "KEY_REUSED"]),
    ({},                        True,  [("k", b"1"), ("K", b"1")],              ["change 8", "change 9"]),
    ({},                        True,  [("k", b"1"), ("j", b"2"), ("k", b"1")], ["change 8", "change 9", "again 8"]),
    ({"k": KeyUse(b"1", 3)},    True,  [("k", b"1")],                           ["again 3"]),
    ({"k": KeyUse(b"1", 3)},    True,  [("k", b"2")],                           ["KEY_REUSED"]),
    ({"k": KeyUse(b"1", 3)},    True,  [("k", b"2"), ("k", b"1")],              ["KEY_REUSED", "again 3"]),
    ({"k": KeyUse(b"1", 3)},    True,  [("j", b"1"), ("k", b"1")],              ["change 8", "again 3"]),
    ({"k": KeyUse(b"1", 3)},    False, [("k", b"1"), ("j", b"1")],              ["again 3", "ACCOUNT_INACTIVE"]),
    ({},                        False, [("k", b"1"), ("k", b"1")],              ["ACCOUNT_INACTIVE", "ACCOUNT_INACTIVE"]),
]  # fmt: skip


@pytest.mark.parametrize(("uses", "active", "requests", "expected"), KEYS)
def test_a_key_is_carried_out_once(
    uses: dict[str, KeyUse],
    active: bool,
    requests: list[tuple[str, bytes]],
    expected: list[str],
) -> None:
    commands = [keyed(text, fingerprint, A) for text, fingerprint in requests]

    assert told(decide(account(9, active=active), facts(), commands, 5, uses)) == expected
