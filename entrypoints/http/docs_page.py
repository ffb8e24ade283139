"""The documentation page. It loads everything from its own origin, so it needs no internet access."""

from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

_PATH_MAX: Final = 200
"""The longer a path, the longer the disk takes to look it up."""


class _Assets(StaticFiles):
    """Serves whole files only, since Starlette's answer to a bad range is not a problem."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if len(scope["path"]) > _PATH_MAX:
            raise HTTPException(404)
        headers = [header for header in scope["headers"] if header[0] != b"range"]
        await super().__call__({**scope, "headers": headers}, receive, send)


# The page has an inline script. It loads and requests nothing from another origin.
_POLICY: Final = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_PAGE: Final = Path(__file__).with_name("docs.html").read_text("utf-8")
_ICON: Final = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="3" fill="#176"/>'
    '<path d="M4 8l3 3 5-6" fill="none" stroke="#fff" stroke-width="2"/></svg>'
)

ASSETS: Final = _Assets(packages=[("fastapi_offline", "static")])

router = APIRouter(include_in_schema=False)


@router.get("/")
async def root(request: Request) -> Response:
    """Point to the documents. All references are relative, so that they work behind a path prefix."""
    if "text/html" in request.headers.get("accept", ""):
        return RedirectResponse("docs", 303)
    return JSONResponse({"documentation": "docs", "openapi": "openapi.json"})


@router.get("/docs")
async def docs() -> HTMLResponse:
    return HTMLResponse(_PAGE, headers={"Content-Security-Policy": _POLICY})


@router.get("/docs/icon.svg")
async def icon() -> Response:
    return Response(_ICON, media_type="image/svg+xml")
