"""`client.log_out()`: what it ends at the server, what it does where tokens have died already, and
that the client can be used afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fotapool import (
    AnswerError,
    ApiError,
    Client,
    ClientInvalid,
    ConfigurationError,
    ConnectionFailed,
    ServerError,
    SessionInvalid,
    TimedOut,
    TokenInvalid,
)
from fotapool.testing import Emulator
from world import ACCOUNT, Script, World, answer

pytestmark = pytest.mark.usefixtures("colour")

TOKENS: dict[str, Any] = {"access_token": "bearer-1", "session_token": "session-1"}
LOGIN: dict[str, Any] = {
    "client_id": "id",
    "client_secret": "secret",
    "username": "user",
    "password": "word",
}
DONE = answer(200)
DEAD = answer(401, {"fault": {"code": "900901", "message": "Invalid Credentials"}})


def asked(fota: Emulator) -> list[str]:
    """The operations since the last look."""
    found = [entry.operation for entry in fota.requests]
    fota.requests.clear()
    return found


def tokens_of(client: Client, fota: Emulator) -> dict[str, Any]:
    """The tokens of a client that has logged in."""
    client.licenses.status(ACCOUNT)
    found: dict[str, Any] = {}

    def note(request: Any) -> None:
        found.update(request.headers)

    client.licenses.status(ACCOUNT, before_request=note)
    asked(fota)
    bearer = found["Authorization"].removeprefix("Bearer ")
    return {"access_token": bearer, "session_token": found["VZ-M2M-Token"]}


def test_both_tokens_are_ended_and_the_next_call_logs_in_again(fota: Emulator) -> None:
    client = fota.new_client()
    old = tokens_of(client, fota)
    client.log_out()
    assert asked(fota) == ["logout", "revoke"]

    with_bearer = fota.new_client(client_secret="", access_token=old["access_token"])
    with_session = fota.new_client(password="", session_token=old["session_token"])
    with pytest.raises(TokenInvalid):
        with_bearer.pool.status(ACCOUNT)
    with pytest.raises(SessionInvalid):
        with_session.licenses.status(ACCOUNT)
    asked(fota)

    new = tokens_of(client, fota)
    assert {new["access_token"], new["session_token"]}.isdisjoint(old.values())
    client.close()
    assert asked(fota) == [], "to close is not to log out"


def test_where_there_is_nothing_to_end_nothing_is_sent(fota: Emulator) -> None:
    client = fota.new_client()
    client.log_out()
    assert asked(fota) == []

    client.pool.status(ACCOUNT)
    client.log_out()
    client.log_out()
    assert asked(fota) == ["token", "status", "revoke"]


def test_the_clients_of_with_options_are_logged_out_too(fota: Emulator) -> None:
    client = fota.new_client()
    other = client.with_options(timeout_s=5)
    other.licenses.status(ACCOUNT)
    client.log_out()
    other.log_out()
    assert asked(fota) == ["token", "login", "status", "logout", "revoke"]
    other.licenses.status(ACCOUNT)
    assert asked(fota) == ["token", "login", "status"]


def another_logs_out(fota: Emulator) -> None:
    """Clients of one id have one bearer, and sessions of their own."""
    another = fota.new_client()
    another.licenses.status(ACCOUNT)
    another.log_out()
    asked(fota)


# what has died, and what is asked then
DEATHS: dict[str, tuple[Callable[[Emulator], object], list[str]]] = {
    "session": (lambda f: f.clock.advance(minutes=22),                      ["logout", "revoke"]),
    "both": (lambda f: f.clock.advance(minutes=61),                         ["logout", "token", "logout", "revoke"]),
    "bearer": (lambda f: f.faults.token_revoked(operation="logout"),        ["logout", "token", "logout", "revoke"]),
    "session ended": (lambda f: f.faults.session_expired(operation="logout"), ["logout", "revoke"]),
    "bearer, by another client": (another_logs_out,                         ["logout", "token", "logout", "revoke"]),
}  # fmt: skip


@pytest.mark.parametrize("death", DEATHS)
def test_what_has_died_is_no_error(fota: Emulator, death: str) -> None:
    client = fota.new_client()
    tokens_of(client, fota)
    kill, expected = DEATHS[death]
    kill(fota)
    client.log_out()

    assert asked(fota) == expected
    assert client.licenses.status(ACCOUNT).used == 0
    assert asked(fota) == ["token", "login", "status"]


# --- ready tokens ------------------------------------------------------------------------------


def test_ready_tokens_are_ended_by_whoever_can(fota: Emulator) -> None:
    ready = tokens_of(fota.client, fota)
    client = fota.new_client(**ready)
    client.log_out()
    assert asked(fota) == ["logout", "revoke"]
    assert client.licenses.status(ACCOUNT).used == 0
    assert asked(fota) == ["token", "login", "status"]


def test_a_client_of_ready_tokens_alone_has_none_left(fota: Emulator) -> None:
    nobody = dict.fromkeys(LOGIN, "")
    client = fota.new_client(**nobody, **tokens_of(fota.client, fota))
    client.log_out()

    assert asked(fota) == ["logout"], "a bearer is revoked with client id and secret"
    with pytest.raises(ConfigurationError, match=r"missing: client_id .*, username .*, password"):
        client.licenses.status(ACCOUNT)
    client.log_out()
    assert asked(fota) == []


# what a client has                                                     what answers          is asked
LEFT: list[tuple[dict[str, Any], list[Any], list[str]]] = [
    (TOKENS,                                                            [DEAD],               ["logout"]),
    ({"session_token": "session-1"},                                    [],                   []),
    ({"session_token": "session-1", "client_id": "i", "client_secret": "s"},
     [answer(200, {"access_token": "b"}), DONE, DONE],                  ["token", "logout", "revoke"]),
    ({"access_token": "b", "client_id": "i", "client_secret": "s"},     [DONE],               ["revoke"]),
]  # fmt: skip


@pytest.mark.parametrize(("has", "answers", "sent"), LEFT)
def test_what_there_is_no_means_to_end_is_forgotten(
    has: dict[str, Any], answers: list[Any], sent: list[str]
) -> None:
    script = Script(*answers)
    client = Client(transport=script, **has)
    client.log_out()
    client.log_out()

    assert [request.url.rpartition("/")[2] for request in script.sent] == sent


def test_what_is_sent() -> None:
    script = Script(DONE, DONE)
    Client(transport=script, **LOGIN, **TOKENS).log_out()
    logout, revoke = script.sent

    assert (logout.method, logout.url, logout.body) == (
        "POST",
        "https://thingspace.verizon.com/api/m2m/v1/session/logout",
        None,
    )
    assert logout.headers["Authorization"] == "Bearer bearer-1"
    assert logout.headers["VZ-M2M-Token"] == "session-1"
    assert (revoke.method, revoke.url, revoke.body) == (
        "POST",
        "https://thingspace.verizon.com/api/ts/v1/oauth2/revoke",
        b"grant_type=client_credentials&token=bearer-1",
    )
    assert revoke.headers["Authorization"] == "Basic aWQ6c2VjcmV0"
    assert revoke.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert "Idempotency-Key" not in {**logout.headers, **revoke.headers}


# --- what goes wrong ---------------------------------------------------------------------------


@pytest.mark.parametrize("operation", ["logout", "revoke"])
def test_it_is_tried_again_as_a_read_is(fota: Emulator, operation: str) -> None:
    client = fota.new_client()
    tokens_of(client, fota)
    fota.faults.answer_lost(operation=operation)
    fota.faults.unavailable(operation=operation, skip=1)
    client.log_out()
    assert asked(fota) == (
        ["logout"] * 3 + ["revoke"] if operation == "logout" else ["logout"] + ["revoke"] * 3
    )


# The operation, the fault, its error; what the next attempt asks
FAILURES: list[tuple[str, str, type[ApiError], list[str]]] = [
    ("logout", "unavailable",       ServerError,      ["logout", "revoke"]),
    ("revoke", "unavailable",       ServerError,      ["revoke"]),
    ("logout", "connection_cut",    ConnectionFailed, ["logout", "revoke"]),
    ("revoke", "answer_delayed",    TimedOut,         ["revoke"]),
]  # fmt: skip


@pytest.mark.parametrize(("operation", "fault", "kind", "after"), FAILURES)
def test_what_may_go_on_living_is_told_and_kept(
    fota: Emulator, operation: str, fault: str, kind: type[ApiError], after: list[str]
) -> None:
    client = fota.new_client()
    tokens_of(client, fota)
    with (
        getattr(fota.faults, fault)(operation=operation, times=None),
        pytest.raises(kind) as caught,
    ):
        client.log_out(max_retries=0)
    assert not caught.value.in_doubt
    asked(fota)

    client.log_out()
    assert asked(fota) == after


def test_a_client_that_is_not_let_in_is_told() -> None:
    wrong = answer(401, {"error": "invalid_client", "error_description": "x"})
    for answers in ([DONE, wrong], [DEAD, wrong]):
        client = Client(transport=Script(*answers), **LOGIN, **TOKENS)
        with pytest.raises(ClientInvalid):
            client.log_out()


@pytest.mark.parametrize("status", [400, 403, 500])
def test_a_refusal_that_says_nothing_of_a_dead_session_is_an_error(status: int) -> None:
    client = Client(transport=Script(answer(status, b"no")), **TOKENS, max_retries=0)
    with pytest.raises(AnswerError, match=f"^{status} "):
        client.log_out()


# --- over a socket -----------------------------------------------------------------------------


@pytest.fixture
def served(small_world: World) -> Iterator[Client]:
    small_world.add_account()
    login = small_world.add_login(ACCOUNT)
    with small_world.serving() as url, login.client(url) as client:
        yield client


def test_a_served_client_logs_out_and_in(served: Client) -> None:
    for _ in range(2):
        assert served.licenses.status(ACCOUNT).used == 0
        served.log_out()
