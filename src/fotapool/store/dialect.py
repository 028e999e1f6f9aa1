"""What the engines spell differently: the holes in statements and migrations.

A statement is written once, with `?` for a value and a word in braces where the engines part:

`{named}`        a list of devices as rows `named.value`, `named.key`, in its order, from 0 on;
                 `{listed}` the same without that name
`{each TABLE}`   the rows of each named device in a table of an account, looked up one by one;
                 `{each TABLE, CONDITION}` those of which it is true;
                 `{left TABLE}` also where there is none
`{among}`        a column is one of a list of numbers; `{among_texts}` of texts
`{few} SELECT … {end}`  a column is one of the few that a query finds, looked up one by one
`{list}`         the aggregate that makes a list of a column
`{outcomes_hold}`, `{devices_hold}`  bytes are found in a column
`{lock}`         holds the row until the transaction ends
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count

_UNNEST = (
    "(SELECT value, place - 1 AS key "
    "FROM unnest(?::bigint[]) WITH ORDINALITY AS given (value, place))"
)
_LOOK_UP = "SELECT * FROM @ WHERE account = ? AND imei = named.value& OFFSET 0"
_EACH = re.compile(r"\{each (\w+)(?:, ([^{}]*))?\}")
_LEFT = re.compile(r"\{left (\w+)(?:, ([^{}]*))?\}")
_AMONG_JSON = "IN (SELECT value FROM json_each(?))"


@dataclass(frozen=True, slots=True)
class Dialect:
    """An engine's words for the holes."""

    words: Mapping[str, str]
    each: str
    left: str
    """What these holes are, with `@` for the table and `&` for a condition."""
    numbered: bool
    """Whether values are `$1`, `$2` …, and not `?`."""

    def render(self, text: str) -> str:
        text = _EACH.sub(lambda found: self._join(self.each, *found.groups()), text)
        text = _LEFT.sub(lambda found: self._join(self.left, *found.groups()), text)
        for hole, word in self.words.items():
            text = text.replace("{" + hole + "}", word)
        if not self.numbered:
            return text
        first, *rest = text.split("?")
        return first + "".join(f"${at}{part}" for at, part in zip(count(1), rest, strict=False))

    def _join(self, join: str, table: str, condition: str | None) -> str:
        also = f" AND {condition}" if condition else ""
        return join.replace("@", table).replace("&", also)


SQLITE = Dialect(
    {
        "integer": "INTEGER",
        "bytes": "BLOB",
        "clustered": "WITHOUT ROWID, STRICT",
        "updated_in_place": "WITHOUT ROWID, STRICT",
        "named": "json_each(?) AS named",
        "listed": "json_each(?)",
        "among": _AMONG_JSON,
        "among_texts": _AMONG_JSON,
        "few": "IN (",
        "end": ")",
        "list": "json_group_array",
        "outcomes_hold": "instr(outcomes, ?) > 0",
        "devices_hold": "instr(devices, ?) > 0",
        # BEGIN IMMEDIATE holds the whole database already.
        "lock": "",
    },
    # With a plain JOIN the planner may walk the whole account and look rows up in the list.
    each="CROSS JOIN @ ON @.account = ? AND @.imei = named.value&",
    left="LEFT JOIN @ ON @.account = ? AND @.imei = named.value&",
    numbered=False,
)

POSTGRES = Dialect(
    {
        "integer": "bigint",
        "bytes": "bytea",
        "clustered": "",
        # Room on each page for the next version of a row, so that no index must follow it.
        "updated_in_place": "WITH (fillfactor = 50)",
        "named": f"{_UNNEST} AS named",
        "listed": f"{_UNNEST} AS listed",
        "among": "= ANY (?::bigint[])",
        "among_texts": "= ANY (?::text[])",
        "few": "= ANY (ARRAY(",
        "end": "))",
        "list": "array_agg",
        "outcomes_hold": "position(? IN outcomes) > 0",
        "devices_hold": "position(? IN devices) > 0",
        "lock": "FOR UPDATE",
    },
    # OFFSET 0 keeps the look-up whole. Joined, a table that was empty when the plan was made would
    # be walked for every device of the list, and the plan be kept.
    each=f"CROSS JOIN LATERAL ({_LOOK_UP}) AS @",
    left=f"LEFT JOIN LATERAL ({_LOOK_UP}) AS @ ON true",
    numbered=True,
)
