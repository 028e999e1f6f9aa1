"""The emulator in process: the fixture, its isolation, its clock, going back."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fotapool import Client, ConfigurationError, HttpRequest, Outcome, Unauthorized
from fotapool.model import NotFound
from fotapool.testing import Account, Emulator, Login, Scenario, emulated

# --- the fixture -------------------------------------------------------------------------------


def test_a_client_made_anywhere_talks_to_the_emulator(fota: Emulator) -> None:
    change = Client().licenses.assign("0000123456-00001", fota.devices[:2])

    assert (change.used, change.total) == (2, 1000)
    assert fota.client.licenses.status(fota.account).used == 2
    fota.requests.assert_assigned(fota.devices[:2], only=True)


@pytest.mark.parametrize("turn", [1, 2])
def test_every_test_begins_anew(fota: Emulator, turn: int) -> None:
    assert len(fota.requests) == 0
    assert fota.client.licenses.status(fota.account).used == 0
    fota.client.licenses.assign(fota.account, fota.devices)
    fota.clock.advance(days=1)
    fota.faults.html_page()


def test_a_client_of_before_is_carried_as_well() -> None:
    before = Client(client_id="c", client_secret="s", username="u", password="p")
    login = Login(client_id="c", client_secret="s", username="u", password="p")
    with emulated(Scenario(logins=(login,))) as fota:
        assert before.licenses.status(fota.account).total == 1000


def test_the_base_url_does_not_matter(fota: Emulator) -> None:
    for base_url in ("https://thingspace.verizon.com", "http://127.0.0.1:1", "https://a.b/mounted"):
        assert Client(base_url=base_url).licenses.status(fota.account).used == 0


def test_what_a_block_sets_it_takes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOTAPOOL_BASE_URL", "http://kept")
    monkeypatch.setenv("FOTAPOOL_ACCESS_TOKEN", "kept")
    with emulated() as fota:
        assert os.environ["FOTAPOOL_CLIENT_ID"] == fota.login.client_id
        assert "FOTAPOOL_ACCESS_TOKEN" not in os.environ

    assert os.environ["FOTAPOOL_BASE_URL"] == "http://kept"
    assert os.environ["FOTAPOOL_ACCESS_TOKEN"] == "kept"
    assert "FOTAPOOL_CLIENT_ID" not in os.environ


def test_a_coroutine_is_answered_the_same(fota: Emulator) -> None:
    token = fota.client._tokens.get(session=True)
    headers = {"Authorization": f"Bearer {token['bearer']}", "VZ-M2M-Token": token["session"]}
    url = f"https://any.host/api/fota/v3/licenses/{fota.account}"
    request = HttpRequest("GET", url, headers)

    async def together() -> list[int]:
        calls = [fota.transport.send_async(request, 1) for _ in range(5)]
        return [answer.status_code for answer in await asyncio.gather(*calls)]

    assert asyncio.run(together()) == [200] * 5
    direct = fota.transport.send(request, 1)
    assert direct.body == asyncio.run(fota.transport.send_async(request, 1)).body


# --- the clock ---------------------------------------------------------------------------------


def test_the_token_dies_after_61_minutes_and_the_session_after_21(fota: Emulator) -> None:
    client = fota.new_client()
    client.licenses.status(fota.account)
    bearer = client._tokens.get(session=True)
    bare = fota.new_client(
        client_id="", username="", access_token=bearer["bearer"], session_token=bearer["session"]
    )
    fota.clock.advance(minutes=21, seconds=1)
    with pytest.raises(Exception, match=r"SessionToken\.Expired"):
        bare.licenses.status(fota.account)
    fota.clock.advance(minutes=39)
    with pytest.raises(Unauthorized):
        bare.licenses.status(fota.account)

    assert client.licenses.status(fota.account).used == 0
    assert [entry.operation for entry in fota.requests][-5:] == [
        "status",
        "token",
        "status",
        "login",
        "status",
    ]


def test_every_timestamp_obeys_the_clock(fota: Emulator) -> None:
    fota.clock.set("2030-02-03T04:05:06.789Z")
    fota.client.licenses.assign(fota.account, fota.devices[:1])
    (device,) = fota.client.licenses.devices(fota.account)
    (held,) = fota.client.pool.device_history(fota.account, fota.devices[0])

    moment = datetime(2030, 2, 3, 4, 5, 6, 789000, tzinfo=UTC)
    assert device.assigned_at == moment
    assert held.since.at == moment
    assert fota.requests.last.at == moment
    assert fota.requests.last.headers["date"] == "Sun, 03 Feb 2030 04:05:06 GMT"


def test_an_idempotency_window_obeys_the_clock(fota: Emulator) -> None:
    def replayed(key: str) -> bool:
        licenses = fota.client.licenses
        return licenses.assign(fota.account, fota.devices[:1], idempotency_key=key).replayed

    assert (replayed("nightly"), replayed("nightly")) == (False, True)
    fota.clock.advance(days=1)
    assert replayed("another") is False
    fota.clock.advance(days=1)
    assert replayed("nightly") is False


def test_a_clock_stands_still_runs_and_goes_back() -> None:
    seconds = [0.0]
    from fotapool.testing import EmulatorClock

    clock = EmulatorClock(datetime(2026, 1, 1, tzinfo=UTC), monotonic_s=lambda: seconds[0])
    seconds[0] += 10
    assert clock.now == datetime(2026, 1, 1, tzinfo=UTC)
    clock.run(60)
    seconds[0] += 10
    assert clock.now == datetime(2026, 1, 1, 0, 10, tzinfo=UTC)
    clock.freeze()
    seconds[0] += 10
    clock.advance(hours=-1)
    assert clock.now == datetime(2025, 12, 31, 23, 10, tzinfo=UTC)
    with pytest.raises(ConfigurationError, match="write it like 2026-03-01T12:00:00Z"):
        clock.set("noon")
    with pytest.raises(ConfigurationError, match="use a number from 0"):
        clock.run(-1)


# --- going back --------------------------------------------------------------------------------


def test_reset_goes_back_to_the_seed(fota: Emulator) -> None:
    client = fota.client
    client.licenses.assign(fota.account, fota.devices[:5])
    fota.clock.advance(days=5)
    fota.faults.html_page()
    fota.reset()

    assert (len(fota.requests), len(fota.faults)) == (0, 0)
    assert fota.clock.now == datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert client.licenses.status(fota.account).used == 0
    assert client.licenses.assign(fota.account, fota.devices[:1]).change == 3


def test_reset_to_empty_leaves_nobody(fota: Emulator) -> None:
    fota.reset(to_empty=True)

    with pytest.raises(Unauthorized):
        fota.client.licenses.status(fota.account)
    fota.reset()
    assert fota.new_client().licenses.status(fota.account).used == 0


def test_snapshots_keep_books_and_clock(fota: Emulator) -> None:
    fota.client.licenses.assign(fota.account, fota.devices[:5])
    fota.snapshot("five")
    moment = fota.clock.now
    fota.client.licenses.remove(fota.account, fota.devices[:5])
    fota.clock.advance(days=1)
    for _ in range(2):
        fota.restore("five")
        assert fota.clock.now == moment
        assert fota.client.licenses.status(fota.account).used == 5
        fota.client.licenses.assign(fota.account, fota.devices[:9])

    assert fota.snapshots == ["five"]
    with pytest.raises(NotFound, match="no snapshot 'six'; there are: five"):
        fota.restore("six")


def test_a_state_file_outlives_the_emulator(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    for expected in (0, 3):
        with Emulator(url=url) as emulator:
            assert emulator.client.licenses.status(emulator.account).used == expected
            emulator.client.licenses.assign(emulator.account, emulator.devices[:3])
            emulator.snapshot()
    with Emulator(url=url) as emulator:
        emulator.reset()
        assert emulator.client.licenses.status(emulator.account).used == 0
        emulator.client.licenses.assign(emulator.account, emulator.devices[:3])


# --- scenarios ---------------------------------------------------------------------------------

FULL = Scenario(
    accounts=(
        Account(
            name="one",
            licenses=3,
            devices=("000000000000000", "990003425730524", "990003425730535"),
            licensed=("990003425730535", "000000000000000"),
            upgrades={"990003425730535": "running", "000000000000000": "finished"},
            candidates=("990003425730524",),
        ),
        Account(name="two", licenses=0, purchase_type="EVNT", devices=0, policy="open"),
        Account(name="three", devices=10, licensed=4, active=False),
    ),
    logins=(
        Login(),
        Login(name="r", client_id="r", username="r", role="viewer", accounts=("one",)),
    ),
    now=datetime(2026, 3, 1, 9, tzinfo=UTC),
)
AS_TOML = """
now = 2026-03-01T09:00:00Z

[[accounts]]
name = "one"
licenses = 3
devices = ["000000000000000", "990003425730524", "990003425730535"]
licensed = ["990003425730535", "000000000000000"]
upgrades = { "990003425730535" = "running", "000000000000000" = "finished" }
candidates = ["990003425730524"]

[[accounts]]
name = "two"
licenses = 0
purchase_type = "EVNT"
devices = 0
policy = "open"

[[accounts]]
name = "three"
devices = 10
licensed = 4
active = false

[[logins]]

[[logins]]
name = "r"
client_id = "r"
username = "r"
role = "viewer"
accounts = ["one"]
"""


def test_a_scenario_is_the_same_in_python_toml_and_json(tmp_path: Path) -> None:
    toml, json = tmp_path / "s.toml", tmp_path / "s.json"
    toml.write_text(AS_TOML)
    json.write_bytes(FULL.key)

    assert Scenario.load(toml) == Scenario.load(json) == FULL


@pytest.mark.fota(scenario=FULL)
def test_a_scenario_is_what_the_emulator_begins_with(fota: Emulator) -> None:
    pool, upgraded = fota.client.pool, fota.client.upgrades
    account = pool.account("one")
    removed = fota.client.licenses.remove("one", ["990003425730535", "000000000000000"])

    assert (account.total, account.used, account.candidates) == (3, 2, 1)
    assert [verdict.outcome for verdict in removed.verdicts] == [
        Outcome.UPGRADE_RUNNING,
        Outcome.UPGRADED,
    ]
    assert list(pool.candidates("one")) == ["990003425730524"]
    assert pool.account("two").policy == "open"
    assert (pool.account("three").used, pool.account("three").active) == (4, False)
    assert upgraded is not None
    viewer = fota.new_client(client_id="r", username="r")
    with pytest.raises(Exception, match="INVALID_ACCESS"):
        viewer.licenses.assign("one", [])
    with pytest.raises(Exception, match="AccountNotFound"):
        viewer.licenses.status("two")


# told                                                          said
WRONG = [
    ({"accounts": [{"licences": 3}]},                           "unknown field `licences` - at `$.accounts[0]`"),
    ({"accounts": [{"devices": ["99"]}]},                       "account 0000123456-00001: '99' is not a 15-digit IMEI"),
    ({"accounts": [{"devices": 2, "licensed": 3}]},             "licensed 3: it has 2 devices"),
    ({"accounts": [{"candidates": ["990003425730999"]}]},       "candidates names 990003425730999, which is none"),
    ({"accounts": [{}, {}]},                                    "two accounts are called 0000123456-00001"),
    ({"logins": [{"accounts": ["x"]}]},                         "login emulator names account x"),
    ({"logins": [{}, {"name": "b", "client_id": "b"}]},         "two logins have the username emulator"),
    ({"accounts": []},                                          "at least one account"),
    ({"accounts": [{"devices": -1}]},                           "use a number from 0"),
    ({"now": "noon"},                                           "$.now"),
]  # fmt: skip


@pytest.mark.parametrize(("told", "said"), WRONG, ids=range(len(WRONG)))
def test_a_scenario_that_makes_no_sense_is_told_where(told: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Scenario.of(told)
    assert said in str(caught.value)


def test_what_the_rules_do_not_allow_is_told_as_well() -> None:
    with pytest.raises(ConfigurationError, match="cannot assign 990003425730503: no_free_license"):
        Emulator(Scenario(accounts=(Account(licenses=3, devices=5, licensed=5),)))
