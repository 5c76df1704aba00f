"""Sessions of the price stream full of faults, one after the other, each with other dice. `CHAOS_SEED`: the first."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.integration.test_price_session import hurry, session_full_of_faults

FIRST = int(os.environ.get("CHAOS_SEED", "1"))


@pytest.mark.parametrize("seed", range(FIRST, FIRST + 10))
async def test_after_each_session_every_last_price_is_the_markets(
    tmp_path: Path, sqlite_file: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    hurry(monkeypatch)
    await session_full_of_faults(tmp_path, sqlite_file, seed=seed, duration_s=25)
