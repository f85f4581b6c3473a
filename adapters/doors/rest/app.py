"""The application: every route, its document, and how errors are told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from litestar import Litestar, Router
from litestar.config.compression import CompressionConfig
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.plugins import OpenAPIRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme

from adapters.doors.house import House
from adapters.doors.rest import account, alerts, commands, health, market_data, operate, orders, people, registered, terms
from adapters.doors.rest.asking import admit, caller
from adapters.doors.rest.problems import MEDIA_TYPE, Problem, handle

MAX_BODY_BYTES: Final = 2**20
PARTS: Final = (market_data, orders, commands, account, alerts, people, operate, registered, terms)
_PROBLEMS: Final = {
    400: "what was sent cannot be read",
    401: "nobody we know",
    403: "not allowed",
    404: "there is none",
    405: "not that method",
    408: "the deadline passed: not executed",
    409: "taken",
    413: "too large",
    422: "refused by a rule of the market",
    429: "too often",
    500: "our mistake",
    503: "not now",
}
_RESPONSES: Final = {
    status: ResponseSpec(Problem, generate_examples=False, description=says, media_type=MEDIA_TYPE) for status, says in _PROBLEMS.items()
}


def application(house: House, also: Sequence[Router] = (), pages: Sequence[OpenAPIRenderPlugin] = ()) -> Litestar:
    """REST of *house*, to be served in its event loop; *also*: routes of other dialects, beside ours; *pages*: of the document."""
    handlers = [handler for part in PARTS for handler in part.HANDLERS]
    for handler in (*handlers, *health.HANDLERS):
        handler.responses = {**_RESPONSES, **(handler.responses or {})}
        handler.security = _SECURITY if "caller" in handler.fn.__annotations__ else None
    v1 = Router("/v1", route_handlers=handlers, before_request=admit)
    return Litestar(
        [v1, *health.HANDLERS, *also],
        state=State({"house": house}),
        dependencies={"house": Provide(lambda: house, sync_to_thread=False), "caller": Provide(caller)},
        exception_handlers={HTTPException: handle, Exception: handle},
        openapi_config=OpenAPIConfig(
            title="Outcry",
            version="1",
            description=_HOW,
            path="/docs",
            render_plugins=pages,
            use_handler_docstrings=True,
            components=Components(
                security_schemes={
                    "session": SecurityScheme(type="http", scheme="bearer", description="The token that POST /v1/sessions answers."),
                    "key": SecurityScheme(type="apiKey", name="Outcry-Key", security_scheme_in="header", description=_SIGNING),
                }
            ),
        ),
        compression_config=CompressionConfig(backend="gzip", minimum_size=1_024, gzip_compress_level=1),
        request_max_body_size=MAX_BODY_BYTES,
        logging_config=None,
    )


_HOW: Final = """Decimals and 64-bit numbers are text. What is read is as of a block, `as_of`; `at_least` asks for that one or a later one.

**Once.** A command is done once for each `command_id` of an account: sent again with it, the answer is that of the first time (`repeated`).
A partition remembers the last 65,536 ids. Who did not hear an answer sends the same again, or asks `GET /v1/commands/{command_id}`.

**Pages.** `next` of a page is the `cursor` of the one after: what comes meanwhile moves none. **ETag**: `If-None-Match`, 304.

**Problems** are documents of RFC 9457. A command's `outcome` is `none` when it was not and will not be executed, `unknown` when nobody can
say yet. 429 and 503 have `Retry-After`. A field that is not in this document is refused.
"""
_SECURITY: Final[list[dict[str, list[str]]]] = [{"session": []}, {"key": []}]
_SIGNING: Final = (
    "With Outcry-Time (nanoseconds of UTC), Outcry-Nonce (used once) and Outcry-Signature: base64 of the HMAC-SHA256 or Ed25519 signature "
    "of time, nonce, method and path with query, each followed by a line feed, and the body."
)
