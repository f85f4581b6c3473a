"""Workers of a drill: real processes of `outcry`, each with a log of its own; or the same with a safeguard removed (alter.py)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from adapters.stack.errors import StackFailed, with_log

SERVES_WITHIN_S: Final = 30.0
ENDS_WITHIN_S: Final = 20.0
POLL_S: Final = 0.02
PRODUCT: Final = "from adapters.cli.app import main; main()"
ALTERED: Final = "from adapters.drill.alter import alter; alter({names}); "
SERVE: Final = ("serve",)
SERVING: Final = ("serving", "doors are open")  # of a worker; of a gateway


def environment_of(settings: Mapping[str, object]) -> dict[str, str]:
    """Ours, with these settings and no others."""
    ours = {key: value for key, value in os.environ.items() if not key.startswith("OUTCRY_")}
    return ours | {f"OUTCRY_{key.upper()}": str(value) for key, value in settings.items()}


class Worker:
    """A process of `outcry COMMAND` with these *settings* (keys of Settings) and *environment*; with *sabotage*, one that is altered so."""

    def __init__(
        self,
        name: str,
        folder: Path,
        settings: Mapping[str, object],
        sabotage: Sequence[str],
        environment: dict[str, str],
        command: Sequence[str] = SERVE,
    ) -> None:
        self.name, self.log = name, folder / f"{name}.log"
        program = (ALTERED.format(names=list(sabotage)) if sabotage else "") + PRODUCT
        self.log.touch()
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-c", program, *command],
                env=environment_of({**settings, "worker": name}) | environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def alive(self) -> bool:
        """Whether it runs, stopped or not."""
        return self._process.poll() is None

    @property
    def serves(self) -> bool:
        """Whether it said so."""
        return any(line.get("message") in SERVING for line in self.said())

    def said(self) -> Iterator[dict[str, Any]]:
        """The lines of its log so far."""
        for line in self.log.read_bytes().splitlines():
            try:
                yield msgspec.json.decode(line, type=dict[str, Any])
            except msgspec.MsgspecError:
                continue

    def took_over(self) -> str:
        """When it last took the partition over, as its log says it; empty: never."""
        return max((line["time"] for line in self.said() if ": taken over in " in line.get("message", "")), default="")

    def wait_serving(self) -> None:
        """Wait until it serves. Raises StackFailed."""
        end = time.monotonic() + SERVES_WITHIN_S
        while not self.serves:
            if not self.alive or time.monotonic() > end:
                raise with_log(f"worker {self.name} does not serve", self.log)
            time.sleep(POLL_S)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; after SIGKILL it is gone."""
        self._process.send_signal(number)
        if number == signal.SIGKILL:
            self._process.wait()

    def stop(self) -> None:
        """Stop it as an operator would. Raises StackFailed when it does not end, or not well."""
        self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        try:
            code = self._process.wait(ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            raise StackFailed(
                f"worker {self.name} had not ended {ENDS_WITHIN_S:g} s after SIGTERM: killed; its log is {self.log}"
            ) from None
        if code != 0:
            raise with_log(f"worker {self.name} ended with code {code}", self.log)
