"""Where workers are, and what each of them says of itself now. One that does not answer delays nobody who does."""

from __future__ import annotations

import http.client
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
from prometheus_client.parser import text_string_to_metric_families

PATIENCE_S: Final = 1.0
AT_ONCE: Final = 32
MAX_BYTES: Final = 16 * 2**20
WORKERS: Final = "workers"
_ADDRESS: Final = re.compile(r"(?:http://)?([\w.-]+|\[[0-9a-fA-F:]+\]):(\d{1,5})/?")


class BadAddress(ValueError):
    """An address of a worker that is none: what was given and what would be right."""


class Announced(msgspec.Struct):
    """The file in the stack's folder that a worker keeps while it serves."""

    worker: str
    pid: int
    port: int


class Place(NamedTuple):
    """Where a worker answers. worker and pid: as it announced them, else empty and 0."""

    host: str
    port: int
    worker: str = ""
    pid: int = 0

    @property
    def address(self) -> str:
        """host:port"""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Seen:
    """What one worker said.

    worker   what it is called
    at_s     when, monotonic
    samples  name -> labels and value of each of its series
    reasons  why it is not ready
    failure  why nothing is known, empty when it answered
    """

    place: Place
    worker: str
    at_s: float
    samples: Mapping[str, Sequence[tuple[Mapping[str, str], float]]] = field(default_factory=dict)
    reasons: Sequence[str] = ()
    failure: str = ""

    def of(self, name: str, **labels: str) -> Iterator[tuple[Mapping[str, str], float]]:
        """Labels and value of the series *name* that have these *labels*."""
        return ((has, value) for has, value in self.samples.get(name, ()) if labels.items() <= has.items())

    def value(self, name: str, **labels: str) -> float:
        """The sum of those series; 0 when there are none."""
        return sum(value for _, value in self.of(name, **labels))


def place(address: str) -> Place:
    """An address as people write it: http://127.0.0.1:9100, or without http://. Raises BadAddress."""
    found = _ADDRESS.fullmatch(address)
    if not found or not 0 < int(found[2]) < 65_536:
        raise BadAddress(f"{address!r} is no address of a worker; right would be for example http://127.0.0.1:9100")
    return Place(found[1].strip("[]"), int(found[2]))


def announced(stack: Path) -> list[Place]:
    """The workers that have a file in the folder of the stack. One that was killed has left its file there."""
    places = []
    for path in sorted((stack / WORKERS).glob("*.json")):
        try:
            found = msgspec.json.decode(path.read_bytes(), type=Announced)
        except (OSError, msgspec.DecodeError):  # it is just being written, or removed
            continue
        places.append(Place("127.0.0.1", found.port, found.worker, found.pid))
    return places


def scrape(places: Sequence[Place]) -> list[Seen]:
    """What is at each of *places*, asked side by side; takes PATIENCE_S or little more, whoever does not answer."""
    if not places:
        return []
    with ThreadPoolExecutor(min(len(places), AT_ONCE)) as pool:
        return list(pool.map(_ask, places))


def _ask(at: Place) -> Seen:
    try:
        samples = _samples(_get(at, "/metrics").decode())
        ready = msgspec.json.decode(_get(at, "/ready"), type=dict[str, Any])
    except (OSError, http.client.HTTPException, ValueError) as failed:
        return Seen(at, at.worker or at.address, time.monotonic(), failure=_why(at, failed))
    names = [has["worker"] for has, _ in samples.get("outcry_worker_info", ()) if "worker" in has]
    if not names or (at.worker and at.worker not in names):
        other = f"{names[0]} answers there now" if names else "no worker answers there"
        return Seen(at, at.worker or at.address, time.monotonic(), failure=other)
    return Seen(at, names[0], time.monotonic(), samples, [str(reason) for reason in ready.get("reasons", ())])


def _get(at: Place, path: str) -> bytes:
    with closing(http.client.HTTPConnection(at.host, at.port, timeout=PATIENCE_S)) as connection:
        connection.request("GET", path)
        return connection.getresponse().read(MAX_BYTES)


def _samples(text: str) -> dict[str, list[tuple[Mapping[str, str], float]]]:
    found: dict[str, list[tuple[Mapping[str, str], float]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def _why(at: Place, failed: Exception) -> str:
    if at.pid and not _runs(at.pid):
        return f"process {at.pid} has ended"
    if isinstance(failed, TimeoutError):
        return f"no answer within {PATIENCE_S:g} s"
    if isinstance(failed, ConnectionRefusedError):
        return "nobody listens there"
    return f"{type(failed).__name__}: {failed}"


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True
