"""The load: a process of its own that sends prepared bytes on keep-alive sockets."""

from __future__ import annotations

import multiprocessing
import resource
import selectors
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection


@dataclass(frozen=True, slots=True)
class Measured:
    """What a run took, how busy the load itself was (1.0 is one core), and each answer's wait."""

    seconds: float
    cpu_share: float
    waits_s: Sequence[float]


class Load:
    """A load process. `run` sends every request once, over so many connections."""

    def __init__(self, port: int) -> None:
        self._ours, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.get_context("spawn").Process(
            target=_serve, args=(theirs, port), daemon=True
        )
        self._process.start()

    def run(self, requests: Sequence[bytes], connections: int) -> Measured:
        self._ours.send((list(requests), connections))
        answer = self._ours.recv()
        if isinstance(answer, str):
            raise RuntimeError(answer)  # noqa: TRY004 -- what the other process said
        return Measured(*answer)

    def close(self) -> None:
        self._ours.send(None)
        self._process.join()


def request(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """A request ready for the socket."""
    lines = [f"{method} {path} HTTP/1.1", "host: bench", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _serve(pipe: Connection, port: int) -> None:
    while (job := pipe.recv()) is not None:
        requests, connections = job
        try:
            pipe.send(_measure(requests, connections, port))
        except Exception as error:  # noqa: BLE001 -- told to the one who waits
            pipe.send(f"load failed: {error!r}")


def _measure(
    requests: list[bytes], connections: int, port: int
) -> tuple[float, float, list[float]]:
    """Every request once: each connection sends its next when it has its answer.

    One thread for all of them: what the load costs itself is taken from what it measures.
    """
    pending = iter(requests)
    waits_s: list[float] = []
    with selectors.DefaultSelector() as selector:
        lines = [_Line(socket.create_connection(("127.0.0.1", port))) for _ in range(connections)]
        cpu_before, before = _cpu_s(), time.perf_counter()
        for line in lines:
            if line.ask(pending):
                selector.register(line.socket, selectors.EVENT_READ, line)
        while selector.get_map():
            for ready, _ in selector.select():
                line = ready.data
                if line.receive(waits_s) and not line.ask(pending):
                    selector.unregister(line.socket)
        seconds, cpu_s = time.perf_counter() - before, _cpu_s() - cpu_before
        for line in lines:
            line.socket.close()
    return seconds, cpu_s / seconds, waits_s


class _Line:
    """One connection, and the answer that it waits for."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._asked_s = 0.0
        self._buffer = bytearray(1 << 18)
        self._size = 0
        self._end = 0

    def ask(self, pending: Iterator[bytes]) -> bool:
        """Send the next request, if there is one."""
        message = next(pending, None)
        if message is None:
            return False
        self._size = self._end = 0
        self._asked_s = time.perf_counter()
        self.socket.sendall(message)
        return True

    def receive(self, waits_s: list[float]) -> bool:
        """Take what has come; whether that is the whole answer."""
        come = self.socket.recv_into(memoryview(self._buffer)[self._size :])
        if not come:
            raise RuntimeError("the server hung up")
        self._size += come
        if not self._end:
            self._end = self._find_end()
        if not self._end or self._size < self._end:
            return False
        waits_s.append(time.perf_counter() - self._asked_s)
        return True

    def _find_end(self) -> int:
        """Where the answer ends; 0 while its head has not all come."""
        at = self._buffer.find(b"\r\n\r\n", 0, self._size)
        if at < 0:
            return 0
        head = bytes(self._buffer[:at]).lower()
        if not head.startswith(b"http/1.1 200"):
            raise RuntimeError(bytes(self._buffer[: self._size]).decode("utf-8", "replace"))
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return at + 4 + length


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
