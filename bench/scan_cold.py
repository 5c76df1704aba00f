"""A scan from a cold process: opens the cube, measures the first block, then the market. Prints what it took
as JSON.

python -m bench.scan_cold FOLDER all|fields
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from time import perf_counter, process_time

from screener.cube import files
from screener.measures import market
from screener.measures.catalogue import CATALOGUE

FIELDS = (
    *(
        "rsi2",
        "rsi14",
        "adx14",
        "plus_di14",
        "minus_di14",
        "macd",
        "macd_signal",
        "macd_hist",
        "atr14",
        "atr_percent14",
    ),
    *("sma5", "sma10", "sma20", "sma50", "sma100", "sma150", "sma200", "ema9", "ema12", "ema20", "ema26", "ema50"),
    *("bb_upper", "bb_middle", "bb_lower", "bb_width", "bb_percent", "kc_upper", "kc_lower", "squeeze_momentum"),
    *("stoch_k", "stoch_d", "cci20", "mfi14", "wr14", "rs_rating", "vwap20", "rvol20", "avg_volume20", "dollar_volume"),
    *("roc1", "roc5", "roc10", "roc20", "roc63", "roc126", "change_percent", "gap_percent", "gap_atr"),
    *("highest252", "lowest252", "distance_52w_high", "distance_52w_low"),
)
"""53 that screens ask for most."""
FIRST_BLOCK = 256
"""Tickers, as the scan's own."""


def peak_mb() -> float:
    """Return the most memory this process had; `ru_maxrss` would be that of the one that started it."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def main() -> None:
    cube = files.read(Path(sys.argv[1]))
    assert cube is not None
    names = list(CATALOGUE) if sys.argv[2] == "all" else list(FIELDS)
    market.of_block(cube.bars.columns(slice(0, FIRST_BLOCK)), market.by_ticker(names))
    first_s, first_cpu_s = perf_counter(), process_time()
    market.compute(cube.bars, names)
    told = {"after_first_s": perf_counter() - first_s, "after_first_cpu_s": process_time() - first_cpu_s}
    print(json.dumps(told | {"cpu_s": process_time(), "peak_mb": peak_mb()}))


if __name__ == "__main__":
    main()
