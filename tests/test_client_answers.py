"""Every result keeps the answer that it was read from."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from datetime import date
from typing import Any

import pytest

from fotapool import (
    AccountStatus,
    CandidateEdit,
    Client,
    FotapoolError,
    LicenseChange,
    LicenseIMEI,
    LicensesAssignedRemovedRequest,
    LicenseSummary,
    NotJson,
    Page,
    PlanChange,
    PoolChange,
    Response,
)
from fotapool.ledger import history as history_module
from fotapool.model import Role, Verb
from fotapool.testing import Account, Emulator, Scenario
from fotapool.wire import pool_life, pool_v1
from world import ACCOUNT, Script, World, answer, imeis

pytestmark = [
    pytest.mark.usefixtures("colour"),
    pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning"),
]

A, B, STRANGE = "990003425730524", "990000473475967", "352906110000001"
SEEDED = Scenario(accounts=(Account(licenses=9, devices=(A, B), candidates=(A,)),))
V2 = LicenseIMEI(device_list=[A])
V3 = LicensesAssignedRemovedRequest(device_list=[A])


def planned(client: Client) -> PlanChange:
    client.licenses.assign(ACCOUNT, [A])
    return client.upgrades.plan(
        ACCOUNT,
        [A],
        firmware_name="FW_01To02",
        firmware_to="FW_02",
        starts_on=date(2026, 2, 1),
        ends_on=date(2026, 2, 8),
    )


# What each verb gives; of a list, the first page.
RESULTS: dict[str, Callable[[Client], Any]] = {
    "licenses.get_user_fota_licenses_summary": lambda c: c.licenses.get_user_fota_licenses_summary(
        ACCOUNT
    ),
    "licenses.assign_fota_licenses_to_devices": lambda c: (
        c.licenses.assign_fota_licenses_to_devices(ACCOUNT, V2)
    ),
    "licenses.remove_licenses_from_devices": lambda c: c.licenses.remove_licenses_from_devices(
        ACCOUNT, V2
    ),
    "licenses.summarize_fota_licenses_assignment": lambda c: (
        c.licenses.summarize_fota_licenses_assignment(ACCOUNT)
    ),
    "licenses.assign_fota_licenses_to_devices_1": lambda c: (
        c.licenses.assign_fota_licenses_to_devices_1(ACCOUNT, V3)
    ),
    "licenses.remove_licenses_from_devices_1": lambda c: c.licenses.remove_licenses_from_devices_1(
        ACCOUNT, V3
    ),
    "licenses.assign": lambda c: c.licenses.assign(ACCOUNT, [A]),
    "licenses.remove": lambda c: c.licenses.remove(ACCOUNT, [A]),
    "licenses.status": lambda c: c.licenses.status(ACCOUNT),
    "licenses.devices": lambda c: first(c.licenses.devices(ACCOUNT)),
    "licenses.subscription": lambda c: c.licenses.subscription(ACCOUNT),
    "licenses.account_devices": lambda c: first(c.licenses.account_devices(ACCOUNT)),
    "licenses.named_devices": lambda c: c.licenses.named_devices(ACCOUNT, [A, STRANGE]),
    "licenses.candidates": lambda c: first(c.licenses.candidates(ACCOUNT)),
    "licenses.replace_candidates": lambda c: c.licenses.replace_candidates(ACCOUNT, [B]),
    "licenses.append_candidates": lambda c: c.licenses.append_candidates(ACCOUNT, [B]),
    "licenses.clear_candidates": lambda c: c.licenses.clear_candidates(ACCOUNT),
    "pool.status": lambda c: c.pool.status(ACCOUNT),
    "pool.devices": lambda c: first(c.pool.devices(ACCOUNT)),
    "pool.assign": lambda c: c.pool.assign(ACCOUNT, [A]),
    "pool.remove": lambda c: c.pool.remove(ACCOUNT, [A]),
    "pool.dry_run_assign": lambda c: c.pool.dry_run_assign(ACCOUNT, [A]),
    "pool.dry_run_remove": lambda c: c.pool.dry_run_remove(ACCOUNT, [A]),
    "pool.changes": lambda c: first(c.pool.changes(ACCOUNT)),
    "pool.change": lambda c: c.pool.change(ACCOUNT, 1),
    "pool.device_history": lambda c: first(c.pool.device_history(ACCOUNT, A)),
    "pool.as_of": lambda c: c.pool.as_of(ACCOUNT, sequence=1),
    "pool.devices_as_of": lambda c: first(c.pool.devices_as_of(ACCOUNT, sequence=1)),
    "pool.refusals": lambda c: c.pool.refusals(ACCOUNT),
    "pool.clock": lambda c: c.pool.clock(ACCOUNT),
    "pool.account": lambda c: c.pool.account(ACCOUNT),
    "pool.resize": lambda c: c.pool.resize(ACCOUNT, 5),
    "pool.dry_run_resize": lambda c: c.pool.dry_run_resize(ACCOUNT, 5),
    "pool.undo": lambda c: c.pool.undo(ACCOUNT, c.pool.resize(ACCOUNT, 5).change),
    "pool.dry_run_undo": lambda c: c.pool.dry_run_undo(ACCOUNT, c.pool.resize(ACCOUNT, 5).change),
    "pool.candidates": lambda c: first(c.pool.candidates(ACCOUNT)),
    "pool.replace_candidates": lambda c: c.pool.replace_candidates(ACCOUNT, [B]),
    "pool.append_candidates": lambda c: c.pool.append_candidates(ACCOUNT, [B]),
    "pool.clear_candidates": lambda c: c.pool.clear_candidates(ACCOUNT),
    "devices.list": lambda c: first(c.devices.list(ACCOUNT)),
    "devices.register": lambda c: c.devices.register(ACCOUNT, [STRANGE]),
    "devices.unregister": lambda c: c.devices.unregister(ACCOUNT, [A]),
    "upgrades.schedule": lambda c: c.upgrades.schedule(ACCOUNT, [A]),
    "upgrades.start": lambda c: c.upgrades.start(ACCOUNT, [A]),
    "upgrades.finish": lambda c: c.upgrades.finish(ACCOUNT, [A]),
    "upgrades.fail": lambda c: c.upgrades.fail(ACCOUNT, [A]),
    "upgrades.cancel": lambda c: c.upgrades.cancel(ACCOUNT, [A]),
    "upgrades.plan": planned,
    "upgrades.planned": lambda c: c.upgrades.planned(ACCOUNT, planned(c).upgrade_id),
    "upgrades.add_to_plan": lambda c: c.upgrades.add_to_plan(ACCOUNT, planned(c).upgrade_id, [B]),
    "upgrades.remove_from_plan": lambda c: c.upgrades.remove_from_plan(
        ACCOUNT, planned(c).upgrade_id, [A]
    ),
    "upgrades.cancel_plan": lambda c: c.upgrades.cancel_plan(ACCOUNT, planned(c).upgrade_id),
}


def first(listing: Any) -> Any:
    return next(iter(listing.pages()))


def test_no_verb_is_forgotten() -> None:
    client = Client(access_token="b", session_token="s", transport=Script())
    client = getattr(client, "_client", client)

    assert set(RESULTS) == {
        f"{part}.{name}"
        for part in ("licenses", "pool", "devices", "upgrades")
        for name in dir(getattr(client, part))
        if not name.startswith("_")
    }


@pytest.mark.fota(scenario=SEEDED)
@pytest.mark.parametrize("verb", RESULTS)
def test_a_result_keeps_its_answer_and_changes_in_nothing(fota: Emulator, verb: str) -> None:
    result = RESULTS[verb](fota.client)
    entry = fota.requests.last

    kept: Response = result.response
    assert (kept.status_code, kept.body) == (200, entry.body)
    assert kept.request_id == kept.headers["x-request-id"] == entry.headers["x-request-id"]
    assert isinstance(result, PoolChange) or result.request_id == kept.request_id
    assert kept.json() == json.loads(kept.body)
    for other in (copied(result), copy.copy(result), copy.deepcopy(result), replace(result)):
        assert (other, other.response, repr(other)) == (result, kept, repr(result))
    bare = replace(result, response=Response(0, {}, b""))
    assert (bare, repr(bare)) == (result, repr(result))
    with pytest.raises(FrozenInstanceError):
        result.response = kept


def copied(result: Any) -> Any:
    return pickle.loads(pickle.dumps(result))


@pytest.mark.fota(scenario=SEEDED)
def test_items_of_a_page_have_none_of_their_own(fota: Emulator) -> None:
    fota.client.licenses.assign(ACCOUNT, [A, B])
    for page in (
        first(fota.client.pool.devices(ACCOUNT)),
        first(fota.client.pool.changes(ACCOUNT)),
    ):
        assert (list(page), len(page)) == (list(page.items), len(page.items))
        assert len(page) >= 2
        assert not any(hasattr(item, "response") for item in page)


def test_what_is_gathered_from_pages_keeps_the_first_answer(
    small_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (pool_life, pool_v1):
        monkeypatch.setattr(module, "VERDICTS_LISTED_MAX", 20)
    monkeypatch.setattr(history_module, "CHANGES_EXAMINED_MAX", 1)
    account = small_world.add_account(licenses=50, devices=imeis(50))
    small_world.carry_out(account, Verb.ASSIGN, [f"{imei:015d}" for imei in imeis(50)])
    login = small_world.add_login(ACCOUNT, role=Role.ADMIN)

    with small_world.serving() as url:
        answers: list[Response] = []
        client = login.client(url, after_request=lambda _, answer: answers.append(answer))
        client.pool.resize(ACCOUNT, 25)
        for verb in (
            lambda: client.pool.dry_run_resize(ACCOUNT, 0),
            lambda: client.pool.dry_run_undo(ACCOUNT, 4),
            lambda: client.pool.change(ACCOUNT, 4),
            lambda: client.pool.refusals(ACCOUNT),
        ):
            answers.clear()
            result: Any = verb()
            assert result.response == answers[0]
            assert len(answers) > 1
        client.close()


def test_equal_results_may_come_from_different_answers() -> None:
    page = {"accountName": "a", "assignedLicenses": 0, "hasMoreData": False, "maxPageSize": 0}
    client = Client(
        access_token="b",
        session_token="s",
        transport=Script(answer(200, page, x_request_id="1"), answer(200, {**page, "more": 1})),
    )
    one = client.licenses.summarize_fota_licenses_assignment("a")
    other = client.licenses.summarize_fota_licenses_assignment("a")

    assert (one, hash(one)) == (other, hash(other))
    assert (one.request_id, other.request_id) == ("1", None)
    assert other.response.json()["more"] == 1


@pytest.mark.parametrize(
    "made",
    [
        LicenseChange("a", 5, 1, ()),
        AccountStatus("a", 5, 1, (), has_more=False),
        CandidateEdit("a", 0, ()),
        LicenseSummary(
            account_name="a",
            total_license=5,
            assigned_licenses=1,
            has_more_data=False,
            last_seen_device_id=None,
            max_page_size=0,
        ),
        Page((), None),
    ],
)
def test_what_is_made_by_hand_has_an_empty_answer(made: Any) -> None:
    assert (made.response, made.request_id) == (Response(0, {}, b""), None)
    assert "response" not in repr(made)


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff", b"[" * 100_000, b'"\\ud800"'])
def test_a_body_that_is_no_json_says_so(body: bytes) -> None:
    with pytest.raises(NotJson, match=f"the body of {len(body)} bytes is no JSON") as caught:
        Response(200, {}, body).json()
    assert isinstance(caught.value, FotapoolError)
    assert isinstance(caught.value, ValueError)


@pytest.mark.fota(scenario=SEEDED)
def test_an_emptied_list_and_devices_by_name_are_results_like_others(fota: Emulator) -> None:
    emptied = fota.client.licenses.clear_candidates(ACCOUNT)
    named = fota.client.licenses.named_devices(ACCOUNT, [A, STRANGE])

    assert emptied == CandidateEdit(ACCOUNT, 0, ())
    assert (len(named), [device.found for device in named], named.cursor) == (
        2,
        [True, False],
        None,
    )
