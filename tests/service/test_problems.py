import asyncio
import json

import bentoml
import pytest
from bentoml._internal.server.http.traffic import TimeoutMiddleware
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route
from starlette.testclient import TestClient

from stanceframe.service.problems import ProblemMiddleware

JSON = {"content-type": "application/json"}
SECRET = "Zanzibar"
CLIENTS = ("httpx", "httpcore")
"""Loggers of the test's own client, which log its addresses."""


def assert_problem(answer, status, *fields):
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert {"type", "title", "detail"} <= set(problem)
    assert [error["field"] for error in problem.get("errors", [])] == list(fields)
    return problem


@pytest.mark.parametrize("body", [b"{bad", b'{"sentences": ["\xff"]}', b"[" * 50_000, b'{"sentences": ["a"'])
def test_malformed_json_is_a_400(client, body):
    assert_problem(client.post("/predict", content=body, headers=JSON), 400)


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["sentences"]),
        ({"sentences": "a"}, ["sentences"]),
        ({"sentences": ["a", 3, None]}, ["sentences[1]", "sentences[2]"]),
        ({"sentences": ["a", " \n"]}, ["sentences[1]"]),
        ({"sentences": ["a"], "evidance": True}, ["evidance"]),
        ({"sentences": ["\ud800"]}, ["sentences[0]"]),
        ([], ["body"]),
        (None, ["body"]),
    ],
)
def test_a_wrong_value_is_a_422_that_names_the_field(client, body, fields):
    assert_problem(client.post("/predict", content=json.dumps(body), headers=JSON), 422, *fields)


def test_fields_of_documents_are_named(client):
    documents = [{"id": "a", "text": "x", "publisher": None, "date": "2024-06-19"}, {"id": 3, "txt": "x"}]
    answer = client.post("/analyze", json={"documents": documents})
    problem = assert_problem(answer, 422, "documents[1].id", "documents[1].text", "documents[1].txt")
    assert all(error["detail"] for error in problem["errors"])


@pytest.mark.parametrize("media_type", ["text/plain", "multipart/form-data; boundary=x", None])
def test_a_body_that_is_not_declared_as_json_is_a_415(client, media_type):
    headers = {"content-type": media_type} if media_type else {}
    assert_problem(client.post("/predict", content=b'{"sentences": ["a"]}', headers=headers), 415)


def test_json_may_name_its_charset(client):
    headers = {"content-type": "Application/JSON; charset=utf-8"}
    assert client.post("/predict", content=b'{"sentences": ["a"]}', headers=headers).status_code == 200


@pytest.mark.parametrize("path", ["/nowhere", "/predict/x", "/static_content/swagger-ui.css", "/predict/"])
def test_an_unknown_address_is_a_404_and_leaves_no_trace(client, path, caplog):
    assert_problem(client.get(path), 404)
    assert not [record for record in caplog.records if path in record.getMessage()]


@pytest.mark.parametrize(
    ("method", "path", "allowed"), [("GET", "/predict", "POST"), ("POST", "/", "GET"), ("DELETE", "/livez", "GET")]
)
def test_a_wrong_method_is_a_405_that_names_the_right_ones(client, method, path, allowed):
    answer = client.request(method, path)
    assert_problem(answer, 405)
    assert allowed in answer.headers["allow"]


def test_a_request_that_bentoml_gives_up_is_a_504():
    """By the timer that BentoML puts around the service, inside of our outermost layer."""

    async def slow(_request):
        await asyncio.sleep(5)

    timer = Middleware(TimeoutMiddleware, timeout=0.05)
    app = Starlette(routes=[Route("/slow", slow)], middleware=[timer])
    problem = assert_problem(TestClient(ProblemMiddleware(app, app.routes)).get("/slow"), 504)
    assert "send less at a time" in problem["detail"]


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_past_the_limit_is_a_413(serve, declared):
    client = serve(max_body_bytes=1_000)

    def chunks():
        yield from [b" " * 400] * 3

    body = b" " * 1_200 if declared else chunks()
    assert_problem(client.post("/predict", content=body, headers=JSON), 413)
    small = b'{"sentences": ["' + b"a" * 900 + b'"]}'
    assert client.post("/predict", content=small, headers=JSON).status_code == 200


def test_what_is_past_a_limit_is_a_422_that_names_it(serve):
    client = serve(max_sentences=3, max_documents=2, max_document_characters=60, max_sentence_characters=20)
    for sentences, field in ((["a"] * 4, "sentences"), (["a", "b" * 21], "sentences[1]")):
        assert_problem(client.post("/predict", json={"sentences": sentences}), 422, field)
    for texts, field in (
        (["a"] * 3, "documents"),
        (["a", "b" * 61], "documents[1].text"),
        (["Kim met him. Kim met her.", "Kim left. Kim came."], "documents"),
    ):
        answer = client.post("/analyze", json={"documents": [{"text": text} for text in texts]})
        assert_problem(answer, 422, field)
    assert client.post("/predict", json={"sentences": ["b" * 20] * 3}).status_code == 200


class Broken:
    """A classifier that fails over a sentence and quotes it."""

    tag = "broken"

    def predict(self, sentences):
        raise ValueError(sentences[0].text)


def test_a_failure_is_a_500_and_its_message_is_in_no_log_and_no_answer(client, caplog):
    bentoml.get_current_service().labeller._classifier = Broken()
    answer = client.post("/predict", json={"sentences": [SECRET]})
    assert_problem(answer, 500)
    assert SECRET not in answer.text
    assert "ValueError in " in caplog.text
    assert SECRET not in caplog.text


def test_no_text_of_a_request_is_in_a_log(client, caplog):
    caplog.set_level("DEBUG")
    caplog.set_level("DEBUG", logger="bentoml")  # the command line, where a test ran it in this process, quiets it
    for body in ({"sentences": [SECRET]}, {"sentences": [SECRET, 3]}, {SECRET: 1}, {"sentences": [f"{SECRET}\ud800"]}):
        client.post("/predict", content=json.dumps(body), headers=JSON)
    client.post("/analyze", json={"documents": [{"id": SECRET, "text": f"{SECRET} is far. Kim is here."}]})
    client.post("/predict", content=f'{{"sentences": ["{SECRET}"'.encode(), headers=JSON)
    client.post("/predict", content=SECRET.encode(), headers={"content-type": "text/plain"})
    client.post(f"/predict/{SECRET}?text={SECRET}", json={"sentences": [SECRET]})
    client.get(f"/model?text={SECRET}")
    logged = [record.getMessage() for record in caplog.records if not record.name.startswith(CLIENTS)]
    assert sum("path=/predict" in message for message in logged) == 6
    assert not [message for message in logged if SECRET in message]
