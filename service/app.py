"""The BentoML service: the contract's calls, each a few lines. Limits and errors are in `problems.py`.

The calls are a FastAPI app that BentoML mounts: BentoML's own endpoints ignore unknown fields, read any
media type as JSON and log what they refuse. Heavy imports wait for the worker that serves.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import bentoml
from _bentoml_sdk import Service  # `bentoml.service` names it as the type of `service_class`
from anyio import to_thread
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.types import ASGIApp

from stanceframe.models.champion import resolve
from stanceframe.models.checkpoint import read_json
from stanceframe.models.types import Prediction, Sentence
from stanceframe.service.labelling import Labeller
from stanceframe.service.language import is_foreign_script
from stanceframe.service.problems import (
    MEDIA_TYPE,
    BodyLimitMiddleware,
    Problem,
    ProblemMiddleware,
    answer_problems,
)
from stanceframe.service.schemas import (
    PROBLEM,
    AnalyzeAnswer,
    AnalyzeRequest,
    ModelAnswer,
    PredictAnswer,
    PredictRequest,
)
from stanceframe.service.settings import Settings
from stanceframe.service.summary import summarise

TIMEOUT_SECONDS = 300
WEB = Path(__file__).parent / "web"
PAGE = {"/": "index.html", "/app.js": "app.js", "/style.css": "style.css", "/icon.svg": "icon.svg"}
PAGE_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"description": description, "content": {MEDIA_TYPE: {"schema": PROBLEM}}}
    for status, description in {
        400: "The body is no JSON",
        413: "The body is too large",
        415: "The body is not declared as JSON",
        422: "A field is wrong, or past a limit: see `errors`",
        503: "Overloaded: see `Retry-After`",
    }.items()
}

api = FastAPI(title="Stanceframe", docs_url=None, redoc_url=None, openapi_url=None)
answer_problems(api)


class ShapedService(Service[Any]):  # type: ignore[misc]  # BentoML has no types
    """BentoML's service with our answer to unknown addresses and to errors around all of it."""

    def to_asgi(self, is_main: bool = True) -> ASGIApp:
        """The service as an application; BentoML's own page, whose files these were, gives way to ours."""
        app = super().to_asgi(is_main)
        served = [route for route in app.routes if getattr(route, "name", None) != "static_content"]
        return ProblemMiddleware(app, served)


@bentoml.service(
    name="stanceframe",
    traffic={"timeout": TIMEOUT_SECONDS},
    image=bentoml.images.Image(lock_python_packages=False).build_include("wheels", "constraints.txt"),
    service_class=ShapedService,
)
@bentoml.asgi_app(api, path="/")
class Stanceframe:
    """Stance and framing of news sentences toward Russia, North Korea and the United States."""

    def __init__(self) -> None:
        from stanceframe.models.classifier import StanceClassifier  # noqa: PLC0415 - only the worker needs torch
        from stanceframe.models.evidence import Explaining  # noqa: PLC0415

        self.settings = Settings.from_environment()
        classifier = StanceClassifier.from_pretrained(
            resolve(self.settings.model), self.settings.engine, self.settings.remember_sentences
        )
        assert classifier.checkpoint is not None
        self.checkpoint = classifier.checkpoint
        self.labeller = Labeller(classifier, Explaining(classifier), self.settings)

    @api.post("/predict", responses={200: {"model": PredictAnswer}, **REFUSALS})
    async def predict(self, body: PredictRequest) -> Response:
        """Label sentences, one by one."""
        longest = self.settings.max_sentence_characters
        _refuse_more("sentences", len(body.sentences), self.settings.max_sentences)
        for i, text in enumerate(body.sentences):
            _refuse_more(f"sentences[{i}]", len(text), longest, "characters")
        self._refuse_to_explain_more(body, "sentences", body.sentences)
        with self.labeller.admitted():
            sentences = [Sentence(text, sentence_index=i) for i, text in enumerate(body.sentences)]
            predictions = await self.labeller.label(sentences, evidence=body.evidence)
        return self._answer("sentences", [prediction.to_json() for prediction in predictions], body.sentences)

    @api.post("/analyze", responses={200: {"model": AnalyzeAnswer}, **REFUSALS})
    async def analyze(self, body: AnalyzeRequest) -> Response:
        """Cut documents into sentences, label each, and summarise each document."""
        _refuse_more("documents", len(body.documents), self.settings.max_documents)
        for i, document in enumerate(body.documents):
            longest = self.settings.max_document_characters
            _refuse_more(f"documents[{i}].text", len(document.text), longest, "characters")
        self._refuse_to_explain_more(body, "documents", [document.text for document in body.documents])
        with self.labeller.admitted():
            cut = await to_thread.run_sync(_cut, body)
            sentences = [sentence for document in cut for sentence in document]
            _refuse_more("documents", len(sentences), self.settings.max_sentences, "sentences")
            predictions = iter(await self.labeller.label(sentences, evidence=body.evidence))
        answers = [
            _document_answer(document.id, list(islice(predictions, len(parts))))
            for document, parts in zip(body.documents, cut, strict=True)
        ]
        return self._answer("documents", answers, [document.text for document in body.documents])

    @api.get("/model", responses={200: {"model": ModelAnswer}})
    async def model(self) -> Response:
        """The served checkpoint: what it is, what was measured of it, and what a request may hold."""
        calibration = read_json(self.checkpoint.path / "calibration.json")
        return JSONResponse(
            {
                "tag": self.checkpoint.tag,
                "hash": self.checkpoint.hash,
                "created": self.checkpoint.created,
                "base_encoder": self.checkpoint.base_encoder,
                "codebook": read_json(self.checkpoint.path / "schema.json")["version"],
                "thresholds": {name: calibration[name] for name in ("abstain_below", "frame_threshold")},
                "metrics": self.checkpoint.metrics,
                "trained_on": self.checkpoint.trained_on,
                "limits": self.settings.limits(),
            }
        )

    def _refuse_to_explain_more(self, body: PredictRequest | AnalyzeRequest, field: str, texts: Sequence[str]) -> None:
        if body.evidence:
            most = self.settings.max_explained_characters
            _refuse_more(field, sum(map(len, texts)), most, "characters to explain")

    def _answer(self, name: str, answers: list[dict[str, Any]], texts: Sequence[str]) -> Response:
        warnings = list(_warnings(name, texts))
        return JSONResponse(
            {"model": self.checkpoint.tag, name: answers, **({"warnings": warnings} if warnings else {})}
        )


Stanceframe.add_asgi_middleware(BodyLimitMiddleware)  # type: ignore[attr-defined]  # it is a Service by now


async def page(request: Request) -> Response:
    """A file of the page for people."""
    return FileResponse(WEB / PAGE[request.url.path], headers=PAGE_HEADERS)


for _address in PAGE:
    api.add_route(_address, page, include_in_schema=False)


def _refuse_more(field: str, size: int, limit: int, unit: str = "items") -> None:
    """Refuse what is past a limit with 422, naming the field."""
    if size > limit:
        errors = {field: f"has {size:,} {unit}, and may have {limit:,}"}
        raise Problem(422, "there is more in one request than is taken: send less at a time", errors)


def _cut(body: AnalyzeRequest) -> list[list[Sentence]]:
    from stanceframe.data.segment import segment  # noqa: PLC0415 - only the worker needs it

    return [segment(document.text, document.id) for document in body.documents]


def _document_answer(identity: str | None, predictions: list[Prediction]) -> dict[str, Any]:
    return {
        "id": identity,
        "sentences": [prediction.to_json() for prediction in predictions],
        "summary": summarise(predictions),
    }


def _warnings(name: str, texts: Sequence[str]) -> Iterator[str]:
    foreign = [f"{name}[{i}]" for i, text in enumerate(texts) if is_foreign_script(text)]
    if foreign:
        more = f" and {len(foreign) - 3} more" if len(foreign) > 3 else ""
        yield f"{', '.join(foreign[:3])}{more}: not in the Latin script; the labels were made for English"
