"""Every operation through `Api`: the order of checks, who may what, and bad input."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from fotapool.api import ROUTES, Route
from fotapool.api.routes import RouteTable
from fotapool.model import Role, UpgradePlan, Verb
from world import ACCOUNT, Login, World, basic_of, error_of, header_of

A, B, FOREIGN, STRANGE = "990003425730524", "000000000000042", "990000473475967", "352906110000001"
OTHER = "0000999999-00009"


@dataclass
class Scene:
    """Two accounts, a login of each role for the first, and one for the other."""

    world: World
    logins: dict[Role, Login]
    foreign: Login


@pytest.fixture
def scene(small_world: World) -> Scene:
    world = small_world
    world.add_account(licenses=3, devices=[int(A), int(B)])
    world.add_account(OTHER, licenses=3, devices=[int(FOREIGN)])
    logins = {role: world.add_login(ACCOUNT, role=role) for role in Role}
    return Scene(world, logins, world.add_login(OTHER, role=Role.ADMIN))


@pytest.fixture
def operator(scene: Scene) -> Login:
    return scene.logins[Role.OPERATOR]


def licensing(route: Route) -> bool:
    return route.role is not None


UPGRADE = "6c9efc3c-3d1c-4d4a-9a2e-7c4f4f6ac001"


@pytest.fixture
def lived(scene: Scene) -> Scene:
    """The scene, with something there for every operation: change 3, an upgrade."""
    account = scene.world.store.read(lambda directory: directory.find_account(ACCOUNT))
    assert account is not None
    scene.world.carry_out(account, Verb.ASSIGN, [B])
    plan = UpgradePlan(UUID(UPGRADE).bytes, start_date="2020-08-21")
    scene.world.carry_out(account, Verb.SCHEDULE, [B], upgrade=plan)
    return scene


def path_of(route: Route, account: str = ACCOUNT) -> str:
    named = {"cursor": "0", "sequence": "1", "imei": A, "index": "0", "upgrade": UPGRADE}
    return route.path.format(account=account, **named)


def body_of(route: Route, account: str = ACCOUNT) -> dict[str, object]:
    """A good body for an operation."""
    verb = route.path.rpartition("/")[2]
    if route.path.endswith("/v1/upgrades"):
        return {"accountName": account, "startDate": "2020-08-21", "deviceList": [A]}
    if route.method == "PUT":
        return {"type": "remove", "deviceList": [A]}
    if not route.own:
        return {"deviceList": [A]}
    bodies: dict[str, dict[str, object]] = {
        "resize": {"total": 2},
        "undo": {"change": 3},
        "clear": {},
    }
    return bodies.get(verb, {"imeis": [A]})


def ask(route: Route, login: Login | None, account: str = ACCOUNT, **headers: str) -> Any:
    sent = (login.headers if login else {}) | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    world = login.world if login else headers
    bodied = route.method in ("POST", "PUT")
    body = json.dumps(body_of(route, account)).encode() if bodied else b""
    query = "sequence=1" if route.path.endswith("/as-of") else ""
    assert isinstance(world, World)
    return world.ask(route.method, path_of(route, account), query=query, body=body, headers=sent)


LICENSE_ROUTES = [
    pytest.param(route, id=f"{route.method} {route.path}") for route in ROUTES if licensing(route)
]


# --- finding the row ---------------------------------------------------------------------------

STRANGE_PATHS = [
    "",
    "/",
    "/api",
    "/api/fota/v3/licenses",
    "/api/fota/v3/licenses//assign",
    "/api/fota/v3/licenses/a/b/assign",
    "/api/fota/v3/licenses/a/assign/",
    "/api/fota/v3/licenses/a\n/assign",
    "/api/fota/v3/licenses/a/index/",
    "/api/fota/v3/licenses/a/index/assign",
    "/api/fota/v1//licenses/a/cancel",
    "/api/fotapool/v1/accounts/a/devices/register",
    "/api/fotapool/v1/accounts/a/devices/register/history",
    "/api/fotapool/v1/accounts/a/devices//history",
    "/api/fotapool/v1/accounts/a/changes/changes",
]


def test_the_row_found_is_the_first_that_fits() -> None:
    """As trying every row in its order would find it."""
    known = {path_of(route, "a") for route in ROUTES}
    # Every word at the end of every path, also where an account, an index or an id stands.
    words = {path.rpartition("/")[2] for path in known}
    paths = {f"{path.rpartition('/')[0]}/{word}" for path in known for word in words}
    paths.update(STRANGE_PATHS)
    methods = {route.method for route in ROUTES} | {"HEAD", "PATCH"}
    table = RouteTable(ROUTES)
    for method, path in itertools.product(methods, paths):
        tried = (
            (route, match.groupdict())
            for route in ROUTES
            if route.method == method and (match := route.pattern.fullmatch(path))
        )
        assert table.find(method, path) == next(tried, None), (method, path)


def test_few_rows_are_tried() -> None:
    assert max(map(len, RouteTable(ROUTES)._rows.values())) <= len(ROUTES) // 6


# --- who may what ------------------------------------------------------------------------------


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("route", LICENSE_ROUTES)
def test_a_role_may_what_its_row_says_in_its_own_account(
    lived: Scene, route: Route, role: Role
) -> None:
    reply = ask(route, lived.logins[role])

    assert route.role is not None
    if role >= route.role:
        assert reply.status == 200
    else:
        assert error_of(reply)[:2] == (403 if route.own else 400, "INVALID_ACCESS")
        status = lived.logins[Role.VIEWER].get(f"/api/fota/v3/licenses/{ACCOUNT}")
        assert header_of(status, "Fotapool-Sequence") == "4"


@pytest.mark.parametrize("account", [OTHER, "never-made"])
@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("route", LICENSE_ROUTES)
def test_an_account_out_of_reach_answers_the_same_whether_or_not_it_exists(
    scene: Scene, route: Route, role: Role, account: str
) -> None:
    assert error_of(ask(route, scene.logins[role], account)) == (
        400,
        "UnifiedWebService.REQUEST_FAILED.AccountNotFound",
        "The account does not exist, or this login may not see it.",
    )


@pytest.mark.parametrize("route", LICENSE_ROUTES)
def test_both_tokens_are_needed_and_must_belong_together(lived: Scene, route: Route) -> None:
    mine, other = lived.logins[Role.ADMIN], lived.foreign

    for bearer, code in [
        ("", "900902"),
        ("Basic eA==", "900902"),
        ("Bearer", "900902"),
        ("Bearer wrong", "900901"),
    ]:
        reply = ask(route, mine, authorization=bearer)
        assert reply.status == 401
        assert json.loads(reply.body)["fault"]["code"] == code
        assert header_of(reply, "WWW-Authenticate") == "Bearer"
    for session in ("", "wrong", other.session):
        reply = ask(route, mine, vz_m2m_token=session)
        if route.own:
            assert reply.status == 200, "our own paths need no session, and look at none"
            continue
        assert error_of(reply)[:2] == (400, "UnifiedWebService.INPUT_INVALID.SessionToken.Invalid")
    assert error_of(ask(route, other, vz_m2m_token=mine.session))[0] == 400


def test_the_gateways_description_names_the_family_and_version(scene: Scene) -> None:
    reply = scene.world.ask("GET", f"/api/fota/v2/licenses/{ACCOUNT}")

    assert json.loads(reply.body) == {
        "fault": {
            "code": "900902",
            "message": "Missing Credentials",
            "description": "Access failure for API: /fota/v2, version: v2.",
        }
    }


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_of_a_bearer_is_read_in_any_case(operator: Login, scheme: str) -> None:
    headers = operator.headers | {"authorization": f"{scheme} {operator.bearer}"}

    assert (
        operator.world.ask("GET", f"/api/fota/v3/licenses/{ACCOUNT}", headers=headers).status == 200
    )


def test_checks_come_in_their_documented_order(scene: Scene) -> None:
    """Each request is wrong from one check on; the first wrong thing is what it is told."""
    viewer, path = scene.logins[Role.VIEWER], "/api/fota/v3/licenses/{}/assign"
    wrong_body = b"{"
    told = [
        scene.world.ask(
            "POST", path.format("a%20b"), body=wrong_body, headers={"vz-m2m-token": "x"}
        ),
        scene.world.ask(
            "POST",
            path.format("a%20b"),
            body=wrong_body,
            headers=viewer.headers | {"vz-m2m-token": "x"},
        ),
        viewer.post(path.format("a%20b"), wrong_body),
        viewer.post(path.format(OTHER), wrong_body),
        viewer.post(path.format(ACCOUNT), wrong_body),
        scene.logins[Role.OPERATOR].post(path.format(ACCOUNT), wrong_body),
    ]

    assert json.loads(told[0].body)["fault"]["code"] == "900902"
    assert [json.loads(reply.body)["errorCode"].rpartition(".")[2] for reply in told[1:]] == [
        "Invalid",
        "INVALID_PARAMETER",
        "AccountNotFound",
        "INVALID_ACCESS",
        "INVALID_PARAMETER",
    ]


# --- the operations ----------------------------------------------------------------------------


def test_writes_tell_their_change_and_reads_their_sequence(operator: Login) -> None:
    path = f"/api/fota/v3/licenses/{ACCOUNT}"

    assert header_of(operator.post(path + "/assign", {"deviceList": [A]}), "Fotapool-Change") == "3"
    assert (
        header_of(operator.post(path + "/assign", {"deviceList": ["x"]}), "Fotapool-Change") == "4"
    )
    assert header_of(operator.get(path), "Fotapool-Sequence") == "4"
    assert operator.post(path + "/assign", {"deviceList": []}).status == 400
    assert header_of(operator.get(path), "Fotapool-Sequence") == "4"


def test_the_three_versions_share_one_pool(operator: Login) -> None:
    operator.post(f"/api/fota/v1//licenses/{ACCOUNT}/assign", {"deviceList": [A]})
    operator.post(
        f"/api/fota/v2/licenses/{ACCOUNT}/assign", {"devceList": [B], "accountName": ACCOUNT}
    )
    removed = operator.post(f"/api/fota/v3/firmware/licenses/{ACCOUNT}/remove", {"DeviceList": [A]})

    assert json.loads(removed.body)["licUsedCount"] == 1
    for version in ("v1", "v2", "v3"):
        page = json.loads(operator.get(f"/api/fota/{version}/licenses/{ACCOUNT}").body)
        assert [device["deviceId"] for device in page["deviceList"]] == [B]
        assert (page["totalLicenses"], page["assignedLicenses"]) == (3, 1)


@pytest.mark.parametrize(
    ("version", "suffix", "query", "devices", "last"),
    [
        ("v1", "", "", [B, A], 0),
        ("v1", "/index/0", "", [B, A], 0),
        ("v1", "/index/1", "", [A], 0),
        ("v1", "/index/2", "", [], 0),
        ("v1", f"/index/{B}", "", [A], 0),
        ("v2", "", "", [B, A], A),
        ("v2", "", "lastSeenDeviceId=", [B, A], A),
        ("v2", "", "lastSeenDeviceId=0", [B, A], A),
        ("v2", "", "lastSeenDeviceId=42", [A], A),
        ("v2", "/index/0", "", [B, A], A),
        ("v2", f"/index/{B}", "", [A], A),
        ("v3", "", f"lastSeenDeviceId={B}", [A], A),
        ("v3", "", f"lastSeenDeviceId={A}", [], A),
        ("v3", f"/index/{A}", "", [], A),
        ("v3", f"/index/{B}", f"lastSeenDeviceId={A}", [A], A),
    ],
)
def test_status_in_all_its_shapes(
    operator: Login, version: str, suffix: str, query: str, devices: list[str], last: object
) -> None:
    operator.post(f"/api/fota/v3/licenses/{ACCOUNT}/assign", {"deviceList": [A, B]})

    page = json.loads(operator.get(f"/api/fota/{version}/licenses/{ACCOUNT}{suffix}", query).body)

    assert [device["deviceId"] for device in page["deviceList"]] == devices
    assert (page["lastSeenDeviceId"], page["hasMoreData"]) == (last, False)


def test_paging_reaches_every_device_once_in_each_version(scene: Scene) -> None:
    world = scene.world
    devices = [f"{imei:015d}" for imei in range(0, 2500 * 7, 7)]
    world.add_account("big", licenses=2500, devices=list(map(int, devices)))
    login = world.add_login("big")
    login.post("/api/fota/v3/licenses/big/assign", {"deviceList": devices})

    for version, start in (("v1", "0"), ("v1", devices[0]), ("v2", "0"), ("v3", "0")):
        seen: list[str] = []
        cursor, more = start, True
        while more:
            page = json.loads(login.get(f"/api/fota/{version}/licenses/big/index/{cursor}").body)
            seen += [device["deviceId"] for device in page["deviceList"]]
            cursor, more = str(page["lastSeenDeviceId"]), page["hasMoreData"]
        assert seen == (devices if start == "0" else devices[1:])


@pytest.mark.parametrize(
    "route",
    [route for route in ROUTES if route.successor],
    ids=lambda route: f"{route.method} {route.path}",
)
def test_deprecated_operations_say_so_on_every_answer(lived: Scene, route: Route) -> None:
    verb = route.path.rpartition("/")[2]
    successor = f"/api/fota/v3/licenses/{ACCOUNT}/{verb}"
    if "/cancel" in route.path:
        below = {"GET": "", "POST": "/replace", "DELETE": "/clear"}[route.method]
        successor = f"/api/fotapool/v1/accounts/{ACCOUNT}/candidates{below}"
    for login, status in ((lived.logins[Role.OPERATOR], 200), (lived.foreign, 400)):
        reply = ask(route, login)
        assert reply.status == status
        assert header_of(reply, "Deprecation") == "@1672531200"
        assert header_of(reply, "Link") == f'<{successor}>; rel="successor-version"'


def test_other_operations_are_not_deprecated(operator: Login) -> None:
    assert {route.path.split("/")[3] for route in ROUTES if route.successor} == {"v1", "v2"}
    assert header_of(operator.get(f"/api/fota/v2/licenses/{ACCOUNT}"), "Deprecation") is None


# --- bad input ---------------------------------------------------------------------------------

PARAMETER = "INVALID_PARAMETER"
# body                                                 told
BAD_BODIES: list[tuple[object, str]] = [
    (b"",                                              "Input binding error"),
    (b"{}",                                            "Device list is empty"),
    (b"not json",                                      "Input binding error"),
    ({"devices": [A]},                                 "Device list is empty"),
    ({"deviceList": None},                             "Device list is empty"),
    ({"deviceList": A},                                "Device list is empty"),
    ({"deviceList": [int(A)]},                         "Input binding error"),
    ({"deviceList": [[A]]},                            "Input binding error"),
    ({"deviceList": [{"deviceId": A}]},                "Input binding error"),
    ({"deviceList": [A] * 10_001},                     "Device list exceeds 10000 devices"),
    ({"deviceList": ["9" * 65]},                       "Input binding error"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "message"), BAD_BODIES, ids=range(len(BAD_BODIES)))
@pytest.mark.parametrize("version", ["v1", "v2", "v3"])
@pytest.mark.parametrize("verb", ["assign", "remove"])
def test_a_bad_body_changes_nothing(
    operator: Login, version: str, verb: str, body: object, message: str
) -> None:
    reply = operator.post(f"/api/fota/{version}/licenses/{ACCOUNT}/{verb}", body)

    assert error_of(reply) == (400, PARAMETER, message)
    assert header_of(operator.get(f"/api/fota/v3/licenses/{ACCOUNT}"), "Fotapool-Sequence") == "2"


# item                          reason of its refusal
BAD_ITEMS = [
    ("٩٩٠٠٠٣٤٢٥٧٣٠٥٢٤",         "Invalid Device IMEI."),
    ("99000342573052",          "Invalid Device IMEI."),
    ("9900034257305240",        "Invalid Device IMEI."),
    (f"{A},{B}",                "Invalid Device IMEI."),
    (f"{A}\n",                  "Invalid Device IMEI."),
    ("",                        "Invalid Device IMEI."),
    ('"; DROP TABLE license',   "Invalid Device IMEI."),
    (STRANGE,                   "Device does not exist."),
    (FOREIGN,                   "Device does not exist."),
]  # fmt: skip


@pytest.mark.parametrize(("item", "reason"), BAD_ITEMS, ids=range(len(BAD_ITEMS)))
def test_a_bad_item_is_refused_for_itself_and_echoed_unchanged(
    operator: Login, item: str, reason: str
) -> None:
    reply = json.loads(
        operator.post(
            f"/api/fota/v3/licenses/{ACCOUNT}/assign", {"deviceList": [item, B, item, B]}
        ).body
    )

    assert [device["deviceId"] for device in reply["deviceList"]] == [item, B, item, B]
    assert [device["Reason"] for device in reply["deviceList"]] == [
        reason,
        "Success",
        reason,
        "Device license preexisting",
    ]
    assert reply["licUsedCount"] == 1


def test_ten_thousand_items_are_taken(operator: Login) -> None:
    reply = operator.post(f"/api/fota/v3/licenses/{ACCOUNT}/assign", {"deviceList": [A] * 10_000})

    assert json.loads(reply.body)["licUsedCount"] == 1


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a%2Fb", (400, PARAMETER, "Invalid account name format")),
        ("a%20b", (400, PARAMETER, "Invalid account name format")),
        ("%22", (400, PARAMETER, "Invalid account name format")),
        ("%27%20OR%201=1", (400, PARAMETER, "Invalid account name format")),
        ("%00", (400, PARAMETER, "Invalid account name format")),
        ("%FF", (400, PARAMETER, "Invalid account name format")),
        ("x" * 65, (400, PARAMETER, "Invalid account name format")),
        ("x" * 10_000, (400, PARAMETER, "Invalid account name format")),
        ("a/b", (404, "NOT_FOUND", "No such path.")),
        ("..", (400, PARAMETER, "Invalid account name format")),
        (ACCOUNT.replace("0", "%30"), None),
    ],
)
def test_account_names(operator: Login, name: str, expected: tuple[int, str, str] | None) -> None:
    reply = operator.get(f"/api/fota/v3/licenses/{name}")

    if expected is None:
        assert reply.status == 200
    else:
        assert error_of(reply) == expected


# cursor                  v1                                          v2, v3
BAD_CURSORS = [
    ("x",                 "Invalid device id format",                 "Invalid device id format"),
    ("9900034257305240",  "Invalid device id format",                 "Invalid device id format"),
    ("15-digit%20IMEI",   "Invalid device id format",                 "Invalid device id format"),
    ("-1",                "Invalid device id format",                 "Invalid device id format"),
    (STRANGE,             "LastSeenDeviceId Not Valid",               "LastSeenDeviceId Not Valid"),
    (FOREIGN,             "LastSeenDeviceId Not Valid",               "LastSeenDeviceId Not Valid"),
    ("1000",              "Index exceeds number of devices in list",  "LastSeenDeviceId Not Valid"),
    ("99999999999999",    "Index exceeds number of devices in list",  "LastSeenDeviceId Not Valid"),
]  # fmt: skip


@pytest.mark.parametrize(("cursor", "first", "later"), BAD_CURSORS)
def test_bad_cursors(operator: Login, cursor: str, first: str, later: str) -> None:
    for version, message in (("v1", first), ("v2", later), ("v3", later)):
        assert error_of(operator.get(f"/api/fota/{version}/licenses/{ACCOUNT}/index/{cursor}")) == (
            400,
            PARAMETER,
            message,
        )
        if version != "v1":
            assert error_of(
                operator.get(
                    f"/api/fota/{version}/licenses/{ACCOUNT}", f"lastSeenDeviceId={cursor}"
                )
            ) == (400, PARAMETER, message)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/api",
        "/api/fota/v3/licenses",
        "/api/fota/v4/licenses/x",
        "/api/fota/v3/licenses/x/",
        "/api/fota/v3/licenses/x/cancel",
        "/api/fota/v3//licenses/x",
        "/API/fota/v3/licenses/x",
        "/etc/passwd",
    ],
)
def test_unknown_paths(operator: Login, path: str) -> None:
    assert error_of(operator.get(path)) == (404, "NOT_FOUND", "No such path.")


# --- idempotency keys --------------------------------------------------------------------------

LISTS = [[A], [A, "x", A, STRANGE, "ä,b"], [f"{imei:015d}" for imei in range(20)]]


@pytest.mark.parametrize("devices", LISTS, ids=["one", "all kinds", "many"])
@pytest.mark.parametrize("verb", ["assign", "remove"])
@pytest.mark.parametrize("version", ["v1", "v2", "v3"])
def test_a_replay_is_the_first_answer_to_the_byte(
    scene: Scene, operator: Login, version: str, verb: str, devices: list[str]
) -> None:
    path = f"/api/fota/{version}/licenses/{ACCOUNT}/{verb}"
    body = {"deviceList": devices}
    first = operator.post(path, body, idempotency_key="k")
    operator.post(f"/api/fota/v3/licenses/{ACCOUNT}/assign", {"deviceList": [B]})
    scene.world.clock.advance(minutes=7)
    sequence = header_of(operator.get(f"/api/fota/v3/licenses/{ACCOUNT}"), "Fotapool-Sequence")

    again = operator.post(path, body, idempotency_key="k")

    assert (again.status, again.body) == (first.status, first.body) == (200, again.body)
    assert header_of(first, "Idempotency-Replayed") is None
    assert header_of(again, "Idempotency-Replayed") == "true"
    kept = [name for name, _ in first.headers]
    assert [pair for pair in again.headers if pair[0] in kept] == list(first.headers)
    after = operator.get(f"/api/fota/v3/licenses/{ACCOUNT}")
    assert header_of(after, "Fotapool-Sequence") == sequence


# what is asked the second time             answer
OTHERS = [
    ("v3", "assign", [A],      "",           200),
    ("v3", "assign", [B],      "",           422),
    ("v3", "assign", [A, A],   "",           422),
    ("v3", "remove", [A],      "",           422),
    ("v2", "assign", [A],      "",           422),
    ("v3", "assign", [A],      "x=1",        422),
]  # fmt: skip


@pytest.mark.parametrize(("version", "verb", "devices", "query", "status"), OTHERS)
def test_a_key_is_for_one_request(
    operator: Login, version: str, verb: str, devices: list[str], query: str, status: int
) -> None:
    assign = f"/api/fota/v3/licenses/{ACCOUNT}/assign"
    operator.post(assign, {"deviceList": [A]}, idempotency_key="k")

    path = f"/api/fota/{version}/licenses/{ACCOUNT}/{verb}"
    again = operator.post(path, {"deviceList": devices}, query=query, idempotency_key="k")

    assert again.status == status
    if status == 422:
        assert error_of(again)[1] == "IDEMPOTENCY_KEY_REUSED"
        assert (
            header_of(operator.get(f"/api/fota/v3/licenses/{ACCOUNT}"), "Fotapool-Sequence") == "3"
        )


@pytest.mark.parametrize(
    ("key", "status"),
    [
        ("k", 200),
        (" ", 200),
        ("~" * 128, 200),
        ("", 400),
        ("k" * 129, 400),
        ("ä", 400),
        ("a\tb", 400),
        ("\x7f", 400),
    ],
)
def test_what_a_key_may_be(operator: Login, key: str, status: int) -> None:
    path = f"/api/fota/v3/licenses/{ACCOUNT}/assign"
    reply = operator.post(path, {"deviceList": [A]}, idempotency_key=key)

    assert reply.status == status
    if status == 400:
        assert error_of(reply)[1] == "IDEMPOTENCY_KEY_INVALID"


def test_a_refused_request_leaves_its_key_unused(operator: Login) -> None:
    path = f"/api/fota/v3/licenses/{ACCOUNT}/assign"
    assert operator.post(path, {"deviceList": [5]}, idempotency_key="k").status == 400
    good = operator.post(path, {"deviceList": [A]}, idempotency_key="k")

    assert (good.status, header_of(good, "Idempotency-Replayed")) == (200, None)


def test_a_replay_needs_the_rights_of_today(scene: Scene, operator: Login) -> None:
    path = f"/api/fota/v3/licenses/{ACCOUNT}/assign"
    operator.post(path, {"deviceList": [A]}, idempotency_key="k")

    def again(login: Login) -> tuple[int, str | None]:
        reply = login.post(path, {"deviceList": [A]}, idempotency_key="k")
        return reply.status, header_of(reply, "Idempotency-Replayed")

    assert again(scene.logins[Role.VIEWER]) == (400, None)
    assert again(scene.foreign) == (400, None)
    assert again(scene.logins[Role.ADMIN]) == (200, "true")
    scene.world.store.write(
        lambda tx: tx.connection.write("UPDATE account SET active = 0")
    ).result()
    assert again(operator) == (200, "true")
    scene.world.credentials.revoke(operator.secrets.username)
    scene.world.auth.forget()
    assert again(operator) == (401, None)


@pytest.mark.parametrize("version", ["v1", "v2", "v3"])
def test_an_empty_account_name_is_a_wrong_name(operator: Login, version: str) -> None:
    below = f"/api/fota/{version}/licenses/"

    for reply in (operator.get(below), operator.post(below + "/assign", {"deviceList": [A]})):
        assert error_of(reply) == (400, "INVALID_PARAMETER", "Invalid account name format")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", f"/api/fota/v3/licenses/{ACCOUNT}", "GET"),
        ("GET", f"/api/fota/v3/licenses/{ACCOUNT}/assign", "POST"),
        ("DELETE", f"/api/fota/v2/licenses/{ACCOUNT}/remove", "POST"),
        ("HEAD", f"/api/fota/v1/licenses/{ACCOUNT}/index/0", "GET"),
        ("GET", "/api/ts/v1/oauth2/token", "POST"),
    ],
)
def test_wrong_methods(operator: Login, method: str, path: str, allowed: str) -> None:
    reply = operator.world.ask(method, path, headers=operator.headers)

    assert error_of(reply)[:2] == (405, "METHOD_NOT_ALLOWED")
    assert header_of(reply, "Allow") == allowed


# --- tokens on the wire ------------------------------------------------------------------------


def test_the_life_of_both_tokens(small_world: World) -> None:
    world = small_world
    world.add_account()
    secrets = world.credentials.create([ACCOUNT])
    form = b"grant_type=client_credentials"

    issued = world.ask("POST", "/api/ts/v1/oauth2/token", body=form, headers=basic_of(secrets))
    token = json.loads(issued.body)
    assert (token["token_type"], token["expires_in"], header_of(issued, "Cache-Control")) == (
        "Bearer",
        3600,
        "no-store",
    )

    bearer = {"authorization": f"Bearer {token['access_token']}"}
    login = json.dumps({"username": secrets.username, "password": secrets.password}).encode()
    session = json.loads(
        world.ask("POST", "/api/m2m/v1/session/login", body=login, headers=bearer).body
    )["sessionToken"]
    both = bearer | {"vz-m2m-token": session}
    assert world.ask("GET", f"/api/fota/v3/licenses/{ACCOUNT}", headers=both).status == 200

    assert json.loads(world.ask("POST", "/api/m2m/v1/session/logout", headers=both).body) == {
        "sessionToken": session
    }
    assert error_of(world.ask("GET", f"/api/fota/v3/licenses/{ACCOUNT}", headers=both))[0] == 400

    revoke = form + b"&token=" + token["access_token"].encode()
    revoked = world.ask("POST", "/api/ts/v1/oauth2/revoke", body=revoke, headers=basic_of(secrets))
    assert (revoked.status, revoked.body, header_of(revoked, "RevokedAccessToken")) == (
        200,
        b"",
        token["access_token"],
    )
    assert world.ask("GET", f"/api/fota/v3/licenses/{ACCOUNT}", headers=both).status == 401


def test_a_scope_is_accepted_and_echoed(small_world: World) -> None:
    small_world.add_account()
    secrets = small_world.credentials.create([ACCOUNT])

    reply = small_world.ask(
        "POST",
        "/api/ts/v1/oauth2/token",
        body=b"grant_type=client_credentials&scope=read+ts.application.ro",
        headers=basic_of(secrets),
    )

    assert json.loads(reply.body)["scope"] == "read ts.application.ro"


def test_token_calls_that_go_wrong(small_world: World) -> None:
    world = small_world
    world.add_account()
    secrets = world.credentials.create([ACCOUNT])
    path, form = "/api/ts/v1/oauth2/token", b"grant_type=client_credentials"

    missing = world.ask("POST", path, body=form)
    assert (
        missing.status,
        json.loads(missing.body)["fault"]["code"],
        header_of(missing, "WWW-Authenticate"),
    ) == (401, "900902", "Basic")
    wrong = world.ask("POST", path, body=form, headers={"authorization": "Basic None"})
    assert (wrong.status, json.loads(wrong.body)["error"]) == (401, "invalid_client")
    bare = world.ask("POST", path, headers=basic_of(secrets))
    assert (bare.status, json.loads(bare.body)) == (
        400,
        {"error": "invalid_request", "error_description": "Missing grant_type parameter value"},
    )
    header_injection = world.ask(
        "POST", "/api/ts/v1/oauth2/revoke", body=b"token=a%0d%0aX: y", headers=basic_of(secrets)
    )
    assert (header_injection.status, header_of(header_injection, "RevokedAccessToken")) == (
        200,
        None,
    )


def test_login_calls_that_go_wrong(operator: Login) -> None:
    path, bearer = "/api/m2m/v1/session/login", {"authorization": f"Bearer {operator.bearer}"}

    assert operator.world.ask("POST", path, body=b"{}").status == 401
    assert (
        error_of(operator.world.ask("POST", path, body=b"{}", headers=bearer))[2]
        == "Input binding error"
    )
    wrong = json.dumps({"username": operator.secrets.username, "password": "wrong"}).encode()
    assert (
        error_of(operator.world.ask("POST", path, body=wrong, headers=bearer))[1]
        == "UnifiedWebService.INPUT_INVALID.Password.Invalid"
    )


def test_tokens_that_died_of_age(operator: Login) -> None:
    operator.world.clock.advance(minutes=21, seconds=1)
    assert (
        error_of(operator.get(f"/api/fota/v3/licenses/{ACCOUNT}"))[1]
        == "UnifiedWebService.REQUEST_FAILED.SessionToken.Expired"
    )
    operator.world.clock.advance(minutes=40)
    assert operator.get(f"/api/fota/v3/licenses/{ACCOUNT}").status == 401


def test_the_ledger_knows_who_did_it(operator: Login) -> None:
    operator.post(f"/api/fota/v3/licenses/{ACCOUNT}/assign", {"deviceList": [A]})

    rows = operator.world.store.read(
        lambda snapshot: snapshot.connection.rows(
            "SELECT actor, verb FROM change ORDER BY sequence DESC LIMIT 1"
        )
    )
    assert list(rows) == [(operator.secrets.name, 3)]


@pytest.mark.sqlite
def test_a_store_that_cannot_is_503_with_retry_after(operator: Login) -> None:
    operator.world.sqlite._writer.execute("PRAGMA query_only = 1")

    reply = operator.post(f"/api/fota/v3/licenses/{ACCOUNT}/assign", {"deviceList": [A]})

    assert error_of(reply)[:2] == (503, "SERVICE_UNAVAILABLE")
    assert header_of(reply, "Retry-After") == "1"
    operator.world.sqlite._writer.execute("PRAGMA query_only = 0")
    assert (
        operator.post(f"/api/fota/v3/licenses/{ACCOUNT}/assign", {"deviceList": [A]}).status == 200
    )
