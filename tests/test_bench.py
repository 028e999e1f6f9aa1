"""The benchmarks still run, count what they wrote, and print a ratio a row."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("script", "rows"), [("assign", 4), ("status", 3), ("ledger", 7), ("history", 3)]
)
def test_a_benchmark_runs(script: str, rows: int) -> None:
    command = [sys.executable, "-m", f"bench.{script}", "--quick"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )

    assert done.returncode == 0, done.stderr
    assert (
        len(re.findall(r"^.+ \d+\.\d\d  \(.*1 rounds\)  bar [<>]= ", done.stdout, re.MULTILINE))
        == rows
    )


def test_the_shrink_is_timed() -> None:
    command = [sys.executable, "-m", "bench.shrink", "--quick"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )

    assert done.returncode == 0, done.stderr
    assert (
        len(re.findall(r"^shrink .+ s  \(.*waited .* at most; undo", done.stdout, re.MULTILINE))
        == 12
    )


def test_the_emulator_is_timed_and_what_is_not_here_is_named() -> None:
    command = [sys.executable, "-m", "bench.emulator", "--quick"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )

    assert done.returncode == 0, done.stderr
    assert (
        len(re.findall(r"^.+ \d+\.\d\d ms  \(.*1 rounds\)   aim ", done.stdout, re.MULTILINE)) == 4
    )
    assert "SKIPPED: moto and Prism" in done.stdout


def test_every_script_is_run_by_make_bench() -> None:
    scripts = {path.stem for path in ROOT.glob("bench/*.py") if "def main(" in path.read_text()} - {
        "server"
    }

    assert scripts == set(re.findall(r"-m bench\.(\w+)", (ROOT / "Makefile").read_text()))
