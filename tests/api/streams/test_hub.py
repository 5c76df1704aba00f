from __future__ import annotations

from api.streams.hub import KEPT, Hub, Latest, Message, Numbered


class Ear:
    def __init__(self) -> None:
        self.woken = 0

    def wake(self) -> None:
        self.woken += 1


def test_only_that_a_key_changed_is_kept_so_who_is_late_gets_it_once() -> None:
    latest = Latest()
    for _ in range(100):
        latest.change({"A"})
    latest.change({"B"})
    assert latest.newer(0, None, most=9) == (["A", "B"], 101)
    assert latest.newer(100, None, most=9) == (["B"], 101)
    assert latest.newer(101, None, most=9) == ([], 101)
    latest.change({"A"})
    assert latest.newer(0, None, most=9) == (["B", "A"], 102), "in the order of the changes"


def test_one_gets_the_keys_that_one_wants_and_no_others() -> None:
    latest = Latest()
    for key in "ABCD":
        latest.change({key})
    assert latest.newer(0, frozenset("DBX"), most=9) == (["B", "D"], 4)
    assert latest.newer(2, frozenset("DBX"), most=9) == (["D"], 4)
    assert latest.newer(0, frozenset("X"), most=9) == ([], 4), "and looks no second time"


def test_what_does_not_fit_into_a_frame_comes_with_the_next() -> None:
    latest = Latest()
    for key in "ABCDE":
        latest.change({key})
    for keys in (None, frozenset("ABCDE")):
        first, since = latest.newer(0, keys, most=2)
        second, since = latest.newer(since, keys, most=2)
        third, since = latest.newer(since, keys, most=2)
        assert (first, second, third, since) == (["A", "B"], ["C", "D"], ["E"], 5)


def test_a_change_wakes_only_who_wants_it() -> None:
    latest = Latest()
    all_, some, other = Ear(), Ear(), Ear()
    latest.listeners |= {all_: None, some: frozenset("AB"), other: frozenset("X")}
    latest.change({"B", "C"})
    assert (all_.woken, some.woken, other.woken) == (1, 1, 0)


def messages(*numbers: int) -> list[Message]:
    return [Message({"n": number}, number) for number in numbers]


def numbers(found: list[Message] | None) -> list[int] | None:
    return None if found is None else [message.seq for message in found]


def test_numbered_messages_come_in_their_order_from_where_one_is() -> None:
    channel = Numbered()
    ear = Ear()
    channel.listeners[ear] = None
    channel.add(messages(2, 5, 9))
    assert numbers(channel.after(0, most=9)) == [2, 5, 9]
    assert numbers(channel.after(2, most=9)) == numbers(channel.after(4, most=9)) == [5, 9]
    assert numbers(channel.after(0, most=2)) == [2, 5] and numbers(channel.after(9, most=2)) == []
    channel.add([])
    assert (ear.woken, channel.newest) == (1, 9)


def test_what_two_have_read_at_once_is_told_once() -> None:
    channel = Numbered()
    for _ in range(2):
        channel.add(messages(1, 2))
    channel.add(messages(2, 3))
    assert numbers(channel.after(0, most=9)) == [1, 2, 3]


def test_what_is_no_longer_at_hand_is_said_to_be_in_sql() -> None:
    channel = Numbered()
    channel.begin(7)
    assert channel.after(6, most=9) is None and numbers(channel.after(7, most=9)) == []
    channel.add(messages(*range(8, 8 + KEPT + 5)))
    assert channel.floor == 12 and channel.after(11, most=1) is None
    assert numbers(channel.after(12, most=2)) == [13, 14]
    assert numbers(channel.after(channel.newest - 1, most=9)) == [channel.newest]


def test_a_message_is_written_once_for_each_view() -> None:
    written: list[str] = []

    def short(payload: object) -> bytes:
        written.append("short")
        return b"s"

    def long(payload: object) -> bytes:
        written.append("long")
        return b"long"

    message = Message({"n": 1})
    assert [message.written(view) for view in (short, long, short, long)] == [b"s", b"long", b"s", b"long"]
    assert written == ["short", "long"]


def test_a_scan_that_says_the_same_again_wakes_nobody() -> None:
    found = Hub()
    scan, ear = found.scan("s"), Ear()
    scan.listeners[ear] = None
    scan.say({"p": 1}, ended=False)
    scan.say({"p": 1}, ended=False)
    assert (ear.woken, scan.version) == (1, 1)
    scan.say({"p": 1}, ended=True)
    assert (ear.woken, scan.ended) == (2, True)


def test_a_scan_that_is_over_is_not_under_way_again_by_a_row_that_was_read_before() -> None:
    scan = Hub().scan("s")
    scan.say({"p": 100}, ended=True)
    scan.say({"p": 60}, ended=False)
    assert scan.ended and scan.progress is not None and scan.progress.payload == {"p": 100}


def test_a_scans_channel_goes_with_its_last_listener() -> None:
    found = Hub()
    ears = Ear(), Ear()
    for ear in ears:
        found.scan("s").listeners[ear] = None
        found.signals.listeners[ear] = None
    found.leave(ears[0])
    assert set(found.scans) == {"s"} and set(found.signals.listeners) == {ears[1]}
    found.leave_scan("s", ears[1])
    assert not found.scans
