"""`fotapool admin`: accounts, devices and credentials, straight in the database.

Works beside a running server, which sees each change at its next request.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from fotapool.cli._options import (
    clock,
    db_option,
    emit,
    emit_json,
    emit_table,
    note,
    opened_store,
    option,
    output_options,
)
from fotapool.cli.accounts import account
from fotapool.cli.database import back_up_database, distribute_database, migrate_database
from fotapool.cli.devices import device
from fotapool.cli.proof import make_checkpoint, make_signing_key, verify_ledgers
from fotapool.model import Role

if TYPE_CHECKING:
    from fotapool.auth import Credentials, Secrets
    from fotapool.model import AccountKey, Credential
    from fotapool.store import GroupedStore


@click.group()
def admin() -> None:
    """Administer a database: accounts, devices, credentials, proof."""


@admin.group()
def credential() -> None:
    """Who may call the API, for which accounts."""


admin.add_command(account)
admin.add_command(device)
admin.add_command(migrate_database)
admin.add_command(back_up_database)
admin.add_command(distribute_database)
admin.add_command(verify_ledgers)
admin.add_command(make_checkpoint)
admin.add_command(make_signing_key)


@credential.command("create")
@click.argument("accounts", nargs=-1, required=True, metavar="ACCOUNT [ACCOUNT...]")
@option(
    "--role",
    type=click.Choice([role.word for role in Role]),
    default=Role.OPERATOR.word,
    help="viewer reads, operator also assigns, removes and tells of upgrades, admin also resizes "
    "the pool and manages its devices.",
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


def _credentials(store: GroupedStore) -> Credentials:
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
        emit(f"{label:<13}  {value}")
    note("Keep them now: they are not stored and cannot be shown again.")


def _emit_state(name: str, state: str, json: bool) -> None:
    if json:
        emit_json({"name": name, "state": state})
    else:
        emit(f"credential {name} {state}")
