"""An error for each code, below that of its status: the table, what it takes, what it tells."""

from __future__ import annotations

import asyncio
import copy
import gc
import inspect
import json
import pickle
import re
import traceback
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import fotapool
from fotapool import (
    AccountNotFound,
    AnswerError,
    ApiError,
    AsOfBefore,
    AsOfLater,
    AsyncClient,
    ChangeNotFound,
    Client,
    ClientInvalid,
    Conflict,
    DeviceNotFound,
    ErrorException,
    EventOnly,
    Forbidden,
    IdempotencyKeyReused,
    InternalError,
    InvalidParameter,
    LoginRefused,
    MissingPath,
    MoreUsed,
    OutcomeUnknown,
    PreconditionFailed,
    ResizedSince,
    Response,
    RoleMissing,
    ServerError,
    ServiceUnavailable,
    SessionExpired,
    SessionInvalid,
    TokenInvalid,
    TooManyRequests,
    Unauthorized,
    UndoImpossible,
    UnexpectedAnswer,
)
from fotapool.client.errors import MESSAGE_SHOWN_MAX
from fotapool.client.errors_by_code import BY_CODE, error_of
from fotapool.client.transport import HttpRequest
from fotapool.model import Refusal
from fotapool.testing import Account, Emulator, Login, Scenario
from fotapool.wire.errors import ERRORS, SPELT_OTHERWISE, write_error
from test_docs import table
from test_wire import NAMED
from world import ACCOUNT, Script, answer

BOTH = pytest.mark.usefixtures("colour")

A = "990003425730524"
NOWHERE = "0000000000-00009"
EVENTS = "0000123456-00002"
LOOKER = Login(
    name="looker",
    client_id="looker-client",
    client_secret="looker-secret",
    username="looker",
    password="looker-password",
    role="viewer",
)
SEEDED = Scenario(
    accounts=(
        Account(licenses=2, devices=(A,)),
        Account(name=EVENTS, licenses=0, purchase_type="EVNT"),
    ),
    logins=(Login(), LOOKER),
)
BY_STATUS: dict[int, type[AnswerError]] = {
    400: ErrorException,
    401: Unauthorized,
    403: Forbidden,
    404: MissingPath,
    409: Conflict,
    412: Conflict,
    429: TooManyRequests,
}


def broad_of(status: int) -> type[AnswerError]:
    return BY_STATUS.get(status, ServerError if status >= 500 else UnexpectedAnswer)


# --- the table ---------------------------------------------------------------------------------


@pytest.mark.parametrize("api", ["/fota/v3", "/fotapool/v1"])
@pytest.mark.parametrize("refusal", Refusal)
def test_whatever_the_server_writes_is_read_as_the_error_of_its_code(
    refusal: Refusal, api: str
) -> None:
    status, body = write_error(refusal, named=NAMED, api=api)
    error = error_of(Response(status, {}, body))

    assert type(error) is BY_CODE[ERRORS[refusal].code]
    assert isinstance(error, broad_of(status))
    assert type(error) not in {*BY_STATUS.values(), ServerError, UnexpectedAnswer}
    assert error.error_code == ERRORS[refusal].code


def test_every_code_of_the_server_has_an_error_of_its_own_and_none_is_left_over() -> None:
    own = {row.code: BY_CODE[row.code] for row in ERRORS.values()}

    assert len(set(own.values())) == len(own) == 33
    assert set(BY_CODE) == set(own) | set(SPELT_OTHERWISE)
    assert set(own.values()) == set(BY_CODE.values())


def test_the_table_in_the_docs_is_the_errors() -> None:
    rows = table("docs/reference/client.md", "Class | Status | `errorCode`")
    told = {row[0]: (row[1], set(re.findall(r"[\w.]+(?=`|$)", row[2]))) for row in rows}
    statuses: dict[str, set[int]] = {}
    for row in ERRORS.values():
        for status in (row.status, row.own_status):
            if status:
                statuses.setdefault(row.code, set()).add(status)

    assert len(told) == len(rows)
    for kind in set(BY_CODE.values()):
        codes = {code for code, known in BY_CODE.items() if known is kind}
        said = {int(status) for status in re.findall(r"\d{3}", told[kind.__name__][0])}
        assert told.pop(kind.__name__)[1] == codes
        assert said == {status for code in codes for status in statuses.get(code, ())}
    assert told == {
        "ErrorException": ("400", {"other"}),
        "Unauthorized": ("401", {"other"}),
        "Forbidden": ("403", {"other"}),
        "MissingPath": ("404", {"other"}),
        "Conflict": ("409, 412", {"other"}),
        "TooManyRequests": ("429", {"any"}),
        "ServerError": ("5xx", {"other"}),
        "UnexpectedAnswer": ("any other", {"other"}),
    }
    assert all(row[3] for row in rows)


def test_every_error_is_public_and_says_what_it_is() -> None:
    public = {
        value
        for name in fotapool.__all__
        if inspect.isclass(value := getattr(fotapool, name)) and issubclass(value, AnswerError)
    }

    assert public == {*BY_CODE.values(), *BY_STATUS.values(), AnswerError, ServerError,
                      UnexpectedAnswer}  # fmt: skip
    assert all(kind.__dict__["__doc__"] for kind in public)


# status  code                    error
ELSEWHERE: list[tuple[int, str, type[AnswerError]]] = [
    (400, "LEVITATED",            ErrorException),
    (400, "900906",               ErrorException),
    (400, "DEVICE_NOT_FOUND",     ErrorException),
    (400, "INVALID_ACCESS",       RoleMissing),
    (403, "INVALID_ACCESS",       RoleMissing),
    (403, "INVALID_PARAMETER",    Forbidden),
    (409, "PRECONDITION_FAILED",  PreconditionFailed),
    (429, "SERVICE_UNAVAILABLE",  TooManyRequests),
    (500, "PRECONDITION_FAILED",  ServerError),
    (502, "INTERNAL_SYSTEM_ERROR", InternalError),
    (302, "NOT_FOUND",            UnexpectedAnswer),
    (400, "UnifiedWebService.REQUEST_FAILED.SessionToken.Format", SessionInvalid),
]  # fmt: skip


@pytest.mark.parametrize(("status", "code", "kind"), ELSEWHERE)
def test_a_code_that_does_not_go_with_its_status_is_the_error_of_the_status(
    status: int, code: str, kind: type[AnswerError]
) -> None:
    error = error_of(answer(status, {"errorCode": code, "errorMessage": "m"}))

    assert (type(error), error.error_code, error.response_code) == (kind, code, status)


# --- from a server -----------------------------------------------------------------------------


def stale(fota: Emulator) -> Any:
    return fota.new_client(client_id="", client_secret="", access_token="stale")


def ended(fota: Emulator) -> None:
    tokens = fota.client._tokens.get(session=True)
    client = fota.new_client(username="", password="", session_token=tokens["session"])
    fota.faults.session_expired()
    client.licenses.status(ACCOUNT)


def looker(fota: Emulator) -> Any:
    return fota.new_client(
        client_id=LOOKER.client_id,
        client_secret=LOOKER.client_secret,
        username=LOOKER.username,
        password=LOOKER.password,
    )


def resized_since(fota: Emulator) -> None:
    made = fota.client.pool.resize(ACCOUNT, 5)
    fota.client.pool.resize(ACCOUNT, 6)
    fota.client.pool.undo(ACCOUNT, made.change)


def more_used(fota: Emulator) -> None:
    pool = fota.client.pool
    pool.resize(ACCOUNT, 0)
    made = pool.resize(ACCOUNT, 5)
    pool.assign(ACCOUNT, [A])
    pool.undo(ACCOUNT, made.change)


def reused(fota: Emulator) -> None:
    fota.client.licenses.assign(ACCOUNT, [A], idempotency_key="k")
    fota.client.licenses.remove(ACCOUNT, [A], idempotency_key="k")


def unavailable(fota: Emulator) -> None:
    fota.faults.unavailable(form="none")
    fota.new_client(max_retries=0).licenses.status(ACCOUNT)


# what is done                                                       error
HAPPENS: list[tuple[Callable[[Emulator], Any], type[AnswerError]]] = [
    (lambda f: f.client.licenses.assign(ACCOUNT, []),                  InvalidParameter),
    (lambda f: f.client.licenses.status(NOWHERE),                      AccountNotFound),
    (ended,                                                            SessionExpired),
    (lambda f: f.new_client(username="", password="", session_token="x").licenses.status(ACCOUNT),
                                                                       SessionInvalid),
    (lambda f: f.new_client(password="wrong").licenses.status(ACCOUNT), LoginRefused),
    (lambda f: f.new_client(client_secret="wrong").pool.status(ACCOUNT), ClientInvalid),
    (lambda f: stale(f).pool.status(ACCOUNT),                          TokenInvalid),
    (lambda f: f.client.pool.as_of(ACCOUNT, sequence=99),              AsOfLater),
    (lambda f: f.client.pool.as_of(ACCOUNT, sequence=0),               AsOfBefore),
    (lambda f: looker(f).licenses.assign(ACCOUNT, [A]),                RoleMissing),
    (lambda f: looker(f).pool.assign(ACCOUNT, [A]),                    RoleMissing),
    (lambda f: f.client.pool.change(ACCOUNT, 99),                      ChangeNotFound),
    (lambda f: list(f.client.pool.device_history(ACCOUNT, "1" * 15)),  DeviceNotFound),
    (lambda f: f.client.pool.assign(ACCOUNT, [A], if_sequence=1),      PreconditionFailed),
    (lambda f: f.client.pool.resize(EVENTS, 5),                        EventOnly),
    (lambda f: f.client.pool.undo(ACCOUNT, 1),                         UndoImpossible),
    (resized_since,                                                    ResizedSince),
    (more_used,                                                        MoreUsed),
    (reused,                                                           IdempotencyKeyReused),
    (unavailable,                                                      ServiceUnavailable),
]  # fmt: skip


@BOTH
@pytest.mark.fota(scenario=SEEDED)
@pytest.mark.parametrize(("happen", "kind"), HAPPENS, ids=range(len(HAPPENS)))
def test_what_goes_wrong_has_a_name(
    fota: Emulator, happen: Callable[[Emulator], Any], kind: type[AnswerError]
) -> None:
    with pytest.raises(AnswerError) as caught:
        happen(fota)
    error = caught.value

    assert type(error) is kind
    assert isinstance(error, broad_of(error.response_code))
    assert error.request_id == fota.requests.last.headers["x-request-id"]


@BOTH
def test_an_outcome_that_nobody_knows_has_a_name() -> None:
    told = {"errorCode": "OUTCOME_UNKNOWN", "errorMessage": "?"}
    client = Client(
        access_token="b", session_token="s", transport=Script(answer(503, told)), max_retries=0
    )

    with pytest.raises(OutcomeUnknown):
        client.licenses.assign("a", [A])


@BOTH
def test_a_session_token_of_another_format_is_renewed() -> None:
    told = {"errorCode": next(iter(SPELT_OTHERWISE)), "errorMessage": "?"}
    change = {"accountName": "a", "licTotalCount": 5, "licUsedCount": 1, "deviceList": []}
    script = Script(
        answer(400, told), answer(200, {"sessionToken": "session-2"}), answer(200, change)
    )
    client = Client(
        access_token="b", session_token="s", username="u", password="p", transport=script
    )

    assert client.licenses.assign("a", [A]).total == 5


# --- whatever comes ----------------------------------------------------------------------------

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)
TOLD = st.sampled_from([*BY_CODE, "", "LEVITATED"]) | JSON_VALUES
BODIES = st.one_of(
    st.binary(max_size=600),
    JSON_VALUES.map(lambda value: json.dumps(value).encode()),
    st.fixed_dictionaries({"errorCode": TOLD, "errorMessage": JSON_VALUES}).map(
        lambda value: json.dumps(value).encode()
    ),
    st.fixed_dictionaries(
        {"fault": JSON_VALUES | st.fixed_dictionaries({"code": TOLD, "message": JSON_VALUES})}
    ).map(lambda value: json.dumps(value).encode()),
    st.fixed_dictionaries({"error": TOLD, "error_description": JSON_VALUES}).map(
        lambda value: json.dumps(value).encode()
    ),
)
HEADERS = st.dictionaries(
    st.sampled_from(["retry-after", "retry-after-ms", "date", "x-request-id", "content-type"]),
    st.text(max_size=40) | st.sampled_from(["Sun, 06 Nov 1994 08:49:37 GMT", "-1", "1e9", "٣"]),
)


@given(st.integers(100, 999) | st.sampled_from(sorted(BY_STATUS)), HEADERS, BODIES)
@example(400, {"retry-after": "Mon, 01 Jan 0001 00:00:00 +9999", "date": "x"}, b"[" * 100_000)
@example(503, {"retry-after": "Fri, 31 Dec 9999 23:59:59 -2400", "date": "0 Jan 1 0:0:0 +1"}, b"")
def test_an_error_can_be_shown_and_copied_whatever_the_answer_was(
    status: int, headers: dict[str, str], body: bytes
) -> None:
    error = error_of(Response(status, headers, body))
    shown = str(error)

    assert isinstance(error, broad_of(status))
    assert shown.startswith(f"{status} {error.reason}")
    assert shown.splitlines() == [shown]
    assert len(shown) < MESSAGE_SHOWN_MAX + 100
    assert repr(error) == f"{type(error).__name__}({shown!r})"
    error.add_note("while the pool was filled")
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert (type(other), str(other), repr(other)) == (type(error), shown, repr(error))
        assert vars(other) == vars(error)
        assert other.retry_after_s == error.retry_after_s
        assert other.request_id == error.request_id == headers.get("x-request-id")


def test_a_long_message_is_cut_where_it_would_fill_the_screen() -> None:
    told = {"errorCode": "INVALID_PARAMETER", "errorMessage": "x\n" * 5000}

    assert len(str(error_of(answer(400, told)))) == MESSAGE_SHOWN_MAX + 23
    assert len(error_of(answer(400, told)).error_message or "") == 10_000


# --- what an error holds on to -----------------------------------------------------------------


@BOTH
def test_no_error_holds_a_secret(fota: Emulator) -> None:
    sent: list[HttpRequest] = []
    client = fota.new_client(before_request=sent.append)
    errors = [
        caught_by(lambda: client.licenses.status(NOWHERE)),
        caught_by(lambda: client.pool.change(ACCOUNT, 99)),
        caught_by(lambda: fota.new_client(password="opensesame").licenses.status(ACCOUNT)),
    ]

    tokens = {
        token.rpartition(" ")[2]
        for request in sent
        for name in ("Authorization", "VZ-M2M-Token")
        if (token := request.headers.get(name))
    }
    assert len(tokens) == 3  # Basic, bearer, session
    for error in errors:
        shown = f"{error} {error!r} {vars(error)} {pickle.dumps(error)!r}"
        secrets = {*tokens, fota.login.client_secret, fota.login.password, "opensesame"}
        assert not [secret for secret in secrets if secret in shown]


@BOTH
@pytest.mark.parametrize("call", ["token", "login"])
def test_a_garbled_answer_with_a_token_is_not_shown(call: str) -> None:
    token = {"access_token": "let me in", "expires_in": 3600}
    bad = answer(200, b'{"access_token":"let me in","sessionToken":"let me in","expires_in":"?"')
    script = Script(bad) if call == "token" else Script(answer(200, token), bad)
    client = Client(
        client_id="i", client_secret="s", username="u", password="p", transport=script,
        max_retries=0,
    )  # fmt: skip

    error = caught_by(lambda: client.licenses.status("a"))
    assert isinstance(error, UnexpectedAnswer)
    assert "200 Unreadable answer" in str(error)
    assert "let me in" not in f"{error} {error!r} {vars(error)} {pickle.dumps(error)!r}"


def caught_by(call: Callable[[], object]) -> ApiError:
    try:
        call()
    except ApiError as error:
        return error
    raise AssertionError("nothing was raised")


async def gone_after_awaiting(client: AsyncClient) -> bool:
    """Judged in the task: what a task gives back, Python 3.13 keeps in a circle of its own."""
    try:
        await client.licenses.status(ACCOUNT)
    except ApiError as error:
        gone = weakref.ref(error)
    return gone() is None


@pytest.mark.parametrize("wrong", [{}, {"password": "wrong"}, {"client_secret": "wrong"}])
def test_an_error_is_gone_when_nobody_holds_it(fota: Emulator, wrong: dict[str, str]) -> None:
    """No circle leads back to it: the memory of its frames is free at once."""
    blocking, coroutines = fota.new_client(**wrong), fota.new_async_client(**wrong)
    if not wrong:
        fota.faults.html_page(500, times=None)
    gc.collect()
    gc.disable()
    try:
        for _ in range(2):
            error = caught_by(lambda: blocking.licenses.status(ACCOUNT))
            gone = weakref.ref(error)
            del error
            assert gone() is None
            assert asyncio.run(gone_after_awaiting(coroutines))
    finally:
        gc.enable()


def test_a_call_that_was_asked_to_wait_or_left_in_doubt_holds_no_error(fota: Emulator) -> None:
    fota.faults.keys_ignored(times=None, operation="any")
    fota.faults.too_many_requests(times=None, operation="status")
    fota.faults.answer_lost(times=None, operation="assign")
    fota.faults.html_page(500, times=None, operation="devices")
    client = fota.new_client()
    gc.collect()
    gc.disable()
    try:
        for call in (
            lambda: client.licenses.status(ACCOUNT),
            lambda: client.licenses.status(ACCOUNT, retry_budget_s=0),
            lambda: client.licenses.assign(ACCOUNT, fota.devices[:1], retry_budget_s=9),
        ):
            error = caught_by(call)
            gone = weakref.ref(error)
            del error
            assert gone() is None
    finally:
        gc.enable()


@BOTH
def test_a_refused_login_is_told_to_each_with_a_traceback_of_its_own(fota: Emulator) -> None:
    client = fota.new_client(password="wrong")

    with ThreadPoolExecutor(4) as pool:
        errors = list(
            pool.map(lambda _: caught_by(lambda: client.licenses.status(ACCOUNT)), range(40))
        )

    assert len({id(error) for error in errors}) == 40
    assert {(type(error), str(error)) for error in errors} == {(LoginRefused, str(errors[0]))}
    depths = {len(traceback.extract_tb(error.__traceback__)) for error in errors}
    assert len(depths) <= 2
    fota.requests.assert_called("login", times=1)
