"""What the modules of `stanceframe.models` offer: other packages, checkpoints and users' programs rely on it."""

import ast
import importlib
from pathlib import Path

import pytest

import stanceframe.models

SURFACE = {
    "calibration": "Array Calibration Platt fit_platt fit_temperature sigmoid softmax",
    "champion": "Champions HOME Promotion TAG find home model_store model_store_folder resolve",
    "checkpoint": (
        "Checkpoint DERIVED DESCRIPTION IDENTITY MANIFEST SHIPPED cache_folder read_json replacing_folder sha256 "
        "write_bytes write_json write_text"
    ),
    "classifier": (
        "SCHEMA_MENTIONS Scores StanceClassifier batches_by_length decide load_network recalibrated save_checkpoint"
    ),
    "encoding": ("CASE_SENSITIVE_UP_TO CHARACTERS_A_TOKEN Encoder MAX_WINDOWS WINDOW_OVERLAP Window find_mentions"),
    "engines": (
        "Engine OpenVinoEngine Precision TorchEngine Traced derive example_batch fast_precision import_openvino "
        "new_engine tensors_of"
    ),
    "errors": (
        "CheckpointError ConfigError EncoderNotFoundError InputError LabelError RegistryError StanceframeError "
        "StoreError"
    ),
    "evidence": "Explaining LEAST MOST MOST_CHARACTERS without",
    "labels": "Frame Holder Label LabelSchema Sentiment Stance TARGETS Target TargetText parse_label",
    "network": "AttentionPool Batch Head Logits MAX_TARGETS StanceframeConfig StanceframeNetwork",
    "types": (
        "Classifier ENGINES EngineName Evidence Framing LabelledSentence Mention Prediction Sentence SentimentScore "
        "Span TargetStance"
    ),
}


def defined(module):
    """Public names that a module itself defines."""
    names = set()
    for node in ast.parse(Path(module.__file__).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return {name for name in names if not name.startswith("_")}


def test_every_module_is_named_here():
    (folder,) = map(Path, stanceframe.models.__path__)
    assert {path.stem for path in folder.glob("*.py")} - {"__init__"} == set(SURFACE)


@pytest.mark.parametrize("name", SURFACE)
def test_a_module_offers_what_it_always_did(name):
    assert sorted(defined(importlib.import_module(f"stanceframe.models.{name}"))) == sorted(SURFACE[name].split())


def test_every_error_can_be_caught_at_the_root():
    errors = importlib.import_module("stanceframe.models.errors")
    assert all(issubclass(getattr(errors, name), errors.StanceframeError) for name in SURFACE["errors"].split())
    for name in ("LabelError", "ConfigError"):
        assert issubclass(getattr(errors, name), errors.InputError)
