"""Processes as the kernel shows them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


def children_of(parent: int, containing: str = "") -> list[int]:
    """The living processes that a process began, oldest first; with a word of their command."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and _parent(int(entry.name)) == parent:
            with suppress(OSError):
                command = (entry / "cmdline").read_bytes().decode(errors="replace")
                if containing in command:
                    found.append(int(entry.name))
    return sorted(found)


def address_of(serve: subprocess.Popen[str]) -> str:
    """Where a `fotapool serve --json` listens, once it says so on its standard output."""
    assert serve.stdout is not None
    said = ""
    while "}" not in said:
        line = serve.stdout.readline()
        if not line:
            raise RuntimeError("the server did not start")
        said += line
    return str(json.loads(said)["url"])


def _parent(pid: int) -> int | None:
    """Its parent; None for a process that has ended."""
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return None
    return None if state == "Z" else int(parent)


def kill_all(*pids: int) -> None:
    """SIGKILL, and wait until they are gone."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: all(_parent(pid) is None for pid in pids), f"the end of {pids}")


def wait_until(true: Callable[[], bool], what: str, *, timeout_s: float = 30) -> None:
    """Look again and again. Raises TimeoutError, naming what did not come."""
    give_up_s = time.monotonic() + timeout_s
    while not true():
        if time.monotonic() > give_up_s:
            raise TimeoutError(what)
        time.sleep(0.02)
