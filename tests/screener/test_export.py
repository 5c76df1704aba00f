from __future__ import annotations

import csv
import io
import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from pyarrow import parquet

from screener.export import FORMATS, as_csv, as_parquet, flattened, remove_old, write_file
from tests.fix_storage import NOON

RESULTS: list[dict[str, Any]] = [
    {"rank": 1, "ticker": "NA", "session": "2026-11-20", "values": {"close": 1.5, "nr7": True}, "flags": ["warming"]},
    {
        "rank": 2,
        "ticker": "B",
        "session": "2026-11-20",
        "values": {"close": None},
        "flags": [],
        "signals": [{"pattern": "nr7", "direction": "BUY", "entry": 3.0}],
    },
]


def test_each_format_holds_every_result(tmp_path: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv({}, RESULTS).decode())))
    assert [row["ticker"] for row in rows] == ["NA", "B"]
    assert (rows[0]["close"], rows[1]["close"], rows[0]["entry"], rows[1]["entry"]) == ("1.5", "", "", "3.0")
    assert rows[0]["flags"] == "warming"
    table = parquet.read_table(io.BytesIO(as_parquet({}, RESULTS))).to_pylist()
    assert table[1]["close"] is None and table[1]["entry"] == 3.0 and table[0]["ticker"] == "NA"
    document = json.loads(FORMATS["json"]({"scan_id": "scan_x"}, RESULTS))
    assert document == {"version": 1, "scan_id": "scan_x", "results": RESULTS}


def test_an_id_of_somebody_else_leads_to_no_other_folder(tmp_path: Path) -> None:
    file = write_file(tmp_path / "results", "../../scan/x", "json", {}, [])
    assert file.parent == tmp_path / "results" and file.exists()


def test_nothing_found_is_a_file_too() -> None:
    assert as_csv({}, []).decode().startswith("rank,ticker,session")
    assert parquet.read_table(io.BytesIO(as_parquet({}, []))).num_rows == 0


def test_a_result_is_one_flat_row() -> None:
    assert flattened(RESULTS[1])["direction"] == "BUY" and flattened(RESULTS[0])["nr7"] is True


def test_a_file_appears_whole_under_the_scans_name(tmp_path: Path) -> None:
    file = write_file(tmp_path / "results", "scan_x", "csv", {}, RESULTS)
    assert file == tmp_path / "results" / "scan_x.csv"
    assert [each.name for each in file.parent.iterdir()] == ["scan_x.csv"]


def test_old_files_of_scans_go_and_nothing_else(tmp_path: Path) -> None:
    for name in ("scan_old.csv", "scan_new.json", "mine.csv", "scan_notes.txt"):
        (tmp_path / name).write_text("", encoding="utf-8")
    for name in ("scan_old.csv", "mine.csv", "scan_notes.txt"):
        os.utime(tmp_path / name, (0, 0))
    assert remove_old(tmp_path, before=NOON - timedelta(days=9000)) == 1
    assert sorted(each.name for each in tmp_path.iterdir()) == ["mine.csv", "scan_new.json", "scan_notes.txt"]
