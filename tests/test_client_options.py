"""Other options for some calls, hooks around each request, and lines without secrets."""

from __future__ import annotations

import inspect
import logging
import math
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import fotapool
from fotapool import (
    Client,
    ConfigurationError,
    ConnectionFailed,
    HttpRequest,
    Response,
    ServerError,
    TimedOut,
    TooManyRequests,
)
from fotapool.client.watching import LOGGER, line_of
from fotapool.testing import Account, Emulator, Live, Scenario
from world import ACCOUNT, Script

pytestmark = pytest.mark.usefixtures("colour")

A = "990003425730524"
SOURCE = Path(__file__).parent.parent / "src"


# --- with_options ------------------------------------------------------------------------------


def test_other_options_hold_for_the_other_client_alone(fota: Emulator) -> None:
    client = fota.new_client(max_retries=1)
    patient = client.with_options(max_retries=4)
    hasty = patient.with_options(timeout_s=0.5, retry_budget_s=0)
    client.licenses.status(ACCOUNT)
    fota.requests.clear()
    fota.faults.unavailable(form="none", times=None)

    for each, attempts in ((client, 2), (patient, 5), (hasty, 1), (client, 2)):
        with pytest.raises(ServerError):
            each.licenses.status(ACCOUNT)
        assert len(fota.requests) == attempts
        fota.requests.clear()
    fota.faults.clear()
    fota.faults.answer_delayed(10)
    with pytest.raises(TimedOut, match=r"within 0\.5 s"):
        hasty.pool.status(ACCOUNT)


def test_login_and_what_the_server_has_shown_are_shared(fota: Emulator) -> None:
    client = Client()
    client.with_options(max_retries=1).licenses.status(ACCOUNT)
    fota.faults.answer_lost(operation="assign")
    client.licenses.assign(ACCOUNT, [A])

    fota.requests.assert_called("token", times=1)
    fota.requests.assert_called("login", times=1)
    fota.requests.assert_called("assign", times=2)


@pytest.mark.parametrize(
    "wrong",
    [
        {"timeout_s": 0},
        {"timeout_s": "5"},
        {"deadline_s": math.nan},
        {"max_retries": -1},
        {"max_retries": "2"},
        {"retry_budget_s": -1},
    ],
)
def test_options_that_make_no_sense_are_told_at_once(
    fota: Emulator, wrong: dict[str, object]
) -> None:
    (name, value), *_ = wrong.items()
    said = f"^{name} {value!r}: use a number "
    with pytest.raises(ConfigurationError, match=said):
        fota.client.with_options(**wrong)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=said):
        Client(**wrong)  # type: ignore[arg-type]


def test_a_time_may_be_without_end(fota_live: Live) -> None:
    with fota_live.new_client(timeout_s=math.inf, retry_budget_s=math.inf) as client:
        assert client.licenses.status(ACCOUNT).used == 0


def test_tries_may_be_without_end(fota: Emulator) -> None:
    client = fota.new_client(max_retries=10_000, retry_budget_s=math.inf)
    fota.faults.unavailable(form="none", times=1_100)
    assert client.licenses.status(ACCOUNT).used == 0


def test_other_options_hold_for_every_verb(fota: Emulator) -> None:
    other = fota.client.with_options(max_retries=0)
    fota.faults.unavailable(form="none", times=None, operation="any")

    for call in (
        lambda: other.licenses.status(ACCOUNT),
        lambda: list(other.pool.devices(ACCOUNT)),
        lambda: list(other.devices.list(ACCOUNT)),
        lambda: other.upgrades.schedule(ACCOUNT, [A]),
    ):
        fota.requests.clear()
        with pytest.raises(ServerError):
            call()
        assert len(fota.requests) == 1


# --- hooks -------------------------------------------------------------------------------------


def test_hooks_see_every_request_and_what_came_of_it(fota: Emulator) -> None:
    sent: list[HttpRequest] = []
    came: list[tuple[HttpRequest, Response | ConnectionFailed]] = []
    client = fota.new_client(
        before_request=sent.append,
        after_request=lambda request, answer: came.append((request, answer)),
    )
    fota.faults.connection_cut(operation="status")
    client.licenses.status(ACCOUNT)

    assert [request.url.rpartition("/")[2] for request in sent] == [
        "token",
        "login",
        ACCOUNT,
        ACCOUNT,
    ]
    assert [request for request, _ in came] == sent
    assert [
        answer.status_code if isinstance(answer, Response) else type(answer) for _, answer in came
    ] == [200, 200, ConnectionFailed, 200]


def test_a_hook_may_be_of_one_call_alone(fota: Emulator) -> None:
    seen: list[HttpRequest] = []
    client = fota.client
    client.with_options(before_request=seen.append).licenses.status(ACCOUNT)
    client.licenses.status(ACCOUNT)

    # The logins are those of the client that both come from.
    assert [request.url.rpartition("/")[2] for request in seen] == [ACCOUNT]


# --- lines -------------------------------------------------------------------------------------


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("FOTAPOOL_LOG", "debug")
    yield
    LOGGER.handlers.clear()
    LOGGER.setLevel(logging.NOTSET)
    LOGGER.propagate = True


@pytest.mark.usefixtures("lines")
def test_each_request_is_a_line_without_secrets(
    fota: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    client = fota.new_client()
    fota.faults.connection_cut(operation="status")
    client.licenses.status(ACCOUNT)
    client.licenses.assign(ACCOUNT, [A], idempotency_key="nightly 7")
    tokens = client._tokens.get(session=True)

    told = capsys.readouterr().err
    token, login, cut, status, assign = told.splitlines()
    assert " fotapool.client POST http://fota.test/api/ts/v1/oauth2/token " in token
    assert "-> 200 " in token
    assert "-> 200 " in login
    assert f"GET http://fota.test/api/fota/v3/licenses/{ACCOUNT} " in cut
    assert "-> ConnectionFailed: the connection to fota.test broke" in cut
    assert "-> 200 " in status
    assert "'Authorization': '***', 'VZ-M2M-Token': '***'" in status
    assert "'Idempotency-Key': 'nightly 7'" in assign
    secret = fota.login
    for hidden in (*tokens.values(), secret.client_secret, secret.username, secret.password):
        assert hidden not in told


def test_no_header_that_lets_somebody_in_is_shown() -> None:
    names = (
        "Authorization",
        "PROXY-AUTHORIZATION",
        "VZ-M2M-Token",
        "RevokedAccessToken",
        "Cookie",
        "Set-Cookie",
    )
    headers = dict.fromkeys(names, "let me in") | {"X-Request-Id": "r-1"}
    told = line_of(HttpRequest("GET", "http://h/", headers), Response(200, headers, b"{}"), 0.0125)

    assert told.count("'***'") == 12
    assert told.count("'r-1'") == 2
    assert "let me in" not in told
    assert told.endswith(" 2 bytes in 12 ms")


def test_another_level_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOTAPOOL_LOG", "loud")

    with pytest.raises(ConfigurationError, match="FOTAPOOL_LOG 'loud': use debug"):
        Client()


def test_a_program_need_not_set_up_anything(fota_live: Live) -> None:
    program = f"import fotapool; fotapool.Client().licenses.status({ACCOUNT!r})"
    for level, expected in (("debug", 3), ("", 0)):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", program],
            capture_output=True,
            text=True,
            check=True,
            env={**fota_live.env, "FOTAPOOL_LOG": level, "PYTHONPATH": str(SOURCE)},
        )
        assert done.stderr.count("-> 200 ") == len(done.stderr.splitlines()) == expected


# --- of one call -------------------------------------------------------------------------------


def test_every_verb_takes_options_of_its_own() -> None:
    verbs = [
        getattr(part, name)
        for client in (fotapool.Client(), fotapool.AsyncClient(transport=Script()))
        for part in (client.licenses, client.pool, client.devices, client.upgrades)
        for name in dir(part)
        if not name.startswith("_")
    ]

    assert len(verbs) > 90
    for verb in verbs:
        last = list(inspect.signature(verb).parameters.values())[-1]
        assert (last.name, last.kind.description) == ("options", "variadic keyword"), verb


def test_an_option_holds_for_its_call_alone(fota: Emulator) -> None:
    client = fota.new_client(max_retries=1)
    client.licenses.status(ACCOUNT)
    fota.requests.clear()
    fota.faults.unavailable(form="none", times=None)

    for call, attempts in (
        (lambda: client.licenses.status(ACCOUNT, max_retries=0), 1),
        (lambda: client.licenses.status(ACCOUNT), 2),
        (lambda: list(client.licenses.devices(ACCOUNT, max_retries=3)), 4),
        (lambda: client.pool.dry_run_resize(ACCOUNT, 5, max_retries=2), 3),
        (lambda: client.pool.assign(ACCOUNT, [A], max_retries=0), 1),
    ):
        with pytest.raises(ServerError):
            call()
        assert len(fota.requests) == attempts
        fota.requests.clear()


def test_an_option_that_there_is_not_is_told_at_once(fota: Emulator) -> None:
    for call in (fota.client.licenses.status, fota.client.licenses.devices):
        with pytest.raises(
            TypeError, match=r"no option of a call: retries\. There are timeout_s, "
        ):
            call(ACCOUNT, retries=3)  # type: ignore[call-arg]
    assert len(fota.requests) == 0


# --- how long a call may take ------------------------------------------------------------------


def test_a_call_ends_by_its_deadline(fota: Emulator) -> None:
    client = fota.client
    client.licenses.status(ACCOUNT)
    fota.requests.clear()
    began = fota.clock.now
    fota.faults.answer_delayed(60, times=None)

    with pytest.raises(TimedOut, match=r"within 7 s"):
        client.licenses.status(ACCOUNT, deadline_s=7)
    assert len(fota.requests) == 1
    fota.faults.clear()
    fota.faults.unavailable(retry_after_s=4, times=None)
    with pytest.raises(ServerError):
        client.licenses.status(ACCOUNT, deadline_s=7, max_retries=9)
    assert len(fota.requests) == 3
    assert (fota.clock.now - began).total_seconds() == 11


def test_a_wait_does_not_begin_that_ends_beyond_the_deadline(fota: Emulator) -> None:
    client = fota.client
    client.licenses.status(ACCOUNT)
    fota.requests.clear()
    fota.faults.too_many_requests(retry_after_s=30)

    with pytest.raises(TooManyRequests) as caught:
        client.licenses.status(ACCOUNT, deadline_s=7)
    assert caught.value.retry_after_s == 30
    assert len(fota.requests) == 1


# --- a server that wants to be left alone ------------------------------------------------------


def test_every_call_waits_as_long_as_one_was_told_to(fota: Emulator) -> None:
    client = fota.new_client(max_retries=0)
    client.licenses.status(ACCOUNT)
    fota.faults.too_many_requests(retry_after_s=20)
    with pytest.raises(TooManyRequests):
        client.licenses.status(ACCOUNT)
    told_at = fota.clock.now
    fota.requests.clear()

    with pytest.raises(TooManyRequests) as caught:
        client.pool.status(ACCOUNT, retry_budget_s=5)
    assert caught.value.retry_after_s == 20
    assert len(fota.requests) == 0
    client.with_options(max_retries=1).pool.assign(ACCOUNT, [A])
    assert (fota.clock.now - told_at).total_seconds() == 20
    client.pool.status(ACCOUNT)
    assert (fota.clock.now - told_at).total_seconds() == 20


def test_a_token_is_not_asked_for_while_the_server_wants_to_be_left_alone(fota_live: Live) -> None:
    fota_live.faults.too_many_requests(retry_after_s=20, operation="token", times=None)
    client = fota_live.new_client(
        max_retries=0, retry_budget_s=5, before_request=lambda _request: time.sleep(0.2)
    )

    def refused() -> float | None:
        with pytest.raises(TooManyRequests) as caught:
            client.licenses.status(ACCOUNT)
        return caught.value.retry_after_s

    with ThreadPoolExecutor(8) as threads:
        calls = [threads.submit(refused) for _ in range(8)]
    assert {call.result() for call in calls} == {20}
    fota_live.requests.assert_called("token", times=1)


def test_who_is_told_no_time_holds_up_nobody(fota: Emulator) -> None:
    client = fota.new_client(max_retries=0)
    client.licenses.status(ACCOUNT)
    fota.faults.too_many_requests(form="none")
    with pytest.raises(TooManyRequests):
        client.licenses.status(ACCOUNT)
    told_at = fota.clock.now

    client.licenses.status(ACCOUNT)
    assert fota.clock.now == told_at


# --- a part of a list --------------------------------------------------------------------------


@pytest.mark.fota(
    scenario=Scenario(accounts=(Account(devices=2_500, licenses=2_500, licensed=2_500),))
)
def test_no_page_is_asked_for_that_is_not_needed(fota: Emulator) -> None:
    devices = fota.client.licenses.devices(ACCOUNT)

    for limit, found, pages in ((None, 2_500, 3), (0, 0, 0), (1_000, 1_000, 1), (1_001, 1_001, 2)):
        fota.requests.clear()
        assert [d.imei for d in devices.to_list(limit=limit)] == list(fota.devices[:found])
        fota.requests.assert_called("status", times=pages)
