"""Every fault: on the wire, through both doors, and what the official SDK makes of it.

What our own clients make of it is in test_client_faults.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from fotapool import (
    ApiError,
    Client,
    ConfigurationError,
    ConnectionFailed,
    HttpRequest,
    Outcome,
    Response,
    TimedOut,
    Transport,
)
from fotapool.client import Urllib3Transport
from fotapool.ledger.verify import verify
from fotapool.testing import FAULTS, Account, Emulator, Fault, Faults, Live, Scenario
from fotapool.testing.faults import ConnectionCut
from official import imeis_of, official_client

Arm = Callable[[Faults], Any]

PAGES = Scenario(accounts=(Account(licenses=3000, devices=2500, licensed=2500),))
SMALL = Scenario(accounts=(Account(licenses=10, devices=10, licensed=2),))
A, B, C, D, E, F = (f"{990003425730500 + at}" for at in range(6))
ACCOUNT = "0000123456-00001"


def fault_of(arm: Arm) -> Fault:
    """The fault that a lambda arms."""
    faults = Faults()
    arm(faults)
    (armed,) = faults
    return armed.fault


def word_of(arm: Arm) -> str:
    return fault_of(arm).word()


# --- on the wire -------------------------------------------------------------------------------


class Door:
    """Sends requests with ready tokens, and says in a line what came back."""

    def __init__(self, emulator: Emulator, transport: Transport, origin: str) -> None:
        self._transport = transport
        self._origin = origin
        with emulator.new_client() as client:
            tokens = client._tokens.get(session=True)
        self._headers = {
            "Authorization": f"Bearer {tokens['bearer']}",
            "VZ-M2M-Token": tokens["session"],
        }
        emulator.requests.clear()

    def send(self, method: str, path: str, body: object = None, timeout_s: float = 60) -> Response:
        raw = None if body is None else json.dumps(body).encode()
        url = f"{self._origin}/api/fota/v3/licenses/{ACCOUNT}{path}"
        return self._transport.send(HttpRequest(method, url, self._headers, raw), timeout_s)

    def seen(self, call: str, timeout_s: float = 60) -> str:
        try:
            if call.startswith("status"):
                return told(self.send("GET", call.removeprefix("status"), timeout_s=timeout_s))
            verb, *imeis = call.split()
            return told(self.send("POST", f"/{verb}", {"deviceList": imeis}, timeout_s))
        except TimedOut:
            return "no answer in time"
        except ConnectionFailed as error:
            return "broke" if error.sent else "not sent"


def told(answer: Response) -> str:
    """Status and what matters of the rest."""
    retry = {k: v for k, v in answer.headers.items() if k.startswith("retry-after")}
    shown = [f"{k}={v}" for k, v in retry.items()]
    if "html" in answer.headers["content-type"]:
        return f"{answer.status_code} html"
    try:
        body = json.loads(answer.body)
    except ValueError:
        return " ".join([str(answer.status_code), "no json"])
    shown += [body["errorCode"].rpartition(".")[2]] if "errorCode" in body else []
    shown += [body["fault"]["code"]] if "fault" in body else []
    shown += [item["resultReason"] for item in body.get("deviceList", []) if "status" in item]
    return " ".join([str(answer.status_code), *shown])


@contextmanager
def opened(door: str, request: pytest.FixtureRequest) -> Iterator[tuple[Emulator, Door]]:
    if door == "in process":
        emulator: Emulator = request.getfixturevalue("fota")
        yield emulator, Door(emulator, emulator.transport, "http://any")
    else:
        live: Live = request.getfixturevalue("fota_live")
        transport = Urllib3Transport()
        yield live.emulator, Door(live.emulator, transport, live.base_url)
        transport.close()


NONE_LEFT = "No available license"
UNKNOWN = "Device does not exist."
# armed                                                     asked               seen
ON_THE_WIRE: list[tuple[Arm, str, str]] = [
    (lambda f: f.pool_exhausted(after=1),                   f"assign {C} {A} {D} {E}", f"200 Success Device license preexisting {NONE_LEFT} {NONE_LEFT}"),
    (lambda f: f.devices_refused([D]),                      f"assign {C} {D}",  f"200 Success {UNKNOWN}"),
    (lambda f: f.devices_refused(every=2),                  f"assign {C} {D} {E} {F}", f"200 Success {UNKNOWN} Success {UNKNOWN}"),
    (lambda f: f.devices_refused([A], outcome="upgraded"),  f"remove {A} {B}",  "200 License removal not allowed for devices that have ever upgraded firmware. Success"),
    (lambda f: f.devices_refused([A], reason="Internal error."), f"remove {A} {B}", "200 Internal error. Success"),
    (lambda f: f.devices_refused([C], outcome="no_free_license"), f"assign {C} {D}", f"200 {NONE_LEFT} Success"),
    (lambda f: f.session_expired(),                         "status",           "400 Expired"),
    (lambda f: f.token_revoked(),                           "status",           "401 900901"),
    (lambda f: f.keys_ignored(times=1),                     f"assign {C} {D}",  "200 Success Success"),
    (lambda f: f.json_malformed(),                          "status",           "200 no json"),
    (lambda f: f.answer_lost(),                             f"assign {C}",      "broke"),
    (lambda f: f.connection_cut(),                          f"assign {C}",      "broke"),
    (lambda f: f.connection_cut("within"),                  f"assign {C}",      "broke"),
    (lambda f: f.answer_delayed(60),                        f"assign {C}",      "no answer in time"),
    (lambda f: f.answer_delayed(0.1),                       f"assign {C}",      "200 Success"),
    (lambda f: f.slow_drip(0.1),                            f"assign {C}",      "200 Success"),
    (lambda f: f.too_many_requests(),                       f"assign {C}",      "429 retry-after=1 TOO_MANY_REQUESTS"),
    (lambda f: f.too_many_requests(2.5, "milliseconds"),    "status",           "429 retry-after-ms=2500 TOO_MANY_REQUESTS"),
    (lambda f: f.too_many_requests(90, "date"),             "status",           "429 retry-after=Thu, 01 Jan 2026 12:01:30 GMT TOO_MANY_REQUESTS"),
    (lambda f: f.unavailable(form="none"),                  "status",           "503 SERVICE_UNAVAILABLE"),
    (lambda f: f.unavailable(7),                            f"assign {C}",      "503 retry-after=7 SERVICE_UNAVAILABLE"),
    (lambda f: f.html_page(),                               "status",           "502 html"),
    (lambda f: f.html_page(200),                            "status",           "200 html"),
]  # fmt: skip
WORDS = [f"{word_of(arm)}-{at}" for at, (arm, *_) in enumerate(ON_THE_WIRE)]


@pytest.mark.fota(scenario=SMALL)
@pytest.mark.parametrize("door", ["in process", "live"])
@pytest.mark.parametrize(("arm", "asked", "seen"), ON_THE_WIRE, ids=WORDS)
def test_what_a_fault_looks_like(
    door: str, arm: Arm, asked: str, seen: str, request: pytest.FixtureRequest
) -> None:
    with opened(door, request) as (emulator, client):
        armed = arm(emulator.faults)
        assert client.seen(asked, timeout_s=0.5 if "in time" in seen else 60) == seen
        assert (armed.hits, armed.spent) == (1, True)
        assert emulator.requests[0].faults == (armed.fault.word(),)
        lasts = "Expired" in seen or "900901" in seen
        assert client.seen("status") == (seen if lasts else "200")


def carries_out(arm: Arm) -> bool:
    """Whether the request is carried out all the same."""
    fault = fault_of(arm)
    if fault.word() == "connection_cut":
        return fault == ConnectionCut(where="within")
    return fault.word() not in ("too_many_requests", "unavailable", "html_page")


@pytest.mark.fota(scenario=SMALL)
@pytest.mark.parametrize(("arm", "asked", "seen"), ON_THE_WIRE, ids=WORDS)
def test_the_books_agree_with_the_answer(fota: Emulator, arm: Arm, asked: str, seen: str) -> None:
    """What an answer told, status and history tell as well; and the ledger proves it."""
    door = Door(fota, fota.transport, "http://any")
    account = fota.books.find_account(ACCOUNT)
    assert account is not None
    arm(fota.faults)
    door.seen(asked)
    fota.faults.clear()
    held = {device.imei for device in fota.client.licenses.devices(ACCOUNT)}
    verb, *imeis = asked.split()
    granted = [
        judged.item
        for judged in fota.requests[0].verdicts
        if judged.outcome in (Outcome.ASSIGNED, Outcome.REMOVED)
    ]

    assert held == ({A, B} | set(granted) if verb != "remove" else {A, B} - set(granted))
    assert bool(fota.requests[0].verdicts) == (carries_out(arm) and verb != "status")
    assert len(fota.requests[0].verdicts) in (0, len(imeis))
    assert fota.books.store.read(lambda snapshot: verify(snapshot, account)).findings == ()


# --- pages -------------------------------------------------------------------------------------


@pytest.fixture(params=["in process", "live"])
def pages(request: pytest.FixtureRequest) -> Iterator[tuple[Emulator, Door]]:
    with opened(request.param, request) as found:
        yield found


def page(door: Door, cursor: str = "") -> dict[str, Any]:
    query = f"?lastSeenDeviceId={cursor}" if cursor else ""
    found: dict[str, Any] = json.loads(door.send("GET", query).body)
    return found


@pytest.mark.fota(scenario=PAGES)
def test_a_page_comes_a_second_time(pages: tuple[Emulator, Door]) -> None:
    emulator, door = pages
    armed = emulator.faults.page_repeated()
    first = page(door)
    assert armed.hits == 0
    second = page(door, first["lastSeenDeviceId"])
    third = page(door, second["lastSeenDeviceId"])

    assert second == first
    assert third["deviceList"][0]["deviceId"] == str(int(A) + 1000)


@pytest.mark.fota(scenario=PAGES)
def test_a_page_comes_in_no_order(pages: tuple[Emulator, Door]) -> None:
    emulator, door = pages
    straight = page(door)
    emulator.faults.page_shuffled()
    shuffled = page(door)

    assert shuffled["lastSeenDeviceId"] == straight["lastSeenDeviceId"]
    imeis = [device["deviceId"] for device in shuffled["deviceList"]]
    assert imeis != sorted(imeis)
    assert sorted(imeis) == [device["deviceId"] for device in straight["deviceList"]]


@pytest.mark.fota(scenario=PAGES)
def test_a_session_ends_between_two_pages(pages: tuple[Emulator, Door]) -> None:
    emulator, door = pages
    emulator.faults.session_expired(skip=1, operation="status")
    first = page(door)

    assert first["hasMoreData"] is True
    assert page(door, first["lastSeenDeviceId"])["errorCode"].endswith("Expired")


# --- how an answer is written ------------------------------------------------------------------


@pytest.mark.fota(scenario=SMALL)
@pytest.mark.parametrize(
    ("arm", "status", "change"),
    [
        (
            lambda f: f.spelling("older", times=None),
            {"totalLicense"},
            {"licTotalCount", "resultReason"},
        ),
        (lambda f: f.spelling("newer", times=None), {"totalLicenses"}, {"licCount", "Reason"}),
        (lambda f: f.members_missing(times=None), set(), {"licTotalCount"}),
        (
            lambda f: None,
            {"totalLicense", "totalLicenses"},
            {"licCount", "licTotalCount", "resultReason", "Reason"},
        ),
    ],
)
def test_spellings(fota: Emulator, arm: Arm, status: set[str], change: set[str]) -> None:
    door = Door(fota, fota.transport, "http://any")
    arm(fota.faults)
    told_status = page(door)
    told_change = json.loads(door.send("POST", "/assign", {"deviceList": [C]}).body)

    written = {"totalLicense", "totalLicenses"}
    assert written & set(told_status) == status
    names = {*told_change, *told_change["deviceList"][0]}
    assert names & {"licCount", "licTotalCount", "resultReason", "Reason"} == change


@pytest.mark.fota(scenario=SMALL)
@pytest.mark.parametrize(
    ("style", "written"),
    [
        ("go", "2026-01-01 12:00:00 +0000 UTC"),
        ("rfc3339", "2026-01-01T12:00:00.000Z"),
        ("seconds", "2026-01-01T12:00:00Z"),
        ("offset", "2026-01-01T12:00:00.0+00:00"),
    ],
)
def test_time_styles(fota: Emulator, style: Any, written: str) -> None:
    door = Door(fota, fota.transport, "http://any")
    fota.faults.time_style(style)

    assert {device["assignmentTime"] for device in page(door)["deviceList"]} == {written}


@pytest.mark.fota(scenario=SMALL)
def test_a_service_that_keeps_no_keys(fota: Emulator) -> None:
    """... carries a write out again, and says nothing of changes."""
    fota.faults.keys_ignored()
    client = fota.client
    changes = [client.licenses.assign(ACCOUNT, [C], idempotency_key="one") for _ in range(2)]

    assert [change.verdicts[0].outcome.word for change in changes] == [
        "assigned",
        "already_licensed",
    ]
    assert [(change.change, change.replayed) for change in changes] == [(None, False)] * 2
    for entry in fota.requests:
        assert not [name for name in entry.headers if "fotapool" in name]
    assert [entry.change for entry in fota.requests.of("assign")] == [4, 5]


# --- arming ------------------------------------------------------------------------------------


def statuses(fota: Emulator, count: int) -> str:
    """A letter a request: `.` for a good answer, `x` for a fault."""
    door = Door(fota, fota.transport, "http://any")
    return "".join("." if door.seen("status") == "200" else "x" for _ in range(count))


# armed                                                                     of eight requests
ARMED: list[tuple[Arm, str]] = [
    (lambda f: f.html_page(),                                               "x......."),
    (lambda f: f.html_page(times=3),                                        "xxx....."),
    (lambda f: f.html_page(times=2, skip=3),                                "...xx..."),
    (lambda f: f.html_page(times=None),                                     "xxxxxxxx"),
    (lambda f: f.html_page(probability=0.5, seed=1),                        "x..xxx.."),
    (lambda f: f.html_page(probability=0.5, seed=1, times=2),               "x..x...."),
    (lambda f: f.html_page(operation="assign"),                             "........"),
    (lambda f: f.html_page(operation="status", method="get"),               "x......."),
    (lambda f: f.html_page(path="/api/fota/v3/*"),                          "x......."),
    (lambda f: f.html_page(path="/api/fota/v2/*"),                          "........"),
    (lambda f: f.html_page(account="another"),                              "........"),
    (lambda f: f.html_page(imei="990003425730500"),                         "........"),
]  # fmt: skip


@pytest.mark.parametrize(("arm", "expected"), ARMED, ids=range(len(ARMED)))
def test_when_a_fault_happens(fota: Emulator, arm: Arm, expected: str) -> None:
    arm(fota.faults)

    assert statuses(fota, 8) == expected


def test_a_fault_for_a_device(fota: Emulator) -> None:
    door = Door(fota, fota.transport, "http://any")
    armed = fota.faults.html_page(imei=B)

    assert [door.seen(f"assign {imei}") for imei in (A, B)] == ["200 Success", "502 html"]
    assert armed.hits == 1


def test_token_and_login_calls_are_left_alone_unless_named(fota: Emulator) -> None:
    fota.faults.html_page(400)
    fota.faults.html_page(operation="login", times=None)

    with pytest.raises(ApiError, match="502"):
        fota.client.licenses.status(ACCOUNT)
    assert [entry.operation for entry in fota.requests] == ["token", "login", "login", "login"]


def outcome_of(client: Client, call: str) -> str:
    """What a call comes to: outcomes or a count, or the error."""
    verb, *imeis = call.split()
    try:
        if verb == "devices":
            found = [device.imei for device in client.licenses.devices(ACCOUNT)]
            return f"{len(found)} devices, {len(set(found))} different"
        if verb == "status":
            status = client.licenses.status(ACCOUNT)
            return f"{status.used} of {status.total}"
        change = getattr(client.licenses, verb)(ACCOUNT, imeis)
        words = " ".join(verdict.outcome.word for verdict in change.verdicts)
        return words + (" replayed" if change.replayed else "")
    except ApiError as error:
        return f"{type(error).__name__} {str(error)[:26].strip()}".strip()


@pytest.mark.fota(scenario=PAGES)
@pytest.mark.parametrize(
    ("arm", "call", "expected"),
    [
        (lambda f: f.devices_refused([D], outcome="not_licensed"), f"remove {C} {D}", "removed not_licensed"),
        (lambda f: f.answer_lost(), f"remove {C}", "removed replayed"),
        (lambda f: f.members_missing(), "status", "2500 of None"),
        (lambda f: f.page_repeated(), "devices", "2500 devices, 2500 different"),
    ],
)  # fmt: skip
def test_a_token_that_has_died_takes_no_fault_away(
    fota: Emulator, arm: Arm, call: str, expected: str
) -> None:
    fota.client.licenses.status(ACCOUNT)
    fota.clock.advance(hours=2)
    armed = arm(fota.faults)
    fota.faults.session_expired(skip=1)

    assert outcome_of(fota.client, call) == expected
    assert armed.hits == 1


def test_a_fault_ends_with_its_block(fota: Emulator) -> None:
    with fota.faults.html_page(times=None) as armed:
        assert statuses(fota, 2) == "xx"
    assert (statuses(fota, 2), armed.hits, len(fota.faults)) == ("..", 2, 0)


# armed                                                     said
WRONG: list[tuple[Arm, str]] = [
    (lambda f: f.pool_exhausted(after=-1),                  "after must be 0 or more"),
    (lambda f: f.devices_refused(),                         "say which"),
    (lambda f: f.devices_refused(every=2, outcome="tired"), "use one of"),
    (lambda f: f.html_page(99),                             "use one from 200 to 599"),
    (lambda f: f.html_page(times=0),                        "times from 1"),
    (lambda f: f.html_page(probability=2),                  "above 0, up to 1"),
    (lambda f: f.arm_told({"fault": "html"}),               "faults are pool_exhausted"),
    (lambda f: f.arm_told({"fault": "slow_drip", "second": 1}), "unknown field `second`"),
    (lambda f: f.arm_told({"fault": "slow_drip", "seconds": "x"}), "$.seconds"),
]  # fmt: skip


@pytest.mark.parametrize(("arm", "said"), WRONG, ids=range(len(WRONG)))
def test_a_fault_that_makes_no_sense_is_told(arm: Arm, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        arm(Faults())
    assert said in str(caught.value)


def test_waiting_costs_no_time(fota: Emulator) -> None:
    began = fota.clock.now
    fota.faults.too_many_requests(30, times=2)
    fota.client.licenses.status(ACCOUNT)

    assert (fota.clock.now - began).total_seconds() == 60


# --- what the official SDK does ----------------------------------------------------------------


class Official:
    """The vendor's Python SDK, asked in our tests' words."""

    def __init__(self, live: Live, timeout_s: float = 60) -> None:
        self._client = official_client(live, timeout=timeout_s)
        self._client.software_management_licenses_v3.get_account_licenses_status(ACCOUNT)
        live.requests.clear()

    def outcome_of(self, call: str) -> str:
        licenses = self._client.software_management_licenses_v3
        verb, *imeis = call.split()
        try:
            if verb == "status":
                page = licenses.get_account_licenses_status(ACCOUNT).body
                return f"{page.assigned_licenses} of {getattr(page, 'total_licenses', 'absent')}"
            asked = getattr(
                licenses, f"{verb}_licenses_{'to' if verb == 'assign' else 'from'}_devices"
            )
            body = asked(ACCOUNT, imeis_of(*imeis)).body
            reasons = [getattr(item, "result_reason", "absent") for item in body.device_list]
            return ", ".join(reasons)
        except Exception as error:  # noqa: BLE001 -- whatever it raises is what is shown
            return type(error).__name__


# armed                                                     called          comes to                    requests
OFFICIAL: list[tuple[Arm, str, str, int]] = [
    (lambda f: f.pool_exhausted(after=1),                   f"assign {C} {D}", f"Success, {NONE_LEFT}", 1),
    (lambda f: f.devices_refused([D]),                      f"assign {C} {D}", f"Success, {UNKNOWN}",   1),
    (lambda f: f.session_expired(),                         "status",       "FotaV3ResultException",    1),
    (lambda f: f.token_revoked(),                           "status",       "APIException",             1),
    (lambda f: f.keys_ignored(),                            f"assign {C}",  "Success",                  1),
    (lambda f: f.page_shuffled(),                           "status",       "2 of 10",                  1),
    (lambda f: f.spelling("older"),                         "status",       "2 of absent",              1),
    (lambda f: f.spelling("newer"),                         f"assign {C}",  "absent",                   1),
    (lambda f: f.time_style("offset"),                      "status",       "2 of 10",                  1),
    (lambda f: f.members_missing(),                         "status",       "2 of absent",              1),
    (lambda f: f.json_malformed(),                          "status",       "ParserError",              1),
    (lambda f: f.answer_lost(),                             f"assign {C}",  "ConnectionError",          1),
    (lambda f: f.answer_delayed(30),                        f"assign {C}",  "ReadTimeout",              1),
    (lambda f: f.connection_cut(),                          f"assign {C}",  "ConnectionError",          1),
    (lambda f: f.slow_drip(0.2),                            "status",       "2 of 10",                  1),
    (lambda f: f.too_many_requests(),                       f"assign {C}",  "APIException",             1),
    (lambda f: f.unavailable(),                             "status",       "APIException",             1),
    (lambda f: f.html_page(),                               "status",       "APIException",             1),
    (lambda f: f.html_page(400),                            "status",       "FotaV3ResultException",    1),
    (lambda f: f.html_page(200),                            "status",       "AttributeError",           1),
]  # fmt: skip


@pytest.mark.fota(scenario=SMALL)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("arm", "call", "expected", "requests"),
    OFFICIAL,
    ids=[f"{word_of(arm)}-{at}" for at, (arm, *_) in enumerate(OFFICIAL)],
)
def test_the_official_sdk(
    fota_live: Live, arm: Arm, call: str, expected: str, requests: int
) -> None:
    official = Official(fota_live, timeout_s=2 if "Timeout" in expected else 60)
    arm(fota_live.faults)

    assert official.outcome_of(call) == expected
    assert len(fota_live.requests) == requests


@pytest.mark.fota(scenario=PAGES)
@pytest.mark.filterwarnings("ignore")
def test_the_official_sdk_has_no_paging_that_a_page_could_break(fota_live: Live) -> None:
    official = Official(fota_live)
    fota_live.faults.page_repeated()

    assert official.outcome_of("status") == "2500 of 3000"


def test_every_fault_is_shown_with_the_official_sdk() -> None:
    """Our clients' reactions are in test_client_faults.py."""
    shown = {word_of(arm) for arm, *_ in OFFICIAL} | {"page_repeated"}
    assert shown == {fault.word() for fault in FAULTS}
