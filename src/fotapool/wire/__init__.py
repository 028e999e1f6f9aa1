"""Bytes to words and back: one file for each wire version, read by server and client alike.

What a file here has published is frozen by golden bodies in tests/wire; it may grow operations,
never change one.
"""

from fotapool.wire.answered import UNREADABLE

__all__ = ["UNREADABLE"]
