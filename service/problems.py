"""Every error as `application/problem+json` (RFC 9457), and none of a request's text in a log."""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stanceframe.service.settings import Settings

MEDIA_TYPE = "application/problem+json"
MAX_ERRORS = 100
MAX_FIELD_CHARACTERS = 200

logger = logging.getLogger("bentoml.stanceframe")


class Problem(Exception):  # noqa: N818 - RFC 9457's word
    """A request that is answered with an error.

    Args:
        status: HTTP status.
        detail: what is wrong and what to do, for a person.
        errors: for a refused body, the message of each field that is wrong.
        headers: further headers of the answer.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        errors: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors
        self.headers = headers

    def response(self) -> Response:
        """The answer. It is ASCII, so that text that is no valid Unicode can be named in it."""
        body: dict[str, Any] = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors is not None:
            errors = list(self.errors.items())[:MAX_ERRORS]
            body["errors"] = [{"field": field[:MAX_FIELD_CHARACTERS], "detail": message} for field, message in errors]
        return Response(json.dumps(body), self.status, self.headers, MEDIA_TYPE)


def answer_problems(api: FastAPI) -> None:
    """Have an API answer its own errors as problems."""
    api.add_exception_handler(Problem, _on_problem)
    api.add_exception_handler(RequestValidationError, _on_invalid)
    api.add_exception_handler(HTTPException, _on_http)


async def _on_problem(_request: Request, problem: Exception) -> Response:
    assert isinstance(problem, Problem)
    return problem.response()


async def _on_http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = "the body is no JSON in UTF-8" if error.status_code == 400 else _detail(error.status_code)
    return Problem(error.status_code, detail, headers=error.headers).response()


async def _on_invalid(request: Request, error: Exception) -> Response:
    """400, 415 or 422: a body that was not declared as JSON is never read as such."""
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not media_type.endswith(("/json", "+json")):
        return Problem(415, f"the body must be application/json, not {media_type or 'undeclared'}").response()
    if any(part["type"] == "json_invalid" for part in found):
        at, reason = found[0]["loc"][-1], found[0]["ctx"]["error"]
        return Problem(400, f"the body is no JSON: {reason} at character {at}").response()
    errors = {_field(part["loc"]): part["msg"].removeprefix("Value error, ") for part in found}
    return Problem(422, "the body cannot be used: errors names each field and says why", errors).response()


def _field(location: Sequence[str | int]) -> str:
    """`documents[0].text` from pydantic's `("body", "documents", 0, "text")`."""
    name = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location[1:])
    return name.removeprefix(".") or "body"


def _detail(status: int) -> str:
    return {
        404: "there is nothing at this address",
        405: "this address does not take that method: see the Allow header",
        504: "the request took too long and was given up: send less at a time",
    }.get(status, HTTPStatus(status).description or HTTPStatus(status).phrase)


class BodyLimitMiddleware:
    """Refuses a body that is too large before anything reads it, whether or not it declares its size.

    It answers even a client that has gone: BentoML's own timer holds a request open until something is sent.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.max_bytes = Settings.from_environment().max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Gather the body, then hand the request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body = bytearray()
        fits = _declared_bytes(scope) <= self.max_bytes
        more = fits
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                await Problem(400, "the body was cut off").response()(scope, receive, send)
                return
            body += message.get("body", b"")
            fits = len(body) <= self.max_bytes
            more = fits and message.get("more_body", False)
        if fits:
            await self.app(scope, _replay(bytes(body), receive), send)
        else:
            problem = Problem(413, f"the body is larger than {self.max_bytes:,} bytes: send less at a time")
            await problem.response()(scope, receive, send)


def _declared_bytes(scope: Scope) -> int:
    declared = dict(scope["headers"]).get(b"content-length", b"0")
    return int(declared) if declared.isdigit() else 0


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives a body that was read already, then what else comes."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return messages.pop() if messages else await receive()

    return again


class ProblemMiddleware:
    """The outermost layer: unknown addresses end here, and what is left of other errors is put in shape.

    An unknown address is answered before BentoML sees it, which would count and log each one for ever.
    An exception that nobody caught is logged by its type and place alone: its message may quote a request.
    """

    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute]) -> None:
        self.app = app
        self.routes = tuple(routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its answer back."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif all(route.matches(scope)[0] is Match.NONE for route in self.routes):
            await Problem(404, _detail(404)).response()(scope, receive, send)
        else:
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        replaced = started = False

        async def shaped(message: Message) -> None:
            nonlocal replaced, started
            if message["type"] == "http.response.start":
                started = True
                headers = Headers(raw=message["headers"])
                replaced = message["status"] >= 400 and headers.get("content-type") != MEDIA_TYPE
                if replaced:
                    kept = {name: headers[name] for name in ("allow", "retry-after") if name in headers}
                    problem = Problem(message["status"], _detail(message["status"]), headers=kept)
                    await problem.response()(scope, receive, send)
            if not replaced:
                await send(message)

        try:
            await self.app(scope, receive, shaped)
        except Exception as error:  # noqa: BLE001 - the last one that can answer
            logger.error("%s in %s", type(error).__name__, _place(error))
            if not started:
                await Problem(500, _detail(500)).response()(scope, receive, send)


def _place(error: BaseException) -> str:
    """File and line where an exception was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "an unknown place"
