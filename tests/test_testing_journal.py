"""The journal, its assertions, strictness, and the guard that keeps tests from other hosts."""

from __future__ import annotations

import asyncio
import http.client
import os
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest
import requests

from fotapool import ApiError, Client, HttpRequest
from fotapool.testing import Account, Emulator, Entry, OtherHostCalled, Scenario, emulated

ACCOUNT = "0000123456-00001"
A, B, C = (f"{990003425730500 + at}" for at in range(3))
SMALL = Scenario(accounts=(Account(licenses=1, devices=3),))


def ask(
    fota: Emulator,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> None:
    """One request with both tokens, unless headers are given."""
    if headers is None:
        tokens = fota.client._tokens.get(session=True)
        headers = {
            "Authorization": f"Bearer {tokens['bearer']}",
            "VZ-M2M-Token": tokens["session"],
        }
    fota.transport.send(HttpRequest(method, f"http://any{path}", headers, body), 1)


# --- what is told ------------------------------------------------------------------------------

LICENSES = f"/api/fota/v3/licenses/{ACCOUNT}"
# method, path, body, rule, why
MISSES = [
    ("GET", LICENSES + "?lastSeenDeviceId=1000", None, "R4", "lastSeenDeviceId was '1000'; pages are keyed by IMEI"),
    ("GET", LICENSES + "?lastSeenDeviceId=990003425739999", None, "R4", f"lastSeenDeviceId was '990003425739999', which never was a device of {ACCOUNT}"),
    ("GET", LICENSES + "?lastSeenDeviceId=abc", None, "R4", "lastSeenDeviceId was 'abc', which is no number of at most 15 digits"),
    ("GET", LICENSES + "s", None, "R14", f"account '{ACCOUNT}s' is not this login's; the scenario's are: {ACCOUNT}"),
    ("POST", LICENSES + "/assign", b"{", "R1", "the body is no JSON: Input data was truncated"),
    ("POST", LICENSES + "/assign", None, "R1", "there is no body"),
    ("POST", LICENSES + "/assign", b"[]", "R1", "the body is no JSON object"),
    ("POST", LICENSES + "/assign", b'{"deviceList": [9]}', "R1", "deviceList holds 9; devices are texts, in quotes"),
    ("POST", LICENSES + "/assign", b'{"imeis": ["9"]}', "R1", "the body holds imeis; the devices are read from deviceList, which has none"),
    ("POST", LICENSES + "/asign", b"{}", "", "the nearest is POST /api/fota/v3/licenses/{account}/assign"),
    ("PUT", LICENSES + "/assign", b"{}", "", "this path answers POST"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "rule", "why"), MISSES, ids=range(len(MISSES)))
def test_a_miss_is_explained(
    fota: Emulator, method: str, path: str, body: bytes | None, rule: str, why: str
) -> None:
    ask(fota, method, path, body)

    assert (fota.requests.last.rule, fota.requests.last.why) == (rule, why)
    assert why in str(fota.requests)


# sent, then what is told of it
TOKENS = [
    ({}, "the Authorization header is missing; here it is Bearer"),
    ({"Authorization": "Basic eDp5"}, "the Authorization header begins with 'Basic'; here it is Bearer"),
    ({"Authorization": "Bearer x"}, "the bearer token is none of this emulator's, or was revoked or replaced"),
]  # fmt: skip


@pytest.mark.parametrize(("headers", "why"), TOKENS)
def test_a_wrong_token_is_explained(fota: Emulator, headers: dict[str, str], why: str) -> None:
    ask(fota, "GET", LICENSES, headers=headers)

    assert (fota.requests.last.rule, fota.requests.last.why) == ("R14", why)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"client_secret": "x"}, "the scenario's client ids are: emulator-client"),
        ({"password": "x"}, "the scenario's usernames are: emulator; each belongs"),
        ({"session_token": "x", "username": ""}, "the session token is none of this emulator's"),
    ],
)
def test_a_wrong_login_is_explained(fota: Emulator, wrong: dict[str, str], why: str) -> None:
    with pytest.raises(ApiError):
        fota.new_client(**wrong).licenses.status(ACCOUNT)

    assert why in fota.requests.last.why


@pytest.mark.fota(scenario=SMALL)
def test_each_refused_device_is_explained(fota: Emulator) -> None:
    fota.client.licenses.assign(ACCOUNT, [A, "12", "1" * 15, B, A])
    entry = fota.requests.last

    assert [(judged.outcome.word, judged.rule, judged.why) for judged in entry.verdicts] == [
        ("assigned", "R2.5", ""),
        ("malformed", "R2.1", "'12' has 2 digits, an IMEI has 15"),
        ("unknown_device", "R2.3", f"111111111111111 is not registered in {ACCOUNT}"),
        ("no_free_license", "R2.4", "1 of 1 licenses are used"),
        ("already_licensed", "R2.2", ""),
    ]
    assert (entry.operation, entry.account, entry.change, entry.status) == (
        "assign",
        ACCOUNT,
        3,
        200,
    )
    assert entry.json() == {"deviceList": [A, "12", "1" * 15, B, A]}


def test_a_device_that_a_fault_refused_is_told_apart(fota: Emulator) -> None:
    fota.faults.devices_refused([B])
    fota.client.licenses.assign(ACCOUNT, [A, B])

    assert [judged.why for judged in fota.requests.last.verdicts] == [
        "",
        "the fault devices_refused",
    ]
    assert fota.requests.last.faults == ("devices_refused",)


def test_no_secret_is_in_the_journal(fota: Emulator) -> None:
    client = fota.client
    client.licenses.status(ACCOUNT)
    tokens = client._tokens.get(session=True)
    client.log_out()
    told = "".join(
        f"{entry}{entry.request_headers}{entry.request_body!r}{entry.headers}{entry.body!r}"
        for entry in fota.requests
    )

    for secret in (fota.login.client_secret, fota.login.password, *tokens.values(), "Basic ZW"):
        assert secret not in told
    assert "Bearer ***" in told
    assert '"sessionToken":"***"' in told


def test_the_journal_is_a_sequence(fota: Emulator) -> None:
    assert str(fota.requests) == "no requests"
    with pytest.raises(AssertionError, match="no request was made"):
        _ = fota.requests.last
    fota.client.licenses.status(ACCOUNT)

    assert [entry.number for entry in fota.requests] == [1, 2, 3]
    assert [entry.operation for entry in fota.requests[:2]] == ["token", "login"]
    assert fota.requests.of("status", account="another") == []
    fota.requests.clear()
    assert len(fota.requests) == 0


def test_what_is_kept_is_bounded(fota: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fotapool.testing.journal.ENTRIES_MAX", 3)
    for _ in range(3):
        fota.client.licenses.status(ACCOUNT)
    assert [entry.number for entry in fota.requests] == [3, 4, 5]
    monkeypatch.setattr("fotapool.testing.journal.BYTES_MAX", fota.requests.last.weight)
    fota.client.licenses.status(ACCOUNT)
    assert [entry.number for entry in fota.requests] == [6]


# --- assertions --------------------------------------------------------------------------------


# asserted                                                          said, or nothing
ASSERTIONS: list[tuple[Callable[[Emulator], None], list[str]]] = [
    (lambda f: f.requests.assert_assigned([A]),                     []),
    (lambda f: f.requests.assert_assigned([A], account=ACCOUNT),    []),
    (lambda f: f.requests.assert_assigned([A], account="x"),        [f"{A}: no assign named it"]),
    (lambda f: f.requests.assert_assigned([A], only=True),          [f"{C}: assigned, which was not expected"]),
    (lambda f: f.requests.assert_assigned([A, C], only=True),       []),
    (lambda f: f.requests.assert_assigned([B]),                     [f"{B}: unknown_device, by R2.3: the fault devices_refused", "POST /api/fota"]),
    (lambda f: f.requests.assert_assigned([A, "x"]),                ["x: no assign named it"]),
    (lambda f: f.requests.assert_removed([C]),                      []),
    (lambda f: f.requests.assert_removed([A]),                      [f"{A}: no remove named it"]),
    (lambda f: f.requests.assert_called("assign", 1),               []),
    (lambda f: f.requests.assert_called("status"),                  ["status was called 0 times, not at least once"]),
    (lambda f: f.requests.assert_called("assign", 2),               ["assign was called 1 times, not 2 times"]),
    (lambda f: f.requests.assert_not_called("status"),              []),
    (lambda f: f.requests.assert_not_called("remove"),              ["remove was called 1 times, not 0 times"]),
    (lambda f: f.requests.assert_clean(),                           []),
]  # fmt: skip


@pytest.mark.parametrize(("asserted", "said"), ASSERTIONS, ids=range(len(ASSERTIONS)))
def test_assertions(fota: Emulator, asserted: Callable[[Emulator], None], said: list[str]) -> None:
    fota.faults.devices_refused([B])
    fota.client.licenses.assign(ACCOUNT, [A, B, C])
    fota.client.licenses.remove(ACCOUNT, [C])
    if not said:
        asserted(fota)
        return
    with pytest.raises(AssertionError) as caught:
        asserted(fota)
    for words in said:
        assert words in str(caught.value)


def test_one_text_is_not_taken_for_a_list(fota: Emulator) -> None:
    with pytest.raises(TypeError, match=r"write \[imei\]"):
        fota.requests.assert_assigned(A)


# --- strictness --------------------------------------------------------------------------------

V1 = f"/api/fota/v1/licenses/{ACCOUNT}/assign"
# method, path, body, remark, its text
REMARKS = [
    ("GET", "/api/fota/v4/licenses/x", None, "unknown_path", "no operation GET /api/fota/v4/licenses/x; the nearest is GET /api/fota/v3/licenses/{account}"),
    ("POST", LICENSES + "/assign", b'{"deviceList": ["990003425730500", "99000342573050"]}', "malformed_imei", "'99000342573050' has 14 digits, an IMEI has 15"),
    ("POST", LICENSES + "/remove", b'{"deviceList": ["x", "y"]}', "malformed_imei", "'x' is not 15 digits (and 1 more)"),
    ("POST", V1, b'{"deviceList": ["990003425730500"]}', "deprecated_call", f"POST {V1} is deprecated; use {LICENSES}/assign"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "body", "code", "text"), REMARKS, ids=range(len(REMARKS))
)
def test_what_is_likely_a_mistake_is_remarked(
    fota: Emulator, method: str, path: str, body: bytes | None, code: str, text: str
) -> None:
    ask(fota, method, path, body)

    assert [(r.code, r.text) for r in fota.requests.last.remarks] == [(code, text)]
    with pytest.raises(AssertionError, match=f"1 remarks.*\n.*{code}"):
        fota.requests.assert_clean()


@pytest.mark.parametrize(
    ("method", "path", "body", "code", "text"), REMARKS, ids=range(len(REMARKS))
)
def test_one_setting_makes_it_an_error(
    method: str, path: str, body: bytes | None, code: str, text: str
) -> None:
    def sloppy() -> None:
        with emulated(strict=True) as fota:
            ask(fota, method, path, body)
            entries.append(fota.requests.last)

    entries: list[Entry] = []
    with pytest.raises(AssertionError, match="1 remarks"):
        sloppy()
    (entry,) = entries
    assert (entry.status, entry.change) == (400, None)
    assert f"EMULATOR_STRICT: {code}: {text}" in entry.why


@pytest.mark.fota(strict=True)
def test_ordinary_calls_are_answered_under_strictness(fota: Emulator) -> None:
    client = fota.client
    client.licenses.assign(ACCOUNT, [A])
    client.licenses.remove(ACCOUNT, [A])
    list(client.licenses.devices(ACCOUNT))
    client.pool.dry_run_assign(ACCOUNT, [A])


# --- other hosts -------------------------------------------------------------------------------


def by_aiohttp(host: str) -> None:
    async def ask() -> None:
        async with aiohttp.ClientSession() as session, session.get(f"http://{host}:80/"):
            pass

    asyncio.run(ask())


TRIES: list[Callable[[], object]] = [
    lambda: socket.create_connection(("example.com", 80)),
    lambda: socket.create_connection(("192.0.2.1", 80)),
    lambda: socket.socket().connect_ex(("192.0.2.1", 80)),
    lambda: socket.getaddrinfo("example.com", 80),
    lambda: http.client.HTTPConnection("example.com").request("GET", "/"),
    lambda: urllib.request.urlopen("http://example.com/"),
    lambda: requests.get("http://example.com:80/", timeout=1),
    lambda: by_aiohttp("example.com"),
    lambda: by_aiohttp("192.0.2.1"),
]


@pytest.mark.parametrize("attempt", TRIES, ids=range(len(TRIES)))
def test_another_host_fails_the_test_by_name(attempt: Callable[[], object]) -> None:
    with (
        pytest.raises(
            OtherHostCalled, match=r"my_test tried to reach (example\.com|192\.0\.2\.1):80"
        ),
        emulated(test="my_test"),
    ):
        attempt()


@pytest.mark.parametrize("attempt", TRIES[:3], ids=range(3))
def test_it_fails_the_test_also_where_the_error_is_caught(attempt: Callable[[], object]) -> None:
    def quietly() -> None:
        with pytest.raises(OtherHostCalled):
            attempt()

    def in_a_thread() -> None:
        with emulated():
            thread = threading.Thread(target=quietly)
            thread.start()
            thread.join()

    with pytest.raises(OtherHostCalled, match=r"@pytest\.mark\.fota\(allow_hosts="):
        in_a_thread()


def test_this_machine_may_be_reached(fota: Emulator) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        for host in ("127.0.0.1", "localhost"):
            socket.create_connection((host, port)).close()


def test_a_host_that_is_allowed_is_reached_also_by_a_client() -> None:
    class Resolved(Exception):
        pass

    def resolve(*_arguments: object, **_named: object) -> object:
        raise Resolved

    original = socket.getaddrinfo
    socket.getaddrinfo = resolve  # type: ignore[assignment]
    try:
        with emulated(allow_hosts=["example.com"]) as fota:
            with pytest.raises(Resolved):
                socket.create_connection(("example.com", 80))
            with pytest.raises(Resolved):
                Client(base_url="https://example.com", max_retries=0).licenses.status("a")
            assert Client(base_url="http://b.c").licenses.status(fota.account).used == 0
    finally:
        socket.getaddrinfo = original


def test_sockets_are_afterwards_what_they_were() -> None:
    before = (socket.getaddrinfo, socket.socket.connect, dict(vars(socket.socket)))
    with emulated(), emulated():
        assert socket.getaddrinfo is not before[0]

    assert (socket.getaddrinfo, socket.socket.connect, dict(vars(socket.socket))) == before


# --- as pytest shows it ------------------------------------------------------------------------

FAILING = """
import socket
import unittest
import pytest
from fotapool import Client
from fotapool.testing import Account, Scenario, emulated

def test_reaches_out(fota):
    try:
        socket.create_connection(("example.com", 80))
    except AssertionError:
        pass

@pytest.mark.fota(strict=True)
def test_is_sloppy(fota):
    try:
        Client().licenses.assign(fota.account, ["123"])
    except Exception:
        pass

@pytest.mark.fota(scenari=1)
def test_misspells(fota):
    pass

class Old(unittest.TestCase):
    def test_unittest(self):
        with emulated() as fota:
            Client().licenses.assign(fota.account, fota.devices[:1])
            fota.requests.assert_assigned(fota.devices[:1])

@pytest.fixture
def fota_scenario():
    return Scenario(accounts=(Account(name="overridden"),))

def test_overrides(fota):
    assert fota.account == "overridden"
"""


def shown(folder: Path, program: str) -> str:
    """What pytest says of a file, in a run of its own."""
    (folder / "test_it.py").write_text(program)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error"],
        cwd=folder,
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stdout
    assert "During handling" not in done.stdout
    return done.stdout


def test_what_pytest_shows(tmp_path: Path) -> None:
    said = shown(tmp_path, FAILING)
    for words in (
        "FAILED test_it.py::test_reaches_out - Failed: test_it.py::test_reaches_out tried to reach example.com:80",
        "FAILED test_it.py::test_is_sloppy - Failed: 1 remarks on what was asked",
        "ERROR test_it.py::test_misspells - Failed: test_it.py::test_misspells: use @pytest.mark.fota(scenario=",
        "2 failed, 2 passed, 1 error",
    ):
        assert words in said, said
    assert said.count("-- fota: what was asked --") == 2


SETTINGS = """
[pytest]
fota_scenario = scenarios/fleet.toml
fota_strict = true
fota_allow_hosts = one.example two.example
"""
SET = """
import pytest
import socket

def test_scenario(fota):
    assert (fota.account, fota.strict) == ("fleet", True)

def test_host(fota, monkeypatch):
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("two.example.invalid.", 80)

@pytest.mark.fota(strict=False, scenario="other.json")
def test_marker(fota):
    assert (fota.account, fota.strict) == ("other", False)

@pytest.mark.fota(scenario="none.toml")
def test_none(fota):
    pass

@pytest.mark.fota(scenario="wrong.json")
def test_wrong(fota):
    pass
"""


def test_settings_and_files(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text(SETTINGS.replace("two.example", "two.example.invalid."))
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios" / "fleet.toml").write_text('[[accounts]]\nname = "fleet"\n')
    (tmp_path / "other.json").write_text('{"accounts": [{"name": "other"}]}')
    (tmp_path / "wrong.json").write_text('{"accounts": [{"licenses": 1, "licensed": 2}]}')

    said = shown(tmp_path, SET)
    for words in (
        "3 passed, 2 errors",
        f"ERROR test_it.py::test_none - Failed: {tmp_path}/none.toml: No such file or directory",
        "ERROR test_it.py::test_wrong - Failed: scenario: account 0000123456-00001: cannot assign 990003425730501: no_free_license",
    ):
        assert words in said, said


def test_a_run_that_does_not_use_it_does_not_pay_for_it(tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text(
        "import sys\n\ndef test():\n"
        "    assert not {'fotapool.client', 'fotapool.testing', 'msgspec'} & set(sys.modules)\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )

    assert "1 passed" in done.stdout, done.stdout
