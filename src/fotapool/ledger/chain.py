"""The chain: a change as canonical bytes, and its hash over the one before it.

The layout is documented for auditors in docs/reference/protocol.md R9 and never changes under
its format number; a new layout is a new number.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import replace

from fotapool.model import Change

FORMAT = 1
GENESIS = bytes(32)
"""What the first change of an account hashes over, in place of a change before it."""


def seal(change: Change, previous: bytes) -> Change:
    """The change with its hash: SHA-256 over the hash of the one before it and its own bytes."""
    return replace(change, hash=hashlib.sha256(previous + canonical(change)).digest())


def canonical(change: Change) -> bytes:
    """Every column of a change but its hash, in one unambiguous row of bytes."""
    totals = change.totals
    return b"".join(
        (
            struct.pack(">B", FORMAT),
            _sized(change.account.name.encode()),
            struct.pack(">QqB", change.sequence, change.at_ms, change.verb),
            _sized(change.actor.encode()),
            _sized(change.request_id),
            struct.pack(">QQQ", totals.total, totals.used, totals.overhang),
            _sized(change.detail.encode()),
            _sized(change.packed),
            _sized(change.outcomes),
        )
    )


def _sized(field: bytes) -> bytes:
    return struct.pack(">I", len(field)) + field
