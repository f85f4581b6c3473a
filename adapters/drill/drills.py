"""The drills: what happens, on which servers, and the control: the same with the safeguard taken away that the drill is about."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import psycopg

from adapters.drill import door_faults, faults, view_faults
from adapters.drill.arena import Arena
from adapters.drill.ground import PARTITION, Servers
from adapters.stack import install
from adapters.stack.postgres import MIGRATOR
from eventstore import topics

Act = Callable[[Arena], None]


def _nothing(_: Arena) -> None:
    """All is as it should be."""


@dataclass(frozen=True, slots=True)
class Control:
    """The safeguard that is missing.

    without   in words
    sabotage  of the workers; views: of those that keep views
    prepare   of the servers, before workers start
    """

    without: str
    sabotage: tuple[str, ...] = ()
    views: tuple[str, ...] = ()
    prepare: Act = _nothing
    careless: bool = False
    servers: Servers | None = None


@dataclass(frozen=True, slots=True)
class Drill:
    """A fault, and what must hold nevertheless.

    sabotage  circumstances that the drill needs, and that no safeguard depends on; views: of the workers that keep views
    prepare   of the servers, before workers start
    proxied   workers reach PostgreSQL through a proxy
    keepers   how many workers keep views
    load      share of the load, where views that are far behind would not meet the fault
    """

    name: str
    fault: Act
    control: Control
    servers: Servers = Servers.PLAIN
    sabotage: tuple[str, ...] = ()
    prepare: Act = _nothing
    proxied: bool = False
    views: tuple[str, ...] = ()
    keepers: int = 1
    load: float = 1.0

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


def synced(arena: Arena) -> None:
    """What was written so far is on the disk: the power is cut on a server that runs for some time, not on one in the making."""
    assert arena.ground.disk is not None, "the ground has a disk"
    arena.ground.disk.sync()


def that_trusts_acknowledgements(arena: Arena) -> None:
    """Workers have one file for what the brokers acknowledged: whoever relays next goes on from there."""
    acknowledged = arena.folder / "acknowledged"
    acknowledged.write_text("0")
    arena.environment["DRILL_ACKNOWLEDGED"] = str(acknowledged)


def with_a_topic_of_their_own(arena: Arena) -> None:
    """Workers of views do not find blocks where workers relay them, but where the drill brings them."""
    prefix = f"{arena.database}-"
    arena.views.settings["topic_prefix"] = prefix
    topics.create(arena.bootstrap, topics.wanted(PARTITION, prefix=prefix)[:1])


def with_views_named(arena: Arena) -> None:
    """For workers that would not do without them."""
    arena.environment["DRILL_VIEWS"] = arena.views.url


def with_redis_named(arena: Arena) -> None:
    """As with_views_named, for the Redis of gateways."""
    arena.environment["DRILL_VIEWS"] = door_faults.doors_of(arena).doors.redis_url


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


def with_rash_clients(arena: Arena) -> None:
    """Clients that do not know what an id is for."""
    door_faults.doors_of(arena).rash = True


def without_draining(arena: Arena) -> None:
    """A gateway that is to end is killed."""
    door_faults.doors_of(arena).drains = False


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
ROWS_APART: Final = Control("rows and position written apart", views=("parts-rows-from-position",))
WRITES_BLINDLY: Final = Control("neither what was there nor what arrived is looked at", views=("writes-blindly",))
BELIEVES_THE_TOPIC: Final = Control("believes that the topic brings all", views=("believes-the-topic",))
NEW_IDS: Final = Control("clients send again under a new id", prepare=with_rash_clients)
WAITS_FOR_VIEWS: Final = Control("trades when views are written", ("trades-wait-for-views",), prepare=with_views_named)

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
        Control("relays on without looking what is left", ("never-looks-again",), prepare=that_trusts_acknowledgements),
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
    Drill("views-killed", view_faults.keeper_is_killed, ROWS_APART, Servers.VIEWS, keepers=2),
    Drill("views-zombie", view_faults.keeper_sleeps, WRITES_BLINDLY, Servers.VIEWS, keepers=2),
    Drill("views-rebalance", view_faults.keepers_come_and_go, ROWS_APART, Servers.VIEWS),
    Drill("views-kafka-killed", faults.broker_is_killed, ROWS_APART, Servers.VIEWS),
    Drill("views-everything-killed", view_faults.everything_is_killed, ROWS_APART, Servers.VIEWS),
    Drill("redis-killed", view_faults.views_server_is_killed, WRITES_BLINDLY, Servers.VIEWS),
    Drill("redis-replaced", view_faults.redis_is_replaced, WRITES_BLINDLY, Servers.VIEWS),
    Drill(
        "redis-replaced-overnight",
        view_faults.redis_is_replaced_overnight,
        Control("only who writes looks at what is there", views=("never-looks-at-views",)),
        Servers.VIEWS,
    ),
    Drill("redis-full", view_faults.redis_is_full, WRITES_BLINDLY, Servers.VIEWS),
    Drill("redis-hangs", view_faults.views_server_hangs, WAITS_FOR_VIEWS, Servers.VIEWS),
    Drill(
        "opensearch-killed",
        view_faults.views_server_is_killed,
        Control("the position is written before the documents", views=("documents-last",)),
        Servers.AUDIT,
        load=0.2,
    ),
    Drill("opensearch-hangs", view_faults.views_server_hangs, WAITS_FOR_VIEWS, Servers.AUDIT, load=0.2),
    Drill(
        "topic-tampered",
        view_faults.topic_is_tampered_with,
        BELIEVES_THE_TOPIC,
        Servers.VIEWS,
        prepare=with_a_topic_of_their_own,
        load=0.01,
    ),
    Drill(
        "view-poison",
        view_faults.view_meets_its_poison,
        Control("passes over what it cannot take in", views=("passes-over-poison",)),
        Servers.VIEWS,
        views=("chokes-on-a-block",),
    ),
    Drill("gateways-killed", door_faults.gateways_are_killed, NEW_IDS, Servers.DOORS),
    Drill("gateway-zombie", door_faults.gateway_sleeps, NEW_IDS, Servers.DOORS),
    Drill(
        "gateways-restarted",
        door_faults.gateways_are_restarted,
        Control("gateways end at once", prepare=without_draining),
        Servers.DOORS,
    ),
    Drill("doors-owner-killed", door_faults.owner_is_killed, NEW_IDS, Servers.DOORS),
    Drill("doors-postgres-killed", door_faults.postgres_is_killed, NEW_IDS, Servers.DOORS),
    Drill("doors-kafka-killed", door_faults.broker_is_killed, NEW_IDS, Servers.DOORS),
    Drill(
        "doors-redis-killed",
        door_faults.redis_is_killed,
        Control("trades when Redis answers", ("trades-wait-for-views",), prepare=with_redis_named),
        Servers.DOORS,
    ),
)
BY_NAME: Final = {drill.name: drill for drill in DRILLS}
