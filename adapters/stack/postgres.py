"""PostgreSQL as a server of a stack: a primary, and standbys that stream from it. Replaying one from the other is PostgreSQL's own doing.

The superuser `postgres` comes in by the socket in the server's folder only, and only when the system says that it is the user who runs the
stack. Everybody else comes by 127.0.0.1 with a password (SCRAM), which stands in a file that only its owner can read.
"""

from __future__ import annotations

import logging
import os
import pwd
import shutil
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from subprocess import DEVNULL
from typing import ClassVar, Final

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.pq import PGconn, Ping

from adapters.stack import install, loopback, process
from adapters.stack.errors import StackFailed, with_log
from adapters.stack.loopback import HOST
from adapters.stack.server import PROBE_S, Server

_LOG: Final = logging.getLogger(__name__)
SYSTEM_USER: Final = "postgres"  # of Debian's package; the server refuses to run as root
DATABASE: Final = "outcry"
MIGRATOR, WRITER, READER, REPLICATOR = ROLES = ("outcry_migrator", "outcry_writer", "outcry_reader", "outcry_replicator")
SOCKET: Final = ".s.PGSQL.65535"
SETTINGS: Final[Mapping[str, str]] = {
    "listen_addresses": HOST,
    "shared_buffers": "256MB",
    "wal_level": "replica",
    "max_wal_size": "4GB",  # a checkpoint every gigabyte or two, not every few seconds, under load
    "wal_receiver_status_interval": "1s",
    "wal_retrieve_retry_interval": "200ms",  # a standby is back soon after its primary
    "wal_sender_timeout": "10s",
    "wal_receiver_timeout": "10s",
    "max_slot_wal_keep_size": "4GB",  # a standby that is gone for good must not fill the disk
    "hot_standby_feedback": "on",  # long reads at the standby are not cancelled
    "recovery_init_sync_method": "syncfs" if sys.platform == "linux" else "fsync",  # one flush, not a thousand, after a kill -9
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
    "log_line_prefix": "%m [%p] %q%u@%d ",
}
PASSING: Final = (b"pre-existing shared memory block", b'lock file "postmaster.pid" already exists')
CONFIGURATION: Final = "outcry.conf"
ACCESS: Final = """\
local all,replication postgres peer map=stack
host all outcry_migrator,outcry_writer,outcry_reader 127.0.0.1/32 scram-sha-256
host replication outcry_replicator 127.0.0.1/32 scram-sha-256
"""


class Postgres(Server):
    """One PostgreSQL server: a primary, or a standby when it *follows* another.

    follows      the primary whose log it streams; None: it is a primary
    synchronous  names of standbys of which one must have a commit before it is acknowledged
    settings     of PostgreSQL, over ours; in effect from the next start or `reload`
    passwords    of the roles, by name
    """

    stop_signal: ClassVar[signal.Signals] = signal.SIGINT  # "fast": open transactions are rolled back

    def __init__(self, name: str, folder: Path, port: int, *, passwords: Mapping[str, str]) -> None:
        super().__init__(name, folder, port)
        self.passwords = passwords
        self.follows: Postgres | None = None
        self.synchronous: Sequence[str] = ()
        self.settings: dict[str, str] = {}
        self.user = SYSTEM_USER if os.geteuid() == 0 else None
        self.data, self.sockets, self.passfile = folder / "data", folder, folder / "passwords"
        loopback.check_socket(folder / SOCKET)

    def check(self) -> None:
        """As every server; its user must get to the folder from the root."""
        install.need(install.POSTGRES)  # with it comes that user
        self.make_folder()

    def prepare(self) -> None:
        """A data directory: a new one, or a copy of the primary's; and the settings as they are now."""
        self.write(self.passfile, f"*:*:*:{REPLICATOR}:{self.passwords[REPLICATOR]}\n")
        if self.follows and self.data.exists() and not self._is_standby():
            # It was the primary before the other was promoted, and may hold what nobody else has: set aside, never deleted.
            self.data.rename(self.folder / f"data-until-{time.time_ns()}")
        if not (self.data / "PG_VERSION").exists():
            shutil.rmtree(self.data, ignore_errors=True)  # what an interrupted attempt left
            _LOG.info("%s: %s", self.name, f"copying {self.follows.name}" if self.follows else "making a new database cluster")
            self._copy() if self.follows else self._create()
        self._configure()

    def command(self) -> Sequence[str]:
        """The server itself; everything else stands in its settings."""
        return [str(install.need(install.POSTGRES) / "postgres"), "-D", str(self.data)]

    def start(self, *, wait: bool = True) -> None:
        """As every server. What a kill -9 left may be in the way for a moment: orphans with its memory, a zombie of its number."""
        end = time.monotonic() + self.stop_s
        while True:
            begin = self.log.stat().st_size if self.log.exists() else 0
            try:
                return super().start(wait=wait)
            except StackFailed:
                said = self.log.read_bytes()[begin:]
                if not any(obstacle in said for obstacle in PASSING) or time.monotonic() > end:
                    raise

    @property
    def role(self) -> str:
        """Primary or standby, as its data says."""
        return "standby" if self._is_standby() else "primary"

    def ready(self) -> bool:
        """Whether it takes connections of clients; a standby: for reading."""
        asked = make_conninfo(host=HOST, port=self.port, dbname=DATABASE, user=READER, connect_timeout=2)
        return PGconn.ping(asked.encode()) == Ping.OK

    def dsn(self, role: str, passfile: Path, database: str = DATABASE) -> str:
        """How a client connects to this very server as *role*."""
        return make_conninfo(host=HOST, port=self.port, dbname=database, user=role, passfile=str(passfile), connect_timeout=3)

    def superuser(self, database: str = "postgres") -> psycopg.Connection:
        """A connection of the superuser, autocommit, that waits for no standby. Raises StackFailed."""
        options = "-c synchronous_commit=local"
        try:
            return psycopg.connect(
                host=str(self.sockets), port=self.port, dbname=database, user="postgres", options=options, autocommit=True
            )
        except psycopg.OperationalError as failed:
            raise with_log(f"{self.name} does not let its superuser in ({failed})", self.log) from None

    def provision(self, standbys: Sequence[str]) -> None:
        """The roles, the database, a slot for each of *standbys*, as far as they are missing."""
        with self.superuser() as connection:
            for role in ROLES:
                # The server is told a verifier, not the password: statements may be logged.
                verifier = connection.pgconn.encrypt_password(self.passwords[role].encode(), role.encode(), b"scram-sha-256").decode()
                exists = connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [role]).fetchone() is not None
                kind = sql.SQL("LOGIN REPLICATION" if role == REPLICATOR else "LOGIN")
                change = sql.SQL("ALTER ROLE" if exists else "CREATE ROLE")
                connection.execute(sql.SQL("{} {} {} PASSWORD {}").format(change, sql.Identifier(role), kind, sql.Literal(verifier)))
            if connection.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE]).fetchone() is None:
                self.create_database(DATABASE)
            for slot in standbys:
                if connection.execute("SELECT FROM pg_replication_slots WHERE slot_name = %s", [slot]).fetchone() is None:
                    connection.execute("SELECT pg_create_physical_replication_slot(%s, true)", [slot])

    def create_database(self, name: str, template: str = "template0") -> None:
        """A database that the migrator owns and only our roles may enter. Nobody may be connected to *template*."""
        database, migrator, public = sql.Identifier(name), sql.Identifier(MIGRATOR), sql.SQL("PUBLIC")
        with self.superuser() as connection:
            connection.execute(sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}").format(database, migrator, sql.Identifier(template)))
            connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM {}").format(database, public))
            for role in (WRITER, READER):
                connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(database, sql.Identifier(role)))

    def reload(self) -> None:
        """Put the settings as they are now into effect, as far as that needs no restart."""
        self._configure()
        self.kill(signal.SIGHUP)

    def wait_streamed_by(self, standby: Postgres) -> None:
        """Of a primary: wait until *standby* has its log, and says so. Raises StackFailed."""
        streams = "SELECT FROM pg_stat_replication WHERE application_name = %s AND state = 'streaming' AND flush_lsn IS NOT NULL"
        end = time.monotonic() + self.ready_s
        with self.superuser() as connection:
            while connection.execute(streams, [standby.name]).fetchone() is None:
                if time.monotonic() > end:
                    raise with_log(f"{standby.name} does not stream from {self.name}", standby.log)
                time.sleep(PROBE_S)

    def received(self) -> int:
        """Of a standby: how much of its primary's log it has, in bytes since the log began. Raises StackFailed."""
        last = "greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())"  # after a restart it has received nothing yet
        with self.superuser() as connection:
            (received,) = connection.execute(f"SELECT coalesce({last} - '0/0', 0)::bigint").fetchone() or (0,)
        return int(received)

    def promote(self) -> None:
        """Of a standby: become a primary, and return when it takes writes. Raises StackFailed."""
        with self.superuser() as connection:
            promoted = connection.execute("SELECT pg_promote(true, %s)", [int(self.ready_s)]).fetchone()
        if promoted != (True,):
            raise with_log(f"{self.name} did not become a primary within {self.ready_s:.0f} s", self.log)
        self.follows = None

    def _is_standby(self) -> bool:
        return (self.data / "standby.signal").exists()

    def _create(self) -> None:
        """A new, empty cluster, with checksums on its pages."""
        options = ["--username=postgres", "--auth-local=peer", "--auth-host=scram-sha-256", "--data-checksums", "--no-sync"]
        self._run("initdb", f"--pgdata={self.data}", "--encoding=UTF8", "--locale=C", "--no-instructions", *options)
        with (self.data / "postgresql.conf").open("a") as found_out:  # what initdb found out about this machine stays
            found_out.write(f"include '{CONFIGURATION}'\n")
        self._flush()

    def _copy(self) -> None:
        """A copy of the primary, taken while it serves."""
        assert self.follows, "only a standby is a copy"
        source = self.follows.dsn(REPLICATOR, self.passfile, "replication")  # under no name: a copy in the making is no synchronous standby
        self._run(
            "pg_basebackup", f"--pgdata={self.data}", f"--dbname={source}", f"--slot={self.name}", "--checkpoint=fast", "--no-password"
        )
        self.write(self.data / "standby.signal", "")
        self._flush()

    def _flush(self) -> None:
        """Make a new data directory durable: one flush of its file system, not one for each of a thousand files (0.3 s instead of 3)."""
        if process.run(["sync", "--file-system", self.data], DEVNULL):
            os.sync()  # a system whose `sync` knows only everything

    def _configure(self) -> None:
        """Write the settings and who may come in."""
        names = f"FIRST 1 ({', '.join(self.synchronous)})" if self.synchronous and not self.follows else ""
        source = make_conninfo(self.follows.dsn(REPLICATOR, self.passfile), application_name=self.name) if self.follows else ""
        settings = {
            **SETTINGS,
            "port": str(self.port),
            "unix_socket_directories": str(self.sockets),
            "unix_socket_permissions": "0700",
            "cluster_name": self.name,
            "synchronous_standby_names": names,
            "primary_conninfo": source,
            "primary_slot_name": self.name if self.follows else "",
            **self.settings,
        }
        lines = (f"{key} = '{value.replace(chr(92), chr(92) * 2).replace(chr(39), chr(39) * 2)}'\n" for key, value in settings.items())
        self.write(self.data / CONFIGURATION, "# written at every start: see Postgres.settings\n" + "".join(lines))
        self.write(self.data / "pg_hba.conf", ACCESS)
        users = {pwd.getpwuid(os.geteuid()).pw_name, self.user}
        self.write(self.data / "pg_ident.conf", "".join(f'stack "{user}" postgres\n' for user in sorted(filter(None, users))))

    def _run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs to its end. Raises StackFailed with what it said."""
        with self.log.open("ab") as output:
            code = process.run([install.need(install.POSTGRES) / program, *arguments], output, self.user)
        if code:
            raise with_log(f"{self.name}: {program} failed with code {code}", self.log)
