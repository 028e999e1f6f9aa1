"""The rest of a pool's life as tables: one row one case, the expected answer on the same line.

A script is played first (see `script`), then one step; changes count from 3.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from fotapool.ledger import facts, fifo
from fotapool.ledger.verify import verify
from fotapool.model import Change, Cursor, Listing, Refusal, Refused, Verb
from fotapool.store import tx as store_tx
from script import IMEIS, Play, verdicts
from world import Clock, World, imeis, open_memory


def check_books(play: Play) -> None:
    report = play.world.store.read(lambda snapshot: verify(snapshot, play.account))
    assert report.findings == ()


def rehearsed(play: Play, verb: Verb, **more: Any) -> Change:
    return play.world.ledger.rehearse(play.world.command(play.account, verb, **more))


# R3: remove.   played before                              step          told                        used/total
REMOVE = [
    ("",                                                    "remove A",   "A not_licensed",           "0/9"),
    ("",                                                    "remove Zx",  "Z not_licensed, x malformed", "0/9"),
    ("assign AB",                                           "remove AA",  "A removed, A not_licensed", "1/9"),
    ("assign A; schedule A",                                "remove A",   "A removed",                "0/9"),
    ("assign A; schedule A; remove A; assign A",            "start A",    "A not_scheduled",          "1/9"),
    ("assign A; schedule A; start A",                       "remove A",   "A upgrade_running",        "1/9"),
    ("assign A; schedule A; start A; finish A",             "remove A",   "A upgraded",               "1/9"),
    ("assign A; schedule A; start A; fail A",               "remove A",   "A removed",                "0/9"),
    ("assign A; schedule A; cancel A",                      "remove A",   "A removed",                "0/9"),
    ("assign A; schedule A; start A; finish A; schedule A", "remove A",   "A upgraded",               "1/9"),
    ("assign A; schedule A; start A; finish A; schedule A; start A", "remove A", "A upgrade_running", "1/9"),
    # Upgraded under another license: that one is over.
    ("type both; schedule A; start A; finish A; assign A",  "remove A",   "A removed",                "0/9"),
    ("assign AB; schedule A; start A; finish A; resize 1; resize 9; assign A", "remove A", "A removed", "1/9"),
    # The license that an undo brought back is the one of before, so the upgrade came after it.
    ("assign AB; schedule A; start A; finish A; resize 1; undo 7", "remove A", "A upgraded",          "2/9"),
    ("assign A; schedule A; start A; finish A; leave A; register A; assign A", "remove A", "A removed", "0/9"),
]  # fmt: skip

# R5: who belongs to an account.
REGISTRY = [
    ("",                                  "register AZZx",  "A already_registered, Z registered, Z already_registered, x malformed", "0/9"),
    ("",                                  "leave AAZx",     "A left, A unknown_device, Z unknown_device, x malformed", "0/9"),
    ("assign AB",                         "leave AC",       "A left_and_freed, C left",             "1/9"),
    ("assign A; leave A",                 "assign A",       "A unknown_device",                     "0/9"),
    ("assign A; leave A; register A",     "assign A",       "A assigned",                           "1/9"),
    ("assign A; schedule A; start A",     "leave A",        "A left_and_freed",                     "0/9"),
    ("assign A; schedule A; start A; leave A; register A; assign A", "finish A", "A not_running",   "1/9"),
    ("list AB; leave A",                  "append AB",      "DEVICE_NOT_REGISTERED",                "0/9"),
    ("list AB; leave A; register A",      "append A",       "A listed",                             "0/9"),
    ("",                                  "assign Z",       "Z unknown_device",                     "0/9"),
    ("policy open",                       "assign Zx",      "Z assigned, x malformed",              "1/9"),
    ("policy open; resize 0",             "assign Z",       "Z no_free_license",                    "0/0"),
    ("policy open; resize 0; assign Z; policy registered; resize 9", "assign Z", "Z unknown_device", "0/9"),
    ("policy open; assign Z; remove Z; policy registered", "assign Z", "Z assigned",                "1/9"),
    ("policy open; assign A; leave A",    "assign A",       "A assigned",                           "1/9"),
    ("policy open",                       "remove Z",       "Z not_licensed",                       "0/9"),
    ("policy open",                       "schedule Z",     "Z unknown_device",                     "0/9"),
    ("deactivate",                        "assign A",       "ACCOUNT_INACTIVE",                     "0/9"),
    ("deactivate",                        "leave A",        "ACCOUNT_INACTIVE",                     "0/9"),
    ("deactivate",                        "resize 3",       "ACCOUNT_INACTIVE",                     "0/9"),
    ("assign A; deactivate",              "undo 3",         "ACCOUNT_INACTIVE",                     "1/9"),
    ("deactivate",                        "deactivate",     "",                                     "0/9"),
    ("deactivate; activate",              "assign A",       "A assigned",                           "1/9"),
]  # fmt: skip

# R6: the steps of an upgrade.
UPGRADES = [
    ("",                                        "schedule A",   "A not_licensed",                     "0/9"),
    ("assign A",                                "schedule AAx", "A scheduled, A already_scheduled, x malformed", "1/9"),
    ("assign A; schedule A",                    "schedule A",   "A already_scheduled",                "1/9"),
    ("assign A; schedule A; start A",           "schedule A",   "A upgrade_running",                  "1/9"),
    ("assign A; schedule A; start A; finish A", "schedule A",   "A scheduled",                        "1/9"),
    ("assign A; schedule A; cancel A",          "schedule A",   "A scheduled",                        "1/9"),
    ("",                                        "schedule Z",   "Z unknown_device",                   "0/9"),
    ("assign A; leave A",                       "schedule A",   "A unknown_device",                   "0/9"),
    ("type both",                               "schedule A",   "A scheduled",                        "0/9"),
    ("resize 0; type EVNT",                     "schedule A",   "A scheduled",                        "0/0"),
    ("type both; schedule A; type MRC",         "start A",      "A started",                          "0/9"),
    ("assign A",                                "start A",      "A not_scheduled",                    "1/9"),
    ("assign A; schedule A",                    "start AAZx",   "A started, A upgrade_running, Z unknown_device, x malformed", "1/9"),
    ("assign A; schedule A; start A",           "start A",      "A upgrade_running",                  "1/9"),
    ("assign A; schedule A; cancel A",          "start A",      "A not_scheduled",                    "1/9"),
    ("assign A; schedule A",                    "finish A",     "A not_running",                      "1/9"),
    ("assign A; schedule A; start A",           "finish AAZx",  "A finished, A not_running, Z unknown_device, x malformed", "1/9"),
    ("assign A; schedule A; start A; finish A", "finish A",     "A not_running",                      "1/9"),
    ("assign A",                                "fail A",       "A not_running",                      "1/9"),
    ("assign A; schedule A; start A",           "fail AAZx",    "A failed, A not_running, Z unknown_device, x malformed", "1/9"),
    ("assign A; schedule A; start A; finish A", "fail A",       "A not_running",                      "1/9"),
    ("assign A; schedule A",                    "cancel AAZx",  "A cancelled, A not_scheduled, Z unknown_device, x malformed", "1/9"),
    ("assign A; schedule A; start A",           "cancel A",     "A upgrade_running",                  "1/9"),
    ("assign A",                                "cancel A",     "A not_scheduled",                    "1/9"),
    ("assign AB; schedule AB; start A; resize 1; finish A", "finish A", "A not_running",              "1/1"),
    ("assign A; schedule A; start A; resize 0", "finish A",     "A finished_and_taken",               "0/0"),
    ("assign A; schedule A; start A; resize 0", "fail A",       "A failed_and_taken",                 "0/0"),
    ("assign A; schedule A; start A; resize 0", "cancel A",     "A upgrade_running",                  "1/0+1"),
]  # fmt: skip

# R7: the size of the pool.
RESIZE = [
    ("assign ABC",                              "resize 9",     "",                                   "3/9"),
    ("assign ABC",                              "resize 3",     "",                                   "3/3"),
    ("assign ABC",                              "resize 12",    "",                                   "3/12"),
    ("assign ABC",                              "resize 1",     "A taken_oldest, B taken_oldest",     "1/1"),
    ("assign ABC",                              "resize 0",     "A taken_oldest, B taken_oldest, C taken_oldest", "0/0"),
    # First by granting change, then by place in its list; never by IMEI.
    ("assign C; assign BA",                     "resize 1",     "C taken_oldest, B taken_oldest",     "1/1"),
    ("assign ABC; remove A; assign A",          "resize 1",     "B taken_oldest, C taken_oldest",     "1/1"),
    ("assign ABC; assign BD",                   "resize 2",     "A taken_oldest, B taken_oldest",     "2/2"),
    ("assign xAxB",                             "resize 1",     "A taken_oldest",                     "1/1"),
    # The candidate list first, in its order; who has no license is passed over.
    ("assign ABC; list CB",                     "resize 2",     "C taken_candidate",                  "2/2"),
    ("assign ABC; list CB",                     "resize 1",     "C taken_candidate, B taken_candidate", "1/1"),
    ("assign ABC; list CB",                     "resize 0",     "C taken_candidate, B taken_candidate, A taken_oldest", "0/0"),
    ("assign ABC; list DCE",                    "resize 1",     "C taken_candidate, A taken_oldest",  "1/1"),
    ("assign ABC; list C; append B",            "resize 1",     "C taken_candidate, B taken_candidate", "1/1"),
    ("assign ABC; list BC; append BA",          "resize 0",     "B taken_candidate, C taken_candidate, A taken_candidate", "0/0"),
    ("assign ABC; list B; list C",              "resize 2",     "C taken_candidate",                  "2/2"),
    ("assign ABC; list C; clear",               "resize 2",     "A taken_oldest",                     "2/2"),
    ("assign ABC; list C; remove C; assign C",  "resize 2",     "A taken_oldest",                     "2/2"),
    ("assign ABC; list C; leave C; register C; assign C", "resize 2", "A taken_oldest",               "2/2"),
    # It may take what remove refuses; a scheduled upgrade ends with the license.
    ("assign AB; schedule A; start A; finish A", "resize 1",    "A taken_oldest",                     "1/1"),
    ("assign AB; schedule A",                   "resize 1",     "A taken_oldest",                     "1/1"),
    # A running upgrade: counted among the taken, held until it ends, nobody in its place.
    ("assign ABC; schedule A; start A",         "resize 1",     "A pending_oldest, B taken_oldest",   "2/1+1"),
    ("assign ABC; schedule A; start A",         "resize 2",     "A pending_oldest",                   "3/2+1"),
    ("assign ABC; list B; schedule B; start B", "resize 2",     "B pending_candidate",                "3/2+1"),
    ("assign ABC; schedule A; start A; resize 2", "assign D",   "D no_free_license",                  "3/2+1"),
    ("assign ABC; schedule A; start A; resize 2; finish A", "assign D", "D no_free_license",          "2/2"),
    ("assign ABC; schedule A; start A; resize 2; remove B", "assign D", "D no_free_license",          "2/2"),
    ("assign ABC; schedule A; start A; resize 2; remove B; finish A", "assign D", "D no_free_license", "2/2"),
    ("assign ABC; schedule A; start A; resize 2; leave A", "assign D", "D no_free_license",           "2/2"),
    ("assign ABC; schedule A; start A; resize 2; fail A; resize 3", "assign A", "A assigned",         "3/3"),
    # A further shrink keeps those that are pending and takes more.
    ("assign ABCD; schedule A; start A; resize 3", "resize 2",  "B taken_oldest",                     "3/2+1"),
    ("assign ABCD; schedule AB; start AB; resize 3", "resize 2", "B pending_oldest",                  "4/2+2"),
    ("assign ABCD; schedule A; start A; resize 3; list A", "resize 2", "B taken_oldest",              "3/2+1"),
    ("assign ABCD; schedule A; start A; resize 3", "resize 3",  "",                                   "4/3+1"),
    # Fewer are needed: released, the last taken first.
    ("assign ABCD; schedule AB; start AB; resize 2", "resize 3", "B released",                        "4/3+1"),
    ("assign ABCD; schedule AB; start AB; resize 2", "resize 4", "B released, A released",            "4/4"),
    ("assign ABCD; schedule AB; start AB; resize 3; resize 2", "resize 3", "B released",              "4/3+1"),
    ("assign ABCD; list BA; schedule AB; start AB; resize 2", "resize 3", "A released",               "4/3+1"),
    ("assign ABCD; schedule AB; start AB; resize 2; remove C; finish A", "finish B", "B finished",    "2/2"),
    ("assign ABCD; schedule AB; start AB; resize 2; leave C; finish A", "fail B", "B failed",         "2/2"),
    ("assign ABCD; schedule AB; start AB; resize 2; resize 9", "finish AB", "A finished, B finished", "4/9"),
    # Among many that wait, the first taken as well.
    ("assign ABCDEFGH; schedule ABCDE; start ABCDE; resize 3", "finish A", "A finished_and_taken",    "7/3+4"),
    ("assign ABCDEFGH; schedule ABCDE; start ABCDE; resize 3", "fail A", "A failed_and_taken",        "7/3+4"),
    ("assign ABCDEFGH; schedule ABCDE; start ABCDE; resize 3", "leave A", "A left_and_freed",         "7/3+4"),
    ("assign ABCDEFGH; schedule ABCDE; start ABCDE; resize 3; leave A; remove F", "finish E", "E finished", "6/3+3"),
    # Not every account has a size.
    ("resize 0; type EVNT",                     "resize 5",     "EVENT_ONLY",                         "0/0"),
    ("resize 0; type EVNT",                     "resize 0",     "EVENT_ONLY",                         "0/0"),
    ("resize 0; type EVNT",                     "assign A",     "A no_free_license",                  "0/0"),
    ("type both; assign A",                     "resize 0",     "A taken_oldest",                     "0/0"),
    ("",                                        "type EVNT",    "LICENSES_LEFT",                      "0/9"),
    ("assign A; schedule A; start A; resize 0", "type EVNT",    "LICENSES_LEFT",                      "1/0+1"),
    ("resize 0; type EVNT; type both",          "resize 5",     "",                                   "0/5"),
]  # fmt: skip

# R8: the candidate list.
CANDIDATES = [
    ("",                                        "list AB",      "A listed, B listed",                 "0/9"),
    ("",                                        "list ABA",     "A listed, B listed, A already_listed", "0/9"),
    ("list AB",                                 "append BC",    "B already_listed, C listed",         "0/9"),
    ("list AB",                                 "list BC",      "B listed, C listed",                 "0/9"),
    ("list AB",                                 "clear",        "",                                   "0/9"),
    ("",                                        "clear",        "",                                   "0/9"),
    ("",                                        "append A",     "A listed",                           "0/9"),
    ("list A",                                  "list BZ",      "DEVICE_NOT_REGISTERED",              "0/9"),
    ("list A",                                  "append xZ",    "DEVICE_ID_INVALID",                  "0/9"),
    ("list A; clear",                           "append A",     "A listed",                           "0/9"),
    ("assign AB; list AB; remove A",            "append A",     "A listed",                           "1/9"),
    ("assign AB; list AB; resize 1",            "append A",     "A listed",                           "1/1"),
    ("assign AB; list A; schedule A; start A; resize 1", "append A", "A already_listed",              "2/1+1"),
    ("assign AB; list A; schedule A; start A; resize 1; finish A", "append A", "A listed",            "1/1"),
    ("assign AB; list A; undo 3",               "append A",     "A listed",                           "0/9"),
]  # fmt: skip

# R12: undo.
UNDO = [
    # Of an assign: what it granted, under R3.
    ("assign AB",                               "undo 3",       "A taken_back, B taken_back",         "0/9"),
    ("assign A; assign AB",                     "undo 4",       "B taken_back",                       "1/9"),
    ("assign ABx",                              "undo 3",       "A taken_back, B taken_back",         "0/9"),
    ("assign Z",                                "undo 3",       "",                                   "0/9"),
    ("assign AB; schedule A",                   "undo 3",       "A taken_back, B taken_back",         "0/9"),
    ("assign AB; schedule A; start A",          "undo 3",       "A upgrade_running, B taken_back",    "1/9"),
    ("assign AB; schedule A; start A; finish A", "undo 3",      "A upgraded, B taken_back",           "1/9"),
    ("assign AB; remove A",                     "undo 3",       "A changed_since by 4, B taken_back", "0/9"),
    ("assign AB; remove A; assign A",           "undo 3",       "A changed_since by 5, B taken_back", "1/9"),
    ("assign AB; leave A",                      "undo 3",       "A changed_since by 4, B taken_back", "0/9"),
    ("assign AB; resize 1",                     "undo 3",       "A changed_since by 4, B taken_back", "0/1"),
    ("assign AB; undo 3",                       "undo 3",       "A already_reversed by 4, B already_reversed by 4", "0/9"),
    ("assign AB; undo 3; assign A",             "undo 3",       "A changed_since by 5, B already_reversed by 4", "1/9"),
    ("assign AB; undo 3; assign A; remove A",   "undo 3",       "A changed_since by 6, B already_reversed by 4", "0/9"),
    ("assign ABC; schedule A; start A; resize 2", "undo 3",     "A upgrade_running, B taken_back, C taken_back", "1/2"),
    # Of a remove: what it took, in its order while seats last.
    ("assign ABC; remove BA",                   "undo 4",       "B given_back, A given_back",         "3/9"),
    ("assign ABC; remove BA; assign A",         "undo 4",       "B given_back, A changed_since by 5", "3/9"),
    ("assign ABC; remove BA; assign A; remove A", "undo 4",     "B given_back, A changed_since by 6", "2/9"),
    ("assign ABC; remove BA; resize 2",         "undo 4",       "B given_back, A no_free_license",    "2/2"),
    ("assign ABC; remove BA; resize 1",         "undo 4",       "B no_free_license, A no_free_license", "1/1"),
    ("assign ABC; remove BA; leave B",          "undo 4",       "B unknown_device, A given_back",     "2/9"),
    ("assign ABC; remove BA; leave B; policy open", "undo 4",   "B given_back, A given_back",         "3/9"),
    ("assign ABC; remove BA; undo 4",           "undo 4",       "B already_reversed by 5, A already_reversed by 5", "3/9"),
    ("assign ABC; remove BA; undo 4; remove A", "undo 4",       "B already_reversed by 5, A changed_since by 6", "2/9"),
    ("assign ABC; remove Z",                    "undo 4",       "",                                   "3/9"),
    # Of an undo.
    ("assign AB; undo 3",                       "undo 4",       "A given_back, B given_back",         "2/9"),
    ("assign AB; undo 3; assign A",             "undo 4",       "A changed_since by 5, B given_back", "2/9"),
    ("assign AB; remove A; undo 4",             "undo 5",       "A taken_back",                       "1/9"),
    ("assign AB; undo 3; undo 4",               "undo 4",       "A already_reversed by 5, B already_reversed by 5", "2/9"),
    ("assign AB; undo 3; undo 4",               "undo 5",       "A taken_back, B taken_back",         "0/9"),
    ("assign AB; undo 3; undo 4",               "undo 3",       "A changed_since by 5, B changed_since by 5", "2/9"),
    ("assign AB; undo 3; undo 4; undo 5",       "undo 3",       "A changed_since by 6, B changed_since by 6", "0/9"),
    # Of a resize: only while N is what it set and the N of before is enough.
    ("assign ABC; resize 1",                    "undo 4",       "A given_back, B given_back",         "3/9"),
    ("assign ABC; list C; resize 1",            "undo 5",       "C given_back, A given_back",         "3/9"),
    ("assign ABC; resize 1; resize 2",          "undo 4",       "RESIZED_SINCE",                      "1/2"),
    ("assign ABC; resize 1; resize 2; resize 1", "undo 4",      "A given_back, B given_back",         "3/9"),
    ("assign ABC; resize 12",                   "undo 4",       "",                                   "3/9"),
    ("assign ABC; resize 12; undo 4",           "undo 4",       "RESIZED_SINCE",                      "3/9"),
    ("assign ABC; resize 1; undo 4",            "undo 4",       "RESIZED_SINCE",                      "3/9"),
    ("assign ABC; resize 1; undo 4",            "undo 5",       "MORE_USED",                          "3/9"),
    ("assign ABC; resize 1; undo 4; remove AB", "undo 5",       "A changed_since by 6, B changed_since by 6", "1/1"),
    ("resize 2; assign AB; resize 5; assign CD", "undo 5",      "MORE_USED",                          "4/5"),
    ("assign ABC; resize 1; remove C; assign A", "undo 4",      "A changed_since by 6, B given_back", "2/9"),
    ("assign ABC; schedule A; start A; resize 1", "undo 6",     "A released, B given_back",           "3/9"),
    ("assign ABC; schedule A; start A; resize 1; finish A", "undo 6", "A changed_since by 7, B given_back", "2/9"),
    # Who waits since an older shrink goes on to wait.
    ("resize 4; assign ABCD; schedule A; start A; resize 3; resize 2", "undo 8", "B given_back",      "4/3+1"),
    ("resize 4; assign ABCD; schedule AB; start AB; resize 3; resize 2", "undo 8", "MORE_USED",       "4/2+2"),
    ("resize 4; assign ABCD; schedule A; start A; resize 3; resize 2; remove C", "undo 8", "B given_back", "3/3"),
    ("resize 5; assign ABCDE; schedule A; start A; resize 4; resize 2; leave B", "undo 8", "B unknown_device, C given_back, A released", "4/4"),
    # Who was released before is not released again; a resize and its undo say so, others do not.
    ("assign ABCD; schedule AB; start AB; resize 2; remove C", "undo 6", "A released, B changed_since", "3/9"),
    ("assign ABCD; schedule AB; start AB; resize 2; remove CD", "undo 6", "A changed_since, B changed_since", "2/9"),
    ("assign ABCD; schedule AB; start AB; resize 2; resize 3; remove C; resize 2", "undo 6", "A released, B changed_since by 7", "3/9"),
    ("assign ABCD; schedule A; start A; resize 2; resize 9; list C; resize 2", "undo 6", "A changed_since by 7, B given_back", "3/9"),
    ("resize 4; assign ABCD; schedule A; start A; resize 3; resize 4; resize 3", "undo 7", "A released", "4/4"),
    ("resize 4; assign ABCD; schedule A; start A; resize 3; fail A; resize 4; assign A; schedule A; start A; list A; resize 3", "undo 7", "A released", "4/4"),
    ("resize 4; assign ABCD; schedule A; start A; resize 3; undo 7; list B; resize 3", "undo 7", "A already_reversed by 8", "3/4"),
    ("resize 4; assign ABCD; schedule A; start A; resize 3; resize 4; list B; resize 3", "undo 7", "A changed_since by 8", "3/4"),
    ("resize 4; assign ABCD; schedule A; start A; resize 3; resize 4; fail A; remove A; list B; resize 3; resize 3", "undo 7", "A changed_since by 10", "3/4"),
    ("resize 0; type both",                     "undo 3",       "",                                   "0/9"),
    ("resize 0; type EVNT",                     "undo 3",       "EVENT_ONLY",                         "0/0"),
    # Of anything else, and of nothing.
    ("",                                        "undo 1",       "UNDO_IMPOSSIBLE",                    "0/9"),
    ("",                                        "undo 2",       "UNDO_IMPOSSIBLE",                    "0/9"),
    ("list A",                                  "undo 3",       "UNDO_IMPOSSIBLE",                    "0/9"),
    ("leave A",                                 "undo 3",       "UNDO_IMPOSSIBLE",                    "0/9"),
    ("assign A; schedule A",                    "undo 4",       "UNDO_IMPOSSIBLE",                    "1/9"),
    ("policy open",                             "undo 3",       "UNDO_IMPOSSIBLE",                    "0/9"),
    ("",                                        "undo 3",       "CHANGE_UNKNOWN",                     "0/9"),
    ("",                                        "undo 0",       "CHANGE_UNKNOWN",                     "0/9"),
]  # fmt: skip

TABLES = {
    "R3": REMOVE,
    "R5": REGISTRY,
    "R6": UPGRADES,
    "R7": RESIZE,
    "R8": CANDIDATES,
    "R12": UNDO,
}


@pytest.mark.parametrize(
    ("rule", "before", "step", "told", "counts"),
    [(rule, *row) for rule, rows in TABLES.items() for row in rows],
)
def test_the_rules(rule: str, before: str, step: str, told: str, counts: str) -> None:
    world = open_memory(Clock())
    play = Play(world)
    play.play(before)

    assert play.told(step) == told
    assert play.counts == counts
    check_books(play)
    world.store.close()


# What an undo brings back is the license of before: its date, and its place in the queue.
@pytest.mark.parametrize(
    ("before", "undo", "next_to_go"),
    [
        ("assign AB; assign C; remove A", 5, "A taken_oldest"),
        ("assign AB; assign C; remove A; undo 5; remove A", 7, "A taken_oldest"),
        ("assign AB; assign C; resize 1; resize 9", 5, ""),
        ("assign AB; assign C; remove B; assign D", 5, "A taken_oldest, B taken_oldest"),
    ],
)
def test_a_license_given_back_stands_where_it_stood(
    small_world: World, before: str, undo: int, next_to_go: str
) -> None:
    play = Play(small_world)
    play.play(before)
    if next_to_go:
        play.do(f"undo {undo}")
        used = small_world.totals(play.account).used
        assert play.told(f"resize {used - next_to_go.count('taken')}") == next_to_go
    else:
        assert play.told(f"undo {undo}") == "RESIZED_SINCE"
    check_books(play)


def test_the_date_of_a_license_given_back_shows_in_status_and_as_of(small_world: World) -> None:
    play = Play(small_world)
    play.play("assign AB; remove A; undo 4")
    first = small_world.clock.now_ms - 2000

    def dates(sequence: int | None) -> dict[int, int]:
        if sequence is None:
            page = small_world.ledger.status(play.account, Cursor())
            return dict(zip(page.imeis, page.assigned_at_ms, strict=True))
        found = small_world.history.as_of(play.account, sequence=sequence)
        return dict(zip(found.imeis, found.assigned_at_ms, strict=True))

    a, b = IMEIS["A"], IMEIS["B"]
    assert dates(None) == {a: first, b: first}
    assert dates(3) == {a: first, b: first}
    assert dates(4) == {b: first}
    assert dates(5) == {a: first, b: first}
    play.play("remove A; undo 6")
    assert dates(None) == dates(7) == dates(5) == {a: first, b: first}
    assert dates(6) == {b: first}
    held = small_world.history.device(play.account, a).holdings
    assert [(h.interval.since_sequence, h.interval.until_sequence) for h in held] == [
        (3, 4),
        (5, 6),
        (7, None),
    ]


def test_who_released_a_license_is_looked_for_in_so_many_changes(
    small_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "CHANGES_EXAMINED_MAX", 3)
    play = Play(small_world, licenses=4)
    play.play("assign ABCD; schedule A; start A; resize 3; resize 4; list B; resize 3")
    assert verdicts(rehearsed(play, Verb.UNDO, undoes=6)) == "A changed_since by 7"
    play.play("assign A")
    assert verdicts(rehearsed(play, Verb.UNDO, undoes=6)) == "A changed_since"


@pytest.mark.parametrize(
    ("before", "step", "told"),
    [row[:3] for row in (*RESIZE, *UNDO) if row[1].startswith(("resize", "undo"))],
)
def test_a_dry_run_tells_what_is_done_then(before: str, step: str, told: str) -> None:
    verb, _, number = step.partition(" ")
    world = open_memory(Clock())
    play = Play(world)
    play.play(before)
    more = {"total": int(number)} if verb == "resize" else {"undoes": int(number)}
    stood = play.counts
    if told.isupper():
        with pytest.raises(Refused, match=Refusal[told].value):
            rehearsed(play, Verb[verb.upper()], **more)
        return
    dry = rehearsed(play, Verb[verb.upper()], **more)
    assert play.counts == stood

    made = play.do(step)
    assert verdicts(dry) == verdicts(made) == told
    assert (dry.totals, dry.sequence) == (made.totals, made.sequence - 1)
    world.store.close()


def test_the_list_is_told_as_it_stands_after_each_change(small_world: World) -> None:
    play = Play(small_world)
    listings = [("list AB", "AB"), ("append CA", "ABC"), ("list D", "D"), ("clear", "")]
    for step, after in listings:
        listed = play.do(step).candidates
        assert listed is not None
        assert (listed.count, listed.imeis) == (len(after), [IMEIS[letter] for letter in after])
        assert listed.changed_at_ms == small_world.clock.now_ms


def test_a_resize_of_many_takes_the_oldest_however_they_are_found(
    small_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By lists, by a scan, in small batches: the same devices in the same order."""
    chance = random.Random(7)
    account = small_world.add_account(licenses=500, devices=imeis(400))
    names = [f"{imei:015d}" for imei in imeis(400)]
    for _ in range(60):
        small_world.carry_out(account, Verb.ASSIGN, chance.sample(names, 20))
        small_world.carry_out(account, Verb.REMOVE, chance.sample(names, 9))
    small_world.carry_out(account, Verb.UNDO, undoes=80)
    small_world.carry_out(
        account, Verb.CANDIDATES, chance.sample(names, 30), listing=Listing.REPLACE
    )
    used = small_world.totals(account).used

    def told(total: int) -> tuple[list[int], bytes]:
        dry = small_world.ledger.rehearse(small_world.command(account, Verb.RESIZE, total=total))
        return list(dry.devices.imeis), dry.outcomes

    expected = {total: told(total) for total in (0, 1, used // 2, used - 40, used - 1)}
    rows = small_world.store.read(
        lambda s: s.connection.rows(
            "SELECT coalesce(origin_sequence, since_sequence), imei FROM license"
        )
    )
    assert set(expected[0][0]) == {imei for _, imei in rows}
    oldest = expected[0][0][expected[0][1].count(50) :]
    origins = {imei: origin for origin, imei in rows}
    assert [origins[imei] for imei in oldest] == sorted(origins[imei] for imei in oldest)
    for scan_from, rows_at_once, changes_at_once in [
        (0, 10_000, 100),
        (10**9, 10_000, 100),
        (0, 3, 2),
        (10**9, 3, 2),
    ]:
        monkeypatch.setattr(fifo, "SCAN_FROM", scan_from)
        monkeypatch.setattr(fifo, "ROWS_AT_ONCE", rows_at_once)
        monkeypatch.setattr(fifo, "CHANGES_AT_ONCE", changes_at_once)
        assert {total: told(total) for total in expected} == expected


def test_very_many_devices_are_written_in_batches(
    small_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_tx, "DEVICES_AT_ONCE", 7)
    monkeypatch.setattr(facts, "DEVICES_AT_ONCE", 5)
    account = small_world.add_account(licenses=100, devices=imeis(60))
    names = [f"{imei:015d}" for imei in imeis(60)]
    small_world.carry_out(account, Verb.ASSIGN, names)
    for verb in (Verb.SCHEDULE, Verb.START):
        small_world.carry_out(account, verb, names[10:20])
    small_world.carry_out(account, Verb.CANDIDATES, names[30:], listing=Listing.REPLACE)
    made = small_world.carry_out(account, Verb.RESIZE, total=5)
    assert len(made.outcomes) == 55
    undone = small_world.carry_out(account, Verb.UNDO, undoes=made.sequence)

    assert len(undone.outcomes) == 55
    assert small_world.totals(account).used == 60
    report = small_world.store.read(lambda snapshot: verify(snapshot, account))
    assert report.findings == ()
