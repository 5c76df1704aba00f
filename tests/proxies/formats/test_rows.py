import pytest

from proxies.formats.entries import Entry, Listed
from proxies.formats.rows import Head, head_of, read_csv, read_lines, read_plain, read_table, read_words

TWO = [Entry("8.8.8.8", 80), Entry("9.9.9.9", 3128)]


@pytest.mark.parametrize(
    "text",
    [
        "8.8.8.8:80\n9.9.9.9:3128\n",
        "8.8.8.8:80\r\n9.9.9.9:3128\r\n",
        "8.8.8.8:80\r9.9.9.9:3128",
        "\n\n  8.8.8.8:80  \n# a comment: 1.1.1.1:1\n// another: 1.1.1.1:1\n\t9.9.9.9:3128",
        "8.8.8.8:80 US-N-S +\n9.9.9.9:3128 DE-H -",
        "8.8.8.8:80,US,elite\n9.9.9.9:3128,DE,none",
        "8.8.8.8 80\n9.9.9.9\t3128",
        "8.8.8.8,80,US\n9.9.9.9,3128,DE",
        "8.8.8.8;80;US\n9.9.9.9;3128;DE",
        "8.8.8.8|80\n9.9.9.9|3128",
        '"8.8.8.8","80"\n"9.9.9.9","3128"',
        "8.8.8.8:80 9.9.9.9:3128",
        "1. (8.8.8.8:80)\n2. (9.9.9.9:3128)",
    ],
)
def test_lines_in_many_ways_name_the_same_two(text: str) -> None:
    assert read_lines(text).entries == TWO


def test_schemes_are_kept_and_lines_that_are_none_are_counted_by_reason() -> None:
    listed = read_plain("socks4://8.8.8.8:80\nProxies of today:\nlocalhost:80\n8.8.8.8:0\nu:p@8.8.8.8:80\n")
    assert listed.entries == [Entry("8.8.8.8", 80, ("socks4",))]
    assert listed.refused == {"junk": 1, "not_an_address": 1, "bad_port": 1, "credentials": 1}
    assert (listed.shape, listed.cut) == ("text", False)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_csv_is_read_by_the_names_of_its_columns(delimiter: str) -> None:
    rows = [
        'Country,"Port",IP Address,Protocol',
        '"Korea, South",80,8.8.8.8,SOCKS5',
        "DE,3128,9.9.9.9,http",
        "US,1,127.1,",
    ]
    text = "\n".join(row.replace(",", delimiter) for row in rows)
    listed = read_lines(text)
    assert listed.shape == "csv"
    assert listed.entries == [Entry("8.8.8.8", 80, ("socks5",)), Entry("9.9.9.9", 3128, ("http",))]
    assert listed.refused == {"not_an_address": 1}


def test_a_row_of_csv_that_is_too_short_or_too_long_harms_no_other() -> None:
    text = f"ip,port\n8.8.8.8\n{'x' * 200_000}\n9.9.9.9,3128\n"
    assert read_csv(text, ",").entries == TWO[1:]


def test_a_quote_that_never_ends_ends_with_the_text() -> None:
    assert read_csv('ip,port\n"8.8.8.8,80\n' + "9.9.9.9,3128\n" * 9, ",").entries == []


def test_a_head_names_host_and_port() -> None:
    assert head_of(["Port", " IP ", "Type"]) == Head(host=1, port=0, protocol=2)
    assert head_of(["host", "port"]) == Head(host=0, port=1, protocol=None)
    assert head_of(["8.8.8.8", "80"]) is None
    assert head_of(["ip", "country"]) is None


def test_of_a_table_the_rows_below_a_head_are_read_by_it() -> None:
    rows = [["9.9.9.9", "3128"], ["port", "host"], ["80", "8.8.8.8"], ["80"]]
    listed = read_table(rows, shape="html")
    assert listed.entries == [TWO[1], TWO[0]]
    assert listed.refused == {"junk": 1}


def test_one_endless_line_is_read_word_by_word() -> None:
    listed = read_plain("8.8.8.8:80 x 9.9.9.9 3128 , " * 1000)
    assert len(listed.entries) == 2000
    assert set(listed.entries) == set(TWO)


def test_words_are_looked_at_only_so_far() -> None:
    listed = Listed(shape="html", rows=199_999)
    read_words("x 8.8.8.8:80", listed)
    assert (listed.entries, listed.cut) == ([], True)
