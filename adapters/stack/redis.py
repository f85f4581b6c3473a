"""Redis as a server of a stack. It holds views, which are rebuilt from the record when they are gone, so it may lose its last second.

It listens on a socket in its own folder and on no port: who may enter the folder may come in, and there is no password to keep.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Final
from urllib.parse import quote

import redis

from adapters.stack import install, loopback
from adapters.stack.server import Server

SOCKET: Final = "socket"  # in the folder where it starts: no character of a longer path can mislead it
SETTINGS: Final[Mapping[str, str]] = {
    "port": "0",
    "unixsocket": SOCKET,
    "unixsocketperm": "700",
    "appendonly": "yes",  # comes back with its rows, and each write whole: they are short of at most the last second
    "appendfsync": "everysec",
    "save": "",
    "maxmemory-policy": "noeviction",  # a view that lost a row would be wrong; one that cannot be written is only behind
    "lazyfree-lazy-server-del": "yes",  # a view that another one replaces is freed aside
    "lazyfree-lazy-user-del": "yes",
    "lazyfree-lazy-user-flush": "yes",
}


class Redis(Server):
    """One Redis server.

    memory_mb  of what it holds; full, it refuses to be written and goes on to be read
    settings   of Redis, over ours; in effect from the next start
    """

    listeners: ClassVar[Sequence[str]] = ()

    def __init__(self, folder: Path, *, memory_mb: int) -> None:
        super().__init__("redis", folder, 0)
        self.memory_mb = memory_mb
        self.settings: dict[str, str] = {}
        self.socket, self.program = folder / SOCKET, folder / "redis-server"
        loopback.check_socket(self.socket)

    @property
    def address(self) -> str:
        """Its socket."""
        return str(self.socket)

    @property
    def url(self) -> str:
        """How clients connect."""
        return f"unix://{quote(str(self.socket))}"

    @property
    def role(self) -> str:
        """What it holds."""
        return "views"

    def check(self) -> None:
        """As every server."""
        install.need(install.REDIS)
        self.user = install.system_user()
        self.make_folder()
        self.folder.chmod(0o700)

    def prepare(self) -> None:
        """The program under the name by which it knows what it is."""
        self.program.unlink(missing_ok=True)
        self.program.symlink_to(install.need(install.REDIS))

    def command(self) -> Sequence[str]:
        """The server and all its settings, of which none is secret. A file whose path reads like a pattern it would silently do without."""
        return [str(self.program), *(word for key, value in self.all_settings().items() for word in (f"--{key}", value))]

    def ready(self) -> bool:
        """Whether it answers, which it does when it has read what it had kept."""
        try:
            with redis.Redis(unix_socket_path=str(self.socket), socket_timeout=2) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def all_settings(self) -> dict[str, str]:
        """As of the next start."""
        return {**SETTINGS, "maxmemory": f"{self.memory_mb}mb", **self.settings}
