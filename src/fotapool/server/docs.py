"""The API's description: `/openapi.json`, and `/docs` made of it on the server.

The page has no script and loads nothing; its style is in it, and the policy knows its hash.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

Node = Mapping[str, Any]

METHODS = ("get", "post", "put", "delete")

_RULES = (
    ("minimum", "from {}"),
    ("maximum", "to {}"),
    ("maxLength", "to {} characters"),
    ("maxItems", "to {} items"),
    ("pattern", "matches {}"),
)


def load_description(root_path: str = "") -> dict[str, Any]:
    """The OpenAPI description, its server being where this one is mounted."""
    text = (resources.files("fotapool.api") / "openapi.json").read_bytes()
    description: dict[str, Any] = msgspec.json.decode(text)
    return description | {"servers": [{"url": root_path or "/"}]}


class Docs:
    """Serves the description as JSON and as a page. Both are made once, when first asked for."""

    def __init__(self, root_path: str) -> None:
        self._root_path = root_path
        self._json = b""
        self._page = b""
        self._policy = ""

    async def description(self, _request: Request) -> Response:
        if not self._json:
            self._json = msgspec.json.encode(load_description(self._root_path))
        return Response(self._json, media_type="application/json")

    async def page(self, _request: Request) -> Response:
        if not self._page:
            style = (resources.files("fotapool.server") / "templates" / "docs.css").read_text(
                "utf-8"
            )
            self._page = render(load_description(self._root_path), style).encode()
            self._policy = content_security_policy(style)
        return Response(
            self._page,
            media_type="text/html",
            headers={
                "Content-Security-Policy": self._policy,
                "X-Content-Type-Options": "nosniff",
                "Referrer-Policy": "no-referrer",
            },
        )


def content_security_policy(style: str) -> str:
    """Nothing but this very style may load or run."""
    hashed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{hashed}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


def render(description: Node, style: str) -> str:
    """The page for a description."""
    # Imported here: it is a fifth of what starting the server would cost.
    from jinja2 import Environment, PackageLoader  # noqa: PLC0415

    environment = Environment(
        loader=PackageLoader("fotapool.server", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    view = View(description)
    return environment.get_template("docs.html").render(
        info=description["info"],
        server=description["servers"][0]["url"],
        style=style,
        tags=description["tags"],
        operations=list(view.operations()),
        schemas=description["components"]["schemas"],
        view=view,
    )


class View:
    """A description as the page's template asks for it."""

    def __init__(self, description: Node) -> None:
        self._description = description

    def operations(self) -> Iterator[dict[str, Any]]:
        """Every operation, with its method, path and references resolved."""
        for path, item in self._description["paths"].items():
            for method in METHODS:
                if method in item:
                    yield self._operation(path, method, item[method])

    def _operation(self, path: str, method: str, operation: Node) -> dict[str, Any]:
        body = self.resolve(operation.get("requestBody", {}))
        return {
            "id": operation["operationId"],
            "path": path,
            "method": method.upper(),
            "summary": operation["summary"],
            "tag": operation["tags"][0],
            "deprecated": operation.get("deprecated", False),
            "needs": [" and ".join(scheme) for scheme in operation["security"]],
            "parameters": [self.resolve(named) for named in operation.get("parameters", ())],
            "body": body.get("content", {}),
            "responses": [
                (status, self.resolve(response))
                for status, response in operation["responses"].items()
            ],
        }

    def resolve(self, node: Node) -> Node:
        """What a node refers to, or the node itself."""
        reference = node.get("$ref")
        if reference is None:
            return node
        found: Any = self._description
        for name in reference.removeprefix("#/").split("/"):
            found = found[name]
        return self.resolve(found)

    def schema_name(self, schema: Node) -> str | None:
        """The name of a schema that is referred to."""
        reference: str = schema.get("$ref", "")
        return reference.rpartition("/")[2] or None

    def rules(self, schema: Node) -> str:
        """What a schema allows, in few words."""
        told = []
        if "enum" in schema:
            told.append("one of " + ", ".join(map(str, schema["enum"])))
        if "const" in schema:
            told.append(f"always {schema['const']}")
        told += [words.format(schema[name]) for name, words in _RULES if name in schema]
        return "; ".join(told)
