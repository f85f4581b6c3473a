"""What a stack must remember between two processes: stack.json in its folder, and the passwords of the roles in a file of libpq."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Final

import msgspec

from adapters.stack.errors import BadStack
from adapters.stack.postgres import ROLES

FILE: Final = "stack.json"
PASSWORDS: Final = "passwords"
PRIMARY: Final = "postgres"
ADDED: Final = ("kafka", "postgres", "standbys", "redis", "opensearch", "nginx", "gateways")  # never taken away again
STANDBY: Final = "standby"  # the first; then standby2, ...: what a replication slot may be called


class Shape(msgspec.Struct, frozen=True):
    """What a stack is made of: see Stack."""

    kafka_nodes: int = 1
    standbys: int | bool = msgspec.field(default=0, name="standby")  # earlier releases knew one, or none
    synchronous: bool = False
    partitions: int = 1
    kafka: bool = True
    postgres: bool = True
    kafka_heap_mb: int = 384
    redis: bool = False
    redis_memory_mb: int = 512
    opensearch: bool = False
    opensearch_heap_mb: int = 1_024
    nginx: bool = False
    gateways: int = 0


def _cluster_id() -> str:
    """A new id of a Kafka cluster: 16 bytes in base64, and no dash in front, which would read as an option."""
    return "k" + secrets.token_urlsafe(16)[1:]


class State(msgspec.Struct):
    """All of stack.json.

    shape    everything that was ever asked for in this folder
    primary  name of the PostgreSQL server that takes writes
    ports    by name of the server; Kafka's controllers are "kafka-1-controller", ..., gateways "gateway-1-rest" and "gateway-1-ws", ...
    """

    shape: Shape
    primary: str = PRIMARY
    ports: dict[str, int] = {}
    kafka_cluster_id: str = msgspec.field(default_factory=_cluster_id)


def found(folder: Path) -> State | None:
    """What the folder remembers; None: it holds no stack. Raises BadStack when its file is none of ours."""
    path = folder / FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=State)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except msgspec.DecodeError as wrong:
        raise BadStack(f"{path}: {wrong}; right would be the file that `outcry stack up` wrote, or another folder") from None


def load(folder: Path, asked: Shape) -> State:
    """What the folder remembers, with what is asked for now added to it. Raises BadStack when both cannot be."""
    state = found(folder)
    if state is None:
        return State(asked)
    kept = state.shape
    for key in ("partitions", *(("kafka_nodes",) if kept.kafka and asked.kafka else ())):
        if getattr(kept, key) != getattr(asked, key):
            raise BadStack(
                f"the stack in {folder} was made with {key} = {getattr(kept, key)}, asked for are {getattr(asked, key)}; "
                "right would be that number, or another folder"
            )
    added = {key: max(getattr(asked, key), getattr(kept, key)) for key in ADDED}
    state.shape = msgspec.structs.replace(asked, **added)
    return state


def save(folder: Path, state: State) -> None:
    """Replace stack.json as a whole."""
    new = folder / f"{FILE}.new"
    new.write_bytes(msgspec.json.format(msgspec.json.encode(state)))
    new.replace(folder / FILE)


def passwords(folder: Path) -> dict[str, str]:
    """Passwords of the roles: made once, in a file that only we can read."""
    file = folder / PASSWORDS
    if not file.exists():
        new = file.with_suffix(".new")
        new.touch(0o600)
        new.write_text("".join(f"*:*:*:{role}:{secrets.token_urlsafe(24)}\n" for role in ROLES))
        new.replace(file)
    lines = (line.split(":") for line in file.read_text().splitlines())
    return {fields[3]: fields[4] for fields in lines}
