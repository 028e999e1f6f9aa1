"""Checkpoints: where ledgers stood at some time, in a file that a key has signed.

The signature covers `signed_bytes`, not the file's own bytes, so that the file may be formatted
anew (docs/reference/protocol.md R9).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from fotapool.model import Checkpoint, CheckpointInvalid
from fotapool.wire._json import encode, rfc3339
from fotapool.wire.answered import UNREADABLE

FORMAT = 1


class _Account(msgspec.Struct, forbid_unknown_fields=True):
    account: str
    sequence: int
    hash: str


class _File(msgspec.Struct, forbid_unknown_fields=True):
    checkpoint: int
    made_at: str
    accounts: list[_Account]
    signature: str


_file = msgspec.json.Decoder(_File)


def write_checkpoints(
    checkpoints: Sequence[Checkpoint], made_at_ms: int, sign: Callable[[bytes], bytes]
) -> bytes:
    """The file that names these positions; `sign` gives the signature of bytes."""
    accounts = [_Account(named.account, named.sequence, named.hash.hex()) for named in checkpoints]
    made_at = rfc3339(made_at_ms)
    signature = sign(_signed_bytes(made_at, accounts))
    file = _File(FORMAT, made_at, accounts, signature.hex())
    return msgspec.json.format(encode(file), indent=2)


def read_checkpoints(body: bytes, is_signature: Callable[[bytes, bytes], bool]) -> list[Checkpoint]:
    """The positions a file names; `is_signature` judges a signature and what it signs.

    Raises CheckpointInvalid for a file that is no checkpoint, or not signed by that key.
    """
    try:
        read = _file.decode(body)
        signature = bytes.fromhex(read.signature)
        checkpoints = [
            Checkpoint(named.account, named.sequence, bytes.fromhex(named.hash))
            for named in read.accounts
        ]
    except (*UNREADABLE, ValueError) as error:
        raise CheckpointInvalid(f"this is no checkpoint: {error}") from error
    if read.checkpoint != FORMAT:
        raise CheckpointInvalid(f"checkpoint format {read.checkpoint} is newer than this fotapool")
    if not is_signature(signature, _signed_bytes(read.made_at, read.accounts)):
        raise CheckpointInvalid("the checkpoint was altered, or another key has signed it")
    return checkpoints


def _signed_bytes(made_at: str, accounts: Sequence[_Account]) -> bytes:
    lines = [f"fotapool checkpoint {FORMAT}", made_at]
    lines += [f"{named.account} {named.sequence} {named.hash}" for named in accounts]
    return "".join(line + "\n" for line in lines).encode()
