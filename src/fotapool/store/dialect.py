"""What the engines spell differently: the holes in statements and migrations.

A statement is written once, with `?` for a value and a word in braces where the engines part:

`{named}`        a list of devices as rows `named.value`, `named.key`, in its order, from 0 on
`{join}`         a join that keeps what stands before it outermost
`{among}`        a column is one of a list of numbers; `{among_texts}` of texts
`{list}`         the aggregate that makes a list of a column
`{outcomes_hold}`, `{devices_hold}`  bytes are found in a column
`{lock}`         holds the row until the transaction ends
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count

_AMONG_JSON = "IN (SELECT value FROM json_each(?))"


@dataclass(frozen=True, slots=True)
class Dialect:
    """An engine's words for the holes."""

    words: Mapping[str, str]
    numbered: bool
    """Whether values are `$1`, `$2` …, and not `?`."""

    def render(self, text: str) -> str:
        for hole, word in self.words.items():
            text = text.replace("{" + hole + "}", word)
        if not self.numbered:
            return text
        first, *rest = text.split("?")
        return first + "".join(f"${at}{part}" for at, part in zip(count(1), rest, strict=False))


SQLITE = Dialect(
    {
        "integer": "INTEGER",
        "bytes": "BLOB",
        "clustered": "WITHOUT ROWID, STRICT",
        "updated_in_place": "WITHOUT ROWID, STRICT",
        "named": "json_each(?) AS named",
        # With a plain JOIN the planner may walk the whole account and look rows up in the list.
        "join": "CROSS JOIN",
        "among": _AMONG_JSON,
        "among_texts": _AMONG_JSON,
        "list": "json_group_array",
        "outcomes_hold": "instr(outcomes, ?) > 0",
        "devices_hold": "instr(devices, ?) > 0",
        # BEGIN IMMEDIATE holds the whole database already.
        "lock": "",
    },
    numbered=False,
)

POSTGRES = Dialect(
    {
        "integer": "bigint",
        "bytes": "bytea",
        "clustered": "",
        # Room on each page for the next version of a row, so that no index must follow it.
        "updated_in_place": "WITH (fillfactor = 50)",
        "named": "(SELECT value, place - 1 AS key "
        "FROM unnest(?::bigint[]) WITH ORDINALITY AS listed (value, place)) AS named",
        "join": "JOIN",
        "among": "= ANY (?::bigint[])",
        "among_texts": "= ANY (?::text[])",
        "list": "array_agg",
        "outcomes_hold": "position(? IN outcomes) > 0",
        "devices_hold": "position(? IN devices) > 0",
        "lock": "FOR UPDATE",
    },
    numbered=True,
)
