from __future__ import annotations

from core.logs import render_text
from screener.sentences import SENTENCES


def line(message: str, **keys: object) -> str:
    return render_text({"message": message, **keys}, SENTENCES)


def test_stages_are_told_in_the_words_of_earlier_scanners() -> None:
    assert line("scan_stage_started", stage="universe_loading") == "[INFO] Starting stage: universe_loading"
    told = line("scan_stage_completed", stage="universe_loading", took_s=5.2)
    assert told == "[INFO] Completed stage: universe_loading (5.2s)"
