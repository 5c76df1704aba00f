from __future__ import annotations

import gzip
from pathlib import Path

from starlette.requests import Request

from api.files import carried


def request(**headers: str) -> Request:
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "GET", "path": "/", "headers": named, "query_string": b""})


def test_a_file_has_its_media_type_and_a_tag_by_which_it_is_sent_once(tmp_path: Path) -> None:
    (tmp_path / "page.js").write_text("let a;")
    answer = carried(request(), tmp_path / "page.js")
    assert (bytes(answer.body), answer.headers["content-type"]) == (b"let a;", "text/javascript; charset=utf-8")
    assert carried(request(if_none_match=answer.headers["etag"]), tmp_path / "page.js").status_code == 304


def test_a_packed_file_goes_as_it_is_to_who_unpacks_and_unpacked_to_others(tmp_path: Path) -> None:
    (tmp_path / "page.css.gz").write_bytes(gzip.compress(b"p {}"))
    packed, plain = (carried(request(accept_encoding=how), tmp_path / "page.css") for how in ("br, gzip", "br"))
    assert packed.headers["content-encoding"] == "gzip" and gzip.decompress(bytes(packed.body)) == b"p {}"
    assert "content-encoding" not in plain.headers and bytes(plain.body) == b"p {}"
