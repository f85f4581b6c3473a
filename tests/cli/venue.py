"""`outcry demo` as a process: a venue that may be stopped, killed and started again where it was."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from adapters.stack import loopback
from tests.waiting import PATIENCE_S, eventually

OUTCRY = str(Path(sys.executable).parent / "outcry")


class Venue:
    """A venue in *folder*, with *options* of `outcry demo`."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder, self._options = folder, options
        self._log = folder.parent / f"{folder.name}.log"
        rest = loopback.free_port(())  # none that a client may be given meanwhile
        ports = {"OUTCRY_REST_PORT": str(rest), "OUTCRY_WS_PORT": str(loopback.free_port((rest,)))}
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("OUTCRY_")} | ports
        self.process: subprocess.Popen[bytes]
        self.start()

    def start(self) -> None:
        """Open it, where it was."""
        with self._log.open("wb") as log:
            command = [OUTCRY, "demo", "--store", self.folder.name, *self._options]
            self.process = subprocess.Popen(command, stderr=log, stdout=log, cwd=self.folder.parent, env=self._environment)
        eventually(lambda: "Ctrl-C ends it" in self.said or self.process.poll() is not None, lambda: self.said)
        assert self.process.poll() is None, f"{self.process.returncode}: {self.said}"
        found = re.search(r"REST (\S+)/v1 .* WebSocket (\S+)", self.said)
        assert found is not None
        self.rest, self.websocket = found.groups()

    @property
    def said(self) -> str:
        """All that it printed."""
        return self._log.read_text()

    @property
    def typed(self) -> list[str]:
        """The commands that it says one may type."""
        return [line.strip() for line in self.said.splitlines() if line.startswith("  ")]

    def key(self, user: str) -> Path:
        """File of the key of *user*."""
        return self.folder / "keys" / f"{user}.json"

    def kept(self, user: str) -> dict[str, str]:
        """What is in it."""
        return dict(json.loads(self.key(user).read_bytes()))

    def ends(self, sent: int) -> int:
        """Send a signal; the exit code."""
        self.process.send_signal(sent)
        return self.process.wait(PATIENCE_S)

    def close(self) -> None:
        """Be rid of it."""
        self.process.kill()
        self.process.wait()


def run(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """*line*, typed in *folder* by somebody who set nothing."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OUTCRY_")}
    return subprocess.run(
        ["bash", "-c", line], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )
