import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from stanceframe.data.segment import segment
from stanceframe.models.checkpoint import SHIPPED
from stanceframe.models.errors import InputError
from stanceframe.models.types import Sentence
from stanceframe.service import batch
from stanceframe.service.batch import ScoreOptions, score_corpus, score_stream
from stanceframe.service.parts import replacing_file
from stanceframe.service.records import RecordOptions
from stanceframe.service.sources import find_sources

TEXT = (
    "Putin met Kim in Pyongyang. He praised their friendship, and Washington condemned it.\n\n"
    "“We are one,” Kim said. The U.S. State Department said that Moscow was desperate for shells.\n"
)


class Failing:
    """A classifier that stops working after some calls, as a machine that is switched off does."""

    def __init__(self, classifier, calls: int) -> None:
        self.classifier, self.calls = classifier, calls
        self.tag = classifier.tag

    def predict(self, sentences):
        if self.calls == 0:
            raise KeyboardInterrupt
        self.calls -= 1
        return self.classifier.predict(sentences)


@pytest.fixture
def corpus(tmp_path) -> Path:
    """A folder of 38 documents with columns that come and go, and a broken and an empty one."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    for i in range(10):
        (folder / f"{i:02}.txt").write_text(f"Document {i}. {TEXT}")
    records = [{"id": f"d{i}", "text": TEXT * (i % 4 + 1), "n": i} for i in range(28)]
    records[-1] |= {"late": "x"}
    (folder / "many.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records) + '{"text": ""}\n')
    (folder / "latin.txt").write_bytes("Moscou a été".encode("latin-1"))
    return folder


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(batch, "SENTENCES_IN_CHUNK", 30)
    monkeypatch.setattr(batch, "SENTENCES_IN_CALL", 20)


def rows_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def score(corpus: Path, output: Path, classifier, options: ScoreOptions | None = None, **how):
    return score_corpus(find_sources([str(corpus)], output), output, classifier, options or ScoreOptions(), **how)


def test_the_output_has_every_sentence_in_order_and_the_rejects_the_rest(corpus, tmp_path, tiny):
    output = tmp_path / "out.jsonl"
    outcome = score(corpus, output, tiny)
    rows = rows_of(output)
    documents = [f"{i:02}.txt" for i in range(10)] + [f"d{i}" for i in range(28)]
    assert list(dict.fromkeys(row["document_id"] for row in rows)) == documents
    for i in range(10):
        text = f"Document {i}. {TEXT}"
        own = [row for row in rows if row["document_id"] == f"{i:02}.txt"]
        assert [(row["start"], row["text"]) for row in own] == [(s.start, s.text) for s in segment(text)]
        assert [row["sentence_index"] for row in own] == list(range(len(own)))
        assert all(text[row["start"] : row["end"]] == row["text"] for row in own)
    assert rows[-1]["input"] == {"n": 27, "late": "x"}
    assert (outcome.documents, outcome.sentences, outcome.rejects) == (38, len(rows), 2)
    latin, empty = rows_of(outcome.rejects_path)
    reason = "byte 0xe9 at offset 9 is no UTF-8: save it as UTF-8"
    assert latin == {"place": str(corpus / "latin.txt"), "id": "latin.txt", "reason": reason}
    assert empty == {"place": f"{corpus / 'many.jsonl'}:29", "id": "many.jsonl:29", "reason": "text is empty"}
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "corpus", "out.jsonl", "out.jsonl.manifest.json", "out.jsonl.rejects.jsonl",
    ]  # fmt: skip


def test_a_row_is_what_the_classifier_says_of_the_sentence_alone(corpus, tmp_path, tiny):
    score(corpus, tmp_path / "out.jsonl", tiny)
    for row in rows_of(tmp_path / "out.jsonl")[::7]:
        sentence = Sentence(row["text"], row["document_id"], row["sentence_index"], row["start"], row["kind"])
        (alone,) = tiny.predict([sentence])
        said = alone.to_json()
        for target, stance in said["stance"].items():
            scored = row["stance"][target]
            assert scored["probabilities"] == pytest.approx(stance["probabilities"], abs=1e-5)
            assert (scored["label"], scored["holder"]) == (stance["label"], stance["holder"])
        assert row["framing"]["probabilities"] == pytest.approx(said["framing"]["probabilities"], abs=1e-5)
        assert row["sentiment"]["probabilities"] == pytest.approx(said["sentiment"]["probabilities"], abs=1e-5)


@pytest.mark.parametrize("name", ["out.jsonl", "out.csv.gz", "out.parquet"])
@pytest.mark.parametrize("calls", [0, 1, 4])
def test_a_job_that_was_cut_and_resumed_gives_the_same_bytes(corpus, tmp_path, tiny, name, calls):
    whole, cut = tmp_path / "whole" / name, tmp_path / "cut" / name
    options = ScoreOptions(keep_text=True)
    score(corpus, whole, tiny, options)
    with pytest.raises(KeyboardInterrupt):
        score(corpus, cut, Failing(tiny, calls), options)
    assert not cut.exists()
    resumed = Failing(tiny, 1000)
    outcome = score(corpus, cut, resumed, options, resume=True)
    left = _calls(corpus, tmp_path, tiny) - calls
    assert left <= 1000 - resumed.calls <= left + 1  # at most the first call of the part that was cut again
    for path in whole.parent.iterdir():
        assert path.read_bytes() == (cut.parent / path.name).read_bytes(), path.name
    assert outcome == replace(score(corpus, whole, tiny, options, resume=True), rejects_path=outcome.rejects_path)


def _calls(corpus: Path, tmp_path: Path, classifier) -> int:
    """How many calls of the classifier a whole run takes."""
    counting = Failing(classifier, 1000)
    score(corpus, tmp_path / "counted.jsonl", counting, force=True)
    return 1000 - counting.calls


def test_a_job_is_resumed_after_it_was_cut_while_its_output_was_put_together(corpus, tmp_path, tiny, monkeypatch):
    whole, cut = tmp_path / "whole.csv", tmp_path / "cut.csv"
    score(corpus, whole, tiny)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(batch.Job, "finish", _interrupt)
        score(corpus, cut, tiny)
    score(corpus, cut, Failing(tiny, 0), resume=True)
    assert cut.read_bytes() == whole.read_bytes()


def _interrupt(job: batch.Job) -> None:
    raise KeyboardInterrupt


def test_resuming_with_anything_else_is_refused_and_says_what(corpus, tmp_path, tiny):
    output = tmp_path / "out.jsonl"
    with pytest.raises(KeyboardInterrupt):
        score(corpus, output, Failing(tiny, 2))
    with pytest.raises(InputError, match=r"options: \{'text_column': 'text'\} then, \{'text_column': 'body'\} now"):
        score(corpus, output, tiny, ScoreOptions(RecordOptions(text_column="body")), resume=True)
    other = Failing(tiny, 100)
    other.tag = "stanceframe:other"
    with pytest.raises(InputError, match="model: stanceframe:unsaved then, stanceframe:other now"):
        score(corpus, output, other, resume=True)
    (corpus / "03.txt").write_text("Another text.")
    with pytest.raises(InputError, match=r"inputs: \{'path': '[^']*03\.txt'"):
        score(corpus, output, tiny, resume=True)
    score(corpus, output, tiny, force=True)
    with pytest.raises(InputError, match="with --force"):
        score(corpus, output, other, resume=True)


def test_resuming_what_is_whole_does_nothing(corpus, tmp_path, tiny):
    output = tmp_path / "out.jsonl"
    first = score(corpus, output, tiny, resume=True)
    before = output.stat()
    assert score(corpus, output, Failing(tiny, 0), resume=True) == first
    assert output.stat().st_mtime_ns == before.st_mtime_ns


def test_nothing_is_overwritten_without_force(corpus, tmp_path, tiny):
    output = tmp_path / "out.jsonl"
    output.write_text("mine")
    with pytest.raises(InputError, match=r"out\.jsonl exists: .*--force"):
        score(corpus, output, tiny)
    with pytest.raises(InputError, match="nothing says what it was made of"):
        score(corpus, output, tiny, resume=True)
    with pytest.raises(KeyboardInterrupt):
        score(corpus, output, Failing(tiny, 2), force=True)
    assert output.read_text() == "mine"
    with pytest.raises(InputError, match=r"holds a job that was cut: --resume .*--force"):
        score(corpus, output, tiny)
    score(corpus, output, tiny, force=True)
    assert len(rows_of(output)) > 100


def test_rejects_of_an_earlier_run_do_not_stay(corpus, tmp_path, tiny):
    output = tmp_path / "out.jsonl"
    rejects = score(corpus, output, tiny).rejects_path
    assert rejects.exists()
    score(corpus / "00.txt", output, tiny, force=True)
    assert not rejects.exists()


def test_kept_text_is_what_offsets_count_in(corpus, tmp_path, tiny):
    page = "".join(f"<p>{TEXT} This is paragraph {i} of a page about Russia and North Korea.</p>" for i in range(4))
    (corpus / "page.html").write_text(f"<html><body><article>{page}</article></body></html>")
    output = tmp_path / "out.jsonl"
    score(corpus, output, tiny, ScoreOptions(keep_text=True))
    texts = {row["document_id"]: row["text"] for row in rows_of(tmp_path / "out.jsonl.text.jsonl")}
    rows = rows_of(output)
    assert {row["document_id"] for row in rows} == set(texts)
    assert all(texts[row["document_id"]][row["start"] : row["end"]] == row["text"] for row in rows)


def test_a_sentence_is_scored_as_it_is(tmp_path, tiny):
    path = tmp_path / "in.jsonl"
    path.write_text('{"id": "s1", "text": "One. Two."}\n{"id": "s1", "text": "Three."}\n')
    score(path, tmp_path / "out.jsonl", tiny, ScoreOptions(RecordOptions(unit="sentence")))
    rows = rows_of(tmp_path / "out.jsonl")
    places = [(row["document_id"], row["sentence_index"], row["start"], row["end"], row["text"]) for row in rows]
    assert places == [("s1", 0, 0, 9, "One. Two."), ("s1", 0, 0, 6, "Three.")]


def test_a_text_of_invisible_characters_is_rejected(tmp_path, tiny):
    path = tmp_path / "in.jsonl"
    path.write_text('{"id": "s1", "text": "\\u200b\\u200b"}\n')
    outcome = score(path, tmp_path / "out.csv", tiny)
    assert (outcome.sentences, outcome.rejects) == (0, 1)
    assert rows_of(outcome.rejects_path)[0]["reason"] == "no sentence was found in the text"


def test_a_stream_has_the_rows_of_the_file(corpus, tmp_path, tiny):
    score(corpus, tmp_path / "out.jsonl", tiny, ScoreOptions(keep_text=True))
    stream = io.BytesIO()
    outcome = score_stream(find_sources([str(corpus)]), stream, tiny, ScoreOptions(keep_text=True), folder=tmp_path)
    assert stream.getvalue() == (tmp_path / "out.jsonl").read_bytes()
    assert outcome.rejects_path == tmp_path / "rejects.jsonl"
    assert outcome.rejects_path.read_bytes() == (tmp_path / "out.jsonl.rejects.jsonl").read_bytes()
    assert (tmp_path / "text.jsonl").read_bytes() == (tmp_path / "out.jsonl.text.jsonl").read_bytes()
    with pytest.raises(InputError, match=r"rejects\.jsonl exists"):
        score_stream(find_sources([str(corpus)]), stream, tiny, ScoreOptions(), folder=tmp_path)


def test_memory_does_not_grow_with_the_corpus(tmp_path, tiny):
    """A long file is read no further than the chunk in hand."""
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps({"text": f"Kim met Putin {i}."}) + "\n" for i in range(20_000)))
    seen: list[int] = []
    chunks = batch.chunks(find_sources([str(path)]), RecordOptions(), (0, 0), seen.append)
    first = next(chunks)
    assert first.sentences == 30
    assert seen[-1] < path.stat().st_size / 100


class Terminal(io.StringIO):
    """What a bar takes for a terminal."""

    def isatty(self) -> bool:
        return True


def test_progress_is_shown_on_a_terminal_alone(corpus, tmp_path, tiny, monkeypatch):
    shown = {}
    for kind in (Terminal, io.StringIO):
        for quiet in (False, True):
            with monkeypatch.context() as patch:
                patch.setattr("sys.stderr", stream := kind())
                score(corpus, tmp_path / "out.jsonl", tiny, quiet=quiet, force=True)
            shown[kind, quiet] = stream.getvalue()
    text = shown.pop((Terminal, False))
    rows = len(rows_of(tmp_path / "out.jsonl"))
    assert "100%|" in text
    assert f"{rows} sentences, " in text
    assert set(shown.values()) == {""}


def test_one_document_of_many_sentences_is_one_part(tmp_path, tiny):
    path = tmp_path / "in.txt"
    path.write_text(TEXT * 50)
    score(path, tmp_path / "out.jsonl", tiny)
    assert [row["sentence_index"] for row in rows_of(tmp_path / "out.jsonl")] == list(range(len(segment(TEXT * 50))))


def test_a_file_that_is_not_finished_never_shows(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("before")
    with pytest.raises(ZeroDivisionError), replacing_file(path) as file:
        file.write(b"after")
        _ = 1 / 0
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not SHIPPED.exists(), reason="no checkpoint is shipped yet")
def test_the_shipped_checkpoint_says_the_same_of_a_sentence_in_a_corpus(corpus, tmp_path, shipped):
    test_a_row_is_what_the_classifier_says_of_the_sentence_alone(corpus, tmp_path, shipped)
