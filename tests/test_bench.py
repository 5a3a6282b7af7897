"""The benchmarks still run; what they measure is for a quiet machine."""

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
