"""The documentation page, with all that it needs from this same origin: it works with no internet access."""

from typing import Final

from fastapi import APIRouter
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

_PATH_MAX: Final = 200
"""Looking for a path on the disk takes longer the longer it is."""


class _Assets(StaticFiles):
    """Whole files only: what is wrong with a range would not be answered as a problem."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if len(scope["path"]) > _PATH_MAX:
            raise HTTPException(404)
        headers = [header for header in scope["headers"] if header[0] != b"range"]
        await super().__call__({**scope, "headers": headers}, receive, send)


ASSETS: Final = _Assets(packages=[("fastapi_offline", "static")])

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def docs() -> HTMLResponse:
    # Relative, so that the page also loads behind a path prefix.
    return get_swagger_ui_html(
        title="Taskward API",
        openapi_url="openapi.json",
        swagger_js_url="docs/assets/swagger-ui-bundle.js",
        swagger_css_url="docs/assets/swagger-ui.css",
        swagger_favicon_url="docs/assets/favicon.png",
        # The page's own validator would be a service elsewhere.
        swagger_ui_parameters={"validatorUrl": None, "persistAuthorization": True, "tryItOutEnabled": True},
    )
