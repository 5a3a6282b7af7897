"""What tests share: a tiny real classifier built in memory, and the shipped checkpoint."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from stanceframe.models.calibration import Calibration
from stanceframe.models.checkpoint import SHIPPED, Checkpoint
from stanceframe.models.classifier import StanceClassifier, save_checkpoint
from stanceframe.models.encoding import Encoder
from stanceframe.models.engines import TorchEngine
from stanceframe.models.network import StanceframeConfig, StanceframeNetwork

SHARED = Path(__file__).resolve().parents[2] / "shared"
WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "russia",
    "north",
    "korea",
    "united",
    "states",
    "moscow",
    "pyongyang",
    "washington",
    "kim",
    "putin",
    "the",
    "a",
    "of",
    "to",
    "and",
    "said",
    "praised",
    "condemned",
    "met",
    "friendship",
    "war",
    "sacred",
    "desperate",
    "shells",
    ".",
    ",",
    "'",
    '"',
    "-",
    "us",
    "u",
    "s",
]


def tiny_tokenizer() -> Tokenizer:
    """A word tokenizer of a few dozen words; everything else is spelled in letters."""
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    pieces = [*WORDS, *letters, *(f"##{letter}" for letter in letters)]
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"]))
    return tokenizer


def tiny_classifier(seed: int = 0, max_length: int = 96) -> StanceClassifier:
    """A classifier with random weights: two layers, 32 wide."""
    torch.manual_seed(seed)
    tokenizer = tiny_tokenizer()
    encoder_config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        attention_probs_dropout_prob=0.0,
        initializer_range=0.5,
    )
    config = StanceframeConfig(encoder=encoder_config.to_dict(), max_length=max_length)
    network = StanceframeNetwork(config)
    encoder = Encoder(tokenizer, max_length, pad_id=0)
    return StanceClassifier(TorchEngine(network), encoder, Calibration())


@pytest.fixture
def tiny() -> StanceClassifier:
    """A fresh classifier with random weights."""
    return tiny_classifier()


@pytest.fixture(scope="session")
def new_tiny() -> Callable[..., StanceClassifier]:
    """Builds classifiers with random weights: see `tiny_classifier`."""
    return tiny_classifier


@pytest.fixture(scope="session")
def shipped() -> StanceClassifier:
    """The shipped checkpoint."""
    return StanceClassifier.from_pretrained(SHIPPED)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of other people's texts that lies beside a developer's checkout; a user's clone has none."""
    if not SHARED.is_dir():
        pytest.skip("no ../shared beside this checkout")
    return SHARED


def save_tiny(classifier: StanceClassifier, path: Path, created: str = "2025-01-01T00:00:00+00:00") -> Checkpoint:
    """A checkpoint of a classifier that was built in memory."""
    return save_checkpoint(
        path,
        classifier.engine.network,
        classifier.encoder,
        classifier.calibration,
        created=created,
        trained_on=[{"name": "toy", "sentences": 1, "share": 1.0, "sha256": "0"}],
        base_encoder="tiny",
        metrics={},
        card="A toy.\n",
    )


@pytest.fixture
def save() -> Callable[..., Checkpoint]:
    """Makes a checkpoint of a classifier that was built in memory: see `save_tiny`."""
    return save_tiny


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for all that an installation keeps, with a model store of its own: BentoML remembers its first."""
    from bentoml._internal.configuration.containers import BentoMLContainer
    from bentoml._internal.models import ModelStore

    monkeypatch.setenv("STANCEFRAME_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "bentoml"))
    monkeypatch.setenv("BENTOML_DO_NOT_TRACK", "True")
    folder = tmp_path / "bentoml" / "models"
    folder.mkdir(parents=True)
    BentoMLContainer.model_store.set(ModelStore(folder))
    yield tmp_path
    BentoMLContainer.model_store.reset()
