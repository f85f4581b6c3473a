"""What a stack is made of: found where it is, else installed: Debian's packages by apt-get when we are root, Java programs by Maven.

Works on any Debian or Ubuntu without preparation, and elsewhere as far as the programs are there already.
"""

from __future__ import annotations

import logging
import os
import pwd
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from subprocess import DEVNULL
from typing import Final, NamedTuple

from adapters.stack import process
from adapters.stack.errors import NotInstalled, StackFailed

_LOG: Final = logging.getLogger(__name__)
POSTGRES_RELEASES: Final = range(15, 20)
LIBRARY_FOLDERS: Final = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/lib")
# Debian's package would make a cluster of its own and start it, on the port that everybody knows: we want the programs only. A rule for
# policy-rc.d would stop the start and leave the cluster; this file stops the making, and is removed again when the package is there.
NO_CLUSTER: Final = Path("/etc/postgresql-common/createcluster.d/outcry.conf")
# nginx's package would start a service on port 80: this rule denies that, and is removed again likewise.
NO_START: Final = Path("/usr/sbin/policy-rc.d")
SYSTEM_USER: Final = "outcry"  # as whom servers run that bring no user of their own, when root starts them


class Part(NamedTuple):
    """Something a stack needs.

    find      where it is; None: missing
    packages  of Debian that bring it
    service   of theirs, that would be started with the machine
    """

    name: str
    find: Callable[[], Path | None]
    packages: Sequence[str]
    service: str = ""


def postgres_programs() -> Path | None:
    """Folder of initdb and postgres: the oldest release that will do, so that a newer one beside it changes nothing."""
    debian = (Path(f"/usr/lib/postgresql/{release}/bin") for release in POSTGRES_RELEASES)
    return next((folder for folder in debian if (folder / "initdb").exists()), None) or _beside("initdb")


def library(name: str) -> Path | None:
    """A library to be preloaded into a program."""
    places = (found for folder in LIBRARY_FOLDERS for found in (Path(folder, name), Path(folder, "faketime", name)))
    return next((place for place in places if place.exists()), None)


def redis_program() -> Path | None:
    """Redis's program, which is what it is called: Debian's package of tools has it as redis-check-rdb, and starts no server of its own."""
    return program("redis-server") or program("redis-check-rdb")


def program(name: str) -> Path | None:
    """A program on the path, or where Debian has servers, which is on root's path only."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    return Path(found) if found else None


def _beside(name: str) -> Path | None:
    found = program(name)
    return found.resolve().parent if found else None


POSTGRES: Final = Part("postgres", postgres_programs, ("postgresql",))
REDIS: Final = Part("redis", redis_program, ("redis-tools",))
NGINX: Final = Part("nginx", lambda: program("nginx"), ("nginx",), service="nginx")
JAVA: Final = Part("java", lambda: program("java"), ("default-jre-headless",))
MAVEN: Final = Part("maven", lambda: program("mvn"), ("maven",))
FAKETIME: Final = Part("faketime", lambda: library("libfaketime.so.1"), ("libfaketime",))
EATMYDATA: Final = Part("eatmydata", lambda: library("libeatmydata.so"), ("libeatmydata1",))


def need(part: Part) -> Path:
    """Where *part* is, installed when it is missing. Raises NotInstalled."""
    found = part.find()
    if found is None:
        _apt_install(part)
        found = part.find()
    if found is None:
        raise NotInstalled(f"{part.name}: {' '.join(part.packages)} is installed, but does not bring what is needed; install it by hand")
    return found


def system_user() -> str | None:
    """Whom to run a server as that brings no user: ourselves (None); for root a user of our own, made when missing. Raises NotInstalled."""
    if os.geteuid() != 0:
        return None
    if not _is_user(SYSTEM_USER):
        command = ["useradd", "--system", "--user-group", "--home-dir=/nonexistent", "--shell=/usr/sbin/nologin", SYSTEM_USER]
        with tempfile.TemporaryFile() as said:
            if process.run(command, said) and not _is_user(SYSTEM_USER):  # somebody else may have made it meanwhile
                said.seek(0)
                raise NotInstalled(f"{' '.join(command)} failed ({said.read().decode(errors='replace').strip()}); make that user by hand")
    return SYSTEM_USER


def _is_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _apt_install(part: Part) -> None:
    """Install Debian's packages. Raises NotInstalled."""
    by_hand = f"apt-get install {' '.join(part.packages)}"
    if shutil.which("apt-get") is None:
        raise NotInstalled(f"{part.name} is missing, and this machine has no apt-get; install it by the means of this system")
    if os.geteuid() != 0:
        raise NotInstalled(f"{part.name} is missing; as root: outcry stack install, or {by_hand}")
    _LOG.info("%s: installing %s", part.name, " ".join(part.packages))
    try:
        _apt_update()
        with _there(NO_CLUSTER, "create_main_cluster = false\n"), _there(NO_START, "#!/bin/sh\nexit 101\n", 0o755):
            _apt("install", "--no-install-recommends", *part.packages)
    except StackFailed as failed:
        raise NotInstalled(f"{part.name}: {failed}; mend it, then: {by_hand}") from None
    _disable(part.service)


@cache
def _apt_update() -> None:
    """Once is enough: which packages there are."""
    _apt("update")


def _apt(*arguments: str) -> None:
    with tempfile.TemporaryFile() as said:
        command = ["apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=300", *arguments]
        if process.run(command, said, DEBIAN_FRONTEND="noninteractive"):
            said.seek(0)
            last = said.read()[-500:].decode(errors="replace").strip()
            raise StackFailed(f"apt-get {arguments[0]} failed ({last})")


def _disable(service: str) -> None:
    """Have it not started with the machine, where something would."""
    if service and shutil.which("systemctl"):
        process.run(["systemctl", "--quiet", "disable", service], DEVNULL)


@contextmanager
def _there(file: Path, text: str, mode: int = 0o644) -> Iterator[None]:
    """While inside, *file* says so, unless it says something already."""
    if file.exists():
        yield
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(mode)
    try:
        yield
    finally:
        file.unlink()
