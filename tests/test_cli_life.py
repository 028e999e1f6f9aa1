"""`admin account resize|policy|type|activate`, `admin device remove|list`, and `undo`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fotapool.model import Role
from fotapool.wire import pool_life
from script import IMEIS, Play
from test_cli import Shell, shell
from test_cli_remote import Asked
from world import ACCOUNT, Clock, World, imeis, open_file

__all__ = ["shell"]

A, B, C = (f"{IMEIS[letter]:015d}" for letter in "ABC")
STRANGE = "352906110000001"


@pytest.fixture
def pool(shell: Shell, tmp_path: Path) -> Callable[[str], None]:
    """Plays a script on the database of the commands."""

    def play(script: str) -> None:
        world = World(open_file(tmp_path / "pool.db", Clock()), Clock())
        Play(world, licenses=9, name=ACCOUNT).play(script)
        world.store.close()

    return play


def test_a_shrink_is_looked_at_and_then_done(shell: Shell, pool: Callable[[str], None]) -> None:
    pool("assign ABC; schedule B; start B; list C")
    lines = [
        f"{C}  taken_candidate    loses its license: on the candidate list",
        f"{A}  taken_oldest       loses its license: the oldest",
        f"{B}  pending_oldest     loses its license when its upgrade ends: the oldest",
    ]

    out, err = shell("account", "resize", ACCOUNT, "0", "--preview")
    assert out.splitlines() == lines
    assert err == (
        f"account {ACCOUNT} would have 0 licenses, 1 used, 1 of them wait for upgrades to end\n"
        "nothing was changed; without --preview it is done\n"
    )
    dry = shell.json("account", "resize", ACCOUNT, "0", "--preview")
    assert (dry["preview"], dry["change"], dry["overhang"]) == (True, None, 1)
    assert shell.json("account", "list")["accounts"][0]["total"] == 9

    out, err = shell("account", "resize", ACCOUNT, "0")
    assert out.splitlines() == lines
    assert err.startswith(f"account {ACCOUNT} has 0 licenses, 1 used")
    made = shell.json("account", "resize", ACCOUNT, "5")
    assert made == {
        "account": ACCOUNT,
        "preview": False,
        "change": 8,
        "total": 5,
        "used": 1,
        "free": 4,
        "overhang": 0,
        "outcomes": {"released": 1},
        "items": [{"imei": B, "outcome": "released"}],
    }
    assert shell.json("verify")["sound"] is True


# arguments                                        code  told
REFUSED = [
    (["account", "resize", ACCOUNT, "-1"],           2, "Error: -1: use a number of licenses from 0 to 1000000000"),
    (["account", "resize", "--preview", ACCOUNT, "-5"], 2, "Error: -5: use a number of licenses from 0 to 1000000000"),
    (["account", "resize", ACCOUNT, "1000000001"],   2, "Error: 1000000001: use a number of licenses from 0 to 1000000000"),
    (["account", "resize", ACCOUNT, "many"],         2, "Usage:"),
    (["account", "resize", ACCOUNT, "5", "--prevew"], 2, "--prevew"),
    (["account", "resize", ACCOUNT, "--prevew", "5"], 2, "--prevew"),
    (["account", "resize", "nobody", "5"],           3, "there is no account nobody"),
    (["account", "type", ACCOUNT, "EVNT"],           3, "The account has 9 licenses, 1 of them used; resize it to 0 first."),
    (["account", "type", ACCOUNT, "free"],           2, "Usage:"),
    (["account", "policy", ACCOUNT, "closed"],       2, "Usage:"),
    (["account", "deactivate", "nobody"],            3, "there is no account nobody"),
    (["device", "remove", ACCOUNT, "none.csv"],      3, "none.csv"),
    (["device", "list", "nobody"],                   3, "there is no account nobody"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "code", "told"), REFUSED)
def test_refusals(
    shell: Shell, pool: Callable[[str], None], arguments: list[str], code: int, told: str
) -> None:
    pool("assign A")
    out, err = shell(*arguments, code=code)

    assert out == ""
    assert told in err
    assert "Traceback" not in err
    assert shell.json("account", "list")["accounts"][0]["total"] == 9


@pytest.fixture
def closed() -> Iterator[int]:
    """A pipe that nobody reads any more."""
    read, write = os.pipe()
    os.close(read)
    yield write
    os.close(write)


def carried_out(
    shell: Shell,
    *arguments: str,
    stdout: int = subprocess.DEVNULL,
    stderr: int = subprocess.PIPE,
) -> tuple[int, str]:
    """A command in a process of its own: its code, and what it said on stderr."""
    command = [sys.executable, "-m", "fotapool", *arguments, "--db", shell.db]
    # With buffers, as most people run it: what cannot be written fails once more at the exit.
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        command, stdout=stdout, stderr=stderr, env=buffered, text=True, timeout=60, check=False
    )
    return done.returncode, done.stderr or ""


def test_a_change_is_made_though_nobody_reads_of_it(
    shell: Shell, pool: Callable[[str], None], closed: int, tmp_path: Path
) -> None:
    pool("assign ABC")
    resize = ("admin", "account", "resize", ACCOUNT)
    file = tmp_path / "gone.csv"
    file.write_text(f"{STRANGE}\n{A}\n")

    assert carried_out(shell, *resize, "2", stdout=closed) == (141, "")
    assert shell.json("account", "list")["accounts"][0]["total"] == 2
    assert carried_out(shell, *resize, "1", stdout=closed, stderr=subprocess.STDOUT) == (141, "")
    assert carried_out(shell, *resize, "0", stderr=closed) == (0, "")
    remove = ("admin", "device", "remove", ACCOUNT, str(file))
    assert carried_out(shell, *remove, stderr=closed) == (1, "")
    assert carried_out(shell, "admin", "account", "list", "--help", stdout=closed) == (141, "")
    assert carried_out(shell, *resize, "x", stderr=closed) == (2, "")
    assert shell.json("account", "list")["accounts"][0]["total"] == 0
    assert A not in [device["imei"] for device in shell.json("device", "list", ACCOUNT)["devices"]]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is not on this machine")
def test_a_change_is_made_though_there_is_no_room_to_tell_of_it(
    shell: Shell, pool: Callable[[str], None]
) -> None:
    pool("assign ABC")
    with Path("/dev/full").open("w") as full:
        code, err = carried_out(
            shell, "admin", "account", "resize", ACCOUNT, "2", stdout=full.fileno()
        )

    assert code == 3
    assert err == (
        "fotapool: the output could not be written: No space left on device; "
        "a change that was asked for is made all the same\n"
    )
    assert shell.json("account", "list")["accounts"][0]["total"] == 2


def test_an_account_without_a_pool_has_no_size(shell: Shell, pool: Callable[[str], None]) -> None:
    pool("resize 0; type EVNT")
    _, err = shell("account", "resize", ACCOUNT, "5", code=3)

    assert err == "fotapool: The account pays per event; it has no licenses to resize.\n"


def test_what_an_account_is(shell: Shell, pool: Callable[[str], None]) -> None:
    pool("")
    assert shell("account", "policy", ACCOUNT, "open")[0] == (
        f"account {ACCOUNT}: active, policy open, type MRC\n"
    )
    assert shell("account", "type", ACCOUNT, "both")[0].endswith("policy open, type both\n")
    assert shell("account", "deactivate", ACCOUNT)[0].startswith(f"account {ACCOUNT}: inactive")
    _, err = shell("account", "resize", ACCOUNT, "5", code=3)
    assert err == "fotapool: Inactive account\n"
    made = shell.json("account", "activate", ACCOUNT)
    assert (made["active"], made["policy"], made["change"]) == (True, "open", 6)


def test_devices_leave(shell: Shell, pool: Callable[[str], None], tmp_path: Path) -> None:
    pool("assign AB; schedule B; start B; finish B; schedule A")
    file = tmp_path / "gone.csv"
    file.write_text(f"imei\n{A}\n{STRANGE}\nx\n")

    out, _ = shell("device", "list", ACCOUNT)
    lines = [line.split() for line in out.splitlines()]
    assert lines[0] == ["IMEI", "UPGRADE", "LICENSED", "SINCE", "LAST", "UPGRADED"]
    assert lines[-1] == [A, "scheduled", "2017-11-29T16:03:43.000Z", "-"]
    assert lines[-2] == [B, "none", "2017-11-29T16:03:43.000Z", "2017-11-29T16:03:46.000Z"]
    out, err = shell("device", "remove", ACCOUNT, str(file), code=1)
    assert out == (
        f"account {ACCOUNT}: 1 devices left, 1 licenses freed, 1 devices unknown, 1 rows refused\n"
    )
    assert "line 4: 'x'" in err
    assert f"{STRANGE} is no device of account {ACCOUNT}\n" in err
    assert A not in [device["imei"] for device in shell.json("device", "list", ACCOUNT)["devices"]]
    file.write_text(f"{C}\n")
    assert shell.json("device", "remove", ACCOUNT, str(file)) == {
        "account": ACCOUNT,
        "left": 1,
        "freed": 0,
        "unknown": [],
        "refused": [],
    }
    # Unknown devices alone are refusals too.
    file.write_text(f"{C}\n{STRANGE}\n{STRANGE}\n")
    again = shell.json("device", "remove", ACCOUNT, str(file), code=1)
    assert (again["left"], again["unknown"]) == (0, [C, STRANGE, STRANGE])


def test_of_very_many_unknown_devices_the_first_are_named(
    shell: Shell, pool: Callable[[str], None], tmp_path: Path
) -> None:
    pool("")
    file = tmp_path / "gone.csv"
    file.write_text("".join(f"{imei:015d}\n" for imei in imeis(52, first=1)))

    out, err = shell("device", "remove", ACCOUNT, str(file), code=1)
    assert "52 devices unknown" in out
    assert err.splitlines() == [
        *(f"{imei:015d} is no device of account {ACCOUNT}" for imei in imeis(50, first=1)),
        "the first 50 of 52; --json lists all",
    ]
    assert len(shell.json("device", "remove", ACCOUNT, str(file), code=1)["unknown"]) == 52


@pytest.fixture
def served(
    small_world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Asked]:
    play = Play(small_world, licenses=9, name=ACCOUNT)
    play.play("assign ABC; remove AB; assign A")
    secrets = small_world.add_login(ACCOUNT, role=Role.OPERATOR).secrets
    with small_world.serving() as url:
        monkeypatch.setenv("FOTAPOOL_BASE_URL", url)
        monkeypatch.setenv("FOTAPOOL_CLIENT_ID", secrets.client_id)
        monkeypatch.setenv("FOTAPOOL_CLIENT_SECRET", secrets.client_secret)
        yield Asked(small_world, capsys)


def test_undo(served: Asked) -> None:
    out, err = served("undo", ACCOUNT, "4", "--preview", code=1)
    table = [
        ["IMEI", "OUTCOME", "ALTERED", "BY"],
        [A, "changed_since", "change", "5"],
        [B, "given_back", "-"],
    ]
    assert [line.split() for line in out.splitlines()] == table
    assert err == "nothing was changed: 3 of 9 used\n"

    out, err = served("undo", ACCOUNT, "4", code=1)
    assert [line.split() for line in out.splitlines()] == table
    assert err == "change 6: 3 of 9 used\n"
    told = json.loads(served("undo", ACCOUNT, "6", "--json")[0])
    assert (told["undone"], told["change"], told["used"]) == (6, 7, 2)
    assert told["items"] == [{"imei": B, "outcome": "taken_back", "by": None}]
    _, err = served("undo", ACCOUNT, "1", code=3)
    assert "409 Conflict: UNDO_IMPOSSIBLE" in err


def test_an_undo_of_very_many_devices_is_told_whole(
    served: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_life, "VERDICTS_LISTED_MAX", 1)

    told = json.loads(served("undo", ACCOUNT, "3", "--json", code=1)[0])
    assert [(item["imei"], item["outcome"]) for item in told["items"]] == [
        (A, "changed_since"),
        (B, "changed_since"),
        (C, "taken_back"),
    ]
