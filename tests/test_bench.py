"""The benchmarks still run; what they measure is for a quiet machine."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stanceframe.models.types import ENGINES

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(("corpus", "labelled"), [([], 20), (["articles"], 12)])
def test_the_engines_are_timed_side_by_side(corpus, labelled, tmp_path):
    (tmp_path / "articles").mkdir()
    lines = (f"Kim praised Putin on day {i} of the talks in Moscow." for i in range(12))
    (tmp_path / "articles" / "one.txt").write_text("\n".join(lines))
    command = [sys.executable, str(ROOT / "bench" / "engines.py"), *corpus, "--sentences", "20", "--rounds", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"{labelled} sentences" in done.stdout
    table = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if line.startswith("| ")]
    assert [row[0].split(" ")[0] for row in table] == ["way", "loop,", "loop,", *ENGINES[1:]]
    assert all(len(row) == 5 and float(row[1]) > 0 for row in table[1:])


def test_the_service_is_timed_beside_its_engine(tmp_path):
    command = [sys.executable, str(ROOT / "bench" / "service.py"), "--sentences", "200", "--clients", "3"]
    variables = {**os.environ, "STANCEFRAME_HOME": str(tmp_path), "BENTOML_HOME": str(tmp_path / "bentoml")}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=variables)
    assert done.returncode == 0, done.stderr
    said = [line.partition(":")[0] for line in done.stdout.splitlines()]
    assert said == [
        "stanceframe --help", "one sentence, idle service", "3 clients", "proportional memory after 200 sentences",
    ]  # fmt: skip


def test_the_growth_is_measured_drawn_and_planned_from(tmp_path):
    command = [sys.executable, str(ROOT / "bench" / "growth.py"), "--up-to", "1000", "--folder", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads((tmp_path / "growth.json").read_text())
    assert [row["sentences"] for row in figures["sizes"]] == [1000]
    assert min(row["milliseconds"] for row in figures["lengths"]) > 0
    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")
    assert "| this machine, " in done.stdout


def test_other_formats_are_compared_by_speed_and_by_labels():
    ways = ["torch-fp32", "openvino-fp32"]
    command = [sys.executable, str(ROOT / "bench" / "formats.py"), "--sentences", "64", "--rounds", "1"]
    for way in ways:
        command += ["--way", way]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines()[2:]]
    assert [row[0] for row in rows] == ways
    assert rows[0][3:6] == ["100.0%", "0.0000", "0.000"]
