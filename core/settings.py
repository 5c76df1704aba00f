"""Every setting: its section, type, default and range. Decides nothing; `core.config` reads the files."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

LARGEST = 1_000_000_000.0
"""Thirty years in seconds: TOML has `inf`, and no wait, rate or size may be that."""
Positive = Annotated[float, Meta(gt=0, le=LARGEST)]
NotNegative = Annotated[float, Meta(ge=0, le=LARGEST)]
Count = Annotated[int, Meta(ge=1)]
CountOrNone = Annotated[int, Meta(ge=0)]
LocalTime = Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d\Z", description="a time like 09:30")]
LocalWindow = Annotated[
    str,
    Meta(
        pattern=r"^\Z|^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d\Z",
        description="a window like 00:00-05:00",
    ),
]
CalendarName = Annotated[str, Meta(pattern=r"^(XNYS|always|file:.+)\Z", description='"XNYS", "always" or "file:PATH"')]
DatabaseUrl = Annotated[
    str,
    Meta(
        pattern=r"^(sqlite:///.+|postgresql\+psycopg://.+)\Z",
        description='"sqlite:///FILE" or "postgresql+psycopg://USER:PASSWORD@HOST/NAME"',
    ),
]
# Letters that a URL's parser takes for one of /?#@: and refuses (NFKC).
_LOOKALIKES = (
    r"\u2047-\u2049\u2100\u2101\u2105\u2106\u2a74\ufe13\ufe16\ufe55\ufe56\ufe5f\ufe6b\uff03\uff0f\uff1a\uff1f\uff20"
)
_LABEL = rf"[^/\s:@\[\]?#.{_LOOKALIKES}]{{1,63}}"  # DNS knows no empty and no longer one
_HEX = r"[\da-fA-F]{1,4}"
_SHORTENED = "|".join(rf"({_HEX}:){{1,{count}}}(:{_HEX}){{1,{7 - count}}}" for count in range(1, 7))
_IPV6 = rf"({_HEX}:){{7}}{_HEX}|({_HEX}:){{1,7}}:|:(:{_HEX}){{1,7}}|::|{_SHORTENED}"  # RFC 4291 section 2.2, 1 and 2
_NAME = rf"({_LABEL}(\.{_LABEL})*\.?|\[({_IPV6})\])"
_HOST = rf"([^/\s@\[\]?#{_LOOKALIKES}]+@)?{_NAME}"
_PORT = r"(:([0-5]?\d{1,4}|6[0-4]\d{3}|65[0-4]\d\d|655[0-2]\d|6553[0-5]))?"
HttpUrlOrNone = Annotated[
    str, Meta(pattern=rf"^\Z|^http://{_HOST}{_PORT}/?\Z", description='"http://HOST:PORT" of an HTTP CONNECT proxy')
]
StreamUrl = Annotated[str, Meta(pattern=rf"^wss://{_HOST}{_PORT}([/?]\S*)?\Z", description='a "wss://" address')]
ListSource = Annotated[
    str,
    Meta(
        pattern=rf"^((auto|text|csv|json|html|base64) )?((http|socks4|socks5) )?https://{_NAME}{_PORT}([/?]\S*)?\Z",
        description='texts like "https://HOST/LIST", "json https://HOST/LIST" or "socks5 https://HOST/LIST"',
    ),
]
_BYTE = r"(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
NetworkText = Annotated[
    str,
    Meta(pattern=rf"^{_BYTE}(\.{_BYTE}){{3}}/(3[0-2]|[12]?\d)\Z", description='networks like "10.1.2.0/24"'),
]
Port = Annotated[int, Meta(ge=0, le=65535)]


LISTS = [
    "https://raw.githubusercontent.com/monosans/proxy-list/main/proxies/all.txt",
    "https://raw.githubusercontent.com/proxifly/free-proxy-list/main/proxies/all/data.txt",
    "https://raw.githubusercontent.com/TheSpeedX/PROXY-List/master/http.txt",
    "https://raw.githubusercontent.com/clarketm/proxy-list/master/proxy-list-raw.txt",
    "https://api.proxyscrape.com/v2/?request=getproxies&protocol=http&timeout=10000&country=all",
    "https://proxylist.geonode.com/api/proxy-list?limit=500&page=1&sort_by=lastChecked&sort_type=desc",
    "https://api.redscrape.com/proxies.json",
    "https://free-proxy-list.net/",
]
"""Free proxies as others publish them, checked by nobody or once."""


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One table of config.toml."""


class State(Section, frozen=True, kw_only=True):
    dir: str = ".tickerd"


class Database(Section, frozen=True, kw_only=True):
    url: DatabaseUrl = "sqlite:///tickerd.db"
    auto_upgrade: bool | None = None
    """None: true for SQLite, false for PostgreSQL."""


class Network(Section, frozen=True, kw_only=True):
    proxy: HttpUrlOrNone = ""
    ca_file: str = ""
    start_requests_per_s: Positive = 0.25
    max_requests_per_s: Positive = 2.0


class Market(Section, frozen=True, kw_only=True):
    calendar: CalendarName = "XNYS"
    timezone: str = "America/New_York"
    open: LocalTime = "09:30"
    close: LocalTime = "16:00"
    overrides_file: str = ""
    warmup_s: NotNegative = 30.0
    linger_s: NotNegative = 300.0


class Universe(Section, frozen=True, kw_only=True):
    file: str = ""
    include_etfs: bool = True
    limit: CountOrNone = 0


class Prices(Section, frozen=True, kw_only=True):
    enabled: bool = True
    stream_url: StreamUrl = "wss://streamer.finance.yahoo.com/?version=2"
    symbols_per_connection: Annotated[int, Meta(ge=1, le=10_000)] = 99
    canary: Annotated[str, Meta(min_length=1)] = "BTC-USD"
    flush_interval_s: Positive = 1.0
    stall_timeout_s: Positive = 45.0
    cycle_s: Positive = 60.0
    audit: bool = True
    minute_bars: bool = False
    minute_bars_keep_sessions: Count = 90
    flight_recorder_mb: CountOrNone = 0


class Metrics(Section, frozen=True, kw_only=True):
    enabled: bool = True
    interval_s: Positive = 600.0
    cycle_deadline_s: Positive = 570.0
    batch_size: Annotated[int, Meta(ge=1, le=1000)] = 100
    concurrency: Count = 8
    rest_s: NotNegative = 12.0
    direct: Literal["fallback", "never", "only"] = "fallback"
    flight_recorder_mb: CountOrNone = 0


class Daily(Section, frozen=True, kw_only=True):
    enabled: bool = True
    at: LocalTime = "16:30"
    window: LocalWindow = ""
    threads: Annotated[int, Meta(ge=1, le=50)] = 50
    history_days: Count = 400
    drop_after_days: Count = 30


class Proxies(Section, frozen=True, kw_only=True):
    file: str = "http_proxies.txt"
    sources: list[ListSource] = msgspec.field(default_factory=lambda: list(LISTS))
    refresh_interval_s: Positive = 3600.0
    wanted: Count = 100
    own_networks: list[NetworkText] = msgspec.field(default_factory=list)
    own: list[str] = msgspec.field(default_factory=list)


class Supervisor(Section, frozen=True, kw_only=True):
    ready_timeout_s: Positive = 60.0
    heartbeat_timeout_s: Positive = 30.0
    stop_timeout_s: Positive = 8.0
    backoff_max_s: Positive = 60.0
    breaker_count: Count = 5
    breaker_window_s: Positive = 300.0
    memory_soft_mb: Positive = 400.0
    memory_hard_mb: Positive = 600.0
    manual_stop: Literal["session", "forever"] = "session"
    max_runtime_s: NotNegative = 0.0


class Logging(Section, frozen=True, kw_only=True):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "text", "json"] = "auto"
    dir: str = "logs"
    max_mb: Positive = 50.0
    keep: Count = 10


class Alerts(Section, frozen=True, kw_only=True):
    command: str = ""
    repeat_s: Positive = 3600.0


class Api(Section, frozen=True, kw_only=True):
    enabled: bool = True
    host: str = "127.0.0.1"
    port: Port = 8000
    auth: bool = True
    secret: str | None = None
    """None: made at the first start, in the state folder."""
    allowed_hosts: list[str] = msgspec.field(default_factory=list)
    cors_origins: list[str] = msgspec.field(default_factory=list)
    trusted_proxies: list[str] = msgspec.field(default_factory=list)
    docs: bool = True
    max_body_kb: Annotated[int, Meta(ge=1, le=10_240)] = 64
    requests_per_s: Positive = 50.0
    burst: Count = 200
    max_streams: Count = 1000
    max_streams_per_user: Count = 100


class Backup(Section, frozen=True, kw_only=True):
    enabled: bool = False
    at: LocalTime = "18:30"
    dir: str = "backups"
    keep: Count = 7


class Retention(Section, frozen=True, kw_only=True):
    coverage_minute_days: Count = 90
    scanner_event_days: Count = 180
    scanner_run_days: Count = 400
    scan_days: Count = 90
    signal_days: Count = 400
    daily_bar_days: Count = 3650
    listing_event_days: Count = 3650
    audit_days: Count = 400


class Screener(Section, frozen=True, kw_only=True):
    enabled: bool = True
    prioritization: bool = True
    streaming: bool = True
    early_termination: bool = True
    max_concurrent_streams: Count = 100
    stream_timeout_s: Positive = 300.0
    max_workers: Count = 200
    use_cache: bool = True
    results_dir: str = "scan_results"
    memory_soft_mb: Positive = 2_000.0
    memory_hard_mb: Positive = 3_000.0


class Risk(Section, frozen=True, kw_only=True):
    account_usd: Positive = 100_000.0
    risk_per_trade_percent: Annotated[float, Meta(gt=0, le=100)] = 2.0
    portfolio_heat_percent: Annotated[float, Meta(gt=0, le=100)] = 6.0
    max_positions: Count = 10
    target_r: Annotated[float, Meta(gt=0, le=100)] = 2.0
    max_volume_percent: Annotated[float, Meta(gt=0, le=100)] = 5.0


class Settings(Section, frozen=True, kw_only=True):
    """The whole configuration; every path in it is absolute once `core.config` has loaded it."""

    state: State = State()
    database: Database = Database()
    network: Network = Network()
    market: Market = Market()
    universe: Universe = Universe()
    prices: Prices = Prices()
    metrics: Metrics = Metrics()
    daily: Daily = Daily()
    proxies: Proxies = Proxies()
    supervisor: Supervisor = Supervisor()
    logging: Logging = Logging()
    alerts: Alerts = Alerts()
    api: Api = Api()
    backup: Backup = Backup()
    retention: Retention = Retention()
    screener: Screener = Screener()
    risk: Risk = Risk()


RESERVED_SECTIONS = ("notify", "providers", "cluster", "redis")
"""Names kept for later parts: an empty table is accepted, a key in it is not."""
