"""HTTP requests with Chrome's fingerprint, capped in time and size. Follows no redirect, reads no environment."""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self
from urllib.parse import urlencode

from curl_cffi import AsyncSession, CurlError, CurlInfo, CurlOpt, Response
from curl_cffi.requests.errors import RequestsError

from core.errors import Unreachable
from net.handles import Handles, Heard

MAX_BODY_BYTES = 8 * 1024 * 1024  # 30 times the largest quote answer measured (238 KiB for 100 symbols)
CONNECT_TIMEOUT_S = 5.0
TOTAL_TIMEOUT_S = 20.0
CROWD_BODY_BYTES = 2 * 1024 * 1024
"""Of an answer through a stranger's proxy, unpacked: 8 times the largest quote answer."""
CROWD_CONNECT_S = 3.0
"""For reaching the proxy, its tunnel and TLS inside it, together."""
CROWD_TOTAL_S = 10.0
BAD_CERTIFICATE = (51, 60)
"""libcurl's codes of a certificate that does not hold."""
GRACE_S = 1.0
"""Beyond libcurl's own limit: should that ever not hold, the request is cancelled."""
NO_OTHER_ROOTS = {} if sys.platform == "win32" else {CurlOpt.CAPATH: "/dev/null"}
"""libcurl would believe the system's folder of roots as well, unless it is given another: one without any."""
OF_ITS_PROXY_ALONE = {CurlOpt.PROXY_CREDENTIAL_NO_REUSE: 1}
"""A TLS session that was begun through one proxy is not taken up through another."""
INFOS = [CurlInfo.HTTP_CONNECTCODE, CurlInfo.APPCONNECT_TIME]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One HTTP answer; header names are lower case. `cookies`: those that it sets."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    cookies: Mapping[str, str] = field(default_factory=dict)


class NoAnswer(Unreachable):
    """A request that brought none. `code`: libcurl's; `connect_status`: what a proxy said to the CONNECT, 0 = nothing;
    `secured`: the fault came after TLS was up."""

    def __init__(self, reason: str, *, where: str, code: int, connect_status: int = 0, secured: bool = False) -> None:
        super().__init__(reason, where=where)
        self.code, self.connect_status, self.secured = code, connect_status, secured


class Getter(Protocol):
    """Something that asks under one identity: a client, or one exit of a crowd."""

    async def get(self, url: str, params: Mapping[str, str] | None = None) -> Answer:
        """Return the answer whatever its status; NoAnswer if there is none."""

    def cookies(self) -> list[str]:
        """Return the values of all cookies that are held: secrets, which no file may hold."""


class HttpClient:
    """One cookie jar and connection pool towards the upstream: one exit, one identity."""

    def __init__(
        self, *, ca_path: Path, proxy: str, max_clients: int = 8, max_body_bytes: int = MAX_BODY_BYTES
    ) -> None:
        self._session = _session(
            ca_path,
            max_clients,
            max_body_bytes,
            # "" = none: left unset, libcurl itself would take HTTPS_PROXY or ALL_PROXY.
            proxy=proxy or None,
            curl_options={CurlOpt.PROXY: proxy},
            timeout=(CONNECT_TIMEOUT_S, TOTAL_TIMEOUT_S - CONNECT_TIMEOUT_S),
        )

    def cookies(self) -> list[str]:
        """Return the values of all cookies that are held: secrets, which no file may hold."""
        return [cookie.value or "" for cookie in self._session.cookies.jar]

    async def get(
        self, url: str, params: Mapping[str, str] | None = None, *, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Return the answer whatever its status; NoAnswer if there is none."""
        return await _ask(self._session.get, url, params, headers=dict(headers or {}))

    async def post(self, url: str, params: Mapping[str, str], body: bytes) -> Answer:
        """Send a JSON document; return the answer whatever its status, NoAnswer if there is none."""
        given = {"data": body, "headers": {"Content-Type": "application/json"}}
        return await _ask(self._session.post, url, params, **given)

    async def close(self) -> None:
        await self._session.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class CrowdClient:
    """Requests through many strangers' proxies over one connection pool. Holds no cookie: each exit brings its own.

    libcurl keeps connections and TLS sessions of different proxies apart.
    """

    def __init__(
        self,
        *,
        ca_path: Path,
        max_clients: int = 8,
        keeps_connections: bool = True,
        whole_ca_path: Path | None = None,
    ) -> None:
        """`keeps_connections`: to each proxy that was asked, for its next request.

        `whole_ca_path`: all roots, where `ca_path` holds but the few that the upstream used last: what these do not
        sign is asked for once more by all, before its certificate is called wrong.
        """
        more = {} if keeps_connections else {CurlOpt.FORBID_REUSE: 1}
        self._handles = deque(
            Handles({**_options(each, CROWD_BODY_BYTES), **OF_ITS_PROXY_ALONE, **more}, max_clients=max_clients)
            for each in (ca_path, whole_ca_path)
            if each is not None
        )
        self._has_whole = len(self._handles) > 1

    async def get(
        self,
        url: str,
        params: Mapping[str, str] | None = None,
        *,
        proxy: str,
        cookie: str = "",
        connect_s: float = CROWD_CONNECT_S,
        total_s: float = CROWD_TOTAL_S,
    ) -> Answer:
        """Return the answer whatever its status; NoAnswer if there is none. `cookie`: the header's whole value.

        `proxy`: http, socks4a or socks5h; an empty one is refused, or the request would leave from here.
        """
        if not proxy:
            raise ValueError("a crowd's request needs a proxy")
        given = {
            CurlOpt.PROXY: proxy,
            CurlOpt.HTTPHEADER: [f"Cookie: {cookie}".encode()] if cookie else [],  # where a browser has it: the last
            CurlOpt.CONNECTTIMEOUT_MS: int(min(connect_s, total_s) * 1000),
            CurlOpt.TIMEOUT_MS: int(total_s * 1000),
        }
        try:
            async with asyncio.timeout(total_s + GRACE_S):
                return await self._get(_whole(url, params), given)
        except TimeoutError as error:
            raise NoAnswer(f"no answer within {total_s + GRACE_S:g} s", where=_where(url), code=28) from error

    async def _get(self, url: str, given: Mapping[CurlOpt, Any]) -> Answer:
        try:
            return _answer(await self._handles[0].get(url, given), url)
        except NoAnswer as error:
            if not self._has_whole or error.code not in BAD_CERTIFICATE:
                raise
        answer = _answer(await self._handles[1].get(url, given), url)
        self._handles.rotate()  # the upstream uses another root by now
        self._has_whole = False
        return answer

    async def close(self) -> None:
        for handles in self._handles:
            await handles.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class Exit:
    """One proxy of a crowd as an identity: its own cookies, which never reach another."""

    def __init__(self, client: CrowdClient, proxy: str, *, cookie: str = "") -> None:
        self._client, self._proxy = client, proxy
        self._cookies = dict(_pairs(cookie))
        self.total_s = CROWD_TOTAL_S

    @property
    def cookie(self) -> str:
        """The header's whole value."""
        return "; ".join(f"{name}={value}" for name, value in self._cookies.items())

    def cookies(self) -> list[str]:
        """Return the values of all cookies that are held: secrets, which no file may hold."""
        return list(self._cookies.values())

    def forget(self) -> None:
        """Drop the cookies."""
        self._cookies.clear()

    async def get(self, url: str, params: Mapping[str, str] | None = None) -> Answer:
        """Return the answer whatever its status; NoAnswer if there is none."""
        answer = await self._client.get(url, params, proxy=self._proxy, cookie=self.cookie, total_s=self.total_s)
        self._cookies.update(answer.cookies)
        return answer


def _session(
    ca_path: Path, max_clients: int, max_bytes: int, *, curl_options: Mapping[CurlOpt, Any] | None = None, **more: Any
) -> AsyncSession[Response]:
    return AsyncSession(
        impersonate="chrome",
        verify=True,
        trust_env=False,
        allow_redirects=False,
        max_clients=max_clients,
        curl_infos=INFOS,
        curl_options={**_options(ca_path, max_bytes), **(curl_options or {})},
        **more,
    )


def _options(ca_path: Path, max_bytes: int) -> dict[CurlOpt, Any]:
    return {
        CurlOpt.CAINFO: str(ca_path),
        **NO_OTHER_ROOTS,
        CurlOpt.NOPROXY: "",  # else NO_PROXY in the environment would send a request past its proxy
        CurlOpt.PROTOCOLS_STR: "https",
        CurlOpt.SUPPRESS_CONNECT_HEADERS: 1,
        CurlOpt.MAXFILESIZE_LARGE: max_bytes,
    }


async def _ask(
    send: Callable[..., Awaitable[Response]], url: str, params: Mapping[str, str] | None, **given: Any
) -> Answer:
    try:
        response = await send(_whole(url, params), **given)
    except RequestsError as error:
        infos = error.response.infos if error.response is not None else {}
        raise _no_answer(
            error,
            url,
            connect_status=int(infos.get(CurlInfo.HTTP_CONNECTCODE, 0)),
            secured=float(infos.get(CurlInfo.APPCONNECT_TIME, 0.0)) > 0.0,
        ) from error
    return Answer(
        status=response.status_code,
        headers={name.lower(): value or "" for name, value in response.headers.items()},
        body=response.content,
        cookies={cookie.name: cookie.value or "" for cookie in response.cookies.jar},
    )


def _answer(heard: Heard, url: str) -> Answer:
    if heard.error is not None:
        fault = _no_answer(heard.error, url, connect_status=heard.connect_status, secured=heard.secured)
        raise fault from heard.error
    lines = _header_lines(heard.head)
    headers: dict[str, str] = {}
    for name, value in lines:
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return Answer(status=heard.status, headers=headers, body=heard.body, cookies=_cookies_set(lines))


def _header_lines(head: bytes) -> list[tuple[str, str]]:
    """Return name (lower case) and value of each line of the last head: one with early hints may come before it."""
    found: list[tuple[str, str]] = []
    for line in (each.decode("latin-1") for each in head.splitlines()):  # of a text it would part lines at more
        name, colon, value = line.partition(":")
        if line.startswith("HTTP/"):
            found.clear()
        elif colon:
            found.append((name.strip().lower(), value.strip()))
    return found


def _cookies_set(lines: Iterable[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for value in (value for name, value in lines if name == "set-cookie"):
        try:
            found.update((name, morsel.value) for name, morsel in SimpleCookie(value).items())
        except CookieError:  # it names a cookie in a way that no browser would keep either
            continue
    return found


def _no_answer(error: CurlError, url: str, *, connect_status: int, secured: bool) -> NoAnswer:
    return NoAnswer(
        str(error).split(". See", 1)[0],
        where=_where(url),
        code=int(error.code),
        connect_status=connect_status,
        secured=secured,
    )


def _whole(url: str, params: Mapping[str, str] | None) -> str:
    return f"{url}?{urlencode(params)}" if params else url  # curl_cffi would take the URL apart for it: a millisecond


def _where(url: str) -> str:
    return url.split("?", 1)[0]


def _pairs(cookie: str) -> list[tuple[str, str]]:
    """Return name and value of each cookie in a header's value."""
    parts = (part.strip().partition("=") for part in cookie.split(";") if part.strip())
    return [(name, value) for name, _, value in parts]
