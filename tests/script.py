"""The life of a small pool as a line of text: `assign ABC; start B; resize 1`.

Devices are letters. Their IMEIs descend while the letters ascend, so that no order that a test
expects can come from the order of IMEIs.
"""

from __future__ import annotations

from fotapool.model import (
    AccountKey,
    Change,
    Listing,
    Outcome,
    Policy,
    PurchaseType,
    Refused,
    Verb,
)
from world import World

LETTERS = "ABCDEFGH"
IMEIS = {letter: 990003425730999 - at for at, letter in enumerate(LETTERS)}
_LETTER_OF = {f"{imei:015d}": letter for letter, imei in IMEIS.items()}
_LISTINGS = {"list": Listing.REPLACE, "append": Listing.APPEND, "clear": Listing.CLEAR}
_VERBS = {verb.word: verb for verb in Verb} | {"leave": Verb.UNREGISTER}


class Play:
    """An account with a pool of `licenses`, all devices but Z known; change 3 is the first played."""

    def __init__(self, world: World, *, licenses: int = 9, name: str = "played") -> None:
        self.world = world
        self.account: AccountKey = world.add_account(
            name, licenses=licenses, devices=list(IMEIS.values())
        )

    def play(self, script: str) -> Change | None:
        """Carry out every step; the last one's change."""
        change = None
        for step in filter(None, map(str.strip, script.split(";"))):
            self.world.clock.advance(ms=1000)
            change = self.do(step)
        return change

    def do(self, step: str) -> Change:
        word, _, about = step.partition(" ")
        if word in _LISTINGS:
            return self._carry_out(Verb.CANDIDATES, about, listing=_LISTINGS[word])
        if word == "resize":
            return self._carry_out(Verb.RESIZE, total=int(about))
        if word == "undo":
            return self._carry_out(Verb.UNDO, undoes=int(about))
        if word == "policy":
            return self._carry_out(Verb.POLICY, policy=Policy(about))
        if word == "type":
            return self._carry_out(Verb.TYPE, purchase_type=PurchaseType(about))
        return self._carry_out(_VERBS[word], about)

    def told(self, step: str) -> str:
        """What a step comes to: `A assigned, Z unknown_device`, or the refusal of the whole."""
        try:
            return verdicts(self.do(step))
        except Refused as refused:
            return refused.refusal.name

    @property
    def counts(self) -> str:
        """`used/total`, and `+overhang` where there is one."""
        totals = self.world.totals(self.account)
        more = f"+{totals.overhang}" if totals.overhang else ""
        return f"{totals.used}/{totals.total}{more}"

    def _carry_out(self, verb: Verb, about: str = "", **more: object) -> Change:
        items = [f"{IMEIS[letter]:015d}" if letter in IMEIS else letter for letter in about]
        items = ["1".rjust(15, "0") if item == "Z" else item for item in items]
        return self.world.carry_out(self.account, verb, items, **more)


def verdicts(change: Change) -> str:
    told = []
    for at, (item, number) in enumerate(zip(change.devices.items, change.outcomes, strict=True)):
        by = change.changed_by[at] if change.changed_by else 0
        letter = _LETTER_OF.get(item, "Z" if len(item) == 15 else item)
        told.append(f"{letter} {Outcome(number).word}" + (f" by {by}" if by else ""))
    return ", ".join(told)
