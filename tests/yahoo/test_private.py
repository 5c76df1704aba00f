import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import FixByHand
from yahoo.private import load_pricing_data

ROOT = Path(__file__).parents[2]


def test_yfinance_still_has_the_message_class_with_every_field_that_is_read() -> None:
    """The one private name in use: a change of it ends here and not in a silent stream."""
    schema = load_pricing_data().DESCRIPTOR
    numbers = {field.name: field.number for field in schema.fields}
    assert schema.name == "PricingData"
    read = {"id": 1, "price": 2, "time": 3, "market_hours": 7, "change_percent": 8, "day_volume": 9, "change": 12}
    assert {name: numbers[name] for name in read} == read


def test_the_wire_types_are_those_that_yahoo_sends() -> None:
    message = load_pricing_data()()
    message.ParseFromString(bytes.fromhex("0a0141 150000c03f 18d00f 3801 450000003f 480a 650000003e"))
    assert (message.id, message.price, message.market_hours) == ("A", 1.5, 1)
    assert (message.time, message.day_volume) == (1000, 5)  # zig-zag: 2000 and 10 on the wire
    assert (message.change_percent, message.change) == (0.5, 0.125)


def test_the_stream_loads_neither_yfinance_nor_pandas() -> None:
    code = (
        "import sys, yahoo.stream; yahoo.stream.FrameParser(); print(sorted({'yfinance', 'pandas'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


def test_loading_twice_in_one_process_is_harmless() -> None:
    first, second = load_pricing_data(), load_pricing_data()
    assert first.DESCRIPTOR.full_name == second.DESCRIPTOR.full_name


def test_without_yfinance_the_reader_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(FixByHand, match=r'yfinance is not installed; install it: pip install "yfinance>=1\.7,<1\.8"'):
        load_pricing_data()


def test_a_yfinance_without_the_schema_is_named_with_the_version_that_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "yfinance").mkdir()
    (tmp_path / "yfinance" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "yfinance", raising=False)
    with pytest.raises(FixByHand, match=rf"{tmp_path}/yfinance: has no pricing_pb2; yfinance>=1\.7,<1\.8 is needed"):
        load_pricing_data()
