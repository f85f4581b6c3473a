"""Files of keys: what somebody needs to come in, and where. Readable by their owner alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec

from adapters.doors.seed import Person

FOLDER: Final = "keys"


class KeyFile(Person, frozen=True):
    """Somebody's key, and the addresses of the doors that it opens. authority: the file of who vouches for them, where they speak TLS."""

    rest: str
    websocket: str
    authority: str = ""


def path_of(folder: Path, user: str) -> Path:
    """Where the key of *user* lies in a store or stack."""
    return folder / FOLDER / f"{user}.json"


def write(folder: Path, person: Person, rest: str, websocket: str, authority: str = "") -> None:
    """Keep it. Raises OSError."""
    path = path_of(folder, person.user)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    new = path.with_suffix(".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as opened:
        where = {"rest": rest, "websocket": websocket, "authority": authority}
        opened.write(msgspec.json.format(msgspec.json.encode(KeyFile(**msgspec.structs.asdict(person) | where))))
    new.replace(path)


def kept(folder: Path) -> dict[str, KeyFile]:
    """Those of a store or stack, by user; a file that is none is passed over. Raises OSError."""
    found = {}
    for path in sorted((folder / FOLDER).glob("*.json")):
        try:
            found[path.stem] = msgspec.json.decode(path.read_bytes(), type=KeyFile)
        except msgspec.DecodeError:
            continue
    return found
