"""The lines that a person reads of a scan, in the words of earlier scanners. Decides nothing."""

from __future__ import annotations

from collections.abc import Mapping

from core.logs import Sentence

SENTENCES: Mapping[str, Sentence] = {
    "scan_stage_started": lambda event: f"[INFO] Starting stage: {event['stage']}",
    "scan_stage_completed": lambda event: f"[INFO] Completed stage: {event['stage']} ({event['took_s']:.1f}s)",
}
