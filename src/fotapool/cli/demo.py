"""`fotapool demo`: the main job from nothing, on a real server, with a fleet of 10,000."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fotapool.cli._options import (
    IN_MEMORY,
    actor,
    clock,
    db_option,
    emit,
    emit_json,
    note,
    option,
    output_options,
)
from fotapool.cli.demo_fleet import ACCOUNT, LICENSES, write_fleet
from fotapool.model import (
    AlreadyExists,
    DeviceList,
    PurchaseType,
    Verb,
    imei_text,
)

if TYPE_CHECKING:
    from fotapool.auth import Secrets
    from fotapool.client import Client
    from fotapool.ledger import Ledger

PORTS_TRIED = 100
LIST_SIZE = 1000
REMOVED = 250


@click.command()
@db_option(default=None, show_default="a new file in a temporary folder")
@option("--host", default="127.0.0.1", help="The address to listen on.")
@option("--port", default=8080, type=click.IntRange(0, 65535), help="The first port to try.")
@option("--once", is_flag=True, help="Print the summary and stop.")
@output_options
def demo(db: str | None, host: str, port: int, once: bool, json: bool) -> None:
    """Show the main job: a fleet of 10,000 licensed over HTTP on a fresh database.

    Keeps serving afterwards, with an account and credentials to try things on, until Ctrl-C.
    """
    import tempfile

    stop = threading.Event()
    folder = Path(tempfile.mkdtemp(prefix="fotapool-demo-"))
    url_of_db = db or f"sqlite:///{folder / 'demo.db'}"
    with ExitStack() as stack:
        stack.enter_context(_terminable(stop))
        scene = stack.enter_context(_set_scene(folder, url_of_db, host, port))
        report = _run(scene, folder)
        if json:
            emit_json(
                {"url": scene.url, "db": url_of_db, **asdict(scene.secrets), **report.as_json()}
            )
        else:
            _print_report(report, folder, scene, once)
        sys.stdout.flush()
        if not once:
            _wait(stop)
    note("stopped")


@dataclass(frozen=True, slots=True)
class _Scene:
    """A running server with one account, and who may use it."""

    url: str
    db: str
    secrets: Secrets
    registered: int


@dataclass(slots=True)
class _Report:
    """What became of each row, and of the pool."""

    rows: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    bad_rows: Counter[str] = field(default_factory=Counter)
    listed: int = 0
    removed: int = 0
    total: int = 0
    used: int = 0
    seconds: float = 0.0
    to_try: str = ""
    """A device of the account that has no license any more."""

    @property
    def free(self) -> int:
        return self.total - self.used

    def as_json(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "outcomes": dict(self.outcomes),
            "bad_rows": dict(self.bad_rows),
            "listed": self.listed,
            "removed": self.removed,
            "total": self.total,
            "used": self.used,
            "free": self.free,
        }


@contextmanager
def _terminable(stop: threading.Event) -> Iterator[None]:
    """Let SIGTERM end the demonstration as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(_number: int, _frame: object) -> None:
        stop.set()

    before = signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _set_scene(folder: Path, db: str, host: str, port: int) -> Iterator[_Scene]:
    from fotapool.auth import Credentials
    from fotapool.ledger import Ledger
    from fotapool.server.log import set_up_logging
    from fotapool.server.process import Server, bind
    from fotapool.server.settings import Settings
    from fotapool.store import open_store

    set_up_logging("text", "warning")
    store = open_store(db, clock=clock)
    try:
        if store.read(lambda directory: directory.accounts()):
            raise AlreadyExists(f"{db} has accounts already; the demo wants a fresh database")
        registered = _load_account(Ledger(store, clock), folder)
        secrets = Credentials(store, clock=clock, random=os.urandom).create([ACCOUNT], name="demo")
        server = Server(store, Settings(host=host, port=port), clock=clock, random=os.urandom)
        with bind(host, port, tries=PORTS_TRIED) as listening, server.running(listening) as url:
            yield _Scene(url, db, secrets, registered)
    finally:
        store.close()


def _load_account(ledger: Ledger, folder: Path) -> int:
    """Create the account and register what it owns; gives how many devices that is."""
    from fotapool.bulk import BadRow, read_fleet
    from fotapool.model import Command

    made = ledger.create_account(
        ACCOUNT,
        purchase_type=PurchaseType.MRC,
        licenses=LICENSES,
        actor=actor(),
        request_id=os.urandom(16),
    )
    registry = write_fleet(folder).registry
    imeis = [row.imei for row in read_fleet(str(registry)) if not isinstance(row, BadRow)]
    devices = DeviceList.of(imeis)
    ledger.submit(Command(made.account, Verb.REGISTER, devices, actor(), os.urandom(16))).result()
    return len(imeis)


def _run(scene: _Scene, folder: Path) -> _Report:
    """License the fleet over HTTP, list it, take some licenses back."""
    from fotapool.client import Client

    report = _Report()
    with Client(
        base_url=scene.url,
        client_id=scene.secrets.client_id,
        client_secret=scene.secrets.client_secret,
        username=scene.secrets.username,
        password=scene.secrets.password,
        # The environment may hold tokens of another server.
        access_token="",
        session_token="",
        allow_http=True,  # the server is in this process, whatever address it listens on
        proxy="",
    ) as client:
        imeis = _read_wanted(folder / "fleet.csv", report)
        _assign(client, imeis, report)
        held = [device.imei for device in client.licenses.devices(ACCOUNT)]
        report.listed = len(held)
        change = client.licenses.remove(ACCOUNT, held[:REMOVED])
        report.removed = sum(1 for verdict in change.verdicts if verdict.ok)
        report.to_try = held[0]
        status = client.licenses.status(ACCOUNT)
        report.total, report.used = status.total or 0, status.used
    return report


def _read_wanted(path: Path, report: _Report) -> list[str]:
    from fotapool.bulk import BadRow, read_fleet

    imeis: list[str] = []
    for row in read_fleet(str(path)):
        report.rows += 1
        if isinstance(row, BadRow):
            report.bad_rows[row.problem.code] += 1
        else:
            imeis.append(imei_text(row.imei))
    return imeis


def _assign(client: Client, imeis: Sequence[str], report: _Report) -> None:
    began_s = time.perf_counter()
    with _progress(len(imeis)) as advance:
        for start in range(0, len(imeis), LIST_SIZE):
            change = client.licenses.assign(ACCOUNT, imeis[start : start + LIST_SIZE])
            report.outcomes.update(verdict.outcome.word for verdict in change.verdicts)
            advance(len(change.verdicts))
    report.seconds = time.perf_counter() - began_s


@contextmanager
def _progress(total: int) -> Iterator[Any]:
    """A bar on a terminal, a line at each quarter otherwise; both on stderr."""
    if not sys.stderr.isatty():
        done = 0

        def tell(count: int) -> None:
            nonlocal done
            before, done = done, done + count
            if before * 4 // total != done * 4 // total:
                note(f"assigning: {done:,} of {total:,} devices")

        yield tell
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("assigning", total=total)
        yield lambda count: bar.advance(task, count)


def _print_report(report: _Report, folder: Path, scene: _Scene, once: bool) -> None:
    rate = sum(report.outcomes.values()) / report.seconds
    lines = [
        f"account {ACCOUNT}: {scene.registered:,} devices registered, {report.total:,} licenses",
        f"fleet file {folder / 'fleet.csv'}: {report.rows:,} rows",
        "",
        *_counted(
            "assigned", report.outcomes.pop("assigned"), f"({rate:,.0f} devices/s over HTTP)"
        ),
        *_counted("already licensed", report.outcomes.pop("already_licensed"), "(named twice)"),
    ]
    for reason, count in sorted((report.outcomes + report.bad_rows).items()):
        lines += _counted(f"refused: {reason.replace('_', ' ')}", count)
    lines += [
        "",
        *_counted("listed", report.listed),
        *_counted("removed again", report.removed),
        "",
        *_counted("used", report.used),
        *_counted("free", report.free),
        "",
        f"data      {scene.db}",
    ]
    lines += [] if once else _next_steps(scene, report.to_try)
    emit("\n".join(lines))


def _counted(label: str, count: int, remark: str = "") -> list[str]:
    return [f"  {label:<28}{count:>8,}  {remark}".rstrip()]


def _next_steps(scene: _Scene, imei: str) -> list[str]:
    from fotapool.client.network import is_exposed

    secrets = scene.secrets
    variables = {
        "FOTAPOOL_BASE_URL": scene.url,
        "FOTAPOOL_CLIENT_ID": secrets.client_id,
        "FOTAPOOL_CLIENT_SECRET": secrets.client_secret,
        "FOTAPOOL_USERNAME": secrets.username,
        "FOTAPOOL_PASSWORD": secrets.password,
    }
    if is_exposed(scene.url):
        variables["FOTAPOOL_ALLOW_HTTP"] = "1"
    python = shlex.quote(_shown(sys.executable))
    program = (
        f"from fotapool import Client; print(Client().licenses.assign('{ACCOUNT}', ['{imei}']))"
    )
    lines = [
        f"serving   {scene.url}   (Ctrl-C stops it)",
        "",
        "Next, in another terminal, here:",
        *(f"  export {name}={shlex.quote(value)}" for name, value in variables.items()),
        f'  {python} -c "{program}"',
    ]
    if scene.db != IN_MEMORY:
        lines.append(f"  {_command()} admin account list --db {shlex.quote(scene.db)}")
    return lines


def _command() -> str:
    """How to call fotapool from here: as it was called, if not by its bare name."""
    beside = Path(sys.executable).with_name("fotapool")
    if beside.exists() and shutil.which("fotapool") != str(beside):
        return shlex.quote(_shown(str(beside)))
    return "fotapool" if beside.exists() else f"{_shown(sys.executable)} -m fotapool"


def _shown(path: str) -> str:
    """A path as short as it can be typed here."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return path


def _wait(stop: threading.Event) -> None:
    """Until SIGTERM or Ctrl-C, which is how a demonstration is meant to end."""
    try:
        # In short turns: a wait without end would keep Ctrl-C from being seen on Windows.
        while not stop.wait(0.5):
            pass
    except KeyboardInterrupt:
        note("")
