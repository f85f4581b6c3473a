"""The routes of the dialect, to be mounted beside others. They are described by its own documentation, not by our OpenAPI document."""

from __future__ import annotations

from typing import Final

from litestar import HttpMethod, Router, route
from litestar.di import Provide
from litestar.exceptions import HTTPException

from adapters.doors.coinbase import accounts, market_data, orders
from adapters.doors.coinbase.own import Memory
from adapters.doors.coinbase.problems import NotFound, handle
from adapters.doors.coinbase.signing import PREFIX, signed
from adapters.doors.rest.asking import AnyRequest, admit

_ELSEWHERE: Final = [f"{under}/{{rest:path}}" for under in ("", "/accounts/{id:str}", "/products/{id:str}", "/orders/{order:str}")]


@route(_ELSEWHERE, http_method=[HttpMethod.GET, HttpMethod.POST, HttpMethod.PUT, HttpMethod.DELETE])
async def nowhere(request: AnyRequest) -> None:
    """What the dialect has and we have not. Raises NotFound."""
    raise NotFound(f"there is no {request.url.path.removeprefix(PREFIX)} here")


def routes(memory: Memory) -> Router:
    """Everything under /coinbase."""
    return Router(
        PREFIX,
        route_handlers=[*market_data.HANDLERS, *orders.HANDLERS, *accounts.HANDLERS, nowhere],
        dependencies={"caller": Provide(signed), "memory": Provide(lambda: memory, sync_to_thread=False)},
        exception_handlers={HTTPException: handle, Exception: handle},
        before_request=admit,
        include_in_schema=False,
    )
