"""nginx as a server of a stack: TLS, HTTP/2 and WebSockets before the gateways. What it does stands in `nginx.conf` beside this file."""

from __future__ import annotations

import http.client
import os
import resource
import signal
import ssl
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from string import Template
from typing import ClassVar, Final

from adapters.settings import GatewayPorts
from adapters.stack import install, process
from adapters.stack.authority import FILE, Authority
from adapters.stack.errors import with_log
from adapters.stack.loopback import HOST
from adapters.stack.server import Server

HERE: Final = Path(__file__).parent
TEMPLATE: Final = HERE / "nginx.conf"
PAGE: Final = HERE / "static" / "index.html"
STATUS: Final = "-status"
CONNECTIONS: Final = 65_536
WORKERS: Final = 4
BOUNDS: Final[Mapping[str, int]] = {  # of one address
    "REQUESTS_PER_S": 2_000,
    "REQUESTS_AT_ONCE": 4_000,
    "CONNECTIONS_OF_ONE": 512,
}


class Nginx(Server):
    """One nginx.

    gateways  where they listen, running or not
    bounds    over BOUNDS; in effect from the next start or `reload`
    access    its access log: JSON, a line for each request
    """

    listeners: ClassVar[Sequence[str]] = ("", STATUS)

    def __init__(self, folder: Path, port: int, *, gateways: Sequence[GatewayPorts] = (), status_port: int = 0) -> None:
        super().__init__("nginx", folder, port)
        self.gateways, self.status_port = list(gateways), status_port
        self.bounds: dict[str, int] = {}
        self.configuration, self.access = folder / "nginx.conf", folder / "access.log"

    @property
    def address(self) -> str:
        """Its URL."""
        return f"https://{HOST}:{self.port}"

    @property
    def role(self) -> str:
        """Before which gateways, and who vouches for it."""
        return f"{len(self.gateways)} gateways, --cacert {self.authority}"

    @property
    def _certificate(self) -> Path:
        return self.folder / "server.pem"

    @property
    def authority(self) -> Path:
        """The certificate by which clients know it."""
        return self.folder.parent / FILE

    def check(self) -> None:
        """As every server."""
        assert self.gateways, "there is something to stand before"
        install.need(install.NGINX)
        self.user = install.system_user()
        self.make_folder()
        self.folder.chmod(0o700)

    def prepare(self) -> None:
        """Certificate, page and configuration; and nobody of an earlier run holds its ports."""
        self._end_workers()
        self._furnish()

    def command(self) -> Sequence[str]:
        """Master and workers, all as its user: no port here needs more."""
        return self._command(self.configuration)

    def ready(self) -> bool:
        """Whether it answers over TLS; whether a gateway does is another question."""
        try:
            context = ssl.create_default_context(cafile=str(self.authority))
            connection = http.client.HTTPSConnection(HOST, self.port, timeout=2, context=context)
            try:
                connection.request("GET", "/")
                return connection.getresponse().status == http.HTTPStatus.OK
            finally:
                connection.close()
        except (OSError, http.client.HTTPException):
            return False

    def reload(self) -> None:
        """Go on with gateways, bounds and certificate as of now, no connection lost. Raises StackFailed: then nothing has changed.

        Nothing happens where nothing is new: sockets of before a reload are cut in the end.
        """
        is_same = self.configuration.read_text() == self._configured()
        if is_same and Authority(self.folder.parent).vouches_for(self._certificate):
            return
        tried = self.folder / "tried.conf"
        self.write(tried, self._configured())
        said = self.folder / "tried.log"
        with said.open("wb") as output:
            if process.run([*self._command(tried), "-t"], output, self.user):
                raise with_log("nginx does not take its new configuration, and goes on with the old one", said)
        self._furnish()
        self.kill(signal.SIGHUP)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """As every server; its workers end with it."""
        super().kill(number)
        if number == signal.SIGKILL:
            self._end_workers()

    def _furnish(self) -> None:
        authority = Authority(self.folder.parent)
        if not authority.vouches_for(self._certificate):
            issued = authority.issue()
            self.write(self.folder / "server.key", issued.key)
            self.write(self._certificate, issued.certificate)
        static = self.folder / "static"
        static.mkdir(exist_ok=True)
        self.hand_over(static)
        self.write(static / "index.html", PAGE.read_text())
        self.write(self.configuration, self._configured())

    def _end_workers(self) -> None:
        """Whoever outlived a master that was killed, and would go on to serve."""
        for pid in self._left():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _left(self) -> Iterator[int]:
        """Processes of nginx in the session of a master that is gone."""
        known = self.process
        if known is None or known.alive():
            return
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                pid, _, rest = stat.read_text().partition(" (nginx) ")
                if rest and int(rest.split()[2]) == known.pid:
                    yield int(pid)

    def _command(self, configuration: Path) -> list[str]:
        return [str(install.need(install.NGINX)), "-e", "stderr", "-p", str(self.folder), "-c", str(configuration)]

    def _configured(self) -> str:
        """The template, filled in."""
        _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
        files = 2 * CONNECTIONS if files == resource.RLIM_INFINITY else min(files, 2 * CONNECTIONS)
        words = {
            "RUN": ".",
            "LOG": self.access.name,
            "STATIC": "static",
            "CERTIFICATE": "server.pem",
            "KEY": "server.key",
            "LISTEN": f"{HOST}:{self.port}",
            "STATUS": f"{HOST}:{self.status_port}",
            "WORKERS": min(WORKERS, os.cpu_count() or 1),
            "FILES": files,
            "CONNECTIONS": files // 2,
            "REST": upstreams(f"{HOST}:{each.rest}" for each in self.gateways),
            "WS": upstreams(f"{HOST}:{each.ws}" for each in self.gateways),
            **BOUNDS,
            **self.bounds,
        }
        return Template(TEMPLATE.read_text()).safe_substitute(words)


def upstreams(addresses: Iterable[str]) -> str:
    """Lines of an upstream: HOST:PORT of each gateway."""
    return "\n        ".join(f"server {address} max_fails=0;" for address in addresses)
