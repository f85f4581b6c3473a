"""Backups of a record in PostgreSQL, and the way back to any moment since the first of them. PostgreSQL's own programs do the work.

    FOLDER/base/20261125T140301Z/data   the server's files while it served (pg_basebackup), whole by themselves, verified
                                 /record.json   where each chain ended when the copy began: what a restore must find again
    FOLDER/wal/                         the write-ahead log from then on (pg_receivewal), as far as somebody followed

A copy alone leads back to the moment it was finished; with the log after it, to any moment that the log covers. Following needs nothing of
the server but a slot, which keeps log that was not fetched yet: a follower that stops for good must be told so (`forget`).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from psycopg.conninfo import make_conninfo

from eventstore.ports import BlockLog, StoreFailed
from eventstore.postgres import PostgresLog
from eventstore.postgres_server import SECRETS, as_role, connect, parsed, shown

REPLICATOR: Final = "outcry_replicator"
SLOT: Final = "outcry_backup"
SEGMENT: Final = "[0-9A-F]" * 24
RECOVERY_POLL_S: Final = 0.1
RELEASES: Final = Path("/usr/lib/postgresql")  # where Debian keeps the server's programs, off the path


class Chain(msgspec.Struct, frozen=True):
    """Where a partition's chain ended: block number, hash in hexadecimal."""

    seq: int
    hash: str


class Copied(msgspec.Struct, frozen=True):
    """A copy of the server's files.

    finished  moment, by the clock of whoever made it, from which on it can be restored
    chains    by partition, when the copy began
    """

    finished: datetime
    cluster: str
    database: str
    chains: dict[int, Chain]


class BadBackup(ValueError):
    """What was asked for cannot be restored from there; the text says what can be."""


def copy(conninfo: str, folder: Path) -> Path:
    """Add a copy of the server of *conninfo* (as outcry_writer) to *folder*; returns where it lies. Raises StoreFailed."""
    with closing(PostgresLog(conninfo, i_know_this_loses_data=True)) as log:
        chains = {partition: _end(log, partition) for partition in log.partitions()}
        cluster = log.cluster
    place = folder / "base" / datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    part = place.with_name(f".{place.name}.part")
    (folder / "base").mkdir(parents=True, exist_ok=True, mode=0o700)
    source = as_role(conninfo, REPLICATOR)
    try:
        _run("pg_basebackup", f"--pgdata={part / 'data'}", "--checkpoint=fast", "--no-password", source=source)
        _run("pg_verifybackup", "--quiet", str(part / "data"))
        made = Copied(datetime.now(UTC), cluster, str(parsed(conninfo).get("dbname", "")), chains)
        (part / "record.json").write_bytes(msgspec.json.format(msgspec.json.encode(made)))
        part.replace(place)
    except OSError as error:
        raise StoreFailed(str(folder), str(error)) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return place


@contextmanager
def following(conninfo: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Keep the write-ahead log in *folder* up to date, within a moment, as long as the `with` lasts. Raises StoreFailed."""
    wal, source = folder / "wal", as_role(conninfo, REPLICATOR)
    wal.mkdir(parents=True, exist_ok=True, mode=0o700)
    _run("pg_receivewal", f"--slot={SLOT}", "--create-slot", "--if-not-exists", "--no-password", source=source)
    arguments, environment = _command("pg_receivewal", [f"--directory={wal}", f"--slot={SLOT}", "--synchronous", "--no-password"], source)
    receiver = subprocess.Popen(arguments, env=environment)  # noqa: S603 - PostgreSQL's own program
    try:
        yield receiver
    finally:
        receiver.send_signal(signal.SIGINT)
        receiver.wait()


def forget(conninfo: str) -> None:
    """Nobody follows any more: the server need not keep log for it. Raises StoreFailed."""
    _run("pg_receivewal", f"--slot={SLOT}", "--drop-slot", "--no-password", source=as_role(conninfo, REPLICATOR))


@contextmanager
def restored(folder: Path, into: Path, to_time: datetime | None = None) -> Iterator[tuple[str, Copied]]:
    """Restore to *into*, which must not exist, the server of *folder* as of *to_time* (None: as late as the log goes).

    While the `with` lasts it runs, to be looked at: yields how to connect as outcry_reader, and what the copy promised. Afterwards
    *into* is the data directory of a server that was shut down.
    Raises  BadBackup, StoreFailed
    """
    place, promised = _choose(folder, to_time)
    if into.exists():
        raise BadBackup(f"{into} is there already; right would be a folder that is not, for the restored server's files")
    try:
        shutil.copytree(place / "data", into)
        _add_log(folder / "wal", into / "pg_wal")
        (into / "recovery.signal").touch()
        (into / "standby.signal").unlink(missing_ok=True)
    except OSError as error:
        raise StoreFailed(str(into), str(error)) from error
    sockets = into.with_name(f"{into.name}.socket")
    sockets.mkdir(mode=0o700)
    (sockets / "access").write_text("local all all trust\n")  # to a folder that is closed to others
    for path in (into, *into.rglob("*"), sockets, sockets / "access"):
        if os.geteuid() == 0:
            shutil.chown(path, "postgres", "postgres")
    into.chmod(0o700)
    conninfo = make_conninfo(host=str(sockets), port=5432, user="outcry_reader", dbname=promised.database)
    try:
        _start(into, sockets, conninfo, to_time)
        yield conninfo, promised
    finally:
        _stop(into)
        shutil.rmtree(sockets, ignore_errors=True)


def missing(log: BlockLog, promised: Copied) -> list[str]:
    """What the copy promised and *log* does not have: a restore that is whole has it all."""
    found = []
    for partition, chain in promised.chains.items():
        block = next(iter(log.read(partition, chain.seq - 1)), None) if chain.seq else None
        if chain.seq and (block is None or block.hash.hex() != chain.hash):
            found.append(f"partition {partition}: block {chain.seq} with hash {chain.hash}")
    return found


def _end(log: BlockLog, partition: int) -> Chain:
    head = log.head(partition)
    return Chain(head.seq, head.hash.hex())


def _choose(folder: Path, to_time: datetime | None) -> tuple[Path, Copied]:
    """The newest copy that was finished by *to_time*. Raises BadBackup."""
    copies = {}
    for file in sorted(folder.glob("base/*/record.json")):
        try:
            copies[file.parent] = msgspec.json.decode(file.read_bytes(), type=Copied)
        except msgspec.DecodeError as error:
            raise BadBackup(f"{file} is damaged ({error}); right would be to take this copy away") from None
    if not copies:
        raise BadBackup(f"no backup in {folder}; make one with `outcry backup {folder}`")
    fitting = [place for place, copied in copies.items() if to_time is None or copied.finished <= to_time]
    if not fitting:
        first = min(copied.finished for copied in copies.values())
        raise BadBackup(f"{to_time} is before the first backup in {folder} was finished; right would be {first.isoformat()} or later")
    return fitting[-1], copies[fitting[-1]]


def _add_log(archive: Path, wal: Path) -> None:
    """Bring to *wal* what was received after the copy, the last file as far as it goes, and histories of promotions."""
    for file in sorted([*archive.glob(SEGMENT), *archive.glob(f"{SEGMENT}.partial"), *archive.glob("*.history")]):
        here = wal / file.name.removesuffix(".partial")
        if not here.exists() or _filled_bytes(file) > _filled_bytes(here):
            shutil.copyfile(file, here)


def _filled_bytes(segment: Path) -> int:
    return len(segment.read_bytes().rstrip(b"\0"))


def _start(into: Path, sockets: Path, conninfo: str, to_time: datetime | None) -> None:
    """Start the server in *into*, on a socket only, and wait until it has recovered. Raises BadBackup, StoreFailed with what it said."""
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": str(sockets),
        "hba_file": str(sockets / "access"),
        "logging_collector": "off",
        "restore_command": "false",  # all there is lies in pg_wal
        "recovery_target_action": "promote",
        "synchronous_standby_names": "",
        "primary_conninfo": "",
        "archive_mode": "off",
    } | ({} if to_time is None else {"recovery_target_time": to_time.astimezone(UTC).isoformat()})
    options = " ".join(["-p 5432", *(f"-c {name}='{value}'" for name, value in settings.items())])
    log = sockets / "log"
    try:
        _run("pg_ctl", "start", f"--pgdata={into}", "--silent", "--timeout=86400", f"--log={log}", "-o", options, as_server=True)
        while _is_recovering(conninfo):
            time.sleep(RECOVERY_POLL_S)
    except StoreFailed as failed:
        said = [line for line in log.read_text().splitlines() if "FATAL" in line or "PANIC" in line] if log.exists() else []
        if any("recovery ended before configured recovery target" in line for line in said):
            raise BadBackup(
                f"the log that was received ends before {to_time}; right would be an earlier time, or none: to its end"
            ) from None
        raise StoreFailed(str(into), " ".join(said) or failed.cause) from failed


def _stop(into: Path) -> None:
    """Stop the server of *into*, if it runs; one that could not recover ends by itself, perhaps just now."""
    running = into / "postmaster.pid"
    if running.exists():
        try:
            _run("pg_ctl", "stop", f"--pgdata={into}", "--silent", "--mode=fast", as_server=True)
        except StoreFailed:
            if running.exists():
                raise


def _is_recovering(conninfo: str) -> bool:
    with connect(conninfo) as db:
        return db.execute("SELECT pg_is_in_recovery()").fetchone() == (True,)


def _command(program: str, arguments: list[str], source: str) -> tuple[list[str], dict[str, str]]:
    """How to run one of PostgreSQL's programs on the server of *source*. Secrets go by the environment, which others cannot see."""
    given = parsed(source) if source else {}
    password = given.get("password")
    open_part = make_conninfo("", **{key: value for key, value in given.items() if key not in (*SECRETS, "dbname")})
    environment = os.environ | ({"PGPASSWORD": str(password)} if password else {})
    return [_find(program), *([f"--dbname={open_part}"] if source else []), *arguments], environment


def _run(program: str, *arguments: str, source: str = "", as_server: bool = False) -> None:
    """Run it to its end. Raises StoreFailed with what it said."""
    command, environment = _command(program, list(arguments), source)
    user: dict[str, Any] = {"user": "postgres", "group": "postgres", "extra_groups": []} if as_server and os.geteuid() == 0 else {}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd="/", **user)  # noqa: S603 - as above
    if done.returncode:
        raise StoreFailed(shown(source) if source else program, " ".join(done.stderr.split()) or f"{program} ended with {done.returncode}")


def _find(program: str) -> str:
    """Where it is. Raises StoreFailed."""
    debian = sorted(RELEASES.glob("*/bin"), key=lambda path: path.parent.name)
    found = shutil.which(program, path=os.pathsep.join([*map(str, debian), os.environ.get("PATH", os.defpath)]))
    if found is None:
        raise StoreFailed(program, "this program of PostgreSQL is not on this machine; right would be the packages of its server")
    return found
