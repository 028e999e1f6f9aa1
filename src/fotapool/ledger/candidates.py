"""The candidate list: who loses a license first when the pool shrinks (R8)."""

from __future__ import annotations

from fotapool.ledger.pool import Effect, Pool, Verdict
from fotapool.model import (
    MALFORMED_IMEI,
    Command,
    Listing,
    Outcome,
    Refusal,
    Refused,
    imei_text,
)


def edit(pool: Pool, command: Command, sequence: int) -> Verdict:
    """Replace, extend or clear the list. One item that will not do, and nothing is changed.

    Whether a device has a license does not matter; a repeated one keeps its first place.
    """
    for item, imei in zip(command.devices.items, command.devices.imeis, strict=True):
        if imei == MALFORMED_IMEI:
            return Refused(Refusal.DEVICE_ID_INVALID, item=item)
        if imei in pool.unknown:
            return Refused(Refusal.DEVICE_NOT_REGISTERED, imei=imei_text(imei))
    if command.listing is None:
        raise ValueError("what is to be done to the list was not said")
    if command.listing is not Listing.APPEND:
        pool.listed.clear()
        pool.count_candidates(0)
        pool.write(Effect.CLEAR_LIST, ())
    outcomes = bytearray()
    added: list[int] = []
    for imei in command.devices.imeis:
        if imei in pool.listed:
            outcomes.append(Outcome.ALREADY_LISTED)
        else:
            pool.listed.add(imei)
            added.append(imei)
            outcomes.append(Outcome.LISTED)
    pool.count_candidates(pool.account.candidates + len(added))
    pool.write(Effect.LIST, added)
    return pool.decide(command, sequence, bytes(outcomes), detail=f"list={command.listing.value}")
