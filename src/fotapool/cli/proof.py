"""`fotapool admin verify`, `checkpoint`, `signing-key`: proof that ledgers are what they were."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fotapool.cli._options import (
    DONE,
    UNSOUND,
    clock,
    db_option,
    emit,
    emit_json,
    find_account,
    note,
    now_and_then,
    option,
    output_options,
)
from fotapool.model import (
    AlreadyExists,
    ConfigurationError,
    NotFound,
    StoreDamaged,
)

if TYPE_CHECKING:
    from fotapool.ledger.verify import Finding, Report
    from fotapool.model import AccountKey, Checkpoint
    from fotapool.store import Reader
    from fotapool.store.snapshot import StoredSnapshot

ACCOUNTS_LOOKED_FOR = 1000
"""Numbers beyond the last named account that are looked at for rows without a name."""


@click.command("verify")
@click.argument("account", required=False)
@option("--checkpoint", metavar="FILE", help="Also hold the ledger against this checkpoint.")
@option("--public-key", metavar="FILE", help="The key that signed the checkpoint, in PEM.")
@db_option()
@output_options
def verify_ledgers(
    account: str | None, checkpoint: str | None, public_key: str | None, db: str, json: bool
) -> int:
    """Prove that the ledger of ACCOUNT, or of every account, is whole and unaltered.

    Reads every change, its hash and its verdicts, then holds licenses, their history and the
    counters against them. Names the first wrong change. Works on a live database.
    """
    from fotapool.store import opened_reader

    named = _read_checkpoint(checkpoint, public_key)
    if named and account is not None and account not in named:
        raise NotFound(f"the checkpoint does not name account {account}")
    started_s = time.monotonic()
    proof = _Proof(checkpoints=named)
    try:
        with opened_reader(db) as reader:
            proof.damage = reader.read(lambda snapshot: snapshot.damage())
            for key in _chosen_accounts(reader, account):
                proof.reports.append(_verify_one(reader, key, named.get(key.name)))
            if account is None:
                proof.unnamed = reader.read(_unnamed_accounts)
                proof.compare_names()
    except StoreDamaged as error:
        proof.damage = proof.damage or str(error)
    told = proof.described(time.monotonic() - started_s)
    if json:
        emit_json(told)
    else:
        _print(told)
    return DONE if told["sound"] else UNSOUND


def _unnamed_accounts(snapshot: StoredSnapshot) -> list[int]:
    """The numbers of accounts whose rows are there, and whose names are not.

    Numbers are given one after another, so those in between and the next are asked for.
    """
    known = {key.id for key in snapshot.accounts()}
    return [
        number
        for number in range(1, max(known, default=0) + ACCOUNTS_LOOKED_FOR)
        if number not in known and snapshot.has_account(number)
    ]


@dataclass
class _Proof:
    """What was found in a database, account by account."""

    checkpoints: Mapping[str, Checkpoint]
    reports: list[Report] = field(default_factory=list)
    damage: str = ""
    unnamed: Sequence[int] = ()
    missing: Sequence[str] = ()
    unchecked: Sequence[str] = ()

    def compare_names(self) -> None:
        """Which accounts the checkpoint names and the database does not, and the reverse."""
        found = {report.account.name for report in self.reports}
        self.missing = sorted(set(self.checkpoints) - found)
        self.unchecked = sorted(found - set(self.checkpoints)) if self.checkpoints else ()

    def described(self, seconds: float) -> dict[str, Any]:
        changes = sum(report.changes for report in self.reports)
        verdicts = sum(report.verdicts for report in self.reports)
        found = any(report.findings for report in self.reports)
        return {
            "sound": not (self.damage or self.missing or self.unnamed or found),
            "damage": self.damage,
            "missing_accounts": self.missing,
            "unnamed_accounts": self.unnamed,
            "unchecked_accounts": self.unchecked,
            "accounts": [_describe_report(report) for report in self.reports],
            "seconds": round(seconds, 3),
            "changes_per_s": round(changes / seconds),
            "verdicts_per_s": round(verdicts / seconds),
        }


def _read_checkpoint(file: str | None, public_key: str | None) -> dict[str, Checkpoint]:
    from fotapool.wire.checkpoint import read_checkpoints

    if (file is None) != (public_key is None):
        raise ConfigurationError("--checkpoint and --public-key go together: give both or none")
    if file is None or public_key is None:
        return {}
    from fotapool.auth.signing import is_signature

    key = _read_file(public_key)
    named = read_checkpoints(_read_file(file), partial(is_signature, key))
    return {position.account: position for position in named}


def _chosen_accounts(reader: Reader, account: str | None) -> list[AccountKey]:
    if account is not None:
        return [find_account(reader, account)]
    return reader.read(lambda snapshot: snapshot.accounts())


def _verify_one(reader: Reader, key: AccountKey, checkpoint: Checkpoint | None) -> Report:
    from fotapool.ledger.verify import verify

    progress = now_and_then(lambda changes: f"account {key.name}: {changes:,} changes read")
    return reader.read(
        lambda snapshot: verify(snapshot, key, checkpoint=checkpoint, progress=progress)
    )


def _describe_report(report: Report) -> dict[str, Any]:
    return {
        "account": report.account.name,
        "sound": not report.findings,
        "changes": report.changes,
        "verdicts": report.verdicts,
        "hash": report.head.hex(),
        "first_wrong_change": report.first_wrong,
        "findings": [_describe_finding(finding) for finding in report.findings],
    }


def _describe_finding(finding: Finding) -> dict[str, Any]:
    from fotapool.model import imei_text

    return {
        "change": finding.sequence,
        "code": finding.wrong.code,
        "message": finding.wrong.value,
        "imei": None if finding.imei is None else imei_text(finding.imei),
        "detail": finding.detail,
    }


def _print(told: Mapping[str, Any]) -> None:
    if told["damage"]:
        emit(f"database: damaged: {told['damage']}")
    for name in told["missing_accounts"]:
        emit(f"account {name}: missing, but the checkpoint names it")
    for number in told["unnamed_accounts"]:
        emit(f"account number {number}: its rows are there, but its name is not")
    for report in told["accounts"]:
        state = "sound" if report["sound"] else f"WRONG from change {report['first_wrong_change']}"
        emit(
            f"account {report['account']}: {state}; {report['changes']:,} changes, "
            f"{report['verdicts']:,} verdicts, hash {report['hash'][:16]}…"
        )
        for finding in report["findings"]:
            about = f", device {finding['imei']}" if finding["imei"] else ""
            detail = f" ({finding['detail']})" if finding["detail"] else ""
            emit(f"  change {finding['change']}{about}: {finding['message']}{detail}")
    for name in told["unchecked_accounts"]:
        note(f"account {name}: the checkpoint does not name it, so a tail cut there goes unseen")
    note(
        f"{told['seconds']:.1f} s: {told['changes_per_s']:,} changes and "
        f"{told['verdicts_per_s']:,} verdicts a second"
    )


@click.command("checkpoint")
@click.argument("account", required=False)
@option(
    "--private-key",
    metavar="FILE",
    required=True,
    help="The Ed25519 key to sign with, in PEM; keep it apart from the database.",
)
@db_option()
@output_options
def make_checkpoint(
    account: str | None,
    private_key: str,
    db: str,
    json: bool,  # noqa: ARG001 -- a checkpoint is one JSON object either way
) -> None:
    """Print where the ledger of ACCOUNT, or of every account, stands now, signed.

    Keep what it prints elsewhere: `verify --checkpoint` then also finds a ledger whose tail was
    cut or rewritten.
    """
    from fotapool.auth.signing import sign
    from fotapool.model import Checkpoint
    from fotapool.store import opened_reader
    from fotapool.wire.checkpoint import write_checkpoints

    key = _read_file(private_key)
    with opened_reader(db) as reader:
        accounts = _chosen_accounts(reader, account)
        positions = reader.read(
            lambda snapshot: [(named, snapshot.account(named.id)) for named in accounts]
        )
    checkpoints = [Checkpoint(named.name, row.sequence, row.head) for named, row in positions]
    emit(write_checkpoints(checkpoints, clock(), partial(sign, key)))


@click.command("signing-key")
@click.argument("file")
@output_options
def make_signing_key(file: str, json: bool) -> None:
    """Make a key for checkpoints: the private key in FILE, the public one in FILE.pub."""
    from fotapool.auth.signing import make_key_pair

    private, public = make_key_pair()
    path, public_path = Path(file), Path(file + ".pub")
    try:
        # The private key is its owner's alone from the first byte on.
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as out:
            out.write(private)
        try:
            with public_path.open("xb") as out:
                out.write(public)
        except OSError:
            with suppress(OSError):
                path.unlink()
            raise
    except FileExistsError as error:
        raise AlreadyExists(f"{error.filename} exists already; a key is never replaced") from error
    except OSError as error:
        raise ConfigurationError(f"{error.filename}: {error.strerror}") from error
    if json:
        emit_json({"private_key": str(path), "public_key": str(public_path)})
    else:
        emit(f"private key {path}, public key {public_path}")


def _read_file(name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{name}: {error.strerror or error}") from error
