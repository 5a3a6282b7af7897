import json
import threading
import time

import bentoml
import pytest

from stanceframe.models.evidence import Explaining
from stanceframe.models.labels import Frame, Holder, Stance, Target
from stanceframe.models.types import Sentence
from stanceframe.service.labelling import SENTENCES_AT_A_TIME

ARTICLE = (
    "Kim said that Russia wages a sacred war. Washington condemned Moscow — again 🎈.\n\n"
    "Read more: What Pyongyang wants\n\nPutin praised North Korea."
)


def analyze(client, *texts):
    documents = [{"id": f"d{i}", "text": text} for i, text in enumerate(texts)]
    return client.post("/analyze", json={"documents": documents})


def test_predict_answers_as_many_sentences_as_came_in_and_in_their_order(client):
    sentences = [f"Kim met Putin {i} times." + " Moscow" * (i % 7) for i in range(SENTENCES_AT_A_TIME + 5)]
    answer = client.post("/predict", json={"sentences": sentences})
    assert answer.status_code == 200
    scored = answer.json()["sentences"]
    assert [row["text"] for row in scored] == sentences
    assert [row["sentence_index"] for row in scored] == list(range(len(sentences)))
    assert all(row["document_id"] is None and row["start"] == 0 and row["end"] == len(row["text"]) for row in scored)


def test_predict_says_what_the_classifier_says(client, tiny):
    text = "Kim praised Russia — and condemned Washington."
    answer = client.post("/predict", json={"sentences": [text]}).json()
    [expected] = tiny.predict([Sentence(text)])
    [row] = answer["sentences"]
    for target in Target:
        assert row["stance"][target]["label"] == expected.stance[target].label
        assert row["stance"][target]["probabilities"] == pytest.approx(expected.stance[target].probabilities, abs=2e-3)
    assert row["model"] == answer["model"] == client.get("/model").json()["tag"]
    assert set(row) == set(expected.to_json())


def test_evidence_is_there_where_it_is_asked_for(client, tiny, monkeypatch):
    monkeypatch.setattr("stanceframe.models.evidence.LEAST", -1.0)  # a tiny network is hardly moved by a word
    text = "Kim praised Russia — and condemned Washington."
    [plain] = client.post("/predict", json={"sentences": [text]}).json()["sentences"]
    [row] = client.post("/predict", json={"sentences": [text], "evidence": True}).json()["sentences"]
    assert "evidence" not in plain and {key: row[key] for key in plain} == plain
    [expected] = Explaining(tiny).predict([Sentence(text)])
    assert expected.evidence
    assert [(word["for"], word["start"], word["end"]) for word in row["evidence"]] == [
        (word.label, word.start, word.end) for word in expected.evidence
    ]
    weights = [word["weight"] for word in row["evidence"]]
    assert weights == pytest.approx([word.weight for word in expected.evidence], abs=2e-3)
    [document] = client.post("/analyze", json={"documents": [{"text": f"No. {text}"}], "evidence": True}).json()[
        "documents"
    ]
    for word in document["sentences"][-1]["evidence"]:
        assert f"No. {text}"[word["start"] : word["end"]].isalpha()


def test_more_evidence_than_is_given_at_a_time_is_refused(serve):
    client = serve(max_explained_characters=20)
    texts = ["Kim met Putin.", "Putin met Kim."]
    assert client.post("/predict", json={"sentences": texts}).status_code == 200
    refused = client.post("/predict", json={"sentences": texts, "evidence": True})
    assert (
        refused.status_code == 422
        and refused.json()["errors"][0]["detail"] == "has 28 characters to explain, and may have 20"
    )


def test_nothing_in_nothing_out(client):
    assert client.post("/predict", json={"sentences": []}).json()["sentences"] == []
    assert client.post("/analyze", json={"documents": []}).json()["documents"] == []


def test_analyze_cuts_documents_with_exact_offsets_and_keeps_furniture(client):
    documents = analyze(client, ARTICLE, "", "Kim met Putin.").json()["documents"]
    assert [document["id"] for document in documents] == ["d0", "d1", "d2"]
    sentences = documents[0]["sentences"]
    assert all(ARTICLE[row["start"] : row["end"]] == row["text"] for row in sentences)
    assert [row["kind"] for row in sentences] == ["sentence", "sentence", "furniture", "sentence"]
    assert [row["sentence_index"] for row in sentences] == [0, 1, 2, 3]
    assert {row["document_id"] for row in sentences} == {"d0"}
    assert [document["summary"]["sentences"] for document in documents] == [3, 0, 1]
    assert documents[1]["sentences"] == []


def test_analyze_and_predict_agree_on_a_sentence(client):
    rows = analyze(client, ARTICLE).json()["documents"][0]["sentences"]
    alone = client.post("/predict", json={"sentences": [row["text"] for row in rows]}).json()["sentences"]
    for row, single in zip(rows, alone, strict=True):
        for part, other in zip(
            (*row["stance"].values(), row["framing"], row["sentiment"]),
            (*single["stance"].values(), single["framing"], single["sentiment"]),
            strict=True,
        ):
            assert part["probabilities"] == pytest.approx(other["probabilities"], abs=1e-5)


def test_the_summary_counts_its_sentences(client):
    document = analyze(client, ARTICLE).json()["documents"][0]
    counted = [row for row in document["sentences"] if row["kind"] == "sentence"]
    for target in Target:
        summary = document["summary"]["stance"][target]
        assert summary["counts"] == {
            stance: sum(row["stance"][target]["label"] == stance for row in counted) for stance in Stance
        }
        assert summary["mentioned"] == len(counted) - summary["counts"]["absent"]
        assert set(summary["by_holder"]) == set(Holder)
    assert set(document["summary"]["framing"]) == set(Frame)


def test_a_text_in_another_script_is_scored_with_a_warning(client):
    answer = analyze(client, "Kim met Putin.", "Ким встретился с Путиным.").json()
    assert len(answer["documents"][1]["sentences"]) == 1
    assert answer["warnings"] == ["documents[1]: not in the Latin script; the labels were made for English"]
    assert "warnings" not in client.post("/predict", json={"sentences": ["“Naïve” façade — 🎈"]}).json()


def test_the_model_says_what_it_is(client, checkpoint):
    model = client.get("/model").json()
    manifest = json.loads((checkpoint / "checkpoint.json").read_text())
    assert model["hash"] == manifest["hash"]
    assert model["trained_on"] == manifest["trained_on"]
    assert model["metrics"] == json.loads((checkpoint / "metrics.json").read_text())
    assert set(model["thresholds"]["abstain_below"]) == set(Target)
    assert set(model["thresholds"]["frame_threshold"]) == set(Frame)
    assert model["limits"]["max_sentences"] == 2_000


def test_the_page_and_its_files_come_with_a_strict_policy(client):
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    for address in ("/app.js", "/style.css", "/icon.svg"):
        assert address in page.text
        assert client.get(address).status_code == 200
    for text in (page.text, client.get("/app.js").text, client.get("/style.css").text):
        assert "http://" not in text.replace("http://www.w3.org", "") and "https://" not in text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert "innerHTML" not in client.get("/app.js").text


def test_the_interface_is_described(client):
    described = client.get("/docs.json").json()
    assert {"/predict", "/analyze", "/model", "/livez", "/readyz", "/metrics"} <= set(described["paths"])
    responses = described["paths"]["/predict"]["post"]["responses"]
    assert {"200", "400", "413", "415", "422", "503"} <= set(responses)
    assert list(responses["422"]["content"]) == ["application/problem+json"]


class Gate:
    """A classifier that lets nobody through until it is opened."""

    def __init__(self, classifier):
        self.classifier = classifier
        self.open = threading.Event()
        self.waiting = threading.Event()

    def predict(self, sentences):
        self.waiting.set()
        assert self.open.wait(30)
        return self.classifier.predict(sentences)


def test_overload_is_a_503_that_says_when_to_come_back(serve):
    client = serve(max_requests=1, retry_after_seconds=7)
    labeller = bentoml.get_current_service().labeller
    labeller._classifier = gate = Gate(labeller._classifier)
    first = threading.Thread(target=client.post, args=("/predict",), kwargs={"json": {"sentences": ["a"]}})
    first.start()
    try:
        assert gate.waiting.wait(30)
        refused = client.post("/predict", json={"sentences": ["b"]})
        started = time.monotonic()
        assert client.get("/livez").status_code == 200
        assert time.monotonic() - started < 5
    finally:
        gate.open.set()
        first.join()
    assert refused.status_code == 503
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["retry-after"] == "7"
    assert client.post("/predict", json={"sentences": ["c"]}).status_code == 200
