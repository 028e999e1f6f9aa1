"""Our own operations: writes with conditions, dry runs, and the past (R10, R13, R17)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import TYPE_CHECKING

from fotapool.api.exchange import Call, Pending, Reply
from fotapool.api.licenses import change_headers
from fotapool.model import (
    AccountKey,
    Change,
    ChangeFilter,
    Command,
    DeviceList,
    Outcome,
    Refusal,
    Refused,
    Verb,
)
from fotapool.wire import pool_v1
from fotapool.wire.query import (
    List,
    read_cursor,
    read_imei,
    read_moment,
    read_number,
    read_one,
    read_query,
    read_word,
)

if TYPE_CHECKING:
    from fotapool.api import Api

_VERBS = {verb.word: verb for verb in Verb}
_OUTCOMES = {outcome.word: outcome for outcome in Outcome if outcome is not Outcome.UNRECOGNIZED}
_ORDERS = {"newest": True, "oldest": False}


def change(verb: Verb) -> Callable[[Api, Call], Pending]:
    """Assign or remove licenses, if asked only while the account stands at a sequence."""

    def operation(api: Api, call: Call) -> Pending:
        command = read_command(api, call, verb)

        def reply(future: Future[Change]) -> Reply:
            made = future.result()
            return Reply(
                200,
                pool_v1.write_change(made),
                (*change_headers(made), sequence_tag(made.sequence)),
            )

        return Pending(api.ledger.submit(command), reply)

    return operation


def dry_run(verb: Verb) -> Callable[[Api, Call], Reply]:
    """What an assign or remove would come to now."""

    def operation(api: Api, call: Call) -> Reply:
        rehearsed = api.ledger.rehearse(read_command(api, call, verb))
        return read_reply(pool_v1.write_dry_run(rehearsed), rehearsed.sequence)

    return operation


def status(api: Api, call: Call) -> Reply:
    """Licensed devices and totals now."""
    account, listed = listed_call(api, call, "status", ())
    page = api.ledger.status(account, read_cursor(listed))
    reply = read_reply(pool_v1.write_page(page, listed), page.sequence)
    return replace(reply, headers=(*reply.headers, sequence_tag(page.sequence)))


def as_of(api: Api, call: Call) -> Reply:
    """Licensed devices and totals at a sequence or moment of the past."""
    account, listed = listed_call(api, call, "as-of", ("sequence", "at"))
    asked = listed.parameters
    if ("sequence" in asked) == ("at" in asked):
        raise Refused(
            Refusal.PARAMETER_INVALID, name="sequence or at", expected="given, and only one of them"
        )
    sequence = read_number("sequence", asked.get("sequence"))
    at_ms = read_moment("at", asked.get("at"))
    place = listed.read_place(2)
    if place is not None:
        # The pages after the first stay on the sequence that it named.
        page = api.history.as_of(account, sequence=place[0], after=place[1])
    else:
        page = api.history.as_of(account, sequence=sequence, at_ms=at_ms)
    return read_reply(pool_v1.write_as_of(page, listed), page.last)


def changes(api: Api, call: Call) -> Reply:
    """Changes of an account, by what they did, who asked, when, and which device."""
    known = ("verb", "actor", "since", "until", "imei", "outcome", "order")
    account, listed = listed_call(api, call, "changes", known)
    asked = listed.parameters
    wanted = ChangeFilter(
        verb=read_word("verb", asked.get("verb"), _VERBS),
        actor=asked.get("actor"),
        since_ms=read_moment("since", asked.get("since")),
        until_ms=read_moment("until", asked.get("until")),
        imei=read_imei("imei", asked.get("imei")),
        outcome=read_word("outcome", asked.get("outcome"), _OUTCOMES),
    )
    newest_first = read_word("order", asked.get("order"), _ORDERS)
    page = api.history.changes(
        account,
        wanted,
        newest_first=True if newest_first is None else newest_first,
        after=read_one(listed),
    )
    return read_reply(pool_v1.write_entries(page, listed), page.sequence)


def one_change(api: Api, call: Call) -> Reply:
    """One change with its verdicts."""
    sequence = call.segment("sequence") or ""
    account, listed = listed_call(api, call, f"change {sequence}", ())
    number = read_number("change", sequence)
    found = api.history.change(account, number or 0)
    start = read_one(listed) or 0
    return read_reply(pool_v1.write_change_page(found.change, start, listed), found.sequence)


def device_history(api: Api, call: Call) -> Reply:
    """The times for which a device held a license, by which changes, by whom."""
    text = call.segment("imei") or ""
    account, listed = listed_call(api, call, f"device {text}", ())
    imei = read_imei("imei", text)
    page = api.history.device(account, imei or 0, after=read_one(listed) or 0)
    return read_reply(pool_v1.write_holdings(page, listed), page.sequence)


def refusals(api: Api, call: Call) -> Reply:
    """How many devices were refused over a span of time, and why."""
    account, listed = listed_call(api, call, "refusals", ("since", "until", "verb"))
    asked = listed.parameters
    counted = api.history.refusals(
        account,
        since_ms=read_moment("since", asked.get("since")),
        until_ms=read_moment("until", asked.get("until")),
        verb=read_word("verb", asked.get("verb"), _VERBS),
        before=read_one(listed),
    )
    return read_reply(pool_v1.write_refusals(counted, listed), counted.sequence)


def clock(api: Api, call: Call) -> Reply:
    """Whether the server's clock is behind the account's own time."""
    _, account = api.authorize(call)
    read_query(call.request.query, ())
    health = api.history.clock(account)
    return read_reply(pool_v1.write_clock(health), health.sequence)


def read_command(api: Api, call: Call, verb: Verb) -> Command:
    """A write that names devices, with its condition. Raises Refused."""
    identity, account = api.authorize(call)
    request = call.request
    read_query(request.query, ())
    items = pool_v1.read_request(request.body, account.name, call.items_max)
    return Command(
        account,
        verb,
        DeviceList.parse(items),
        actor=identity.name,
        request_id=request.id,
        key=request.key,
        if_sequence=request.if_sequence,
    )


def listed_call(
    api: Api, call: Call, kind: str, parameters: Sequence[str]
) -> tuple[AccountKey, List]:
    """The account of a read, and the list that its parameters make. Raises Refused."""
    _, account = api.authorize(call)
    asked = read_query(call.request.query, (*parameters, "cursor"))
    return account, List(kind, account.name, asked)


def read_reply(body: bytes, sequence: int) -> Reply:
    """The reply to a read, with the account's last change that it saw."""
    return Reply(200, body, (("Fotapool-Sequence", str(sequence)),))


def sequence_tag(sequence: int) -> tuple[str, str]:
    """The sequence as a tag, for `If-Match`."""
    return "ETag", f'"{sequence}"'
