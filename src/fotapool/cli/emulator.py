"""`fotapool emulator …`: turn an emulator that runs, over its control API."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import click

from fotapool.cli._options import emit, emit_json, emit_table, note, option, output_options
from fotapool.cli.emulate import PORT
from fotapool.model import ConfigurationError, FotapoolError, NotFound

TIMEOUT_S = 10.0

_SPAN = re.compile(r"(-?\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNIT_S = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}

_url_option = option(
    "--url",
    default=f"http://127.0.0.1:{PORT}",
    help="Where the emulator listens.",
)


class EmulatorUnreached(FotapoolError):
    """No emulator answered at this address."""


@click.group()
def emulator() -> None:
    """Turn a running emulator: clock, faults, journal."""


@emulator.command()
@option("--empty", is_flag=True, help="To no account and no login, instead of the scenario.")
@_url_option
@output_options
def reset(empty: bool, url: str, json: bool) -> None:
    """Go back to the scenario: books, clock, faults, journal."""
    told = _ask(url, "POST", "reset", {"to": "empty" if empty else "seed"})
    _tell(
        told, json, f"reset to {'empty' if empty else 'the scenario'}; now {told['clock']['now']}"
    )


@emulator.command()
@click.argument("name", default="default")
@_url_option
@output_options
def snapshot(name: str, url: str, json: bool) -> None:
    """Keep books and clock as they stand, under NAME."""
    told = _ask(url, "POST", f"snapshots/{quote(name, safe='')}")
    _tell(told, json, f"kept {name}; snapshots: {', '.join(told['snapshots'])}")


@emulator.command()
@click.argument("name", default="default")
@_url_option
@output_options
def restore(name: str, url: str, json: bool) -> None:
    """Go back to the snapshot NAME."""
    told = _ask(url, "POST", f"restore/{quote(name, safe='')}")
    _tell(told, json, f"restored {name}; now {told['clock']['now']}")


@emulator.command()
@option("--set", "to", metavar="MOMENT", help="Make it this moment, such as 2026-03-01T12:00:00Z.")
@option("--advance", metavar="TIME", help="Let time pass at once: 90s, 61m, 2h, 30d.")
@option("--speed", type=click.FloatRange(0), help="Seconds in a real second; 0 stands still.")
@_url_option
@output_options
def clock(to: str | None, advance: str | None, speed: float | None, url: str, json: bool) -> None:
    """Show the clock, or turn it. Every token and timestamp obeys it."""
    order: dict[str, object] = {"set": to, "speed": speed}
    if advance is not None:
        order["advance_s"] = _seconds(advance)
    order = {name: value for name, value in order.items() if value is not None}
    told = _ask(url, "POST", "clock", order) if order else _ask(url, "GET", "clock")
    pace = "stands still" if told["speed"] == 0 else f"runs at speed {told['speed']:g}"
    _tell(told, json, f"{told['now']}, {pace}")


@emulator.command()
@click.argument("name", required=False)
@click.argument("settings", nargs=-1)
@option("--operation", help="Only for this operation: assign, remove, status, token, any …")
@option("--account", help="Only for this account.")
@option("--imei", help="Only for requests that name this device.")
@option("--times", type=click.IntRange(1), help="How many requests; 1 if nothing is said.")
@option("--skip", type=click.IntRange(0), help="Let so many matching requests through first.")
@option("--probability", type=click.FloatRange(0, 1), help="The chance of each.")
@option("--clear", is_flag=True, help="Disarm all.")
@_url_option
@output_options
def fault(
    name: str | None,
    settings: tuple[str, ...],
    clear: bool,
    url: str,
    json: bool,
    **when: Any,
) -> None:
    """Arm the fault NAME, or list what is armed.

    SETTINGS are such as seconds=5. The names: pool_exhausted, devices_refused, session_expired,
    token_revoked, keys_ignored, page_repeated, page_shuffled, spelling, time_style,
    members_missing, json_malformed, answer_lost, answer_delayed, connection_cut, slow_drip,
    too_many_requests, unavailable, html_page.
    """
    if clear:
        told = _ask(url, "DELETE", "faults")
    if name is not None:
        given = {field: value for field, value in when.items() if value is not None}
        told = _ask(url, "POST", "faults", {"fault": name, **_settings(settings), **given})
        _tell(told, json, f"armed {name} as number {told['number']}")
        return
    told = _ask(url, "GET", "faults")
    if json:
        emit_json(told)
    else:
        rows = [(f["number"], f["fault"], f["hits"], f["spent"]) for f in told["faults"]]
        emit_table(("NUMBER", "FAULT", "HITS", "SPENT"), rows)


@emulator.command()
@option("--operation", default="", help="Only this operation.")
@option("--limit", default=100, type=click.IntRange(1), help="The newest so many.")
@option("--clear", is_flag=True, help="Forget all of it.")
@_url_option
@output_options
def journal(*, operation: str, limit: int, clear: bool, url: str, json: bool) -> None:
    """Show what was asked, what was answered, and why. Secrets are taken out."""
    if clear:
        _tell(_ask(url, "DELETE", "journal"), json, "the journal is empty")
        return
    told = _ask(url, "GET", f"journal?operation={quote(operation, safe='')}&limit={limit}")
    if json:
        emit_json(told)
    else:
        for entry in told["requests"]:
            emit(entry["line"])
        if not told["requests"]:
            note("no requests")


def _tell(told: dict[str, Any], json: bool, line: str) -> None:
    if json:
        emit_json(told)
    else:
        emit(line)


def _ask(url: str, method: str, path: str, body: object = None) -> dict[str, Any]:
    """Ask the control API. Raises FotapoolError."""
    import msgspec
    import urllib3

    encoded = None if body is None else msgspec.json.encode(body)
    target = f"{url.rstrip('/')}/_emulator/{path}"
    try:
        with urllib3.PoolManager(retries=False) as pool:
            answer = pool.request(method, target, body=encoded, timeout=TIMEOUT_S)
    except urllib3.exceptions.HTTPError as error:
        raise EmulatorUnreached(
            f"no emulator answers at {url}; start one with fotapool emulate, or name it with --url"
        ) from error
    return _read(url, answer.status, answer.data)


def _read(url: str, status: int, body: bytes) -> dict[str, Any]:
    import msgspec

    try:
        told: dict[str, Any] = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise EmulatorUnreached(f"what answers at {url} is no emulator") from error
    if told.get("errorCode") == "EMULATOR":
        raise (NotFound if status == 404 else ConfigurationError)(told["errorMessage"])
    if status != 200:
        raise EmulatorUnreached(f"what answers at {url} is no emulator ({status})")
    return told


def _seconds(span: str) -> float:
    match = _SPAN.fullmatch(span)
    if match is None:
        raise ConfigurationError(f"--advance {span!r}: use a number and ms, s, m, h or d, like 61m")
    return float(match[1]) * _UNIT_S[match[2]]


def _settings(pairs: tuple[str, ...]) -> dict[str, object]:
    """`seconds=5` as a number, `imeis=A,B` as a list, `times=null` as none, all else as a text."""
    told: dict[str, object] = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign:
            raise ConfigurationError(f"{pair!r}: write settings as NAME=VALUE, such as seconds=5")
        told[name] = value.split(",") if name == "imeis" else _value(value)
    return told


def _value(text: str) -> object:
    """A number, null, or the text itself."""
    import msgspec

    if re.fullmatch(r"null|-?\d{1,9}(\.\d+)?", text):
        return msgspec.json.decode(text)
    return text
