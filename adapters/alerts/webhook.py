"""Alerts posted to an address that a user named: signed, bounded, and only to where anybody could reach from outside.

    POST …                               body: JSON, adapters/alerts/words.py
    Idempotency-Key: 1:alert:7:…:3       the name of the alert: the same each time it is sent
    Outcry-Signature: t=TIME,v1=HEX      HMAC-SHA256 with the account's key over TIME, a dot and the body; TIME: seconds since 1970

The host's address is looked up once, checked, and connected to: what a second look-up would say does not matter.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import ssl
import time
from functools import cache
from typing import Final

import httpx

from adapters.settings import BadSettings, Settings

TOTAL_S: Final = 10.0
CONNECT_S: Final = 3.0
TRY_AGAIN: Final = frozenset({408, 425, 429})


class Undelivered(Exception):
    """It did not arrive, and may the next time."""


class Refused(Exception):
    """It cannot arrive: trying again would not help."""


def account_key(settings: Settings, account: int) -> str:
    """The key of an account, hexadecimal. Raises BadSettings."""
    if not settings.webhook_key:
        raise BadSettings(
            "webhook_key is not set; right would be a long random line that nobody else knows, from which accounts' keys are made"
        )
    return hmac.new(settings.webhook_key.encode(), f"account:{account}".encode(), hashlib.sha256).hexdigest()


def signature(key: str, body: bytes, now_s: int) -> str:
    """What stands in the header."""
    signed = hmac.new(bytes.fromhex(key), f"{now_s}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={now_s},v1={signed}"


def post(url: str, body: bytes, name: str, key: str, *, anywhere: bool) -> None:
    """Post *body*, the alert called *name*, to *url*. anywhere: also within this machine and private networks, also without TLS.

    Raises Undelivered, Refused.
    """
    asyncio.run(_post(url, body, name, key, anywhere=anywhere))


async def _post(url: str, body: bytes, name: str, key: str, *, anywhere: bool) -> None:
    try:
        target = httpx.URL(url)
    except httpx.InvalidURL as wrong:
        raise Refused(f"{url!r} is no address: {wrong}") from None
    if target.scheme not in ({"http", "https"} if anywhere else {"https"}) or not target.host or target.userinfo:
        raise Refused(f"{url!r} is no address to post to; right would be https://HOST/PATH")
    headers = {
        "Host": target.netloc.decode("ascii"),
        "Content-Type": "application/json",
        "User-Agent": "outcry",
        "Idempotency-Key": name,
        "Outcry-Signature": signature(key, body, int(time.time())),
    }
    try:
        async with asyncio.timeout(TOTAL_S):
            address = await _address(target, anywhere=anywhere)
            async with httpx.AsyncClient(verify=_trusted(), trust_env=False, timeout=httpx.Timeout(TOTAL_S, connect=CONNECT_S)) as client:
                request = client.build_request(
                    "POST", target.copy_with(host=address), content=body, headers=headers, extensions={"sni_hostname": target.host}
                )
                answer = await client.send(request, stream=True)  # its body is nothing to us, and may be endless
                await answer.aclose()
    except TimeoutError:
        raise Undelivered(f"no answer within {TOTAL_S:.0f} s") from None
    except httpx.TransportError as failed:
        raise Undelivered(f"{type(failed).__name__}: {failed}") from failed
    if answer.status_code in TRY_AGAIN or answer.status_code >= 500:
        raise Undelivered(f"answered {answer.status_code}")
    if not answer.is_success:
        raise Refused(f"answered {answer.status_code}; right would be 2xx" + (", not elsewhere" if answer.is_redirect else ""))


async def _address(target: httpx.URL, *, anywhere: bool) -> str:
    """Where to connect to. Raises Undelivered, Refused."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(target.host, target.port or 443, type=1)
    except OSError as failed:
        raise Undelivered(f"{target.host}: {failed}") from failed
    addresses = [ipaddress.ip_address(str(each[4][0]).partition("%")[0]) for each in found]
    wrong = [address for address in addresses if not _is_public(address)]
    if wrong and not anywhere:
        raise Refused(f"{target.host} is {wrong[0]}, which is not public; webhooks go to public addresses only")
    return str(addresses[0])


def _is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if inner is not None:
            return _is_public(inner)
        if address in ipaddress.ip_network("64:ff9b::/96"):  # translated to IPv4
            return _is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return address.is_global and not address.is_multicast


@cache
def _trusted() -> ssl.SSLContext:
    return httpx.create_ssl_context()
