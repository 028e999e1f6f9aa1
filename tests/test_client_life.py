"""`client.devices`, `client.upgrades`, and the size of a pool in `client.pool`, on a real server."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest

from fotapool import (
    ApiError,
    CandidateEdit,
    Client,
    Conflict,
    ErrorException,
    Forbidden,
    Outcome,
    PlanChange,
    PlannedDevice,
    Response,
    UnexpectedAnswer,
    Verdict,
)
from fotapool.model import Role, Verb
from fotapool.testing import Account, Emulator, Scenario
from fotapool.wire import pool_life
from script import IMEIS, Play
from world import ACCOUNT, Script, World, answer, imeis

pytestmark = pytest.mark.usefixtures("colour")

A, B, C = (f"{IMEIS[letter]:015d}" for letter in "ABC")
STRANGE = "352906110000001"


@pytest.fixture
def play(small_world: World) -> Play:
    return Play(small_world, licenses=9, name=ACCOUNT)


@pytest.fixture
def client(play: Play) -> Iterator[Client]:
    secrets = play.world.add_login(ACCOUNT, role=Role.ADMIN, name="boss").secrets
    with (
        play.world.serving() as url,
        Client(
            base_url=url, client_id=secrets.client_id, client_secret=secrets.client_secret
        ) as client,
    ):
        yield client


def told(verdicts: tuple[Verdict, ...]) -> list[tuple[str, Outcome]]:
    return [(verdict.imei, verdict.outcome) for verdict in verdicts]


def test_a_pool_is_shrunk_and_the_shrink_taken_back(play: Play, client: Client) -> None:
    play.play("assign ABC; schedule B; start B")
    client.pool.replace_candidates(ACCOUNT, [C])
    expected = [
        (C, Outcome.TAKEN_CANDIDATE),
        (A, Outcome.TAKEN_OLDEST),
        (B, Outcome.PENDING_OLDEST),
    ]

    dry = client.pool.dry_run_resize(ACCOUNT, 0)
    made = client.pool.resize(ACCOUNT, 0, if_sequence=dry.sequence)

    assert told(dry.verdicts) == told(made.verdicts) == expected
    assert (made.total, made.used, made.free, made.overhang) == (0, 1, 0, 1)
    assert (made.change, made.verb, made.has_more, made.replayed) == (7, "resize", False, False)
    with pytest.raises(Conflict) as caught:
        client.pool.resize(ACCOUNT, 5, if_sequence=dry.sequence)
    assert caught.value.error_code == "PRECONDITION_FAILED"

    dry = client.pool.dry_run_undo(ACCOUNT, made.change)
    undone = client.pool.undo(ACCOUNT, made.change)
    assert (
        told(dry.verdicts)
        == told(undone.verdicts)
        == [
            (C, Outcome.GIVEN_BACK),
            (A, Outcome.GIVEN_BACK),
            (B, Outcome.RELEASED),
        ]
    )
    assert undone.total == 9


def test_an_undo_that_comes_too_late_says_by_which_change(play: Play, client: Client) -> None:
    play.play("assign AB; remove A")

    (late, taken) = client.pool.undo(ACCOUNT, 3).verdicts
    assert (late.outcome, late.by, late.ok) == (Outcome.CHANGED_SINCE, 4, False)
    assert (taken.outcome, taken.by, taken.ok) == (Outcome.TAKEN_BACK, None, True)
    with pytest.raises(Conflict) as caught:
        client.pool.undo(ACCOUNT, 1)
    assert str(caught.value) == (
        "409 Conflict: UNDO_IMPOSSIBLE: Change 1 is a create_account; only assign, remove, resize "
        "and their undos can be undone."
    )


def test_a_dry_run_of_many_is_gathered_page_by_page(
    small_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_life, "VERDICTS_LISTED_MAX", 20)
    account = small_world.add_account(licenses=50, devices=imeis(50))
    names = [f"{imei:015d}" for imei in imeis(50)]
    small_world.carry_out(account, Verb.ASSIGN, names)
    login = small_world.add_login(ACCOUNT, role=Role.ADMIN)

    with small_world.serving() as url, login.client(url) as client:
        dry = client.pool.dry_run_resize(ACCOUNT, 5)
        made = client.pool.resize(ACCOUNT, 5, idempotency_key="k")
        assert [verdict.imei for verdict in dry.verdicts] == names[:45]
        assert (len(made.verdicts), made.has_more) == (20, True)
        assert client.pool.resize(ACCOUNT, 5, idempotency_key="k").replayed
        whole = client.pool.change(ACCOUNT, made.change)
        assert told(whole.verdicts) == told(dry.verdicts)
        assert not whole.has_more


def test_candidates(client: Client) -> None:
    made = client.pool.replace_candidates(ACCOUNT, [B, A, B])
    assert (made.candidates, told(made.verdicts)[2]) == (2, (B, Outcome.ALREADY_LISTED))
    assert client.pool.append_candidates(ACCOUNT, [C]).candidates == 3
    assert list(client.pool.candidates(ACCOUNT)) == [B, A, C]
    assert client.pool.clear_candidates(ACCOUNT).candidates == 0
    assert list(client.pool.candidates(ACCOUNT)) == []
    with pytest.raises(ErrorException, match="is not a device of the account"):
        client.pool.append_candidates(ACCOUNT, [STRANGE])


def test_devices_come_and_go(play: Play, client: Client) -> None:
    play.play("assign A; schedule A; leave DEFGH")

    assert told(client.devices.register(ACCOUNT, [STRANGE, A]).verdicts) == [
        (STRANGE, Outcome.REGISTERED),
        (A, Outcome.ALREADY_REGISTERED),
    ]
    first, *_, last = client.devices.list(ACCOUNT)
    assert (first.imei, first.upgrade, first.assigned_at) == (STRANGE, "none", None)
    assert (last.imei, last.upgrade, last.upgraded_at) == (A, "scheduled", None)
    assert last.assigned_at == datetime(2017, 11, 29, 16, 3, 43, tzinfo=UTC)
    assert told(client.devices.unregister(ACCOUNT, [STRANGE, A]).verdicts) == [
        (STRANGE, Outcome.LEFT),
        (A, Outcome.LEFT_AND_FREED),
    ]
    assert [device.imei for device in client.devices.list(ACCOUNT)] == [C, B]


def test_the_steps_of_an_upgrade(play: Play, client: Client) -> None:
    play.play("assign AB")
    steps = [
        (client.upgrades.schedule, Outcome.SCHEDULED),
        (client.upgrades.cancel, Outcome.CANCELLED),
        (client.upgrades.schedule, Outcome.SCHEDULED),
        (client.upgrades.start, Outcome.STARTED),
        (client.upgrades.fail, Outcome.FAILED),
        (client.upgrades.schedule, Outcome.SCHEDULED),
        (client.upgrades.start, Outcome.STARTED),
        (client.upgrades.finish, Outcome.FINISHED),
    ]
    for step, outcome in steps:
        assert told(step(ACCOUNT, [A]).verdicts) == [(A, outcome)]
    assert told(client.pool.remove(ACCOUNT, [A]).verdicts) == [(A, Outcome.UPGRADED)]


def test_the_account(play: Play, client: Client) -> None:
    play.play("assign A; list AB")
    account = client.pool.account(ACCOUNT)

    assert (account.purchase_type, account.policy, account.active) == ("MRC", "registered", True)
    assert (account.total, account.used, account.free, account.overhang) == (9, 1, 8, 0)
    assert (account.sequence, account.candidates) == (4, 2)


def test_what_only_an_admin_may(play: Play) -> None:
    login = play.world.add_login(ACCOUNT, role=Role.OPERATOR)
    with play.world.serving() as url, login.client(url) as client:
        for call in (
            lambda: client.pool.resize(ACCOUNT, 5),
            lambda: client.pool.dry_run_resize(ACCOUNT, 5),
            lambda: client.devices.register(ACCOUNT, [A]),
            lambda: client.devices.unregister(ACCOUNT, [A]),
        ):
            with pytest.raises(Forbidden):
                call()


# --- documented neighbours, so with both tokens ------------------------------------------------


@pytest.fixture
def documented(play: Play) -> Iterator[Client]:
    login = play.world.add_login(ACCOUNT)
    with play.world.serving() as url, login.client(url) as client:
        yield client


def test_what_was_bought(play: Play, documented: Client) -> None:
    play.play("resize 7; assign A")
    told_ = documented.licenses.subscription(ACCOUNT)

    assert (told_.account, told_.purchase_type, told_.total, told_.used) == (
        ACCOUNT,
        "TS-HFOTA-MRC",
        7,
        1,
    )
    assert told_.updated_at == datetime(2017, 11, 29, 16, 3, 43, tzinfo=UTC)
    assert told_.updated_at_text == "2017-11-29T16:03:43.000Z"


def test_the_documented_candidate_list(documented: Client) -> None:
    licenses = documented.licenses
    assert list(licenses.candidates(ACCOUNT)) == []
    assert licenses.replace_candidates(ACCOUNT, [B, A]) == CandidateEdit(ACCOUNT, 2, (B, A))
    assert licenses.append_candidates(ACCOUNT, [C, A]) == CandidateEdit(ACCOUNT, 3, (B, A, C))
    assert list(licenses.candidates(ACCOUNT)) == [B, A, C]
    licenses.clear_candidates(ACCOUNT)
    assert list(licenses.candidates(ACCOUNT)) == []
    with pytest.raises(ErrorException, match="Device does not exist"):
        licenses.replace_candidates(ACCOUNT, [STRANGE])


def test_the_documented_device_list(play: Play, documented: Client) -> None:
    play.play("assign AB; schedule B; start B; finish B")
    devices = list(documented.licenses.account_devices(ACCOUNT, protocol="OMADM"))

    assert [device.imei for device in devices][-2:] == [B, A]
    assert [device.licensed for device in devices] == [False] * 6 + [True, True]
    assert {device.protocol for device in devices} == {"OMADM"}
    assert devices[-2].upgraded_at == datetime(2017, 11, 29, 16, 3, 46, tzinfo=UTC)
    named = documented.licenses.named_devices(ACCOUNT, [A, STRANGE])
    assert [(device.imei, device.found, device.licensed) for device in named] == [
        (A, True, True),
        (STRANGE, False, None),
    ]


# --- planned upgrades --------------------------------------------------------------------------

FIRMWARE: dict[str, Any] = {
    "firmware_name": "FOTA_Verizon_Model-A_01To02_HF",
    "firmware_to": "VerizonFirmwareVersion-02",
    "starts_on": date(2020, 8, 21),
    "ends_on": date(2020, 8, 22),
}
D = f"{IMEIS['D']:015d}"
ACCEPTED, CANCELLED = ("Device Accepted", "success"), ("RequestFailed", "Upgrade cancelled.")


def test_a_planned_upgrade(play: Play, documented: Client) -> None:
    play.play("assign ABC")
    upgrades = documented.upgrades
    made = upgrades.plan(ACCOUNT, [A, D, STRANGE, "x", A, B], **FIRMWARE)

    def stood() -> tuple[str | None, list[tuple[str, tuple[str, str]]]]:
        told = upgrades.planned(ACCOUNT, made.upgrade_id)
        assert (told.account, told.upgrade_id) == (ACCOUNT, made.upgrade_id)
        return told.status, [(it.imei, (it.status, it.reason)) for it in told.devices]

    assert told(made.verdicts) == [
        (A, Outcome.SCHEDULED),
        (D, Outcome.NOT_LICENSED),
        (STRANGE, Outcome.UNKNOWN_DEVICE),
        ("x", Outcome.MALFORMED),
        (A, Outcome.ALREADY_SCHEDULED),
        (B, Outcome.SCHEDULED),
    ]
    assert [verdict.imei for verdict in made.refused] == [D, STRANGE, "x", A]
    assert (made.account, made.change, made.replayed) == (ACCOUNT, 4, False)
    assert stood() == ("Queued", [(A, ACCEPTED), (B, ACCEPTED)])

    added = upgrades.add_to_plan(ACCOUNT, made.upgrade_id, [C, B])
    assert told(added.verdicts) == [(C, Outcome.SCHEDULED), (B, Outcome.ALREADY_SCHEDULED)]
    play.play("start A")
    taken = upgrades.remove_from_plan(ACCOUNT, made.upgrade_id, [A, B, B])
    assert told(taken.verdicts) == [
        (A, Outcome.UPGRADE_RUNNING),
        (B, Outcome.CANCELLED),
        (B, Outcome.NOT_SCHEDULED),
    ]
    running = ("InProgress", "Upgrade in progress.")
    assert stood() == ("InProgress", [(A, running), (B, CANCELLED), (C, ACCEPTED)])

    given_up = upgrades.cancel_plan(ACCOUNT, made.upgrade_id)
    assert (given_up.upgrade_id, given_up.verdicts, given_up.change) == (made.upgrade_id, (), 8)
    play.play("finish A")
    finished = ("Finished", "success")
    assert stood() == ("Finished", [(A, finished), (B, CANCELLED), (C, CANCELLED)])
    assert added.upgrade_id == taken.upgrade_id == made.upgrade_id


def test_what_a_plan_was_asked_for(play: Play, documented: Client) -> None:
    play.play("assign A")
    made = documented.upgrades.plan(ACCOUNT, [A], **FIRMWARE, idempotency_key="monday")
    again = documented.upgrades.plan(ACCOUNT, [A], **FIRMWARE, idempotency_key="monday")
    found = documented.upgrades.planned(ACCOUNT, made.upgrade_id)

    assert (again.upgrade_id, made.replayed, again.replayed) == (made.upgrade_id, False, True)
    assert (found.firmware_name, found.firmware_to) == (
        "FOTA_Verizon_Model-A_01To02_HF",
        "VerizonFirmwareVersion-02",
    )
    assert (found.starts_on, found.starts_on_text) == (date(2020, 8, 21), "2020-08-21")
    assert found.response.json()["startDate"] == "2020-08-21"


def test_plans_that_are_none(documented: Client) -> None:
    upgrades, nowhere = documented.upgrades, "6c9efc3c-3d1c-4d4a-9a2e-7c4f4f6ac001"
    for call in (
        lambda: upgrades.planned(ACCOUNT, nowhere),
        lambda: upgrades.add_to_plan(ACCOUNT, nowhere, [A]),
        lambda: upgrades.remove_from_plan(ACCOUNT, nowhere, [A]),
        lambda: upgrades.cancel_plan(ACCOUNT, nowhere),
    ):
        with pytest.raises(ErrorException, match="Invalid upgradeId"):
            call()
    with pytest.raises(ErrorException, match="Invalid uuid"):
        upgrades.planned(ACCOUNT, "a/b?c")
    with pytest.raises(ValueError, match=r"upgrade '\.\.': no upgrade has this id"):
        upgrades.cancel_plan(ACCOUNT, "..")
    with pytest.raises(TypeError, match=r"write \[imei\]"):
        upgrades.plan(ACCOUNT, A, **FIRMWARE)
    with pytest.raises(TypeError, match=r"is a moment; give a day, such as moment\.date"):
        upgrades.plan(ACCOUNT, [A], **FIRMWARE | {"ends_on": datetime(2020, 8, 22, tzinfo=UTC)})


# status, reason; of a device that is added, and of one that is taken out
WORDS = [
    ("RequestPending",      None,                            Outcome.SCHEDULED,      Outcome.CANCELLED),
    ("AddDeviceSucceed",    "Device added Successfully",     Outcome.SCHEDULED,      Outcome.CANCELLED),
    ("Success",             "",                              Outcome.SCHEDULED,      Outcome.CANCELLED),
    ("RequestFailed",       "Upgrade already scheduled.",    Outcome.ALREADY_SCHEDULED, Outcome.ALREADY_SCHEDULED),
    ("AddDeviceFailed",     "No license attached to device", Outcome.NOT_LICENSED,   Outcome.NOT_LICENSED),
    ("RequestFailed",       "It rains.",                     Outcome.UNRECOGNIZED,   Outcome.UNRECOGNIZED),
    ("RequestFailed",       None,                            Outcome.UNRECOGNIZED,   Outcome.UNRECOGNIZED),
    ("Perhaps",             "success",                       Outcome.UNRECOGNIZED,   Outcome.UNRECOGNIZED),
]  # fmt: skip


@pytest.mark.parametrize(("status", "reason", "added", "taken"), WORDS)
@pytest.mark.parametrize("name", ["resultReason", "Reason", "reason"])
def test_the_words_for_devices_of_plans(
    status: str, reason: str | None, name: str, added: Outcome, taken: Outcome
) -> None:
    told_ = page(id="u", deviceList=[{"deviceId": A, "status": status, name: reason}])
    with Client(transport=Script(told_, told_), access_token="t", session_token="s") as client:
        for change, outcome in (
            (client.upgrades.add_to_plan(ACCOUNT, "u", [A]), added),
            (client.upgrades.remove_from_plan(ACCOUNT, "u", [A]), taken),
        ):
            expected = Verdict(A, outcome, status, reason or "")
            assert change == PlanChange(ACCOUNT, "u", (expected,), None)


def test_answers_of_others_to_plans_are_read_as_they_come() -> None:
    script = Script(
        page(),
        page(
            startDate="soon", status="Queued", more=1, deviceList=[{"deviceId": A, "status": "Q"}]
        ),
        page(startDate="2020-08-21T00:00:00Z"),
        page(),
        answer(200, {}),
        answer(200, {"success": False}),
        page(),
    )
    ready: dict[str, Any] = {"access_token": "t", "session_token": "s"}
    with Client(transport=script, **ready, max_retries=0) as client:
        upgrades = client.upgrades
        empty = upgrades.planned(ACCOUNT, "u")
        assert (empty.account, empty.upgrade_id, empty.status) == (ACCOUNT, "u", None)
        assert (empty.devices, empty.starts_on, empty.firmware_to) == ((), None, None)
        vague = upgrades.planned(ACCOUNT, "u")
        assert (vague.starts_on, vague.starts_on_text) == (None, "soon")
        assert vague.devices == (PlannedDevice(A, "Q", ""),)
        assert upgrades.planned(ACCOUNT, "u").starts_on == date(2020, 8, 21)
        assert upgrades.add_to_plan(ACCOUNT, "u", [A]) == PlanChange(ACCOUNT, "u", ())
        assert upgrades.cancel_plan(ACCOUNT, "u") == PlanChange(ACCOUNT, "u", ())
        with pytest.raises(UnexpectedAnswer, match="the service says success: false"):
            upgrades.cancel_plan(ACCOUNT, "u")
        with pytest.raises(UnexpectedAnswer, match="does not say which upgrade it made") as caught:
            upgrades.plan(ACCOUNT, [A], **FIRMWARE)
        assert caught.value.in_doubt


# --- answers of others -------------------------------------------------------------------------


def page(**members: object) -> Response:
    return answer(200, {"accountName": ACCOUNT, **members})


def test_answers_of_others_are_read_as_they_come() -> None:
    """Missing members, members of tomorrow, other spellings, zeros."""
    script = Script(
        page(),
        page(licenseCount=0, licenseUsedCount=0, updateTime="soon", purchaseType="X", more=1),
        answer(200, {"count": 0}),
        answer(
            200, {"deviceList": [{"deviceId": A, "fotaEligible": "true"}], "hasMoreData": False}
        ),
    )
    with Client(transport=script, access_token="t", session_token="s") as client:
        empty = client.licenses.subscription(ACCOUNT)
        assert (empty.total, empty.used, empty.updated_at) == (None, None, None)
        zero = client.licenses.subscription(ACCOUNT)
        assert (zero.total, zero.used, zero.updated_at_text) == (0, 0, "soon")
        assert list(client.licenses.candidates(ACCOUNT)) == []
        (device,) = client.licenses.account_devices(ACCOUNT)
        assert (device.imei, device.licensed, device.found) == (A, None, True)


@pytest.mark.fota(scenario=Scenario(accounts=(Account(devices=2500),)))
def test_pages_that_do_not_go_on_are_an_error_not_a_loop(fota: Emulator) -> None:
    fota.faults.page_repeated(operation="devices", times=2)
    with pytest.raises(ApiError, match="do not go on"):
        list(fota.client.licenses.account_devices(ACCOUNT))
    empty = answer(200, {"count": 9, "hasMoreData": True, "deviceList": []})
    client = Client(transport=Script(empty, empty), access_token="t", session_token="s")
    with pytest.raises(ApiError, match="do not go on"):
        list(client.licenses.candidates(ACCOUNT))
