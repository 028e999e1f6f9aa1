"""Run every benchmark, one after another, and print one table of their bars at the end.

python -m bench [SCRIPT ...]
"""

from __future__ import annotations

import re
import subprocess
import sys

SCRIPTS = (
    "assign",
    "status",
    "ledger",
    "history",
    "shrink",
    "latency",
    "postgres",
    "emulator",
    "prism",
    "sdk",
)

ROW = re.compile(
    r"^(?P<name>.+?)\s+(?P<median>\d+\.\d\d)  \((?P<spread>[^)]*)\)  "
    r"bar (?P<sign>[<>]=) (?P<bar>[\d.]+), aim (?P<aim>[\d.]+)"
)


def main() -> int:
    rows: list[re.Match[str]] = []
    failed: list[str] = []
    for script in sys.argv[1:] or SCRIPTS:
        print(f"== bench.{script}", flush=True)
        command = [sys.executable, "-u", "-m", f"bench.{script}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                print(line, end="", flush=True)
                if found := ROW.match(line):
                    rows.append(found)
        if process.returncode:
            failed.append(script)
    print_table(rows)
    if failed:
        print(f"could not be measured: {', '.join(failed)}")
    return 1 if failed else 0


def print_table(rows: list[re.Match[str]]) -> None:
    """What was asked, what came out, and whether it meets its bar and its aim."""
    print(f"\n{'what':<62} {'median':>7}  {'bar':>8}  {'aim':>6}")
    for row in rows:
        better = row["sign"] == ">="
        median, bar, aim = (float(row[part]) for part in ("median", "bar", "aim"))
        meets = [median >= limit if better else median <= limit for limit in (bar, aim)]
        word = "aim met" if meets[1] else "met" if meets[0] else "NOT MET"
        print(f"{row['name']:<62} {median:7.2f}  {row['sign']} {bar:5g}  {aim:6g}  {word}")


if __name__ == "__main__":
    sys.exit(main())
