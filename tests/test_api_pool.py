"""Our own operations through `Api`: bodies as published, conditions, places, and bad input."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fotapool.ledger import history as history_module
from fotapool.model import Refused, Role, Verb
from fotapool.wire.query import List
from world import ACCOUNT, Login, World, error_of, header_of, imeis

A, B, STRANGE = "990003425730524", "000000000000042", "352906110000001"
OTHER = "0000999999-00009"
POOL = f"/api/fotapool/v1/accounts/{ACCOUNT}"
NOON = "2017-11-29T16:03:42.000Z"


@pytest.fixture
def login(small_world: World) -> Login:
    small_world.add_account(licenses=2, devices=[int(A), int(B), 5])
    small_world.add_account(OTHER, licenses=2, devices=[int(A)])
    return small_world.add_login(ACCOUNT, OTHER, name="fleet")


def told(reply: Any, *without: str) -> dict[str, Any]:
    assert reply.status == 200, reply.body
    return {name: value for name, value in json.loads(reply.body).items() if name not in without}


# --- writes ------------------------------------------------------------------------------------


def test_an_assign_in_full(login: Login) -> None:
    reply = login.post(POOL + "/assign", {"imeis": [A, "x", A, STRANGE, "000000000000005", B]})

    body = told(reply, "request", "hash")
    assert body == {
        "account": ACCOUNT,
        "change": 3,
        "at": NOON,
        "actor": "fleet",
        "verb": "assign",
        "outcomes": {
            "malformed": 1,
            "already_licensed": 1,
            "unknown_device": 1,
            "no_free_license": 1,
            "assigned": 2,
        },
        "total": 2,
        "used": 2,
        "free": 0,
        "overhang": 0,
        "items": [
            {"imei": A, "outcome": "assigned"},
            {"imei": "x", "outcome": "malformed"},
            {"imei": A, "outcome": "already_licensed"},
            {"imei": STRANGE, "outcome": "unknown_device"},
            {"imei": "000000000000005", "outcome": "assigned"},
            {"imei": B, "outcome": "no_free_license"},
        ],
    }
    assert {len(json.loads(reply.body)[name]) for name in ("request",)} == {32}
    assert (header_of(reply, "Fotapool-Change"), header_of(reply, "ETag")) == ("3", '"3"')


def test_a_removal_in_full(login: Login) -> None:
    login.post(POOL + "/assign", {"imeis": [A]})
    body = told(login.post(POOL + "/remove", {"imeis": [A, B]}), "request", "hash", "at", "actor")

    assert body == {
        "account": ACCOUNT,
        "change": 4,
        "verb": "remove",
        "outcomes": {"not_licensed": 1, "removed": 1},
        "total": 2,
        "used": 0,
        "free": 2,
        "overhang": 0,
        "items": [
            {"imei": A, "outcome": "removed"},
            {"imei": B, "outcome": "not_licensed"},
        ],
    }


# If-Match           status  code
CONDITIONS = [
    ('"2"',           200, None),
    ('"3"',           412, "PRECONDITION_FAILED"),
    ('"1"',           412, "PRECONDITION_FAILED"),
    ('"0"',           412, "PRECONDITION_FAILED"),
    ("2",             400, "PRECONDITION_INVALID"),
    ('W/"2"',         400, "PRECONDITION_INVALID"),
    ('"2", "3"',      400, "PRECONDITION_INVALID"),
    ("*",             400, "PRECONDITION_INVALID"),
    ("",              400, "PRECONDITION_INVALID"),
    ('"two"',         400, "PRECONDITION_INVALID"),
    ('"' + "9" * 19 + '"', 400, "PRECONDITION_INVALID"),
    ('"-2"',          400, "PRECONDITION_INVALID"),
]  # fmt: skip


@pytest.mark.parametrize(("if_match", "status", "code"), CONDITIONS)
@pytest.mark.parametrize("below", ["/assign", "/dry-run/assign"])
def test_conditions(login: Login, below: str, if_match: str, status: int, code: str | None) -> None:
    reply = login.post(POOL + below, {"imeis": [A]}, if_match=if_match)

    assert reply.status == status
    if code:
        assert error_of(reply)[1] == code
        assert told(login.get(POOL + "/status"))["used"] == 0


def test_a_condition_is_judged_after_the_key_and_leaves_it_unused(login: Login) -> None:
    path, body = POOL + "/assign", {"imeis": [A]}
    assert login.post(path, body, if_match='"9"', idempotency_key="k").status == 412
    made = login.post(path, body, if_match='"2"', idempotency_key="k")
    again = login.post(path, body, if_match='"2"', idempotency_key="k")

    assert (made.status, again.status, again.body == made.body) == (200, 200, True)
    assert header_of(again, "Idempotency-Replayed") == "true"
    assert header_of(again, "ETag") == header_of(made, "ETag") == '"3"'


def test_the_documented_paths_know_no_condition(login: Login) -> None:
    path = f"/api/fota/v3/licenses/{ACCOUNT}/assign"
    assert login.post(path, {"deviceList": [A]}, if_match='"9"').status == 200


@pytest.mark.parametrize("verb", ["assign", "remove"])
def test_a_dry_run_tells_what_would_be_and_changes_nothing(login: Login, verb: str) -> None:
    login.post(POOL + "/assign", {"imeis": [A]})
    body = {"imeis": [A, B, STRANGE, "x"]}
    rehearsed = login.post(f"{POOL}/dry-run/{verb}", body, idempotency_key="k")
    again = login.post(f"{POOL}/dry-run/{verb}", body)
    real = login.post(f"{POOL}/{verb}", body)

    assert rehearsed.body == again.body
    assert header_of(rehearsed, "Fotapool-Sequence") == "3"
    assert header_of(rehearsed, "Fotapool-Change") is None
    assert told(rehearsed)["sequence"] == 3
    assert told(rehearsed, "sequence") == told(real, "change", "at", "actor", "request", "hash")
    assert told(real)["change"] == 4


def test_a_dry_run_on_an_inactive_account_is_refused_as_the_write_would_be(login: Login) -> None:
    login.world.store.write(
        lambda tx: tx.connection.write("UPDATE account SET active = 0")
    ).result()

    assert error_of(login.post(POOL + "/dry-run/assign", {"imeis": [A]}))[2] == "Inactive account"
    assert told(login.get(POOL + "/changes"))["sequence"] == 2


# body                                     message
BODIES = [
    (b"",                                  "Input binding error"),
    (b"[]",                                "Input binding error"),
    (b"{",                                 "Input binding error"),
    (b"{}",                                "Device list is empty"),
    (b'{"imeis": null}',                   "Device list is empty"),
    (b'{"imeis": []}',                     "Device list is empty"),
    (b'{"imeis": "x"}',                    "Device list is empty"),
    (b'{"imeis": [1]}',                    "Input binding error"),
    (b'{"imeis": ["' + b"x" * 65 + b'"]}', "Input binding error"),
    (b'{"deviceList": ["x"]}',             "deviceList is not known here"),
    (b'{"imeis": ["x"], "more": 1}',       "more is not known here"),
    (b'{"IMEIS": ["x"]}',                  "IMEIS is not known here"),
    (b'{"imeis": ' + json.dumps(["x"] * 10_001).encode() + b"}", "Device list exceeds 10000 devices"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "message"), BODIES)
@pytest.mark.parametrize("below", ["/assign", "/remove", "/dry-run/assign"])
def test_bad_bodies(login: Login, below: str, body: bytes, message: str) -> None:
    assert error_of(login.post(POOL + below, body)) == (400, "INVALID_PARAMETER", message)


# --- reads -------------------------------------------------------------------------------------


@pytest.fixture
def lived(login: Login) -> Login:
    """Changes 3 to 5 a minute apart: A and B assigned, A removed, A again and one too many."""
    for below, devices in (("assign", [A, B]), ("remove", [A]), ("assign", [A, f"{5:015d}"])):
        login.world.clock.advance(minutes=1)
        login.post(f"{POOL}/{below}", {"imeis": devices})
    return login


def test_status_in_full(lived: Login) -> None:
    reply = lived.get(POOL + "/status")

    assert told(reply) == {
        "account": ACCOUNT,
        "sequence": 5,
        "total": 2,
        "used": 2,
        "free": 0,
        "overhang": 0,
        "items": [
            {"imei": B, "assigned_at": "2017-11-29T16:04:42.000Z"},
            {"imei": A, "assigned_at": "2017-11-29T16:06:42.000Z"},
        ],
    }
    assert (header_of(reply, "Fotapool-Sequence"), header_of(reply, "ETag")) == ("5", '"5"')


def test_as_of_in_full(lived: Login) -> None:
    expected = {
        "account": ACCOUNT,
        "sequence": 4,
        "at": "2017-11-29T16:05:42.000Z",
        "total": 2,
        "used": 1,
        "free": 1,
        "overhang": 0,
        "items": [{"imei": B, "assigned_at": "2017-11-29T16:04:42.000Z"}],
    }

    for query in (
        "sequence=4",
        "at=2017-11-29T16:05:42.000Z",
        "at=2017-11-29T16:06:41.999Z",
        "at=2017-11-29T17:06:00%2B01:00",
        "at=2017-11-29T17:06:00+01:00",
        "at=2017-11-29T16:06:41.9999Z",
    ):
        assert told(lived.get(POOL + "/as-of", query)) == expected, query


def test_changes_in_full(lived: Login) -> None:
    body = told(lived.get(POOL + "/changes", "verb=assign"))

    assert (body["account"], body["sequence"]) == (ACCOUNT, 5)
    assert [entry["change"] for entry in body["items"]] == [5, 3]
    entry = body["items"][0]
    assert {name for name in entry if name not in ("request", "hash")} == {
        "change",
        "at",
        "actor",
        "verb",
        "outcomes",
        "total",
        "used",
        "free",
        "overhang",
    }
    assert entry["outcomes"] == {"no_free_license": 1, "assigned": 1}
    first = told(lived.get(POOL + "/changes", "order=oldest"))["items"][0]
    assert (first["change"], first["verb"], first["detail"]) == (
        1,
        "create_account",
        "purchase_type=MRC",
    )


def test_one_change_in_full(lived: Login) -> None:
    made = told(lived.post(POOL + "/remove", {"imeis": [A, "x"]}))

    assert told(lived.get(POOL + "/changes/6")) == made


def test_the_history_of_a_device_in_full(lived: Login) -> None:
    moment = "2017-11-29T16:0{}:42.000Z"

    assert told(lived.get(f"{POOL}/devices/{A}/history")) == {
        "account": ACCOUNT,
        "sequence": 5,
        "imei": A,
        "items": [
            {
                "since": {"change": 3, "at": moment.format(4), "actor": "fleet", "verb": "assign"},
                "until": {"change": 4, "at": moment.format(5), "actor": "fleet", "verb": "remove"},
            },
            {"since": {"change": 5, "at": moment.format(6), "actor": "fleet", "verb": "assign"}},
        ],
    }


def test_refusals_in_full(lived: Login) -> None:
    lived.post(POOL + "/remove", {"imeis": ["x", "y", STRANGE]})

    assert told(lived.get(POOL + "/refusals")) == {
        "account": ACCOUNT,
        "sequence": 6,
        "changes": 6,
        "items": [
            {"verb": "assign", "outcome": "no_free_license", "count": 1},
            {"verb": "remove", "outcome": "malformed", "count": 2},
            {"verb": "remove", "outcome": "not_licensed", "count": 1},
        ],
    }
    assert (
        told(lived.get(POOL + "/refusals", "verb=remove&since=2017-11-29T16:06:43Z"))["items"] == []
    )


def test_the_clock_in_full(lived: Login) -> None:
    lived.world.clock.advance(minutes=-10)

    assert told(lived.get(POOL + "/clock")) == {
        "account": ACCOUNT,
        "sequence": 5,
        "now": "2017-11-29T15:56:42.000Z",
        "changed_at": "2017-11-29T16:06:42.000Z",
        "behind_ms": 600_000,
    }


# path, query                                            status  message
def place(kind: str, parameters: dict[str, str], *numbers: int) -> str:
    return str(List(kind, ACCOUNT, parameters).write_place(*numbers))


QUERIES = [
    ("/status",    "more=1",                                 400, "more is not known here"),
    ("/status",    "cursor=x",                               400, "cursor is not one that this list gave"),
    ("/status",    "cursor=",                                400, "cursor is not one that this list gave"),
    ("/status",    "cursor=" + "A" * 2000,                   400, "cursor is not one that this list gave"),
    ("/status",    "cursor=%C3%A4",                          400, "cursor is not one that this list gave"),
    ("/status",    "cursor=" + place("status", {}, 2**62),   400, "cursor is not one that this list gave"),
    ("/status",    "cursor=" + place("status", {}, 10**30),  400, "cursor is not one that this list gave"),
    ("/status",    "cursor=" + place("status", {}, -1),      400, "cursor is not one that this list gave"),
    ("/status",    "cursor=" + place("status", {}, 1, 1),    400, "cursor is not one that this list gave"),
    ("/status",    "cursor=" + place("status", {}, 1) + "*", 400, "cursor is not one that this list gave"),
    ("/changes/3", "cursor=" + place("change 3", {}, -1),    400, "cursor is not one that this list gave"),
    ("/as-of",     "sequence=3&cursor=" + place("as-of", {"sequence": "3"}, 10**20, 5),
                                                             400, "cursor is not one that this list gave"),
    ("/as-of",     "",                                       400, "sequence or at must be given, and only one of them"),
    ("/as-of",     "sequence=3&at=2017-11-29T16:05:42Z",     400, "sequence or at must be given, and only one of them"),
    ("/as-of",     "sequence=3&sequence=4",                  400, "sequence must be given once"),
    ("/as-of",     "sequence=x",                             400, "sequence must be a sequence, such as 7"),
    ("/as-of",     "sequence=-1",                            400, "sequence must be a sequence, such as 7"),
    ("/as-of",     "sequence=%C2%B2",                        400, "sequence must be a sequence, such as 7"),
    ("/as-of",     "sequence=0",                             400, "That is before the account was made."),
    ("/as-of",     "sequence=6",                             400, "That is later than now; the account's last change is 5."),
    ("/as-of",     "at=2017-11-29T16:03:41.999Z",            400, "That is before the account was made."),
    ("/as-of",     "at=2017-11-29T16:06:42.001Z",            400, "That is later than now; the account's last change is 5."),
    ("/as-of",     "at=2017-11-29",                          400, "at must be a time in RFC 3339, such as 2026-03-03T12:00:00Z"),
    ("/as-of",     "at=2017-11-29T16:06:42",                 400, "at must be a time in RFC 3339, such as 2026-03-03T12:00:00Z"),
    ("/as-of",     "at=yesterday",                           400, "at must be a time in RFC 3339, such as 2026-03-03T12:00:00Z"),
    ("/changes",   "verb=steal",                             400, "verb must be one of activate, assign, cancel, "),
    ("/changes",   "outcome=unrecognized",                   400, "outcome must be one of "),
    ("/changes",   "imei=99000342573052",                    400, "imei must be an IMEI of 15 digits"),
    ("/changes",   "since=x",                                400, "since must be a time in RFC 3339"),
    ("/changes",   "order=up",                               400, "order must be one of newest, oldest"),
    ("/changes/0", "",                                       404, "The account has no change 0."),
    ("/changes/6", "",                                       404, "The account has no change 6."),
    ("/changes/x", "",                                       400, "change must be a sequence, such as 7"),
    ("/changes/3", "verb=assign",                            400, "verb is not known here"),
    ("/devices/99000342573052/history",  "",                 400, "imei must be an IMEI of 15 digits"),
    (f"/devices/{STRANGE}/history",      "",                 404, f"{STRANGE} is not, and never was, a device of the account."),
    ("/refusals",  "outcome=assigned",                       400, "outcome is not known here"),
    ("/clock",     "at=2017-11-29T16:06:42Z",                400, "at is not known here"),
    ("/nothing",   "",                                       404, "No such path."),
]  # fmt: skip


def test_places_beyond_every_device_are_empty_pages_and_no_errors(lived: Login) -> None:
    for path, kind, query, numbers in [
        ("/changes", "changes", {}, [0]),
        ("/changes/3", "change 3", {}, [10**17]),
        ("/as-of", "as-of", {"sequence": "3"}, [3, 10**17]),
        ("/refusals", "refusals", {}, [0]),
    ]:
        asked = "&".join(f"{name}={text}" for name, text in query.items())
        reply = lived.get(POOL + path, f"{asked}&cursor={place(kind, query, *numbers)}")
        assert (reply.status, told(reply)["items"]) == (200, [])


@pytest.mark.parametrize(
    "at", ["2017-11-29t16:03:42z", "2017-11-29T18:03:42%2B02:00", "2017-11-29T16:03:42.000+00:00"]
)
def test_moments_as_rfc_3339_writes_them(lived: Login, at: str) -> None:
    assert told(lived.get(POOL + "/as-of", f"at={at}"))["at"] == "2017-11-29T16:03:42.000Z"


@pytest.mark.parametrize(("path", "query", "status", "message"), QUERIES)
def test_bad_questions(lived: Login, path: str, query: str, status: int, message: str) -> None:
    found, _, said = error_of(lived.get(POOL + path, query))

    assert found == status
    assert said.startswith(message)


def test_a_bad_bearer_is_told_in_the_one_shape_and_the_gateways(login: Login) -> None:
    reply = login.world.ask("GET", POOL + "/status")

    assert reply.status == 401
    assert json.loads(reply.body) == {
        "errorCode": "900902",
        "errorMessage": "Missing Credentials",
        "fault": {
            "code": "900902",
            "message": "Missing Credentials",
            "description": "Access failure for API: /fotapool/v1, version: v1.",
        },
    }


def test_a_viewer_reads_and_an_operator_also_rehearses(login: Login) -> None:
    viewer = login.world.add_login(ACCOUNT, role=Role.VIEWER)

    assert viewer.get(POOL + "/changes").status == 200
    for below in ("/assign", "/dry-run/assign"):
        reply = viewer.post(POOL + below, {"imeis": [A]})
        assert error_of(reply)[:2] == (403, "INVALID_ACCESS")


# --- pages -------------------------------------------------------------------------------------


def all_pages(login: Login, path: str, query: str = "") -> tuple[list[Any], int]:
    items: list[Any] = []
    cursor, pages = "", 0
    while True:
        body = told(login.get(path, "&".join(filter(None, [query, cursor]))))
        items += body["items"]
        pages += 1
        if "next" not in body:
            return items, pages
        cursor = "cursor=" + body["next"]


def test_pages_go_to_the_end(login: Login, monkeypatch: pytest.MonkeyPatch) -> None:
    world = login.world
    devices = imeis(2300)
    account = world.add_account("large", licenses=2300, devices=devices)
    world.carry_out(account, Verb.ASSIGN, list(map(str, devices)))
    world.carry_out(account, Verb.REMOVE, list(map(str, devices[100:400])))
    large = world.add_login("large")
    base = "/api/fotapool/v1/accounts/large"

    items, pages = all_pages(large, base + "/status")
    assert ([item["imei"] for item in items], pages) == (
        [str(imei) for imei in devices[:100] + devices[400:]],
        2,
    )
    items, pages = all_pages(large, base + "/as-of", "sequence=3")
    assert ([item["imei"] for item in items], pages) == (list(map(str, devices)), 3)
    items, pages = all_pages(large, base + "/changes/3")
    assert ([item["imei"] for item in items], pages) == (list(map(str, devices)), 3)

    monkeypatch.setattr(history_module, "CHANGES_LISTED_MAX", 1)
    monkeypatch.setattr(history_module, "CHANGES_EXAMINED_MAX", 2)
    items, pages = all_pages(large, base + "/changes", "order=oldest")
    assert ([item["change"] for item in items], pages) == ([1, 2, 3, 4], 4)
    items, _ = all_pages(large, base + "/refusals")
    assert items == []


def test_the_pages_of_a_past_stay_on_it(login: Login) -> None:
    """Though the account moves on between them."""
    world = login.world
    account = world.add_account("large", licenses=5000, devices=imeis(3000))
    world.carry_out(account, Verb.ASSIGN, list(map(str, imeis(1500))))
    large = world.add_login("large")
    path = "/api/fotapool/v1/accounts/large/as-of"
    now = "2017-11-29T16:03:42.000Z"
    first = told(large.get(path, "at=" + now))
    world.carry_out(account, Verb.ASSIGN, list(map(str, imeis(3000)[1500:])))
    second = told(large.get(path, f"at={now}&cursor={first['next']}"))

    assert (first["sequence"], second["sequence"], second["used"]) == (3, 3, 1500)
    assert len(first["items"]) + len(second["items"]) == 1500
    assert told(large.get(path, "at=" + now))["sequence"] == 4


def test_a_cursor_is_good_for_its_own_list_alone(
    lived: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_module, "CHANGES_LISTED_MAX", 1)
    cursor = "cursor=" + told(lived.get(POOL + "/changes", "verb=assign"))["next"]
    other = f"/api/fotapool/v1/accounts/{OTHER}/changes"

    assert lived.get(POOL + "/changes", "verb=assign&" + cursor).status == 200
    for path, query in [
        (other, "verb=assign&" + cursor),
        (POOL + "/changes", cursor),
        (POOL + "/changes", "verb=remove&" + cursor),
        (POOL + "/refusals", cursor),
        (POOL + "/status", cursor),
        (POOL + "/changes/3", cursor),
    ]:
        assert error_of(lived.get(path, query))[2] == "cursor is not one that this list gave"


def test_places_are_read_back_and_nothing_else_is() -> None:
    listed = List("changes", ACCOUNT, {"verb": "assign"})
    place = listed.write_place(7, 990003425730524)
    assert place is not None

    def with_place(text: str, kind: str = "changes") -> List:
        return List(kind, ACCOUNT, {"verb": "assign", "cursor": text})

    assert with_place(place).read_place(2) == [7, 990003425730524]
    assert listed.write_place(7, None) is None
    for text in (place[:-2], place + "AA", "W10", "e30", "WzFd"):
        with pytest.raises(Refused):
            with_place(text).read_place(2)
    with pytest.raises(Refused):
        with_place(place).read_place(1)
    with pytest.raises(Refused):
        with_place(place, "status").read_place(2)
