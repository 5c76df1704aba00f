"""The dashboard: files that the package carries, none of them from elsewhere. The page itself asks the API."""

from __future__ import annotations

from pathlib import Path

from fastapi import Request
from starlette.responses import Response

from api.files import carried
from api.route import Route

FOLDER = Path(__file__).parent.parent / "dashboard"
BASE = "/dashboard"
INDEX = "index.html"


def _files() -> list[str]:
    """Return the paths of the files as a browser asks for them; what is packed is asked for by its own name."""
    found = (file.relative_to(FOLDER).as_posix() for file in FOLDER.rglob("*") if file.is_file())
    return sorted(name.removesuffix(".gz") for name in found)


def _route(path: str, name: str) -> Route:
    async def serve(request: Request) -> Response:
        return carried(request, FOLDER / name)

    return Route(method="GET", path=path, handler=serve, scope="public", tag="dashboard", hidden=True)


ROUTES = (_route("/", INDEX), *(_route(f"{BASE}/{name}", name) for name in _files() if name != INDEX))
