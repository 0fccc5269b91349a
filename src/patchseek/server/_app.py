"""Put the application together: routes, page, errors in plain words, measurements, and the guard around all of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.staticfiles import StaticFiles

from .. import __version__
from ..collection import Collection
from ..errors import PatchseekError
from ._askers import Gone
from ._guard import Guard
from ._methods import HeadAsGet, allowed
from ._metrics import Measured
from ._queue import Busy
from ._responses import PROBLEMS, Prometheus, status_of
from ._routes_images import image_routes
from ._routes_jobs import job_routes
from ._routes_judge import judge_routes
from ._routes_proposals import proposal_routes
from ._routes_saved import saved_routes
from ._routes_search import search_routes
from ._services import Services
from ._settings import ServerSettings
from ._uploads import NothingAdded

WEB = Path(str(files(__package__) / "web"))
_FRESH = {"cache-control": "no-cache"}
_GONE = 499
"""Whoever asked has gone. Nobody hears it; it is counted in the metrics, under nginx's number."""
_FILES = 'send multipart/form-data in which the part of a file says filename="..." (filename* alone makes it a text)'


def build(collection: Collection, settings: ServerSettings) -> FastAPI:
    """The application for a collection."""
    services = Services(collection, settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        services.close()

    app = FastAPI(
        title="patchseek",
        version=__version__,
        description="Find an exact object in a collection of pictures and see where it is.",
        servers=[{"url": settings.public_url.rstrip("/")}] if settings.public_url else None,
        docs_url=None,  # FastAPI's own pages load scripts from the network
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.services = services
    for routes in (search_routes, judge_routes, proposal_routes, image_routes, job_routes, saved_routes):
        app.include_router(routes(services))
    _add_pages(app, services)
    _add_errors(app, services)
    app.add_middleware(Measured, metrics=services.metrics)
    app.add_middleware(Guard, settings=settings)
    app.add_middleware(HeadAsGet)  # added last: outermost
    return app


def _add_pages(app: FastAPI, services: Services) -> None:
    @app.get("/healthz", responses=PROBLEMS, tags=["server"])
    async def health() -> dict[str, str]:
        """Says that the server can answer, or in a sentence why it cannot: its collection, or its search engine."""
        await services.health.check()
        return {"status": "ok"}

    @app.get("/metrics", response_class=Prometheus, responses=PROBLEMS, tags=["server"])
    async def metrics() -> Response:
        """Figures for Prometheus."""
        return Prometheus(await services.catalogue.run(services.metrics.text))

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return FileResponse(WEB / "index.html", headers=_FRESH)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return FileResponse(WEB / "docs.html", headers=_FRESH)

    @app.get("/favicon.ico", include_in_schema=False)
    async def icon() -> Response:
        return FileResponse(WEB / "icon.svg")

    app.mount("/web", StaticFiles(directory=WEB), name="web")


def _add_errors(app: FastAPI, services: Services) -> None:
    """Every error as {"detail": one sentence}; where several files were sent in vain, with why for each."""

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        return _problem(422, "; ".join(_sentence(problem) for problem in error.errors()[:5]))

    @app.exception_handler(400)
    async def unreadable(request: Request, error: HTTPException) -> Response:
        hint = f"; {_FILES}" if "form" in request.headers.get("content-type", "") else ""
        return _problem(400, f"the body cannot be read: {error.detail.rstrip('.')}{hint}")

    @app.exception_handler(405)
    async def wrong_method(request: Request, error: HTTPException) -> Response:
        methods = allowed(app.routes, request.scope) or (error.headers or {}).get("Allow", "GET, HEAD")
        return _problem(405, f"{request.method} is not for this path; {methods} may be", {"allow": methods})

    @app.exception_handler(Busy)
    async def busy(_: Request, error: Busy) -> Response:
        return _problem(429, str(error), {"retry-after": str(error.retry_after)})

    @app.exception_handler(Gone)
    async def gone(_: Request, __: Gone) -> Response:
        return Response(status_code=_GONE)

    @app.exception_handler(NothingAdded)
    async def nothing_added(_: Request, error: NothingAdded) -> Response:
        failures = [refusal.record() for refusal in error.refused]
        return JSONResponse({"detail": _short(str(error)), "failures": failures}, 422)

    @app.exception_handler(PatchseekError)
    async def ours(_: Request, error: PatchseekError) -> Response:
        return _problem(status_of(error), services.discreet(str(error)))


def _sentence(problem: Any) -> str:
    where = ".".join(str(part) for part in problem["loc"][1:]) or str(problem["loc"][0])
    if "Expected UploadFile" in problem["msg"]:
        return f"{where}: a text, where a file is expected; {_FILES}"
    if problem["type"] == "missing" and where == "image":
        return f"image: no such file in the form; {_FILES}"
    return f"{where}: {problem['msg']}"


def _problem(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"detail": _short(detail)}, status, headers)


def _short(detail: str) -> str:
    return detail[:1000]
