"""The archive in a bucket of a real server that speaks S3: S3Proxy over a folder, which Maven fetches when it is missing."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyarrow import fs

from adapters.stack import install, jars
from adapters.stack.errors import NotInstalled
from adapters.stack.jars import Jar
from adapters.stack.loopback import HOST, answers, free_port
from eventstore.checking import check
from eventstore.cold import ArchiveLog
from eventstore.errors import Damaged, StoreFailed
from eventstore.shelf import Shelf
from tests.archive.days import OPENS_NS, archived, of_days
from tests.projections.flow import trading
from tests.query.market import Asked
from tests.waiting import eventually

VERSION = "2.6.0"
BUCKET = "outcry"
SETTINGS = """\
s3proxy.endpoint=http://{host}:{port}
s3proxy.authorization=aws-v4
s3proxy.identity=outcry
s3proxy.credential=of-a-test-only
jclouds.provider=filesystem-nio2
jclouds.identity=outcry
jclouds.credential=of-a-test-only
jclouds.filesystem.basedir={folder}
"""
QUIET = '<configuration><root level="OFF"/></configuration>'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The query part of its URLs."""
    try:
        java, classes = install.need(install.JAVA), jars.fetched(f"s3proxy-{VERSION}", (Jar("org.gaul", "s3proxy", VERSION),))
    except NotInstalled as missing:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(missing))
    folder, port = tmp_path_factory.mktemp("s3"), free_port(())
    (folder / "data" / BUCKET).mkdir(parents=True)
    (settings := folder / "s3proxy.conf").write_text(SETTINGS.format(host=HOST, port=port, folder=folder / "data"))
    (logging := folder / "logback.xml").write_text(QUIET)
    command = [str(java), "-Xmx256m", "-XX:TieredStopAtLevel=1", f"-Dlogback.configurationFile={logging}", "-cp", f"{classes}/*"]
    with pytest.MonkeyPatch.context() as environment, (folder / "log").open("wb") as log:
        for newer in ("AWS_REQUEST_CHECKSUM_CALCULATION", "AWS_RESPONSE_CHECKSUM_VALIDATION"):
            environment.setenv(newer, "when_required")  # docs/archive.md says why
        with subprocess.Popen([*command, "org.gaul.s3proxy.Main", "--properties", str(settings)], stdout=log, stderr=log) as process:
            eventually(lambda: process.poll() is not None or answers(port), (folder / "log").read_text)
            assert process.poll() is None, (folder / "log").read_text()
            yield f"endpoint_override={HOST}:{port}&scheme=http"
            process.terminate()


def url(server: str, prefix: str) -> str:
    return f"s3://outcry:of-a-test-only@{BUCKET}/{prefix}?{server}"


def test_a_bucket_holds_the_record_as_a_folder_does(server: str) -> None:
    log = of_days([3, 2, 4])
    box = Shelf(url(server, "days"))
    assert [(entry.from_seq, entry.to_seq) for entry in archived(log, box)] == [(1, 3), (4, 5)]
    assert archived(log, Shelf(url(server, "days"))) == []
    cold = ArchiveLog(url(server, "days"))
    assert cold.partitions() == [1]
    assert list(cold.read(1)) == list(log.read(1))[:5]
    assert check(Shelf(url(server, "days")), 1, log).ok


def test_queries_read_a_bucket(server: str, tmp_path: Path) -> None:
    local = Asked(tmp_path / "archive", trading(9, 200, 20), 6)
    there = Asked(tmp_path / "none", trading(9, 200, 20), 0)
    there.shelf = Shelf(url(server, "queries"))
    archived(there.log, there.shelf, until_ns=there.blocks[5].time_ns)
    asked = "select event_index, kind, role, price from orders order by event_index, role"
    assert there.rows(asked) == local.rows(asked)


def test_of_two_archivers_the_second_follows_the_first(server: str) -> None:
    log = of_days([4, 4])
    assert archived(log, Shelf(url(server, "two")), until_ns=OPENS_NS + 60 * 10**9)[0].to_seq == 2
    late = Shelf(url(server, "two"))
    (ahead,) = archived(log, Shelf(url(server, "two")))
    assert late.add(ahead) == ahead
    assert [(entry.from_seq, entry.to_seq) for entry in late.entries(1)] == [(1, 2), (3, 4)]


def test_damage_in_a_bucket_is_named(server: str) -> None:
    log = of_days([5, 1])
    box = Shelf(url(server, "damage"))
    (entry,) = archived(log, box)
    remote, root = fs.FileSystem.from_uri(url(server, "damage"))
    with remote.open_input_stream(f"{root}/{entry.file}") as source:
        content = bytearray(source.read())
    content[content.index(next(iter(log.read(1))).payload) + 5] ^= 1
    with remote.open_output_stream(f"{root}/{entry.file}") as sink:
        sink.write(bytes(content))
    found = check(Shelf(url(server, "damage")), 1, log).first_bad
    assert found is not None
    assert found.file == f"s3://{BUCKET}/damage/{entry.file}"
    remote.delete_file(f"{root}/{entry.file}")
    with pytest.raises(Damaged, match="missing"):
        list(ArchiveLog(url(server, "damage")).read(1))


def test_a_server_that_is_away_is_the_worlds_failure_and_no_key_is_told() -> None:
    away = "s3://KEY:SECRET@bucket/x?endpoint_override=127.0.0.1:1&scheme=http"
    with pytest.raises(StoreFailed) as failed:
        Shelf(away).partitions()
    assert "SECRET" not in str(failed.value)
