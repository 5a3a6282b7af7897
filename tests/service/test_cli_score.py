import csv
import gzip
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet
import pytest
import torch
from click.testing import CliRunner

from stanceframe.models.engines import fast_precision
from stanceframe.service.cli import main
from stanceframe.service.tables import unguard

COMMAND = (sys.executable, "-c", "from stanceframe.service.cli import main; main()")
TEXT = "Putin met Kim in Pyongyang. He praised their friendship. =Washington condemned it."


@pytest.fixture
def score(checkpoint, tmp_path, monkeypatch):
    """Run the command in a folder of its own."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def run(*arguments: str, **how):
        command = ["score", "--engine", "torch-fp32", *arguments, "--model", str(checkpoint)]
        return CliRunner().invoke(main, command, **how)

    return run


def rows_of(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def write_articles(count: int = 3) -> None:
    Path("articles").mkdir()
    for i in range(count):
        Path(f"articles/{i}.txt").write_text(f"{TEXT} Number {i}.")


def test_a_folder_with_a_broken_file_scores_the_rest_and_exits_with_3(score):
    write_articles()
    Path("articles/bad.csv").write_bytes(b"id,body\n1,x\n")
    result = score("articles", "-o", "scored.jsonl")
    assert result.exit_code == 3, result.output
    rows = rows_of(Path("scored.jsonl").read_text())
    assert [row["document_id"] for row in rows if row["sentence_index"] == 0] == ["0.txt", "1.txt", "2.txt"]
    (reject,) = rows_of(Path("scored.jsonl.rejects.jsonl").read_text())
    assert reject["place"] == "articles/bad.csv:1"
    assert "it has id, body" in reject["reason"]


def test_a_pipe_reads_json_lines_and_writes_json_lines(score):
    lines = json.dumps({"id": "d1", "text": TEXT, "publisher": "KCNA"}) + "\n"
    result = score("-", "-o", "-", input=lines)
    assert result.exit_code == 0
    rows = rows_of(result.stdout)
    assert [row["text"] for row in rows] == [f"{part}." for part in TEXT.rstrip(".").split(". ")]
    assert rows[0]["input"] == {"publisher": "KCNA"}
    assert list(Path().iterdir()) == []
    assert score("-", "-o", "-", input="nonsense\n" + lines).exit_code == 3
    assert rows_of(Path("rejects.jsonl").read_text())[0]["place"] == "-:1"


def test_every_kind_of_output_has_the_same_content(score):
    records = [{"id": f"d{i}", "text": TEXT, "publisher": "-KCNA", "n": i} for i in range(3)]
    Path("in.jsonl.gz").write_bytes(gzip.compress("".join(json.dumps(record) + "\n" for record in records).encode()))
    for name in ("out.jsonl", "out.jsonl.gz", "out.csv", "out.csv.gz", "out.parquet"):
        assert score("in.jsonl.gz", "-o", name).exit_code == 0
    assert gzip.decompress(Path("out.jsonl.gz").read_bytes()) == Path("out.jsonl").read_bytes()
    assert gzip.decompress(Path("out.csv.gz").read_bytes()) == Path("out.csv").read_bytes()
    rows = rows_of(Path("out.jsonl").read_text())
    table = pyarrow.parquet.read_table("out.parquet").to_pylist()
    cells = list(csv.DictReader(io.StringIO(Path("out.csv").read_text(), newline="")))
    assert len(rows) == len(table) == len(cells) == 9
    for row, parquet, cell in zip(rows, table, cells, strict=True):
        assert parquet["text"] == unguard(cell["text"]) == row["text"]
        assert parquet["input_publisher"] == unguard(cell["input_publisher"]) == row["input"]["publisher"]
        assert parquet["input_n"] == int(cell["input_n"]) == row["input"]["n"]
        for target, stance in row["stance"].items():
            assert parquet[f"{target}_label"] == cell[f"{target}_label"] == stance["label"]
            assert parquet[f"{target}_holder"] == (cell[f"{target}_holder"] or None) == stance["holder"]
            probability = stance["probabilities"]["against"]
            assert parquet[f"{target}_p_against"] == float(cell[f"{target}_p_against"]) == probability
        assert (
            parquet["framing_labels"] == [x for x in cell["framing_labels"].split("|") if x] == row["framing"]["labels"]
        )


def test_evidence_comes_with_the_rows_and_makes_another_job(score, monkeypatch):
    monkeypatch.setattr("stanceframe.models.evidence.LEAST", -1.0)  # a tiny network is hardly moved by a word
    Path("a.txt").write_text(TEXT)
    assert score("a.txt", "-o", "scored.jsonl", "--evidence").exit_code == 0
    rows = rows_of(Path("scored.jsonl").read_text())
    assert all(isinstance(row["evidence"], list) for row in rows)
    assert any(row["evidence"] for row in rows)
    words = set(re.findall(r"\w+", TEXT))
    assert all(TEXT[word["start"] : word["end"]] in words for row in rows for word in row["evidence"])
    assert "evidence" in score("a.txt", "-o", "scored.jsonl", "--resume").output


def test_a_scored_parquet_file_can_be_scored_again(score):
    write_articles()
    assert score("articles", "-o", "one.parquet").exit_code == 0
    again = ("one.parquet", "--unit", "sentence", "--id-column", "document_id", "-o", "two.parquet")
    assert score(*again).exit_code == 0
    one, two = (pyarrow.parquet.read_table(name).to_pylist() for name in ("one.parquet", "two.parquet"))
    assert [row["text"] for row in one] == [row["text"] for row in two]
    for before, after in zip(one, two, strict=True):
        assert after["input_russia_p_favor"] == before["russia_p_favor"]
        assert after["russia_p_favor"] == pytest.approx(before["russia_p_favor"], abs=1e-5)


def test_the_rows_of_a_document_are_what_the_service_answers(score, client):
    documents = [{"id": f"d{i}", "text": f"{TEXT}\n\n“Number {i},” Kim said. " * (i + 1)} for i in range(5)]
    Path("in.jsonl").write_text("".join(json.dumps(document) + "\n" for document in documents))
    assert score("in.jsonl", "-o", "out.jsonl").exit_code == 0
    rows = rows_of(Path("out.jsonl").read_text())
    answer = client.post("/analyze", json={"documents": documents}).json()
    sentences = [sentence for document in answer["documents"] for sentence in document["sentences"]]
    assert len(sentences) == len(rows) > 50
    for row, sentence in zip(rows, sentences, strict=True):
        assert row.pop("input") == {}
        assert row == _near(sentence)


def _near(value):
    """The same JSON value, with numbers that may differ by 1e-5."""
    if isinstance(value, dict):
        return {key: _near(part) for key, part in value.items()}
    return pytest.approx(value, abs=1e-5) if isinstance(value, float) else value


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.txt", "-o", "out.csv"], "missing.txt: no such file or folder"),
        (["in.csv", "-o", "out.xlsx"], "out.xlsx: its ending says how to write it, and can be .jsonl"),
        (["in.csv", "-o", "out.csv"], "it has id, body: name one of them with --text-column"),
        (["in.csv", "-o", "in.csv", "--text-column", "body"], "is the output itself"),
        (
            ["in.csv", "-o", "old.csv", "--text-column", "body"],
            "old.csv exists: name another output, or replace it",
        ),
        (["-", "-o", "out.csv", "--resume"], "standard input cannot be read again"),
        (["in.csv", "-o", "-", "--resume"], "it needs a file as OUT"),
        (["in.csv", "-o", "out.csv", "--resume", "--force"], "no --force"),
        (["in.csv"], "Missing option '-o'"),
        (["in.csv", "-o", "out.csv", "--engine", "magic"], "is not one of 'auto', 'openvino-bf16'"),
    ],
)
def test_a_wrong_command_line_exits_with_2_and_names_the_remedy(score, arguments, message):
    Path("in.csv").write_text("id,body\n1,One.\n")
    Path("old.csv").write_text("mine")
    result = score(*arguments, input="")
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert Path("old.csv").read_text() == "mine"


def test_an_output_that_cannot_be_written_is_one_line(score):
    write_articles()
    result = score("articles", "-o", "articles/0.txt/scored.csv")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert len(result.stderr.splitlines()) == 1


def test_a_checkpoint_that_is_none_is_one_line(tmp_path):
    (tmp_path / "in.txt").write_text("x")
    result = CliRunner().invoke(
        main, ["score", str(tmp_path / "in.txt"), "-o", str(tmp_path / "o.csv"), "--model", str(tmp_path)]
    )
    assert result.exit_code == 1
    assert "is no checkpoint" in result.stderr


def engine_of(output):
    return json.loads(Path(f"{output}.manifest.json").read_text())["options"]["engine"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="torch runs the network on a GPU")
def test_the_manifest_says_what_auto_came_to(score):
    write_articles(1)
    assert score("articles", "-o", "a.jsonl", "--engine", "auto").exit_code == 0
    assert engine_of("a.jsonl") == f"openvino-{fast_precision()}"
    refused = score("articles", "-o", "a.jsonl", "--resume")
    assert f"'engine': '{engine_of('a.jsonl')}'" in refused.stderr


@pytest.mark.parametrize("engine", ["openvino-bf16", "openvino-fp32", "torch-bf16"])
def test_every_engine_gives_nearly_the_same(score, engine):
    write_articles(1)
    assert score("articles", "-o", "a.jsonl").exit_code == 0
    assert score("articles", "-o", "b.jsonl", "--engine", engine).exit_code == 0
    assert [engine_of("a.jsonl"), engine_of("b.jsonl")] == ["torch-fp32", engine]
    for a, b in zip(rows_of(Path("a.jsonl").read_text()), rows_of(Path("b.jsonl").read_text()), strict=True):
        assert a["sentiment"]["probabilities"] == pytest.approx(b["sentiment"]["probabilities"], abs=0.05)


def test_help_has_every_option_of_the_contract():
    text = CliRunner().invoke(main, ["score", "--help"]).output
    for option in (
        "-o",
        "--text-column",
        "--id-column",
        "--unit",
        "--model",
        "--engine",
        "--resume",
        "--keep-text",
    ):
        assert option in text
    assert "stanceframe score articles/ -o scored.parquet" in text


def test_a_killed_job_is_resumed_to_the_same_bytes(checkpoint, tmp_path):
    lines = (json.dumps({"text": f"Putin praised Kim {i} times.", "n": i}) + "\n" for i in range(4500))
    (tmp_path / "in.jsonl").write_text("".join(lines))
    command = [*COMMAND, "score", "in.jsonl", "--unit", "sentence", "--model", str(checkpoint), "-o"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, "whole.csv"], cwd=tmp_path, env=environment, check=True, timeout=120)
    with subprocess.Popen([*command, "cut.csv"], cwd=tmp_path, env=environment) as job:
        deadline = time.monotonic() + 120
        while not (tmp_path / "cut.csv.parts/000000.json").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        job.send_signal(signal.SIGKILL)
    assert job.returncode == -signal.SIGKILL
    assert not (tmp_path / "cut.csv").exists()
    assert (tmp_path / "cut.csv.parts/000000.json").exists()
    resumed = subprocess.run(
        [*command, "cut.csv", "--resume"], cwd=tmp_path, env=environment, check=True, timeout=120,
        capture_output=True, text=True,
    )  # fmt: skip
    assert "going on after" in resumed.stderr
    assert (tmp_path / "cut.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert len((tmp_path / "cut.csv").read_text().splitlines()) == 4501


def test_a_reader_that_leaves_ends_the_pipe_quietly(checkpoint, tmp_path):
    (tmp_path / "in.txt").write_text(f"{TEXT}\n" * 4000)
    command = [*COMMAND, "score", "in.txt", "--unit", "sentence", "--model", str(checkpoint), "-o", "-"]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as job:
        assert job.stdout is not None
        assert job.stderr is not None
        job.stdout.readline()
        job.stdout.close()
        assert b"Traceback" not in job.stderr.read()
    assert job.returncode == 1
