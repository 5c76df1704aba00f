"""The names of yfinance that are not its public interface, all of them here. Never runs `import yfinance`.

`import yfinance` costs 94 MB and pandas; its protobuf schema alone is a few hundred kB.
"""

from __future__ import annotations

import importlib.util
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from core.errors import FixByHand


def load_pricing_data() -> Any:
    """Return yfinance's protobuf class `PricingData` (yfinance/pricing_pb2.py), read by its file's path."""
    package = importlib.util.find_spec("yfinance")  # finds a top-level package without running it
    if package is None or not package.submodule_search_locations:
        raise FixByHand("yfinance is not installed", right='install it: pip install "yfinance>=1.7,<1.8"')
    file = Path(package.submodule_search_locations[0]) / "pricing_pb2.py"
    spec = importlib.util.spec_from_file_location("pricing_pb2", file)
    if spec is None or not file.exists():
        raise FixByHand("has no pricing_pb2", where=str(file.parent), right="yfinance>=1.7,<1.8 is needed")
    return _run(spec).PricingData


def _run(spec: ModuleSpec) -> ModuleType:
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
