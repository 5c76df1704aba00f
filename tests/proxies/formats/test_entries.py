import pytest

from proxies.formats.entries import MAX_ENTRIES, MAX_ROWS, Entry, Listed, endpoint, entry, named_protocols, of_cells


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        ("8.8.8.8:80", Entry("8.8.8.8", 80)),
        ("http://8.8.8.8:80", Entry("8.8.8.8", 80, ("http",))),
        ("https://8.8.8.8:443/", Entry("8.8.8.8", 443, ("http",))),
        ("SOCKS5://8.8.8.8:1080", Entry("8.8.8.8", 1080, ("socks5",))),
        ("socks5h://8.8.8.8:1080", Entry("8.8.8.8", 1080, ("socks5",))),
        ("socks4a://8.8.8.8:1080", Entry("8.8.8.8", 1080, ("socks4",))),
        ("8.8.8.8:65536", "bad_port"),
        ("8.8.8.8:0", "bad_port"),
        ("8.8.8.8:-1", "bad_port"),
        ("8.8.8.8:080", "bad_port"),
        ("8.8.8.8:http", "bad_port"),
        ("127.1:80", "not_an_address"),
        ("0x7f000001:80", "not_an_address"),
        ("2130706433:80", "not_an_address"),
        ("0177.0.0.1:80", "not_an_address"),
        ("１２７.0.0.1:80", "not_an_address"),
        ("localhost:2375", "not_an_address"),
        ("metadata.google.internal:80", "not_an_address"),
        ("redis:6379", "not_an_address"),
        ("[::1]:80", "not_an_address"),
        ("[64:ff9b::7f00:1]:80", "not_an_address"),
        ("8.8.8.8.8:80", "not_an_address"),
        ("user:word@8.8.8.8:80", "credentials"),
        ("http://user:word@8.8.8.8:80", "credentials"),
        ("http://8.8.8.8:80@10.0.0.1:80", "credentials"),
        ("8.8.8.8:80:user:word", "credentials"),
        ("ftp://8.8.8.8:21", "other_protocol"),
        ("vmess://8.8.8.8:443", "other_protocol"),
        ("javascript://8.8.8.8:443", "other_protocol"),
        ("8.8.8.0/24", "junk"),
        ("http://8.8.8.8/../../etc/passwd", "junk"),
        ("8.8.8.8:80/path", "junk"),
        ("me@example.net", "junk"),
        ("\x1b[31m8.8.8.8:80", "junk"),
        ("8.8.8.8:80\x1b", "bad_port"),
        ("", "junk"),
        ("a" * 100_000, "junk"),
        ("8.8.8.8:" + "8" * 100_000, "junk"),
    ],
)
def test_an_endpoint_is_taken_strictly(cell: str, found: Entry | str) -> None:
    assert endpoint(cell) == found


def test_what_is_said_elsewhere_counts_where_the_address_has_no_scheme() -> None:
    assert endpoint("8.8.8.8:80", ("socks4",)) == Entry("8.8.8.8", 80, ("socks4",))
    assert endpoint("http://8.8.8.8:80", ("socks4",)) == Entry("8.8.8.8", 80, ("http",))


def test_an_address_and_its_port_may_stand_apart() -> None:
    assert entry("8.8.8.8", "3128", ("http",)) == Entry("8.8.8.8", 3128, ("http",))
    assert entry("8.8.8", "3128") == "not_an_address"
    assert entry("8.8.8.8", "3128x") == "bad_port"


@pytest.mark.parametrize(
    ("cells", "found"),
    [
        (["8.8.8.8", "3128", "US"], [Entry("8.8.8.8", 3128)]),
        (["US", "8.8.8.8", "3128", "SOCKS4, SOCKS5", "3 seconds ago"], [Entry("8.8.8.8", 3128, ("socks4", "socks5"))]),
        (["8.8.8.8:80", "9.9.9.9:81"], [Entry("8.8.8.8", 80), Entry("9.9.9.9", 81)]),
        (["200.2.125.90:8080", "AR-N-S!", "+"], [Entry("200.2.125.90", 8080)]),
        (["8.8.8.8", "US", "3128"], "junk"),
        (["8.8.8.8", "99999"], "bad_port"),
        (["localhost:80", "10:30:00"], "not_an_address"),
        (["Free", "proxies"], "junk"),
        ([], "junk"),
    ],
)
def test_a_row_gives_its_entries_or_the_reason_why_there_are_none(cells: list[str], found: list[Entry] | str) -> None:
    assert of_cells(cells) == found


@pytest.mark.parametrize(
    ("cells", "named"),
    [
        (["HTTP, HTTPS"], ("http",)),
        (["socks4/socks5"], ("socks4", "socks5")),
        (["Socks5", "http"], ("http", "socks5")),
        (["elite proxy", "no", "", "http server"], ()),
        (["http," * 1000], ()),
    ],
)
def test_protocols_are_named_by_whole_cells_alone(cells: list[str], named: tuple[str, ...]) -> None:
    assert named_protocols(cells) == named


def test_a_list_is_cut_off_after_so_many_entries_and_after_so_many_rows() -> None:
    listed = Listed(shape="text", entries=[Entry("8.8.8.8", 80)] * MAX_ENTRIES)
    assert not listed.row()
    assert listed.cut
    listed = Listed(shape="text", rows=MAX_ROWS)
    assert not listed.row()
    assert listed.cut
    listed = Listed(shape="text", rows=MAX_ROWS - 1)
    assert listed.row()
    assert not listed.cut
