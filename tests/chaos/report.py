"""What came of a run, as one table. Measures nothing."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from tests.chaos.faults import Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Healed:
    """After one fault, or the worst of some at once: `took_s` until all was well."""

    fault: str
    took_s: float
    bound_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`found`: what there was of it, in words; `right`: whether that is what must be."""

    what: str
    found: str
    right: bool


def nothing(what: str, found: Sequence[str]) -> Finding:
    """Return the finding of something of which there must be none."""
    return Finding(what=what, found=f"{len(found)}{f': {found[0]}' if found else ''}", right=not found)


def table(
    faults: Sequence[Fault], times: Mapping[str, int], healed: Sequence[Healed], left_out: Mapping[str, str]
) -> list[str]:
    """Return the lines of faults: how often, and how long until all was well again after the worst at once."""
    lines = [f"{'fault':<26}{'times':>6}{'well again, s: median':>24}{'max':>7}{'bound':>7}"]
    for fault in faults:
        took = [each.took_s for each in healed if each.fault == fault.name]
        line = f"{fault.name:<26}{times.get(fault.name, 0):>6}"
        if fault.name in left_out:
            line += f"  left out: {left_out[fault.name]}"
        elif took:
            line += f"{median(took):>24.1f}{max(took):>7.1f}{fault.bound_s:>7.1f}"
        lines.append(line)
    return lines


def verdicts(findings: Sequence[Finding]) -> list[str]:
    return [f"{'right' if each.right else 'WRONG':<7}{each.what:<52}{each.found}" for each in findings]


def say(text: str) -> None:
    """Show a line at once: the runs are long, and are watched."""
    sys.stderr.write(f"{text}\n")
