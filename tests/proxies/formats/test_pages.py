import json
from pathlib import Path

import pytest

from proxies.formats.entries import Entry
from proxies.formats.pages import is_page, read_page

SAMPLE = json.loads((Path(__file__).parents[2] / "data" / "proxy_lists.json").read_text())["html"]


def test_the_rows_of_a_published_table_are_read() -> None:
    assert is_page(SAMPLE)
    assert read_page(SAMPLE).entries == [Entry("192.0.2.6", 45005)]


@pytest.mark.parametrize(
    ("page", "entries"),
    [
        ("<TABLE><TR><TD>8.8.8.8<TD>80<TR><TD>9.9.9.9<TD>81", [Entry("8.8.8.8", 80), Entry("9.9.9.9", 81)]),
        (
            "<table><tr class=x><td><b>8.8.8.8</b></td><td> 80 </td><td>HTTP, HTTPS</td></tr>",
            [Entry("8.8.8.8", 80, ("http",))],
        ),
        ("<table><tr><th>Country<th>Port<th>IP<tr><td>US<td>80<td>8.8.8.8", [Entry("8.8.8.8", 80)]),
        ("<table><tr><td>8&#46;8.8.8</td><td>&#56;0</td></tr>", [Entry("8.8.8.8", 80)]),
        ('<table><tr><td><script>document.write(Base64.decode("OC44LjguOA=="))</script></td><td>80</td></tr>', []),
        ('<table><tr><td>Base64.decode("OC44LjguOA==")</td><td>80</td></tr>', [Entry("8.8.8.8", 80)]),
        ("<html><pre>8.8.8.8:80\n9.9.9.9:81</pre>", [Entry("8.8.8.8", 80), Entry("9.9.9.9", 81)]),
        (
            "<ul><li>8.8.8.8:80</li><li>socks5://9.9.9.9:81</li></ul>",
            [Entry("8.8.8.8", 80), Entry("9.9.9.9", 81, ("socks5",))],
        ),
        ("<div><span>8.8.8.8</span><span>80</span></div>", [Entry("8.8.8.8", 80)]),
        ("8.8.8.8:80<br>9.9.9.9:81<br/>", [Entry("8.8.8.8", 80), Entry("9.9.9.9", 81)]),
        ("<html><title>404 Not Found</title><h1>nginx/1.2.3.4</h1></html>", []),
        ("<html><tr><td>", []),
        ("<html>", []),
    ],
)
def test_addresses_are_found_in_tables_and_between_tags(page: str, entries: list[Entry]) -> None:
    assert is_page(page)
    listed = read_page(page)
    assert (listed.shape, listed.entries) == ("html", entries)


@pytest.mark.parametrize(
    "text", ["8.8.8.8:80", "a < b", "<socks5://8.8.8.8:80>", "", "<p\n8.8.8.8:80", "<px>", "<p <p <p"]
)
def test_a_text_with_a_sharp_bracket_is_no_page(text: str) -> None:
    assert not is_page(text)
