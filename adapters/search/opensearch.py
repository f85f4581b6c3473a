"""An OpenSearch as we use it: bytes in, JSON out, and what went wrong in one word each."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, Final

import msgspec
import opensearchpy
from opensearchpy import OpenSearch
from opensearchpy.serializer import JSONSerializer

from projections.view import ViewAway

BUSY: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS})
_AWAY: Final = "it goes on when OpenSearch answers, and has room"
logging.getLogger("opensearch").setLevel(logging.CRITICAL)  # what goes wrong is told by whoever asked


class _Serializer(JSONSerializer):
    """Bytes as they are, else JSON."""

    def dumps(self, data: Any) -> Any:
        return data if isinstance(data, bytes | str) else msgspec.json.encode(data)

    def loads(self, s: Any) -> Any:
        return msgspec.json.decode(s)


class Missing(Exception):
    """There is no such index or document."""


class Conflict(Exception):
    """Another was there first."""


class Busy(Exception):
    """It has more to do than it takes on; it may take the same a little later."""


class Refused(Exception):
    """It will never take this. The text is its reason."""


def connect(url: str) -> OpenSearch:
    """A client. It tries nothing twice: who asks knows what may be asked again."""
    return OpenSearch(url, serializer=_Serializer(), max_retries=0, retry_on_timeout=False, http_compress=False, ssl_show_warn=False)


class Server:
    """Asks an OpenSearch. Every method raises ViewAway when it does not answer, or not as it should.

    name  of what is kept there, for errors
    """

    def __init__(self, client: OpenSearch, name: str) -> None:
        self._client, self._name = client, name

    def ask(self, method: str, path: str, body: object = None, *, patience_s: float, params: Mapping[str, Any] | None = None) -> Any:
        """The answer to one request. Raises Missing, Conflict, Busy, Refused, ViewAway."""
        headers = {"content-type": "application/x-ndjson"} if isinstance(body, bytes) else None
        with self._told_apart(f"{method} {path.partition('?')[0]}"):
            return self._client.transport.perform_request(
                method, path, params={**(params or {}), "request_timeout": patience_s}, body=body, headers=headers
            )

    @contextmanager
    def _told_apart(self, what: str) -> Iterator[None]:
        try:
            yield
        except opensearchpy.NotFoundError as missing:
            raise Missing(what) from missing
        except opensearchpy.ConflictError as conflict:
            raise Conflict(what) from conflict
        except opensearchpy.TransportError as failed:
            if failed.status_code in BUSY:
                raise Busy(what) from failed
            if failed.status_code == HTTPStatus.BAD_REQUEST:
                raise Refused(reason_of(failed.info)) from failed
            why = reason_of(failed.info) if isinstance(failed.status_code, int) else f"{failed.error}"
            raise ViewAway(f"view {self._name}: {what}: OpenSearch: {why}; {_AWAY}") from failed
        except opensearchpy.OpenSearchException as failed:
            raise ViewAway(f"view {self._name}: {what}: OpenSearch: {failed}; {_AWAY}") from failed


def reason_of(info: Any) -> str:
    """What an answer says of an error, its causes included."""
    error = info.get("error", info) if isinstance(info, Mapping) else info
    said = []
    while isinstance(error, Mapping):
        said.append(f"{error.get('type', '')}: {error.get('reason', '')}".strip(": "))
        error = error.get("caused_by")
    return "; ".join(said) or str(info)[:1_000]
