"""Settings: where they come from, which wins, and an error that names source, key, value and what would be right."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import platformdirs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters import settings
from adapters.settings import BadSettings, Reader, Settings, load


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "settings.toml"


@pytest.fixture(autouse=True)
def nobodys_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What whoever runs the tests has set is not what is tested."""
    for variable in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "LOCALAPPDATA", "APPDATA"):
        monkeypatch.setenv(variable, str(tmp_path / "home"))


def test_without_file_and_environment_the_store_is_in_the_users_data_directory() -> None:
    assert load({}) == Settings(
        store=platformdirs.user_data_path("outcry") / "store", partition=1, inbox_commands=65_536, snapshot_every_events=5_000_000
    )


def test_the_environment_wins_over_the_file_and_the_file_over_the_defaults(file: Path) -> None:
    file.write_text("store = 'from_file'\npartition = 3\n")

    loaded = load({"OUTCRY_PARTITION": "5", "OUTCRY_SETTINGS": str(file)})

    assert (loaded.store, loaded.partition, loaded.inbox_commands) == (Path("from_file"), 5, 65_536)


def test_a_file_that_is_given_wins_over_the_one_that_the_environment_names(file: Path, tmp_path: Path) -> None:
    file.write_text("partition = 3\n")
    assert load({"OUTCRY_SETTINGS": str(tmp_path / "other")}, file).partition == 3


def test_the_file_in_the_configuration_directory_needs_no_name() -> None:
    path = platformdirs.user_config_path("outcry") / "settings.toml"
    path.parent.mkdir(parents=True)
    path.write_text("partition = 3\n")

    assert load({}).partition == 3


def test_the_home_directory_may_be_written_short(tmp_path: Path) -> None:
    assert load({"OUTCRY_STORE": "~/record"}).store == tmp_path / "home" / "record"


NUMBER = "right would be a whole number from 1 to 511"
BAD_FILES = [
    ("partition = 0", f": partition is 0; {NUMBER}"),
    ("partition = 512", f": partition is 512; {NUMBER}"),
    ("partition = '3'\ninbox_commands = 1", ": inbox_commands is 1; right would be a whole number from 16384 to 16777216"),
    ("partition = 1.5", f": partition is 1.5; {NUMBER}"),
    ("partition = true", f": partition is True; {NUMBER}"),
    ("partition = [1]", f": partition is an array; {NUMBER}"),
    ("partition.a.b = 1", f": partition is a table; {NUMBER}"),
    (f"partition = 0x{'f' * 5_000}", f": partition is a number of 20000 bits; {NUMBER}"),
    ("store = 3", ": store is 3; right would be the path of a folder"),
    ("store = ''", ": store is ''; right would be the path of a folder"),
    ('store = "\\u0000"', ": store is '\\x00'; right would be the path of a folder"),
    ("partitons = 3", ": 'partitons' is no setting; did you mean partitions? right would be one of store, partition, inbox_commands, "),
    ("speed = 3", ": 'speed' is no setting; right would be one of store, partition"),
    ("profile = 'cloud'", ": profile is 'cloud'; right would be embedded or stack"),
    ("i_know_this_loses_data = 1", ": i_know_this_loses_data is 1; right would be true or false"),
    ("doors_at = 'here'", ": doors_at is 'here'; right would be an IPv4 address of this machine, like 127.0.0.1"),
    ("doors_at = 127", ": doors_at is 127; right would be an IPv4 address of this machine, like 127.0.0.1"),
    ("instruments = 'ACME'", ": instruments is 'ACME'; right would be a table like `ACME = 1`, or ACME=1,ZETA=2"),
    ("instruments.ACME = 512", f": instruments.ACME is 512; {NUMBER}"),
    ('kafka = "a\\nb"', ": kafka is 'a\\nb'; right would be one line of text"),
    ('postgres = "password=secret\\n"', ": postgres is not what it can be; right would be one line of text"),
    ("partition 3", ": no TOML ("),
    ("partition = 1\npartition = 2", ": no TOML ("),
    (f"partition = {'[' * 5_000}", ": no TOML ("),
    (f"partition = {'9' * 5_000}", ": no TOML ("),
    ("#" * 70_000, ": more than 65536 bytes; right would be a few lines of TOML"),
]


@pytest.mark.parametrize(("text", "says"), BAD_FILES)
def test_a_bad_file_is_an_error_that_names_it(file: Path, text: str, says: str) -> None:
    file.write_text(text)
    with pytest.raises(BadSettings, match=re.escape(str(file) + says)):
        load({}, file)


def test_a_file_that_is_no_text_is_an_error(file: Path) -> None:
    file.write_bytes(b"partition = \xff")
    with pytest.raises(BadSettings, match=r"no TOML .+; right would be lines like `partition = 1`"):
        load({}, file)


def test_a_file_that_was_named_must_be_there(file: Path) -> None:
    with pytest.raises(BadSettings, match=r"there is no such file; right would be a file of settings, or none named by OUTCRY_SETTINGS"):
        load({"OUTCRY_SETTINGS": str(file)})


BAD_VARIABLES = [
    ("OUTCRY_PARTITION", "", f"OUTCRY_PARTITION: partition is ''; {NUMBER}"),
    ("OUTCRY_PARTITION", "-1", f"OUTCRY_PARTITION: partition is '-1'; {NUMBER}"),
    ("OUTCRY_PARTITION", "1_0", f"OUTCRY_PARTITION: partition is '1_0'; {NUMBER}"),
    ("OUTCRY_PARTITION", "٣", f"OUTCRY_PARTITION: partition is '٣'; {NUMBER}"),
    ("OUTCRY_PARTITION", "9" * 5_000, "OUTCRY_PARTITION: partition is '99999"),
    ("OUTCRY_STORE", "", "OUTCRY_STORE: store is ''; right would be the path of a folder"),
    (
        "OUTCRY_PARTITON",
        "3",
        "environment: 'OUTCRY_PARTITON' is no setting; did you mean OUTCRY_PARTITION? right would be one of OUTCRY_STORE",
    ),
]


@pytest.mark.parametrize(("variable", "value", "says"), BAD_VARIABLES)
def test_a_bad_variable_is_an_error_that_names_it(variable: str, value: str, says: str) -> None:
    with pytest.raises(BadSettings, match="^" + re.escape(says)):
        load({variable: value})


def test_variables_of_others_are_left_alone() -> None:
    assert load({"PATH": "x", "OUTCRY_DATA": "y", "OUTCRY_RECORD": "z", "PARTITION": "3"}).partition == 1


def test_every_key_is_described() -> None:
    assert all(f"    {key} " in (Settings.__doc__ or "") for key in settings.KEYS)


CONTENT = st.binary(max_size=200) | st.lists(
    st.tuples(st.sampled_from([*settings.KEYS, "x"]), st.sampled_from(["1", "'a'", "1e9", "-1", "nan", "1979-05-27", "[]", "{}", "''"])),
    max_size=3,
).map(lambda lines: "\n".join(f"{key} = {value}" for key, value in lines).encode())


@given(CONTENT)
def test_any_bytes_are_settings_or_an_error_that_explains(raw: bytes) -> None:
    error = ""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "settings.toml"
        path.write_bytes(raw)
        try:
            load({}, path)
        except BadSettings as wrong:
            error = str(wrong)
    assert not error or re.match(r".+settings\.toml: .+; (did you mean .+\? )?right would be .+", error, re.DOTALL)


@given(st.dictionaries(st.sampled_from([f"OUTCRY_{key.upper()}" for key in settings.KEYS]), st.text(max_size=20)))
def test_any_environment_is_settings_or_an_error_that_explains(environment: dict[str, str]) -> None:
    error = ""
    try:
        load(environment)
    except BadSettings as wrong:
        error = str(wrong)
    assert not error or re.match(r"OUTCRY_\w+: .+; right would be .+", error, re.DOTALL)


def test_where_the_servers_of_a_stack_listen_is_read_from_its_folder_beneath_everything_else(tmp_path: Path, file: Path) -> None:
    """`outcry stack up` writes there, so that nobody has to say it; who wants another broker says so as usual."""
    (tmp_path / "stack").mkdir()
    (tmp_path / "stack" / "settings.toml").write_text("postgres = 'dbname=outcry'\nkafka = '127.0.0.1:9092'\npartitions = 2\n")
    file.write_text(f"profile = 'stack'\nstack = '{tmp_path}/stack'\nkafka = '127.0.0.1:9999'\n")

    loaded = load({}, file)

    assert (loaded.postgres, loaded.kafka, loaded.partitions) == ("dbname=outcry", "127.0.0.1:9999", 2)
    assert load({}, file, profile="embedded").postgres == ""


def test_an_instrument_belongs_to_the_partition_that_is_named_else_to_the_usual_one() -> None:
    loaded = load({"OUTCRY_INSTRUMENTS": "ACME=3,ZETA=4", "OUTCRY_PARTITION": "2"})
    assert [loaded.partition_of(symbol) for symbol in ("ACME", "ZETA", "OTHER")] == [3, 4, 2]


def test_an_instrument_of_a_partition_that_the_stack_does_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="instruments: ACME is assigned to partition 3; right would be 1 to 2"):
        load({"OUTCRY_INSTRUMENTS": "ACME=3", "OUTCRY_PARTITIONS": "2"}, profile="stack", stack=tmp_path)


def test_doors_are_not_opened_to_a_network_in_clear() -> None:
    for inside in ("127.0.0.1", "127.0.0.2"):
        assert load({"OUTCRY_DOORS_AT": inside}).doors_at == inside
    for outside in ("0.0.0.0", "192.0.2.1"):  # is refused
        with pytest.raises(BadSettings, match=f"doors_at is {outside}: passwords and orders would cross a network in clear"):
            load({"OUTCRY_DOORS_AT": outside})
        assert load({"OUTCRY_DOORS_AT": outside, "OUTCRY_DOORS_WITHOUT_TLS": "true"}).doors_at == outside


def test_the_connection_string_of_the_record_is_not_shown() -> None:
    """There may be a password in it."""
    assert "secret" not in repr(load({"OUTCRY_POSTGRES": "password=secret"}))


def test_a_hundred_readers_are_loaded_from_a_file_with_their_weights(file: Path) -> None:
    """And shown to nobody: a connection string may have a password in it."""
    array = ", ".join(f'{{dsn = "host=standby-{number} password=secret", weight = {number % 3 + 1}}}' for number in range(99))
    file.write_text(f'readers = ["host=standby-99", {array}]\nreader_connections = 404\nprimary_share = 4\n')
    loaded = load({}, file)
    assert len(loaded.readers) == 100
    assert loaded.readers[:2] == (Reader("host=standby-99"), Reader("host=standby-0 password=secret", 1))
    assert sum(reader.weight for reader in loaded.readers) == 1 + 99 * 2
    assert "secret" not in repr(loaded)


@pytest.mark.parametrize(
    ("text", "readers"),
    [
        ("", ()),
        ("host=a port=1", (Reader("host=a port=1"),)),
        ('["host=a", {dsn = "host=b", weight = 2}]', (Reader("host=a"), Reader("host=b", 2))),
    ],
)
def test_readers_may_stand_in_the_environment(text: str, readers: tuple[Reader, ...]) -> None:
    assert load({"OUTCRY_READERS": text}).readers == readers


@pytest.mark.parametrize(
    ("readers", "sentence"),
    [
        ("7", 'readers is not what it can be; right would be ["host=a …", {dsn = "host=b …", weight = 2}]'),
        ("[7]", "readers[0] is not what it can be; right would be a connection string of libpq, or one as dsn in a table"),
        ("['host=a', {weight = 2}]", "readers[1] is not what it can be; right would be a connection string"),
        ("[{dsn = 'host=a', weight = 0}]", "readers[0].weight is 0; right would be a whole number from 1 to 1000"),
        ("[{dsn = 'host=a', wight = 1}]", "'wight' is no setting; did you mean weight?"),
        (
            "['host=a', 'host=b']\nreader_connections = 3",
            "reader_connections is 3, too few for 2 readers and primary_share = 2",
        ),
    ],
)
def test_readers_that_cannot_be_are_named(file: Path, readers: str, sentence: str) -> None:
    file.write_text(f"readers = {readers}\n")
    with pytest.raises(BadSettings, match=re.escape(sentence)):
        load({}, file)
