"""HTTP requests with Chrome's fingerprint, capped in time and size. Follows no redirect, reads no environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from curl_cffi import AsyncSession, CurlOpt, Response
from curl_cffi.requests.errors import RequestsError

from core.errors import Unreachable

MAX_BODY_BYTES = 8 * 1024 * 1024  # 30 times the largest quote answer measured (238 KiB for 100 symbols)
CONNECT_TIMEOUT_S = 5.0
TOTAL_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One HTTP answer; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpClient:
    """One cookie jar and connection pool towards the upstream: one exit, one identity."""

    def __init__(self, *, ca_path: Path, proxy: str, max_clients: int = 8) -> None:
        self._session: AsyncSession[Response] = AsyncSession(
            impersonate="chrome",
            proxy=proxy or None,
            verify=True,
            trust_env=False,
            allow_redirects=False,
            timeout=(CONNECT_TIMEOUT_S, TOTAL_TIMEOUT_S - CONNECT_TIMEOUT_S),
            max_clients=max_clients,
            curl_options={
                CurlOpt.CAINFO: str(ca_path),
                CurlOpt.PROXY: proxy,  # "" = none: left unset, libcurl itself would take HTTPS_PROXY or ALL_PROXY
                CurlOpt.NOPROXY: "",  # else NO_PROXY in the environment would send a request past its proxy
                CurlOpt.MAXFILESIZE_LARGE: MAX_BODY_BYTES,
            },
        )

    def cookies(self) -> list[str]:
        """Return the values of all cookies that are held: secrets, which no file may hold."""
        return [cookie.value or "" for cookie in self._session.cookies.jar]

    async def get(self, url: str, params: Mapping[str, str] | None = None) -> Answer:
        """Return the answer whatever its status; Unreachable if there is none."""
        try:
            response = await self._session.get(url, params=dict(params or {}))
        except RequestsError as error:
            raise Unreachable(str(error).split(". See", 1)[0], where=url.split("?", 1)[0]) from error
        headers = {name.lower(): value or "" for name, value in response.headers.items()}
        return Answer(status=response.status_code, headers=headers, body=response.content)

    async def close(self) -> None:
        await self._session.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
