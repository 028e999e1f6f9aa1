"""The emulator: test against the license API in milliseconds, its clock and faults in your hands.

With pytest the fixtures `fota` and `fota_live` are there by themselves; elsewhere:

from fotapool.testing import emulated

with emulated() as fota:
    fota.client.licenses.assign(fota.account, fota.devices[:2])
"""

from __future__ import annotations

from fotapool.testing.arming import Armed, Faults, When
from fotapool.testing.books import IN_MEMORY
from fotapool.testing.cassette import (
    NotRecorded,
    Recorder,
    Replayer,
    recording,
    replaying,
    save,
)
from fotapool.testing.clock import EmulatorClock
from fotapool.testing.doors import Live, emulated, emulated_live, live, standing, verify
from fotapool.testing.emulator import BASE_URL, Emulator
from fotapool.testing.fault import Fault
from fotapool.testing.faults import FAULTS
from fotapool.testing.guard import Guard, OtherHostCalled
from fotapool.testing.journal import Entry, Journal, Judged
from fotapool.testing.scenario import Account, Login, Scenario
from fotapool.testing.transport import InProcessTransport

__all__ = [
    "BASE_URL",
    "FAULTS",
    "IN_MEMORY",
    "Account",
    "Armed",
    "Emulator",
    "EmulatorClock",
    "Entry",
    "Fault",
    "Faults",
    "Guard",
    "InProcessTransport",
    "Journal",
    "Judged",
    "Live",
    "Login",
    "NotRecorded",
    "OtherHostCalled",
    "Recorder",
    "Replayer",
    "Scenario",
    "When",
    "emulated",
    "emulated_live",
    "live",
    "recording",
    "replaying",
    "save",
    "standing",
    "verify",
]
