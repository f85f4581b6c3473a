"""The documents of the doors: they name what there is, what is said is as they say, and nobody needs another server to read them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, cast

import httpx
import jsonschema_rs
import pytest

from adapters.doors import asyncapi, reference
from adapters.doors.rest.app import application
from domain.rules import RULES
from tests.doors.house import BY, Served, served
from tests.doors.sockets import connected, run

DOCUMENT = asyncapi.document()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("house")) as made:
        yield made


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for each in node.values():
            yield from references(each)
    elif isinstance(node, list):
        for each in node:
            yield from references(each)


def resolved(reference: str) -> Any:
    found: Any = DOCUMENT
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


def test_the_page_in_the_repository_is_the_one_that_is_made() -> None:
    assert reference.PAGE.read_text() == reference.page(), "make it anew: python -m adapters.doors.reference"


def test_the_page_has_every_operation_and_every_message() -> None:
    page = reference.PAGE.read_text()
    paths = application(cast("Any", None)).openapi_schema.to_schema()["paths"]
    operations = [f"### `{method.upper()} {path}`\n" for path, found in paths.items() for method in found]
    assert len(operations) > 40
    for heading in (*operations, *(f"### {name}\n" for name in DOCUMENT["components"]["messages"])):
        assert heading in page


def test_every_link_within_the_page_leads_somewhere() -> None:
    page = reference.html(reference.parts(application(cast("Any", None)).openapi_schema.to_schema(), DOCUMENT))
    links = set(re.findall(r"href='#([^']*)'", page))
    assert len(links) > 50
    assert links <= set(re.findall(r" id='([^']*)'", page))


@pytest.mark.parametrize("path", ["/docs", "/docs/reference", "/docs/rules"])
def test_a_page_at_the_door_needs_nothing_from_elsewhere(house: Served, path: str) -> None:
    answer = httpx.get(house.address + path)
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, "text/html")
    assert not re.search(r"(src|href)=.(https?:)?//", answer.text)


def test_the_type_of_a_refusal_leads_to_its_rule(house: Served) -> None:
    with house.client("alice") as alice:
        refused = alice.post("/v1/orders", json={"symbol": "ACME", "side": "buy", "quantity": "5", "price": "99999.00"}).json()
    path, _, anchor = refused["type"].partition("#")
    assert f" id='{anchor}'" in httpx.get(house.address + path).text
    assert len(RULES) == httpx.get(house.address + path).text.count("<h2")


def test_every_reference_of_the_document_of_sockets_resolves() -> None:
    found = set(references(DOCUMENT))
    assert len(found) > 50
    assert all(isinstance(resolved(each), dict) for each in found)


def test_every_schema_of_it_is_one() -> None:
    for schema in DOCUMENT["components"]["schemas"].values():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})


def test_every_operation_is_of_the_form_that_asyncapi_3_has() -> None:
    assert DOCUMENT["asyncapi"] == "3.0.0"
    for operation in DOCUMENT["operations"].values():
        assert operation["action"] in {"send", "receive"}
        assert operation["channel"]["$ref"] in {f"#/channels/{name}" for name in DOCUMENT["channels"]}
        for message in (*operation["messages"], *operation.get("reply", {}).get("messages", ())):
            assert message["$ref"].startswith("#/channels/socket/messages/"), "of the channel, as the form demands"


def test_it_is_served_as_it_is_made(house: Served) -> None:
    assert httpx.get(f"{house.address}/v1/asyncapi.json").json() == DOCUMENT


def is_said(message: dict[str, Any], names: list[str]) -> bool:
    """Whether a message is one of those of the document."""
    schema = {"anyOf": [{"$ref": f"#/components/messages/{name}/payload"} for name in names], "components": DOCUMENT["components"]}
    return bool(jsonschema_rs.is_valid(schema, message))


ANSWERS = [each.__name__ for each in (*asyncapi.ANSWERED, *asyncapi.TOLD, *asyncapi.PUSHED.values())]
ASKS: list[dict[str, Any]] = [
    {"op": "ping"},
    {"op": "subscribe", "channels": ["level1", "level2", "level3", "trades", "bars", "ticker", "status"], "symbols": ["ACME"]},
    {"op": "subscribe", "channels": ["user", "alerts"], "from": {"1": 1}},
    {"op": "order", "symbol": "ACME", "side": "buy", "quantity": "5", "price": "12.50", "client_order_id": "7"},
    {"op": "order", "symbol": "ACME", "side": "buy", "quantity": "5", "price": "nothing"},
    {"op": "replace", "symbol": "ACME", "client_order_id": "7", "quantity": "4"},
    {"op": "reduce", "symbol": "ACME", "client_order_id": "7", "quantity": "1"},
    {"op": "cancel", "symbol": "ACME", "client_order_id": "8"},
    {"op": "mass_cancel"},
    {"op": "unsubscribe", "channels": ["bars"], "symbols": ["ACME"]},
]


def test_what_is_asked_and_said_over_a_socket_is_as_the_document_has_it(house: Served) -> None:
    async def given() -> None:
        async with connected(house) as socket:
            await socket.logged_in(house.credentials.issue("alice", BY))
            waits, seen = set(map(str, range(len(ASKS)))), set[str]()
            for name, asked in zip(sorted(waits), ASKS, strict=True):
                assert is_said({"id": name, **asked}, [each.__name__ for each in asyncapi.ASKED]), asked
                socket.say(id=name, **asked)
            while waits or not {"level1", "level2", "level3", "trades", "bars", "ticker", "status", "user"} <= seen:
                message = await socket.next()
                assert is_said(message, ANSWERS), message
                waits.discard(message.get("id", ""))
                seen.add(message.get("channel", ""))
            assert not is_said({"type": "update", "channel": "level1"}, ANSWERS), "the control: not everything is"

    run(given())
