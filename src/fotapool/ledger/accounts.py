"""What an account is: its policy, its purchase type, whether it is active (R5, R7, R9)."""

from __future__ import annotations

from fotapool.ledger.pool import Decision, Pool, Verdict
from fotapool.model import Command, PurchaseType, Refusal, Refused


def set_policy(pool: Pool, command: Command, sequence: int) -> Decision:
    """Which devices the account takes from now on."""
    if command.policy is None:
        raise ValueError("the policy was not said")
    pool.change(policy=command.policy)
    return pool.decide(command, sequence, b"", detail=f"policy={command.policy.value}")


def set_type(pool: Pool, command: Command, sequence: int) -> Verdict:
    """How the account pays from now on. Per event alone means that no licenses are bought."""
    purchase_type = command.purchase_type
    if purchase_type is None:
        raise ValueError("the purchase type was not said")
    if purchase_type is PurchaseType.EVNT and (pool.total or pool.used):
        return Refused(Refusal.LICENSES_LEFT, total=pool.total, used=pool.used)
    pool.change(purchase_type=purchase_type)
    return pool.decide(command, sequence, b"", detail=f"purchase_type={purchase_type.value}")


def deactivate(pool: Pool, command: Command, sequence: int) -> Decision:
    """Take no more writes; reads go on."""
    pool.change(active=False)
    return pool.decide(command, sequence, b"")


def activate(pool: Pool, command: Command, sequence: int) -> Decision:
    """Take writes again."""
    pool.change(active=True)
    return pool.decide(command, sequence, b"")
