"""The real server for a benchmark: `python -m bench.server FILE COMMIT_DELAY_MS`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.site import clock
from fotapool.server.log import set_up_logging
from fotapool.server.process import Server, bind
from fotapool.server.settings import Settings
from fotapool.store import SqliteStore
from fotapool.store.tx import StoredTx


class SlowDisk(SqliteStore):
    """The same store on a disk whose every commit takes longer."""

    delay_s = 0.0

    @contextmanager
    def _transaction(self) -> Iterator[StoredTx]:
        with super()._transaction() as tx:
            yield tx
            time.sleep(self.delay_s)


def main() -> None:
    path, delay_ms = Path(sys.argv[1]), float(sys.argv[2])
    set_up_logging("text", "info")
    store: SqliteStore = SlowDisk(path, clock=clock) if delay_ms else SqliteStore(path, clock=clock)
    SlowDisk.delay_s = delay_ms / 1000
    try:
        with bind("127.0.0.1", 0) as listening:
            port = listening.getsockname()[1]
            Server(store, Settings(), clock=clock, random=os.urandom).run(
                listening, started=lambda: print(port, flush=True)
            )
    finally:
        store.close()


if __name__ == "__main__":
    main()
