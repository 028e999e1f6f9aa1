"""`client.pool`: our own operations as the SDK gives them, against a real server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta, timezone

import pytest

from fotapool import (
    AnswerError,
    ApiError,
    Client,
    ConfigurationError,
    ErrorException,
    MissingPath,
    Outcome,
    UnexpectedAnswer,
)
from fotapool.ledger import history as history_module
from fotapool.testing import Emulator
from world import ACCOUNT, Script, World, answer, imeis

pytestmark = pytest.mark.usefixtures("colour")

A, B, C = (f"{imei:015d}" for imei in (990003425730524, 42, 5))
NOON = datetime(2017, 11, 29, 16, 3, 42, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def client(small_world: World) -> Iterator[Client]:
    """A client with the bearer's half of a credential alone, for an account with a short past."""
    world = small_world
    world.add_account(licenses=2, devices=[int(A), int(B), int(C)])
    secrets = world.add_login(name="fleet").secrets
    with (
        world.serving() as url,
        Client(
            base_url=url, client_id=secrets.client_id, client_secret=secrets.client_secret
        ) as client,
    ):
        for verb, devices in (("assign", [A, B]), ("remove", [A]), ("assign", [A, C, "x"])):
            world.clock.advance(minutes=1)
            getattr(client.pool, verb)(ACCOUNT, devices)
        yield client


def test_a_write_gives_its_change_and_a_verdict_an_item(client: Client) -> None:
    change = client.pool.remove(ACCOUNT, [A, "x", C])

    assert (change.account, change.change, change.verb, change.actor) == (
        ACCOUNT,
        6,
        "remove",
        "fleet",
    )
    assert (change.total, change.used, change.free, change.overhang) == (2, 1, 1, 0)
    assert change.at == NOON + 3 * MINUTE
    assert [(verdict.imei, verdict.outcome, verdict.ok) for verdict in change.verdicts] == [
        (A, Outcome.REMOVED, True),
        ("x", Outcome.MALFORMED, False),
        (C, Outcome.NOT_LICENSED, False),
    ]
    assert [verdict.imei for verdict in change.refused] == ["x", C]
    assert change.outcomes == {"malformed": 1, "not_licensed": 1, "removed": 1}
    assert (len(change.request_id), len(change.hash), change.replayed) == (32, 64, False)
    with pytest.raises(FrozenInstanceError):
        change.used = 9  # type: ignore[misc]


def test_a_write_on_a_condition(client: Client) -> None:
    stood = client.pool.status(ACCOUNT)
    made = client.pool.remove(ACCOUNT, [A], if_sequence=stood.sequence)

    assert made.change == stood.sequence + 1
    with pytest.raises(AnswerError) as caught:
        client.pool.remove(ACCOUNT, [B], if_sequence=stood.sequence)
    assert (caught.value.response_code, caught.value.error_code) == (412, "PRECONDITION_FAILED")
    assert "its last change is 6" in str(caught.value)
    assert client.pool.status(ACCOUNT).sequence == 6


def test_a_key_of_ones_own_repeats_the_answer(client: Client) -> None:
    first = client.pool.remove(ACCOUNT, [A], idempotency_key="job 7")
    again = client.pool.remove(ACCOUNT, [A], idempotency_key="job 7")

    assert (first.replayed, again.replayed) == (False, True)
    assert (again.change, again.verdicts, again.hash) == (
        first.change,
        first.verdicts,
        first.hash,
    )


def test_dry_runs_change_nothing(client: Client) -> None:
    assigned = client.pool.dry_run_assign(ACCOUNT, [C, A])
    removed = client.pool.dry_run_remove(ACCOUNT, [B, C])

    assert (assigned.sequence, assigned.verb, assigned.used) == (5, "assign", 2)
    assert [verdict.outcome for verdict in assigned.verdicts] == [
        Outcome.NO_FREE_LICENSE,
        Outcome.ALREADY_LICENSED,
    ]
    assert (removed.outcomes, removed.used, removed.free) == (
        {"not_licensed": 1, "removed": 1},
        1,
        1,
    )
    assert [verdict.imei for verdict in removed.refused] == [C]
    assert client.pool.status(ACCOUNT).sequence == 5


def test_status_and_devices(client: Client) -> None:
    stood = client.pool.status(ACCOUNT)

    assert (stood.account, stood.sequence, stood.at, stood.has_more) == (ACCOUNT, 5, None, False)
    assert [(device.imei, device.assigned_at) for device in stood.devices] == [
        (B, NOON + MINUTE),
        (A, NOON + 3 * MINUTE),
    ]
    assert list(client.pool.devices(ACCOUNT)) == list(stood.devices)


def test_as_of_a_sequence_or_a_moment(client: Client) -> None:
    by_sequence = client.pool.as_of(ACCOUNT, sequence=4)
    by_moment = client.pool.as_of(ACCOUNT, at=NOON + 2.5 * MINUTE)
    elsewhere = client.pool.as_of(
        ACCOUNT,
        at=(NOON + 2.5 * MINUTE).astimezone(
            datetime.fromisoformat("2017-01-01T00:00:00+05:30").tzinfo
        ),
    )

    assert by_sequence == by_moment == elsewhere
    assert (by_sequence.at, by_sequence.used, by_sequence.free) == (NOON + 2 * MINUTE, 1, 1)
    assert [device.imei for device in client.pool.devices_as_of(ACCOUNT, sequence=3)] == [B, A]
    with pytest.raises(ErrorException, match="AS_OF_LATER"):
        client.pool.as_of(ACCOUNT, sequence=9)
    with pytest.raises(TypeError, match="only one of them"):
        client.pool.as_of(ACCOUNT)
    with pytest.raises(TypeError, match="only one of them"):
        client.pool.as_of(ACCOUNT, sequence=1, at=NOON)
    with pytest.raises(ValueError, match="no time zone"):
        client.pool.as_of(ACCOUNT, at=datetime(2017, 11, 29))  # noqa: DTZ001 -- on purpose


def test_the_history_of_a_device(client: Client) -> None:
    held, holding = client.pool.device_history(ACCOUNT, A)

    assert held.until is not None
    assert (held.since.change, held.since.at, held.since.actor, held.since.verb) == (
        3,
        NOON + MINUTE,
        "fleet",
        "assign",
    )
    assert (held.until.change, held.until.verb) == (4, "remove")
    assert (holding.since.change, holding.until) == (5, None)
    assert list(client.pool.device_history(ACCOUNT, C)) == []
    with pytest.raises(MissingPath, match="DEVICE_NOT_FOUND"):
        list(client.pool.device_history(ACCOUNT, "1" * 15))


def test_changes_are_paged_as_they_are_asked_for(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_module, "CHANGES_LISTED_MAX", 2)
    pool = client.pool

    def numbers(**asked: object) -> list[int]:
        return [change.change for change in pool.changes(ACCOUNT, **asked)]  # type: ignore[arg-type]

    assert numbers() == [5, 4, 3, 2, 1]
    assert numbers(order="oldest") == [1, 2, 3, 4, 5]
    assert numbers(verb="assign") == [5, 3]
    assert numbers(imei=A, outcome=Outcome.REMOVED) == [4]
    assert numbers(since=NOON + 2 * MINUTE, until=NOON + 3 * MINUTE) == [4]
    assert numbers(actor="nobody") == []
    first = next(iter(pool.changes(ACCOUNT, order="oldest")))
    assert (first.verb, first.detail, first.outcomes) == ("create_account", "purchase_type=MRC", {})


def test_one_change_has_all_its_verdicts(small_world: World, client: Client) -> None:
    devices = [f"{imei:015d}" for imei in imeis(2300)]
    made = client.pool.assign(ACCOUNT, devices)

    assert client.pool.change(ACCOUNT, made.change) == made
    assert len(made.verdicts) == 2300
    with pytest.raises(MissingPath, match="CHANGE_NOT_FOUND"):
        client.pool.change(ACCOUNT, 99)


@pytest.mark.parametrize("examined", [1, 2, 1000])
def test_refusals_are_summed_over_all_pages(
    client: Client, monkeypatch: pytest.MonkeyPatch, examined: int
) -> None:
    monkeypatch.setattr(history_module, "CHANGES_EXAMINED_MAX", examined)
    refusals = client.pool.refusals(ACCOUNT)

    assert refusals.counts == {("assign", "malformed"): 1, ("assign", "no_free_license"): 1}
    assert refusals.total == 2
    assert client.pool.refusals(ACCOUNT, verb="remove").total == 0
    assert client.pool.refusals(ACCOUNT, until=NOON + 3 * MINUTE).total == 0


def test_the_clock(small_world: World, client: Client) -> None:
    assert client.pool.clock(ACCOUNT).behind_ms == 0
    small_world.clock.advance(minutes=-2)
    health = client.pool.clock(ACCOUNT)

    assert (health.behind_ms, health.now) == (120_000, NOON + MINUTE)
    assert (health.changed_at, health.sequence) == (NOON + 3 * MINUTE, 5)


def test_the_session_is_not_needed_but_the_bearer_is(fota: Emulator) -> None:
    client = fota.new_client(username="", password="")

    assert [change.verb for change in client.pool.changes(ACCOUNT)] == [
        "register",
        "create_account",
    ]
    assert [entry.operation for entry in fota.requests] == ["token", "changes"]
    assert "vz-m2m-token" not in fota.requests.last.request_headers
    with pytest.raises(ConfigurationError, match="missing: username"):
        client.licenses.status(ACCOUNT)
    nobody = fota.new_client(client_id="", client_secret="")
    with pytest.raises(ConfigurationError, match=r"missing: client_id .*, client_secret [^,]*$"):
        nobody.pool.status(ACCOUNT)
    assert len(fota.requests) == 2


def test_outcomes_and_members_of_tomorrow_are_passed_over() -> None:
    body = {
        "account": "a",
        "change": 7,
        "at": "2026-01-01T00:00:00.000Z",
        "actor": "x",
        "verb": "assign",
        "request": "",
        "outcomes": {"levitated": 1},
        "total": 0,
        "used": 0,
        "free": 0,
        "overhang": 0,
        "hash": "",
        "items": [{"imei": A, "outcome": "levitated", "why": "?"}],
        "tomorrow": True,
    }
    client = Client(access_token="b", transport=Script(answer(200, body), answer(200, {})))
    change = client.pool.assign("a", [A])

    assert (change.verdicts[0].outcome, change.verdicts[0].status) == (
        Outcome.UNRECOGNIZED,
        "levitated",
    )
    assert change.verdicts[0].ok is None
    with pytest.raises(UnexpectedAnswer, match="Unreadable answer"):
        client.pool.assign("a", [A])


def test_pages_that_do_not_go_on_are_an_error_not_a_loop() -> None:
    same = answer(200, {"items": [], "next": "x"})
    client = Client(access_token="b", transport=Script(same, same, same))

    with pytest.raises(ApiError, match="do not go on"):
        list(client.pool.changes("a"))


def test_a_moment_outside_of_the_calendar_is_told_at_once(client: Client) -> None:
    beyond = datetime.max.replace(tzinfo=timezone(-timedelta(hours=5)))
    with pytest.raises(ValueError, match="outside of the years 1 to 9999"):
        client.pool.as_of(ACCOUNT, at=beyond)


def test_a_single_text_is_not_taken_for_a_list() -> None:
    client = Client(access_token="b", transport=Script())

    for call in (client.pool.assign, client.pool.dry_run_remove):
        with pytest.raises(TypeError, match="write \\[imei\\]"):
            call("a", A)
