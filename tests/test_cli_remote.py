"""`history`, `as-of`, `refusals`: what they print of a server's past."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from fotapool.cli import main
from world import ACCOUNT, World

A, B, C = (f"{imei:015d}" for imei in (990003425730524, 42, 5))


class Asked:
    """Runs remote commands in this process, streams kept apart."""

    def __init__(self, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        self.world = world
        self._capsys = capsys

    def __call__(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        found = main(arguments)
        out, err = self._capsys.readouterr()
        assert found == code, (out, err)
        assert "Traceback" not in out + err
        return out, err

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--json")[0])


@pytest.fixture
def asked(
    small_world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Asked]:
    world = small_world
    world.add_account(licenses=2, devices=[int(A), int(B), int(C)])
    login = world.add_login(name="fleet")
    for below, devices in (("assign", [A, B]), ("remove", [A]), ("assign", [A, C, "x"])):
        world.clock.advance(minutes=1)
        login.post(f"/api/fotapool/v1/accounts/{ACCOUNT}/{below}", {"imeis": devices})
    with world.serving() as url:
        monkeypatch.setenv("FOTAPOOL_BASE_URL", url)
        monkeypatch.setenv("FOTAPOOL_CLIENT_ID", login.secrets.client_id)
        monkeypatch.setenv("FOTAPOOL_CLIENT_SECRET", login.secrets.client_secret)
        yield Asked(world, capsys)


def test_the_history_of_an_account(asked: Asked) -> None:
    out, err = asked("history", ACCOUNT)

    assert [line.split()[:1] + line.split()[2:] for line in out.splitlines()] == [
        ["CHANGE", "ACTOR", "VERB", "USED", "TOTAL", "OUTCOMES"],
        ["5", "fleet", "assign", "2", "2", "1", "malformed,", "1", "no_free_license,", "1", "assigned"],
        ["4", "fleet", "remove", "1", "2", "1", "removed"],
        ["3", "fleet", "assign", "2", "2", "2", "assigned"],
        ["2", "cli:test", "register", "0", "2", "3", "registered"],
        ["1", "cli:test", "create_account", "0", "2", "-"],
    ]  # fmt: skip
    assert err == ""


# arguments                                          changes
CHANGES = [
    (["--verb", "assign"],                           [5, 3]),
    (["--actor", "cli:test"],                        [2, 1]),
    (["--naming", A],                                [5, 4, 3, 2]),
    (["--naming", C, "--outcome", "no_free_license"], [5]),
    (["--outcome", "malformed"],                     [5]),
    (["--since", "2017-11-29T16:05:42Z"],            [5, 4]),
    (["--until", "2017-11-29T17:05:42+01:00"],       [3, 2, 1]),
    (["--since", "2017-11-29", "--until", "2017-11-30"], [5, 4, 3, 2, 1]),
    (["--since", "2017-11-30"],                      []),
    (["--oldest-first"],                             [1, 2, 3, 4, 5]),
    (["--limit", "2"],                               [5, 4]),
    (["--limit", "5"],                               [5, 4, 3, 2, 1]),
    (["--limit", "0"],                               [5, 4, 3, 2, 1]),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "changes"), CHANGES)
def test_changes_that_fit(asked: Asked, arguments: list[str], changes: list[int]) -> None:
    out, err = asked("history", ACCOUNT, *arguments, "--json")

    assert [item["change"] for item in json.loads(out)["items"]] == changes
    assert err == ("the first 2; --limit 0 lists all\n" if "2" in arguments else "")


def test_when_a_device_held_a_license_and_who_took_it(asked: Asked) -> None:
    out, _ = asked("history", ACCOUNT, A)
    told = asked.json("history", ACCOUNT, A)

    assert [line.split() for line in out.splitlines()] == [
        ["SINCE", "BY", "CHANGE", "UNTIL", "BY", "CHANGE"],
        ["2017-11-29T16:04:42.000Z", "fleet", "3", "assign", "2017-11-29T16:05:42.000Z", "fleet", "4", "remove"],
        ["2017-11-29T16:06:42.000Z", "fleet", "5", "assign", "still", "held", "-", "-"],
    ]  # fmt: skip
    assert told["imei"] == A
    assert told["items"][0]["until"] == {
        "change": 4,
        "at": "2017-11-29T16:05:42.000Z",
        "actor": "fleet",
        "verb": "remove",
    }
    assert "until" not in told["items"][1]


def test_one_change_with_its_verdicts(asked: Asked) -> None:
    out, err = asked("history", ACCOUNT, "--change", "5")
    told = asked.json("history", ACCOUNT, "--change", "5")

    assert [line.split() for line in out.splitlines()] == [
        ["IMEI", "OUTCOME"],
        [A, "assigned"],
        [C, "no_free_license"],
        ["x", "malformed"],
    ]
    assert err.startswith("change 5: assign by fleet at 2017-11-29T16:06:42.000Z, request ")
    assert [item["outcome"] for item in told["items"]] == [
        "assigned",
        "no_free_license",
        "malformed",
    ]


def test_as_of(asked: Asked) -> None:
    out, err = asked("as-of", ACCOUNT, "--sequence", "4")
    told = asked.json("as-of", ACCOUNT, "--at", "2017-11-29T16:05:50Z")

    assert out == f"IMEI             SINCE\n{B}  2017-11-29T16:04:42.000Z\n"
    assert err == "as change 4 of 2017-11-29T16:05:42.000Z left it: 1 of 2 used\n"
    assert told == {
        "account": ACCOUNT,
        "sequence": 4,
        "at": "2017-11-29T16:05:42.000Z",
        "total": 2,
        "used": 1,
        "free": 1,
        "overhang": 0,
        "items": [{"imei": B, "assigned_at": "2017-11-29T16:04:42.000Z"}],
    }
    assert len(asked.json("as-of", ACCOUNT, "--sequence", "3")["items"]) == 2
    out, err = asked("as-of", ACCOUNT, "--sequence", "3", "--limit", "1")
    assert len(out.splitlines()) == 2
    assert err.endswith("the first 1 of 2; --limit 0 lists all\n")


def test_refusals(asked: Asked) -> None:
    out, _ = asked("refusals", ACCOUNT)
    told = asked.json("refusals", ACCOUNT, "--verb", "remove")

    assert [line.split() for line in out.splitlines()] == [
        ["VERB", "OUTCOME", "COUNT"],
        ["assign", "malformed", "1"],
        ["assign", "no_free_license", "1"],
    ]
    assert told == {"account": ACCOUNT, "total": 0, "items": []}


# arguments                                     code  told
REFUSED = [
    (["history", "nobody"],                         3, "AccountNotFound"),
    (["history", ACCOUNT, "1" * 15],                3, "DEVICE_NOT_FOUND"),
    (["history", ACCOUNT, "x"],                     3, "imei must be an IMEI of 15 digits"),
    (["history", ACCOUNT, "--change", "9"],         3, "CHANGE_NOT_FOUND"),
    (["history", ACCOUNT, "--change", "0"],         2, "Usage:"),
    (["history", ACCOUNT, "--since", "yesterday"],  2, "'yesterday': use a time such as 2026-03-03T12:00:00Z"),
    (["history", ACCOUNT, "--verb", "steal"],       2, "Usage:"),
    (["history", ACCOUNT, "--since", "2026-W10-2"], 2, "'2026-W10-2': use a time such as"),
    (["history", ACCOUNT, B, "--change", "3"],      2, "IMEI and --change do not go together"),
    (["history", ACCOUNT, B, "--verb", "assign"],   2, "IMEI and --verb do not go together"),
    (["history", ACCOUNT, "--change", "3", "--oldest-first"], 2, "--change and --oldest-first do not go together"),
    (["history"],                                   2, "Usage:"),
    (["as-of", ACCOUNT],                            2, "give --sequence or --at, and only one of them"),
    (["as-of", ACCOUNT, "--sequence", "1", "--at", "2017-11-29T16:05:42Z"], 2, "only one of them"),
    (["as-of", ACCOUNT, "--at", "2017-11-29"],      2, "'2017-11-29': use a time such as"),
    (["as-of", ACCOUNT, "--sequence", "9"],         3, "AS_OF_LATER"),
    (["as-of", ACCOUNT, "--at", "2011-11-29T16:05:42Z"], 3, "AS_OF_BEFORE"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "code", "told"), REFUSED)
def test_questions_refused(asked: Asked, arguments: list[str], code: int, told: str) -> None:
    out, err = asked(*arguments, code=code)

    assert out == ""
    assert told in err


def test_no_credentials_and_no_server_are_one_line_each(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOTAPOOL_BASE_URL", "http://127.0.0.1:1")
    _, err = asked("history", ACCOUNT, code=3)
    assert err.startswith("fotapool: cannot connect to 127.0.0.1:1")
    assert err.count("\n") == 1

    monkeypatch.delenv("FOTAPOOL_CLIENT_SECRET")
    _, err = asked("history", ACCOUNT, code=2)
    assert err == (
        "fotapool: missing: client_secret (or FOTAPOOL_CLIENT_SECRET). "
        "Pass it to Client or set the variable\n"
    )
