"""The benchmarks still run, count what they wrote, and print a ratio a row."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from bench.__main__ import ROW, SCRIPTS, print_table
from bench.report import Row

ROOT = Path(__file__).parent.parent


def look(module: str) -> subprocess.CompletedProcess[str]:
    """Run a benchmark small and once."""
    command = [sys.executable, "-m", module, "--quick"]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )


@pytest.mark.parametrize(
    ("script", "rows"),
    [("assign", 4), ("status", 3), ("ledger", 7), ("history", 3), ("postgres", 2), ("sdk", 8)],
)
def test_a_benchmark_runs(script: str, rows: int) -> None:
    done = look(f"bench.{script}")

    assert done.returncode == 0, done.stderr
    assert (
        len(re.findall(r"^.+ \d+\.\d\d  \(.*1 rounds\)  bar [<>]= ", done.stdout, re.MULTILINE))
        == rows
    )


def test_the_shrink_is_timed() -> None:
    done = look("bench.shrink")

    assert done.returncode == 0, done.stderr
    assert (
        len(re.findall(r"^shrink .+ s  \(.*waited .* at most; undo", done.stdout, re.MULTILINE))
        == 12
    )


def test_the_emulator_is_timed_and_what_is_not_here_is_named() -> None:
    done = look("bench.emulator")

    assert done.returncode == 0, done.stderr
    assert (
        len(re.findall(r"^.+ \d+\.\d\d ms  \(.*1 rounds\)   aim ", done.stdout, re.MULTILINE)) == 4
    )
    assert "SKIPPED: moto and Prism" in done.stdout


def test_nothing_is_installed_to_look_at_the_benchmark_beside_prism() -> None:
    done = look("bench.prism")

    assert (done.returncode, done.stdout) == (0, "SKIPPED: Prism, for --quick installs nothing\n")


def test_every_script_is_run_by_make_bench() -> None:
    scripts = {path.stem for path in ROOT.glob("bench/*.py") if "def main(" in path.read_text()}

    assert scripts - {"server", "__main__"} == set(SCRIPTS)
    assert re.search(r"-m bench$", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_the_waits_are_told() -> None:
    done = look("bench.latency")

    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"^wait .* p50 .* ms  p99 .* ms .*/s$", done.stdout, re.MULTILINE)) == 16


# median of the run, its sign, bar and aim        what the table says
WORDS = [
    ("0.87", ">=", "0.5",  "0.7",  "aim met"),
    ("0.55", ">=", "0.5",  "0.7",  "met"),
    ("0.45", ">=", "0.5",  "0.7",  "NOT MET"),
    ("1.05", "<=", "1.4",  "1.1",  "aim met"),
    ("1.30", "<=", "1.4",  "1.1",  "met"),
    ("1.50", "<=", "1.4",  "1.1",  "NOT MET"),
]  # fmt: skip


@pytest.mark.parametrize(("median", "sign", "bar", "aim", "word"), WORDS)
def test_the_table_says_whether_a_bar_is_met(
    capsys: pytest.CaptureFixture[str], median: str, sign: str, bar: str, aim: str, word: str
) -> None:
    row = Row("durable", [float(median)], float(bar), float(aim), sign == "<=", "12/s")
    found = ROW.match(str(row))
    assert found is not None
    print_table([found])

    assert capsys.readouterr().out.splitlines()[-1].endswith(f"  {word}")
