"""The checker of histories: content with a good one, and finds what is wrong with each bad one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from linear import Answer, Asked, Change, Counts, History, Read, Write, check
from model import Pool

A, B, C, D = (f"99000342573000{at}" for at in range(4))
LETTERS = dict(zip("ABCD", (A, B, C, D), strict=True))
BEGINNING = 2
"""The last change before the history: the account, and its four devices."""

Ledger = list[Change]


def pool() -> Pool:
    made = Pool(2, now_ms=0, remembers=False)
    made.carry_out("register", [A, B, C, D])
    return made


def asked(text: str) -> Asked:
    """`assign AB`, `resize 1`."""
    verb, _, about = text.partition(" ")
    if about.isdigit():
        return Asked(verb, (), int(about))
    return Asked(verb, tuple(LETTERS[letter] for letter in about))


def change(sequence: int, text: str, outcomes: str, counts: str) -> Change:
    """`change(3, "assign AB", "A assigned, B assigned", "2/2")`."""
    pairs = (verdict.split() for verdict in outcomes.split(", "))
    verdicts = tuple((LETTERS[letter], outcome) for letter, outcome in pairs)
    used, total = map(int, counts.split("/"))
    return Change(sequence, f"r{sequence}", asked(text), verdicts, Counts(total, used))


def told(made: Change, **more: bool) -> Answer:
    return Answer(200, "", made.sequence, made.request, made.verdicts, made.counts, **more)


def write(
    client: str, began: int, ended: int, text: str, answer: Answer | None, key: str = ""
) -> Write:
    return Write(client, asked(text), began, ended, answer, key)


def page(client: str, began: int, ended: int, sequence: int, devices: str, counts: str) -> Read:
    used, total = map(int, counts.split("/"))
    items = tuple(LETTERS[letter] for letter in devices)
    return Read(client, "licenses", began, ended, sequence, items, Counts(total, used))


BUSY = Answer(503, "SERVICE_UNAVAILABLE")
LOST = None

LEDGER = [
    change(3, "assign AB", "A assigned, B assigned", "2/2"),
    change(4, "assign CA", "C no_free_license, A already_licensed", "2/2"),
    change(5, "remove A", "A removed", "1/2"),
    change(6, "assign C", "C assigned", "2/2"),
    change(7, "resize 1", "B taken_oldest", "1/1"),
    change(8, "replace C", "C listed", "1/1"),
    change(9, "remove C", "C removed", "0/1"),
]
AT = {made.sequence: made for made in LEDGER}
WRITES = [
    # client  asked..answered  what           answer
    write("ann",   0,  10, "assign AB",  told(AT[3])),
    write("bob",   5,  20, "assign CA",  told(AT[4])),
    write("ann",  25,  35, "remove A",   told(AT[5])),
    write("bob",  36,  40, "assign C",   LOST),                                 # yet it is change 6
    write("ann",  56,  58, "assign D",   BUSY),
    write("ann",  60,  70, "resize 1",   told(AT[7])),
    write("bob",  72,  80, "replace C",  told(AT[8])),
    write("bob",  84,  85, "assign AD",  LOST),                                 # and is none
    write("ann",  91,  92, "remove C",   BUSY, key="k"),
    write("ann",  93,  94, "remove C",   LOST, key="k"),                        # yet it is change 9
    write("ann", 100, 101, "remove C",   told(AT[9], replayed=True), key="k"),
]  # fmt: skip
READS = [
    page("eve", 0, 4, 2, "", "0/2"),
    page("eve", 22, 30, 4, "AB", "2/2"),
    page("eve", 41, 45, 5, "B", "1/2"),
    page("eve", 50, 55, 6, "BC", "2/2"),
    Read("eve", "candidates", 82, 90, 8, (C,)),
    page("eve", 96, 99, 9, "", "0/1"),
]


def checked(ledger: Ledger, writes: list[Write], reads: list[Read]) -> list[str]:
    return check(pool(), ledger, History(writes, reads))


def test_a_good_history_is_explained() -> None:
    assert checked(LEDGER, WRITES, READS) == []


def test_pages_of_licenses_begin_after_a_device_and_say_whether_more_follows() -> None:
    rest = replace(READS[1], after=A, items=(B,))

    assert checked(LEDGER, WRITES, [rest]) == []
    assert checked(LEDGER, WRITES, [replace(rest, items=(A, B))]) == [
        "eve's read of licenses at change 4: 990003425730000 shown, 990003425730001 in the model"
    ]
    assert checked(LEDGER, WRITES, [replace(rest, more=True)]) == [
        "eve's read of licenses at change 4: it is wrong about whether more follows"
    ]


Alter = Callable[[Ledger, list[Write], list[Read]], object]
BROKEN: dict[str, tuple[Alter, str]] = {}


def broken(message: str) -> Callable[[Alter], Alter]:
    """A good history altered, and the first thing that must be found wrong with it."""

    def keep(alter: Alter) -> Alter:
        BROKEN[alter.__name__] = (alter, message)
        return alter

    return keep


@broken(
    "change 4 (assign): 990003425730002 assigned in the ledger, 990003425730002 no_free_license by the model"
)
def the_last_license_granted_twice(ledger: Ledger, writes: list[Write], reads: list[Read]) -> None:
    """A lost update: two decided from the same free licenses, and both stand."""
    verdicts = ((C, "assigned"), (A, "already_licensed"))
    ledger[1] = replace(ledger[1], verdicts=verdicts)
    writes[1] = replace(writes[1], answer=told(ledger[1]))


@broken("change 4 (remove): 2 of 2 in the ledger, 1 of 2 by the model")
def a_counter_written_over(ledger: Ledger, writes: list[Write], reads: list[Read]) -> None:
    """A lost update: the second of two removals counted from what the first had read."""
    ledger[1:] = [change(4, "remove A", "A removed", "2/2")]
    writes[1:] = [write("bob", 5, 20, "remove A", told(ledger[1]))]
    reads.clear()


@broken("change 3 is the answer to two: ann's assign of 2 devices, and bob's assign of 2 devices")
def one_change_told_to_two(ledger: Ledger, writes: list[Write], reads: list[Read]) -> None:
    writes.insert(1, replace(writes[0], client="bob"))


@broken(
    "eve's read of licenses at change 5 was asked for only after change 7 (ann's resize 1) had been answered"
)
def a_stale_read(ledger: Ledger, writes: list[Write], reads: list[Read]) -> None:
    reads[:] = [replace(reads[2], began_ns=71, ended_ns=75)]


@broken(
    "eve's read of licenses at change 4 was asked for only after eve's read of licenses at change 6 had been answered"
)
def a_read_older_than_one_before_it(ledger: Ledger, writes: list[Write], reads: list[Read]) -> None:
    """Neither write had been answered, but a page had shown them."""
    writes[2] = replace(writes[2], answer=LOST)
    reads[:] = [replace(reads[1], began_ns=56, ended_ns=57), reads[3]]


@broken(
    "change 7 (ann's resize 1) was asked for only after eve's read of licenses at change 7 had been answered"
)
def a_read_of_what_nobody_had_asked_for(
    ledger: Ledger, writes: list[Write], reads: list[Read]
) -> None:
    reads[3] = page("eve", 50, 55, 7, "C", "1/1")


@broken("eve's read of licenses at change 6: shows 1 of 2, the model has 2 of 2")
def a_torn_read_of_new_devices_and_old_totals(
    ledger: Ledger, writes: list[Write], reads: list[Read]
) -> None:
    reads[3] = replace(reads[3], counts=Counts(2, 1))


@broken("eve's read of licenses at change 6: 1 devices shown, 2 in the model")
def a_torn_read_of_old_devices_and_new_totals(
    ledger: Ledger, writes: list[Write], reads: list[Read]
) -> None:
    reads[3] = replace(reads[3], items=(B,))


@broken("eve's read of licenses at change 2: 1 devices shown, 0 in the model")
def a_read_of_what_never_was(ledger: Ledger, writes: list[Write], reads: list[Read]) -> None:
    reads[0] = replace(reads[0], items=(A,))


@broken("eve's read of licenses at change 77: there is no such change after the beginning")
def a_read_of_a_change_that_is_not_there(
    ledger: Ledger, writes: list[Write], reads: list[Read]
) -> None:
    reads[3] = replace(reads[3], sequence=77)


@broken("change 10 does again what change 5 did for ann's remove of 1 devices")
def a_doubled_change(ledger: Ledger, writes: list[Write], reads: list[Read]) -> None:
    ledger.append(change(10, "remove A", "A not_licensed", "0/1"))


@broken("ann's remove of 1 devices was carried out more than once under one key: changes 10, 9")
def a_key_carried_out_twice(ledger: Ledger, writes: list[Write], reads: list[Read]) -> None:
    ledger.append(change(10, "remove C", "C not_licensed", "0/1"))
    writes.append(replace(writes[-1], began_ns=102, ended_ns=103, answer=told(ledger[-1])))


@broken("ann's remove of 1 devices was more than once answered as if it were the first time")
def a_repetition_told_as_the_first(ledger: Ledger, writes: list[Write], reads: list[Read]) -> None:
    writes[-1] = replace(writes[-1], answer=told(AT[9]))
    writes.append(replace(writes[-1], began_ns=102, ended_ns=103))


@broken(
    "ann's remove of 1 devices was answered as a repetition, though nothing had been done before"
)
def a_first_time_told_as_a_repetition(
    ledger: Ledger, writes: list[Write], reads: list[Read]
) -> None:
    writes[2] = replace(writes[2], answer=told(AT[5], replayed=True))


@broken(
    "ann's remove of 1 devices was answered as a repetition, though nothing had been done before"
)
def a_refusal_that_the_key_belies(ledger: Ledger, writes: list[Write], reads: list[Read]) -> None:
    """Told that nothing was done, the client asks again and hears that it had been."""
    writes[-2] = replace(writes[-2], answer=BUSY)


@broken(
    "change 3 (ann's assign of 2 devices) was asked for only after change 4 (bob's assign of 2 devices) had been answered"
)
def a_swapped_order(ledger: Ledger, writes: list[Write], reads: list[Read]) -> None:
    """Everything else fits: only that bob had his answer before ann had even asked."""
    writes[0] = replace(writes[0], began_ns=21, ended_ns=22)


@broken(
    "ann's assign of 2 devices, answered as change 3: 990003425730001 no_free_license told, 990003425730001 assigned in the ledger"
)
def a_verdict_altered_on_the_way(ledger: Ledger, writes: list[Write], reads: list[Read]) -> None:
    verdicts = ((A, "assigned"), (B, "no_free_license"))
    writes[0] = replace(writes[0], answer=replace(told(AT[3]), verdicts=verdicts))


@broken("ann's assign of 2 devices, answered as change 3: told 1 of 2, in the ledger 2 of 2")
def counts_altered_on_the_way(ledger: Ledger, writes: list[Write], reads: list[Read]) -> None:
    writes[0] = replace(writes[0], answer=replace(told(AT[3]), counts=Counts(2, 1)))


@broken("ann's assign of 2 devices, answered as change 3: 1 devices told, 2 in the ledger")
def a_verdict_left_out(ledger: Ledger, writes: list[Write], reads: list[Read]) -> None:
    writes[0] = replace(writes[0], answer=replace(told(AT[3]), verdicts=AT[3].verdicts[:1]))


@broken(
    "change 3 (assign): 990003425730001 no_free_license in the ledger, 990003425730001 assigned by the model"
)
def a_verdict_altered_in_both(ledger: Ledger, writes: list[Write], reads: list[Read]) -> None:
    ledger[0] = replace(ledger[0], verdicts=((A, "assigned"), (B, "no_free_license")))
    writes[0] = replace(writes[0], answer=told(ledger[0]))


@broken("ann's remove of 1 devices was answered as change 9, and the ledger has none")
def an_acknowledged_change_cut_off(ledger: Ledger, writes: list[Write], reads: list[Read]) -> None:
    ledger.pop()


@broken("the ledger does not number its changes 3, 4, …")
def an_acknowledged_change_missing(ledger: Ledger, writes: list[Write], reads: list[Read]) -> None:
    del ledger[2]


@broken("ann's remove of 1 devices, answered as change 5: the ledger has another request's id")
def an_acknowledged_change_replaced(ledger: Ledger, writes: list[Write], reads: list[Read]) -> None:
    """After a crash its number was given to another, which asks for the same by chance."""
    ledger[2] = replace(ledger[2], request="another")


@broken("ann's remove of 1 devices, answered as change 5: the ledger has assign of 1 devices")
def an_answer_that_belongs_to_another(
    ledger: Ledger, writes: list[Write], reads: list[Read]
) -> None:
    ledger[2] = change(5, "assign D", "D no_free_license", "2/2")


@broken("change 10 was made by ann's assign of 1 devices, which was refused (503)")
def a_refusal_that_left_a_change(ledger: Ledger, writes: list[Write], reads: list[Read]) -> None:
    ledger.append(change(10, "assign D", "D assigned", "1/1"))


@broken("change 10 (assign) was asked for by nobody")
def a_change_that_nobody_asked_for(ledger: Ledger, writes: list[Write], reads: list[Read]) -> None:
    ledger.append(change(10, "assign DA", "D assigned, A no_free_license", "1/1"))


@broken("change 10 (assign) was asked for by nobody")
def half_of_what_got_no_answer(ledger: Ledger, writes: list[Write], reads: list[Read]) -> None:
    ledger.append(change(10, "assign A", "A assigned", "1/1"))


@broken("ann's resize 1, answered as change 7: it was wanted after change 5 only")
def a_condition_passed_over(ledger: Ledger, writes: list[Write], reads: list[Read]) -> None:
    writes[5] = replace(writes[5], if_sequence=5)


@broken("ann's assign of 1 devices was answered 500")
def a_failure_of_the_server(ledger: Ledger, writes: list[Write], reads: list[Read]) -> None:
    writes[4] = replace(writes[4], answer=Answer(500, "INTERNAL_SYSTEM_ERROR"))


@broken(
    "change 7 (resize): 990003425730002 taken_oldest in the ledger, 990003425730001 taken_oldest by the model"
)
def the_wrong_one_taken_by_a_shrink(ledger: Ledger, writes: list[Write], reads: list[Read]) -> None:
    ledger[4] = replace(ledger[4], verdicts=((C, "taken_oldest"),))
    writes[5] = replace(writes[5], answer=told(ledger[4]))


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_is_found_and_named(name: str) -> None:
    alter, message = BROKEN[name]
    ledger, writes, reads = list(LEDGER), list(WRITES), list(READS)
    alter(ledger, writes, reads)

    assert checked(ledger, writes, reads)[:1] == [message]
