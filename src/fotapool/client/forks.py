"""What a forked process must not share with the one it came from: sockets, and locks that may be
held by a thread which it does not have.
"""

from __future__ import annotations

import os
import threading
from typing import Protocol
from weakref import WeakSet


class Shared(Protocol):
    """Something to be made anew in a child."""

    def forked(self) -> None:
        """In the child, before anything else runs there. Must wait for no lock."""
        ...


_shared: WeakSet[Shared] = WeakSet()


def renewed_in_children(shared: Shared) -> None:
    """From now on `shared.forked()` is called in every child of this process."""
    _shared.add(shared)


def _renew() -> None:
    for shared in list(_shared):
        shared.forked()


IMPORTING = threading.RLock()
"""Held while something is imported late. A fork waits for it: a child that began in the middle of
an import of another thread could never import the same."""

if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_renew)
    os.register_at_fork(
        before=IMPORTING.acquire,
        after_in_parent=IMPORTING.release,
        after_in_child=IMPORTING.release,
    )
