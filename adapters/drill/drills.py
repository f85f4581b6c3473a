"""The drills: what happens, on which servers, and the control: the same with the safeguard taken away that the drill is about."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import psycopg

from adapters.drill import faults
from adapters.drill.arena import Arena
from adapters.drill.ground import Servers
from adapters.stack import install
from adapters.stack.kafka import Kafka
from adapters.stack.postgres import MIGRATOR

Act = Callable[[Arena], None]


def _nothing(_: Arena) -> None:
    """All is as it should be."""


@dataclass(frozen=True, slots=True)
class Control:
    """The safeguard that is missing. without: in words; sabotage: of the workers; prepare: of the servers, before workers start."""

    without: str
    sabotage: tuple[str, ...] = ()
    prepare: Act = _nothing
    careless: bool = False
    servers: Servers | None = None


@dataclass(frozen=True, slots=True)
class Drill:
    """A fault, and what must hold nevertheless.

    sabotage  circumstances that the drill needs, and that no safeguard depends on
    prepare   of the servers, before workers start
    proxied   workers reach PostgreSQL through a proxy
    """

    name: str
    fault: Act
    control: Control
    servers: Servers = Servers.PLAIN
    sabotage: tuple[str, ...] = ()
    prepare: Act = _nothing
    proxied: bool = False

    @property
    def happens(self) -> str:
        """In words, in one line."""
        return " ".join((self.fault.__doc__ or "").split()).rstrip(".")


def without_comparison(arena: Arena) -> None:
    """The head moves wherever it stands and whoever asks; and nothing behind it minds."""
    with psycopg.connect(arena.ground.record.postgres_dsn(MIGRATOR, arena.database)) as owner:
        row = owner.execute("SELECT pg_get_functiondef('outcry.append'::regproc)").fetchone()
        assert row, "the record has the function that appends"
        altered = re.sub(r"AND epoch = new_epoch.*new_prev_hash", "", row[0])
        assert altered != row[0], "the comparison is where it is taken from"
        owner.execute(altered.encode())
        owner.execute("DROP TRIGGER a_head_only_advances ON outcry.head")
        owner.execute("ALTER TABLE outcry.blocks DROP CONSTRAINT blocks_pkey")


def without_synchronous_commit(arena: Arena) -> None:
    """A commit is answered before it is on its way to the disk."""
    with arena.ground.postgres.superuser() as db:
        db.execute(f"ALTER DATABASE {arena.database} SET synchronous_commit = off")


def without_sync(arena: Arena) -> None:
    """PostgreSQL believes that it syncs: a library says so to it."""
    _restarted(arena, {"LD_PRELOAD": str(install.need(install.EATMYDATA))})


def without_flush(arena: Arena) -> None:
    """Kafka answers before it syncs, as it does unless told otherwise."""
    node = arena.ground.bus.servers["kafka-1"]
    assert isinstance(node, Kafka), "a Kafka node"
    node.settings["log.flush.interval.messages"] = str(2**63 - 1)
    node.stop()
    node.start()
    del node.settings["log.flush.interval.messages"]  # of this run only: the next start is as it should be
    synced(arena)


def synced(arena: Arena) -> None:
    """What was written so far is on the disk: the power is cut on a server that runs for some time, not on one in the making."""
    assert arena.ground.disk is not None, "the ground has a disk"
    arena.ground.disk.sync()


def with_a_clock_of_its_own(arena: Arena) -> None:
    """Workers and PostgreSQL read the time that the host has, and what the file `clock` says more, in seconds.

    PostgreSQL by libfaketime; of the workers the code itself: under libfaketime 0.9.10 waits of Python and librdkafka fail or never end.
    """
    faults.set_clock(arena, 0)
    arena.environment["DRILL_CLOCK"] = str(arena.folder / faults.CLOCK)
    _restarted(
        arena,
        {
            "LD_PRELOAD": str(install.need(install.FAKETIME)),
            "FAKETIME_TIMESTAMP_FILE": str(arena.folder / faults.CLOCK),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        },
    )


def _restarted(arena: Arena, environment: dict[str, str]) -> None:
    """PostgreSQL anew with *environment*, until the drill ends."""
    postgres = arena.ground.postgres

    def anew() -> None:
        postgres.stop()
        postgres.start()

    def as_before() -> None:
        for key in environment:
            del postgres.environment[key]
        anew()

    postgres.environment |= environment
    arena.afterwards(as_before)
    anew()


NO_COMPARISON: Final = Control("the head is not compared", prepare=without_comparison)
NO_SYNCHRONOUS_COMMIT: Final = Control("synchronous_commit off", prepare=without_synchronous_commit, careless=True)
ACKNOWLEDGES_FIRST: Final = Control("acknowledges before the commit", ("acknowledges-first",))
RETRIES_BLINDLY: Final = Control("sends again without looking", ("retries-blindly",))
FIRES_AND_FORGETS: Final = Control("relays without asking whether it arrived", ("fires-and-forgets",))

DRILLS: Final = (
    Drill("owner-killed", faults.owner_is_killed, ACKNOWLEDGES_FIRST),
    Drill("zombie", faults.owner_sleeps, NO_COMPARISON),
    Drill("two-owners", faults.two_are_certain, NO_COMPARISON, sabotage=("alone",)),
    Drill("poison", faults.poison_is_sent, Control("skips what it cannot read", ("skips-what-it-cannot-read",))),
    Drill("rolling-restart", faults.workers_are_restarted, Control("forgets what it saw", ("forgets-what-it-saw",))),
    Drill("postgres-killed", faults.postgres_is_killed, NO_SYNCHRONOUS_COMMIT),
    Drill("kafka-killed", faults.broker_is_killed, FIRES_AND_FORGETS),
    Drill("everything-killed", faults.everything_is_killed, ACKNOWLEDGES_FIRST),
    Drill(
        "cut-request",
        faults.commits_are_cut_before_the_request,
        Control("takes a lost answer for a yes", ("believes-it-arrived",)),
        proxied=True,
    ),
    Drill("cut-answer", faults.commits_are_cut_before_the_answer, RETRIES_BLINDLY, proxied=True),
    Drill("slow-network", faults.network_is_slow, RETRIES_BLINDLY, proxied=True),
    Drill(
        "clock-jumps",
        faults.clock_jumps,
        Control("trusts the clock", ("trusts-the-clock",)),
        sabotage=("hosts-clock-jumps",),
        prepare=with_a_clock_of_its_own,
    ),
    Drill("slow-disk", faults.disk_is_slow, RETRIES_BLINDLY, Servers.OWN_DISK),
    Drill("disk-full", faults.disk_is_full, ACKNOWLEDGES_FIRST, Servers.OWN_DISK),
    Drill("power-cut", faults.power_is_cut, Control("syncs nothing (libeatmydata)", prepare=without_sync), Servers.OWN_DISK),
    Drill("kafka-disk-full", faults.disk_of_kafka_is_full, FIRES_AND_FORGETS, Servers.KAFKA_ON_OWN_DISK),
    Drill(
        "kafka-power-cut",
        faults.power_of_kafka_is_cut,
        Control("Kafka syncs when the system pleases", prepare=without_flush),
        Servers.KAFKA_ON_OWN_DISK,
        prepare=synced,
    ),
    Drill(
        "failover",
        faults.primary_is_lost,
        Control("a standby that nobody waits for", servers=Servers.LAGGING_STANDBY),
        Servers.STANDBY,
    ),
    Drill("broker-killed", faults.broker_is_killed, FIRES_AND_FORGETS, Servers.THREE_NODES),
)
BY_NAME: Final = {drill.name: drill for drill in DRILLS}
