"""`fotapool emulate`: the emulator on a port, for people who write no Python."""

from __future__ import annotations

import shlex
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fotapool.cli._options import emit, emit_json, note, option, output_options

if TYPE_CHECKING:
    from fotapool.testing import Emulator, Scenario

PORT = 8081


@click.command()
@option("--seed", metavar="FILE", help="A scenario (.toml or .json) to begin with.")
@option("--state", metavar="FILE", help="Keep everything in this file, and go on from it.")
@option("--host", default="127.0.0.1", help="The address to listen on.")
@option(
    "--port",
    default=PORT,
    type=click.IntRange(0, 65535),
    help="The port to listen on; 0 takes a free one.",
)
@option("--strict", is_flag=True, help="Refuse unknown paths, malformed IMEIs, deprecated calls.")
@option("--frozen", is_flag=True, help="Let the clock stand still at the scenario's moment.")
@output_options
def emulate(
    *,
    seed: str | None,
    state: str | None,
    host: str,
    port: int,
    strict: bool,
    frozen: bool,
    json: bool,
) -> None:
    """Emulate the license API on a port.

    The real rules, with a clock and faults to turn (fotapool emulator). What it keeps is in memory
    and ends with it, unless --state names a file. Until Ctrl-C.
    """
    from fotapool.server.settings import Settings
    from fotapool.testing import IN_MEMORY, Emulator, Scenario
    from fotapool.testing.serving import serving

    scenario = Scenario.load(seed) if seed else Scenario()
    url = IN_MEMORY if state is None else f"sqlite:///{Path(state).absolute()}"
    stop = threading.Event()
    with (
        Emulator(scenario, strict=strict, speed=0.0 if frozen else 1.0, url=url) as emulator,
        serving(emulator, host, port) as base_url,
        _stopping(stop),
    ):
        if not Settings(host=host).loopback_only:
            note(
                f"warning: {host} can be reached from other machines, and the control API asks "
                "for no login"
            )
        if json:
            emit_json(_told(base_url, emulator, state))
        else:
            emit(_banner(base_url, emulator, scenario, state))
        sys.stdout.flush()
        while not stop.wait(0.5):  # in turns: Windows would not see Ctrl-C otherwise
            pass
    note("stopped")


@contextmanager
def _stopping(stop: threading.Event) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the emulator; it is how it is meant to stop."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: stop.set()) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _told(base_url: str, emulator: Emulator, state: str | None) -> dict[str, object]:
    login = emulator.login
    return {
        "url": base_url,
        "client_id": login.client_id,
        "client_secret": login.client_secret,
        "username": login.username,
        "password": login.password,
        "accounts": [account.name for account in emulator.scenario.accounts],
        "control": f"{base_url}/_emulator/",
        "state": state,
    }


def _banner(base_url: str, emulator: Emulator, scenario: Scenario, state: str | None) -> str:
    variables = emulator.environment(base_url)
    account = scenario.accounts[0]
    imei = next(iter(account.imeis), "990003425730500")
    names = f"'{account.name}', ['{imei}']"
    program = f"from fotapool import Client; print(Client().licenses.assign({names}))"
    here = "" if base_url.endswith(f":{PORT}") else f" --url {base_url}"
    lines = [
        f"emulating the license API at {base_url}   (Ctrl-C stops it)",
        f"kept      {state or 'in memory; it ends with this process (--state FILE keeps it)'}",
        *(
            f"account   {known.name}: {known.licenses:,} licenses, {len(known.imeis):,} devices"
            for known in scenario.accounts
        ),
        "",
        "In another terminal:",
        *(f"  export {name}={shlex.quote(value)}" for name, value in variables.items()),
        "",
        "Our SDK:",
        f'  python -c "{program}"',
        "",
        "The official Python SDK, before its clients are made:",
        "  from verizon.configuration import Configuration, Environment",
        "  hosts = Configuration.environments[Environment.PRODUCTION]",
        "  for name, url in hosts.items():",
        f'      hosts[name] = url.replace("https://thingspace.verizon.com", "{base_url}")',
        "",
        "curl:",
        *(f"  {line}" for line in _curl(account.name, imei)),
        "",
        "Clock, faults, journal:",
        f"  fotapool emulator clock --advance 61m{here}",
        f"  fotapool emulator fault answer_lost --operation assign{here}",
        f"  fotapool emulator journal{here}",
        f"or over HTTP: {base_url}/_emulator/",
    ]
    return "\n".join(lines)


_CURL = r"""
field() { sed "s/.*\"$1\":\"\([^\"]*\)\".*/\1/"; }
bearer=$(curl -s -u "$FOTAPOOL_CLIENT_ID:$FOTAPOOL_CLIENT_SECRET" -d grant_type=client_credentials \
  "$FOTAPOOL_BASE_URL/api/ts/v1/oauth2/token" | field access_token)
session=$(curl -s -H "Authorization: Bearer $bearer" \
  -d "{\"username\":\"$FOTAPOOL_USERNAME\",\"password\":\"$FOTAPOOL_PASSWORD\"}" \
  "$FOTAPOOL_BASE_URL/api/m2m/v1/session/login" | field sessionToken)
curl -s -H "Authorization: Bearer $bearer" -H "VZ-M2M-Token: $session" \
  -d '{"deviceList":["IMEI"]}' "$FOTAPOOL_BASE_URL/api/fota/v3/licenses/ACCOUNT/assign"
"""


def _curl(account: str, imei: str) -> list[str]:
    return _CURL.replace("ACCOUNT", account).replace("IMEI", imei).strip().splitlines()
