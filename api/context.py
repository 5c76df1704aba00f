"""What every handler works with, made once when the process starts. Makes nothing itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.requests import HTTPConnection

from api.auth.accounts import Accounts
from api.auth.guard import Guard
from api.auth.tickets import Tickets
from api.book import Book
from api.control import Control
from api.hosts import Hosts
from api.kept import Kept
from api.metrics_look import Look
from api.sql import Database
from api.streams.doors import Doors
from api.streams.hub import Hub
from api.streams.sources import QuoteRows, Sources
from api.traffic import Traffic
from api.under_way import UnderWay
from core.clock import Clock
from core.settings import Settings
from market.sessions import Calendar


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    settings: Settings
    clock: Clock
    calendar: Calendar
    database: Database
    book: Book
    control: Control
    traffic: Traffic
    under_way: UnderWay
    coverage: Kept[dict[str, Any]]
    cells: Kept[dict[str, Any]]
    accounts: Accounts
    tickets: Tickets
    hosts: Hosts
    guard: Guard
    hub: Hub
    rows: QuoteRows
    sources: Sources
    doors: Doors
    look: Look


def context_of(connection: HTTPConnection) -> Context:
    found: Context = connection.app.state.context
    return found
