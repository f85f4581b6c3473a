"""Java programs as their jars, from Maven's central repository, kept in the user's cache: fetched once for all stacks of a user."""

from __future__ import annotations

import fcntl
import logging
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from platformdirs import user_cache_path

from adapters.stack import install, process
from adapters.stack.errors import NotInstalled

_LOG: Final = logging.getLogger(__name__)
COPY: Final = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
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


def folder_of(name: str) -> Path:
    """Where the jars of program *name* are, or will be. The name holds the version: another version is another folder."""
    return user_cache_path("outcry") / name


def fetched(name: str, wanted: Sequence[Jar]) -> Path:
    """Folder of the jars of program *name*, complete. Raises NotInstalled."""
    folder = folder_of(name)
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            _fetch(name, wanted, folder)
    return folder


def _fetch(name: str, wanted: Sequence[Jar], folder: Path) -> None:
    """Fetch into a folder beside it, which becomes *folder* when it has everything."""
    _LOG.info("%s: fetching its jars", name)
    maven = install.need(install.MAVEN)
    part = folder.with_name(f"{name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    pom = part / "pom.xml"
    pom.write_text(POM.format(name=name, dependencies="\n".join(jar.dependency() for jar in wanted)))
    with tempfile.TemporaryFile() as said:
        if process.run([maven, "-q", "-B", "-f", pom, COPY, "-DincludeScope=runtime", f"-DoutputDirectory={part}"], said):
            said.seek(0)
            last = said.read()[-1_000:].decode(errors="replace").strip()
            raise NotInstalled(f"{name}: Maven could not fetch its jars; mend it, then again\n{last}")
    part.rename(folder)
