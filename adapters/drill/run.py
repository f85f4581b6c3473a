"""Running drills: one after the other, each followed by its control, on servers that are shared as far as they can be."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

from confluent_kafka import KafkaException

from adapters.drill.arena import Arena
from adapters.drill.disk import NoDisk
from adapters.drill.doors import Doors
from adapters.drill.drills import Drill
from adapters.drill.ground import Grounds, Servers
from adapters.drill.oracle import Verdict
from adapters.stack.errors import NotInstalled, StackFailed
from eventstore.errors import StoreFailed

Say = Callable[[str], None]
SHOWN: Final = 5
CONTROL_PATIENCE_S: Final = 3.0  # what is broken need not be waited for
CHANCES: Final = 5  # a fault at a random moment may meet nothing that the missing safeguard would have saved


@dataclass(frozen=True, slots=True)
class Effort:
    """How much load. rate: commands a second; before_s: earliest and latest moment of the fault; after_s: outcomes awaited after it."""

    rate: int
    before_s: tuple[float, float]
    after_s: float
    patience_s: float


SHORT: Final = Effort(1_500, (0.3, 1.2), 0.5, 15.0)
LONG: Final = Effort(4_000, (2.0, 10.0), 5.0, 60.0)


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one drill, or of its control.

    control   without which safeguard; empty: the drill itself
    skipped   why this machine could not; empty: it did
    passed    the drill: nothing to be said against it; the control: something
    """

    drill: str
    happens: str
    control: str
    seconds: float
    passed: bool
    verdict: Verdict
    skipped: str = ""

    @property
    def says(self) -> str:
        """The verdict in a few words."""
        first = next(iter([*self.verdict.findings, *self.verdict.trouble]), "nothing").splitlines()[0]
        if self.skipped:
            return f"skipped: {self.skipped}"
        if self.control:
            return f"caught: {first}" if self.passed else f"NOT CAUGHT: {first}"
        return "holds" if self.passed else f"BROKEN: {first}"

    def fields(self) -> dict[str, Any]:
        """For JSON; findings are cut short."""
        verdict = asdict(self.verdict)
        for kind in ("lost", "doubled", "wrong"):
            verdict[kind], verdict[f"{kind}_first"] = len(verdict[kind]), verdict[kind][:SHOWN]
        return {
            "drill": self.drill,
            "fault": self.happens,
            "control": self.control,
            "seconds": round(self.seconds, 2),
            **verdict,
            "passed": self.passed,
            "says": self.says,
        }


def run(drills: Sequence[Drill], folder: Path, seed: int, effort: Effort, say: Say, *, controls: bool = True) -> Iterator[Result]:
    """Each drill and its control, in *folder*. Raises StackFailed when the servers cannot be had at all."""
    with Grounds(folder) as grounds:
        left = [servers for drill in drills for servers in (drill.servers, drill.control.servers)]
        for drill in drills:
            for control in (False, True) if controls else (False,):
                say(f"{drill.name}{f', control: {drill.control.without}' if control else ''}")
                result = attempt(drill, grounds, seed, effort, control=control)
                for chance in range(1, CHANCES if control else 1):
                    if not result.passed:
                        say(f"{drill.name}, control: the fault met nothing; once more")
                        result = attempt(drill, grounds, seed, effort, control=control, chance=chance)
                yield result
            for servers in (drill.servers, drill.control.servers):
                left.remove(servers)
                if servers is not None and servers is not Servers.PLAIN and servers not in left:
                    grounds.done_with(servers)


def attempt(drill: Drill, grounds: Grounds, seed: int, effort: Effort, *, control: bool, chance: int = 0) -> Result:
    """One drill, or its control; *chance*: how often the dice were thrown before."""
    began_s, without = time.monotonic(), drill.control.without if control else ""
    verdict, skipped, failed = Verdict(), "", ""
    try:
        verdict, failed = _held(drill, grounds, Random(f"{seed} {drill.name} {chance}"), effort, control=control)
    except (NoDisk, NotInstalled) as missing:
        skipped = str(missing)
    except (StackFailed, StoreFailed, KafkaException) as error:
        failed = str(error)
    seconds = time.monotonic() - began_s
    if failed:
        verdict.trouble.append(failed)
    if verdict.unknown:
        verdict.trouble.append(f"{verdict.unknown} outcomes stayed unknown")
    held = not (verdict.findings or verdict.trouble)
    caught = bool(verdict.findings and verdict.acknowledged)  # a market that never opened is no catch
    passed = bool(skipped) or (caught if control else held)
    return Result(drill.name, drill.happens, without, seconds, passed, verdict, skipped)


def _held(drill: Drill, grounds: Grounds, dice: Random, effort: Effort, *, control: bool) -> tuple[Verdict, str]:
    """The verdict, and what kept the drill from going on to its end. Raises NoDisk, NotInstalled."""
    missing = drill.control if control else None
    ground = grounds.of((missing and missing.servers) or drill.servers)
    arena = (Doors if ground.doors else Arena)(
        ground,
        grounds.folder / f"{drill.name}{'-control' if control else ''}",
        dice,
        rate=int(effort.rate * drill.load),
        sabotage=drill.sabotage + (missing.sabotage if missing else ()),
        proxied=drill.proxied,
        careless=bool(missing and missing.careless),
        keepers=drill.keepers,
        views_sabotage=drill.views + (missing.views if missing else ()),
    )
    patience_s, failed = (CONTROL_PATIENCE_S if missing else effort.patience_s), ""
    with arena:
        drill.prepare(arena)
        if missing:
            missing.prepare(arena)
        arena.begin()
        try:
            arena.pause(*effort.before_s)
            drill.fault(arena)
            arena.load.wait_told(int(effort.rate * drill.load * effort.after_s), patience_s)
        except (StackFailed, StoreFailed) as error:
            failed = str(error)
            with suppress(StackFailed):
                ground.mend()
        verdict = arena.end(patience_s)
    return verdict, failed
