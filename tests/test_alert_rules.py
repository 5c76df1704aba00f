"""The alert rules that come with the project: Prometheus' own tool takes them, and they ask for what /metrics tells."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from api.metrics import FAMILIES

FOLDER = Path(__file__).parent.parent / "deploy" / "prometheus"
NAME = re.compile(r"(?:stocks|process)_[a-z0-9_]+")


@pytest.mark.parametrize("words", [("check", "rules", "alerts.yml"), ("test", "rules", "alerts_test.yml")])
def test_promtool_takes_the_rules_and_they_fire_when_they_should(words: tuple[str, ...]) -> None:
    if not shutil.which("promtool"):
        pytest.skip("promtool is not installed")
    ended = subprocess.run(["promtool", *words], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert (ended.returncode, "SUCCESS" in ended.stdout) == (0, True), ended.stdout + ended.stderr


def test_every_name_in_a_rule_is_a_metric() -> None:
    text = "\n".join(re.findall(r"expr: (.*)", (FOLDER / "alerts.yml").read_text(encoding="utf-8")))
    asked = {re.sub(r"_(bucket|sum|count)$", "", name) for name in NAME.findall(text)}
    assert asked and asked <= FAMILIES.keys()


def test_the_four_alerts_of_the_earlier_scanners_are_there() -> None:
    text = (FOLDER / "alerts.yml").read_text(encoding="utf-8")
    assert {"HighStreamLatency", "LowPriorityAccuracy", "HighMemoryUsage", "StreamConnectionFailures"} <= set(
        re.findall(r"alert: (\w+)", text)
    )
