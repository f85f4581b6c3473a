"""The AsyncAPI 3 document of the WebSocket, made from the structures that it reads and writes."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import msgspec
from litestar import Response, Router, get

from adapters.doors.ws import asked, messages
from adapters.doors.ws.client import PATH

FILE: Final = "/v1/asyncapi.json"
ASKED: Final[tuple[type[msgspec.Struct], ...]] = (
    asked.Login,
    asked.Subscribe,
    asked.Unsubscribe,
    asked.Ping,
    asked.Order,
    asked.Cancel,
    asked.Replace,
    asked.Reduce,
    asked.CancelAll,
)
ANSWERED: Final[tuple[type[msgspec.Struct], ...]] = (messages.Welcome, messages.Answer, messages.Refusal, messages.Pong)
PUSHED: Final[dict[messages.Channel, type[messages.Push]]] = {
    "level1": messages.Level1,
    "level2": messages.Level2,
    "level3": messages.Level3,
    "trades": messages.Trades,
    "bars": messages.Bars,
    "ticker": messages.Ticker,
    "status": messages.Status,
    "user": messages.User,
    "alerts": messages.Alerts,
}
TOLD: Final[tuple[type[msgspec.Struct], ...]] = (messages.Gap, messages.Cut)
_HOW: Final = """Market data, what happens to your accounts, and orders over one socket. Text frames of JSON; with the subprotocol
`outcry.msgpack` binary frames of MessagePack with the same fields. Binary frames that begin with OUTC are batches of rows, which are
described by docs/protocol.md. How it begins, goes on after a break and ends: docs/websocket.md."""


@cache
def document() -> dict[str, Any]:
    """The document, as JSON has it."""
    structures: list[type[msgspec.Struct]] = [*ASKED, *ANSWERED, *PUSHED.values(), *TOLD]
    _, schemas = msgspec.json.schema_components(structures, ref_template="#/components/schemas/{name}")
    said: dict[str, Any] = {
        _name(each): {"name": _name(each), "summary": _line(each), "payload": _ref("schemas", each)} for each in structures
    }
    for channel, each in PUSHED.items():
        said[_name(each)]["payload"] = {"allOf": [_ref("schemas", each), {"properties": {"channel": {"const": channel}}}]}
    pushed = {str(channel): _pushes(each) for channel, each in PUSHED.items()} | {_name(each).lower(): _pushes(each) for each in TOLD}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Outcry", "version": "1", "description": _HOW},
        "defaultContentType": "application/json",
        "channels": {
            "socket": {
                "address": PATH,
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in said},
                "bindings": {"ws": {}},
            }
        },
        "operations": {_name(each).lower(): _asks(each) for each in ASKED} | pushed,
        "components": {"messages": said, "schemas": schemas},
    }


@get(FILE, include_in_schema=False, sync_to_thread=False)
def asyncapi() -> Response[dict[str, Any]]:
    """See above."""
    return Response(document(), media_type="application/json")


def routes() -> Router:
    """Where it is served."""
    return Router("/", route_handlers=[asyncapi])


def _asks(each: type[msgspec.Struct]) -> dict[str, Any]:
    """An operation that clients ask for, from where we stand; a ping has its own answer, a login is welcomed."""
    done: type[msgspec.Struct] = messages.Pong if each is asked.Ping else messages.Welcome if each is asked.Login else messages.Answer
    return {
        "action": "receive",
        "summary": _line(each),
        "channel": {"$ref": "#/channels/socket"},
        "messages": [_of_channel(each)],
        "reply": {"channel": {"$ref": "#/channels/socket"}, "messages": [_of_channel(done), _of_channel(messages.Refusal)]},
    }


def _pushes(each: type[msgspec.Struct]) -> dict[str, Any]:
    return {"action": "send", "summary": _line(each), "channel": {"$ref": "#/channels/socket"}, "messages": [_of_channel(each)]}


def _of_channel(each: type[msgspec.Struct]) -> dict[str, str]:
    return {"$ref": f"#/channels/socket/messages/{_name(each)}"}


def _ref(kind: str, each: type[msgspec.Struct]) -> dict[str, str]:
    return {"$ref": f"#/components/{kind}/{_name(each)}"}


def _name(each: type[msgspec.Struct]) -> str:
    return each.__name__


def _line(each: type[msgspec.Struct]) -> str:
    """The first line of what it says of itself."""
    return (each.__doc__ or "").strip().partition("\n")[0]
