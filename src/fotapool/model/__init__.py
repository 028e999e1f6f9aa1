"""The words of fotapool: frozen values, verdicts, refusals, and one tree of errors.

Imports nothing of ours; every other room speaks in these words.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fotapool.model.callers import (
        Credential,
        Session,
        Token,
    )
    from fotapool.model.devices import (
        IMEI_DIGITS,
        ITEM_LENGTH_MAX,
        MALFORMED_IMEI,
        Cursor,
        DeviceList,
        imei_text,
        parse_imei,
    )
    from fotapool.model.errors import (
        AlreadyExists,
        CannotListen,
        CheckpointInvalid,
        ConfigurationError,
        FleetFileError,
        FotapoolError,
        NotFound,
        NotJson,
        OutcomeUnknown,
        Refusal,
        Refused,
        StoreBusy,
        StoreDamaged,
        StoreError,
        StoreUnusable,
    )
    from fotapool.model.facts import (
        Facts,
        Place,
        ShrinkFacts,
        UndoneFacts,
    )
    from fotapool.model.history import (
        AsOfPage,
        ChangeFilter,
        Checkpoint,
        ClockHealth,
        EntryPage,
        Examined,
        FoundChange,
        Holding,
        HoldingPage,
        Interval,
        License,
        RefusalCounts,
    )
    from fotapool.model.pool import (
        ACCOUNT_NAME,
        Account,
        AccountKey,
        CandidatePage,
        Change,
        Clock,
        Command,
        Entry,
        IdempotencyKey,
        KeyUse,
        Page,
        Subscription,
        Totals,
    )
    from fotapool.model.registry import DevicePage, RegisteredDevice
    from fotapool.model.upgrades import Step, Upgrade, UpgradeItem, UpgradePlan
    from fotapool.model.words import (
        GAINED,
        LOST,
        OUTCOMES,
        PENDED,
        Listing,
        Outcome,
        Policy,
        PurchaseType,
        Role,
        Verb,
    )

__all__ = [
    "ACCOUNT_NAME",
    "GAINED",
    "IMEI_DIGITS",
    "ITEM_LENGTH_MAX",
    "LOST",
    "MALFORMED_IMEI",
    "OUTCOMES",
    "PENDED",
    "Account",
    "AccountKey",
    "AlreadyExists",
    "AsOfPage",
    "CandidatePage",
    "CannotListen",
    "Change",
    "ChangeFilter",
    "Checkpoint",
    "CheckpointInvalid",
    "Clock",
    "ClockHealth",
    "Command",
    "ConfigurationError",
    "Credential",
    "Cursor",
    "DeviceList",
    "DevicePage",
    "Entry",
    "EntryPage",
    "Examined",
    "Facts",
    "FleetFileError",
    "FotapoolError",
    "FoundChange",
    "Holding",
    "HoldingPage",
    "IdempotencyKey",
    "Interval",
    "KeyUse",
    "License",
    "Listing",
    "NotFound",
    "NotJson",
    "Outcome",
    "OutcomeUnknown",
    "Page",
    "Place",
    "Policy",
    "PurchaseType",
    "Refusal",
    "RefusalCounts",
    "Refused",
    "RegisteredDevice",
    "Role",
    "Session",
    "ShrinkFacts",
    "Step",
    "StoreBusy",
    "StoreDamaged",
    "StoreError",
    "StoreUnusable",
    "Subscription",
    "Token",
    "Totals",
    "UndoneFacts",
    "Upgrade",
    "UpgradeItem",
    "UpgradePlan",
    "Verb",
    "imei_text",
    "parse_imei",
]

_ROOMS = (
    "words",
    "errors",
    "devices",
    "upgrades",
    "pool",
    "registry",
    "callers",
    "history",
    "facts",
)
"""Those that a client needs first: whoever asks for no other word does not wait for the rest."""

if not TYPE_CHECKING:  # a checker is to see the names above, and no others

    def __getattr__(name: str) -> object:
        """A word, imported when it is first asked for: a client speaks few of them."""
        if name in __all__:
            for room in _ROOMS:
                module = import_module(f"fotapool.model.{room}")
                if hasattr(module, name):
                    return globals().setdefault(name, getattr(module, name))
        raise AttributeError(f"module 'fotapool.model' has no attribute {name!r}")
