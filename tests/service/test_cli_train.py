"""`stanceframe train` and `stanceframe evaluate`: what they print, and how they end."""

import json
import re
import subprocess
import sys
from dataclasses import replace

import pytest
from click.testing import CliRunner
from safetensors.torch import save_file

from stanceframe.data.corpus import SHIPPED, read_labelled, write_labelled
from stanceframe.models.checkpoint import Checkpoint
from stanceframe.models.labels import Stance, Target
from stanceframe.service.cli import main
from stanceframe.training import train as module
from stanceframe.training.teaching import Teaching

COMMAND = (sys.executable, "-c", "from stanceframe.service.cli import main; main()")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder of its own, in an installation without a champion."""
    monkeypatch.setenv("STANCEFRAME_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("STANCEFRAME_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    write_labelled(tmp_path / "labels.jsonl", list(read_labelled(SHIPPED / "train.jsonl"))[:60])
    write_labelled(tmp_path / "judged.jsonl", list(read_labelled(SHIPPED / "train.jsonl"))[60:90])
    return tmp_path


@pytest.fixture
def recipe(tiny, folder):
    """A recipe of one epoch on a tiny base encoder, the data left to --data."""
    base = folder / "base"
    base.mkdir()
    save_file(tiny.engine.network.encoder.state_dict(), base / "model.safetensors")
    tiny.engine.network.encoder.config.to_json_file(base / "config.json", use_diff=False)
    tiny.encoder.tokenizer.save(str(base / "tokenizer.json"))
    path = folder / "tiny.toml"
    path.write_text('encoder = "base"\nepochs = 1\nmax_length = 96\n')
    return str(path)


def run(*arguments):
    return CliRunner().invoke(main, arguments)


def fails(result, status, message):
    """It ends with a status and one line that says why."""
    assert result.exit_code == status, result.output
    assert message in result.stderr and "Traceback" not in result.output
    assert isinstance(result.exception, SystemExit)
    return True


def test_distill_writes_a_student_and_what_the_teacher_said(recipe, folder, tiny, save):
    teacher = save(tiny, folder / "teacher")
    taught = ("distill", "--teacher", str(teacher.path), "--recipe", recipe, "--data", "labels.jsonl", "-o", "student")
    done = run("--quiet", *taught)
    assert done.exit_code == 0, done.output
    assert done.stdout == f"{Checkpoint.open(folder / 'student').tag}\n"
    assert Teaching.read(folder / "student.teacher.safetensors").teacher == teacher.tag
    assert fails(run("distill", "--teacher", "nothing", "-o", "other"), 2, "nothing")


def test_train_takes_several_files(recipe, folder):
    write_labelled(folder / "more.jsonl", list(read_labelled(SHIPPED / "train.jsonl"))[90:110])
    done = run("--quiet", "train", "--recipe", recipe, "-o", "both", "--data", "labels.jsonl", "more.jsonl")
    assert done.exit_code == 0, done.output
    assert [source["sentences"] for source in Checkpoint.open(folder / "both").trained_on] == [60, 20]


def test_train_writes_a_checkpoint_and_prints_its_tag(recipe, folder):
    command = [*COMMAND, "train", "--recipe", recipe, "--data", "labels.jsonl", "-o", "runs/student"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    checkpoint = Checkpoint.open(folder / "runs" / "student")
    assert done.stdout == f"{checkpoint.tag}\n"
    assert "epoch 1 of 1" in done.stderr and "training on 60 of labels.jsonl" in done.stderr
    assert "step" not in done.stderr, "no bar where standard error is no terminal"
    assert [(source["name"], source["sentences"]) for source in checkpoint.trained_on] == [("labels.jsonl", 60)]

    judged = run("evaluate", "judged.jsonl", "--model", "runs/student", "--record", "mine", "--json")
    assert judged.exit_code == 0 and json.loads(judged.stdout)["model"] == checkpoint.tag
    recorded = Checkpoint.open(checkpoint.path)
    assert recorded.tag == checkpoint.tag
    assert set(recorded.metrics["evaluations"]) == {"frozen test", "mine"}
    assert recorded.metrics["evaluations"]["mine"] == json.loads(judged.stdout)
    assert "On `mine` (30 sentences" in (checkpoint.path / "README.md").read_text()


def test_quiet_prints_the_tag_alone(recipe, folder):
    command = [*COMMAND, "--quiet", "train", "--recipe", recipe, "--data", "labels.jsonl", "-o", "out"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout == f"{Checkpoint.open(folder / 'out').tag}\n"


def test_train_refuses_what_it_cannot_use(recipe, folder):
    assert fails(run("train", "--recipe", "best", "-o", "out"), 2, "best: no such recipe")
    assert fails(run("train", "--recipe", recipe, "-o", "out"), 2, "name a file with --data")
    (folder / "bad.jsonl").write_text('{"text": "x", "stance": {"france": "favor"}}\n')
    assert fails(run("train", "--recipe", recipe, "--data", "bad.jsonl", "-o", "out"), 2, "bad.jsonl:1: stance")
    assert fails(run("train", "--recipe", recipe, "--data", "none.jsonl", "-o", "out"), 2, "none.jsonl")
    assert fails(run("train", "--recipe", recipe, "--data", "labels.jsonl"), 2, "--output")
    assert fails(run("train", "--recipe", recipe, "--data", "labels.jsonl", "-o", "base"), 1, "base is in the way")
    (folder / "elsewhere.toml").write_text('encoder = "nobody/none"\n')
    arguments = ("train", "--recipe", "elsewhere.toml", "--data", "labels.jsonl", "-o", "out")
    assert fails(run(*arguments), 1, "nobody/none: no such folder")
    assert not (folder / "out").exists()


def test_a_run_that_was_cut_is_taken_up_by_the_same_command(recipe, folder, monkeypatch):
    command = ("train", "--recipe", recipe, "--data", "labels.jsonl", "-o", "out")
    monkeypatch.setattr(module, "FROZEN_TEST", folder / "judged.jsonl")
    optimise = module.optimise
    begun = []

    def cut_in_the_second_training(*arguments, **options):
        begun.append(1)
        if len(begun) == 2:
            raise KeyboardInterrupt
        return optimise(*arguments, **options)

    monkeypatch.setattr(module, "optimise", cut_in_the_second_training)
    assert run(*command).exit_code == 1
    assert not (folder / "out").exists()
    assert run(*command).exit_code == 0
    assert len(begun) == 3, "the first training was not done again"


def test_evaluate_prints_a_table_or_one_object():
    table = run("evaluate", "judged.jsonl", "--model", "baseline:majority", "--train", "labels.jsonl")
    assert table.exit_code == 0 and "stance_macro_f1_mentioned" in table.stdout
    told = run("evaluate", "judged.jsonl", "--model", "baseline:majority", "--train", "labels.jsonl", "--json")
    value = json.loads(told.stdout)
    assert value["n"] == 30 and value["model"] == "baseline:majority"
    assert f"{value['stance_macro_f1']['value']:.3f}" in table.stdout


def test_a_fitted_baseline_learns_from_the_recipe_unless_told_otherwise(folder):
    favors = [replace(s, stance=dict.fromkeys(Target, Stance.FAVOR)) for s in read_labelled(folder / "labels.jsonl")]
    write_labelled(folder / "favors.jsonl", favors)
    command = ("evaluate", "judged.jsonl", "--model", "baseline:majority", "--json")
    assert json.loads(run(*command).stdout)["f1_favor"]["value"] == 0
    assert json.loads(run(*command, "--train", "favors.jsonl").stdout)["f1_favor"]["value"] > 0


def test_evaluate_cross_validates_a_baseline():
    result = run("evaluate", "labels.jsonl", "--model", "baseline:majority", "--folds", "3", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["model"] == "baseline:majority, 3 folds"


def test_evaluate_judges_marked_mentions(tiny, save, folder):
    save(tiny, folder / "checkpoint")
    line = {"sentence": "Kim met Putin.", "mention": "Putin", "from": 8, "to": 13, "polarity": 0}
    (folder / "mentions.jsonl").write_text(json.dumps(line) + "\n")
    result = run("evaluate", "mentions.jsonl", "--format", "newsmtsc", "--model", "checkpoint", "--json")
    assert result.exit_code == 0, result.output
    assert {"macro_f1", "f1_favor", "f1_against", "f1_neutral", "accuracy"} <= set(json.loads(result.stdout))


def test_evaluate_refuses_what_it_cannot_use(folder):
    judged, majority = "judged.jsonl", ("--model", "baseline:majority")
    (folder / "empty.jsonl").write_text("")
    (folder / "bad.jsonl").write_text("no json\n")
    assert fails(run("evaluate", "none.jsonl", *majority), 2, "none.jsonl")
    assert fails(run("evaluate"), 2, "FILES")
    assert fails(run("evaluate", "bad.jsonl", *majority), 2, "bad.jsonl:1: no JSON")
    assert fails(run("evaluate", "empty.jsonl", *majority), 2, "no labelled sentences")
    assert fails(run("evaluate", judged, "--model", "baseline:best"), 2, "baseline:best is no baseline")
    assert fails(run("evaluate", judged, "--model", "nowhere"), 2, "nowhere: neither a folder nor a tag")
    assert fails(run("evaluate", judged, "--model", "."), 1, "is no checkpoint")
    assert fails(run("evaluate", judged, *majority, "--recipe", "best"), 2, "best: no such recipe")
    assert fails(run("evaluate", judged, "--model", "baseline:tfidf", "--format", "newsmtsc"), 2, "name a checkpoint")
    assert fails(run("evaluate", judged, *majority, "--format", "newsmtsc", "--folds", "2"), 2, "--folds")
    assert fails(run("evaluate", judged, *majority, "--folds", "1"), 2, "--folds")
    assert fails(run("evaluate", judged, "--train", "labels.jsonl"), 2, "--model baseline:tfidf")
    assert fails(run("evaluate", judged, "--train", "empty.jsonl", "--model", "baseline:tfidf"), 2, "nothing to fit")
    assert fails(run("evaluate", judged, "--folds", "2", "--model", "baseline:zero-shot"), 2, "is not fitted")
    assert fails(run("evaluate", judged, *majority, "--record", "mine"), 2, "name it with --model")


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_help_has_an_example(command):
    result = run(command, "--help")
    assert result.exit_code == 0
    example = re.split("Examples?:", result.stdout)[1].splitlines()[1]
    assert example.strip().startswith(f"stanceframe {command} ")
