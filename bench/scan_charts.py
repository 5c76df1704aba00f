"""Draws a few bars around an event as SVG, with its plan, and prints the bars that it rests on. Finds nothing."""

from __future__ import annotations

from pathlib import Path

from core.settings import Risk
from screener.cube.bars import Bars, date_of
from screener.patterns.signals import Signal, find
from screener.patterns.window import Window

BEFORE, AFTER = 30, 12
STEP, HEIGHT, LEFT, TOP = 14, 320, 60, 30
FONT = 'font-family="sans-serif" font-size="11"'
COLOURS = {"entry": "#1f5fbf", "stop": "#b3261e", "target_1": "#2e7d32", "target_2": "#2e7d32"}


def draw(bars: Bars, column: int, row: int, name: str, file: Path) -> str:
    """Write the chart; return in words the signal and the last three bars."""
    start, end = max(row - BEFORE, 0), min(row + AFTER + 1, bars.rows)
    signal = _signal(bars, column, row, name)
    levels = {level: price for level in COLOURS if (price := getattr(signal, level)) is not None}
    low = min(float(bars.low[start:end, column].min()), levels.get("stop", 1e9))
    high = max(float(bars.high[start:end, column].max()), levels.get("stop", 0.0))
    levels = {level: price for level, price in levels.items() if low <= price <= high}

    def y(price: float) -> float:
        return float(TOP + (high - price) / (high - low) * HEIGHT)

    width = LEFT + (end - start) * STEP + 110
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT + 2 * TOP}" {FONT}>',
        f'<rect width="{width}" height="{HEIGHT + 2 * TOP}" fill="white"/>',
        f'<text x="8" y="18" font-size="13">{signal.ticker} {signal.session_date}: {name}, {signal.direction}</text>',
        f'<rect x="{LEFT + (row - start) * STEP - 5}" y="{TOP}" width="{STEP - 2}" height="{HEIGHT}" fill="#fff3c4"/>',
    ]
    for place in range(start, end):
        o, h, l, c = (float(getattr(bars, field)[place, column]) for field in ("open", "high", "low", "close"))  # noqa: E741
        x, fill = LEFT + (place - start) * STEP + 1, "white" if c >= o else "#333"
        parts.append(f'<line x1="{x}" x2="{x}" y1="{y(h):.1f}" y2="{y(l):.1f}" stroke="#333"/>')
        tall = max(abs(y(o) - y(c)), 1.0)
        parts.append(
            f'<rect x="{x - 4}" y="{y(max(o, c)):.1f}" width="8" height="{tall:.1f}" fill="{fill}" stroke="#333"/>'
        )
    for level, price in levels.items():
        at = y(price)
        line = f'x1="{LEFT + (row - start) * STEP}" x2="{width - 105}" y1="{at:.1f}" y2="{at:.1f}"'
        parts.append(f'<line {line} stroke="{COLOURS[level]}" stroke-dasharray="4 3"/>')
        parts.append(f'<text x="{width - 100}" y="{at + 4:.1f}" fill="{COLOURS[level]}">{level} {price:.2f}</text>')
    parts += [f'<text x="4" y="{y(price):.1f}">{price:.2f}</text>' for price in (low, high)]
    file.write_text("\n".join([*parts, "</svg>\n"]), encoding="utf-8")
    return _words(bars, column, row, signal)


def _signal(bars: Bars, column: int, row: int, name: str) -> Signal:
    """Return the signal as it stood after that bar, when no later one was known."""
    then = bars.columns(slice(column, column + 1)).until(int(bars.session[row, column]))
    (signal,) = find(Window.last(then), [name], Risk()).rows({})
    return signal


def _words(bars: Bars, column: int, row: int, signal: Signal) -> str:
    lines = [f"{signal.pattern}: {signal.ticker} {signal.direction} entry {signal.entry} stop {signal.stop} "]
    lines[0] += f"targets {signal.target_1} {signal.target_2} ATR {signal.atr} size {signal.position_size} "
    lines[0] += f"risk {signal.risk_amount_usd} confidence {signal.confidence} {signal.confluence}"
    for place in range(row - 2, row + 1):
        values = " ".join(
            f"{float(getattr(bars, field)[place, column]):.2f}" for field in ("open", "high", "low", "close")
        )
        lines.append(f"  {date_of(int(bars.session[place, column]))}  {values}  {bars.volume[place, column]:,.0f}")
    return "\n".join(lines)
