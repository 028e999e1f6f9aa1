"""Our own operations on the rest of a pool's life, and the documented neighbours, through `Api`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fotapool.api.routes import ROUTES, Route
from fotapool.ledger import registry as registry_module
from fotapool.model import Role, Verb
from fotapool.wire import pool_life
from script import IMEIS, Play
from world import ACCOUNT, Login, World, error_of, header_of, imeis

A, B, C = (f"{IMEIS[letter]:015d}" for letter in "ABC")
STRANGE = "352906110000001"
ELSEWHERE = "accountName in the body is not the account in the path"
POOL = f"/api/fotapool/v1/accounts/{ACCOUNT}"
UPGRADES = "/api/fota/v1/upgrades"
NOON = "2017-11-29T16:03:42.000Z"


@pytest.fixture
def play(small_world: World) -> Play:
    return Play(small_world, licenses=9, name=ACCOUNT)


@pytest.fixture
def login(play: Play) -> Login:
    return play.world.add_login(ACCOUNT, role=Role.ADMIN, name="boss")


def told(reply: Any, *without: str) -> dict[str, Any]:
    assert reply.status == 200, reply.body
    return {name: value for name, value in json.loads(reply.body).items() if name not in without}


def items_of(reply: Any) -> list[tuple[str, ...]]:
    return [tuple(item.values()) for item in told(reply)["items"]]


# --- resize ------------------------------------------------------------------------------------


def test_a_resize_in_full(play: Play, login: Login) -> None:
    play.play("assign ABC; schedule B; start B; list C")
    dry = told(login.post(POOL + "/dry-run/resize", {"total": 0}))
    made = told(login.post(POOL + "/resize", {"total": 0}), "request", "hash", "at")

    items = [
        {"imei": C, "outcome": "taken_candidate"},
        {"imei": A, "outcome": "taken_oldest"},
        {"imei": B, "outcome": "pending_oldest"},
    ]
    assert made == {
        "account": ACCOUNT,
        "change": 7,
        "actor": "boss",
        "verb": "resize",
        "outcomes": {"taken_candidate": 1, "taken_oldest": 1, "pending_oldest": 1},
        "total": 0,
        "used": 1,
        "free": 0,
        "overhang": 1,
        "items": items,
    }
    assert dry == {
        "account": ACCOUNT,
        "sequence": 6,
        "verb": "resize",
        "outcomes": made["outcomes"],
        "total": 0,
        "used": 1,
        "free": 0,
        "overhang": 1,
        "items": items,
    }
    v3 = told(login.get(f"/api/fota/v3/licenses/{ACCOUNT}"))
    assert (v3["totalLicense"], v3["assignedLicenses"]) == (0, 1), "more assigned than bought"


# body                                     told
BAD_RESIZES: list[tuple[object, str]] = [
    ({},                                   "total must be a whole number from 0 to 1000000000"),
    ({"total": -1},                        "total must be a whole number from 0 to 1000000000"),
    ({"total": 1_000_000_001},             "total must be a whole number from 0 to 1000000000"),
    ({"total": 10**30},                    "total must be a whole number from 0 to 1000000000"),
    ({"total": "5"},                       "total must be a whole number from 0 to 1000000000"),
    ({"total": 5.5},                       "total must be a whole number from 0 to 1000000000"),
    ({"total": True},                      "total must be a whole number from 0 to 1000000000"),
    ({"total": None},                      "total must be a whole number from 0 to 1000000000"),
    ({"licenses": 5},                      "licenses is not known here"),
    ({"total": 5, "imeis": [A]},           "imeis is not known here"),
    (b"",                                  "Input binding error"),
    (b"[]",                                "Input binding error"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "message"), BAD_RESIZES, ids=range(len(BAD_RESIZES)))
@pytest.mark.parametrize("below", ["/resize", "/dry-run/resize"])
def test_bad_resizes(login: Login, below: str, body: object, message: str) -> None:
    reply = login.post(POOL + below, body)

    assert error_of(reply) == (400, "INVALID_PARAMETER", message)
    assert told(login.get(POOL + "/status"))["sequence"] == 2


@pytest.mark.parametrize("total", [0, 10**9])
def test_a_pool_of_nothing_and_of_a_billion(login: Login, total: int) -> None:
    assert told(login.post(POOL + "/resize", {"total": total}))["total"] == total


def test_an_account_without_a_pool_has_no_size(play: Play, login: Login) -> None:
    play.play("resize 0; type EVNT")
    for below in ("/resize", "/dry-run/resize"):
        status, code, message = error_of(login.post(POOL + below, {"total": 5}))
        assert (status, code) == (409, "EVENT_ONLY")
        assert message == "The account pays per event; it has no licenses to resize."


def test_an_inactive_account_is_read_and_not_written(play: Play, login: Login) -> None:
    play.play("assign A; deactivate")
    writes: list[tuple[str, object]] = [
        ("/resize", {"total": 5}),
        ("/undo", {"change": 3}),
        ("/candidates/replace", {"imeis": [A]}),
        ("/candidates/clear", {}),
        ("/devices/register", {"imeis": [STRANGE]}),
        ("/devices/unregister", {"imeis": [A]}),
        ("/upgrades/schedule", {"imeis": [A]}),
        ("/dry-run/resize", {"total": 5}),
    ]
    for below, body in writes:
        told_ = error_of(login.post(POOL + below, body))
        assert told_ == (400, "INVALID_PARAMETER", "Inactive account")
    assert told(login.get(POOL))["active"] is False
    assert told(login.get(POOL + "/devices"))["items"]


def test_very_many_devices_come_in_pages(
    small_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_life, "VERDICTS_LISTED_MAX", 20)
    account = small_world.add_account(licenses=50, devices=imeis(50))
    names = [f"{imei:015d}" for imei in imeis(50)]
    small_world.carry_out(account, Verb.ASSIGN, names)
    login = small_world.add_login(ACCOUNT, role=Role.ADMIN)

    pages, query = [], ""
    while True:
        page = told(login.post(POOL + "/dry-run/resize", {"total": 5}, query=query))
        pages.append([item["imei"] for item in page["items"]])
        if "next" not in page:
            break
        query = "cursor=" + page["next"]
    assert [len(page) for page in pages] == [20, 20, 5]
    assert [imei for page in pages for imei in page] == names[:45]
    assert page["outcomes"] == {"taken_oldest": 45}

    made = told(login.post(POOL + "/resize", {"total": 5}))
    assert [item["imei"] for item in made["items"]] == names[:20]
    rest = told(login.get(f"{POOL}/changes/{made['change']}", "cursor=" + made["next"]))
    assert [item["imei"] for item in rest["items"]] == names[20:45]

    stale = login.post(POOL + "/dry-run/resize", {"total": 5}, query=query)
    assert error_of(stale)[:2] == (412, "PRECONDITION_FAILED")
    other = login.post(POOL + "/dry-run/resize", {"total": 4}, query=query)
    assert error_of(other)[2] == "cursor is not one that this list gave"


# --- undo --------------------------------------------------------------------------------------


def test_an_undo_in_full(play: Play, login: Login) -> None:
    play.play("assign ABC; remove AB; assign A")
    dry = told(login.post(POOL + "/dry-run/undo", {"change": 4}), "sequence")
    made = told(login.post(POOL + "/undo", {"change": 4}))

    assert made["detail"] == "change=4 verb=remove"
    assert made["items"] == [
        {"imei": A, "outcome": "changed_since", "by": 5},
        {"imei": B, "outcome": "given_back"},
    ]
    assert dry["items"] == made["items"]
    again = told(login.post(POOL + "/undo", {"change": 4}))
    assert again["items"] == [
        {"imei": A, "outcome": "changed_since", "by": 5},
        {"imei": B, "outcome": "already_reversed", "by": 6},
    ]
    kept = told(login.get(POOL + "/changes/6"))
    assert [item["outcome"] for item in kept["items"]] == ["changed_since", "given_back"]


# what is undone        status  code                 message
BAD_UNDOS: list[tuple[object, int, str, str]] = [
    ({},                400, "INVALID_PARAMETER",    "change must be a whole number from 1 to 1000000000000000000"),
    ({"change": 0},     400, "INVALID_PARAMETER",    "change must be a whole number from 1 to 1000000000000000000"),
    ({"change": "4"},   400, "INVALID_PARAMETER",    "change must be a whole number from 1 to 1000000000000000000"),
    ({"change": 9},     404, "CHANGE_NOT_FOUND",     "The account has no change 9."),
    ({"change": 10**18}, 404, "CHANGE_NOT_FOUND",    "The account has no change 1000000000000000000."),
    ({"change": 1},     409, "UNDO_IMPOSSIBLE",      "Change 1 is a create_account; only assign, remove, resize and their undos can be undone."),
    ({"change": 5},     409, "RESIZED_SINCE",        "Change 5 set 1 licenses and the pool has 2 now, so that its size is not taken back; use resize."),
    ({"change": 6},     409, "MORE_USED",            "2 licenses are used now, more than the 1 of before change 6; use resize."),
]  # fmt: skip


@pytest.mark.parametrize(("body", "status", "code", "message"), BAD_UNDOS)
@pytest.mark.parametrize("below", ["/undo", "/dry-run/undo"])
def test_bad_undos(
    play: Play, login: Login, below: str, body: object, status: int, code: str, message: str
) -> None:
    play.play("assign ABC; remove A; resize 1; resize 2; assign A")

    assert error_of(login.post(POOL + below, body)) == (status, code, message)
    assert told(login.get(POOL + "/status"))["sequence"] == 7


def test_only_an_admin_undoes_what_only_an_admin_may(play: Play, login: Login) -> None:
    play.play("assign ABC; resize 1")
    operator = play.world.add_login(ACCOUNT, role=Role.OPERATOR)

    for below in ("/undo", "/dry-run/undo"):
        assert error_of(operator.post(POOL + below, {"change": 4}))[:2] == (403, "INVALID_ACCESS")
        assert operator.post(POOL + "/dry-run/undo", {"change": 3}).status == 200
    assert login.post(POOL + "/undo", {"change": 4}).status == 200
    assert operator.post(POOL + "/undo", {"change": 3}).status == 200
    assert operator.post(POOL + "/undo", {"change": 6}).status == 200, "an undo of an assign"
    assert error_of(operator.post(POOL + "/undo", {"change": 5}))[0] == 403, "of a resize"


# --- roles -------------------------------------------------------------------------------------

VENDOR_READS = {("POST", "/api/fota/v3/devices/{account}")}
"""What only reads though it is no GET."""


@pytest.mark.parametrize(
    "route",
    [route for route in ROUTES if route.role is not None],
    ids=lambda route: f"{route.method} {route.path}",
)
def test_each_operation_is_for_its_role_and_those_above(play: Play, route: Route) -> None:
    """The roles of our own operations are those of the page, which tests/test_docs.py holds."""
    if not route.own:
        reads = route.method == "GET" or (route.method, route.path) in VENDOR_READS
        assert route.role is (Role.VIEWER if reads else Role.OPERATOR)
    play.play("assign A")
    named = {
        "account": ACCOUNT,
        "cursor": "",
        "index": "",
        "sequence": 3,
        "imei": A,
        "upgrade": "x",
    }
    path = route.path.format(**named)
    body = json.dumps({"accountName": ACCOUNT}).encode()
    for role in Role:
        login = play.world.add_login(ACCOUNT, role=role)
        reply = play.world.ask(route.method, path, body=body, headers=login.headers)
        refused = b"INVALID_ACCESS" in reply.body
        assert refused is (role < (route.role or Role.VIEWER)), role
        assert not refused or reply.status == (403 if route.own else 400)


# --- replays -----------------------------------------------------------------------------------


def test_replays_are_the_answer_of_then_to_the_byte(play: Play, login: Login) -> None:
    """Also where the change does not hold the whole answer, and the world has gone on."""
    play.play("assign ABC; remove A; resize 2; assign A")
    asked: list[tuple[str, object]] = [
        (POOL + "/candidates/replace", {"imeis": [A, B]}),
        (POOL + "/candidates/append", {"imeis": [C]}),
        (f"/api/fota/v1/licenses/{ACCOUNT}/cancel", {"deviceList": [A], "type": "append"}),
        (f"/api/fota/v2/licenses/{ACCOUNT}/cancel", {"deviceList": [C, A]}),
        (POOL + "/undo", {"change": 4}),
        (POOL + "/resize", {"total": 1}),
        (POOL + "/devices/unregister", {"imeis": [C]}),
        (POOL + "/devices/register", {"imeis": [C]}),
        (UPGRADES, {"accountName": ACCOUNT, "startDate": "2020-08-21", "deviceList": [A, B, C]}),
        (POOL + "/candidates/clear", {}),
    ]
    first = [login.post(path, body, idempotency_key=path) for path, body in asked]
    assert [reply.status for reply in first] == [200] * len(asked)
    deleted = play.world.ask(
        "DELETE",
        f"/api/fota/v1/licenses/{ACCOUNT}/cancel",
        headers=login.headers | {"idempotency-key": "d"},
    )
    sequence = told(login.get(POOL + "/status"))["sequence"]
    play.play("resize 9; clear; list C")

    for (path, body), then in zip(asked, first, strict=True):
        now = login.post(path, body, idempotency_key=path)
        assert (now.status, now.body) == (200, then.body)
        assert header_of(now, "Fotapool-Change") == header_of(then, "Fotapool-Change")
        assert header_of(now, "Idempotency-Replayed") == "true"
    again = play.world.ask(
        "DELETE",
        f"/api/fota/v1/licenses/{ACCOUNT}/cancel",
        headers=login.headers | {"idempotency-key": "d"},
    )
    assert (again.body, header_of(again, "Idempotency-Replayed")) == (deleted.body, "true")
    assert told(login.get(POOL + "/status"))["sequence"] == sequence + 3


def test_a_key_of_one_resize_is_not_good_for_another(login: Login) -> None:
    assert login.post(POOL + "/resize", {"total": 5}, idempotency_key="k").status == 200
    status, code, _ = error_of(login.post(POOL + "/resize", {"total": 6}, idempotency_key="k"))
    assert (status, code) == (422, "IDEMPOTENCY_KEY_REUSED")


# --- candidates --------------------------------------------------------------------------------


def test_our_candidate_list_in_full(play: Play, login: Login) -> None:
    made = told(login.post(POOL + "/candidates/replace", {"imeis": [B, A, B]}), "request", "hash")
    assert (made["detail"], made["candidates"]) == ("list=replace", 2)
    assert [item["outcome"] for item in made["items"]] == ["listed", "listed", "already_listed"]
    assert told(login.get(POOL + "/candidates")) == {
        "account": ACCOUNT,
        "sequence": 3,
        "candidates": 2,
        "changed_at": NOON,
        "items": [{"imei": B}, {"imei": A}],
    }
    assert told(login.post(POOL + "/candidates/append", {"imeis": [C]}))["candidates"] == 3
    assert told(login.post(POOL + "/candidates/clear", b""))["candidates"] == 0
    assert "changed_at" in told(login.get(POOL + "/candidates"))


# path, body                                                          told on our path                          on a documented one
BAD_LISTS: list[tuple[list[str], str, str]] = [
    ([A, "x"],       '"x" is not a 15-digit IMEI',                   "Invalid device id format"),
    ([A, ""],        '"" is not a 15-digit IMEI',                    "Invalid device id format"),
    ([A, "{0}%s"],   '"{0}%s" is not a 15-digit IMEI',               "Invalid device id format"),
    ([A, STRANGE],   f"{STRANGE} is not a device of the account",    "Device does not exist."),
    ([STRANGE, "x"], f"{STRANGE} is not a device of the account",    "Device does not exist."),
    ([],             "Device list is empty",                         "Device list is empty"),
]  # fmt: skip


@pytest.mark.parametrize(("devices", "own", "documented"), BAD_LISTS)
def test_one_bad_candidate_and_nothing_is_changed(
    play: Play, login: Login, devices: list[str], own: str, documented: str
) -> None:
    play.play("list C")
    for below in ("replace", "append"):
        reply = login.post(f"{POOL}/candidates/{below}", {"imeis": devices})
        assert error_of(reply) == (400, "INVALID_PARAMETER", own)
    for version in ("v1", "v2"):
        path = f"/api/fota/{version}/licenses/{ACCOUNT}/cancel"
        reply = login.post(path, {"deviceList": devices})
        assert error_of(reply) == (400, "INVALID_PARAMETER", documented)
    assert told(login.get(POOL + "/candidates"))["items"] == [{"imei": C}]


# name in the body      v1    v2
NAMED_ACCOUNTS: list[tuple[object, int, int]] = [
    (ACCOUNT,              200, 200),
    (None,                 200, 200),
    ("0000123456-00002",   200, 400),
    ("",                   200, 400),
]  # fmt: skip


@pytest.mark.parametrize(("name", "v1", "v2"), NAMED_ACCOUNTS)
def test_a_list_of_v2_may_name_the_account_once_more(
    login: Login, name: object, v1: int, v2: int
) -> None:
    for version, status in (("v1", v1), ("v2", v2)):
        path = f"/api/fota/{version}/licenses/{ACCOUNT}/cancel"
        reply = login.post(path, {"deviceList": [A], "accountName": name})
        assert reply.status == status
        if status == 400:
            assert error_of(reply)[2] == ELSEWHERE
    assert told(login.get(POOL + "/status"))["sequence"] == 2 + [v1, v2].count(200)


# index      status  told
INDEXES = [
    ("",     200, [A, B, C]),
    ("0",    200, [A, B, C]),
    ("1",    200, [B, C]),
    ("3",    200, []),
    ("4",    400, "Index exceeds number of devices in list"),
    ("9" * 19, 400, "Index exceeds number of devices in list"),
    ("x",    400, "Invalid index value"),
    ("-1",   400, "Invalid index value"),
    ("%C2%B2", 400, "Invalid index value"),
]  # fmt: skip


@pytest.mark.parametrize(("index", "status", "expected"), INDEXES)
def test_a_list_is_read_from_an_index_on(
    play: Play, login: Login, index: str, status: int, expected: object
) -> None:
    play.play("list ABC")
    paths = [
        (f"/api/fota/v1/licenses/{ACCOUNT}/cancel/index/{index}", ""),
        (f"/api/fota/v2/licenses/{ACCOUNT}/cancel/index/{index}", ""),
        (f"/api/fota/v2/licenses/{ACCOUNT}/cancel", f"startIndex={index}"),
    ]
    for path, query in paths:
        reply = login.get(path, query)
        assert reply.status == status
        if status == 200:
            body = told(reply)
            assert (body["count"], body["hasMoreData"], body["deviceList"]) == (3, False, expected)
        else:
            assert error_of(reply)[2] == expected


def test_a_list_of_nothing(login: Login) -> None:
    for version, more in (("v1", {}), ("v2", {"updateTime": "0001-01-01 00:00:00 +0000 UTC"})):
        path = f"/api/fota/{version}/licenses/{ACCOUNT}/cancel"
        empty = {"count": 0, "hasMoreData": False, **more, "deviceList": []}
        assert told(login.get(path + "/index/0")) == empty
    for version in ("v1", "v2"):
        path = f"/api/fota/{version}/licenses/{ACCOUNT}/cancel"
        assert told(login.world.ask("DELETE", path, headers=login.headers)) == {"success": True}
        assert told(login.get(path + "/index/0"))["count"] == 0


def test_lists_have_pages(small_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fotapool.ledger.PAGE_SIZE_MAX", 4)
    small_world.add_account(devices=imeis(10))
    login = small_world.add_login(ACCOUNT)
    names = [f"{imei:015d}" for imei in imeis(10)][::-1]
    listed = told(login.post(f"/api/fota/v1/licenses/{ACCOUNT}/cancel", {"deviceList": names}))
    assert (listed["count"], listed["deviceList"]) == (10, names[:4])

    seen, query = [], ""
    while True:
        page = told(login.get(POOL + "/candidates", query))
        seen += [item["imei"] for item in page["items"]]
        if "next" not in page:
            break
        query = "cursor=" + page["next"]
    assert seen == names
    page = told(login.get(f"/api/fota/v2/licenses/{ACCOUNT}/cancel", "startIndex=4"))
    assert (page["hasMoreData"], page["deviceList"]) == (True, names[4:8])


# --- devices and the account -------------------------------------------------------------------


def test_the_registry(play: Play, login: Login) -> None:
    play.play("assign AB; schedule B; start B; finish B; schedule A; leave DEFGH")

    assert items_of(login.post(POOL + "/devices/register", {"imeis": [STRANGE, A, "x"]})) == [
        (STRANGE, "registered"),
        (A, "already_registered"),
        ("x", "malformed"),
    ]
    assert items_of(login.post(POOL + "/devices/unregister", {"imeis": [STRANGE, STRANGE]})) == [
        (STRANGE, "left"),
        (STRANGE, "unknown_device"),
    ]
    assert told(login.get(POOL + "/devices")) == {
        "account": ACCOUNT,
        "sequence": 10,
        "items": [
            {"imei": C, "upgrade": "none"},
            {
                "imei": B,
                "upgrade": "none",
                "assigned_at": "2017-11-29T16:03:43.000Z",
                "upgraded_at": "2017-11-29T16:03:46.000Z",
            },
            {"imei": A, "upgrade": "scheduled", "assigned_at": "2017-11-29T16:03:43.000Z"},
        ],
    }


def test_the_account_itself(play: Play, login: Login) -> None:
    play.play("policy open; resize 7; assign A; list A")

    assert told(login.get(POOL)) == {
        "account": ACCOUNT,
        "sequence": 6,
        "purchase_type": "MRC",
        "policy": "open",
        "active": True,
        "total": 7,
        "used": 1,
        "free": 6,
        "overhang": 0,
        "candidates": 1,
        "subscribed_at": "2017-11-29T16:03:44.000Z",
        "changed_at": "2017-11-29T16:03:46.000Z",
    }
    for version in ("v1", "v2", "v3"):
        assert told(login.get(f"/api/fota/{version}/subscriptions/{ACCOUNT}")) == {
            "accountName": ACCOUNT,
            "purchaseType": "TS-HFOTA-MRC",
            "licenseCount": 7,
            "licenseUsedCount": 1,
            "updateTime": "2017-11-29T16:03:44.000Z",
        }


def test_device_lists_page_by_page(small_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_module, "PAGE_SIZE_MAX", 4)
    account = small_world.add_account(devices=imeis(10))
    login = small_world.add_login(ACCOUNT)
    names = [f"{imei:015d}" for imei in imeis(10)]
    small_world.carry_out(account, Verb.ASSIGN, names[3:5])

    def through(path: str, cursor: str) -> list[str]:
        seen: list[str] = []
        while True:
            asked = (
                (path + cursor, "") if "/index/" in path else (path, f"lastSeenDeviceId={cursor}")
            )
            page = told(login.get(*asked))
            for device in page["deviceList"]:
                seen.append(device["deviceId"])
                assert device["licenseAssigned"] is (seen[-1] in names[3:5])
            if not page["hasMoreData"]:
                return seen
            cursor = str(page["lastSeenDeviceId"])

    assert through(f"/api/fota/v1/devices/{ACCOUNT}/index/", "0") == names
    assert through(f"/api/fota/v1/devices/{ACCOUNT}/index/", names[0]) == names[1:]
    assert through(f"/api/fota/v2/devices/{ACCOUNT}", "0") == names
    assert through(f"/api/fota/v3/devices/{ACCOUNT}", "") == names
    assert items_of(login.get(POOL + "/devices"))[0][0] == names[0]


# cursor            v1                                           v2 and v3
CURSORS = [
    ("10",          [],                                          "LastSeenDeviceId Not Valid"),
    ("11",          "Index exceeds number of devices in list",   "LastSeenDeviceId Not Valid"),
    ("x",           "Invalid device id format",                  "Invalid device id format"),
    ("1" * 16,      "Invalid device id format",                  "Invalid device id format"),
    (STRANGE,       "LastSeenDeviceId Not Valid",                "LastSeenDeviceId Not Valid"),
]  # fmt: skip


@pytest.mark.parametrize(("cursor", "v1", "others"), CURSORS)
def test_cursors_of_device_lists(small_world: World, cursor: str, v1: object, others: str) -> None:
    small_world.add_account(devices=imeis(10))
    login = small_world.add_login(ACCOUNT)

    first = login.get(f"/api/fota/v1/devices/{ACCOUNT}/index/{cursor}")
    assert (told(first)["deviceList"] if first.status == 200 else error_of(first)[2]) == v1
    for version in ("v2", "v3"):
        reply = login.get(f"/api/fota/{version}/devices/{ACCOUNT}", "lastSeenDeviceId=" + cursor)
        assert error_of(reply)[2] == others


def test_a_device_that_left_is_still_a_cursor_and_in_no_list(play: Play, login: Login) -> None:
    play.play("assign AB; leave B")

    page = told(login.get(f"/api/fota/v3/devices/{ACCOUNT}", f"lastSeenDeviceId={B}"))
    assert [device["deviceId"] for device in page["deviceList"]] == [A]
    page = told(login.get(f"/api/fota/v3/licenses/{ACCOUNT}", f"lastSeenDeviceId={B}"))
    assert [device["deviceId"] for device in page["deviceList"]] == [A]


def test_devices_by_name_are_told_in_the_order_asked(play: Play, login: Login) -> None:
    play.play("assign A")
    path = f"/api/fota/v3/devices/{ACCOUNT}"
    body = told(login.post(path, {"deviceList": [A, STRANGE, "x", B, A]}))

    assert body["deviceCount"] == 5
    assert [
        (item["deviceId"], item["requestStatus"], item.get("licenseAssigned"))
        for item in body["deviceList"]
    ] == [
        (A, "Success", True),
        (STRANGE, "Failure", None),
        ("x", "Failure", None),
        (B, "Success", False),
        (A, "Success", True),
    ]
    message = error_of(login.post(path, {"deviceList": [A] * 1001}))[2]
    assert message == "Device list exceeds 1000 devices"
    assert told(login.get(POOL + "/status"))["sequence"] == 3, "it only reads"


# --- upgrades of version 1 ---------------------------------------------------------------------


def make_upgrade(login: Login, *devices: str) -> dict[str, Any]:
    return told(
        login.post(
            UPGRADES,
            {
                "accountName": ACCOUNT,
                "firmwareName": "new",
                "firmwareTo": "2",
                "startDate": "2020-08-21",
                "endDate": "2020-08-22",
                "deviceList": list(devices),
            },
        )
    )


def test_the_life_of_an_upgrade(play: Play, login: Login) -> None:
    play.play("assign ABC")
    made = make_upgrade(login, A, B, STRANGE, A)
    path = f"{UPGRADES}/{ACCOUNT}/upgrade/{made['id']}"

    def stood() -> tuple[str, list[str]]:
        body = told(login.get(path))
        assert (body["id"], body["firmwareName"], body["firmwareTo"]) == (made["id"], "new", "2")
        return body["status"], [item["status"] for item in body["deviceList"]]

    def put(kind: str, *devices: str) -> list[str]:
        raw = json.dumps({"type": kind, "deviceList": devices}).encode()
        reply = play.world.ask("PUT", path, body=raw, headers=login.headers)
        return [item["status"] for item in told(reply)["deviceList"]]

    assert [item["status"] for item in made["deviceList"]] == [
        "RequestPending",
        "RequestPending",
        "RequestFailed",
        "RequestFailed",
    ]
    assert stood() == ("Queued", ["Device Accepted", "Device Accepted"])
    assert put("append", C, A, STRANGE) == ["AddDeviceSucceed", "RequestFailed", "RequestFailed"]
    assert stood() == ("Queued", ["Device Accepted"] * 3)
    assert put("remove", B, B) == ["RemoveDeviceSucceed", "RequestFailed"]
    assert stood() == ("Queued", ["Device Accepted", "RequestFailed", "Device Accepted"])
    play.play("start A")
    assert stood() == ("InProgress", ["InProgress", "RequestFailed", "Device Accepted"])
    assert put("remove", A) == ["RequestFailed"]
    play.play("finish A")
    assert stood() == ("Queued", ["Finished", "RequestFailed", "Device Accepted"])
    play.play("remove C")
    assert stood() == ("Finished", ["Finished", "RequestFailed", "RequestFailed"])
    assert put("append", B) == ["AddDeviceSucceed"]
    assert stood() == ("Queued", ["Finished", "RequestFailed", "Device Accepted"])
    deleted = play.world.ask("DELETE", path, headers=login.headers)
    assert told(deleted) == {"success": True}
    assert stood() == ("Finished", ["Finished", "RequestFailed", "RequestFailed"])
    assert [item["upgrade"] for item in told(login.get(POOL + "/devices"))["items"]] == ["none"] * 8


def test_an_upgrade_touches_no_other_upgrade(play: Play, login: Login) -> None:
    play.play("assign ABC; schedule C")
    first, second = make_upgrade(login, A), make_upgrade(login, B)
    path = f"{UPGRADES}/{ACCOUNT}/upgrade/{first['id']}"
    body = json.dumps({"type": "remove", "deviceList": [B, C]}).encode()
    reply = play.world.ask("PUT", path, body=body, headers=login.headers)

    assert [item["status"] for item in told(reply)["deviceList"]] == ["RequestFailed"] * 2
    play.world.ask("DELETE", path, headers=login.headers)
    other = told(login.get(f"{UPGRADES}/{ACCOUNT}/upgrade/{second['id']}"))
    assert other["status"] == "Queued"
    scheduled = [item["upgrade"] for item in told(login.get(POOL + "/devices"))["items"]]
    assert scheduled.count("scheduled") == 2


def test_a_device_that_leaves_ends_its_upgrade(play: Play, login: Login) -> None:
    play.play("assign ABC")
    made = make_upgrade(login, A, B, C)
    play.play("start AB; finish B; leave ABC")

    stood = told(login.get(f"{UPGRADES}/{ACCOUNT}/upgrade/{made['id']}"))
    assert [(item["status"], item["resultReason"]) for item in stood["deviceList"]] == [
        ("UpgradeFailed", "Upgrade failed."),
        ("Finished", "success"),
        ("RequestFailed", "Upgrade cancelled."),
    ]


def test_an_upgrade_with_nobody_in_it(login: Login) -> None:
    made = make_upgrade(login, A, STRANGE)
    assert [item["resultReason"] for item in made["deviceList"]] == [
        "No license attached to device",
        "Device does not exist.",
    ]
    stood = told(login.get(f"{UPGRADES}/{ACCOUNT}/upgrade/{made['id']}"))
    assert (stood["status"], stood["deviceList"]) == ("RequestFailed", [])


NOWHERE = f"{UPGRADES}/{ACCOUNT}/upgrade/6c9efc3c-3d1c-4d4a-9a2e-7c4f4f6ac001"
GOOD = {"accountName": ACCOUNT, "startDate": "2020-08-21", "deviceList": [A]}
# method, path                                     body                                         told
BAD_UPGRADES: list[tuple[str, str, object, str]] = [
    ("POST",   UPGRADES,                           b"",                                         "Input binding error"),
    ("POST",   UPGRADES,                           {**GOOD, "accountName": "a b"},              "Invalid account name format"),
    ("POST",   UPGRADES,                           {"deviceList": [A]},                         "Invalid account name format"),
    ("POST",   UPGRADES,                           {**GOOD, "accountName": 5},                  "Input binding error"),
    ("POST",   UPGRADES,                           {**GOOD, "accountName": "other"},            "The account does not exist, or this login may not see it."),
    ("POST",   UPGRADES,                           {**GOOD, "deviceList": []},                  "Device list is empty"),
    ("POST",   UPGRADES,                           {**GOOD, "startDate": "soon"},               "FotaPostUpgrades: invalid state date"),
    ("GET",    NOWHERE,                            b"",                                         "Invalid upgradeId"),
    ("PUT",    NOWHERE,                            {"type": "append", "deviceList": [A]},       "Invalid upgradeId"),
    ("PUT",    NOWHERE,                            {"type": "append", "deviceList": [A], "accountName": "other"}, ELSEWHERE),
    ("PUT",    NOWHERE,                            {"type": "append", "deviceList": [A], "accountName": 5}, "Input binding error"),
    ("DELETE", NOWHERE,                            b"",                                         "Invalid upgradeId"),
    ("GET",    f"{UPGRADES}/{ACCOUNT}/upgrade/xyz", b"",                                        "Invalid uuid"),
    ("PUT",    NOWHERE,                            {"type": "swap", "deviceList": [A]},         "type must be append or remove"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "message"), BAD_UPGRADES)
def test_bad_upgrades(login: Login, method: str, path: str, body: object, message: str) -> None:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    reply = login.world.ask(method, path, body=raw, headers=login.headers)

    assert (reply.status, error_of(reply)[2]) == (400, message)
    assert told(login.get(POOL + "/status"))["sequence"] == 2


# --- what is not offered -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", f"/api/fota/v3/licenses/{ACCOUNT}/cancel"),
        ("GET", f"/api/fota/v3/licenses/{ACCOUNT}/cancel"),
        ("POST", f"/api/fota/v2/campaigns/{ACCOUNT}"),
        ("POST", f"/api/fota/v3/campaigns/firmware/{ACCOUNT}"),
        ("GET", f"/api/fota/v1/reports/{ACCOUNT}/status/Queued/index/0"),
        ("GET", f"/api/fota/v2/software/{ACCOUNT}"),
        ("GET", f"/api/fota/v1/firmware/{ACCOUNT}"),
        ("GET", f"/api/fota/v1/callbacks/{ACCOUNT}"),
    ],
)
def test_campaigns_reports_software_and_callbacks_are_404(
    login: Login, method: str, path: str
) -> None:
    reply = login.world.ask(method, path, headers=login.headers)

    assert error_of(reply)[:2] == (404, "NOT_FOUND")
