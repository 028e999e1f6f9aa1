"""The load: a process of its own that sends prepared bytes on keep-alive sockets."""

from __future__ import annotations

import multiprocessing
import resource
import socket
import threading
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
    sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(connections)]
    pending = iter(requests)
    lock = threading.Lock()
    failures: list[BaseException] = []
    waits_s: list[float] = []
    threads = [
        threading.Thread(target=_client, args=(connection, pending, lock, failures, waits_s))
        for connection in sockets
    ]
    cpu_before, before = _cpu_s(), time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - before
    for connection in sockets:
        connection.close()
    if failures:
        raise failures[0]
    return seconds, (_cpu_s() - cpu_before) / seconds, waits_s


def _client(
    connection: socket.socket,
    pending: Iterator[bytes],
    lock: threading.Lock,
    failures: list[BaseException],
    waits_s: list[float],
) -> None:
    buffer = bytearray(1 << 20)
    try:
        while True:
            with lock:
                message = next(pending, None)
            if message is None:
                return
            sent_s = time.perf_counter()
            connection.sendall(message)
            _read_answer(connection, buffer)
            waits_s.append(time.perf_counter() - sent_s)
    except Exception as error:  # noqa: BLE001 -- told to the one who waits
        failures.append(error)


def _read_answer(connection: socket.socket, buffer: bytearray) -> None:
    size = connection.recv_into(buffer)
    while (end := buffer.find(b"\r\n\r\n", 0, size)) < 0:
        size += connection.recv_into(memoryview(buffer)[size:])
    head = bytes(buffer[:end]).lower()
    if not head.startswith(b"http/1.1 200"):
        raise RuntimeError(bytes(buffer[:size]).decode("utf-8", "replace"))
    length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
    left = end + 4 + length - size
    while left > 0:
        left -= connection.recv_into(buffer, min(left, len(buffer)))


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
