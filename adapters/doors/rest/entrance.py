"""The short way in for POST /v1/orders: the same access, the same handler, the same problems, without what an application does for every
route. Everything else is the application's.
"""

from __future__ import annotations

import time
from typing import Final

import msgspec
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from adapters.doors.access import Request
from adapters.doors.house import House
from adapters.doors.rest.app import MAX_BODY_BYTES
from adapters.doors.rest.asking import known
from adapters.doors.rest.orders import entered
from adapters.doors.rest.problems import MEDIA_TYPE, problem_of
from adapters.doors.rest.words import NewOrder

PATH: Final = "/v1/orders"
_DECODER: Final = msgspec.json.Decoder(NewOrder)
_ENCODER: Final = msgspec.json.Encoder()
_JSON: Final = (b"content-type", b"application/json")
_PROBLEM: Final = (b"content-type", MEDIA_TYPE.encode())


class Gone(Exception):
    """Whoever asked is not there any more."""


class Entrance:
    """An ASGI application before *application*, which serves *house*."""

    def __init__(self, application: ASGIApp, house: House) -> None:
        self._application, self._house = application, house

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] == ScopeType.HTTP and scope["method"] == "POST" and scope["path"] == PATH:
            try:
                await self._enter(scope, receive, send)
            except Gone:
                return
        else:
            await self._application(scope, receive, send)

    async def _enter(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        head, status = [_JSON], 200
        try:
            body = _ENCODER.encode(await self._entered(scope, receive))
        except Gone:
            raise
        except Exception as error:  # noqa: BLE001 - told as a problem
            problem, more = problem_of(error)
            body, status = _ENCODER.encode(problem), problem.status
            head = [_PROBLEM, *((name.lower().encode(), value.encode()) for name, value in more.items())]
        head.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    async def _entered(self, scope: HTTPScope, receive: Receive) -> object:
        """Raises what the application's handler does."""
        house = self._house
        address = scope["client"][0] if scope["client"] else "127.0.0.1"
        house.by_address.take(f"address {address}", time.monotonic())
        body = await _body(receive)
        query = scope["query_string"].decode("latin-1")
        path = scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        caller = await known(house, Request("POST", path, headers, body, address))
        try:
            data = _DECODER.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
            raise msgspec.ValidationError(str(wrong)) from wrong
        return await entered(house, caller, data)


async def _body(receive: Receive) -> bytes:
    """Raises Gone; HTTPException beyond MAX_BODY_BYTES."""
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Gone
        body += message["body"]
        if len(body) > MAX_BODY_BYTES:
            raise HTTPException(status_code=413, detail=f"a body has {MAX_BODY_BYTES} bytes at most")
        if not message["more_body"]:
            return body
