"""The reference of the doors, made from their OpenAPI and AsyncAPI documents: a page of HTML at the door, docs/api.md in the repository.

python -m adapters.doors.reference    # writes docs/api.md anew
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import msgspec
from litestar import Router
from litestar.connection import Request
from litestar.openapi.plugins import OpenAPIRenderPlugin

from adapters.doors import asyncapi
from adapters.doors.house import House
from adapters.doors.rest import health
from adapters.doors.rest.app import PARTS, application
from adapters.doors.rest.entrance import Entrance
from domain.rules import RULES

PAGE: Final = Path(__file__).parents[2] / "docs/api.md"
_METHODS: Final = ("get", "post", "put", "patch", "delete")
_STYLE: Final = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:70em;margin:2em auto;padding:0 1em}code{background:#8882;padding:0 .2em}"
    "table{border-collapse:collapse}td,th{border:1px solid #8888;padding:.2em .5em;text-align:left;vertical-align:top}"
    ":root{color-scheme:light dark}"
)


_SAID: Final = {  # of the shapes of REST, by name
    name: inspect.cleandoc(each.__doc__ or "")
    for part in (*PARTS, health)
    for name, each in vars(part).items()
    if isinstance(each, type) and issubclass(each, msgspec.Struct)
}


class Table(NamedTuple):
    """Rows under a head; cells are in Markdown."""

    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


class Part(NamedTuple):
    """A heading of a level (1: the page's), what is said under it, and a table."""

    level: int
    title: str
    text: str = ""
    table: Table | None = None


def parts(openapi: Mapping[str, Any], sockets: Mapping[str, Any]) -> Iterator[Part]:
    """The whole reference."""
    yield Part(
        1,
        "The doors, word by word",
        "Made from the OpenAPI document (`/docs/openapi.json`) and the AsyncAPI document (`/v1/asyncapi.json`).",
    )
    yield Part(2, "REST", str(openapi["info"]["description"]))
    for path, operations in openapi["paths"].items():
        for method in _METHODS:
            if method in operations:
                yield _operation(f"{method.upper()} {path}", operations[method])
    yield Part(2, "WebSocket", str(sockets["info"]["description"]))
    for action, title in (("receive", "What is asked"), ("send", "What is pushed")):
        said = [each for each in sockets["operations"].values() if each["action"] == action]
        rows = [(_link(_last(each["messages"][0])), each["summary"], _links(each.get("reply", {}).get("messages", ()))) for each in said]
        yield Part(3, title, "", Table(("message", "what", "answered by"), rows))
    yield Part(2, "Shapes", "A field with `?` may be left out; what stands after `=` holds then.")
    for name, shape in sorted(_once(sockets["components"]["schemas"], openapi["components"]["schemas"]).items()):
        yield _shape(name, shape)


def markdown(found: Iterator[Part]) -> str:
    """As docs/api.md."""
    said = []
    for part in found:
        said.append(f"{'#' * part.level} {part.title}\n")
        if part.text:
            said.append(f"{part.text.strip()}\n")
        if part.table:
            rows = [part.table.head, ("---",) * len(part.table.head), *part.table.rows]
            said.append("".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |\n" for row in rows))
    return "\n".join(said)


def html(found: Iterator[Part]) -> str:
    """As a page that needs nothing from elsewhere."""
    said = [f"<!doctype html><html lang=en><meta charset=utf-8><title>Outcry</title><style>{_STYLE}</style>"]
    for part in found:
        said.append(f"<h{part.level} id='{_anchor(part.title)}'>{_inline(part.title)}</h{part.level}>")
        said += [f"<p>{_inline(each)}</p>" for each in part.text.strip().split("\n\n") if each]
        if part.table:
            cells = ["".join(f"<td>{_inline(cell)}</td>" for cell in row) for row in part.table.rows]
            head = "".join(f"<th>{each}</th>" for each in part.table.head)
            said.append(f"<table><tr>{head}</tr>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>")
    return "\n".join(said)


class Reference(OpenAPIRenderPlugin):
    """The page at the door."""

    def __init__(self, sockets: Mapping[str, Any]) -> None:
        super().__init__(path="/reference")
        self._sockets = sockets

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:  # noqa: ARG002 # see OpenAPIRenderPlugin
        """See OpenAPIRenderPlugin."""
        return html(parts(openapi_schema, self._sockets)).encode()


class Rules(OpenAPIRenderPlugin):
    """The rules of the market by name: where the `type` of a refusal leads."""

    def __init__(self) -> None:
        super().__init__(path="/rules")

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:  # noqa: ARG002 # see OpenAPIRenderPlugin
        """See OpenAPIRenderPlugin."""
        rules = (Part(2, rule.name, f"limit: {rule.limit}; observed: {rule.observed}") for rule in RULES)
        return html(iter((Part(1, "Rules of the market, by which commands are refused"), *rules))).encode()


def _operation(name: str, found: Mapping[str, Any]) -> Part:
    """An operation of REST."""
    body = found.get("requestBody", {}).get("content", {})
    good = {status: each for status, each in found["responses"].items() if status < "400"}
    said = [
        f"**{found['summary']}.** {found.get('description', '')}".strip(),
        "Needs a login." if found.get("security") else "For anybody.",
    ]
    if body:
        said.append(f"Body: {', '.join(_type(each['schema']) for each in body.values())}.")
    said += [f"{status}: {_answer(each)}." for status, each in good.items()]
    asked = [
        (f"`{each['name']}`" + ("" if each.get("required") else "?"), each["in"], _type(each["schema"]), each.get("description", ""))
        for each in found.get("parameters", ())
    ]
    return Part(3, f"`{name}`", " ".join(said), Table(("parameter", "in", "type", "what"), asked) if asked else None)


def _shape(name: str, shape: Mapping[str, Any]) -> Part:
    """A structure and its fields."""
    needed = shape.get("required", ())
    text, said = _said(shape.get("description", ""))
    rows = [
        (f"`{field}`" + ("" if field in needed else "?"), _type(each), each.get("description") or said.get(field, ""))
        for field, each in shape.get("properties", {}).items()
    ]
    return Part(3, name, text, Table(("field", "type", "what"), rows))


def _said(description: str) -> tuple[str, dict[str, str]]:
    """What is said of a structure, and what of its fields: lines of `field, other  what`, and those indented below."""
    text, said, names = "", dict[str, str](), list[str]()
    for line in description.strip().splitlines():
        named = re.fullmatch(r"(\w+(?:, \w+)*)  +(.*)", line)
        if named:
            names = named[1].split(", ")
            said.update(dict.fromkeys(names, named[2]))
        elif line.startswith(" "):
            said.update({name: f"{said[name]} {line.strip()}" for name in names})
        else:
            text = f"{text} {line}".strip()
    return text, said


def _once(of_sockets: Mapping[str, Any], of_rest: Mapping[str, Any]) -> dict[str, Any]:
    """Shapes by name; where two of one name differ, that of REST says so. What shapes are for stands where they are made."""
    found = dict(of_sockets)
    for name, shape in of_rest.items():
        is_other = name in found and set(found[name].get("properties", ())) != set(shape.get("properties", ()))
        if name not in found or is_other:
            found[f"{name} (REST)" if is_other else name] = {"description": _SAID.get(name, ""), **shape}
    return found


def _answer(found: Mapping[str, Any]) -> str:
    kinds = [_type(each["schema"]) for each in found.get("content", {}).values()]
    return " or ".join(kinds) or found.get("description", "nothing")


def _type(schema: Mapping[str, Any]) -> str:
    """A type in words."""
    if "$ref" in schema:
        return _link(_last(schema))
    if "allOf" in schema:
        return _type(schema["allOf"][0])
    several = schema.get("oneOf") or schema.get("anyOf")
    if several:
        kind = " or ".join(dict.fromkeys(_type(each) for each in several))
    elif "enum" in schema:
        kind = ", ".join(f"`{each}`" if each != "" else "empty" for each in schema["enum"])
    elif schema.get("type") == "array":
        inner = schema.get("prefixItems") or [schema.get("items") or {}]
        kind = ("list of " if "prefixItems" not in schema else "") + ", ".join(_type(cast("Mapping[str, Any]", each)) for each in inner)
    elif schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        kind = f"object of {_type(schema['additionalProperties'])}"
    else:
        kind = str(schema.get("type", "any"))
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        kind += f" {int(low)} to {int(high)}"
    default = schema.get("default")
    return kind + (f" = `{default}`" if default not in (None, "", [], {}) else "")


def _last(reference: Mapping[str, Any]) -> str:
    return str(reference["$ref"]).rpartition("/")[2]


def _link(name: str) -> str:
    return f"[{name}](#{_anchor(name)})"


def _links(found: Any) -> str:
    return " or ".join(_link(_last(each)) for each in found)


def _anchor(title: str) -> str:
    return re.sub(r"[^a-z0-9 _-]", "", title.lower()).replace(" ", "-") if " " in title or "`" in title else title.lower()


def _inline(text: str) -> str:
    """Markdown of one line, as far as it is used here."""
    text = re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(text, quote=False))
    text = re.sub(r"\*\*([^*]*)\*\*", r"<b>\1</b>", text)
    return re.sub(r"\[([^]]*)\]\(([^)]*)\)", r"<a href='\2'>\1</a>", text)


def documented(house: House, also: Sequence[Router] = ()) -> Entrance:
    """REST of *house*, with its documents; *also*: see application."""
    return Entrance(application(house, (*also, asyncapi.routes()), (Reference(asyncapi.document()), Rules())), house)


def page() -> str:
    """What docs/api.md is to say."""
    return markdown(parts(application(cast("Any", None)).openapi_schema.to_schema(), asyncapi.document()))


if __name__ == "__main__":
    PAGE.write_text(page())
