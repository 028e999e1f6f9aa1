"""Commands that ask a server through the SDK: `history`, `as-of`, `refusals`, `undo`."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from fotapool.cli._options import (
    DONE,
    SOME_REFUSED,
    emit,
    emit_json,
    emit_table,
    note,
    option,
    output_options,
)
from fotapool.model import Outcome, Verb

if TYPE_CHECKING:
    from fotapool.client import (
        ChangeSummary,
        Client,
        DryRun,
        Holding,
        LicensedDevice,
        NamedChange,
        PoolChange,
    )

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

LISTED = 50

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

_OUTCOMES = {outcome.word: outcome for outcome in Outcome if outcome is not Outcome.UNRECOGNIZED}


def client_options(command: F) -> F:
    """Who asks which server; the command is told `client`, which is closed afterwards."""
    names = ("base_url", "client_id", "client_secret", "access_token", "allow_http")

    @functools.wraps(command)
    def told(*arguments: Any, **named: Any) -> Any:
        from fotapool.client import Client

        given = {name: named.pop(name) for name in names}
        with Client(**given) as client:
            return command(*arguments, client=client, **named)

    told = option(
        "--allow-http",
        is_flag=True,
        default=None,
        help="Send logins over plain http beyond this machine.",
        show_default=False,
    )(told)
    told = option("--access-token", help="A ready bearer token instead.", show_default=False)(told)
    told = option("--client-secret", help="Its secret; better as a variable.")(told)
    told = option("--client-id", help="The credential's client id.")(told)
    told = option("--base-url", help="The server's origin.", show_default="the vendor's")(told)
    return cast(F, told)


def _moment(_context: click.Context, _parameter: click.Parameter, text: str | None) -> Any:
    """A time in RFC 3339 with its zone."""
    moment = None if text is None else _read_time(text)
    if text is not None and (moment is None or moment.tzinfo is None):
        raise click.BadParameter(f"{text!r}: use a time such as 2026-03-03T12:00:00Z")
    return moment


def _moment_or_day(context: click.Context, parameter: click.Parameter, text: str | None) -> Any:
    """The same, or a day, which is its first moment in UTC."""
    if text is not None and _DAY.fullmatch(text) and (day := _read_time(text)):
        return day.replace(tzinfo=UTC)
    return _moment(context, parameter, text)


def _read_time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _limit_option(default: int) -> Callable[[F], F]:
    return option(
        "--limit", type=click.IntRange(min=0), default=default, help="List this many; 0 is all."
    )


@click.command()
@click.argument("account")
@click.argument("imei", required=False)
@option("--change", type=click.IntRange(min=1), help="One change, with every verdict of it.")
@option("--verb", type=click.Choice([verb.word for verb in Verb]), help="Changes of this verb.")
@option("--actor", help="Changes that this credential made, or cli: and a user.")
@option(
    "--since", metavar="TIME|DAY", callback=_moment_or_day, help="Changes from this time or day on."
)
@option(
    "--until", metavar="TIME|DAY", callback=_moment_or_day, help="Changes before this time or day."
)
@option("--outcome", type=click.Choice(sorted(_OUTCOMES)), help="Changes with this verdict.")
@option("--naming", metavar="IMEI", help="Changes that name this device, refused or not.")
@option("--oldest-first", is_flag=True, help="Begin with the oldest change.")
@_limit_option(LISTED)
@client_options
@output_options
def history(
    account: str,
    imei: str | None,
    *,
    change: int | None,
    naming: str | None,
    outcome: str | None,
    oldest_first: bool,
    limit: int,
    client: Client,
    json: bool,
    **wanted: Any,
) -> None:
    """What happened in ACCOUNT, or when device IMEI held a license, by which change and whom."""
    _refuse_together(
        {"IMEI": imei, "--change": change},
        {"--naming": naming, "--outcome": outcome, "--oldest-first": oldest_first or None}
        | {f"--{name}": value for name, value in wanted.items()},
    )
    if imei is not None:
        _show_holdings(
            imei, _listed(iter(client.pool.device_history(account, imei)), limit), json=json
        )
    elif change is not None:
        _show_change(client.pool.change(account, change), json=json)
    else:
        changes = client.pool.changes(
            account,
            imei=naming,
            outcome=None if outcome is None else _OUTCOMES[outcome],
            order="oldest" if oldest_first else "newest",
            **wanted,
        )
        _show_changes(_listed(iter(changes), limit), json=json)


def _refuse_together(lone: Mapping[str, object], filters: Mapping[str, object]) -> None:
    """One device or one change stands for itself; a filter beside it would be passed over."""
    given = [name for name, value in {**lone, **filters}.items() if value is not None]
    if len(given) > 1 and given[0] in lone:
        raise click.UsageError(f"{given[0]} and {given[1]} do not go together: give one of them")


def _show_holdings(imei: str, holdings: list[Holding], *, json: bool) -> None:
    if json:
        items = [
            {"since": _named(held.since)} | ({"until": _named(held.until)} if held.until else {})
            for held in holdings
        ]
        emit_json({"imei": imei, "items": items})
        return
    columns = ("SINCE", "BY", "CHANGE", "UNTIL", "BY", "CHANGE")
    emit_table(columns, [(*_cells(held.since), *_cells(held.until)) for held in holdings])


def _show_changes(changes: list[ChangeSummary], *, json: bool) -> None:
    if json:
        emit_json({"items": [_described(change) for change in changes]})
        return
    columns = ("CHANGE", "AT", "ACTOR", "VERB", "USED", "TOTAL", "OUTCOMES")
    rows = [
        (
            change.change,
            _time(change.at),
            change.actor,
            change.verb,
            change.used,
            change.total,
            ", ".join(f"{count:,} {word}" for word, count in change.outcomes.items()) or "-",
        )
        for change in changes
    ]
    emit_table(columns, rows)


def _show_change(change: PoolChange, *, json: bool) -> None:
    if json:
        items = [{"imei": v.imei, "outcome": v.status} for v in change.verdicts]
        emit_json(_described(change) | {"account": change.account, "items": items})
        return
    note(
        f"change {change.change}: {change.verb} by {change.actor} at {_time(change.at)}, "
        f"request {change.request_id}; {change.used:,} of {change.total:,} used afterwards"
    )
    emit_table(("IMEI", "OUTCOME"), [(v.imei, v.status) for v in change.verdicts])


@click.command("as-of")
@click.argument("account")
@option("--sequence", type=click.IntRange(min=1), help="As this change left it; exact and final.")
@option("--at", metavar="TIME", callback=_moment, help="As it stood at this time.")
@_limit_option(0)
@client_options
@output_options
def as_of(
    account: str,
    *,
    sequence: int | None,
    at: datetime | None,
    limit: int,
    client: Client,
    json: bool,
) -> None:
    """The licensed devices and totals of ACCOUNT at a moment of the past."""
    if (sequence is None) == (at is None):
        raise click.UsageError("give --sequence or --at, and only one of them")
    stood = client.pool.as_of(account, sequence=sequence, at=at)
    devices: Iterable[LicensedDevice] = stood.devices
    if stood.has_more:
        devices = client.pool.devices_as_of(account, sequence=stood.sequence)
    rows = ((device.imei, device.assigned_at_text) for device in _upto(devices, limit))
    if json:
        items = [{"imei": imei, "assigned_at": text} for imei, text in rows]
        emit_json(
            {
                "account": account,
                "sequence": stood.sequence,
                "at": None if stood.at is None else _time(stood.at),
                "total": stood.total,
                "used": stood.used,
                "free": stood.free,
                "overhang": stood.overhang,
                "items": items,
            }
        )
        return
    moment = "" if stood.at is None else f" of {_time(stood.at)}"
    note(f"as change {stood.sequence}{moment} left it: {stood.used:,} of {stood.total:,} used")
    emit(f"{'IMEI':<15}  SINCE")
    for imei, text in rows:
        emit(f"{imei}  {text}")
    if 0 < limit < stood.used:
        note(f"the first {limit:,} of {stood.used:,}; --limit 0 lists all")


@click.command()
@click.argument("account")
@option("--verb", type=click.Choice([verb.word for verb in Verb]), help="Refusals of this verb.")
@option(
    "--since",
    metavar="TIME|DAY",
    callback=_moment_or_day,
    help="Refusals from this time or day on.",
)
@option(
    "--until", metavar="TIME|DAY", callback=_moment_or_day, help="Refusals before this time or day."
)
@client_options
@output_options
def refusals(account: str, client: Client, json: bool, **wanted: Any) -> None:
    """How many devices ACCOUNT was refused, and why."""
    counted = client.pool.refusals(account, **wanted)
    rows = sorted((*key, count) for key, count in counted.counts.items())
    if json:
        items = [{"verb": verb, "outcome": word, "count": count} for verb, word, count in rows]
        emit_json({"account": account, "total": counted.total, "items": items})
    else:
        emit_table(("VERB", "OUTCOME", "COUNT"), rows)


@click.command()
@click.argument("account")
@click.argument("change", type=click.IntRange(min=1))
@option("--preview", is_flag=True, help="Tell what would become of each device; change nothing.")
@client_options
@output_options
def undo(account: str, change: int, *, preview: bool, client: Client, json: bool) -> int:
    """Take back what still stands of CHANGE, an assign, remove, resize or undo of ACCOUNT.

    A device that was altered since is left alone, and the later change is named.
    """
    number: int | None = None
    done: DryRun | PoolChange
    if preview:
        done = client.pool.dry_run_undo(account, change)
    else:
        number, done = _undo_whole(client, account, change)
    if json:
        emit_json(_undone(account, change, number, done))
    else:
        rows = [(v.imei, v.status, f"change {v.by}" if v.by else "-") for v in done.verdicts]
        emit_table(("IMEI", "OUTCOME", "ALTERED BY"), rows)
        state = "nothing was changed" if number is None else f"change {number}"
        note(f"{state}: {done.used:,} of {done.total:,} used")
    return SOME_REFUSED if done.refused else DONE


def _undo_whole(client: Client, account: str, change: int) -> tuple[int, PoolChange]:
    """The undo with every verdict of it; an answer has only the first."""
    made = client.pool.undo(account, change)
    if made.has_more:
        rest = client.pool.change(account, made.change).verdicts[len(made.verdicts) :]
        made = replace(made, verdicts=(*made.verdicts, *rest))
    return made.change, made


def _undone(
    account: str, change: int, number: int | None, done: DryRun | PoolChange
) -> dict[str, Any]:
    return {
        "account": account,
        "undone": change,
        "change": number,
        "total": done.total,
        "used": done.used,
        "free": done.free,
        "overhang": done.overhang,
        "outcomes": dict(done.outcomes),
        "items": [{"imei": v.imei, "outcome": v.status, "by": v.by} for v in done.verdicts],
    }


def _upto(found: Iterable[T], limit: int) -> Iterator[T]:
    return islice(found, limit or None)


def _listed(found: Iterator[T], limit: int) -> list[T]:
    """Up to so many; says so where there are more."""
    shown = list(_upto(found, limit))
    if limit and len(shown) == limit and next(found, None) is not None:
        note(f"the first {limit}; --limit 0 lists all")
    return shown


def _described(change: ChangeSummary) -> dict[str, Any]:
    return {
        "change": change.change,
        "at": _time(change.at),
        "actor": change.actor,
        "verb": change.verb,
        "request": change.request_id,
        "outcomes": dict(change.outcomes),
        "total": change.total,
        "used": change.used,
        "free": change.free,
        "overhang": change.overhang,
        "hash": change.hash,
        "detail": change.detail,
    }


def _named(change: NamedChange) -> dict[str, Any]:
    return {
        "change": change.change,
        "at": _time(change.at),
        "actor": change.actor,
        "verb": change.verb,
    }


def _cells(change: NamedChange | None) -> tuple[str, str, str]:
    if change is None:
        return "still held", "-", "-"
    return _time(change.at), change.actor, f"{change.change} {change.verb}"


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
