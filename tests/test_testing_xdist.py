"""A thousand tests under pytest-xdist with four workers share nothing."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(1000)]

TESTS = 5000 if os.environ.get("FOTAPOOL_SOAK") else 1000
WORKERS = 4

# Each leaves behind all that it can: licenses, a turned clock, armed faults, a snapshot, tokens.
PROGRAM = """
import json
import os
import pathlib
from datetime import UTC, datetime

import pytest

from fotapool import Client, ConnectionFailed
from fotapool.testing import Account, Scenario

ACCOUNT = "0000123456-00001"
SMALL = Scenario(accounts=(Account(name=ACCOUNT, licenses=2, devices=5),))


def mess(fota, at):
    assert fota.clock.now == datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert (len(fota.requests), len(fota.faults), fota.snapshots) == (0, 0, [])
    client = Client(max_retries=0)
    device = fota.devices[at % len(fota.devices)]
    status = client.licenses.status(ACCOUNT)
    assert status.used == 0
    change = client.licenses.assign(ACCOUNT, [device])
    assert (change.used, change.change) == (1, 3)
    fota.requests.assert_assigned([device], only=True)
    fota.clock.advance(days=at + 1)
    fota.snapshot("left")
    fota.faults.answer_lost(times=None)
    with pytest.raises(ConnectionFailed):
        client.licenses.status(ACCOUNT)
    note = {"at": at, "pid": os.getpid(), "total": status.total}
    pathlib.Path(os.environ["NOTES"], f"{at}.json").write_text(json.dumps(note))


@pytest.mark.parametrize("at", range(0, TESTS, 2))
def test_in_process(fota, at):
    mess(fota, at)


@pytest.mark.parametrize("at", range(1, TESTS, 4))
def test_live(fota_live, at):
    mess(fota_live, at)


@pytest.mark.fota(scenario=SMALL)
@pytest.mark.parametrize("at", range(3, TESTS, 4))
def test_another_scenario(fota, at):
    mess(fota, at)
"""


def test_a_thousand_tests_share_nothing(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    (tmp_path / "test_many.py").write_text(PROGRAM.replace("TESTS", str(TESTS)))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", str(WORKERS), "-p", "no:cacheprovider", "-W", "error"],
        cwd=tmp_path,
        env={**os.environ, "NOTES": str(notes)},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )  # fmt: skip

    assert re.search(rf"^{TESTS} passed in", done.stdout, re.MULTILINE), done.stdout[-3000:]
    told = [json.loads(note.read_text()) for note in notes.iterdir()]
    assert sorted(note["at"] for note in told) == list(range(TESTS))
    assert len({note["pid"] for note in told}) == WORKERS
    assert Counter(note["total"] for note in told) == {1000: TESTS * 3 // 4, 2: TESTS // 4}
