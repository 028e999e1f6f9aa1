"""What lies between a client and a server: certificates, a TLS server, a proxy; all of them real."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Key = ec.EllipticCurvePrivateKey
Handle = Callable[[socket.socket], None]
SIGNS = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)
PLAIN = serialization.NoEncryption()


class Authority:
    """A certificate authority in a folder: `ca.pem`, and what it signs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"CA {folder.name}")])
        rules = x509.BasicConstraints(ca=True, path_length=0)
        made = self._signed(self._name, self._key, rules, SIGNS)
        self.file = folder / "ca.pem"
        self.file.write_bytes(made)

    def sign(self, name: str, *hosts: str, passphrase: bytes | None = None) -> tuple[Path, Path]:
        """The files of a certificate and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        names: list[x509.GeneralName] = [
            x509.IPAddress(ipaddress.ip_address(host)) if host[0].isdigit() else x509.DNSName(host)
            for host in hosts
        ]
        more = [x509.SubjectAlternativeName(names)] if names else []
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate, its_key = (self._folder / f"{name}.{kind}.pem" for kind in ("crt", "key"))
        certificate.write_bytes(self._signed(subject, key, *more))
        lock = serialization.BestAvailableEncryption(passphrase) if passphrase else PLAIN
        its_key.write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock)
        )
        return certificate, its_key

    def _signed(self, subject: x509.Name, key: Key, *more: x509.ExtensionType) -> bytes:
        now = dt.datetime.now(dt.UTC)
        ours = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=2))
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ours), False
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        )
        for extension in more:
            known = isinstance(extension, x509.BasicConstraints | x509.KeyUsage)
            made = made.add_extension(extension, critical=known)
        return made.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@contextmanager
def listening(handle: Handle) -> Iterator[int]:
    """A port of this machine where each connection is handled in a thread of its own."""
    threads: list[threading.Thread] = []
    taken: list[socket.socket] = []

    def carry(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            handle(connection)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                taken.append(connection)
                threads.append(threading.Thread(target=carry, args=(connection,)))
                threads[-1].start()

    with socket.create_server(("127.0.0.1", 0), backlog=128) as server:
        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for connection in taken:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()


@dataclass
class Asked:
    """A request as it came: its first line, headers in lower case, body, who the peer proved to be."""

    line: str
    headers: dict[str, str]
    body: bytes
    peer: str = ""

    def reply(self) -> bytes:
        """What our server would say to a status or an assign, of the device that was named."""
        told: dict[str, Any] = {"accountName": "a", "licTotalCount": 5, "licUsedCount": 1}
        if self.line.startswith("GET"):
            told = {
                "accountName": "a",
                "assignedLicenses": 1,
                "hasMoreData": False,
                "maxPageSize": 9,
            }
        elif self.body:
            named = json.loads(self.body)["deviceList"]
            told["deviceList"] = [{"deviceId": imei, "status": "Success"} for imei in named]
        return answered(json.dumps(told).encode())


def answered(body: bytes = b"", status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def read_request(connection: socket.socket) -> Asked | None:
    """The next request of a connection; None where it has ended."""
    file = connection.makefile("rb", buffering=0)
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        piece = file.read(1)
        if not piece:
            return None
        head += piece
    line, *lines = head.decode("latin-1").strip().split("\r\n")
    named = (text.partition(":") for text in lines)
    headers = {name.lower(): value.strip() for name, _, value in named}
    body, length = b"", int(headers.get("content-length", 0))
    while len(body) < length:
        body += file.read(length - len(body)) or b""
    return Asked(line, headers, body)


@dataclass
class Service:
    """A small server, over TLS if it has a context; keeps what it was asked."""

    tls: ssl.SSLContext | None = None
    answer: Callable[[Asked], bytes] = Asked.reply
    seen: list[Asked] = field(default_factory=list)
    connections: int = 0

    @contextmanager
    def running(self) -> Iterator[str]:
        scheme = "http" if self.tls is None else "https"
        with listening(self._handle) as port:
            yield f"{scheme}://127.0.0.1:{port}"

    def _handle(self, connection: socket.socket) -> None:
        self.connections += 1
        if self.tls is not None:
            connection = self.tls.wrap_socket(connection, server_side=True)
        with connection:
            while (asked := read_request(connection)) is not None:
                if isinstance(connection, ssl.SSLSocket):
                    asked.peer = _name_of(connection)
                self.seen.append(asked)
                connection.sendall(self.answer(asked))
                if asked.headers.get("connection") == "close":
                    return


def _name_of(connection: ssl.SSLSocket) -> str:
    shown: Any = connection.getpeercert() or {}
    named = [value for part in shown.get("subject", ()) for _, value in part]
    return named[0] if named else ""


def serving_tls(files: tuple[Path, Path], clients: Path | None = None) -> ssl.SSLContext:
    """For a server with this certificate; it asks for one of a client where it trusts a CA of them."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    if clients is not None:
        context.load_verify_locations(clients)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@dataclass
class ProxyServer:
    """A proxy: CONNECT for https, absolute URLs for http; asks for a login where it has one.

    Whatever host is named, it goes to this machine: names need no name server.
    """

    authorization: str = ""
    tls: ssl.SSLContext | None = None
    seen: list[Asked] = field(default_factory=list)

    @contextmanager
    def running(self) -> Iterator[str]:
        with listening(self._handle) as port:
            yield f"127.0.0.1:{port}"

    def _handle(self, connection: socket.socket) -> None:
        if self.tls is not None:
            connection = self.tls.wrap_socket(connection, server_side=True)
        with connection:
            while (asked := read_request(connection)) is not None:
                self.seen.append(asked)
                if asked.headers.get("proxy-authorization", "") != self.authorization:
                    connection.sendall(answered(b"", "407 Proxy Authentication Required"))
                elif asked.line.startswith("CONNECT "):
                    self._tunnel(connection, asked.line.split()[1])
                    return
                else:
                    connection.sendall(self._forward(asked))

    def _tunnel(self, near: socket.socket, place: str) -> None:
        with socket.create_connection(("127.0.0.1", int(place.rpartition(":")[2]))) as far:
            near.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_pour, args=(far, near))
            back.start()
            _pour(near, far)
            back.join()

    def _forward(self, asked: Asked) -> bytes:
        method, url, version = asked.line.split()
        parts = urlsplit(url)
        kept = {name: value for name, value in asked.headers.items() if "proxy-" not in name}
        lines = [f"{method} {parts.path} {version}", *(f"{k}: {v}" for k, v in kept.items())]
        with socket.create_connection(("127.0.0.1", parts.port or 80)) as far:
            far.sendall("\r\n".join([*lines, "connection: close", "", ""]).encode() + asked.body)
            return answered(far.makefile("rb").read().partition(b"\r\n\r\n")[2])


def _pour(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65536):
            sink.sendall(piece)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def within(seconds: float, holds: Callable[[], bool]) -> bool:
    """Whether something comes to hold in time."""
    until_s = time.monotonic() + seconds
    while not holds() and time.monotonic() < until_s:
        time.sleep(0.01)
    return holds()
