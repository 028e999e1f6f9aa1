"""The SDK: tokens, retries, errors, and what it makes of answers."""

from __future__ import annotations

import json
import logging
import pickle
import socket
import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import fotapool
from fotapool import (
    AnswerError,
    ApiError,
    Client,
    ConfigurationError,
    Conflict,
    ConnectionFailed,
    ErrorException,
    Forbidden,
    FotapoolError,
    InvalidParameter,
    LicenseIMEI,
    LicensesAssignedRemovedRequest,
    Listing,
    MissingPath,
    Outcome,
    Response,
    ServerError,
    TimedOut,
    TooManyRequests,
    Unauthorized,
    UnexpectedAnswer,
)
from fotapool.client.transport import HttpRequest
from fotapool.server.log import JsonLines
from fotapool.testing import Account, Emulator, Faults, Live, Scenario
from world import ACCOUNT, Script, World, answer, client_of

pytestmark = pytest.mark.usefixtures("colour")
SYNC_ALONE = pytest.mark.parametrize("colour", ["Client"], indirect=True)

MANY = Scenario(accounts=(Account(licenses=2500, devices=2500, licensed=2500),))
A, B = "990003425730524", "000000000000042"
PAGE = {
    "accountName": "a",
    "totalLicense": 5,
    "assignedLicenses": 2,
    "hasMoreData": False,
    "lastSeenDeviceId": A,
    "maxPageSize": 1000,
}
CHANGE = {"accountName": "a", "licTotalCount": 5, "licUsedCount": 1, "deviceList": []}
TOKEN = answer(200, {"access_token": "bearer-1", "token_type": "Bearer", "expires_in": 3600})
TOKEN_2 = answer(200, {"access_token": "bearer-2", "token_type": "Bearer", "expires_in": 3600})
SESSION = answer(200, {"sessionToken": "session-1"})
SESSION_2 = answer(200, {"sessionToken": "session-2"})
EXPIRED = answer(
    400, {"errorCode": "UnifiedWebService.REQUEST_FAILED.SessionToken.Expired", "errorMessage": "x"}
)
OVER = answer(
    401, {"fault": {"code": "900901", "message": "Invalid Credentials", "description": ""}}
)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr("fotapool.client.transport.time.sleep", pauses.append)
    monkeypatch.setattr("fotapool.client.aio.transport.sleep", sleep)
    return pauses


def ready(*answers: Response | Exception, max_retries: int = 2) -> tuple[Client, Script]:
    """A client with ready tokens, over a script."""
    script = Script(*answers)
    return Client(
        access_token="b", session_token="s", transport=script, max_retries=max_retries
    ), script


def logging_in(*answers: Response | Exception) -> tuple[Client, Script]:
    script = Script(*answers)
    return Client(
        client_id="id", client_secret="secret", username="user", password="word", transport=script
    ), script


def paths(script: Script) -> list[str]:
    return [request.url.removeprefix("https://thingspace.verizon.com") for request in script.sent]


# --- what is sent ------------------------------------------------------------------------------


def test_a_client_logs_in_by_itself_before_its_first_call_and_not_again() -> None:
    client, script = logging_in(TOKEN, SESSION, answer(200, PAGE), answer(200, PAGE))
    client.licenses.status(ACCOUNT)
    client.licenses.status(ACCOUNT)

    token, login, first, second = script.sent
    assert paths(script) == [
        "/api/ts/v1/oauth2/token",
        "/api/m2m/v1/session/login",
        *[f"/api/fota/v3/licenses/{ACCOUNT}"] * 2,
    ]
    assert (token.body, token.headers["Authorization"]) == (
        b"grant_type=client_credentials",
        "Basic aWQ6c2VjcmV0",
    )
    assert token.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert json.loads(login.body or b"") == {"username": "user", "password": "word"}
    assert login.headers["Authorization"] == "Bearer bearer-1"
    assert (first.headers["Authorization"], first.headers["VZ-M2M-Token"]) == (
        "Bearer bearer-1",
        "session-1",
    )
    assert first.headers == second.headers


def test_the_requests_of_the_documented_methods() -> None:
    client, script = ready(*[answer(200, PAGE)] * 3, *[answer(200, CHANGE)] * 4)
    licenses = client.licenses
    licenses.get_user_fota_licenses_summary("a b/c")
    licenses.get_user_fota_licenses_summary("a", "0")
    licenses.summarize_fota_licenses_assignment("a", last_seen_device_id="990003425730524")
    with pytest.warns(DeprecationWarning, match="is deprecated"):
        licenses.assign_fota_licenses_to_devices(
            "a", LicenseIMEI(device_list=[A], account_name="a")
        )
    with pytest.warns(DeprecationWarning, match="is deprecated"):
        licenses.remove_licenses_from_devices("a", LicenseIMEI(device_list=[A]))
    licenses.assign_fota_licenses_to_devices_1("a", LicensesAssignedRemovedRequest(device_list=[A]))
    licenses.remove_licenses_from_devices_1("a", LicensesAssignedRemovedRequest())

    assert [
        (request.method, path, request.body)
        for request, path in zip(script.sent, paths(script), strict=True)
    ] == [
        ("GET", "/api/fota/v2/licenses/a%20b%2Fc", None),
        ("GET", "/api/fota/v2/licenses/a?lastSeenDeviceId=0", None),
        ("GET", "/api/fota/v3/licenses/a?lastSeenDeviceId=990003425730524", None),
        (
            "POST",
            "/api/fota/v2/licenses/a/assign",
            b'{"deviceList":["990003425730524"],"accountName":"a"}',
        ),
        ("POST", "/api/fota/v2/licenses/a/remove", b'{"deviceList":["990003425730524"]}'),
        ("POST", "/api/fota/v3/licenses/a/assign", b'{"deviceList":["990003425730524"]}'),
        ("POST", "/api/fota/v3/licenses/a/remove", b"{}"),
    ]
    assert script.sent[3].headers["Content-Type"] == "application/json"


@SYNC_ALONE
def test_the_deprecation_warning_points_at_the_callers_line() -> None:
    client, _ = ready(answer(200, CHANGE))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        client.licenses.assign_fota_licenses_to_devices("a", LicenseIMEI(device_list=[A]))

    assert Path(caught[0].filename) == Path(__file__)


def test_a_single_text_is_not_taken_for_a_list() -> None:
    client, script = ready()

    with pytest.raises(TypeError, match=r"write \[imei\]"):
        client.licenses.assign("a", A)
    assert script.sent == []


# --- configuration -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "origin"),
    [
        (None, "https://thingspace.verizon.com"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
        ("http://127.0.0.1:8080/api", "http://127.0.0.1:8080"),
        ("http://127.0.0.1:8080/api/", "http://127.0.0.1:8080"),
        ("https://host/mounted", "https://host/mounted"),
    ],
)
def test_the_base_url_redirects_everything(given: str | None, origin: str) -> None:
    script = Script(TOKEN, SESSION, answer(200, PAGE))
    client = Client(
        client_id="i",
        client_secret="s",
        username="u",
        password="p",
        base_url=given,
        transport=script,
    )
    client.licenses.status("a")

    assert {request.url.partition("/api/")[0] for request in script.sent} == {origin}


@pytest.mark.parametrize(
    "base_url",
    [
        "thingspace.verizon.com",
        "ftp://host",
        "http://",
        "http://host?x=1",
        "api",
        "https://host:port",
        "https://ho st",
        "https://evil.example\\.localhost",
    ],
)
def test_a_base_url_that_is_none_is_told_at_once(base_url: str) -> None:
    with pytest.raises(ConfigurationError, match="use an origin such as"):
        Client(base_url=base_url)


def test_a_base_url_holds_no_login_and_none_is_repeated() -> None:
    with pytest.raises(ConfigurationError, match="it holds a login") as caught:
        Client(base_url="https://user:secret@host")
    assert "secret" not in str(caught.value)


def test_arguments_also_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("client_id", "client_secret", "username", "password"):
        monkeypatch.setenv(f"FOTAPOOL_{name.upper()}", f"env-{name}")
    monkeypatch.setenv("FOTAPOOL_BASE_URL", "http://env:1")
    script = Script(TOKEN, SESSION, answer(200, PAGE))
    Client(username="argument", transport=script).licenses.status("a")

    assert script.sent[0].url == "http://env:1/api/ts/v1/oauth2/token"
    assert json.loads(script.sent[1].body or b"") == {
        "username": "argument",
        "password": "env-password",
    }


def test_ready_tokens_are_used_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOTAPOOL_ACCESS_TOKEN", "ready-bearer")
    monkeypatch.setenv("FOTAPOOL_SESSION_TOKEN", "ready-session")
    script = Script(answer(200, PAGE), OVER)
    client = Client(transport=script)
    client.licenses.status("a")

    assert (script.sent[0].headers["Authorization"], script.sent[0].headers["VZ-M2M-Token"]) == (
        "Bearer ready-bearer",
        "ready-session",
    )
    with pytest.raises(Unauthorized):
        client.licenses.status("a")


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        (
            {},
            [
                "client_id (or FOTAPOOL_CLIENT_ID)",
                "client_secret (or FOTAPOOL_CLIENT_SECRET)",
                "username (or FOTAPOOL_USERNAME)",
                "password (or FOTAPOOL_PASSWORD)",
            ],
        ),
        (
            {"access_token": "b"},
            ["username (or FOTAPOOL_USERNAME)", "password (or FOTAPOOL_PASSWORD)"],
        ),
        ({"session_token": "s", "client_id": "i"}, ["client_secret (or FOTAPOOL_CLIENT_SECRET)"]),
    ],
)
def test_missing_credentials_are_one_error_before_any_request(
    given: dict[str, str], missing: list[str]
) -> None:
    script = Script()
    client = Client(transport=script, **given)  # type: ignore[arg-type]

    with pytest.raises(ConfigurationError) as caught:
        client.licenses.status("a")
    assert (
        str(caught.value) == f"missing: {', '.join(missing)}. Pass it to Client or set the variable"
    )
    assert script.sent == []


def test_no_secret_shows_in_a_repr() -> None:
    client, _ = logging_in()

    shown = repr(client) + repr(client._credentials) + repr(vars(client))
    assert "secret" not in shown.replace("client_secret", "")
    assert "word" not in shown.replace("password", "")


# --- tokens renewed ----------------------------------------------------------------------------


def test_a_token_is_fetched_again_when_it_has_run_out() -> None:
    short = answer(200, {"access_token": "bearer-1", "token_type": "Bearer", "expires_in": 0})
    client, script = logging_in(short, SESSION, answer(200, PAGE), TOKEN_2, answer(200, PAGE))
    client.licenses.status("a")
    client.licenses.status("a")

    assert [path.rpartition("/")[2] for path in paths(script)] == [
        "token",
        "login",
        "a",
        "token",
        "a",
    ]


def asked(fota: Emulator) -> str:
    """The operations that were asked for, in order."""
    return " ".join(entry.operation for entry in fota.requests)


@pytest.mark.parametrize(
    ("arm", "expected"),
    [
        (lambda f: f.faults.token_revoked(), "assign token assign"),
        (lambda f: f.faults.session_expired(), "assign login assign"),
        (lambda f: f.reset(), "assign token assign login assign"),
    ],
    ids=["revoked", "expired", "forgotten"],
)
def test_a_refused_token_is_renewed_and_the_call_sent_again(
    fota: Emulator, arm: Callable[[Emulator], object], expected: str
) -> None:
    fota.client.licenses.status(ACCOUNT)
    fota.requests.clear()
    arm(fota)
    fota.client.licenses.assign(ACCOUNT, [A])

    assert asked(fota) == expected
    assert fota.requests.last.request_body == b'{"deviceList":["990003425730524"]}'
    fota.requests.assert_assigned([A], only=True)


def test_a_token_is_renewed_once_per_call(fota: Emulator) -> None:
    fota.faults.token_revoked(times=None)

    with pytest.raises(Unauthorized):
        fota.client.licenses.status(ACCOUNT)
    assert asked(fota) == "token login status token status"


@pytest.mark.parametrize(
    ("wrong", "kind", "expected"),
    [
        ({"client_secret": "wrong"}, Unauthorized, "token"),
        ({"password": "wrong"}, ErrorException, "token login"),
    ],
)
def test_a_refused_login_is_never_sent_again(
    fota: Emulator, wrong: dict[str, str], kind: type[AnswerError], expected: str
) -> None:
    client = fota.new_client(**wrong)

    for _ in range(6):
        with pytest.raises(kind):
            client.licenses.status(ACCOUNT)
    assert asked(fota) == expected


def test_a_bearer_that_died_before_the_login_is_fetched_again(fota: Emulator) -> None:
    """The login was not refused for itself, so it is sent again, once."""
    assert fota.new_client(access_token="stale").licenses.status(ACCOUNT).used == 0
    assert asked(fota) == "login token login status"


def test_token_calls_are_tried_again_like_any_other() -> None:
    busy, unreached = answer(503, retry_after="1"), ConnectionFailed("no", sent=False)
    client, script = logging_in(busy, TOKEN, unreached, SESSION, answer(200, CHANGE))

    assert client.licenses.assign("a", [A]).total == 5
    assert len(script.sent) == 5


@pytest.mark.parametrize(
    "wrong",
    [
        {"access_token": "abc\n"},
        {"session_token": "a b"},
        {"access_token": "ä"},
        {"timeout_s": 0},
        {"max_retries": -1},
        {"retry_budget_s": -1},
    ],
)
def test_arguments_that_make_no_sense_are_told_at_once(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        Client(**wrong)


@pytest.mark.parametrize("account", ["", ".", ".."])
def test_an_account_that_no_url_can_carry(account: str) -> None:
    client, script = ready()

    with pytest.raises(ValueError, match="no account has this name"):
        client.licenses.status(account)
    assert script.sent == []


def test_many_threads_fetch_each_token_once(
    small_world: World, caplog: pytest.LogCaptureFixture
) -> None:
    small_world.add_account()
    secrets = small_world.credentials.create([ACCOUNT])
    with (
        caplog.at_level(logging.INFO, "fotapool"),
        small_world.serving() as url,
        client_of(secrets, url) as client,
        ThreadPoolExecutor(8) as pool,
    ):
        for _ in range(3):
            list(pool.map(lambda _: client.licenses.status(ACCOUNT), range(40)))
            small_world.clock.advance(minutes=61)

    lines = (json.loads(JsonLines().format(record)) for record in caplog.records)
    fetched = Counter(line["path"] for line in lines if "path" in line)
    assert fetched["/api/ts/v1/oauth2/token"] == 3
    assert fetched["/api/m2m/v1/session/login"] == 3


# --- retries -----------------------------------------------------------------------------------

BROKEN = ConnectionFailed("broke", sent=True)
UNREACHED = ConnectionFailed("no connection", sent=False)
SLOW = TimedOut("too slow", sent=True)

Arm = Callable[[Faults], object]

# what goes wrong                                  read again  write again, and the server keeps …
#                                                              … no keys     … keys
RETRIES: list[tuple[Arm, bool, bool, bool]] = [
    (lambda f: f.connection_cut(),                 True,       False,        True),
    (lambda f: f.connection_cut("within"),         True,       False,        True),
    (lambda f: f.answer_lost(),                    True,       False,        True),
    (lambda f: f.answer_delayed(60),               True,       False,        True),
    (lambda f: f.too_many_requests(form="none"),   True,       True,         True),
    (lambda f: f.too_many_requests(1),             True,       True,         True),
    (lambda f: f.unavailable(1),                   True,       True,         True),
    (lambda f: f.unavailable(form="none"),         True,       False,        True),
    (lambda f: f.html_page(502),                   True,       False,        True),
    (lambda f: f.html_page(504),                   True,       False,        True),
    (lambda f: f.json_malformed(),                 True,       False,        True),
    (lambda f: f.unavailable(1, form="milliseconds"), True,    True,         True),
    (lambda f: f.html_page(500),                   False,      False,        False),
    (lambda f: f.html_page(400),                   False,      False,        False),
    (lambda f: f.html_page(404),                   False,      False,        False),
]  # fmt: skip


@pytest.mark.parametrize("what", ["read", "write", "keyed write"])
@pytest.mark.parametrize(("arm", "reads", "writes", "keyed"), RETRIES, ids=range(len(RETRIES)))
def test_what_is_tried_again(
    fota: Emulator, what: str, arm: Arm, reads: bool, writes: bool, keyed: bool
) -> None:
    again = {"read": reads, "write": writes, "keyed write": keyed}[what]
    if what != "keyed write":
        fota.faults.keys_ignored()
    client = fota.client
    client.licenses.status(ACCOUNT)
    fota.requests.clear()
    arm(fota.faults)
    with nullcontext() if again else pytest.raises(ApiError):
        if what == "read":
            client.licenses.status(ACCOUNT)
        else:
            # One that is not settled: that is in test_client_settling.py.
            client.pool.assign(ACCOUNT, [A])
    assert len(fota.requests) == 1 + again


def test_what_never_left_is_sent_again() -> None:
    client, script = ready(UNREACHED, answer(200, CHANGE))
    client.licenses.assign("a", [A])

    assert len(script.sent) == 2


KEEPS = {"fotapool-idempotency": "24h"}
UNKNOWN = answer(503, {"errorCode": "OUTCOME_UNKNOWN", "errorMessage": "?"})


@pytest.mark.parametrize("number", ["", "seven", "٣", "9" * 5000])
def test_a_number_of_a_change_that_is_none(number: str) -> None:
    made = Response(200, {"fotapool-change": number}, json.dumps(CHANGE).encode())
    client, _ = ready(made)

    assert client.licenses.assign("a", [A]).change is None


@pytest.mark.parametrize("first", [BROKEN, SLOW, UNKNOWN])
def test_a_server_that_keeps_keys_is_asked_again_under_the_same_one(
    first: Response | Exception,
) -> None:
    shown = Response(200, KEEPS, json.dumps(PAGE).encode())
    made = Response(
        200,
        {"fotapool-change": "7", "idempotency-replayed": "true", **KEEPS},
        json.dumps(CHANGE).encode(),
    )
    client, script = ready(shown, first, made, made)
    client.licenses.status("a")
    change = client.licenses.assign("a", [A])
    client.licenses.assign("a", [A])

    keys = [request.headers.get("Idempotency-Key") for request in script.sent]
    assert (change.change, change.replayed) == (7, True)
    assert keys[0] is None
    assert keys[1] == keys[2] != keys[3]
    assert all(key and len(key) == 32 for key in keys[1:])


def test_a_key_of_ones_own_is_sent_as_it_is() -> None:
    client, script = ready(answer(200, CHANGE), answer(200, CHANGE))
    client.licenses.assign("a", [A], idempotency_key="nightly 7")
    change = client.licenses.remove("a", [A], idempotency_key="nightly 8")

    assert [request.headers["Idempotency-Key"] for request in script.sent] == [
        "nightly 7",
        "nightly 8",
    ]
    assert (change.change, change.replayed) == (None, False)


@pytest.mark.parametrize("key", ["", "x" * 129, "schlüssel", "two\nlines"])
def test_a_key_that_no_server_takes_is_told_before_any_request(key: str) -> None:
    with Client(transport=Script(), access_token="t", session_token="s") as client:
        for verbs in (client.licenses, client.pool):
            with pytest.raises(ValueError, match="1 to 128 printable ASCII"):
                verbs.assign("a", ["1"], idempotency_key=key)


def test_asking_again_after_a_crash_gives_the_answer_of_then(fota: Emulator) -> None:
    with fota.new_client() as client:
        first = client.licenses.assign(ACCOUNT, [A], idempotency_key="job 1")
        client.licenses.remove(ACCOUNT, [A])
    with fota.new_client() as client:
        again = client.licenses.assign(ACCOUNT, [A], idempotency_key="job 1")
        used = client.licenses.status(ACCOUNT).used

    assert (first.replayed, again.replayed, used) == (False, True, 0)
    assert (again.change, again.verdicts, again.used) == (first.change, first.verdicts, 1)


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_retries_come_to_an_end(fota: Emulator, retries: int) -> None:
    fota.faults.unavailable(form="none", times=None)
    began = fota.clock.now
    with pytest.raises(ServerError):
        fota.new_client(max_retries=retries).licenses.status(ACCOUNT)

    moments = [entry.at for entry in fota.requests.of("status")]
    assert len(moments) == retries + 1
    for at, (sooner, later) in enumerate(pairwise(moments)):
        assert timedelta(0) <= later - sooner <= timedelta(seconds=0.5 * 2**at)
    assert moments[0] == began


@pytest.mark.parametrize(("seconds", "expected"), [(3, 3.0), (0, 0.0), (9999, 60.0)])
def test_retry_after_is_heeded_within_reason(
    fota: Emulator, seconds: float, expected: float
) -> None:
    began = fota.clock.now
    fota.faults.too_many_requests(seconds)
    fota.client.licenses.status(ACCOUNT)

    assert fota.clock.now - began == timedelta(seconds=expected)


@pytest.mark.parametrize("form", ["seconds", "date", "milliseconds"])
def test_retry_after_is_heeded_in_each_of_its_forms(fota: Emulator, form: Any) -> None:
    began = fota.clock.now
    fota.faults.unavailable(7, form)
    fota.client.licenses.status(ACCOUNT)

    assert fota.clock.now - began == timedelta(seconds=7)


def test_what_the_server_asked_for_is_told_with_the_error(fota: Emulator) -> None:
    fota.faults.too_many_requests(9999)
    with pytest.raises(TooManyRequests) as caught:
        fota.new_client(max_retries=0).licenses.status(ACCOUNT)

    assert caught.value.retry_after_s == 9999
    assert pickle.loads(pickle.dumps(caught.value)).retry_after_s == 9999


@pytest.mark.parametrize(
    ("budget_s", "attempts", "waited_s"),
    [(0, 1, 0), (49, 1, 0), (50, 2, 50), (120, 3, 100), (1000, 6, 250)],
)
def test_no_attempt_begins_when_the_budget_is_used_up(
    fota: Emulator, budget_s: float, attempts: int, waited_s: int
) -> None:
    began = fota.clock.now
    fota.faults.too_many_requests(50, times=None)
    with pytest.raises(TooManyRequests):
        fota.new_client(max_retries=5, retry_budget_s=budget_s).licenses.status(ACCOUNT)

    assert len(fota.requests.of("status")) == attempts
    assert fota.clock.now - began == timedelta(seconds=waited_s)


def test_time_that_attempts_took_counts_for_the_budget(fota: Emulator) -> None:
    fota.faults.answer_delayed(60, times=None)
    client = fota.new_client(max_retries=9, retry_budget_s=100, timeout_s=40)
    with pytest.raises(TimedOut):
        client.licenses.status(ACCOUNT)

    assert len(fota.requests.of("status")) == 3


def test_a_garbled_answer_to_a_write_is_asked_for_again_under_its_key(fota: Emulator) -> None:
    fota.faults.json_malformed(operation="assign")
    fota.client.licenses.status(ACCOUNT)
    change = fota.client.licenses.assign(ACCOUNT, [A])

    assert (change.replayed, change.used, change.verdicts[0].outcome) == (
        True,
        1,
        Outcome.ASSIGNED,
    )
    fota.requests.assert_called("assign", times=2)
    fota.requests.assert_assigned([A], only=True)


def test_a_client_of_a_plain_transport_really_waits(no_pauses: list[float]) -> None:
    client, _ = ready(answer(429, retry_after="3"), answer(200, PAGE))
    client.licenses.status("a")

    assert no_pauses == [pytest.approx(3.0, abs=0.5)]


# --- errors ------------------------------------------------------------------------------------

ERROR_BODY = {"errorCode": "INVALID_PARAMETER", "errorMessage": "Device list is empty"}
# status                kind               shown
ERRORS = [
    (400, ERROR_BODY,   InvalidParameter,  "400 Unexpected error: INVALID_PARAMETER: Device list is empty"),
    (400, b"",          ErrorException,    "400 Unexpected error"),
    (400, b"<html>\n <h1>Bad</h1>", ErrorException, "400 Unexpected error: <html> <h1>Bad</h1>"),
    (400, b"[1]",       ErrorException,    "400 Unexpected error: [1]"),
    (400, b"\xff\xfe",  ErrorException,    "400 Unexpected error: ��"),
    (401, b"",          Unauthorized,      "401 Unauthorized"),
    (403, b"",          Forbidden,         "403 Forbidden"),
    (404, b"",          MissingPath,       "404 Not found"),
    (405, b"",          UnexpectedAnswer,  "405 Unexpected answer"),
    (409, b"",          Conflict,          "409 Conflict"),
    (412, b"",          Conflict,          "412 Conflict"),
    (418, b"",          UnexpectedAnswer,  "418 Unexpected answer"),
    (301, b"",          UnexpectedAnswer,  "301 Unexpected answer"),
    (429, b"",          TooManyRequests,   "429 Too many requests"),
    (500, b"x" * 300,   ServerError,       "500 Server error: " + "x" * 200 + "…"),
    (503, b"",          ServerError,       "503 Server error"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "kind", "shown"), ERRORS, ids=range(len(ERRORS)))
def test_every_bad_answer_is_an_error_under_one_base(
    status: int, body: object, kind: type[AnswerError], shown: str
) -> None:
    client, _ = ready(answer(status, body, x_request_id="r-1"), max_retries=0)

    with pytest.raises(FotapoolError) as caught:
        client.licenses.status("a")
    error = caught.value
    assert type(error) is kind
    assert str(error) == shown
    assert (error.response_code, error.response.status_code, error.request_id) == (
        status,
        status,
        "r-1",
    )
    copied = pickle.loads(pickle.dumps(error))
    assert (type(copied), str(copied), copied.error_code) == (kind, shown, error.error_code)


@pytest.mark.parametrize("error", [BROKEN, UNREACHED, SLOW])
def test_connection_errors_are_picklable(error: ConnectionFailed) -> None:
    copied = pickle.loads(pickle.dumps(error))

    assert (type(copied), str(copied), copied.sent) == (type(error), str(error), error.sent)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "truncated"),
        (b"<html>", "malformed"),
        (b"{}", "accountName"),
        (b'{"accountName": 5}', "str"),
        (b'{"deviceList":' + b"[" * 100_000, "array"),
        (b'{"accountName":"\xff","licUsedCount":1,"licTotalCount":1}', "utf-8"),
    ],
)
def test_a_good_answer_that_cannot_be_read_keeps_its_body(body: bytes, why: str) -> None:
    client, _ = ready(answer(200, body), max_retries=0)

    with pytest.raises(UnexpectedAnswer, match="Unreadable answer") as caught:
        client.licenses.assign("a", [A])
    assert why in str(caught.value)
    assert caught.value.response.body == body


# --- results -----------------------------------------------------------------------------------


def test_results_do_not_change() -> None:
    client, _ = ready(answer(200, PAGE), answer(200, CHANGE))
    page = client.licenses.summarize_fota_licenses_assignment("a")
    change = client.licenses.assign_fota_licenses_to_devices_1(
        "a", LicensesAssignedRemovedRequest(device_list=[A])
    )

    for result, name in ((page, "assigned_licenses"), (change, "lic_used_count")):
        with pytest.raises(FrozenInstanceError):
            setattr(result, name, 9)


def test_an_absent_optional_is_none_and_an_absent_list_empty() -> None:
    bare = {"accountName": "a", "assignedLicenses": 0, "hasMoreData": False, "maxPageSize": 0}
    items = {
        "accountName": "a",
        "licTotalCount": 0,
        "licUsedCount": 0,
        "deviceList": [{"deviceId": A, "status": "Success"}],
    }
    client, _ = ready(
        answer(200, bare),
        answer(200, items),
        answer(200, {"accountName": "a", "licTotalCount": 0, "licUsedCount": 0}),
    )
    page = client.licenses.get_user_fota_licenses_summary("a")
    full = client.licenses.remove_licenses_from_devices_1(
        "a", LicensesAssignedRemovedRequest(device_list=[A])
    )
    empty = client.licenses.remove_licenses_from_devices_1(
        "a", LicensesAssignedRemovedRequest(device_list=[A])
    )

    assert (page.total_license, page.last_seen_device_id, page.device_list) == (None, None, ())
    assert (page.assigned_licenses, page.max_page_size) == (0, 0)
    item = full.device_list[0]
    assert (full.lic_count, full.lic_total_count) == (None, 0)
    assert (
        item.result_reason,
        item.reason,
        item.updated_time,
        item.recent_attempt_time,
        item.next_attempt_time,
    ) == (None,) * 5
    assert empty.device_list == ()


def test_plain_verbs_against_a_server(small_world: World) -> None:
    world = small_world
    world.add_account(licenses=2, devices=[int(A), int(B), 7])
    login = world.add_login()
    with world.serving() as url, login.client(url) as client:
        assigned = client.licenses.assign(ACCOUNT, [A, "x", A, "1" * 15, B, f"{7:015d}"])
        status = client.licenses.status(ACCOUNT)
        devices = list(client.licenses.devices(ACCOUNT))
        removed = client.licenses.remove(ACCOUNT, iter([A, A]))

    assert [verdict.outcome for verdict in assigned.verdicts] == [
        Outcome.ASSIGNED,
        Outcome.MALFORMED,
        Outcome.ALREADY_LICENSED,
        Outcome.UNKNOWN_DEVICE,
        Outcome.ASSIGNED,
        Outcome.NO_FREE_LICENSE,
    ]
    assert [verdict.ok for verdict in assigned.verdicts] == [True, False, True, False, True, False]
    first = assigned.refused[0]
    assert (first.imei, first.status) == ("x", "LicenseAssignFailed")
    assert first.reason == "Invalid Device IMEI."
    assert (
        assigned.account,
        assigned.total,
        assigned.used,
        assigned.free,
        assigned.count(Outcome.ASSIGNED),
    ) == (ACCOUNT, 2, 2, 0, 2)
    assert (status.account, status.total, status.used, status.free, status.has_more) == (
        ACCOUNT,
        2,
        2,
        0,
        False,
    )
    assert status.devices == tuple(devices)
    assert [(device.imei, device.assigned_at) for device in devices] == [
        (B, datetime(2017, 11, 29, 16, 3, 42, tzinfo=UTC)),
        (A, datetime(2017, 11, 29, 16, 3, 42, tzinfo=UTC)),
    ]
    assert ([verdict.outcome for verdict in removed.verdicts], removed.free) == (
        [Outcome.REMOVED, Outcome.NOT_LICENSED],
        1,
    )


@pytest.mark.fota(scenario=MANY)
def test_devices_go_through_all_pages(fota: Emulator) -> None:
    found = [device.imei for device in fota.client.licenses.devices(ACCOUNT)]

    assert found == list(fota.devices)
    assert len(fota.requests.of("status")) == 3


LISTS: dict[str, Callable[[Client], Listing[Any]]] = {
    "licenses.devices": lambda client: client.licenses.devices(ACCOUNT),
    "licenses.account_devices": lambda client: client.licenses.account_devices(ACCOUNT),
    "pool.devices": lambda client: client.pool.devices(ACCOUNT),
    "devices.list": lambda client: client.devices.list(ACCOUNT),
}


MORE_LISTS: dict[str, Callable[[Client], Listing[Any]]] = {
    **LISTS,
    "licenses.candidates": lambda client: client.licenses.candidates(ACCOUNT),
    "pool.candidates": lambda client: client.pool.candidates(ACCOUNT),
}


def test_pages_without_a_cursor_are_an_error_not_an_end() -> None:
    stuck = answer(200, PAGE | {"hasMoreData": True, "lastSeenDeviceId": None})
    client, _ = ready(stuck, stuck)

    with pytest.raises(ApiError, match="do not go on"):
        list(client.licenses.devices("a"))


@pytest.mark.fota(scenario=MANY)
@pytest.mark.parametrize("skip", [0, 1])
@pytest.mark.parametrize("verb", sorted(LISTS))
def test_a_repeated_page_is_asked_for_again_once(fota: Emulator, verb: str, skip: int) -> None:
    """And then it is an error: not an end, and no device twice."""
    listed = LISTS[verb]
    expected = list(listed(fota.client))
    fota.faults.page_repeated(skip=skip)

    assert list(listed(fota.client)) == expected
    assert len(expected) == len(set(map(repr, expected))) == 2500
    fota.faults.page_repeated(times=2, skip=skip)
    with pytest.raises(ApiError, match="do not go on"):
        list(listed(fota.client))


@pytest.mark.fota(scenario=MANY)
@pytest.mark.parametrize("verb", sorted(MORE_LISTS))
def test_a_list_is_resumed_from_the_cursor_of_a_page(fota: Emulator, verb: str) -> None:
    """By another client, later, without the pages that were dealt with."""
    listed = MORE_LISTS[verb]
    fota.client.pool.replace_candidates(ACCOUNT, fota.devices)
    expected = list(listed(fota.client))
    fota.requests.clear()
    first, *_ = listed(fota.client).pages()
    (second, third) = listed(fota.new_client()).pages(first.cursor)

    assert [len(page.items) for page in (first, second, third)] == [1000, 1000, 500]
    assert [*first.items, *second.items, *third.items] == expected
    assert (first.cursor is None, second.cursor is None, third.cursor) == (False, False, None)
    assert list(listed(fota.client).pages(second.cursor)) == [third]


@pytest.mark.fota(scenario=MANY)
def test_a_list_may_be_gone_through_again_and_asks_for_no_page_too_many(fota: Emulator) -> None:
    devices = fota.client.licenses.devices(ACCOUNT)
    fota.requests.assert_not_called("status")
    assert next(iter(devices)) == next(iter(devices))
    fota.requests.assert_called("status", times=2)


def test_a_cursor_that_is_none_is_refused_by_the_server(fota: Emulator) -> None:
    with pytest.raises(ErrorException):
        list(fota.client.licenses.candidates(ACCOUNT).pages("soon"))
    with pytest.raises(ErrorException):
        list(fota.client.licenses.devices(ACCOUNT).pages("99"))


def test_a_repeated_page_of_candidates_is_asked_for_again_once() -> None:
    first, last = ["1", "2"], ["3"]

    def page(imeis: list[str]) -> Response:
        return answer(200, {"deviceList": imeis, "hasMoreData": imeis is first})

    client, script = ready(page(first), page(first), page(last))
    assert list(client.licenses.candidates("a")) == [*first, *last]
    assert [path.partition("=")[2] for path in paths(script)] == ["0", "2", "2"]
    client, _ = ready(page(first), page(first), page(first))
    with pytest.raises(ApiError, match="do not go on"):
        list(client.licenses.candidates("a"))


@pytest.mark.fota(scenario=MANY)
def test_a_total_that_is_not_told_is_none_not_zero(fota: Emulator) -> None:
    fota.faults.members_missing()

    status = fota.client.licenses.status(ACCOUNT)
    assert (status.total, status.free, status.used) == (None, None, 2500)


# --- the network -------------------------------------------------------------------------------


def test_nobody_listening_is_a_connection_that_failed_unsent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    client = Client(
        access_token="b", session_token="s", base_url=f"http://127.0.0.1:{port}", max_retries=0
    )

    with pytest.raises(ConnectionFailed, match=f"cannot connect to 127.0.0.1:{port}") as caught:
        client.licenses.assign("a", [A])
    assert caught.value.sent is False


@pytest.mark.parametrize("door", ["fota", "fota_live"])
@pytest.mark.parametrize(
    ("arm", "kind", "said"),
    [
        (lambda f: f.answer_delayed(60), TimedOut, r"did not answer within 0\.3 s"),
        (lambda f: f.connection_cut(), ConnectionFailed, "broke"),
        (lambda f: f.connection_cut("within"), ConnectionFailed, "broke"),
    ],
)
def test_no_answer_is_a_failure_that_may_have_been_sent(
    request: pytest.FixtureRequest,
    door: str,
    arm: Arm,
    kind: type[ConnectionFailed],
    said: str,
) -> None:
    """The same through both doors, so that what the emulator says in process is the truth."""
    fota: Emulator | Live = request.getfixturevalue(door)
    tokens = fota.client._tokens.get(session=True)
    with fota.new_client(
        access_token=tokens["bearer"],
        session_token=tokens["session"],
        max_retries=0,
        timeout_s=0.3 if kind is TimedOut else 60,
    ) as client:
        arm(fota.faults)
        with pytest.raises(ConnectionFailed, match=said) as caught:
            client.licenses.assign(ACCOUNT, [A])
    assert (type(caught.value), caught.value.sent) == (kind, True)


def test_a_name_that_does_not_resolve_is_a_connection_that_failed() -> None:
    client = Client(
        access_token="b", session_token="s", base_url="https://nowhere.invalid", max_retries=0
    )

    with pytest.raises(ConnectionFailed, match=r"nowhere\.invalid"):
        client.licenses.status("a")


def test_redirects_are_not_followed(small_world: World) -> None:
    client, script = ready(answer(302, location="http://elsewhere/"))

    with pytest.raises(UnexpectedAnswer):
        client.licenses.status("a")
    assert len(script.sent) == 1


def test_a_client_can_go_on_after_close(small_world: World) -> None:
    small_world.add_account()
    login = small_world.add_login()
    with small_world.serving() as url:
        client = login.client(url)
        with client:
            client.licenses.status(ACCOUNT)
        assert client.licenses.status(ACCOUNT).used == 0
        client.close()


@SYNC_ALONE
def test_a_transport_of_ones_own_needs_two_methods() -> None:
    class Echo:
        def send(self, request: HttpRequest, timeout_s: float) -> Response:
            assert timeout_s == 7
            return answer(200, PAGE | {"accountName": request.url.rpartition("/")[2]})

        def close(self) -> None:
            pass

    client = Client(access_token="b", session_token="s", transport=Echo(), timeout_s=7)
    assert client.licenses.status("mine").account == "mine"


@SYNC_ALONE
def test_public_names_are_there_and_sorted() -> None:
    names = [name for name in fotapool.__all__ if name != "__version__"]

    assert names == sorted(names)
    for name in names:
        value = getattr(fotapool, name)
        assert value.__doc__, name


@SYNC_ALONE
def test_importing_is_light() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys; from fotapool import Client; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()

    assert not {
        "urllib3",
        "asyncio",
        "sqlite3",
        "starlette",
        "uvicorn",
        "click",
        "rich",
        "aiohttp",
    } & set(loaded)


def test_sessions_of_another_login_are_told_apart(small_world: World) -> None:
    """A ready session of another credential is refused, and replaced where a login was given."""
    small_world.add_account()
    mine, other = small_world.add_login(), small_world.add_login()
    with small_world.serving() as url:
        client = mine.client(url, session_token=other.session)
        assert client.licenses.status(ACCOUNT).used == 0
        client.close()
        bare = Client(base_url=url, access_token=mine.bearer, session_token=other.session)
        with pytest.raises(ErrorException) as caught:
            bare.licenses.status(ACCOUNT)
        bare.close()
    assert caught.value.error_code == "UnifiedWebService.INPUT_INVALID.SessionToken.Invalid"
