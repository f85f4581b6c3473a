"""Answers that a client may have already: it says which it has, and is told when that is still so (RFC 9110, ETag)."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Final, TypeVar, cast

from litestar import Response
from litestar.openapi.datastructures import ResponseSpec

from adapters.doors.rest.asking import AnyRequest

T = TypeVar("T")
UNCHANGED: Final = {304: ResponseSpec(None, description="what you have is still so")}


def tagged(request: AnyRequest, of: object, made: Callable[[], T]) -> Response[T]:
    """What *made* makes of *of*; nothing but its tag, which is the same at every gateway, for who has that."""
    etag = f'W/"{blake2b(repr(of).encode(), digest_size=12).hexdigest()}"'
    if etag in request.headers.get("if-none-match", ""):
        return cast("Response[T]", Response(None, status_code=304, headers={"ETag": etag}))
    return Response(made(), headers={"ETag": etag})
