"""Whom a client trusts over TLS, and the certificate it shows of itself."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from fotapool.client.forks import IMPORTING
from fotapool.model import ConfigurationError

if TYPE_CHECKING:
    from ssl import SSLContext

FilePath: TypeAlias = str | os.PathLike[str]

VARIABLES = FILE_VARIABLE, FOLDERS_VARIABLE = "SSL_CERT_FILE", "SSL_CERT_DIR"


KEPT_APART = sys.platform in ("darwin", "win32")
"""Whether the system keeps whom it trusts where OpenSSL does not look."""


def trusted_by(
    ca_file: FilePath | None, environment: Mapping[str, str]
) -> dict[str, tuple[str, str]]:
    """What holds the trusted certificates: who named it, and its path; nothing for the system's."""
    if ca_file is not None:
        return {"cafile": ("ca_file", os.fspath(ca_file))}
    named = {"cafile": FILE_VARIABLE, "capath": FOLDERS_VARIABLE}
    return {
        kind: (variable, environment[variable])
        for kind, variable in named.items()
        if environment.get(variable)
    }


def context(
    trusted: Mapping[str, tuple[str, str]],
    client_certificate: FilePath | tuple[FilePath, FilePath] | None,
) -> SSLContext:
    """TLS that trusts these certificates. Raises ConfigurationError for a file that is none."""
    with IMPORTING:
        import ssl  # noqa: PLC0415 -- what never speaks TLS does without

    if not trusted and KEPT_APART:
        made = _of_the_system()
    else:
        for kind, (named_by, path) in trusted.items():
            _check(kind, named_by, path)
        paths = {kind: path for kind, (_, path) in trusted.items()}
        try:
            made = ssl.create_default_context(
                cafile=paths.get("cafile"), capath=paths.get("capath")
            )
        except ssl.SSLError:
            named_by, path = trusted["cafile"]
            raise ConfigurationError(f"{named_by} {path}: no certificate in it") from None
    if client_certificate is not None:
        _introduce(made, client_certificate)
    return made


def _of_the_system() -> SSLContext:
    with IMPORTING:
        import ssl  # noqa: PLC0415

        import truststore  # noqa: PLC0415 -- there where it is needed
    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _introduce(made: SSLContext, given: FilePath | tuple[FilePath, FilePath]) -> None:
    import ssl  # noqa: PLC0415

    files = given if isinstance(given, tuple) else (given, given)
    certificate, key = (os.fspath(path) for path in files)
    for path in dict.fromkeys((certificate, key)):
        _read("client_certificate", path)
    try:
        made.load_cert_chain(certificate, key, password=lambda: _refuse_password(key))
    except ssl.SSLError as error:
        told = (
            "the key is not the certificate's"
            if "MISMATCH" in (error.reason or "")
            else ("no certificate with its key in PEM")
        )
        shown = certificate if certificate == key else f"{certificate}, {key}"
        raise ConfigurationError(f"client_certificate {shown}: {told}") from None


def _refuse_password(key: str) -> str:
    raise ConfigurationError(
        f"client_certificate {key}: the key is encrypted; use one without a passphrase"
    )


def _check(kind: str, named_by: str, path: str) -> None:
    if kind == "cafile":
        _read(named_by, path)
    elif not any(Path(folder).is_dir() for folder in path.split(os.pathsep)):
        raise ConfigurationError(f"{named_by} {path}: no such folder")


def _read(named_by: str, path: str) -> None:
    try:
        Path(path).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{named_by} {path}: {error.strerror or error}") from None
