"""Our own operations on the rest of a pool's life (R5 to R8, R12)."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import TYPE_CHECKING

from fotapool.api.exchange import Call, Pending, Reply
from fotapool.api.licenses import change_headers
from fotapool.api.pool import listed_call, read_command, read_reply, sequence_tag
from fotapool.ledger.resize import LICENSES_MAX
from fotapool.ledger.undo import root_of
from fotapool.model import (
    AccountKey,
    Change,
    Command,
    DeviceList,
    Listing,
    Refusal,
    Refused,
    Role,
    Verb,
)
from fotapool.wire import pool_life
from fotapool.wire.query import List, read_cursor, read_one, read_query

if TYPE_CHECKING:
    from fotapool.api import Api

SEQUENCE_MAX = 10**18


def resize(api: Api, call: Call) -> Pending:
    """Set the number of licenses."""
    return _submit(api, _read_resize(api, call))


def preview_resize(api: Api, call: Call) -> Reply:
    """Who would lose a license, and why."""
    command = _read_resize(api, call)
    return _rehearse(api, call, command, f"dry-run resize {command.total}")


def undo(api: Api, call: Call) -> Pending:
    """Take back what still stands of a change."""
    return _submit(api, _read_undo(api, call))


def preview_undo(api: Api, call: Call) -> Reply:
    """What an undo would come to now."""
    command = _read_undo(api, call)
    return _rehearse(api, call, command, f"dry-run undo {command.undoes}")


def edit_candidates(listing: Listing) -> Callable[[Api, Call], Pending]:
    """Replace, extend or clear the candidate list."""

    def operation(api: Api, call: Call) -> Pending:
        if listing is Listing.CLEAR:
            command = _read_plain(api, call, Verb.CANDIDATES)
            pool_life.read_nothing(call.request.body)
        else:
            command = read_command(api, call, Verb.CANDIDATES)
        command = replace(command, listing=listing, render=pool_life.write_listed)
        return pending(api, command, pool_life.write_listed)

    return operation


def candidates(api: Api, call: Call) -> Reply:
    """The candidate list, in its order."""
    account, listed = listed_call(api, call, "candidates", ())
    page = api.registry.candidates(account, read_one(listed) or 0)
    return read_reply(pool_life.write_candidates(page, listed), page.sequence)


def devices(api: Api, call: Call) -> Reply:
    """The account's devices."""
    account, listed = listed_call(api, call, "devices", ())
    page = api.registry.devices(account, read_cursor(listed))
    return read_reply(pool_life.write_devices(page, listed), page.sequence)


def account(api: Api, call: Call) -> Reply:
    """What the account is, and how it stands."""
    _, key = api.authorize(call)
    read_query(call.request.query, ())
    found = api.registry.subscription(key)
    return read_reply(pool_life.write_account(found), found.row.sequence)


def pending(api: Api, command: Command, write: Callable[[Change], bytes]) -> Pending:
    """A write under way. Where an answer was kept with the key, that very one is given again."""

    def reply(future: Future[Change]) -> Reply:
        made = future.result()
        body = write(made) if made.answer is None else made.answer
        return Reply(200, body, (*change_headers(made), sequence_tag(made.sequence)))

    return Pending(api.ledger.submit(command), reply)


def _submit(api: Api, command: Command) -> Pending:
    return pending(api, replace(command, render=pool_life.write_change), pool_life.write_change)


def _rehearse(api: Api, call: Call, command: Command, kind: str) -> Reply:
    """A dry run, or a later page of one, which must be of the same sequence."""
    listed = _dry_list(call, kind, command.account)
    place = listed.read_place(2)
    rehearsed = api.ledger.rehearse(command)
    if place is not None and place[0] != rehearsed.sequence:
        raise Refused(Refusal.PRECONDITION_FAILED, sequence=rehearsed.sequence)
    body = pool_life.write_dry_run(rehearsed, 0 if place is None else place[1], listed)
    return read_reply(body, rehearsed.sequence)


def _dry_list(call: Call, kind: str, key: AccountKey) -> List:
    return List(kind, key.name, read_query(call.request.query, ("cursor",)))


def _read_resize(api: Api, call: Call) -> Command:
    command = _read_plain(api, call, Verb.RESIZE)
    total = pool_life.read_member(call.request.body, "total", 0, LICENSES_MAX)
    return replace(command, total=total)


def _read_undo(api: Api, call: Call) -> Command:
    """An undo. What only an administrator may do, only one may take back (R14)."""
    identity, key = api.authorize(call)
    undoes = pool_life.read_member(call.request.body, "change", 1, SEQUENCE_MAX)
    found = api.history.change(key, undoes)
    if root_of(found.change) is Verb.RESIZE:
        identity.require(Role.ADMIN)
    return replace(_read_plain(api, call, Verb.UNDO), undoes=undoes)


def _read_plain(api: Api, call: Call, verb: Verb) -> Command:
    """A write that names no devices."""
    identity, key = api.authorize(call)
    request = call.request
    read_query(request.query, ("cursor",) if call.route.dry else ())
    return Command(
        key,
        verb,
        DeviceList.of([]),
        actor=identity.name,
        request_id=request.id,
        key=request.key,
        if_sequence=request.if_sequence,
    )
