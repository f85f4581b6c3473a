"""OpenSearch as a server of a stack: one node, without plugins. It holds an index, which is rebuilt from the record when it is gone.

It has no users and no passwords: whoever may run programs on this machine can read and change what is in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import ClassVar, Final

from adapters.stack import install, jars
from adapters.stack.jars import Jar
from adapters.stack.loopback import HOST
from adapters.stack.server import Server

VERSION: Final = "2.19.4"
PROGRAM: Final = f"opensearch-{VERSION}"
ARCHIVE: Final = Jar("org.opensearch.distribution.integ-test-zip", "opensearch", VERSION)
SETTINGS: Final[Mapping[str, str]] = {
    "cluster.name": "outcry",
    "node.name": "opensearch",
    "discovery.type": "single-node",
    "action.auto_create_index": "false",  # an index has a stated mapping, or is missing and somebody is told
    "action.destructive_requires_name": "true",
    # By bytes left, not by percent: a large disk that is nine tenths full is no reason to stop.
    "cluster.routing.allocation.disk.watermark.low": "2gb",
    "cluster.routing.allocation.disk.watermark.high": "1gb",
    "cluster.routing.allocation.disk.watermark.flood_stage": "500mb",
}
LOGGING: Final = """\
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d %p %c{1}: %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
"""
JAVA_OPTIONS: Final = """\
-Xms{heap_mb}m
-Xmx{heap_mb}m
-XX:+UseG1GC
-XX:G1ReservePercent=25
-XX:InitiatingHeapOccupancyPercent=30
-XX:+ExitOnOutOfMemoryError
-Djava.io.tmpdir=${{OPENSEARCH_TMPDIR}}
18-:-Djava.security.manager=allow
20-:--add-modules=jdk.incubator.vector
-Djava.util.concurrent.ForkJoinPool.common.threadFactory=org.opensearch.secure_sm.SecuredForkJoinWorkerThreadFactory
"""


class OpenSearch(Server):
    """One OpenSearch node.

    heap_mb   memory of its heap; in all it takes about 300 MB more
    settings  of opensearch.yml, over ours; in effect from the next start
    """

    ready_s: ClassVar[float] = 120.0

    def __init__(self, folder: Path, port: int, *, heap_mb: int) -> None:
        super().__init__("opensearch", folder, port)
        self.heap_mb = heap_mb
        self.settings: dict[str, str] = {}
        self.configuration, self.scratch = folder / "config", folder / "scratch"

    @property
    def role(self) -> str:
        """What it holds."""
        return "audit index"

    def check(self) -> None:
        """As every server; it refuses to run as root."""
        install.need(install.JAVA)
        jars.unpacked(PROGRAM, ARCHIVE)
        self.user = install.system_user()
        self.make_folder()

    def prepare(self) -> None:
        """The settings as they are now, and which Java it runs on."""
        for folder in (self.configuration, self.scratch):
            folder.mkdir(mode=0o700, exist_ok=True)
            self.hand_over(folder)
        self.write(self.configuration / "log4j2.properties", LOGGING)
        self.write(self.configuration / "jvm.options", JAVA_OPTIONS.format(heap_mb=self.heap_mb))
        self.write(self.configuration / "opensearch.yml", json.dumps(self.all_settings(), indent=1))  # JSON is YAML
        self.environment |= {
            "OPENSEARCH_PATH_CONF": str(self.configuration),
            "OPENSEARCH_JAVA_HOME": str(install.need(install.JAVA).resolve().parent.parent),
            "OPENSEARCH_TMPDIR": str(self.scratch),
        }

    def command(self) -> Sequence[str]:
        """The start script, which becomes the server; everything else stands in its settings."""
        return [str(jars.unpacked(PROGRAM, ARCHIVE) / "bin" / "opensearch")]

    def ready(self) -> bool:
        """Whether it has taken up its indices: all that were closed in order, and those that a kill left."""
        with closing(HTTPConnection(HOST, self.port, timeout=3)) as connection:
            try:
                connection.request("GET", "/_cluster/health?wait_for_status=yellow&timeout=1s")
                return connection.getresponse().status == HTTPStatus.OK
            except (OSError, HTTPException):
                return False

    def all_settings(self) -> dict[str, str]:
        """opensearch.yml, as of the next start. Nodes would talk to one another by a port that nobody needs to know: there is one node."""
        return {
            **SETTINGS,
            "network.host": HOST,
            "http.port": str(self.port),
            "transport.port": "0",
            "path.data": str(self.folder / "data"),
            "path.logs": str(self.folder),
            **self.settings,
        }
