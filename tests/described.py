"""Holds every answer that the suite sees against the API's description."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import cache
from typing import Any

import jsonschema_rs

from fotapool.server.docs import METHODS, load_description

# Said by every answer of a web server, and described by none.
STANDARD = {
    "allow",
    "connection",
    "content-length",
    "content-security-policy",
    "content-type",
    "date",
    "referrer-policy",
    "x-content-type-options",
}

violations: list[str] = []


@cache
def description() -> dict[str, Any]:
    return load_description()


@cache
def operations() -> list[tuple[str, re.Pattern[str], dict[str, Any]]]:
    found = []
    for path, item in description()["paths"].items():
        pattern = re.compile(re.sub(r"\{\w+\}", r"[^/]*", path))
        found += [(method.upper(), pattern, item[method]) for method in METHODS if method in item]
    return found


def resolve(node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        found: Any = description()
        for name in node["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        node = found
    return node


@cache
def validator(schema: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(
        {**json.loads(schema), "components": description()["components"]}, validate_formats=True
    )


def check(
    method: str, path: str, status: int, headers: Iterable[tuple[str, str]], body: bytes
) -> None:
    """Note what an answer has that the description has not."""
    answered = f"{method} {path[:120]} {status}"
    known = next(
        (op for m, pattern, op in operations() if m == method and pattern.fullmatch(path)), None
    )
    if status == 499 or (known is None and status in (404, 405)):
        return  # the client had gone; or there is no such operation, and that was said
    response = known and known["responses"].get(str(status))
    if response is None:
        violations.append(f"{answered} is not described: {body[:200]!r}")
    else:
        check_headers(answered, resolve(response), {name.lower(): text for name, text in headers})
        check_body(answered, resolve(response).get("content", {}), body)


def check_headers(answered: str, response: dict[str, Any], told: dict[str, str]) -> None:
    described = {name.lower(): header for name, header in response["headers"].items()}
    strange = set(told) - set(described) - STANDARD
    if strange:
        violations.append(f"{answered}: headers that are not described: {sorted(strange)}")
    for name in set(told) & set(described):
        note_wrong(f"{answered}, {name}", resolve(described[name])["schema"], told[name])


def check_body(answered: str, content: dict[str, Any], body: bytes) -> None:
    if body and not content:
        violations.append(f"{answered}: a body where none is described")
    if "application/json" in content:
        note_wrong(answered, content["application/json"]["schema"], json.loads(body))


def note_wrong(answered: str, schema: dict[str, Any], value: Any) -> None:
    wrong = next(validator(json.dumps(schema)).iter_errors(value), None)
    if wrong is not None:
        violations.append(f"{answered}: {wrong.message[:300]}")
