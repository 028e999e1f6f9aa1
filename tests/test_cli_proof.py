"""`admin verify`, `checkpoint`, `signing-key`: what they print, refuse and exit with."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import stat
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from fotapool.auth import signing
from test_cli import Shell, shell
from world import ACCOUNT, Clock, World, imeis, needs, open_file

__all__ = ["shell"]

OTHER = "0000999999-00009"


@pytest.fixture
def pool(shell: Shell, tmp_path: Path) -> Path:
    """Two accounts, one with a few changes; gives the database file."""
    world = World(open_file(tmp_path / "pool.db", Clock()), Clock())
    account = world.add_account(licenses=10, devices=imeis(20))
    for start in range(3):
        world.carry_out(account, 3, [f"{imei:015d}" for imei in imeis(20)[start:][:4]])  # type: ignore[arg-type]
    world.add_account(OTHER)
    world.store.close()
    return tmp_path / "pool.db"


def edit(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def make_key(shell: Shell, tmp_path: Path) -> tuple[str, str]:
    key = str(tmp_path / "checkpoints.pem")
    shell_admin(shell, "signing-key", key)
    return key, key + ".pub"


def shell_admin(shell: Shell, *arguments: str, code: int = 0) -> tuple[str, str]:
    """A command that knows no --db."""
    from fotapool.cli import main

    assert main(["admin", *arguments]) == code
    out, err = shell._capsys.readouterr()
    return out, err


def test_a_sound_database_is_told_so(shell: Shell, pool: Path) -> None:
    out, err = shell("verify")
    told = shell.json("verify")

    first, second = out.splitlines()
    assert first.startswith(f"account {ACCOUNT}: sound; 5 changes, 32 verdicts, hash ")
    assert second.startswith(f"account {OTHER}: sound; 1 changes, 0 verdicts, hash ")
    assert "changes and" in err
    assert "verdicts a second" in err
    assert (told["sound"], told["damage"], told["missing_accounts"]) == (True, "", [])
    assert [report["account"] for report in told["accounts"]] == [ACCOUNT, OTHER]
    assert [report["account"] for report in shell.json("verify", OTHER)["accounts"]] == [OTHER]


def test_what_is_wrong_is_named_and_the_exit_code_says_so(shell: Shell, pool: Path) -> None:
    edit(pool, "UPDATE change SET actor = 'nobody' WHERE sequence = 4 AND account = 1")
    edit(pool, "UPDATE account SET total = 1 WHERE account = 2")

    out, _ = shell("verify", code=4)
    told = shell.json("verify", code=4)

    lines = out.splitlines()
    assert lines[0].startswith(f"account {ACCOUNT}: WRONG from change 4; 3 changes, ")
    assert lines[1] == "  change 4: the change is not what was written: its hash does not fit"
    assert lines[3] == "  change 1: the account's row does not end where its ledger ends"
    assert told["sound"] is False
    assert told["accounts"][0]["first_wrong_change"] == 4
    assert told["accounts"][0]["findings"] == [
        {
            "change": 4,
            "code": "hash",
            "message": "the change is not what was written: its hash does not fit",
            "imei": None,
            "detail": "",
        }
    ]


def test_a_device_is_named_with_its_change(shell: Shell, pool: Path) -> None:
    edit(pool, f"UPDATE license SET since_ms = 0 WHERE imei = {imeis(1)[0]}")

    out, _ = shell("verify", ACCOUNT, code=4)

    assert f"  change 3, device {imeis(1)[0]}: the license is not held as the ledger says" in out


def test_a_damaged_file_is_told_in_a_line(shell: Shell, pool: Path) -> None:
    whole = pool.read_bytes()
    pool.write_bytes(whole[: len(whole) // 4096 // 2 * 4096])

    out, err = shell("verify", code=4)
    assert out.startswith("database: damaged: ")
    assert "Traceback" not in out + err


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_verifying_changes_nothing_and_needs_no_right_to_write(
    shell: Shell, pool: Path, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(pool)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")  # nothing lies beside it
    before = sha256_of(pool)
    pool.chmod(0o444)
    tmp_path.chmod(0o555)
    try:
        assert shell.json("verify")["sound"] is True
    finally:
        tmp_path.chmod(0o755)

    assert sha256_of(pool) == before


def test_verifying_goes_on_beside_a_writer(shell: Shell, pool: Path) -> None:
    with closing(sqlite3.connect(pool, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE account SET used = 0")
        assert shell.json("verify")["sound"] is True
        writer.execute("ROLLBACK")


def test_verifying_does_not_bring_an_older_file_up_to_date(shell: Shell, pool: Path) -> None:
    edit(pool, "DELETE FROM migration WHERE number > 1")
    before = sha256_of(pool)
    _, err = shell("verify", code=3)

    assert "has schema 1, and this fotapool reads" in err
    assert sha256_of(pool) == before


# what was done to the file                                                     what is printed of it
DAMAGED = [
    ("DROP TABLE license",                                                       "no such table: license"),
    ("DROP TABLE change",                                                        "no such table: change"),
    ("DROP TABLE account_name",                                                  "database: damaged: "),
    ("UPDATE change SET actor = CAST(x'ff' AS TEXT) WHERE sequence = 4",         "change 4: the change cannot be read"),
    ("UPDATE license SET imei = -1 WHERE imei = 990003425730000",                "no device could be -1"),
]  # fmt: skip


@pytest.mark.parametrize(("statement", "told"), DAMAGED)
def test_whatever_is_damaged_is_exit_code_4_and_no_traceback(
    shell: Shell, pool: Path, statement: str, told: str
) -> None:
    edit(pool, statement)
    out, err = shell("verify", code=4)

    assert told in out
    assert "Traceback" not in out + err


def test_rows_of_an_account_without_its_name_are_found(shell: Shell, pool: Path) -> None:
    edit(pool, "DELETE FROM account_name WHERE account = 1")
    assert (
        "account number 1: its rows are there, but its name is not\n" in shell("verify", code=4)[0]
    )
    edit(pool, "DELETE FROM account_name")
    assert shell.json("verify", code=4)["unnamed_accounts"] == [1, 2]


# arguments                                        code  told
REFUSED = [
    (["verify", "nobody"],                           3, "there is no account nobody"),
    (["verify", "--checkpoint", "x"],                2, "--checkpoint and --public-key go together"),
    (["verify", "--public-key", "x"],                2, "--checkpoint and --public-key go together"),
    (["verify", "--checkpoint", "x", "--public-key", "y"], 2, "No such file"),
    (["checkpoint"],                                 2, "Usage:"),
    (["checkpoint", "--private-key", "none"],        2, "none: No such file"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "code", "told"), REFUSED)
def test_refusals(shell: Shell, pool: Path, arguments: list[str], code: int, told: str) -> None:
    out, err = shell(*arguments, code=code)

    assert out == ""
    assert told in err
    assert "Traceback" not in err


def test_verifying_makes_no_database(shell: Shell, tmp_path: Path) -> None:
    _, err = shell("verify", code=3)

    assert err == f"fotapool: there is no database at {shell.db}; name it with --db\n"
    assert list(tmp_path.iterdir()) == []


def test_a_signing_key_is_its_owners_alone_and_never_replaced(shell: Shell, tmp_path: Path) -> None:
    private, public = make_key(shell, tmp_path)
    before = Path(private).read_bytes()
    _, err = shell_admin(shell, "signing-key", private, code=3)

    assert f"{private} exists already" in err
    assert Path(private).read_bytes() == before
    assert b"PUBLIC KEY" in Path(public).read_bytes()
    if os.name != "nt":
        assert stat.S_IMODE(Path(private).stat().st_mode) == 0o600

    Path(tmp_path / "other.pem.pub").write_text("here")
    shell_admin(shell, "signing-key", str(tmp_path / "other.pem"), code=3)
    assert not (tmp_path / "other.pem").exists(), "half a pair is none"


def test_a_checkpoint_finds_a_cut_tail(shell: Shell, pool: Path, tmp_path: Path) -> None:
    private, public = make_key(shell, tmp_path)
    out, _ = shell("checkpoint", "--private-key", private)
    kept = tmp_path / "checkpoint.json"
    kept.write_text(out)
    against = ["--checkpoint", str(kept), "--public-key", public]

    assert [named["sequence"] for named in json.loads(out)["accounts"]] == [5, 1]
    assert shell.json("verify", *against)["sound"] is True
    only, _ = shell("checkpoint", OTHER, "--private-key", private)
    assert [named["account"] for named in json.loads(only)["accounts"]] == [OTHER]

    kept_other = tmp_path / "other.json"
    kept_other.write_text(only)
    less = ["--checkpoint", str(kept_other), "--public-key", public]
    assert shell.json("verify", *less)["unchecked_accounts"] == [ACCOUNT]
    assert f"account {ACCOUNT}: the checkpoint does not name it" in shell("verify", *less)[1]
    _, err = shell("verify", ACCOUNT, *less, code=3)
    assert err == f"fotapool: the checkpoint does not name account {ACCOUNT}\n"

    edit(pool, "DELETE FROM account_name WHERE account = 2")
    lost, _ = shell("verify", *against, code=4)
    assert f"account {OTHER}: missing, but the checkpoint names it" in lost
    assert shell.json("verify", ACCOUNT, *against)["sound"] is True


def altered(made: dict[str, Any], /, **members: Any) -> str:
    return json.dumps(made | members)


@needs("openssl")
def test_a_checkpoint_that_is_none_or_not_signed_by_that_key(
    shell: Shell, pool: Path, tmp_path: Path
) -> None:
    private, public = make_key(shell, tmp_path)
    made = json.loads(shell("checkpoint", "--private-key", private)[0])
    other_private, other_public = signing.make_key_pair()
    (tmp_path / "other.pub").write_bytes(other_public)
    (tmp_path / "rsa.pem").write_bytes(
        subprocess.run(["openssl", "genrsa", "1024"], capture_output=True, check=True).stdout
    )
    kept = tmp_path / "checkpoint.json"

    # text of the file                             key                       exit  told
    cases = [
        (altered(made),                              public,                    0, ""),
        (json.dumps(made, indent=7),                 public,                    0, ""),
        ("{}",                                       public,                    3, "this is no checkpoint"),
        ("\xff",                                     public,                    3, "this is no checkpoint"),
        (altered(made, signature="xyz"),             public,                    3, "this is no checkpoint"),
        (altered(made, signature="00" * 64),         public,                    3, "was altered, or another key"),
        (altered(made, made_at="2017-01-01T00:00:00.000Z"), public,             3, "was altered, or another key"),
        (altered(made, accounts=made["accounts"][:1]), public,                  3, "was altered, or another key"),
        (altered(made, checkpoint=2),                public,                    3, "format 2 is newer"),
        (altered(made, more=1),                      public,                    3, "this is no checkpoint"),
        (altered(made),                              str(tmp_path / "other.pub"), 3, "was altered, or another key"),
        (altered(made),                              private,                   2, "this is no public key"),
        (altered(made),                              str(kept),                 2, "this is no public key"),
    ]  # fmt: skip
    for text, key, code, told in cases:
        kept.write_text(text, "latin-1")
        out, err = shell("verify", "--checkpoint", str(kept), "--public-key", key, code=code)
        assert told in err, (text, key, out, err)
    for key, told in [
        ("rsa.pem", "not an Ed25519 one"),
        ("other.pub", "no unencrypted private key"),
    ]:
        _, err = shell("checkpoint", "--private-key", str(tmp_path / key), code=2)
        assert told in err
    assert other_private.startswith(b"-----BEGIN PRIVATE KEY-----")
