"""The service as a user starts it: a process of its own; and the Bento, in an environment of its own."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
import venv
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from stanceframe.service.cli import main

ROOT = Path(__file__).resolve().parents[2]
STANCEFRAME = [sys.executable, "-c", "from stanceframe.service.cli import main; main()"]
SECRET = "Zanzibar"
START_SECONDS = 120


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(address, body=None):
    """Status, content type and text of an answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Content-Type"], error.read().decode()


@contextmanager
def serving(command, port, log, **how):
    """A server until the block ends; it must stop by itself when told to."""
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True, **how)
    try:
        address = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                if ask(f"{address}/readyz")[0] == 200:
                    break
            except OSError:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.2)
        yield address
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, log.read_text()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def environment(tmp_path, **more):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("STANCEFRAME_", "BENTOML_"))}
    return {**kept, "BENTOML_HOME": str(tmp_path / "bentoml"), "STANCEFRAME_HOME": str(tmp_path / "home"), **more}


def test_stanceframe_serve_answers_everything_and_stops_when_told(checkpoint, tmp_path):
    port, log = free_port(), tmp_path / "log"
    command = [*STANCEFRAME, "serve", "--port", str(port), "--model", str(checkpoint)]
    variables = environment(tmp_path, STANCEFRAME_ENGINE="torch-fp32")
    with serving(command, port, log, env=variables, cwd=tmp_path) as address:
        status, _, text = ask(f"{address}/predict", {"sentences": [f"Kim praised {SECRET}.", "Moscow"]})
        predicted = json.loads(text)
        assert (status, len(predicted["sentences"])) == (200, 2)
        document = {"id": "d", "text": f"Kim praised {SECRET}. Moscow"}
        status, _, text = ask(f"{address}/analyze", {"documents": [document]})
        assert status == 200
        [analyzed] = json.loads(text)["documents"]
        for one, other in zip(analyzed["sentences"], predicted["sentences"], strict=True):
            assert one["text"] == other["text"]
            ours, theirs = (row["stance"]["russia"]["probabilities"] for row in (one, other))
            assert ours == pytest.approx(theirs, abs=1e-5)
        assert json.loads(ask(f"{address}/model")[2])["tag"] == predicted["model"]
        assert ask(f"{address}/")[1].startswith("text/html")
        assert ask(f"{address}/livez")[0] == 200
        assert "/analyze" in json.loads(ask(f"{address}/docs.json")[2])["paths"]
        assert ask(f"{address}/{SECRET}")[:2] == (404, "application/problem+json")
        assert ask(f"{address}/predict", {"sentences": SECRET})[:2] == (422, "application/problem+json")
        metrics = ask(f"{address}/metrics")[2]
        assert 'endpoint="/predict",http_response_code="422"' in metrics
        assert SECRET not in metrics
    logged = log.read_text()
    assert "path=/predict" in logged
    assert SECRET not in logged
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.parametrize(
    ("options", "status", "says"),
    [
        (["--model", "nowhere"], 2, "nowhere"),
        (["--host", "example.org"], 2, "no IP address"),
        (["--port", "0"], 2, "--port"),
    ],
)
def test_what_cannot_be_served_is_one_line(options, status, says, checkpoint):
    options = options if "--model" in options else [*options, "--model", str(checkpoint)]
    result = CliRunner().invoke(main, ["serve", *options])
    assert result.exit_code == status
    assert says in result.stderr
    assert "Traceback" not in result.stderr


def test_a_port_that_is_taken_is_said(checkpoint):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        result = CliRunner().invoke(main, ["serve", "--port", port, "--model", str(checkpoint)])
    assert result.exit_code == 1
    assert port in result.stderr and "--port" in result.stderr


def test_the_bento_serves_in_an_environment_that_has_only_its_wheel(checkpoint, tmp_path):
    """Third-party packages are those of this environment, so that nothing is downloaded; stanceframe is not."""
    project = tmp_path / "project"
    for name in ("pyproject.toml", "README.md", "LICENSE", "constraints.txt", "bentofile.yaml"):
        project.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, project)
    ignored = shutil.ignore_patterns("__pycache__", "checkpoints")
    for package in ("models", "data", "training", "service"):
        shutil.copytree(ROOT / package, project / package, ignore=ignored)
    shutil.copytree(checkpoint, project / "models" / "checkpoints" / "stanceframe")
    variables = environment(tmp_path, BENTOML_DO_NOT_TRACK="True", PIP_DISABLE_PIP_VERSION_CHECK="1")

    def run(*command, **how):
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=variables, check=False, **how)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    pip = [sys.executable, "-m", "pip"]
    run(*pip, "wheel", "--no-deps", "--no-index", "--no-build-isolation", "-w", "wheels", ".", cwd=project)
    tag = run(sys.executable, "-m", "bentoml", "build", "-o", "tag", ".", cwd=project).strip().split("__tag__:")[-1]
    bento = tmp_path / "bentoml" / "bentos" / tag.replace(":", "/")

    clean = tmp_path / "clean"
    venv.create(clean)
    python = str(clean / "bin" / "python")
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    shared = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    Path(site, "shared.pth").write_text("\n".join(shared) + "\n")
    variables.pop("PYTHONPATH", None)
    requirements = (bento / "env" / "python" / "requirements.txt").read_text().split()
    [wheel] = [requirement for requirement in requirements if requirement.endswith(".whl")]
    install = [*pip, "--python", python, "install", "--no-index"]
    run(*install, "--no-deps", "--ignore-installed", wheel, cwd=bento / "src")
    run(*install, "-r", str(bento / "env" / "python" / "requirements.txt"), cwd=bento / "src")
    where = run(python, "-c", "import stanceframe.service as s; print(s.__file__)", cwd=tmp_path)
    assert where.startswith(str(clean))

    port, log = free_port(), tmp_path / "log"
    command = [python, "-m", "bentoml", "serve", str(bento), "--host", "127.0.0.1", "--port", str(port)]
    with serving(command, port, log, env=variables, cwd=tmp_path) as address:
        status, _, text = ask(f"{address}/predict", {"sentences": ["Kim praised Russia."]})
        assert status == 200
        manifest = json.loads((checkpoint / "checkpoint.json").read_text())
        assert json.loads(text)["model"] == f"stanceframe:{manifest['hash'][:12]}"
        assert ask(f"{address}/")[1].startswith("text/html")
