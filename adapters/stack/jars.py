"""Java programs from Maven's central repository, as jars or a zip, kept in the user's cache: fetched once for all stacks of a user."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from platformdirs import user_cache_path

from adapters.stack import install, process
from adapters.stack.errors import NotInstalled

_LOG: Final = logging.getLogger(__name__)
PLUGIN: Final = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1"
POM: Final = """\
<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>outcry</groupId><artifactId>{name}</artifactId><version>1</version><packaging>pom</packaging>
<dependencies>
{dependencies}
</dependencies></project>
"""


class Jar(NamedTuple):
    """Coordinates of a jar; what it depends on comes with it."""

    group: str
    artifact: str
    version: str

    def dependency(self) -> str:
        """As Maven's project file wants it."""
        parts = (("groupId", self.group), ("artifactId", self.artifact), ("version", self.version))
        return f"<dependency>{''.join(f'<{tag}>{text}</{tag}>' for tag, text in parts)}</dependency>"


def cache() -> Path:
    """Where fetched programs lie; for root elsewhere, because servers that run as another user may not look into root's."""
    return Path("/var/cache/outcry") if os.geteuid() == 0 else user_cache_path("outcry")


def fetched(name: str, wanted: Sequence[Jar]) -> Path:
    """Folder of the jars of program *name*, complete. The name holds the version: another one is another folder. Raises NotInstalled."""

    def goal(part: Path) -> list[str]:
        pom = part / "pom.xml"
        pom.write_text(POM.format(name=name, dependencies="\n".join(jar.dependency() for jar in wanted)))
        return [f"{PLUGIN}:copy-dependencies", f"--file={pom}", "-DincludeScope=runtime", f"-DoutputDirectory={part}"]

    return _once(name, goal)


def unpacked(name: str, archive: Jar) -> Path:
    """Folder of program *name*, which comes as a zip with a folder of that name in it. Raises NotInstalled."""
    coordinates = f"{archive.group}:{archive.artifact}:{archive.version}:zip"
    return _once(name, lambda part: [f"{PLUGIN}:unpack", f"-Dartifact={coordinates}", f"-DoutputDirectory={part}"]) / name


def _once(name: str, goal: Callable[[Path], list[str]]) -> Path:
    """The folder *name* of the cache, filled by Maven when it is not there. Raises NotInstalled."""
    folder = cache() / name
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            _fetch(name, goal, folder)
    return folder


def _fetch(name: str, goal: Callable[[Path], list[str]], folder: Path) -> None:
    """Fetch into a folder beside it, which becomes *folder* when it has everything."""
    _LOG.info("%s: fetching it", name)
    maven = install.need(install.MAVEN)
    part = folder.with_name(f"{name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    with tempfile.TemporaryFile() as said:
        if process.run([maven, "-q", "-B", *goal(part)], said):
            said.seek(0)
            last = said.read()[-1_000:].decode(errors="replace").strip()
            raise NotInstalled(f"{name}: Maven could not fetch it; mend it, then again\n{last}")
    part.rename(folder)
