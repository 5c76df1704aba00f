import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import config
from core.config import Loaded, all_keys, find_file, load, redacted
from core.errors import FixByHand
from core.settings import RESERVED_SECTIONS, Settings

ROOT = Path(__file__).parents[2]


def loaded(folder: Path, text: str = "", **environ: str) -> Loaded:
    (folder / "config.toml").write_text(text, encoding="utf-8")
    return load(None, environ, folder)


def refused(folder: Path, text: str = "", **environ: str) -> str:
    """Return what the user is told; it names where the mistake is and is one line with exit code 78."""
    with pytest.raises(FixByHand) as caught:
        loaded(folder, text, **environ)
    said = str(caught.value)
    assert caught.value.exit_code == 78
    assert "\n" not in said
    assert said.startswith(f"{folder}/config.toml: " if text else (*environ, "environment: "))
    assert caught.value.right and said.endswith(f"; {caught.value.right}")
    return said.removeprefix(f"{folder}/config.toml: ")


def test_without_a_file_every_key_has_its_default_and_paths_start_at_the_folder(tmp_path: Path) -> None:
    found = load(None, {}, tmp_path)
    assert found.file is None
    assert set(found.sources.values()) == {"default"}
    assert found.settings.prices == Settings().prices
    assert found.settings.state.dir == str(tmp_path / ".tickerd")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[price]\ncycle_s = 5", 'price: unknown section; did you mean "prices"?'),
        ("[zzz]\na = 1", "zzz: unknown section; known: state, database, network, market, "),
        ("cycle_s = 5", "cycle_s: unknown section; known: "),
        ("[prices]\ncycles = 5", 'prices.cycles: unknown key; did you mean "prices.cycle_s"?'),
        (
            "[alerts]\nzzzzzzzzzzzzzzz = 5",
            "alerts.zzzzzzzzzzzzzzz: unknown key; known: alerts.command, alerts.repeat_s",
        ),
        ('["a\\nb"]\nx = 1', "a b: unknown section; known: "),
        ("prices = 5", "prices: is not a table; write [prices] and its keys below"),
        ("[[prices]]\ncycle_s = 5", "prices: is not a table; write [prices] and its keys below"),
    ],
)
def test_an_unknown_section_or_key_is_named_with_what_was_probably_meant(tmp_path: Path, text: str, said: str) -> None:
    assert refused(tmp_path, text).startswith(said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[prices]\ncycle_s = "5"', "prices.cycle_s: Expected float, got str; give a number above 0"),
        ("[prices]\nenabled = 1", "prices.enabled: Expected bool, got int; give true or false"),
        ('[prices]\nenabled = "true"', "prices.enabled: Expected bool, got str; give true or false"),
        ("[prices]\ncanary = 5", "prices.canary: Expected str, got int; give a text in quotes"),
        (
            "[daily]\nhistory_days = 1.5",
            "daily.history_days: Expected int, got float; give a whole number of at least 1",
        ),
        ('[proxies]\nsources = "a"', "proxies.sources: Expected array, got str; give a list of texts"),
        ("[proxies]\nsources = [1]", "proxies.sources: Expected str, got int - at $[0]; give a list of texts"),
        ("[prices.cycle_s]\na = 1", "prices.cycle_s: Expected float, got object; give a number above 0"),
    ],
)
def test_a_value_of_the_wrong_type_is_told_with_the_right_one(tmp_path: Path, text: str, said: str) -> None:
    assert refused(tmp_path, text).startswith(said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            'sources = ["https://a.example/list", "http://b.example/list"]',
            "proxies.sources: 'http://b.example/list' has the wrong form; give a list of texts like "
            '"https://HOST/LIST", "json https://HOST/LIST" or "socks5 https://HOST/LIST"',
        ),
        ('sources = ["https://user:word@a.example/list"]', "proxies.sources: 'https://user:word@a.example/list' has"),
        ('sources = ["yaml https://a.example/list"]', "proxies.sources: 'yaml https://a.example/list' has"),
        (
            'own_networks = ["10.1.2.0/24", "10.1.2.0/33"]',
            "proxies.own_networks: '10.1.2.0/33' has the wrong form; give a list of networks like \"10.1.2.0/24\"",
        ),
        ('own_networks = ["010.0.0.0/8"]', "proxies.own_networks: '010.0.0.0/8' has"),
        ('own_networks = ["10.0.0.1"]', "proxies.own_networks: '10.0.0.1' has"),
    ],
)
def test_of_a_list_the_wrong_member_is_named(tmp_path: Path, text: str, said: str) -> None:
    assert refused(tmp_path, f"[proxies]\n{text}").startswith(said)


def test_a_list_in_the_environment_is_json(tmp_path: Path) -> None:
    environ = {"TICKERD_PROXIES__SOURCES": '["csv socks5 https://a.example:8443/list?x=1"]'}
    settings = load(None, environ, tmp_path).settings
    assert settings.proxies.sources == ["csv socks5 https://a.example:8443/list?x=1"]


@pytest.mark.parametrize(
    ("key", "value", "right"),
    [
        ("prices.cycle_s", "0", "a number above 0 and at most 1e+09"),
        ("prices.cycle_s", "-1.5", "a number above 0"),
        ("prices.cycle_s", "nan", "a number above 0"),
        ("prices.cycle_s", "inf", "a number above 0 and at most 1e+09"),
        ("market.warmup_s", "-1", "a number of at least 0"),
        ("market.warmup_s", "inf", "a number of at least 0 and at most 1e+09"),
        ("universe.limit", "-1", "a whole number of at least 0"),
        ("metrics.batch_size", "0", "a whole number of at least 1 and at most 1000"),
        ("metrics.batch_size", "1001", "a whole number of at least 1 and at most 1000"),
        ("daily.threads", "51", "a whole number of at least 1 and at most 50"),
        ("prices.symbols_per_connection", "10001", "a whole number of at least 1 and at most 10000"),
        ("api.port", "65536", "a whole number of at least 0 and at most 65535"),
        ("supervisor.breaker_count", "0", "a whole number of at least 1"),
        ("logging.level", '"loud"', 'one of "debug", "error", "info", "warning"'),
        ("logging.format", '"xml"', 'one of "auto", "json", "text"'),
        ("metrics.direct", '"always"', 'one of "fallback", "never", "only"'),
        ("supervisor.manual_stop", '""', 'one of "forever", "session"'),
    ],
)
def test_a_value_out_of_range_is_told_with_the_range(tmp_path: Path, key: str, value: str, right: str) -> None:
    section, _, name = key.partition(".")
    said = refused(tmp_path, f"[{section}]\n{name} = {value}")
    assert said.startswith(f"{key}: ")
    assert f"; give {right}" in said


@pytest.mark.parametrize(
    ("key", "value", "right"),
    [
        *[("market.open", bad, "a time like 09:30") for bad in ("9:30", "24:00", "09:60", "", "09:30:00", "09:30\\n")],
        *[("daily.at", bad, "a time like 09:30") for bad in ("4pm", "16.30")],
        *[
            ("daily.window", bad, "a window like 00:00-05:00")
            for bad in ("00:00", "00:00-", "0:00-5:00", "00:00-25:00", "00:00 - 05:00", "\\n")
        ],
        *[("market.calendar", bad, '"XNYS", "always" or "file:PATH"') for bad in ("NYSE", "", "file:", "xnys")],
        *[
            ("database.url", bad, '"sqlite:///FILE" or "postgresql+psycopg://USER:PASSWORD@HOST/NAME"')
            for bad in ("", "sqlite://", "sqlite:///", "mysql://h/db", "postgresql://h/db", "tickerd.db")
        ],
        *[
            ("network.proxy", bad, '"http://HOST:PORT" of an HTTP CONNECT proxy')
            for bad in (
                *("127.0.0.1:8080", "https://h:1", "socks5://h:1", "http://", "http://h:1/path", "http://a b"),
                *("http://a..b:80", "http://.a", "http://a..", f"http://{'a' * 64}.b:80", "http://a#b", "http://#:80"),
                *("http://:8080", "http://h:", "http://h:http", "http://h:65536", "http://h:99999", "http://::1:80"),
            )
        ],
        *[
            ("prices.stream_url", bad, 'a "wss://" address')
            for bad in (
                "",
                "ws://h/",
                "https://h/",
                "wss://",
                "wss://h/a b",
                "wss://h:65536/",
                "wss:///path",
                "wss://a..b/",
                *("wss://[1:2]/", "wss://[12345::]/", "wss://[1::2::3]/", "wss://[:]/", "wss://[1::2/", "wss://[@h/"),
                "wss://\u2100.com/",
            )
        ],
    ],
)
def test_a_text_of_the_wrong_form_is_told_with_the_right_form(tmp_path: Path, key: str, value: str, right: str) -> None:
    section, _, name = key.partition(".")
    said = refused(tmp_path, f'[{section}]\n{name} = "{value}"')
    assert said == f"{key}: '{value}' has the wrong form; give {right}"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("market.open", "00:00"),
        ("market.close", "23:59"),
        ("daily.window", ""),
        ("daily.window", "22:00-05:00"),
        ("market.calendar", "always"),
        ("database.url", "postgresql+psycopg://me:secret@db:5432/prices"),
        ("network.proxy", ""),
        ("network.proxy", "http://127.0.0.1:8080"),
        ("network.proxy", "http://[::1]:8080/"),
        ("network.proxy", "http://proxy"),
        ("network.proxy", f"http://{'a' * 63}.b.:80"),
        ("network.proxy", "http://me:secret@proxy.example.org:65535"),
        ("network.proxy", "http://proxy_1:59999"),
        ("network.proxy", "http://proxy:60000"),
        ("prices.stream_url", "wss://h:8443?version=2"),
        ("prices.stream_url", "wss://streamer.example.org"),
        ("prices.stream_url", "wss://[::1]:8443/?version=2"),
        ("prices.stream_url", "wss://[2001:db8::8:800:200c:417a]"),
    ],
)
def test_a_text_of_the_right_form_is_taken_as_it_is(tmp_path: Path, key: str, value: str) -> None:
    section, _, name = key.partition(".")
    settings = loaded(tmp_path, f'[{section}]\n{name} = "{value}"').settings
    assert getattr(getattr(settings, section), name) == value


def test_a_whole_number_is_a_number_of_seconds(tmp_path: Path) -> None:
    assert loaded(tmp_path, "[prices]\ncycle_s = 5").settings.prices.cycle_s == 5.0


def test_what_is_not_toml_is_told_with_line_and_column(tmp_path: Path) -> None:
    said = refused(tmp_path, "[prices]\ncycle_s 5\n")
    assert said.startswith("not TOML: ")
    assert "line 2" in said


def test_a_key_written_twice_is_not_toml(tmp_path: Path) -> None:
    assert "not TOML: Cannot overwrite a value" in refused(tmp_path, "[api]\nport = 1\nport = 2\n")


def test_a_file_that_is_not_utf8_is_told_with_the_byte(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_bytes(b"# M\xfcnchen\n")
    with pytest.raises(FixByHand, match=r"config\.toml: not UTF-8 at byte 3; save it as UTF-8"):
        load(None, {}, tmp_path)


def test_a_file_that_windows_saved_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_bytes(b"\xef\xbb\xbf[api]\r\nport = 9000\r\n")
    assert load(None, {}, tmp_path).settings.api.port == 9000


@pytest.mark.parametrize("environ", [{}, {"TICKERD_CONFIG": "absent.toml"}])
def test_a_file_that_was_asked_for_must_exist(tmp_path: Path, environ: dict[str, str]) -> None:
    with pytest.raises(FixByHand) as caught:
        load(None if environ else "absent.toml", environ, tmp_path)
    assert (
        str(caught.value) == f"{tmp_path}/absent.toml: cannot be read (No such file or directory); give a readable file"
    )


def test_the_file_is_the_named_one_then_the_environments_then_the_folders(tmp_path: Path) -> None:
    for name in ("a.toml", "b.toml", "config.toml"):
        (tmp_path / name).touch()
    environ = {"TICKERD_CONFIG": str(tmp_path / "b.toml")}
    assert find_file("a.toml", environ, tmp_path) == tmp_path / "a.toml"
    assert find_file(None, environ, tmp_path) == tmp_path / "b.toml"
    assert find_file(None, {}, tmp_path) == tmp_path / "config.toml"
    assert find_file(None, {}, tmp_path / "elsewhere") is None


@pytest.mark.parametrize(
    ("name", "text", "key", "value"),
    [
        ("TICKERD_PRICES__FLUSH_INTERVAL_S", "0.5", "prices.flush_interval_s", 0.5),
        ("TICKERD_API__PORT", "9000", "api.port", 9000),
        ("TICKERD_PRICES__ENABLED", "false", "prices.enabled", False),
        ("TICKERD_PRICES__ENABLED", "0", "prices.enabled", False),
        ("TICKERD_PRICES__MINUTE_BARS", "True", "prices.minute_bars", True),
        ("TICKERD_DATABASE__AUTO_UPGRADE", "true", "database.auto_upgrade", True),
        ("TICKERD_PROXIES__SOURCES", '["https://a/", "https://b/"]', "proxies.sources", ["https://a/", "https://b/"]),
        ("TICKERD_PROXIES__OWN_NETWORKS", "[]", "proxies.own_networks", []),
        ("TICKERD_LOGGING__LEVEL", "debug", "logging.level", "debug"),
        ("TICKERD_ALERTS__COMMAND", "", "alerts.command", ""),
        ("TICKERD_PRICES__CANARY", "5", "prices.canary", "5"),
    ],
)
def test_the_environment_overrides_the_file_and_is_named_as_the_source(
    tmp_path: Path, name: str, text: str, key: str, value: Any
) -> None:
    found = loaded(tmp_path, "[api]\nport = 8001\n[prices]\nflush_interval_s = 2.0\n", **{name: text})
    section, _, field = key.partition(".")
    assert getattr(getattr(found.settings, section), field) == value
    assert found.sources[key] == f"environment {name}"
    assert found.sources["market.open"] == "default"
    other = "prices.flush_interval_s" if key == "api.port" else "api.port"
    assert found.sources[other] == f"{tmp_path}/config.toml"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("TICKERD_NOPE", "1", "environment: TICKERD_NOPE: is not a setting; use TICKERD_SECTION__KEY"),
        ("TICKERD_PRICE__CYCLE_S", "1", 'TICKERD_PRICE__CYCLE_S: price: unknown section; did you mean "prices"?'),
        ("TICKERD_PRICES__CYCLES", "1", 'TICKERD_PRICES__CYCLES: prices.cycles: unknown key; did you mean "prices.cyc'),
        ("TICKERD_PRICES__CYCLE_S", "soon", "TICKERD_PRICES__CYCLE_S: prices.cycle_s: Expected float, got str; give a"),
        ("TICKERD_PRICES__CYCLE_S", "", "TICKERD_PRICES__CYCLE_S: prices.cycle_s: Expected float, got str; give a"),
        ("TICKERD_PRICES__CYCLE_S", "inf", "TICKERD_PRICES__CYCLE_S: prices.cycle_s: "),
        (
            "TICKERD_PRICES__ENABLED",
            "yes",
            "TICKERD_PRICES__ENABLED: prices.enabled: Expected bool, got str; give true",
        ),
        ("TICKERD_PROXIES__SOURCES", "http://a/", "TICKERD_PROXIES__SOURCES: proxies.sources: JSON is malformed: "),
        ("TICKERD_PROXIES__SOURCES", "[1]", "TICKERD_PROXIES__SOURCES: proxies.sources: Expected str, got int - at"),
        ("TICKERD_REDIS__URL", "redis://h", "TICKERD_REDIS__URL: redis: unknown section; "),
        ("DATABASE_URL", "mysql://h/db", "DATABASE_URL: database.url: 'mysql://h/db' has the wrong form; give "),
        ("PORT", "http", "PORT: api.port: Expected int, got str; give a whole number"),
        ("SCANNER_LOG_LEVEL", "loud", "SCANNER_LOG_LEVEL: logging.level: Invalid enum value 'loud'; give one of"),
    ],
)
def test_a_wrong_variable_is_named_like_a_wrong_key(tmp_path: Path, name: str, text: str, said: str) -> None:
    assert refused(tmp_path, **{name: text}).startswith(said)


@pytest.mark.parametrize(
    ("name", "text", "key", "value"),
    [
        ("DATABASE_URL", "postgresql://u:p@db:5432/x", "database.url", "postgresql+psycopg://u:p@db:5432/x"),
        ("DATABASE_URL", "sqlite:////var/x.db", "database.url", "sqlite:////var/x.db"),
        ("SCANNER_HOST", "0.0.0.0", "api.host", "0.0.0.0"),
        ("SCANNER_PORT", "8001", "api.port", 8001),
        ("PORT", "8002", "api.port", 8002),
        ("SCANNER_LOG_LEVEL", "warning", "logging.level", "warning"),
    ],
)
def test_names_of_earlier_deployments_are_understood(
    tmp_path: Path, name: str, text: str, key: str, value: Any
) -> None:
    found = load(None, {name: text}, tmp_path)
    section, _, field = key.partition(".")
    assert getattr(getattr(found.settings, section), field) == value
    assert found.sources[key] == f"environment {name}"


def test_an_empty_variable_of_an_earlier_deployment_says_nothing(tmp_path: Path) -> None:
    assert load(None, {"PORT": "", "DATABASE_URL": ""}, tmp_path).sources["api.port"] == "default"


def test_the_prefixed_name_beats_the_earlier_one_whatever_their_order(tmp_path: Path) -> None:
    names = {"TICKERD_API__PORT": "9000", "PORT": "8002"}
    for environ in (names, dict(reversed(names.items()))):
        found = load(None, environ, tmp_path)
        assert found.settings.api.port == 9000
        assert found.sources["api.port"] == "environment TICKERD_API__PORT"


def test_names_that_are_no_settings_of_ours_are_left_alone(tmp_path: Path) -> None:
    assert load(None, {"PATH": "/bin", "TICKERD_SETTINGS": "/x", "PORTS": "1"}, tmp_path).settings.api.port == 8000


@pytest.mark.parametrize("section", RESERVED_SECTIONS)
def test_a_reserved_section_may_stand_empty_but_holds_no_key_yet(tmp_path: Path, section: str) -> None:
    loaded(tmp_path, f"[{section}]\n")
    said = refused(tmp_path, f"[{section}]\nenabled = true\n")
    assert said == f"{section}: is reserved and has no keys yet; remove its keys"


def test_relative_paths_start_at_the_folder_of_the_configuration_file(tmp_path: Path) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "my.toml").write_text(
        '[state]\ndir = "state"\n[database]\nurl = "sqlite:///data/x.db"\n[market]\ncalendar = "file:days.csv"\n'
        'overrides_file = "../over.toml"\n[network]\nca_file = "ca.pem"\n[universe]\nfile = "/srv/u.csv"\n'
        '[logging]\ndir = "log"\n[proxies]\nfile = "p.txt"\n'
    )
    settings = load("etc/my.toml", {}, tmp_path).settings
    assert settings.state.dir == f"{folder}/state"
    assert settings.database.url == f"sqlite:///{folder}/data/x.db"
    assert settings.market.calendar == f"file:{folder}/days.csv"
    assert settings.market.overrides_file == f"{tmp_path}/over.toml"
    assert settings.network.ca_file == f"{folder}/ca.pem"
    assert settings.universe.file == "/srv/u.csv"
    assert settings.logging.dir == f"{folder}/log"
    assert settings.proxies.file == f"{folder}/p.txt"


def test_an_empty_path_stays_empty_and_an_absolute_database_stays_where_it_is(tmp_path: Path) -> None:
    settings = loaded(tmp_path, '[database]\nurl = "sqlite:////var/x.db"\n').settings
    assert settings.database.url == "sqlite:////var/x.db"
    assert (settings.network.ca_file, settings.universe.file, settings.market.overrides_file) == ("", "", "")


def test_the_bundled_file_holds_every_key_with_its_default() -> None:
    text = (ROOT / "config.toml").read_text(encoding="utf-8")
    assert "\n# auto_upgrade = true " in text  # its default depends on the database
    text = text.replace("\n# auto_upgrade = true ", "\nauto_upgrade = true ").replace("\n# secret = ", "\nsecret = ")
    written = tomllib.loads(text)
    assert [f"{section}.{key}" for section, keys in written.items() for key in keys] == all_keys()
    found = load(str(ROOT / "config.toml"), {}, ROOT)
    assert found.settings == load(None, {}, ROOT).settings
    without_file = config.load(None, {}, ROOT / "docs").settings
    assert found.settings.prices == without_file.prices == Settings().prices
    for section in ("network", "supervisor", "metrics", "daily", "alerts", "api", "market", "universe"):
        assert getattr(found.settings, section) == getattr(Settings(), section)


def test_a_secret_that_is_none_is_refused_wherever_it_was_given_and_not_shown(tmp_path: Path) -> None:
    wanted = "give 32 random characters or more, or leave it out: then one is made"
    assert refused(tmp_path, '[api]\nsecret = "short"') == f"api.secret: has 5 bytes; {wanted}"
    assert refused(tmp_path, '[api]\nsecret = ""') == f"api.secret: is empty; {wanted}"
    for name in ("JWT_SECRET", "TICKERD_API__SECRET"):
        said = refused(tmp_path, **{name: "your_jwt_secret"})
        assert said == f"{name}: api.secret: is a default that everybody knows; {wanted}"
    assert loaded(tmp_path, JWT_SECRET="Zk3vQ9xw7RtY1pLm5sHc8uJb2nFg4dAe").settings.api.secret is not None


def test_settings_survive_being_handed_to_a_child(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "[prices]\ncycle_s = 5\n[proxies]\nsources = ['https://a']\n").settings
    (tmp_path / "s.json").write_bytes(config.dump(settings))
    assert config.load_dumped(tmp_path / "s.json") == settings


@pytest.mark.parametrize("content", [None, b"", b"{", b'{"prices": {"cycles": 1}}'])
def test_settings_that_were_not_handed_over_properly_end_with_78(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "s.json").write_bytes(content)
    with pytest.raises(FixByHand, match=r"s\.json.*start the process through `tickerd run`"):
        config.load_dumped(tmp_path / "s.json")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql+psycopg://me:secret@db:5432/x", "postgresql+psycopg://me:***@db:5432/x"),
        ("postgresql+psycopg://me:se@cr:et@db/x", "postgresql+psycopg://me:***@db/x"),
        ("postgresql+psycopg://me@db/x", "postgresql+psycopg://me@db/x"),
        ("postgresql+psycopg://db/x", "postgresql+psycopg://db/x"),
        (
            "postgresql+psycopg://me@/x?host=/run/pg&password=secret",
            "postgresql+psycopg://me@/x?host=/run/pg&password=***",
        ),
        ("postgresql+psycopg:///x?password=se@cret&host=h", "postgresql+psycopg:///x?password=***&host=h"),
        ("sqlite:////var/lib/tickerd.db", "sqlite:////var/lib/tickerd.db"),
    ],
)
def test_a_database_is_shown_without_its_password(url: str, shown: str) -> None:
    assert redacted(url) == shown


@given(st.text(max_size=60))
def test_any_text_loads_or_is_refused_in_one_line(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / "any.toml").write_text(text, encoding="utf-8", errors="replace")
    try:
        load("any.toml", {}, folder)
    except FixByHand as error:
        assert len(str(error).splitlines()) == 1
