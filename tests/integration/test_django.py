"""docs/django.md is run as it stands, in a process of its own: Django's settings are one a process."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from market.universe import Listing
from storage.prices import PriceRow, flush_prices
from storage.schema import stocks_stock
from storage.universe import load_universe
from storage.writer import Writer
from tests.fix_storage import NOON, OPENS_AT, StillClock

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "django.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
ON_SQLITE, ON_POSTGRESQL, MODEL, NEWEST = BLOCKS
OWN = '"default": {...},  # your own'

SITE = """
import json, sys
from django.conf import settings
space = {}
exec(sys.argv[1], space)
settings.configure(DATABASES=space["DATABASES"], USE_TZ=space["USE_TZ"], INSTALLED_APPS=[])
import django
django.setup()
exec(sys.argv[2], space)
Stock = space["Stock"]
rows = eval(sys.argv[3].strip(), space)
first = Stock.objects.using("stocks").get(ticker="A")
try:
    Stock.objects.using("stocks").update(current_price=1.0)
except Exception as error:
    refused = str(error)
print(json.dumps({
    "count": Stock.objects.using("stocks").count(),
    "fields": [field.column for field in Stock._meta.get_fields()],
    "newest": [[row.ticker, row.current_price, row.last_updated.isoformat()] for row in rows],
    "first": [repr(first.is_listed), repr(first.volume), first.price_time.isoformat()],
    "refused": refused,
}))
"""


def site_settings(url: str, server: str) -> str:
    """The block of the page, with the addresses of this test."""
    if url.startswith("sqlite"):
        text = ON_SQLITE.replace("/srv/tickerd/tickerd.db", url.removeprefix("sqlite:///"))
    else:
        name = url.rpartition("@/")[2].partition("?")[0]
        text = ON_POSTGRESQL.replace('"stocks",', f'"{name}",').replace("db.example", server)
        text = text.replace('"site"', '"tickerd"').replace('"..."', '""')
    assert OWN in text
    return str(text.replace(OWN, '"default": {},'))


@pytest.fixture
def page_site(database_url: str, request: pytest.FixtureRequest) -> dict[str, Any]:
    """What a site on A, B and fourteen tickers without an answer says."""
    moved = timedelta(minutes=1)
    with Writer.open(database_url, service="test", origin="practice", clock=StillClock()) as writer:
        load_universe(writer, [Listing(ticker=ticker) for ticker in ("A", "B", *(f"T{n}" for n in range(14)))])
        for ticker, at in (("B", NOON + moved), ("A", NOON + 2 * moved)):
            row = PriceRow(ticker=ticker, price_usd=2.5, price_time=OPENS_AT, heard_at=at)
            flush_prices(writer, [row], price_source="stream", session_opens_at=OPENS_AT)
    server = "" if database_url.startswith("sqlite") else str(request.getfixturevalue("postgresql_server"))
    command = [sys.executable, "-W", "error", "-c", SITE, site_settings(database_url, server), MODEL, NEWEST]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_the_model_of_the_page_counts_orders_and_cannot_write(page_site: dict[str, Any]) -> None:
    assert page_site["count"] == 16
    assert page_site["newest"][:2] == [
        ["A", 2.5, "2026-11-23T17:02:00+00:00"],
        ["B", 2.5, "2026-11-23T17:01:00+00:00"],
    ]
    assert len(page_site["newest"]) == 10
    assert page_site["first"] == ["True", "None", "2026-11-23T14:30:00+00:00"]
    assert re.search(r"read-?only", page_site["refused"])
    assert page_site["fields"] == stocks_stock.columns.keys()
