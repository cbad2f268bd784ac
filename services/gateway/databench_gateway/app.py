"""HTTP routes. Owns URLs, status codes and headers; what a page holds is made in `pages`.

WebSockets do not come by here: see `admission`.
"""

import logging
from pathlib import Path
from typing import Annotated

from fastapi import Depends, FastAPI, Request
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse
from starlette.exceptions import HTTPException

from databench.wire.catalog import EMPTY, Catalog, Entry
from databench_gateway.gateway import Gateway
from databench_gateway.pages import PageError, Pages

log = logging.getLogger(__name__)

CACHE = {"Cache-Control": "no-cache"}
"""Browsers keep files but ask each time whether they changed (ETag): what is edited is seen at once."""


async def _base(request: Request) -> str:
    return str(request.scope.get("root_path", "")).rstrip("/")


Base = Annotated[str, Depends(_base)]
"""The path below which a proxy offers the gateway."""


def build(gateway: Gateway, pages: Pages) -> FastAPI:
    """Return the application of a gateway."""
    app = FastAPI(title="Databench", docs_url=None, redoc_url=None, openapi_url=None)
    _add_health(app, gateway)
    _add_pages(app, gateway, pages)
    _add_errors(app, gateway, pages)
    return app


def _add_health(app: FastAPI, gateway: Gateway) -> None:
    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/readyz")
    async def readyz() -> JSONResponse:
        missing = gateway.missing()
        status = {"status": "waiting", "missing": missing} if missing else {"status": "ready"}
        return JSONResponse(status, 503 if missing else 200)


def _add_pages(app: FastAPI, gateway: Gateway, pages: Pages) -> None:
    async def offered() -> Catalog | None:
        return gateway.catalog() if gateway.offered() else None

    # Pages are made in threads, so what they are made from is read in the event loop's.
    Offered = Annotated[Catalog | None, Depends(offered)]  # noqa: N806 - a type

    def entry_of(catalog: Catalog | None, name: str) -> Entry:
        if (entry := (catalog or EMPTY).entry(name)) is None:
            raise HTTPException(404)
        return entry

    @app.get("/")
    def index(base: Base, catalog: Offered) -> HTMLResponse:
        return _waiting(gateway, pages, base) if catalog is None else HTMLResponse(pages.index(catalog, base))

    @app.get("/static/{path:path}")
    def static(path: str) -> FileResponse:
        return _file(pages.file(path))

    @app.get("/{name}")
    async def redirect(name: str, base: Base, catalog: Offered) -> RedirectResponse:
        return RedirectResponse(f"{base}/{entry_of(catalog, name).name}/")

    @app.get("/{name}/")
    def analysis(name: str, base: Base, catalog: Offered) -> HTMLResponse:
        if catalog is None:
            return _waiting(gateway, pages, base)
        return HTMLResponse(pages.analysis(catalog, entry_of(catalog, name).name, base))

    @app.get("/{name}/thumbnail")
    def thumbnail(name: str, catalog: Offered) -> FileResponse:
        return _file(pages.thumbnail(entry_of(catalog, name)))

    @app.get("/{name}/static/{path:path}")
    def analysis_static(name: str, path: str, catalog: Offered) -> FileResponse:
        return _file(pages.analysis_file(entry_of(catalog, name), path))


def _add_errors(app: FastAPI, gateway: Gateway, pages: Pages) -> None:
    @app.exception_handler(404)
    async def not_found(request: Request, error: Exception) -> HTMLResponse:
        base = await _base(request)
        path = request.url.path.removeprefix(base)
        try:
            return HTMLResponse(pages.not_found(gateway.catalog(), path, base), 404)
        except PageError as broken:
            return await failed(request, broken)

    @app.exception_handler(PageError)
    async def failed(request: Request, error: PageError) -> HTMLResponse:
        log.error("%s: %s", request.url.path, error)
        return HTMLResponse(error.html, 500)


def _waiting(gateway: Gateway, pages: Pages, base: str) -> HTMLResponse:
    missing = " and ".join(gateway.missing()) or "runner"
    return HTMLResponse(pages.waiting(missing, base), 503, headers={"Retry-After": "1"})


def _file(path: Path | None) -> FileResponse:
    if path is None:
        raise HTTPException(404)
    return FileResponse(path, headers=CACHE)
