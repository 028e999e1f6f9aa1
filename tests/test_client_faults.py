"""Every fault of the emulator, and what both clients do about it: the column "A good client" of
docs/reference/faults.md, asserted by what the caller gets and by what was asked for.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal

import pytest

from fotapool import (
    AnswerError,
    ApiError,
    Client,
    ConnectionFailed,
    LicensesAssignedRemovedRequest,
    Outcome,
    ServerError,
    TimedOut,
    TooManyRequests,
    Unauthorized,
    UnexpectedAnswer,
)
from fotapool.testing import FAULTS, Account, Emulator, Faults, Scenario
from fotapool.testing.rewriting import STYLES

pytestmark = [
    pytest.mark.usefixtures("colour"),
    pytest.mark.fota(scenario=Scenario(accounts=(Account(licenses=10, devices=10, licensed=2),))),
]
pages = pytest.mark.fota(
    scenario=Scenario(accounts=(Account(licenses=3000, devices=2500, licensed=2500),))
)

ACCOUNT = "0000123456-00001"
A, B, C, D, E, F = (f"{990003425730500 + at}" for at in range(6))
"""A and B hold a license."""
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ASSIGNED, REMOVED = Outcome.ASSIGNED, Outcome.REMOVED

Arm = Callable[[Faults], Any]


def test_every_fault_has_a_test_here() -> None:
    tests = [name for name in globals() if name.startswith("test_")]

    for fault in FAULTS:
        assert [name for name in tests if name.startswith(f"test_{fault.word()}")], fault.word()


# --- asking, and what was asked ----------------------------------------------------------------


@pytest.fixture
def client(fota: Emulator) -> Client:
    """Has both tokens, and knows that the server keeps keys."""
    return ready(fota)


@pytest.fixture
def keyless(fota: Emulator) -> Client:
    """Has both tokens of a service that keeps no keys, as the vendor's."""
    fota.faults.keys_ignored()
    return ready(fota)


def ready(fota: Emulator) -> Client:
    client = fota.new_client()
    client.licenses.status(ACCOUNT)
    fota.requests.clear()
    return client


def asked(fota: Emulator) -> str:
    return " ".join(entry.operation for entry in fota.requests)


def keys(fota: Emulator, operation: str) -> set[str | None]:
    """The idempotency keys of the requests of an operation."""
    return {entry.request_headers.get("idempotency-key") for entry in fota.requests.of(operation)}


def lists(fota: Emulator, operation: str) -> list[list[str]]:
    """The devices that the requests of an operation named."""
    return [json.loads(entry.request_body)["deviceList"] for entry in fota.requests.of(operation)]


def cursors(fota: Emulator) -> list[str]:
    """Where the pages that were asked for began."""
    return [entry.query.rpartition("=")[2] for entry in fota.requests.of("status")]


def outcomes(change: Any) -> list[Outcome]:
    return [verdict.outcome for verdict in change.verdicts]


def devices_of(client: Client) -> list[str]:
    return [device.imei for device in client.licenses.devices(ACCOUNT)]


def stands(fota: Emulator) -> tuple[int, int]:
    """Licenses used and changes made, by the emulator's own books."""
    key = fota.books.find_account(ACCOUNT)
    assert key is not None
    account = fota.books.store.read(lambda snapshot: snapshot.account(key.id))
    return account.totals.used, account.sequence


def raised(call: Callable[..., Any], *arguments: Any) -> Any:
    with pytest.raises(ApiError) as caught:
        call(*arguments)
    return caught.value


# --- in the pool -------------------------------------------------------------------------------


def test_pool_exhausted(fota: Emulator, client: Client) -> None:
    """Every verdict is read; the refused are reported, not sent again."""
    fota.faults.pool_exhausted(after=1)
    change = client.licenses.assign(ACCOUNT, [C, A, D, E])

    assert outcomes(change) == [
        ASSIGNED,
        Outcome.ALREADY_LICENSED,
        Outcome.NO_FREE_LICENSE,
        Outcome.NO_FREE_LICENSE,
    ]
    assert [(verdict.imei, verdict.reason) for verdict in change.refused] == [
        (D, "No available license"),
        (E, "No available license"),
    ]
    assert (change.used, change.total, change.free) == (3, 3, 0)
    assert asked(fota) == "assign"


U = Outcome.UNKNOWN_DEVICE
# armed                                                          asked              verdicts                         used
REFUSED: list[tuple[Arm, str, list[str], list[Outcome], int]] = [
    (lambda f: f.devices_refused([D]),                           "assign", [C, D, E], [ASSIGNED, U, ASSIGNED],         4),
    (lambda f: f.devices_refused(every=2),                       "assign", [C, D, E, F], [ASSIGNED, U, ASSIGNED, U],   4),
    (lambda f: f.devices_refused([C], outcome="no_free_license"), "assign", [C, D], [Outcome.NO_FREE_LICENSE, ASSIGNED], 3),
    (lambda f: f.devices_refused([A], outcome="upgraded"),       "remove", [A, B], [Outcome.UPGRADED, REMOVED],        1),
    (lambda f: f.devices_refused([A], reason="Internal error."), "remove", [A, B], [Outcome.UNRECOGNIZED, REMOVED],    1),
]  # fmt: skip


@pytest.mark.parametrize(("arm", "verb", "imeis", "expected", "used"), REFUSED)
def test_devices_refused(
    fota: Emulator,
    client: Client,
    arm: Arm,
    verb: str,
    imeis: list[str],
    expected: list[Outcome],
    used: int,
) -> None:
    """A 200 is no success: each device has its verdict."""
    arm(fota.faults)
    change = getattr(client.licenses, verb)(ACCOUNT, imeis)

    assert [verdict.imei for verdict in change.verdicts] == imeis
    assert outcomes(change) == expected
    assert {verdict.imei for verdict in change.refused} == {
        imei for imei, outcome in zip(imeis, expected, strict=True) if not outcome.ok
    }
    assert (change.used, stands(fota)[0], asked(fota)) == (used, used, verb)


def test_devices_refused_in_words_of_their_own(fota: Emulator, client: Client) -> None:
    fota.faults.devices_refused([A], reason="Internal error.")
    [verdict] = client.licenses.remove(ACCOUNT, [A]).verdicts

    assert (verdict.ok, verdict.reason) == (None, "Internal error.")


# --- with the tokens ---------------------------------------------------------------------------


@pages
def test_session_expired_between_two_pages(fota: Emulator, client: Client) -> None:
    """Logs in again, once, and goes on with the page it was at."""
    fota.faults.session_expired(skip=1, operation="status")

    assert devices_of(client) == list(fota.devices)
    assert asked(fota) == "status status login status status"
    first, second = fota.devices[999], fota.devices[1999]
    assert cursors(fota) == ["", first, first, second]


def test_session_expired_before_a_write(fota: Emulator, client: Client) -> None:
    fota.faults.session_expired()
    change = client.licenses.assign(ACCOUNT, [C])

    assert (outcomes(change), change.replayed) == ([ASSIGNED], False)
    assert asked(fota) == "assign login assign"
    assert len(keys(fota, "assign")) == 1


def test_session_expired_again_is_an_error(fota: Emulator, client: Client) -> None:
    fota.faults.session_expired(times=None)
    error = raised(client.licenses.status, ACCOUNT)

    assert error.error_code == "UnifiedWebService.REQUEST_FAILED.SessionToken.Expired"
    assert asked(fota) == "status login status"


def test_token_revoked(fota: Emulator, client: Client) -> None:
    """Fetches another, once, and sends the request again; our own operations too."""
    fota.faults.token_revoked()
    change = client.licenses.assign(ACCOUNT, [C])
    fota.faults.token_revoked()
    own = client.pool.assign(ACCOUNT, [D])

    assert (outcomes(change), outcomes(own)) == ([ASSIGNED], [ASSIGNED])
    assert asked(fota) == "assign token assign assign token assign"
    assert len(keys(fota, "assign")) == 2


def test_token_revoked_again_is_an_error(fota: Emulator, client: Client) -> None:
    fota.faults.token_revoked(times=None)

    assert isinstance(raised(client.licenses.status, ACCOUNT), Unauthorized)
    assert asked(fota) == "status token status"


# --- pages -------------------------------------------------------------------------------------


@pages
def test_page_repeated(fota: Emulator, client: Client) -> None:
    """Is asked for again; no device counts twice."""
    fota.faults.page_repeated()

    assert devices_of(client) == list(fota.devices)
    first, second = fota.devices[999], fota.devices[1999]
    assert cursors(fota) == ["", first, first, second]


@pages
def test_page_repeated_for_good(fota: Emulator, client: Client) -> None:
    fota.faults.page_repeated(times=None)
    found: list[str] = []

    def go_through() -> None:
        for page in client.licenses.devices(ACCOUNT).pages():
            found.extend(device.imei for device in page.items)

    error = raised(go_through)
    assert str(error).startswith("the pages of 0000123456-00001 do not go on after ")
    assert found == list(fota.devices[:1000])
    assert cursors(fota) == ["", *[fota.devices[999]] * 2]


@pages
@pytest.mark.parametrize("order", [0, 7])
def test_page_shuffled(fota: Emulator, client: Client, order: int) -> None:
    """Goes on from lastSeenDeviceId, not from the last device of the list."""
    fota.faults.page_shuffled(order=order, times=None)
    found = devices_of(client)

    assert found != list(fota.devices)
    assert sorted(found) == list(fota.devices)
    assert cursors(fota) == ["", fota.devices[999], fota.devices[1999]]


# --- what stands in an answer ------------------------------------------------------------------


@pytest.mark.parametrize("names", ["older", "newer"])
def test_spelling(fota: Emulator, client: Client, names: Literal["older", "newer"]) -> None:
    """Either is read, by the plain verbs and by the documented ones."""
    fota.faults.spelling(names, times=None)
    status = client.licenses.status(ACCOUNT)
    page = client.licenses.get_user_fota_licenses_summary(ACCOUNT)
    change = client.licenses.assign(ACCOUNT, [C, "12"])
    body = LicensesAssignedRemovedRequest(device_list=[D])
    answer = client.licenses.assign_fota_licenses_to_devices_1(ACCOUNT, body)

    assert (status.total, status.used, page.total_license, page.total_licenses) == (10, 2, 10, 10)
    assert (change.total, change.used) == (10, 3)
    assert [(verdict.outcome, verdict.reason) for verdict in change.verdicts] == [
        (ASSIGNED, "Success"),
        (Outcome.MALFORMED, "Invalid Device IMEI."),
    ]
    assert (answer.lic_total_count, answer.lic_used_count) == (10, 4)
    item = answer.device_list[0]
    assert "Success" in (item.result_reason, item.reason)


WRITTEN = {
    "go": "2026-01-01 12:00:00 +0000 UTC",
    "rfc3339": "2026-01-01T12:00:00.000Z",
    "seconds": "2026-01-01T12:00:00Z",
    "offset": "2026-01-01T12:00:00.0+00:00",
}


@pytest.mark.parametrize("style", STYLES)
def test_time_style(fota: Emulator, client: Client, style: Any) -> None:
    """All are read, and the text is kept."""
    fota.faults.time_style(style, times=None)
    [device, _] = client.licenses.devices(ACCOUNT)
    bought = client.licenses.subscription(ACCOUNT)
    body = LicensesAssignedRemovedRequest(device_list=[C])
    answer = client.licenses.assign_fota_licenses_to_devices_1(ACCOUNT, body)

    assert (device.assigned_at, bought.updated_at) == (NOON, NOON)
    assert device.assigned_at_text == WRITTEN[style]
    assert bought.updated_at_text in (WRITTEN[style], "2026-01-01T12:00:00.000+00:00")
    assert answer.device_list[0].updated_time == NOON


def test_members_missing(fota: Emulator, client: Client) -> None:
    """What is absent is unknown: neither 0 nor an error."""
    fota.faults.members_missing(times=None)
    status = client.licenses.status(ACCOUNT)
    [device, _] = client.licenses.devices(ACCOUNT)
    change = client.licenses.assign(ACCOUNT, [C])
    client.licenses.remove(ACCOUNT, [A, B, C])

    assert (status.total, status.used, status.free) == (None, 2, None)
    assert (device.imei, device.assigned_at, device.assigned_at_text) == (A, None, None)
    assert (change.total, change.used, change.verdicts[0].reason) == (10, 3, "")
    assert devices_of(client) == []
    assert client.licenses.status(ACCOUNT).used == 0


def test_json_malformed_for_good(fota: Emulator, client: Client) -> None:
    """An error that keeps the body."""
    whole = client.licenses.status(ACCOUNT).response.body
    fota.requests.clear()
    fota.faults.json_malformed(times=None)
    error = raised(client.licenses.status, ACCOUNT)

    assert isinstance(error, UnexpectedAnswer)
    assert str(error).startswith("200 Unreadable answer (")
    assert error.response.body == whole[: len(whole) * 2 // 3]
    assert asked(fota) == "status status status"


# --- answers that do not come ------------------------------------------------------------------


def written_again(fota: Emulator, client: Client, arm: Arm, *, replayed: bool) -> None:
    """A write is asked for again under the same key, and done once."""
    _, changes = stands(fota)
    arm(fota.faults)
    change = client.licenses.assign(ACCOUNT, [C, D])
    assert (outcomes(change), change.used, change.replayed) == ([ASSIGNED] * 2, 4, replayed)
    assert (asked(fota), len(keys(fota, "assign"))) == ("assign assign", 1)
    assert stands(fota) == (4, changes + 1)


def settled(fota: Emulator, client: Client, arm: Arm, *, done: bool) -> None:
    """Of a service without keys it is read what the devices hold, and what is missing is sent."""
    _, changes = stands(fota)
    arm(fota.faults)
    change = client.licenses.assign(ACCOUNT, [C, D])
    assert (outcomes(change), change.used) == ([ASSIGNED] * 2, 4)
    assert change.reconciled
    assert [verdict.reconciled for verdict in change.verdicts] == [done, done]
    assert lists(fota, "assign") == [[C, D]] * (1 if done else 2)
    assert lists(fota, "devices") == [[C, D]]
    assert stands(fota) == (4, changes + 1)


def read_again(fota: Emulator, client: Client, arm: Arm) -> None:
    arm(fota.faults)
    assert client.licenses.status(ACCOUNT).used == 2
    assert asked(fota) == "status status"


def test_json_malformed(fota: Emulator, client: Client) -> None:
    written_again(fota, client, lambda f: f.json_malformed(), replayed=True)


def test_json_malformed_without_keys(fota: Emulator, keyless: Client) -> None:
    settled(fota, keyless, lambda f: f.json_malformed(operation="assign"), done=True)


def test_json_malformed_of_a_read(fota: Emulator, client: Client) -> None:
    read_again(fota, client, lambda f: f.json_malformed())


def test_answer_lost(fota: Emulator, client: Client) -> None:
    written_again(fota, client, lambda f: f.answer_lost(), replayed=True)


def test_answer_lost_of_a_read(fota: Emulator, client: Client) -> None:
    read_again(fota, client, lambda f: f.answer_lost())


def test_answer_lost_without_keys(fota: Emulator, keyless: Client) -> None:
    settled(fota, keyless, lambda f: f.answer_lost(operation="assign"), done=True)


def test_answer_lost_of_a_removal_without_keys(fota: Emulator, keyless: Client) -> None:
    fota.faults.answer_lost(operation="remove")
    change = keyless.licenses.remove(ACCOUNT, [A, B, C])

    assert outcomes(change) == [REMOVED, REMOVED, REMOVED]
    assert [verdict.reconciled for verdict in change.verdicts] == [True, True, True]
    assert (change.used, lists(fota, "remove")) == (0, [[A, B, C]])


def test_keys_ignored(fota: Emulator, keyless: Client) -> None:
    """No write is sent a second time that may have been done, and none is left undone."""
    _, changes = stands(fota)
    fota.faults.answer_lost(operation="assign", imei=C)
    fota.faults.connection_cut(operation="assign", imei=D)
    fota.faults.html_page(502, operation="remove")
    first, second = (keyless.licenses.assign(ACCOUNT, [imei]) for imei in (C, D))
    removed = keyless.licenses.remove(ACCOUNT, [A])

    assert [it.verdicts[0].reconciled for it in (first, second, removed)] == [True, False, False]
    assert [outcomes(it) for it in (first, second, removed)] == [[ASSIGNED], [ASSIGNED], [REMOVED]]
    assert (first.change, first.replayed) == (None, False)
    assert lists(fota, "assign") == [[C], [D], [D]]
    assert stands(fota) == (3, changes + 3)


def test_answer_delayed(fota: Emulator, client: Client) -> None:
    """Waits as long as it was told to, then asks again under the same key."""
    began = fota.clock.now
    written_again(fota, client, lambda f: f.answer_delayed(60), replayed=True)
    assert 30 <= (fota.clock.now - began).total_seconds() < 31


def test_answer_delayed_within_the_time_for_it(fota: Emulator, client: Client) -> None:
    fota.faults.answer_delayed(20)
    assert outcomes(client.licenses.assign(ACCOUNT, [C])) == [ASSIGNED]
    assert asked(fota) == "assign"


def test_answer_delayed_for_good(fota: Emulator, client: Client) -> None:
    fota.faults.answer_delayed(60, times=None)
    error = raised(client.licenses.assign, ACCOUNT, [C])

    assert isinstance(error, TimedOut)
    assert (error.sent, error.in_doubt) == (True, True)
    assert asked(fota) == "assign assign assign"


def test_answer_delayed_without_keys(fota: Emulator, keyless: Client) -> None:
    settled(fota, keyless, lambda f: f.answer_delayed(60, operation="assign"), done=True)


@pytest.mark.parametrize("where", ["before", "within"])
def test_connection_cut(fota: Emulator, client: Client, where: Literal["before", "within"]) -> None:
    """Which of the two it was, it cannot know: as with a lost answer."""
    done = where == "within"
    written_again(fota, client, lambda f: f.connection_cut(where), replayed=done)


@pytest.mark.parametrize("where", ["before", "within"])
def test_connection_cut_without_keys(
    fota: Emulator, keyless: Client, where: Literal["before", "within"]
) -> None:
    done = where == "within"
    settled(fota, keyless, lambda f: f.connection_cut(where, operation="assign"), done=done)


def test_connection_cut_for_good(fota: Emulator, client: Client) -> None:
    fota.faults.connection_cut(times=None)
    error = raised(client.licenses.assign, ACCOUNT, [C])

    assert (type(error), error.sent, error.in_doubt) == (ConnectionFailed, True, True)
    assert asked(fota) == "assign assign assign"


def test_slow_drip_within_the_time_for_it(fota: Emulator, client: Client) -> None:
    fota.faults.slow_drip(20)
    assert outcomes(client.licenses.assign(ACCOUNT, [C])) == [ASSIGNED]
    assert asked(fota) == "assign"


def test_slow_drip(fota: Emulator, client: Client) -> None:
    """Bounds the whole call, not only each read."""
    began = fota.clock.now
    written_again(fota, client, lambda f: f.slow_drip(90), replayed=True)
    assert 30 <= (fota.clock.now - began).total_seconds() < 31


def test_slow_drip_without_keys(fota: Emulator, keyless: Client) -> None:
    settled(fota, keyless, lambda f: f.slow_drip(90, operation="assign"), done=True)


def test_slow_drip_of_a_read(fota: Emulator, client: Client) -> None:
    read_again(fota, client, lambda f: f.slow_drip(90))


def test_slow_drip_for_good(fota: Emulator, client: Client) -> None:
    fota.faults.slow_drip(90, times=None)
    error = raised(client.licenses.assign, ACCOUNT, [C])

    assert isinstance(error, TimedOut)
    assert (error.sent, error.in_doubt) == (True, True)
    assert asked(fota) == "assign assign assign"


# --- a service that does not want to -----------------------------------------------------------

FORMS: list[tuple[Literal["seconds", "date", "milliseconds", "none"], float, float]] = [
    ("seconds",      7, 7),
    ("date",         7, 7),
    ("milliseconds", 7, 7),
    ("none",         0, 0.5),
]  # fmt: skip


@pytest.mark.parametrize(("form", "least_s", "most_s"), FORMS)
@pytest.mark.parametrize("service", ["client", "keyless"])
def test_too_many_requests(
    fota: Emulator,
    request: pytest.FixtureRequest,
    service: str,
    form: Any,
    least_s: float,
    most_s: float,
) -> None:
    """Waits as long as it is told, then sends again, a write too, whoever keeps keys."""
    client: Client = request.getfixturevalue(service)
    began = fota.clock.now
    fota.faults.too_many_requests(7, form)
    change = client.licenses.assign(ACCOUNT, [C])

    assert (outcomes(change), change.replayed, change.reconciled) == ([ASSIGNED], False, False)
    assert asked(fota) == "assign assign"
    assert least_s <= (fota.clock.now - began).total_seconds() <= most_s + 0.001


def test_too_many_requests_holds_the_other_calls(fota: Emulator, client: Client) -> None:
    began = fota.clock.now
    fota.faults.too_many_requests(30)
    error = raised(client.with_options(max_retries=0).licenses.assign, ACCOUNT, [C])
    assert isinstance(error, TooManyRequests)
    assert client.licenses.status(ACCOUNT).used == 2

    refused, following = fota.requests
    assert (refused.operation, following.operation) == ("assign", "status")
    assert [(entry.at - began).total_seconds() for entry in (refused, following)] == [0, 30]


def test_too_many_requests_for_good(fota: Emulator, client: Client) -> None:
    fota.faults.too_many_requests(7, times=None)
    error = raised(client.licenses.assign, ACCOUNT, [C])

    assert isinstance(error, TooManyRequests)
    assert (error.retry_after_s, error.in_doubt) == (7, False)
    assert asked(fota) == "assign assign assign"
    assert stands(fota)[0] == 2


@pytest.mark.parametrize(("form", "least_s", "most_s"), FORMS)
def test_unavailable(
    fota: Emulator, client: Client, form: Any, least_s: float, most_s: float
) -> None:
    """Reads again, and writes under their key, in all four forms."""
    began = fota.clock.now
    fota.faults.unavailable(7, form)
    written = client.licenses.assign(ACCOUNT, [C])
    took_s = (fota.clock.now - began).total_seconds()
    fota.faults.unavailable(7, form)
    read = client.licenses.status(ACCOUNT)

    assert (outcomes(written), written.replayed, read.used) == ([ASSIGNED], False, 3)
    assert asked(fota) == "assign assign status status"
    assert len(keys(fota, "assign")) == 1
    assert least_s <= took_s <= most_s + 0.001


@pytest.mark.parametrize("form", ["seconds", "date", "milliseconds"])
def test_unavailable_without_keys(fota: Emulator, keyless: Client, form: Any) -> None:
    """Retry-After shows that nothing was begun."""
    fota.faults.unavailable(7, form)
    change = keyless.licenses.assign(ACCOUNT, [C])

    assert (outcomes(change), change.reconciled) == ([ASSIGNED], False)
    assert asked(fota) == "assign assign"


def test_unavailable_without_keys_and_without_retry_after(fota: Emulator, keyless: Client) -> None:
    settled(fota, keyless, lambda f: f.unavailable(form="none", operation="assign"), done=False)


def test_unavailable_for_good(fota: Emulator, client: Client) -> None:
    fota.faults.unavailable(7, times=None)
    error = raised(client.licenses.assign, ACCOUNT, [C])

    assert isinstance(error, ServerError)
    assert (error.response_code, error.error_code) == (503, "SERVICE_UNAVAILABLE")
    assert (error.retry_after_s, asked(fota)) == (7, "assign assign assign")


# status, class, attempts of a read
PAGES_OF_HTML = [
    (200, "UnexpectedAnswer", 3),
    (302, "UnexpectedAnswer", 1),
    (400, "ErrorException", 1),
    (401, "Unauthorized", 2),
    (403, "Forbidden", 1),
    (404, "MissingPath", 1),
    (409, "Conflict", 1),
    (429, "TooManyRequests", 3),
    (500, "ServerError", 1),
    (502, "ServerError", 3),
    (503, "ServerError", 3),
    (504, "ServerError", 3),
]


@pytest.mark.parametrize(("status", "kind", "attempts"), PAGES_OF_HTML)
def test_html_page_for_good(
    fota: Emulator, client: Client, status: int, kind: str, attempts: int
) -> None:
    """An error by the status and not by the body, with a text that can be shown."""
    fota.faults.html_page(status, times=None)
    error = raised(client.licenses.status, ACCOUNT)

    assert isinstance(error, AnswerError)
    assert (type(error).__name__, error.response_code, error.error_code) == (kind, status, None)
    assert str(error).startswith(f"{status} ")
    assert error.response.text.startswith(f"<html>\n<head><title>{status} Proxy Error")
    fota.requests.assert_called("status", times=attempts)


def test_html_page(fota: Emulator, client: Client) -> None:
    written_again(fota, client, lambda f: f.html_page(502), replayed=False)


def test_html_page_of_a_read(fota: Emulator, client: Client) -> None:
    read_again(fota, client, lambda f: f.html_page(200))


def test_html_page_without_keys(fota: Emulator, keyless: Client) -> None:
    settled(fota, keyless, lambda f: f.html_page(502, operation="assign"), done=False)
