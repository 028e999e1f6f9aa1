"""What does a real server cost beside Prism, the mock that people use today?

Both serve the same description of the API, Prism its examples. Prism is installed into a
throw-away folder by npm as it is set up here; where it cannot be had, it is skipped by name.

python -m bench.prism [--quick] [--rounds N]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import msgspec

from bench.emulator import Server, first_answer_s, prism, prism_server, running, started
from bench.load import Load
from bench.processes import children_of
from bench.report import Row, interleave, options, rate
from bench.site import FIRST, Site, folder, make_site
from fotapool.server.docs import load_description

SETTLED_S = 1.0
CONNECTIONS = 8


def serve_server(site: Site) -> Server:
    """Our server, as people start it."""
    start = [sys.executable, "-m", "fotapool", "serve", "--db", f"sqlite:///{site.path}", "--port"]
    return Server("serve", lambda port: [*start, str(port)], "/healthz")


def memory_mib(server: Server, _round: int) -> float:
    """What a process and its children hold when they have nothing to do."""
    with running(server) as (pid, _port):
        time.sleep(SETTLED_S)
        return sum(_resident_kib(each) for each in [pid, *children_of(pid)]) / 1024


def _resident_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    return [mine / other for mine, other in zip(ours, theirs, strict=True)]


def answered(ours: Server, other: Server, requests: Sequence[bytes], rounds: int) -> Row:
    """Status calls of a small pool, to both in turn."""
    with running(ours) as (_, our_port), running(other) as (_, their_port):
        loads = [Load(our_port), Load(their_port)]
        for load in loads:
            load.run(requests[:CONNECTIONS], CONNECTIONS)
        sides = [partial(_seconds, load, requests) for load in loads]
        our_s, their_s = interleave(rounds, *sides)
        for load in loads:
            load.close()
    remark = f"{rate(len(requests), our_s)} against {rate(len(requests), their_s)}"
    return Row("status calls a second, serve / Prism", ratios(their_s, our_s), 1, 10, False, remark)


def _seconds(load: Load, requests: Sequence[bytes], _round: int) -> float:
    return load.run(requests, CONNECTIONS).seconds


def main() -> None:
    asked = options(__doc__ or "")
    rounds: int = asked.rounds
    if asked.quick:
        print("SKIPPED: Prism, for --quick installs nothing")
        return
    with folder() as place, prism() as command:
        description = place / "openapi.json"
        description.write_bytes(msgspec.json.encode(load_description()))
        site = make_site(place / "pool.db", licensed=1, registered=10)
        ours, theirs = serve_server(site), prism_server(command, str(description))
        if theirs is None:
            print("SKIPPED: Prism is not here and could not be installed")
            return
        first_answer_s(theirs)  # its files are read once, as ours are
        both = [partial(started, server) for server in (ours, theirs)]
        our_s, their_s = interleave(rounds, *both)
        remark = f"{our_s[0]:.2f} s against {their_s[0]:.2f} s"
        name = "process start to first 200, serve / Prism"
        print(Row(name, ratios(our_s, their_s), 0.3, 0.12, True, remark), flush=True)
        our_mib, their_mib = interleave(
            rounds, partial(memory_mib, ours), partial(memory_mib, theirs)
        )
        remark = f"{our_mib[0]:.0f} MiB against {their_mib[0]:.0f} MiB"
        name = "idle memory, serve / Prism"
        print(Row(name, ratios(our_mib, their_mib), 0.5, 0.2, True, remark), flush=True)
        requests = [site.page("v3", FIRST)] * 1000
        print(answered(ours, theirs, requests, rounds), flush=True)


if __name__ == "__main__":
    main()
