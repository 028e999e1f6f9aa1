"""Writes whose answer was lost, to a server that keeps no idempotency keys: nothing is sent twice,
nothing stays undone, and the answer says what was read instead of answered."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from fotapool import (
    ApiError,
    CandidateEdit,
    Client,
    ConnectionFailed,
    DeviceResult,
    DeviceResult1,
    ErrorException,
    HttpRequest,
    InvalidParameter,
    LicenseIMEI,
    LicensesAssignedRemovedRequest,
    Outcome,
    Response,
    ServerError,
    TimedOut,
    TooManyRequests,
    Verdict,
)
from fotapool.client import shell
from fotapool.client.transport import stand_in
from fotapool.testing import Account, Emulator, Scenario
from world import ACCOUNT

pytestmark = [
    pytest.mark.usefixtures("colour"),
    pytest.mark.fota(scenario=Scenario(accounts=(Account(devices=9),))),
]

A, STRANGE, MALFORMED = "990003425730500", "352906110000001", "12"


@pytest.fixture
def client(fota: Emulator) -> Client:
    """Of a server without keys, logged in."""
    fota.faults.keys_ignored(times=None, operation="any")
    client = fota.new_client()
    client.licenses.status(ACCOUNT)
    fota.requests.clear()
    return client


def told(verdicts: tuple[Verdict, ...]) -> list[tuple[str, Outcome, bool]]:
    return [(verdict.imei, verdict.outcome, verdict.reconciled) for verdict in verdicts]


def lists(fota: Emulator, operation: str) -> list[list[str]]:
    """The device lists that were sent."""
    return [
        json.loads(request.request_body)["deviceList"] for request in fota.requests.of(operation)
    ]


# --- one write ---------------------------------------------------------------------------------

DONE: dict[str, dict[str, Any]] = {
    "answer_lost": {},
    "connection_cut": {"where": "within"},
    "json_malformed": {},
    "answer_delayed": {"seconds": 60.0},
}  # fmt: skip
NOT_DONE: dict[str, dict[str, Any]] = {
    "connection_cut": {"where": "before"},
    "html_page": {"status": 502},
    "unavailable": {"form": "none"},
}  # fmt: skip


@pytest.mark.parametrize("fault", DONE)
def test_what_was_done_is_read_and_not_sent_again(
    fota: Emulator, client: Client, fault: str
) -> None:
    a, b, c = fota.devices[:3]
    getattr(fota.faults, fault)(operation="assign", **DONE[fault])
    assigned = client.licenses.assign(ACCOUNT, [c, a, b])

    assert told(assigned.verdicts) == [(imei, Outcome.ASSIGNED, True) for imei in (c, a, b)]
    assert (assigned.used, assigned.total, assigned.reconciled) == (3, 1000, True)
    assert lists(fota, "assign") == [[c, a, b]]

    getattr(fota.faults, fault)(operation="remove", **DONE[fault])
    removed = client.licenses.remove(ACCOUNT, [b, a])
    assert told(removed.verdicts) == [(imei, Outcome.REMOVED, True) for imei in (b, a)]
    assert (removed.used, removed.reconciled) == (1, True)
    assert lists(fota, "remove") == [[b, a]]
    assert [device.imei for device in client.licenses.devices(ACCOUNT)] == [c]


@pytest.mark.parametrize("fault", NOT_DONE)
def test_what_was_not_done_is_sent_again(fota: Emulator, client: Client, fault: str) -> None:
    a, b = fota.devices[:2]
    client.licenses.assign(ACCOUNT, [a])
    fota.requests.clear()
    getattr(fota.faults, fault)(operation="assign", **NOT_DONE[fault])
    change = client.licenses.assign(ACCOUNT, [a, b])

    # The one that held its license before is as asked: by this request or by an earlier one.
    assert told(change.verdicts) == [(a, Outcome.ASSIGNED, True), (b, Outcome.ASSIGNED, False)]
    assert (change.used, change.reconciled) == (2, True)
    assert lists(fota, "assign") == [[a, b], [b]]


def test_an_answer_that_came_is_not_reconciled(fota: Emulator, client: Client) -> None:
    change = client.licenses.assign(ACCOUNT, fota.devices[:1])

    assert told(change.verdicts) == [(fota.devices[0], Outcome.ASSIGNED, False)]
    assert not change.reconciled
    fota.requests.assert_called("devices", times=0)


def test_the_service_has_its_own_word_for_every_other_item(fota: Emulator, client: Client) -> None:
    a = fota.devices[0]
    fota.faults.answer_lost(operation="assign")
    change = client.licenses.assign(ACCOUNT, [a, MALFORMED, a, STRANGE])

    assert told(change.verdicts) == [
        (a, Outcome.ASSIGNED, True),
        (MALFORMED, Outcome.MALFORMED, False),
        (a, Outcome.ALREADY_LICENSED, False),
        (STRANGE, Outcome.UNKNOWN_DEVICE, False),
    ]
    assert lists(fota, "assign") == [[a, MALFORMED, a, STRANGE], [MALFORMED, a, STRANGE]]
    assert lists(fota, "devices") == [[a, STRANGE]]

    fota.faults.answer_lost(operation="remove")
    change = client.licenses.remove(ACCOUNT, [a, a])
    assert told(change.verdicts) == [
        (a, Outcome.REMOVED, True),
        (a, Outcome.NOT_LICENSED, False),
    ]


def test_answers_may_be_lost_again_and_again(fota: Emulator, client: Client) -> None:
    a, b, c = fota.devices[:3]
    fota.faults.html_page(operation="assign", times=2)
    fota.faults.answer_lost(operation="assign", times=2)
    change = client.licenses.assign(ACCOUNT, [a, b, c], max_retries=4)

    assert told(change.verdicts) == [(imei, Outcome.ASSIGNED, True) for imei in (a, b, c)]
    assert change.used == client.licenses.status(ACCOUNT).used == 3
    assert len(lists(fota, "assign")) == 3
    fota.requests.assert_called("devices", times=3)


@pytest.mark.fota(scenario=Scenario(accounts=(Account(devices=2_500, licenses=2_400),)))
def test_a_long_list_is_read_a_thousand_at_a_time(fota: Emulator, client: Client) -> None:
    fota.faults.answer_lost(operation="assign")
    change = client.licenses.assign(ACCOUNT, fota.devices)

    assert change.count(Outcome.ASSIGNED) == change.used == 2_400
    assert change.count(Outcome.NO_FREE_LICENSE) == 100
    assert [len(each) for each in lists(fota, "devices")] == [1000, 1000, 500]
    assert [len(each) for each in lists(fota, "assign")] == [2_500, 100]


LATE = [
    # verb     method                               what it says of the device
    ("assign", "assign",                            Verdict(A, Outcome.ASSIGNED, "", "", reconciled=True)),
    ("remove", "remove",                            Verdict(A, Outcome.REMOVED, "", "", reconciled=True)),
    ("assign", "assign_fota_licenses_to_devices_1", DeviceResult1(A, "LicenseAssignSuccess")),
    ("remove", "remove_licenses_from_devices_1",    DeviceResult1(A, "Success")),
    ("assign", "assign_fota_licenses_to_devices",   DeviceResult(A, "Success")),
    ("remove", "remove_licenses_from_devices",      DeviceResult(A, "Success")),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("verb", "method", "told_of_it"), LATE)
def test_a_request_that_is_carried_out_after_the_reading_is_not_told_as_somebody_elses(
    fota: Emulator, client: Client, verb: str, method: str, told_of_it: object
) -> None:
    if verb == "remove":
        client.licenses.assign(ACCOUNT, [A])
    fota.requests.clear()
    slow = shell.Client()  # it blocks, whatever the colour

    def catch_up(request: HttpRequest) -> None:
        if request.url.endswith(verb) and len(lists(fota, verb)) == 1:
            slow.licenses.status(ACCOUNT)
            getattr(slow.pool, verb)(ACCOUNT, [A])

    fota.faults.connection_cut(where="before", operation=verb)
    body: dict[str, object] = {
        "assign_fota_licenses_to_devices": LicenseIMEI([A]),
        "remove_licenses_from_devices": LicenseIMEI([A]),
        verb: [A],
    }
    asked = body.get(method, LicensesAssignedRemovedRequest([A]))
    change = getattr(client.licenses, method)(ACCOUNT, asked, before_request=catch_up)
    items = change.verdicts if method == verb else change.device_list
    assert items == (told_of_it,)


def test_documented_answers_are_put_together_the_same_way(fota: Emulator, client: Client) -> None:
    a, b = fota.devices[:2]
    for lost, call in (
        ("assign", client.licenses.assign_fota_licenses_to_devices_1),
        ("remove", client.licenses.remove_licenses_from_devices_1),
    ):
        fota.faults.answer_lost(operation=lost)
        newer = call(ACCOUNT, LicensesAssignedRemovedRequest([a, MALFORMED, b]))
        word = "LicenseAssignSuccess" if lost == "assign" else "Success"
        refused = "LicenseAssignFailed" if lost == "assign" else "Failure"
        assert [item.status for item in newer.device_list] == [word, refused, word]
        assert newer.reconciled
        assert newer.lic_used_count == (2 if lost == "assign" else 0)
    for lost, older in (
        ("assign", client.licenses.assign_fota_licenses_to_devices),
        ("remove", client.licenses.remove_licenses_from_devices),
    ):
        fota.faults.answer_lost(operation=lost)
        with pytest.warns(DeprecationWarning, match="is deprecated"):
            answer = older(ACCOUNT, LicenseIMEI([a, b]))
        assert [(item.device_id, item.status) for item in answer.device_list] == [
            (a, "Success"),
            (b, "Success"),
        ]
        assert answer.reconciled
        assert len(lists(fota, lost)) == 3


def test_a_list_that_is_none_is_refused_as_it_is(client: Client) -> None:
    with pytest.raises(ErrorException):
        client.licenses.assign_fota_licenses_to_devices_1(ACCOUNT, LicensesAssignedRemovedRequest())


# --- candidate lists ---------------------------------------------------------------------------


def test_edits_of_a_candidate_list(fota: Emulator, client: Client) -> None:
    a, b, c = fota.devices[:3]
    lists_of = client.licenses
    edits: list[tuple[Callable[[], CandidateEdit], list[str], int]] = [
        (lambda: lists_of.replace_candidates(ACCOUNT, [c]), [c], 2),
        (lambda: lists_of.append_candidates(ACCOUNT, [a, c]), [c, a], 1),
        (lambda: lists_of.append_candidates(ACCOUNT, [b]), [c, a, b], 1),
        (lambda: lists_of.clear_candidates(ACCOUNT), [], 2),
    ]
    for edit, listed, sent in edits:
        fota.requests.clear()
        fota.faults.answer_lost(operation="candidates")
        made = edit()
        writes = [request for request in fota.requests if request.method != "GET"]
        assert (list(made.imeis), made.count) == (listed, len(listed))
        assert list(lists_of.candidates(ACCOUNT)) == listed
        assert len(writes) == sent
        assert made.reconciled == (sent == 1)


def test_only_what_a_list_lacks_is_added(fota: Emulator, client: Client) -> None:
    a, b = fota.devices[:2]
    client.licenses.append_candidates(ACCOUNT, [a])
    fota.requests.clear()
    fota.faults.connection_cut(operation="candidates", method="POST")
    edit = client.licenses.append_candidates(ACCOUNT, [a, b])

    assert (edit.imeis, edit.reconciled) == ((a, b), True)
    sent = [json.loads(r.request_body)["deviceList"] for r in fota.requests if r.method == "POST"]
    assert sent == [[a, b], [b]]


# --- where it cannot be settled ----------------------------------------------------------------


def test_what_cannot_be_read_leaves_the_loss_in_doubt(fota: Emulator, client: Client) -> None:
    fota.faults.answer_lost(operation="assign")
    fota.faults.html_page(operation="devices", times=None)
    with pytest.raises(ConnectionFailed) as caught:
        client.licenses.assign(ACCOUNT, fota.devices[:1])

    assert caught.value.in_doubt
    assert isinstance(caught.value.__cause__, ServerError)
    assert pickle.loads(pickle.dumps(caught.value)).in_doubt


def test_totals_that_cannot_be_read_leave_the_loss_in_doubt(fota: Emulator, client: Client) -> None:
    fota.faults.answer_lost(operation="assign")
    fota.faults.html_page(operation="subscription", status=500)
    with pytest.raises(ConnectionFailed) as caught:
        client.licenses.assign(ACCOUNT, fota.devices[:1])

    assert (caught.value.in_doubt, caught.value.sent) == (True, True)
    assert isinstance(caught.value.__cause__, ServerError)


def test_a_doubt_stays_where_a_part_was_found_as_asked(fota: Emulator, client: Client) -> None:
    fota.faults.answer_lost(operation="assign")
    fota.faults.too_many_requests(operation="assign", skip=1, times=None)
    with pytest.raises(TooManyRequests) as caught:
        client.licenses.assign(ACCOUNT, [fota.devices[0], MALFORMED])

    assert caught.value.in_doubt
    fota.faults.clear()
    assert client.licenses.status(ACCOUNT).used == 1


class Reticent:
    """A transport over the emulator whose answers lack some of their text."""

    def __init__(self, lacking: bytes) -> None:
        self.lacking = lacking

    def send(self, request: HttpRequest, timeout_s: float) -> Response:
        over = stand_in()
        assert over is not None
        answer = over.send(request, timeout_s)
        return replace(answer, body=answer.body.replace(self.lacking, b""))

    async def send_async(self, request: HttpRequest, timeout_s: float) -> Response:
        return self.send(request, timeout_s)

    def close(self) -> None:
        pass

    async def close_async(self) -> None:
        pass


@pytest.mark.parametrize(
    ("lacking", "cause"),
    [
        (b'"licenseAssigned":true,', "whether 990003425730500 has a license"),
        (b'"licenseCount":1000,', "no counts"),
    ],
)
def test_what_the_service_does_not_tell_leaves_the_loss_in_doubt(
    fota: Emulator, lacking: bytes, cause: str
) -> None:
    fota.faults.keys_ignored(times=None, operation="any")
    fota.faults.answer_lost(operation="assign")
    with pytest.raises(ConnectionFailed) as caught:
        fota.new_client(transport=Reticent(lacking)).licenses.assign(ACCOUNT, fota.devices[:1])

    assert caught.value.in_doubt
    assert cause in str(caught.value.__cause__)
    fota.requests.assert_called("assign", times=1)


@pytest.mark.fota(scenario=Scenario(accounts=(Account(devices=2_500, licenses=2_500),)))
@pytest.mark.parametrize("bound", ["deadline_s", "retry_budget_s"])
def test_what_is_read_on_the_way_has_the_time_of_the_whole_call(
    fota: Emulator, client: Client, bound: str
) -> None:
    fota.faults.answer_lost(operation="assign")
    fota.faults.answer_delayed(25, operation="devices", times=None)
    began = fota.clock.now
    with pytest.raises(ConnectionFailed) as caught:
        client.licenses.assign(ACCOUNT, fota.devices, **{bound: 40})  # type: ignore[arg-type]

    assert (fota.clock.now - began).total_seconds() == 40
    assert isinstance(caught.value.__cause__, TimedOut)
    fota.requests.assert_called("devices", times=2)


def test_an_empty_list_is_refused_as_it_would_have_been(fota: Emulator, client: Client) -> None:
    for verb, operation in (
        (client.licenses.assign, "assign"),
        (client.licenses.remove, "remove"),
        (client.licenses.append_candidates, "candidates"),
    ):
        fota.faults.html_page(operation=operation)
        with pytest.raises(InvalidParameter) as caught:
            verb(ACCOUNT, [])
        assert not caught.value.in_doubt
        fota.requests.assert_called(operation, times=2)


def test_what_is_missing_has_a_key_of_its_own(fota: Emulator, client: Client) -> None:
    keys: list[str] = []
    fota.faults.answer_lost(operation="assign")
    fota.faults.html_page(operation="assign", skip=1)
    client.licenses.assign(
        ACCOUNT,
        [fota.devices[0], MALFORMED],
        idempotency_key="nightly 7",
        before_request=lambda request: keys.append(request.headers.get("Idempotency-Key", "")),
    )

    lists_sent = [key for key in keys if key]
    assert lists_sent[0] == "nightly 7"
    assert len(set(lists_sent)) == len(lists_sent) == 3


def test_a_list_that_is_altered_meanwhile_is_the_one_that_was_sent(
    fota: Emulator, client: Client
) -> None:
    asked = LicensesAssignedRemovedRequest(list(fota.devices[:2]))

    def alter(request: HttpRequest) -> None:
        if asked.device_list is not None:
            asked.device_list.clear()

    fota.faults.answer_lost(operation="assign")
    answer = client.licenses.assign_fota_licenses_to_devices_1(ACCOUNT, asked, before_request=alter)
    assert [item.device_id for item in answer.device_list] == list(fota.devices[:2])


# fault, its settings, tries again, what is raised, whether the write may have been carried out
DOUBTS = [
    ("answer_lost", {}, 0, ConnectionFailed, True),
    ("answer_delayed", {}, 0, TimedOut, True),
    ("json_malformed", {}, 0, ApiError, True),
    ("html_page", {"status": 500}, 2, ServerError, True),
    ("html_page", {"status": 502}, 0, ServerError, True),
    ("unavailable", {"form": "none"}, 0, ServerError, True),
    ("unavailable", {"form": "seconds"}, 0, ServerError, False),
    ("too_many_requests", {}, 0, TooManyRequests, False),
    ("html_page", {"status": 400}, 2, ErrorException, False),
]


@pytest.mark.parametrize(("fault", "settings", "retries", "kind", "in_doubt"), DOUBTS)
def test_an_error_of_a_write_tells_whether_it_may_have_been_done(
    fota: Emulator,
    client: Client,
    fault: str,
    settings: dict[str, object],
    retries: int,
    kind: type[ApiError],
    in_doubt: bool,
) -> None:
    getattr(fota.faults, fault)(times=None, operation="any", **settings)
    with pytest.raises(kind) as caught:
        client.licenses.assign(ACCOUNT, fota.devices[:1], max_retries=retries)
    with pytest.raises(kind) as reading:
        client.licenses.status(ACCOUNT, max_retries=0)

    assert caught.value.in_doubt is in_doubt
    assert reading.value.in_doubt is False


def test_a_doubt_stays_whatever_is_answered_to_the_next_attempt(fota: Emulator) -> None:
    fota.client.licenses.status(ACCOUNT)
    fota.faults.answer_lost(operation="assign")
    fota.faults.too_many_requests(operation="assign", skip=1, times=None)
    with pytest.raises(TooManyRequests) as caught:
        fota.client.licenses.assign(ACCOUNT, fota.devices[:1])

    assert caught.value.in_doubt
    fota.requests.assert_called("assign", times=3)


def test_a_server_that_turns_out_to_keep_keys_is_asked_again_with_the_same_one(
    fota: Emulator,
) -> None:
    tokens = fota.client._tokens.get(session=True)
    fota.requests.clear()
    client = fota.new_client(access_token=tokens["bearer"], session_token=tokens["session"])
    fota.faults.answer_lost(operation="assign")
    change = client.licenses.assign(ACCOUNT, fota.devices[:1])

    assert told(change.verdicts) == [(fota.devices[0], Outcome.ASSIGNED, False)]
    assert (change.replayed, change.reconciled) == (True, False)
    assert len(lists(fota, "assign")) == 2


def test_a_login_that_is_not_answered_says_nothing_of_the_write(fota: Emulator) -> None:
    fota.faults.answer_delayed(operation="token")
    fota.faults.html_page(operation="login")

    assert fota.client.licenses.assign(ACCOUNT, fota.devices[:1]).used == 1
    fota.requests.assert_called("assign", times=1)
    fota.faults.answer_delayed(operation="token", times=None)
    with pytest.raises(TimedOut) as caught:
        fota.new_client().licenses.assign(ACCOUNT, fota.devices[:1])
    assert (caught.value.in_doubt, caught.value.sent) == (False, False)


# --- plans -------------------------------------------------------------------------------------

# the write, and how often it is sent when each of its answers is lost
PLANS: list[tuple[str, Callable[[Client, str, str], object], int]] = [
    ("POST",   lambda c, _, b: c.upgrades.plan(ACCOUNT, [b], **FIRMWARE),       1),
    ("PUT",    lambda c, u, b: c.upgrades.add_to_plan(ACCOUNT, u, [b]),         1),
    ("PUT",    lambda c, u, b: c.upgrades.remove_from_plan(ACCOUNT, u, [b]),    1),
    ("DELETE", lambda c, u, _: c.upgrades.cancel_plan(ACCOUNT, u),              3),
]  # fmt: skip
FIRMWARE: dict[str, Any] = {
    "firmware_name": "new",
    "firmware_to": "2",
    "starts_on": date(2026, 2, 1),
    "ends_on": date(2026, 2, 2),
}


@pytest.mark.parametrize(("method", "write", "times"), PLANS)
def test_a_plan_whose_answer_is_lost_is_left_in_doubt(
    fota: Emulator,
    client: Client,
    method: str,
    write: Callable[[Client, str, str], object],
    times: int,
) -> None:
    a, b = fota.devices[:2]
    client.licenses.assign(ACCOUNT, [a, b])
    made = client.upgrades.plan(ACCOUNT, [a], **FIRMWARE)
    fota.requests.clear()
    with (
        fota.faults.answer_lost(operation="upgrades", times=None),
        pytest.raises(ConnectionFailed) as caught,
    ):
        write(client, made.upgrade_id, b)

    assert caught.value.in_doubt
    assert [entry.method for entry in fota.requests] == [method] * times
    if method != "DELETE":
        with fota.faults.too_many_requests(operation="upgrades"):
            write(client, made.upgrade_id, b)
    fota.requests.clear()
    with fota.faults.answer_lost(operation="upgrades"):
        assert client.upgrades.cancel_plan(ACCOUNT, made.upgrade_id).upgrade_id == made.upgrade_id
    fota.requests.assert_called("upgrades", times=2)


def test_a_plan_is_sent_again_to_a_server_that_keeps_keys(fota: Emulator) -> None:
    fota.client.licenses.assign(ACCOUNT, fota.devices[:1])
    fota.faults.answer_lost(operation="upgrades")
    made = fota.client.upgrades.plan(ACCOUNT, fota.devices[:1], **FIRMWARE)

    assert (made.replayed, told(made.verdicts)) == (
        True,
        [(fota.devices[0], Outcome.SCHEDULED, False)],
    )
