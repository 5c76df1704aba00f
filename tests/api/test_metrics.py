from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from api.metrics import FAMILIES, Histogram, Sheet


def test_a_sample_stands_under_its_head() -> None:
    sheet = Sheet()
    sheet.put("stocks_market_open", True)
    sheet.put("stocks_proxies", 3, state="gold")
    sheet.put("stocks_quote_age_max_seconds", None, group="price")
    lines = sheet.text().decode().splitlines()
    at = lines.index("# TYPE stocks_market_open gauge")
    assert lines[at + 1] == "stocks_market_open 1"
    assert 'stocks_proxies{state="gold"} 3' in lines
    assert not any(line.startswith("stocks_quote_age_max_seconds") for line in lines)


def test_a_histogram_counts_what_fits_under_each_bound() -> None:
    sheet, found = Sheet(), Histogram((0.5, 1.0))
    for value in (0.25, 0.5, 0.75, 9.0):
        found.add(value)
    sheet.histogram("stocks_scan_duration_seconds", found, mode="now")
    sheet.histogram("stocks_db_write_duration_seconds", Histogram((0.5,)), table="any")
    lines = [line for line in sheet.text().decode().splitlines() if line.startswith(("stocks_scan_d", "stocks_db_w"))]
    assert lines == [
        'stocks_scan_duration_seconds_bucket{mode="now",le="0.5"} 2',
        'stocks_scan_duration_seconds_bucket{mode="now",le="1"} 3',
        'stocks_scan_duration_seconds_bucket{mode="now",le="+Inf"} 4',
        'stocks_scan_duration_seconds_sum{mode="now"} 10.5',
        'stocks_scan_duration_seconds_count{mode="now"} 4',
    ]


@given(st.text(max_size=20))
def test_a_label_may_hold_any_text(text: str) -> None:
    sheet = Sheet()
    sheet.put("stocks_alert", 1, alert=text, process="")
    told = {family.name: family for family in text_string_to_metric_families(sheet.text().decode())}
    assert told["stocks_alert"].samples[0].labels["alert"] == text


def test_every_family_is_read_as_what_it_says_it_is() -> None:
    told = {family.name: family for family in text_string_to_metric_families(Sheet().text().decode())}
    for name, family in FAMILIES.items():
        found = told[name.removesuffix("_total")]
        assert (found.type, found.documentation) == (family.kind, family.help)


def test_a_name_that_is_not_promised_is_a_fault() -> None:
    with pytest.raises(KeyError):
        Sheet().put("stocks_none", 1)


def test_every_family_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
    for name, family in FAMILIES.items():
        assert f"| `{name}` | {family.kind} |" in text and family.help in text
