import itertools
import json
import math
import os
import signal
import subprocess
import sys
from collections import deque
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import SystemClock
from core.errors import RetryLater
from net.budget import Budget, Lane, eased, given_back, idle_in_s, praised, quiet_s, refused, reserved

ROOT = Path(__file__).parents[2]
HAMMER = """
import json, sys
from pathlib import Path
from net.budget import Budget
budget = Budget(Path(sys.argv[1]), start_per_s=0.25, max_per_s=2.0)
print("started", flush=True)
sys.stdin.readline()
print(json.dumps([budget.reserve(now_s=5000.0) for _ in range(int(sys.argv[2]))]), flush=True)
"""


def budget_in(folder: Path, *, start_per_s: float = 0.5, max_per_s: float = 2.0) -> Budget:
    return Budget(folder, start_per_s=start_per_s, max_per_s=max_per_s)


def slots(lane: Lane, times_s: list[float]) -> tuple[Lane, list[float]]:
    """Reserve at each of `times_s`; return the lane and when each request may be sent."""
    found = []
    for now_s in times_s:
        lane, wait_s = reserved(lane, now_s=now_s)
        found.append(now_s + wait_s)
    return lane, found


def test_slots_of_a_lane_lie_one_interval_apart() -> None:
    lane, found = slots(Lane(rate_per_s=0.5), [100.0, 100.0, 100.5, 101.0])
    assert found == [100.0, 102.0, 104.0, 106.0]
    assert lane.next_free_s == 108.0


def test_a_lane_that_rested_gives_its_next_slot_at_once_but_saves_up_no_burst() -> None:
    _, found = slots(Lane(rate_per_s=0.5), [100.0, 500.0, 500.0, 500.0])
    assert found == [100.0, 500.0, 502.0, 504.0]


def test_a_long_queue_keeps_its_distance() -> None:
    """At the slowest rate thirteen waiting requests reach beyond ten minutes."""
    _, found = slots(Lane(rate_per_s=0.02), [100.0] * 40)
    assert found == [100.0 + 50.0 * number for number in range(40)]


def test_readings_of_two_processes_may_be_out_of_order_by_a_little() -> None:
    _, found = slots(Lane(rate_per_s=0.5), [100.0, 99.0, 100.1])
    assert found == [100.0, 102.0, 104.0]


def test_after_a_restart_of_the_machine_old_slots_count_for_nothing() -> None:
    old = Lane(rate_per_s=0.5, next_free_s=900_004.0, used_at_s=900_000.0)
    lane, wait_s = reserved(old, now_s=20.0)
    assert wait_s == 0.0
    assert lane == Lane(rate_per_s=0.5, next_free_s=22.0, used_at_s=20.0)
    assert refused(old, now_s=20.0, retry_after_s=None).next_free_s == 50.0


def test_the_last_slot_can_be_given_back_and_one_that_others_stand_behind_cannot() -> None:
    lane, first_s = reserved(Lane(rate_per_s=0.5, next_free_s=100.0), now_s=90.0)
    assert first_s == 10.0
    behind, _ = reserved(lane, now_s=91.0)
    assert given_back(lane, slot_s=100.0).next_free_s == 100.0
    assert given_back(behind, slot_s=100.0).next_free_s == 104.0
    assert given_back(behind, slot_s=102.0).next_free_s == 102.0


def test_each_good_answer_adds_a_little_up_to_the_most() -> None:
    lane = Lane(rate_per_s=0.25, next_free_s=7.0, used_at_s=3.0)
    assert praised(lane, max_per_s=2.0) == Lane(rate_per_s=0.27, next_free_s=7.0, used_at_s=3.0)
    assert praised(lane, max_per_s=0.26).rate_per_s == 0.26
    for _ in range(88):
        lane = praised(lane, max_per_s=2.0)
    assert lane.rate_per_s == 2.0


@pytest.mark.parametrize(
    ("retry_after_s", "quiet_until_s"), [(None, 130.0), (5.0, 130.0), (90.0, 190.0), (86_400.0, 700.0)]
)
def test_a_refusal_halves_the_rate_and_is_followed_by_silence(
    retry_after_s: float | None, quiet_until_s: float
) -> None:
    lane = refused(Lane(rate_per_s=1.0, next_free_s=101.0), now_s=100.0, retry_after_s=retry_after_s)
    assert lane == Lane(
        rate_per_s=0.5,
        next_free_s=quiet_until_s,
        used_at_s=100.0,
        quiet_until_s=quiet_until_s,
        refused_per_s=1.0,
        refusals=1,
    )


def test_a_storm_of_refusals_is_met_with_minutes_of_silence() -> None:
    lane, now_s, silences = Lane(rate_per_s=2.0), 100.0, []
    for _ in range(6):
        lane = refused(lane, now_s=now_s, retry_after_s=None)
        silences.append(lane.quiet_until_s - now_s)
        now_s = lane.quiet_until_s
    assert silences == [30.0, 60.0, 120.0, 240.0, 480.0, 600.0]
    assert refused(praised(lane, max_per_s=2.0), now_s=now_s, retry_after_s=None).quiet_until_s == now_s + 30.0


def test_near_the_rate_that_was_refused_the_way_is_slow_and_far_beyond_it_quick() -> None:
    known = Lane(rate_per_s=1.0, refused_per_s=2.0)
    rates = [0.5, 1.7, 1.8, 2.0, 2.09, 2.2]
    found = [praised(replace(known, rate_per_s=rate), max_per_s=9.0).rate_per_s - rate for rate in rates]
    assert found == pytest.approx([0.02, 0.02, 0.0007, 0.0007, 0.0007, 0.02])


def test_a_refusal_that_was_to_be_expected_costs_little() -> None:
    """Its price is what is paid to know where the limit is; a second one without a good answer is another matter."""
    lane = refused(Lane(rate_per_s=2.0, refused_per_s=2.0), now_s=100.0, retry_after_s=None)
    assert (lane.rate_per_s, lane.quiet_until_s) == (1.5, 110.0)
    again = refused(lane, now_s=110.0, retry_after_s=None)
    assert (again.rate_per_s, again.quiet_until_s) == (0.75, 170.0)


def test_an_error_that_is_no_refusal_only_slows_down(tmp_path: Path) -> None:
    assert eased(Lane(rate_per_s=1.0, next_free_s=7.0)) == Lane(rate_per_s=0.7, next_free_s=7.0)
    assert eased(Lane(rate_per_s=0.02)).rate_per_s == 0.02
    budget = budget_in(tmp_path)
    budget.ease()
    assert budget.lane().rate_per_s == 0.35


def test_a_hidden_limit_that_moves_is_followed() -> None:
    """4, then 1, then 3 requests a second: nearly all that it allows is had, and few requests are refused."""
    taken_s: deque[float] = deque()
    lane, now_s, done, wrong = Lane(rate_per_s=0.25), 0.0, 0, 0
    while now_s < 2700.0:
        lane, wait_s = reserved(lane, now_s=now_s)
        now_s += max(wait_s, quiet_s(lane, now_s=now_s + wait_s))
        limit_per_s = next(per_s for ends_s, per_s in ((900.0, 4.0), (1800.0, 1.0), (math.inf, 3.0)) if now_s < ends_s)
        while taken_s and taken_s[0] <= now_s - 10.0:
            taken_s.popleft()
        if len(taken_s) < 10.0 * limit_per_s:
            taken_s.append(now_s)
            lane, done = praised(lane, max_per_s=8.0), done + 1
        else:
            lane, wrong = refused(lane, now_s=now_s, retry_after_s=None), wrong + 1
    assert done >= 900 * (4 + 1 + 3) / 1.3
    assert wrong <= 0.05 * done


def test_a_refusal_never_shortens_a_silence() -> None:
    lane = refused(Lane(rate_per_s=1.0, next_free_s=300.0, used_at_s=90.0), now_s=100.0, retry_after_s=None)
    assert lane.next_free_s == 300.0
    silent = refused(lane, now_s=100.0, retry_after_s=90.0)
    assert quiet_s(refused(silent, now_s=110.0, retry_after_s=None), now_s=110.0) == 80.0


def test_the_silence_after_a_refusal_lasts_whatever_is_reserved_or_praised() -> None:
    lane = refused(Lane(rate_per_s=1.0, next_free_s=300.0, used_at_s=100.0), now_s=100.0, retry_after_s=None)
    lane, _ = reserved(praised(lane, max_per_s=2.0), now_s=110.0)
    assert [quiet_s(lane, now_s=now_s) for now_s in (110.0, 129.0, 130.0, 500.0)] == [20.0, 1.0, 0.0, 0.0]
    assert quiet_s(lane, now_s=130.0 - 1e-9) == 0.0, "a sleeper may wake so early"
    assert quiet_s(Lane(rate_per_s=1.0, next_free_s=300.0), now_s=100.0) == 0.0, "a queue is no silence"


def test_a_silence_ends_with_a_restart_of_the_machine() -> None:
    lane = refused(Lane(rate_per_s=1.0), now_s=900_000.0, retry_after_s=None)
    assert quiet_s(lane, now_s=20.0) == 0.0
    assert quiet_s(reserved(lane, now_s=20.0)[0], now_s=21.0) == 0.0


def test_refusals_without_end_leave_a_request_in_fifty_seconds() -> None:
    lane = Lane(rate_per_s=1.0)
    for _ in range(20):
        lane = refused(lane, now_s=100.0, retry_after_s=None)
    assert lane.rate_per_s == 0.02


@given(st.lists(st.sampled_from(["ask", "good", "bad"]), max_size=60), st.floats(0.05, 5.0))
def test_whatever_happens_no_two_slots_are_nearer_than_the_highest_rate_allows(
    events: list[str], step_s: float
) -> None:
    lane, now_s, found = Lane(rate_per_s=0.25), 1000.0, []
    for event in events:
        now_s += step_s
        if event == "good":
            lane = praised(lane, max_per_s=2.0)
        elif event == "bad":
            lane = refused(lane, now_s=now_s, retry_after_s=None)
        else:
            lane, wait_s = reserved(lane, now_s=now_s)
            assert wait_s >= 0
            found.append(now_s + wait_s)
        assert 0.02 <= lane.rate_per_s <= 2.0
    assert all(later - earlier >= 0.499999 for earlier, later in itertools.pairwise(found))


def test_the_lane_starts_at_the_careful_rate_and_never_above_the_most(tmp_path: Path) -> None:
    assert budget_in(tmp_path).lane().rate_per_s == 0.5
    assert budget_in(tmp_path, start_per_s=9.0).lane().rate_per_s == 2.0


def test_two_budgets_on_one_folder_share_a_lane_and_another_exit_has_its_own(tmp_path: Path) -> None:
    first, second = budget_in(tmp_path), budget_in(tmp_path)
    assert first.reserve(now_s=100.0) == 0.0
    assert second.reserve(now_s=100.0) == 2.0
    assert Budget(tmp_path, start_per_s=0.5, max_per_s=2.0, name="exit-1").reserve(now_s=100.0) == 0.0
    first.praise()
    assert second.lane().rate_per_s == 0.52
    second.refuse(now_s=100.0, retry_after_s=60.0)
    lane = first.lane()
    assert (lane.rate_per_s, lane.next_free_s, lane.quiet_until_s) == (0.26, 160.0, 160.0)


def test_who_holds_an_old_slot_hears_of_the_refusal_of_another_process(tmp_path: Path) -> None:
    holder, other = budget_in(tmp_path), budget_in(tmp_path)
    other.reserve(now_s=100.0)
    assert holder.reserve(now_s=100.0) == 2.0
    assert holder.quiet_for_s(102.0) == 0.0
    other.refuse(now_s=101.0)
    assert holder.quiet_for_s(102.0) == 29.0
    assert holder.reserve(now_s=102.0) == 29.0
    assert holder.quiet_for_s(131.0) == 0.0


def test_a_lane_that_finds_no_room_on_the_disk_is_named(tmp_path: Path) -> None:
    (tmp_path / "budget-direct.json").symlink_to("/dev/full")
    budget = budget_in(tmp_path)
    with pytest.raises(RetryLater, match=r"budget-direct\.json: cannot be written \(No space left on device\)"):
        budget._write(Lane(rate_per_s=1.0))


def test_a_lower_limit_in_the_settings_holds_at_once(tmp_path: Path) -> None:
    budget_in(tmp_path, start_per_s=2.0).reserve(now_s=100.0)
    assert budget_in(tmp_path, max_per_s=0.1).lane().rate_per_s == 0.1


@pytest.mark.parametrize("cut", [b"", b"{", b'{"rate_per_s":1.9,"next_fr', b"\x00" * 40, b"[]", b'{"rate_per_s":"x"}'])
def test_a_torn_file_means_the_careful_rate(tmp_path: Path, cut: bytes) -> None:
    budget = budget_in(tmp_path)
    budget.praise()
    (tmp_path / "budget-direct.json").write_bytes(cut)
    assert budget.lane() == Lane(rate_per_s=0.5)
    assert budget.reserve(now_s=100.0) == 0.0


@pytest.mark.parametrize(("written", "rate_per_s"), [(-1.0, 0.02), (0.0, 0.02), (1e300, 2.0)])
def test_a_rate_beyond_sense_is_put_back_into_its_limits(tmp_path: Path, written: float, rate_per_s: float) -> None:
    (tmp_path / "budget-direct.json").write_text(json.dumps({"rate_per_s": written}))
    assert budget_in(tmp_path).lane().rate_per_s == rate_per_s


def hammering(folder: Path, times: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HAMMER, str(folder), str(times)]
    child = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "started\n"
    return child


def test_three_processes_that_hammer_one_lane_never_get_a_slot_twice(tmp_path: Path) -> None:
    children = [hammering(tmp_path, 100) for _ in range(3)]
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    waits_s = [wait_s for child in children for wait_s in json.loads(child.communicate()[0])]
    assert sorted(waits_s) == [4.0 * number for number in range(300)]


def test_a_process_killed_at_any_moment_leaves_a_lane_that_works(tmp_path: Path) -> None:
    for _ in range(3):
        child = hammering(tmp_path, 10**9)
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
        while not (tmp_path / "budget-direct.json").exists():
            os.sched_yield()
        child.send_signal(signal.SIGKILL)
        child.communicate()
        budget = Budget(tmp_path, start_per_s=0.25, max_per_s=2.0)
        assert budget.lane().rate_per_s == 0.25
        first_s = budget.reserve(now_s=5000.0)
        assert budget.reserve(now_s=5000.0) == first_s + 4.0
        (tmp_path / "budget-direct.json").unlink()


SENDER = """
import sys
from collections import deque
from dataclasses import replace
from pathlib import Path
from core.clock import SystemClock, pause
from net.budget import Budget
budget, clock = Budget(Path(sys.argv[1]), start_per_s=40.0, max_per_s=40.0), SystemClock()
print("started", flush=True)
sys.stdin.readline()
while True:
    pause(budget.reserve(now_s=clock.monotonic_s()))
    print(repr(clock.monotonic_s()), flush=True)
"""


def test_three_processes_share_the_rate_fairly_and_a_killed_one_leaves_its_share_to_the_others(tmp_path: Path) -> None:
    """Each waits for its slot and sends; in the middle one is killed while it holds one."""
    senders = [
        subprocess.Popen(
            [sys.executable, "-c", SENDER, str(tmp_path)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    sent: list[list[float]] = [[], [], []]
    try:
        for sender in senders:
            assert sender.stdout and sender.stdin
            assert sender.stdout.readline() == "started\n"
        for sender in senders:
            assert sender.stdin
            sender.stdin.write("go\n")
            sender.stdin.flush()
        for count, alive in ((10, senders), (10, senders[1:])):
            for number, sender in enumerate(alive, start=3 - len(alive)):
                assert sender.stdout
                sent[number] += [float(sender.stdout.readline()) for _ in range(count)]
            senders[0].kill()
    finally:
        for sender in senders:
            sender.kill()
            sender.communicate()
    times_s = sorted(itertools.chain(*sent))
    # Never over the rate: of any second's length at most 40 slots and the one it begins with; late is allowed.
    assert all(late - early >= (40 / 40.0) - 0.2 for early, late in zip(times_s, times_s[41:], strict=False))
    # Nobody starved: when each had sent ten, no one had had to wait for more than a few rounds of the others.
    assert [len(each) for each in sent] == [10, 20, 20]


IN_TURN = """
import json, sys
from pathlib import Path
from core.clock import SystemClock, pause
from net.budget import Budget
budget, clock, slots_s = Budget(Path(sys.argv[1]), start_per_s=40.0, max_per_s=40.0), SystemClock(), []
print("started", flush=True)
end_s = float(sys.stdin.readline())
while not slots_s or slots_s[-1] < end_s:
    now_s = clock.monotonic_s()
    wait_s = budget.reserve(now_s=now_s)
    slots_s.append(now_s + wait_s)
    pause(wait_s)
print(json.dumps(slots_s), flush=True)
"""


def test_of_any_thirty_slots_in_a_row_each_of_three_processes_has_some(tmp_path: Path) -> None:
    """Each asks for its next slot as soon as it has used one: ten of thirty are its share."""
    command = [sys.executable, "-c", IN_TURN, str(tmp_path)]
    askers = [
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    try:
        for asker in askers:
            assert asker.stdout and asker.stdout.readline() == "started\n"
        end_s = SystemClock().monotonic_s() + 2.0
        for asker in askers:
            assert asker.stdin
            asker.stdin.write(f"{end_s}\n")
            asker.stdin.flush()
        slots_s = [json.loads(asker.communicate(timeout=60)[0]) for asker in askers]
    finally:
        for asker in askers:
            asker.kill()
            asker.communicate()
    begun_s = max(each[0] for each in slots_s)
    taken = sorted((slot_s, number) for number, each in enumerate(slots_s) for slot_s in each)
    owners = [number for slot_s, number in taken if begun_s <= slot_s < end_s]
    assert len(owners) >= 30
    fewest = min(owners[first : first + 30].count(number) for first in range(len(owners) - 29) for number in range(3))
    assert fewest >= 3


def test_a_slot_is_idle_when_it_has_passed_and_nobody_took_it() -> None:
    taken = Lane(rate_per_s=2.0, next_free_s=100.0, used_at_s=99.5)
    assert [idle_in_s(taken, now_s=now_s) for now_s in (99.5, 100.0, 100.5, 101.0)] == [1.0, 0.5, 0.0, -0.5]
    assert idle_in_s(Lane(rate_per_s=2.0), now_s=0.1) <= 0.0  # nobody has ever asked
    assert idle_in_s(taken, now_s=10.0) == 0.0  # the machine was started anew
