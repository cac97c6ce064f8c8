"""The HTTP API: six verbs as JSON, described at /openapi.json and, for people, at /docs.

Errors read {"error": {what, why, fix}}: 422 what has not the described form, 409 what has it and still cannot be
asked (a contradiction, a name that is not known), 404 no such entry, 413 too long. "No number of these GPUs keeps the
promise" is an answer: 200, `feasible` false.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Annotated, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from infrascale.errors import CatalogError, InfraScaleError
from infrascale.parsing.plans import VERSION
from infrascale.server import simulated, verbs

Message = MutableMapping[str, Any]


class Problem(BaseModel):
    """What happened, why, and how to mend it."""

    what: str
    why: str
    fix: str


class Failure(BaseModel):
    error: Problem


class Health(BaseModel):
    status: str
    version: str


RESPONSES: dict[int | str, dict[str, Any]] = {
    409: {"model": Failure, "description": "A contradiction, or a name that is not known."},
    413: {"model": Failure, "description": "The body is too long."},
    422: {"model": Failure, "description": "Not of the described form."},
}
MISSING: dict[int | str, dict[str, Any]] = {
    404: {"model": Failure, "description": "The catalog has no such entry."},
    422: {"model": Failure, "description": "The name is too long."},
}


def failure(status: int, what: str, why: str, fix: str) -> JSONResponse:
    return JSONResponse({"error": {"what": what, "why": why, "fix": fix}}, status_code=status)


class Bounded:
    """Refuses a body above the limit before anything reads it whole, whether its length is announced or not."""

    def __init__(self, app: Callable[..., Awaitable[None]], most: int = verbs.MOST_BODY_BYTES) -> None:
        self.app, self.most = app, most

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body, more = bytearray(), True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self.most:
                refused = failure(
                    413, "the body is too long", f"more than {self.most >> 10} KiB", "send a shorter question"
                )
                await refused(scope, receive, send)
                return
        whole = iter([{"type": "http.request", "body": bytes(body), "more_body": False}])

        async def replay() -> Message:
            return next(whole, None) or await receive()

        await self.app(scope, replay, send)


def create() -> FastAPI:
    app = FastAPI(
        title="InfraScale",
        version=VERSION,
        description="How many GPUs does serving a language model need? An exact plan, and why.",
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    app.add_middleware(Bounded)
    _refusals(app)
    _verbs(app)
    _catalog(app)
    return app


def _verbs(app: FastAPI) -> None:
    @app.post(
        "/plan",
        response_model=dict[str, Any],
        responses=RESPONSES,
        summary="The fewest GPUs that keep a promise, and why",
    )
    def plan(asked: verbs.Asked) -> JSONResponse:
        return JSONResponse(verbs.plan(asked))

    @app.post(
        "/capacity", response_model=dict[str, Any], responses=RESPONSES, summary="What GPUs that are there can serve"
    )
    def capacity(asked: verbs.AskedCapacity) -> JSONResponse:
        return JSONResponse(verbs.capacity(asked))

    @app.post(
        "/simulate",
        response_model=dict[str, Any],
        responses=RESPONSES,
        summary="What users feel: percentiles of the plan under traffic, request by request",
    )
    def simulate(asked: simulated.AskedSimulation) -> JSONResponse:
        return JSONResponse(simulated.simulate(asked))

    @app.post(
        "/predict",
        response_model=dict[str, Any],
        responses=RESPONSES,
        summary="Speed and waits of measured rows, from their inputs alone",
    )
    def predict(asked: verbs.Rows) -> JSONResponse:
        return JSONResponse(verbs.predict(asked))

    @app.get("/health", summary="Whether the service is up")
    def health() -> Health:
        return Health(status="ok", version=VERSION)


Key = Annotated[str, Field(max_length=200)]


def _catalog(app: FastAPI) -> None:
    @app.get("/catalog/gpus", summary="GPUs that are known")
    def gpus() -> list[dict[str, Any]]:
        return verbs.entries("gpus")

    @app.get("/catalog/models", summary="Models that are known")
    def models() -> list[dict[str, Any]]:
        return verbs.entries("models")

    @app.get("/catalog/gpus/{name}", responses=MISSING, summary="One GPU, with the source of every number")
    def gpu(name: Key) -> dict[str, Any]:
        return _entry("gpus", name)

    @app.get("/catalog/models/{name:path}", responses=MISSING, summary="One model, with its config and sources")
    def model(name: Key) -> dict[str, Any]:
        return _entry("models", name)


def _entry(kind: str, name: str) -> dict[str, Any]:
    try:
        return verbs.entry(kind, name)
    except CatalogError as error:
        raise HTTPException(404, {"what": error.what, "why": error.why, "fix": error.fix}) from None


def _refusals(app: FastAPI) -> None:
    """Every error in one shape."""

    @app.exception_handler(InfraScaleError)
    async def ours(_: Request, error: InfraScaleError) -> JSONResponse:
        return failure(409, error.what, error.why, error.fix)

    @app.exception_handler(RequestValidationError)
    async def malformed(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part != "body") or "the body"
        return failure(422, f"{where[:200]} cannot be", str(first["msg"])[:500], "see /openapi.json for what can")

    @app.exception_handler(HTTPException)
    async def missing(request: Request, error: HTTPException) -> JSONResponse:
        if isinstance(error.detail, dict):
            return failure(error.status_code, **error.detail)
        if error.status_code == 400:
            return failure(422, "the body cannot be read", "it is not JSON in UTF-8", "see /openapi.json for what can")
        found = failure(error.status_code, str(error.detail), f"{request.method} is not served there", "see /docs")
        found.headers.update(error.headers or {})
        return found
