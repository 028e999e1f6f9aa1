"""Every statement, parsed: it keeps to one kind of table, and to one account where that is asked.

What holds of the statements as PostgreSQL reads them lets the schema be spread over the nodes of
a Citus cluster by account: pool tables lie with their account, directory tables are everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import sqlglot
from sqlglot import exp

from fotapool.store import statements, statements_directory, statements_life
from fotapool.store.connection import ROWS_AT_ONCE, in_rows, of_rows
from fotapool.store.dialect import POSTGRES, SQLITE
from fotapool.store.postgres_schema import DISTRIBUTED, REFERENCE
from fotapool.store.schema import MIGRATIONS

MODULES = (statements, statements_life, statements_directory)
POOL, DIRECTORY = set(DISTRIBUTED), set(REFERENCE)


def all_statements() -> dict[str, str]:
    """By name, with their holes; parts that statements share begin with an underscore."""
    found: dict[str, str] = {}
    for module in MODULES:
        for name, value in vars(module).items():
            if name.startswith("_") or name == "annotations":
                continue
            if isinstance(value, str):
                found[name] = value
            elif isinstance(value, dict):
                found |= {f"{name}[{key}]": text for key, text in value.items()}
    return found


def parse(statement: str) -> exp.Expr:
    return sqlglot.parse_one(POSTGRES.render(statement), dialect="postgres")


def tables_of(tree: exp.Expr) -> list[exp.Table]:
    """The stored tables that a statement names; not what it names itself."""
    named = {cte.alias for cte in tree.find_all(exp.CTE)}
    return [
        table
        for table in tree.find_all(exp.Table)
        if isinstance(table.this, exp.Identifier) and table.name not in named
    ]


def unpinned(tree: exp.Expr) -> list[str]:
    """The pool tables of a statement whose account it does not name."""
    return [table.name for table in tables_of(tree) if not is_pinned(table, tree)]


def is_pinned(table: exp.Table, tree: exp.Expr) -> bool:
    written = tree.find(exp.Insert)
    if written is not None and table is written.this.this:
        return names_account_first(written)
    scope = table.find_ancestor(exp.Select, exp.Update, exp.Delete)
    assert scope is not None
    alone = len([each for each in tables_of_scope(scope) if each.name in POOL]) == 1
    return any(
        is_value_or_pinned(value, tree, table)
        for column, value in equalities(scope)
        if column.name == "account"
        and (column.table == table.alias_or_name or (not column.table and alone))
    )


def names_account_first(written: exp.Insert) -> bool:
    """The first column is the account, and its value is given or comes of a pinned table."""
    first = written.this.expressions[0].name
    source = written.expression
    values = source.expressions
    value = values[0].expressions[0] if isinstance(source, exp.Values) else values[0]
    return first == "account" and (
        isinstance(value, exp.Parameter) or (isinstance(value, exp.Column) and value.name == first)
    )


def tables_of_scope(scope: exp.Expr) -> Iterator[exp.Table]:
    for table in scope.find_all(exp.Table):
        if table.find_ancestor(exp.Select, exp.Update, exp.Delete) is scope:
            yield table


def equalities(scope: exp.Expr) -> Iterator[tuple[exp.Column, exp.Expr]]:
    """What every row of a scope must satisfy: `column = value`, of WHERE and of joins."""
    for condition in scope.find_all(exp.EQ):
        inside = condition.find_ancestor(exp.Select, exp.Update, exp.Delete)
        optional = condition.find_ancestor(exp.Or, exp.Not, exp.Filter, exp.Select)
        certain = optional is None or isinstance(optional, exp.Select)
        if inside is scope and certain and isinstance(condition.this, exp.Column):
            yield condition.this, condition.expression


def is_value_or_pinned(value: exp.Expr, tree: exp.Expr, table: exp.Table) -> bool:
    """A value of the caller's, or the account of another table that is pinned."""
    if isinstance(value, exp.Parameter):
        return True
    return isinstance(value, exp.Column) and any(
        other is not table and other.alias_or_name == value.table and is_pinned(other, tree)
        for other in tables_of(tree)
    )


@pytest.mark.parametrize("name", all_statements())
def test_a_statement_keeps_to_one_kind_of_table(name: str) -> None:
    named = {table.name for table in tables_of(parse(all_statements()[name]))}

    assert named
    assert named <= POOL or named <= DIRECTORY


@pytest.mark.parametrize("name", [name for name in all_statements() if not name.startswith("_")])
def test_a_statement_on_pools_names_one_account(name: str) -> None:
    tree = parse(all_statements()[name])
    if {table.name for table in tables_of(tree)} <= POOL:
        assert unpinned(tree) == []


# statement                                                                       tables not pinned
NOT_PINNED = [
    ("SELECT 1 FROM license WHERE imei = ?",                                        ["license"]),
    ("SELECT 1 FROM license WHERE account = ? OR imei = ?",                         ["license"]),
    ("SELECT 1 FROM license WHERE NOT account = ?",                                 ["license"]),
    ("SELECT 1 FROM license JOIN device ON device.imei = license.imei WHERE license.account = ?", ["device"]),
    ("SELECT 1 FROM license JOIN device ON device.account = license.account WHERE license.account = ?", []),
    ("SELECT (SELECT max(imei) FROM device) FROM license WHERE account = ?",        ["device"]),
    ("DELETE FROM license WHERE imei {among}",                                      ["license"]),
    ("UPDATE license SET imei = ? WHERE imei = (SELECT 1 FROM device WHERE account = ?)", ["license"]),
    ("INSERT INTO license (imei, account) VALUES (?, ?)",                           ["license"]),
    ("INSERT INTO license (account, imei) SELECT 1, imei FROM span WHERE account = ?", ["license"]),
    ("INSERT INTO license (account, imei) SELECT account, imei FROM span",          ["span"]),
]  # fmt: skip


@pytest.mark.parametrize(("statement", "found"), NOT_PINNED)
def test_a_statement_that_walks_accounts_is_found(statement: str, found: list[str]) -> None:
    assert unpinned(parse(statement)) == found


def test_every_table_of_the_schema_is_of_one_kind() -> None:
    made = {
        table
        for migration in MIGRATIONS
        for table in re.findall(r"CREATE TABLE (\w+)", migration.text)
    }

    assert made == POOL | DIRECTORY
    assert not POOL & DIRECTORY


@pytest.mark.parametrize("table", sorted(POOL))
def test_every_key_of_a_pool_table_begins_with_its_account(table: str) -> None:
    text = "".join(migration.text for migration in MIGRATIONS)
    (body,) = re.findall(rf"CREATE TABLE {table} \((.*?)\n\) ", text, re.DOTALL)[-1:]
    keys = re.findall(r"(?:PRIMARY KEY|UNIQUE) \((\w+)", body)
    inline = re.findall(r"(\w+) \{integer\} NOT NULL PRIMARY KEY", body)
    indexes = re.findall(rf"CREATE (?:UNIQUE )?INDEX \w+ ON {table} \((\w+)", text)

    assert {*keys, *inline, *indexes} == {"account"}


@pytest.mark.parametrize("name", all_statements())
def test_a_statement_has_as_many_values_in_either_engine(name: str) -> None:
    statement = all_statements()[name]
    numbered = {int(number) for number in re.findall(r"\$(\d+)", POSTGRES.render(statement))}

    assert numbered == set(range(1, SQLITE.render(statement).count("?") + 1))
    assert not re.search(r"[{}]", SQLITE.render(statement) + POSTGRES.render(statement))


@pytest.mark.parametrize(
    "name",
    [n for n, text in all_statements().items() if "VALUES (" in text and "CONFLICT" not in text],
)
def test_an_insert_of_a_row_is_also_one_of_many(name: str) -> None:
    statement = all_statements()[name]
    values = statement.count("?")
    many = of_rows(statement, 3)

    assert of_rows(statement, 1).strip() == statement.strip()
    assert many.count("?") == 3 * values
    assert isinstance(parse(many), exp.Insert)
    assert len(parse(many).expression.expressions) == 3


def test_rows_are_written_many_at_once_and_others_one_by_one() -> None:
    insert, delete = "INSERT INTO granted (a, b) VALUES (?, ?)", "DELETE FROM granted WHERE a = ?"
    rows = [(number, number + 1) for number in range(ROWS_AT_ONCE + 2)]

    told = list(in_rows(insert, rows))
    assert [text.count("(?, ?)") for text, _ in told] == [ROWS_AT_ONCE, 2]
    assert [value for _, values in told for value in values] == [
        each for row in rows for each in row
    ]
    assert list(in_rows(delete, [(1,), (2,)])) == [(delete, (1,)), (delete, (2,))]
    assert list(in_rows(insert, [])) == []
