"""`stanceframe retrain` and `stanceframe model …`: what a user types, sees and gets back."""

import json

import pytest
from click.testing import CliRunner

from stanceframe.data.corpus import read_labelled, write_labelled
from stanceframe.data.store import AnnotationStore
from stanceframe.models.champion import home, resolve
from stanceframe.models.checkpoint import SHIPPED, Checkpoint
from stanceframe.models.labels import Sentiment
from stanceframe.models.types import LabelledSentence, Sentence
from stanceframe.service.cli import main
from stanceframe.training.lessons import FROZEN_TEST


@pytest.fixture
def checkpoint(tiny, installation, save):
    return save(tiny, installation / "tiny")


@pytest.fixture
def champion(checkpoint):
    run("model", "promote", str(checkpoint.path))
    return checkpoint


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def labels(folder, count, name="new.jsonl", first=0):
    path = folder / name
    numbers = range(first, first + count)
    write_labelled(path, [LabelledSentence(f"n{n}", f"Text {n}.", sentiment=Sentiment.NEUTRAL) for n in numbers])
    return path


def test_a_promoted_checkpoint_answers_is_marked_and_can_be_taken_back(checkpoint):
    done = run("model", "promote", checkpoint.path, "--reason", "a trial")
    assert (done.exit_code, done.stdout) == (0, f"{checkpoint.tag} answers now\n")
    assert Checkpoint.open(resolve()).tag == checkpoint.tag

    listed = run("model", "list")
    assert [line.split()[1] for line in listed.stdout.splitlines() if line.startswith("*")] == [checkpoint.tag]

    shown = json.loads(run("model", "show").stdout)
    assert shown["tag"] == checkpoint.tag
    assert shown["promotions"][0]["reason"] == "a trial"


@pytest.mark.skipif(not (SHIPPED / "checkpoint.json").is_file(), reason="no checkpoint ships yet")
def test_a_rollback_leads_back_to_the_shipped_checkpoint(champion):
    done = run("model", "rollback")
    shipped = Checkpoint.open(SHIPPED)
    assert (done.exit_code, done.stdout) == (0, f"{champion.tag} was taken back; {shipped.tag} answers now\n")
    assert resolve() == SHIPPED
    assert f"*  {shipped.tag}" in run("model", "list").stdout


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("model", "promote", "no/such/folder"), 2, "neither a folder nor a tag"),
        (("model", "promote", "stanceframe:000000000000"), 1, "stanceframe model list"),
        (("model", "show", "stanceframe:000000000000"), 1, "BENTOML_HOME"),
        (("model", "rollback"), 1, "nothing was promoted"),
        (("model", "promote", "."), 1, "is no checkpoint"),
        (("retrain", "--labels", "no/such/file"), 2, "does not exist"),
        (("retrain", "--recipe", "unheard-of"), 2, "no such recipe; shipped are retrain, student"),
    ],
)
def test_a_mistake_is_answered_with_one_line_and_a_status(installation, monkeypatch, arguments, status, message):
    monkeypatch.chdir(installation)
    done = run(*arguments)
    assert done.exit_code == status
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_few_labels_are_stored_and_decide_nothing(champion, installation):
    done = run("retrain", "--labels", labels(installation, 20), labels(installation, 20, "more.jsonl", 20))
    assert done.exit_code == 0
    assert "Nothing decided: there are 40 new labels, and 50 are needed" in done.stdout
    assert f"{champion.tag} stays" in done.stdout
    assert len(AnnotationStore(home() / "annotations.sqlite").current()) == 40
    assert "there are 40 new labels" in run("retrain").stdout, "without a file the stored ones count"


def test_rejected_labels_are_listed_and_the_status_says_so(champion, installation):
    frozen = next(read_labelled(FROZEN_TEST))
    write_labelled(installation / "leak.jsonl", [frozen])
    done = run("retrain", "--labels", installation / "leak.jsonl")
    assert done.exit_code == 3
    assert f"rejected {frozen.id}: it is a sentence of the frozen test" in done.stdout


def test_a_scored_row_that_a_person_corrected_is_a_label(champion, tiny, installation):
    (row,) = (prediction.to_json() for prediction in tiny.predict([Sentence("Kim praised Putin.")]))
    row["stance"]["russia"] |= {"label": "favor", "holder": "north_korea"}
    (installation / "scored.jsonl").write_text(json.dumps(row) + "\n")
    assert run("retrain", "--labels", installation / "scored.jsonl").exit_code == 0
    (stored,) = AnnotationStore(home() / "annotations.sqlite").current()
    assert stored.sentence.stance["russia"] == "favor"
    assert stored.sentence.holder["russia"] == "north_korea"


def test_a_line_that_is_no_label_is_named_by_file_and_line(champion, installation):
    (installation / "bad.jsonl").write_text('{"text": "Good."}\n{"text": 3}\n')
    done = run("retrain", "--labels", installation / "bad.jsonl")
    assert done.exit_code == 2
    assert "bad.jsonl:2: text: required" in done.stderr


@pytest.mark.parametrize(
    "command", [("retrain",), *(("model", name) for name in ("list", "show", "promote", "rollback"))]
)
def test_every_command_has_help_with_an_example(command):
    done = run(*command, "--help")
    assert done.exit_code == 0
    assert f"stanceframe {' '.join(command)}" in done.stdout.split("Example")[1]
