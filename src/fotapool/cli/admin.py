"""`fotapool admin`: accounts, devices and credentials, straight in the database.

Works beside a running server, which sees each change at its next request.
"""

from __future__ import annotations

import os
import time
from array import array
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from fotapool.bulk import BadRow, read_fleet
from fotapool.cli._options import (
    DONE,
    SOME_REFUSED,
    actor,
    clock,
    db_option,
    emit_json,
    emit_table,
    find_account,
    note,
    opened_store,
    option,
    output_options,
)
from fotapool.cli.proof import make_checkpoint, make_signing_key, verify_ledgers
from fotapool.model import (
    Account,
    AccountKey,
    Command,
    Credential,
    DeviceList,
    Outcome,
    PurchaseType,
    Role,
    Verb,
)

if TYPE_CHECKING:
    from fotapool.auth import Credentials, Secrets
    from fotapool.store import SqliteStore

IMPORT_DEVICES_MAX = 10_000
"""Devices in one change of an import (docs/reference/protocol.md R9)."""
PROGRESS_EVERY_S = 2.0


@click.group()
def admin() -> None:
    """Administer a database: accounts, devices, credentials, proof."""


@admin.group()
def account() -> None:
    """Accounts and their pools."""


@admin.group()
def device() -> None:
    """Devices that belong to accounts."""


@admin.group()
def credential() -> None:
    """Who may call the API, for which accounts."""


admin.add_command(verify_ledgers)
admin.add_command(make_checkpoint)
admin.add_command(make_signing_key)


@account.command("create")
@click.argument("name")
@option("--licenses", type=int, required=True, help="How many licenses the account has bought.")
@option(
    "--purchase-type",
    type=click.Choice([kind.value for kind in PurchaseType]),
    default=PurchaseType.MRC.value,
    help="MRC: a monthly number. EVNT: billed per upgrade, no licenses.",
)
@db_option()
@output_options
def create_account(name: str, licenses: int, purchase_type: str, db: str, json: bool) -> None:
    """Create account NAME with a pool of licenses."""
    from fotapool.ledger import Ledger

    with opened_store(db) as store:
        made = Ledger(store, clock).create_account(
            name,
            purchase_type=PurchaseType(purchase_type),
            licenses=licenses,
            actor=actor(),
            request_id=os.urandom(16),
        )
    if json:
        emit_json(
            {"account": name, "purchase_type": purchase_type, "total": made.totals.total, "used": 0}
        )
    else:
        click.echo(f"account {name} has {made.totals.total:,} licenses ({purchase_type})")


@account.command("list")
@db_option()
@output_options
def list_accounts(db: str, json: bool) -> None:
    """List accounts with their pools."""
    with opened_store(db) as store:
        accounts = [
            _describe_account(key, row)
            for key, row in store.read(
                lambda snapshot: [(key, snapshot.account(key.id)) for key in snapshot.accounts()]
            )
        ]
    if json:
        emit_json({"accounts": accounts})
    else:
        columns = ("ACCOUNT", "TYPE", "POLICY", "TOTAL", "USED", "FREE", "OVERHANG", "ACTIVE")
        emit_table(columns, [tuple(row.values()) for row in accounts])


def _describe_account(key: AccountKey, row: Account) -> dict[str, object]:
    return {
        "account": key.name,
        "purchase_type": row.purchase_type.value,
        "policy": row.policy.value,
        "total": row.totals.total,
        "used": row.totals.used,
        "free": row.totals.free,
        "overhang": row.totals.overhang,
        "active": row.active,
    }


@device.command("import")
@click.argument("account")
@click.argument("file")
@db_option()
@output_options
def import_devices(account: str, file: str, db: str, json: bool) -> int:
    """Register the devices in FILE as ACCOUNT's own; - reads standard input.

    FILE has one IMEI a line, or is a CSV with a column named imei. Rows that are no IMEI are
    refused with their line; the others are imported all the same.
    """
    with opened_store(db) as store:
        key = find_account(store, account)
        # Read whole before the first write: a file that breaks in the middle imports nothing.
        imeis, refused = _read_devices(file)
        registered = sum(_register(store, key, imeis))
    already = len(imeis) - registered
    if json:
        rows = [{"line": row.line, "text": row.text, "code": row.problem.code} for row in refused]
        emit_json(
            {
                "account": account,
                "registered": registered,
                "already_registered": already,
                "refused": rows,
            }
        )
    else:
        click.echo(
            f"account {account}: {registered:,} devices registered, {already:,} already there, "
            f"{len(refused):,} rows refused"
        )
    return SOME_REFUSED if refused else DONE


def _read_devices(file: str) -> tuple[array[int], list[BadRow]]:
    imeis: array[int] = array("q")
    refused: list[BadRow] = []
    for row in read_fleet(file):
        if isinstance(row, BadRow):
            refused.append(row)
            note(f"{file}, line {row.line}: {row.text!r}: {row.problem.value}")
        else:
            imeis.append(row.imei)
    return imeis, refused


def _register(store: SqliteStore, key: AccountKey, imeis: array[int]) -> Iterator[int]:
    """Register in changes of bounded size; gives how many devices each one added."""
    from fotapool.ledger import Ledger

    ledger = Ledger(store, clock)
    told_s = time.monotonic()
    for start in range(0, len(imeis), IMPORT_DEVICES_MAX):
        batch = DeviceList.of(imeis[start : start + IMPORT_DEVICES_MAX])
        command = Command(key, Verb.REGISTER, batch, actor(), os.urandom(16))
        try:
            made = ledger.submit(command).result()
        except KeyboardInterrupt:
            note(f"stopped after {start:,} of {len(imeis):,} devices; the same command goes on")
            raise
        if time.monotonic() - told_s >= PROGRESS_EVERY_S:
            told_s = time.monotonic()
            note(f"{start + len(batch):,} of {len(imeis):,} devices")
        yield made.count(Outcome.REGISTERED)


@credential.command("create")
@click.argument("accounts", nargs=-1, required=True, metavar="ACCOUNT [ACCOUNT...]")
@option(
    "--role",
    type=click.Choice([role.word for role in Role]),
    default=Role.OPERATOR.word,
    help="viewer reads, operator also assigns and removes, admin also manages the pool.",
)
@option("--name", help="What to call it in lists and in the ledger.", show_default="made up")
@db_option()
@output_options
def create_credential(
    accounts: Sequence[str], role: str, name: str | None, db: str, json: bool
) -> None:
    """Make a credential for one or more accounts. Its secrets are shown this once."""
    with opened_store(db) as store:
        secrets = _credentials(store).create(accounts, role=Role[role.upper()], name=name)
    _emit_secrets(secrets, json=json)


@credential.command("list")
@db_option()
@output_options
def list_credentials(db: str, json: bool) -> None:
    """List credentials, without their secrets."""
    with opened_store(db) as store:
        rows = [_describe_credential(*pair) for pair in _credentials(store).all()]
    if json:
        emit_json({"credentials": rows})
    else:
        columns = ("NAME", "ROLE", "ACCOUNTS", "CLIENT ID", "CREATED", "STATE")
        emit_table(columns, [_credential_cells(row) for row in rows])


def _describe_credential(found: Credential, accounts: Sequence[AccountKey]) -> dict[str, Any]:
    state = "active"
    if found.revoked_at_ms:
        state = "revoked"
    elif clock() < found.locked_until_ms:
        state = "locked"
    return {
        "name": found.name,
        "role": found.role.word,
        "accounts": [key.name for key in accounts],
        "client_id": found.client_id,
        "created": datetime.fromtimestamp(found.created_at_ms // 1000, UTC).isoformat(),
        "state": state,
    }


def _credential_cells(row: dict[str, Any]) -> tuple[str, ...]:
    return tuple(",".join(cell) if isinstance(cell, list) else cell for cell in row.values())


@credential.command("rotate")
@click.argument("name")
@db_option()
@output_options
def rotate_credential(name: str, db: str, json: bool) -> None:
    """Give credential NAME a new secret and password; its tokens and sessions end."""
    with opened_store(db) as store:
        secrets = _credentials(store).rotate(name)
    _emit_secrets(secrets, json=json)


@credential.command("unlock")
@click.argument("name")
@db_option()
@output_options
def unlock_credential(name: str, db: str, json: bool) -> None:
    """Let credential NAME log in again after too many failures."""
    with opened_store(db) as store:
        _credentials(store).unlock(name)
    _emit_state(name, "unlocked", json)


@credential.command("revoke")
@click.argument("name")
@db_option()
@output_options
def revoke_credential(name: str, db: str, json: bool) -> None:
    """End credential NAME for good; its tokens and sessions end."""
    with opened_store(db) as store:
        _credentials(store).revoke(name)
    _emit_state(name, "revoked", json)


def _credentials(store: SqliteStore) -> Credentials:
    from fotapool.auth import Credentials

    return Credentials(store, clock=clock, random=os.urandom)


def _emit_secrets(secrets: Secrets, *, json: bool) -> None:
    shown = {
        "name": secrets.name,
        "client_id": secrets.client_id,
        "client_secret": secrets.client_secret,
        "username": secrets.username,
        "password": secrets.password,
    }
    if json:
        emit_json(shown)
        return
    for label, value in shown.items():
        click.echo(f"{label:<13}  {value}")
    note("Keep them now: they are not stored and cannot be shown again.")


def _emit_state(name: str, state: str, json: bool) -> None:
    if json:
        emit_json({"name": name, "state": state})
    else:
        click.echo(f"credential {name} {state}")
