"""Requests over HTTP: signed, and asked again for as long as that is safe and patience lasts."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final, Literal, TypeAlias, TypeVar

import httpx
import msgspec

from outcry.client.credentials import Credentials
from outcry.client.errors import ApiError, OutcomeUnknown, Problem, Refused
from outcry.client.retry import Again, error_of, patiently, unavailable

T = TypeVar("T")
Method: TypeAlias = Literal["GET", "POST", "PATCH", "DELETE"]
Query: TypeAlias = Mapping[str, str | int | None]
_NEVER_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class Rest:
    """Of one venue, in one event loop. patience_s: how long something is tried again; timeout_s: how long an answer is waited for."""

    def __init__(
        self, address: str, credentials: Credentials | None, *, patience_s: float, timeout_s: float, tls: ssl.SSLContext | None
    ) -> None:
        self._credentials, self.patience_s = credentials, patience_s
        self._http = httpx.AsyncClient(base_url=address, timeout=timeout_s, verify=tls or address.startswith("https:"))

    async def close(self) -> None:
        """No more."""
        await self._http.aclose()

    async def get(self, path: str, query: Query, kind: type[T]) -> T:
        """What is at *path*. Raises ApiError."""
        try:
            async for attempt in patiently(self.patience_s):
                with attempt:
                    return await self._once("GET", path, query, None, kind)
        except Again as again:
            raise unavailable(again) from again
        raise AssertionError("the last attempt returned or raised")

    async def command(self, method: Method, path: str, query: Query, body: object, kind: type[T], command_ids: list[str]) -> T:
        """What the venue answers to commands that the request names, which are therefore done once however often it is sent.

        Raises ApiError when they were not executed, OutcomeUnknown when that is not known.
        """
        may_be_done = False
        try:
            async for attempt in patiently(self.patience_s):
                with attempt:
                    try:
                        return await self._once(method, path, query, body, kind)
                    except Again as again:
                        may_be_done |= again.may_be_done
                        raise
        except Refused:
            raise
        except (Again, ApiError) as error:
            if may_be_done:
                raise OutcomeUnknown(command_ids, str(error)) from error
            raise (unavailable(error) if isinstance(error, Again) else error) from error
        raise AssertionError("the last attempt returned or raised")

    async def act(self, method: Method, path: str, query: Query, body: object, kind: type[T]) -> T:
        """What the venue answers to what has no id, and is therefore sent again only when it was not done. Raises as command."""
        try:
            async for attempt in patiently(self.patience_s):
                with attempt:
                    try:
                        return await self._once(method, path, query, body, kind)
                    except Again as again:
                        if again.may_be_done:
                            raise OutcomeUnknown([], str(again)) from again
                        raise
        except Again as again:
            raise unavailable(again) from again
        raise AssertionError("the last attempt returned or raised")

    async def _once(self, method: Method, path: str, query: Query, body: object, kind: type[T]) -> T:
        """Raises Again, ApiError."""
        content = b"" if body is None else msgspec.json.encode(body)
        given = {name: value for name, value in query.items() if value not in {None, ""}}
        request = self._http.build_request(method, f"/v1{path}", params=given, content=content)
        if content:
            request.headers["Content-Type"] = "application/json"
        if self._credentials is not None:
            signed = self._credentials.sign(method, request.url.raw_path.decode("ascii"), content)
            request.headers.update({f"Outcry-{name}": value for name, value in signed.items()})
        try:
            answer = await self._http.send(request)
        except httpx.TransportError as error:
            says = f"{type(error).__name__} {error}".strip()
            raise Again(Problem("no answer", 0, says), may_be_done=not isinstance(error, _NEVER_SENT)) from error
        if not answer.is_success:
            raise error_of(_problem(answer), retry_after_s=_retry_after_s(answer))
        return msgspec.json.decode(answer.content, type=kind)


def _problem(answer: httpx.Response) -> Problem:
    """Of an answer; one that the venue did not make, but a proxy on the way, is told by its status."""
    try:
        return msgspec.json.decode(answer.content, type=Problem)
    except msgspec.MsgspecError:
        return Problem(HTTPStatus(answer.status_code).phrase, answer.status_code)


def _retry_after_s(answer: httpx.Response) -> float:
    said = answer.headers.get("Retry-After", "")
    return float(said) if said.isdecimal() else 0.0
