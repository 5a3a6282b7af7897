"""Recipes: everything that decides how a checkpoint is trained, read from TOML."""

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from stanceframe.data.corpus import SHIPPED
from stanceframe.data.examples import READERS
from stanceframe.models.errors import ConfigError

Settings = TypeVar("Settings")

RECIPES = Path(__file__).parent / "recipes"


@dataclass(frozen=True, slots=True)
class DataSource:
    """A file to learn from.

    `path` is relative to the working folder, or `shipped:NAME` in the shipped corpus. `share` is the part
    of it that each epoch draws (2.0: twice). An `optional` source that is not there is left out. The
    calibration is fitted on a held-out part of the sources that say `calibrates`: those of real text.
    `labels` names a file of labels kept apart (see `stanceframe.data.apart`), which go before the file's own.
    A source that is `taught` is the rest of the file, what is not labelled: a teacher speaks of it. One that is
    `swapped` as well is all of the file, with the states in its sentences in each other's places (see
    `stanceframe.data.variants`).
    """

    path: str
    format: str = "stanceframe"
    labels: str = ""
    share: float = 1.0
    optional: bool = False
    calibrates: bool = False
    taught: bool = False
    swapped: bool = False

    @property
    def file(self) -> Path:
        """Where the file is."""
        return _place(self.path)

    @property
    def labels_file(self) -> Path | None:
        """Where the labels kept apart are, if there are any."""
        return _place(self.labels) if self.labels else None


def _place(path: str) -> Path:
    """A path as recipes write it."""
    name = path.removeprefix("shipped:")
    return Path(name) if name == path else SHIPPED / name


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train.

    Attributes:
        encoder: base encoder, a local folder or a known name; unused where training starts from a checkpoint.
        data: the sources.
        epochs, batch_size, learning_rate, warmup, weight_decay, clip: the optimiser's (AdamW, linear decay).
        layer_decay: factor on the learning rate for each encoder layer further from the heads.
        head_rate: factor on the learning rate for what is new.
        dropout: in the heads. Attention dropout is off: its random numbers cost a quarter of a step on a CPU.
        max_length: tokens of one input.
        frame_weight: weight of a frame's positives in its loss, since frames are rare.
        holder_loss, framing_loss, sentiment_loss: weights beside the stance's, which is 1.
        teacher: file of a teacher's probabilities (see `stanceframe.training.teaching`), `shipped:NAME` in the corpus.
        distil: weight of the teacher's probabilities against the labels, where there is a teacher.
        states: weight of the distance from the teacher's states, which `stanceframe distill` keeps while it runs;
            `train` has only the probabilities, and does without.
        unmarked: part of the training examples whose mentions are not marked.
        average: decay of the moving average of the weights that becomes the result, a step; 0 for none.
        mix: part of the trained weights in the result, where training starts from a checkpoint; the rest are its.
        whole: whether the result learns from everything, and its calibration is fitted on what a network trained aside
            says of a part that it was denied; else the result itself is denied that part, in half the time.
        seed: of everything random.
    """

    name: str
    encoder: str
    data: tuple[DataSource, ...]
    epochs: int = 4
    batch_size: int = 16
    learning_rate: float = 1.5e-4
    warmup: float = 0.1
    weight_decay: float = 0.01
    clip: float = 1.0
    layer_decay: float = 1.0
    head_rate: float = 1.0
    dropout: float = 0.1
    max_length: int = 192
    frame_weight: float = 3.0
    holder_loss: float = 0.5
    framing_loss: float = 1.0
    sentiment_loss: float = 0.5
    teacher: str = ""
    distil: float = 0.0
    states: float = 0.0
    unmarked: float = 0.2
    average: float = 0.0
    mix: float = 1.0
    whole: bool = True
    seed: int = 0

    @property
    def teacher_file(self) -> Path | None:
        """Where the teacher's probabilities are, if there are any."""
        return _place(self.teacher) if self.teacher else None


def read_recipe(name: str) -> Recipe:
    """Read a shipped recipe by name, or any TOML file by path.

    Raises:
        ConfigError: there is no such recipe, or a setting is unknown, of the wrong kind or out of its bounds.
    """
    path = Path(name) if name.endswith(".toml") else RECIPES / f"{name}.toml"
    try:
        with path.open("rb") as file:
            values = tomllib.load(file)
    except FileNotFoundError:
        known = ", ".join(sorted(recipe.stem for recipe in RECIPES.glob("*.toml")))
        raise ConfigError(f"{name}: no such recipe; shipped are {known}; a file of your own ends in .toml") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: no TOML: {error}") from None
    sources = values.pop("data", [])
    if not isinstance(sources, list):
        raise ConfigError(f"{path}: data is a list of tables: write [[data]]")
    data = tuple(_build(DataSource, source, f"{path}: data[{i}]") for i, source in enumerate(sources))
    for source in data:
        if source.format not in READERS:
            raise ConfigError(f"{path}: format {source.format!r} is none of {', '.join(READERS)}")
        for setting in ("calibrates", "labels", "taught", "swapped"):
            if getattr(source, setting) and source.format != "stanceframe":
                raise ConfigError(f"{path}: {source.path} cannot have {setting}: only the format stanceframe can")
        if source.taught and source.calibrates:
            raise ConfigError(f"{path}: {source.path} cannot be taught and have calibrates: it has no labels")
        if source.swapped and not source.taught:
            raise ConfigError(f"{path}: {source.path} cannot be swapped without taught: no label fits it any more")
    recipe = _build(Recipe, {"name": path.stem, **values, "data": data}, str(path))
    if recipe.teacher and not recipe.distil:
        raise ConfigError(f"{path}: distil = 0, and the teacher would not be heard: say its weight, or name no teacher")
    return recipe


_KINDS: Mapping[str, tuple[type, ...]] = MappingProxyType(
    {"int": (int,), "float": (int, float), "str": (str,), "bool": (bool,)}
)


_BOUNDS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "share": (0.0, 100.0),
        "epochs": (1, 1000),
        "batch_size": (1, 10_000),
        "max_length": (80, 512),
        "learning_rate": (0.0, 1.0),
        "warmup": (0.0, 1.0),
        "layer_decay": (0.0, 1.0),
        "dropout": (0.0, 0.99),
        "distil": (0.0, 1.0),
        "states": (0.0, 100.0),
        "unmarked": (0.0, 1.0),
        "average": (0.0, 0.99999),
        "mix": (0.0, 1.0),
    }
)
"""Least and most of the settings that have bounds. An input shorter than 80 tokens may have no room for a sentence
behind the names of four targets; more than 512 are more than the encoders have positions for."""


def _build(kind: type[Settings], values: object, place: str) -> Settings:
    """Make a settings object, checking names and kinds."""
    if not isinstance(values, dict):
        raise ConfigError(f"{place}: a table is needed")
    known: dict[str, Any] = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    for key, value in values.items():
        if key not in known:
            raise ConfigError(f"{place}: unknown setting {key!r}; known are {', '.join(known)}")
        wanted = getattr(known[key].type, "__name__", str(known[key].type))
        if wanted in _KINDS and (
            not isinstance(value, _KINDS[wanted]) or isinstance(value, bool) != (wanted == "bool")
        ):
            raise ConfigError(f"{place}: {key} = {value!r}, and a value of kind {wanted} is needed")
    missing = [name for name, field in known.items() if field.default is MISSING and name not in values]
    if missing:
        raise ConfigError(f"{place}: {', '.join(missing)} is missing")
    for key, (least, most) in _BOUNDS.items():
        if key in values and not least <= values[key] <= most:
            raise ConfigError(f"{place}: {key} = {values[key]!r}, and it goes from {least:g} to {most:g}")
    return kind(**values)
