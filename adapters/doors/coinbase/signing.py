"""Who asks in the dialect: key, passphrase, and a signature of time, method, path and body.

    CB-ACCESS-KEY, CB-ACCESS-PASSPHRASE   as they were issued (keys of kind hmac)
    CB-ACCESS-TIMESTAMP                   seconds of UTC, decimals allowed
    CB-ACCESS-SIGN                        base64 of HMAC-SHA256 over TIMESTAMP METHOD PATH?QUERY BODY, PATH without /coinbase

The dialect has no word that is used once, so whoever overhears a request could say it again within the window. A new order, and a cancel
that does not name one order for ever, are therefore taken once. Two that are the same to the letter, signed for the same second, are told
apart by nothing: a client that means both gives its orders a client_oid.
"""

from __future__ import annotations

import re
import time
from typing import Final, NamedTuple

from litestar.di import NamedDependency

from adapters.doors.access import Caller, Denied, decoded
from adapters.doors.house import House
from adapters.doors.rest.asking import AnyRequest, address_of
from adapters.registry.credentials import has_passphrase

PREFIX: Final = "/coinbase"
_TIMESTAMP: Final = re.compile(r"(\d{1,10})(?:\.(\d{1,9}))?", re.ASCII)


class Signed(NamedTuple):
    """What somebody says of himself; timestamp and signature are of what he asks."""

    key: str
    passphrase: str
    timestamp: str
    signature: str


async def signed(request: AnyRequest, house: NamedDependency[House]) -> Caller:
    """Who asks by REST. Raises Denied, TooOften."""
    head = request.headers
    said = Signed(*(head.get(f"cb-access-{name}", "") for name in ("key", "passphrase", "timestamp", "sign")))
    path = request.scope["raw_path"].decode("latin-1").removeprefix(PREFIX)
    query = request.scope.get("query_string", b"").decode("latin-1")
    asked = f"{request.method}{path}?{query}" if query else f"{request.method}{path}"
    found = who(house, said, asked.encode("latin-1") + await request.body(), address_of(request))
    house.by_caller.take(found.key, time.monotonic())
    return found


def who(house: House, said: Signed, asked: bytes, address: str) -> Caller:
    """Who signed *asked* (METHOD PATH BODY). Raises Denied."""
    key, scopes = house.access.key(said.key, address)
    found = _TIMESTAMP.fullmatch(said.timestamp)
    if not has_passphrase(key, said.passphrase):
        raise Denied(401, "Invalid Passphrase")
    if found is None:
        raise Denied(401, "CB-ACCESS-TIMESTAMP is to be seconds of UTC")
    house.access.check_time(int(found[1]) * 10**9 + int((found[2] or "").ljust(9, "0")))
    if not house.credentials.is_signed(key, said.timestamp.encode() + asked, decoded(said.signature)):
        raise Denied(401, "invalid signature: it is to be of timestamp, method, path with query, and body")
    return house.access.of_key(key, scopes, address)


def once(request: AnyRequest, house: House, caller: Caller) -> None:
    """Raises Denied when this very request was taken before."""
    try:
        house.access.use_once(caller.key, request.headers["cb-access-sign"])
    except Denied as denied:
        if denied.status != 401:
            raise
        says = "this request was made before; sign a later CB-ACCESS-TIMESTAMP, or give the order a client_oid of its own"
        raise Denied(401, says) from denied
