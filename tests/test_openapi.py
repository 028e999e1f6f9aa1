"""The API's description, against the server and its route table, in both directions."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from openapi_spec_validator import validate

import described
import fotapool
from fotapool.api import ROUTES
from fotapool.server.docs import METHODS, content_security_policy, load_description, render
from fotapool.server.settings import Settings
from test_server import ask
from world import ACCOUNT, World

PAGES = {("get", "/healthz"), ("get", "/readyz"), ("get", "/openapi.json"), ("get", "/docs")}

DESCRIPTION = load_description()


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, item[method])
        for path, item in DESCRIPTION["paths"].items()
        for method in METHODS
        if method in item
    ]


def test_the_description_is_a_valid_one_of_this_version() -> None:
    validate(DESCRIPTION)

    assert DESCRIPTION["openapi"].startswith("3.1")
    assert DESCRIPTION["info"]["version"] == fotapool.__version__


def test_every_route_is_described_and_nothing_else_is() -> None:
    described_routes = {(method, path) for method, path, _ in operations()}

    assert described_routes == {(route.method.lower(), route.path) for route in ROUTES} | PAGES


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_what_a_route_needs_and_whether_it_is_deprecated_is_told(route: Any) -> None:
    operation = DESCRIPTION["paths"][route.path][route.method.lower()]
    needs = {frozenset(scheme) for scheme in operation["security"]}
    parameters = [described.resolve(named) for named in operation.get("parameters", ())]

    assert operation.get("deprecated", False) is bool(route.successor)
    if route.role is not None:
        assert needs == {frozenset({"bearer"} if route.own else {"bearer", "session"})}
        assert ("403" in operation["responses"]) is route.own
        assert any(named["name"] == "Idempotency-Key" for named in parameters) is route.writes
    if route.method == "POST" and route.role is not None:
        content = described.resolve(operation["requestBody"])["content"]
        assert list(content) == ["application/json"]
    in_path = {named["name"] for named in parameters if named["in"] == "path"}
    assert in_path == set(re.findall(r"\{(\w+)\}", route.path))
    assert all(named["required"] for named in parameters if named["in"] == "path")


def test_names_of_operations_are_their_own() -> None:
    names = [operation["operationId"] for _, _, operation in operations()]

    assert len(set(names)) == len(names)
    assert {operation["tags"][0] for _, _, operation in operations()} == {
        tag["name"] for tag in DESCRIPTION["tags"]
    }


def test_everything_in_the_components_is_referred_to() -> None:
    text = str(DESCRIPTION)

    for kind, named in DESCRIPTION["components"].items():
        if kind != "securitySchemes":
            for name in named:
                assert f"#/components/{kind}/{name}'" in text, f"{kind}/{name}"


def test_the_query_of_an_own_operation_is_what_the_server_takes(small_world: World) -> None:
    """Each described parameter is known to the server, and no other is."""
    small_world.add_account()
    login = small_world.add_login()
    for method, path, operation in operations():
        if operation["tags"] == ["pool"] and method == "get":
            named = [described.resolve(each) for each in operation["parameters"]]
            known = {each["name"] for each in named if each["in"] == "query"}
            url = path.format(account=ACCOUNT, sequence=1, imei="0" * 15)
            for name in {*known, "order", "verb", "at", "cursor", "nonsense"}:
                refused = b"is not known here" in login.get(url, f"{name}=x").body
                assert refused is (name not in known), (path, name)


# --- served ------------------------------------------------------------------------------------


class Links(HTMLParser):
    """What a page names: ids, links within it, and anything that would load something."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.targets: set[str] = set()
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if named.get("id"):
            self.ids.add(str(named["id"]))
        if str(named.get("href", "")).startswith("#"):
            self.targets.add(str(named["href"])[1:])
        if tag in ("script", "link", "img", "iframe") or "src" in named or "onclick" in named:
            self.loads.append(tag)


def test_the_description_and_its_page_are_served_without_a_login(small_world: World) -> None:
    small_world.settings = Settings(root_path="/fota")
    with small_world.serving() as url:
        origin = url.removesuffix("/fota")
        status, headers, body = ask(origin, "GET", "/openapi.json")
        page_status, page_headers, page = ask(origin, "GET", "/docs")

    assert (status, headers["content-type"]) == (200, "application/json")
    assert body.decode().count('"/fota"') == 1
    assert (page_status, page_headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert page_headers["content-security-policy"].startswith(
        "default-src 'none'; style-src 'sha256-"
    )
    assert page_headers["x-content-type-options"] == "nosniff"
    assert b"Everything is below <code>/fota</code>" in page


def test_the_page_tells_every_operation_and_loads_nothing() -> None:
    page = render(DESCRIPTION, "p { color: red }")
    links = Links()
    links.feed(page)

    for _, path, operation in operations():
        assert operation["operationId"] in links.ids
        assert path in page
    assert {f"schema-{name}" for name in DESCRIPTION["components"]["schemas"]} <= links.ids
    assert links.targets <= links.ids
    assert links.loads == []
    assert "<style>p { color: red }</style>" in page
    # What the policy knows is the very style in the page.
    assert content_security_policy("p { color: red }") != content_security_policy("p{color:red}")


def test_what_is_not_described_is_noted() -> None:
    """The checker itself can fail."""
    path = f"/api/fotapool/v1/accounts/{ACCOUNT}/clock"
    good = b'{"account":"a","sequence":1,"now":"2017-11-29T16:03:42.000Z","changed_at":"2017-11-29T16:03:42.000Z","behind_ms":0}'

    def noted(*arguments: Any) -> list[str]:
        described.check(*arguments)
        found, described.violations[:] = list(described.violations), []
        return found

    assert noted("GET", path, 200, [("Fotapool-Sequence", "1")], good) == []
    assert "less than the minimum" in noted("GET", path, 200, [], good.replace(b":1,", b":0,"))[0]
    assert "Additional" in noted("GET", path, 200, [], good.replace(b"{", b'{"more":1,'))[0]
    assert "required" in noted("GET", path, 200, [], b'{"account":"a"}')[0]
    assert "is not described" in noted("GET", path, 418, [], good)[0]
    assert "headers that are not described" in noted("GET", path, 200, [("X-More", "1")], good)[0]
    assert "is not described" in noted("GET", "/nothing", 200, [], good)[0]
    assert "fotapool-sequence" in noted("GET", path, 200, [("Fotapool-Sequence", "x")], good)[0]
