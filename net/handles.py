"""GET requests on libcurl's own handles, each set up once and then lent to one request at a time. Keeps no cookie.

The session of curl_cffi sets forty options anew for each request and reads twenty facts of each answer: a fifth of what
a request through a proxy costs. Knows no proxy and judges no answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from urllib.parse import quote

from curl_cffi import AsyncCurl, Curl, CurlError, CurlInfo, CurlOpt
from curl_cffi.requests.impersonate import DEFAULT_CHROME

from core.errors import FixByHand

LEFT_ALONE = "!#$%&'()*+,/:;=?@[]~|"
"""In a URL; anything else that is no letter and no digit is escaped, as a browser does it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What came of a request. `head`: the answer's header lines; `connect_status`: what a proxy said to the CONNECT,
    0 = nothing; `secured`: TLS came up; `error`: why the answer is not whole."""

    status: int
    head: bytes
    body: bytes
    connect_status: int
    secured: bool
    error: CurlError | None


class Handles:
    """At most `max_clients` requests at a time; more wait for their turn. `options`: of all of them."""

    def __init__(self, options: Mapping[CurlOpt, Any], *, max_clients: int) -> None:
        self._options = options
        self._turns = asyncio.Semaphore(max_clients)
        self._idle: list[Curl] = []
        self._multi: AsyncCurl | None = None

    async def get(self, url: str, given: Mapping[CurlOpt, Any]) -> Heard:
        """Return what came of it. `given`: the same options each time, or one request would inherit another's."""
        async with self._turns:
            curl = self._idle.pop() if self._idle else self._new()
            try:
                with BytesIO() as head, BytesIO() as body:
                    curl.setopt(CurlOpt.URL, quote(url, safe=LEFT_ALONE).encode())
                    for option, value in given.items():
                        curl.setopt(option, value)
                    curl.setopt(CurlOpt.HEADERDATA, head)
                    curl.setopt(CurlOpt.WRITEDATA, body)
                    error = await self._done(curl)
                    return _heard(curl, head.getvalue(), body.getvalue(), error)
            finally:
                curl.clean_handles_and_buffers()
                self._idle.append(curl)

    async def _done(self, curl: Curl) -> CurlError | None:
        if self._multi is None:
            self._multi = AsyncCurl()
        try:
            await self._multi.add_handle(curl)
        except CurlError as error:
            return error
        finally:
            if self._multi is not None:  # else it was closed meanwhile, which let the handle go
                self._multi.remove_handle(curl)
        return None

    def _new(self) -> Curl:
        curl = Curl()
        curl.setopt(CurlOpt.ACCEPT_ENCODING, b"gzip, deflate, br")
        if curl.impersonate(DEFAULT_CHROME):
            raise FixByHand("libcurl does not know it", where=DEFAULT_CHROME, right="install curl_cffi anew")
        for option, value in self._options.items():
            curl.setopt(option, value)
        return curl

    async def close(self) -> None:
        multi, self._multi = self._multi, None
        if multi is not None:
            await multi.close()  # type: ignore[no-untyped-call]  # curl_cffi gives it no types
        self._idle.clear()


def _heard(curl: Curl, head: bytes, body: bytes, error: CurlError | None) -> Heard:
    return Heard(
        status=_number(curl, CurlInfo.RESPONSE_CODE),
        head=head,
        body=body,
        connect_status=_number(curl, CurlInfo.HTTP_CONNECTCODE),
        secured=_number(curl, CurlInfo.APPCONNECT_TIME_T) > 0,
        error=error,
    )


def _number(curl: Curl, info: CurlInfo) -> int:
    value = curl.getinfo(info)
    assert isinstance(value, int)
    return value
