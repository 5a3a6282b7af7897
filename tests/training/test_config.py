"""Recipes: what is shipped can be read, and what is wrong is named."""

import pytest

from stanceframe.data.corpus import SHIPPED
from stanceframe.models.errors import ConfigError
from stanceframe.training.config import RECIPES, DataSource, read_recipe

GOOD = """\
encoder = "somewhere"
epochs = 2

[[data]]
path = "shipped:train.jsonl"
share = 2
"""


@pytest.fixture
def written(tmp_path):
    """Writes a recipe, and gives its path as `--recipe` takes it."""

    def write(text):
        path = tmp_path / "mine.toml"
        path.write_text(text)
        return str(path)

    return write


@pytest.mark.parametrize("name", sorted(path.stem for path in RECIPES.glob("*.toml")))
def test_every_shipped_recipe_can_be_read(name):
    recipe = read_recipe(name)
    assert recipe.name == name
    shipped = [source for source in recipe.data if source.path.startswith("shipped:")]
    assert all(source.file.parent == SHIPPED and source.file.is_file() for source in shipped)


def test_the_student_learns_in_any_clone_and_is_calibrated_on_real_text():
    recipe = read_recipe("student")
    assert {source.path for source in recipe.data if not source.optional} == {"shipped:train.jsonl"}
    assert [source.path for source in recipe.data if source.calibrates] == ["../shared/data/news/train.jsonl"]
    assert not any("test" in source.path or "dev" in source.path for source in recipe.data)


def test_settings_come_from_the_file_and_else_from_the_defaults(written):
    recipe = read_recipe(written(GOOD))
    assert (recipe.name, recipe.encoder, recipe.epochs) == ("mine", "somewhere", 2)
    assert recipe.data == (DataSource("shipped:train.jsonl", share=2),)
    assert recipe.seed == 0


def test_only_the_beginning_of_a_path_points_into_the_shipped_corpus(tmp_path):
    assert DataSource("shipped:train.jsonl").file == SHIPPED / "train.jsonl"
    assert DataSource(f"{tmp_path}/shipped:train.jsonl").file == tmp_path / "shipped:train.jsonl"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("epochs = 2", "encoder is missing"),
        (GOOD.replace("path", "pfad"), "data[0]: unknown setting 'pfad'"),
        (GOOD + "\n[[data]]\nshare = 1.0\n", "data[1]: path is missing"),
        (GOOD.replace("epochs = 2", "epoch = 2"), "unknown setting 'epoch'; known are name, encoder"),
        (GOOD.replace("epochs = 2", 'epochs = "two"'), "epochs = 'two', and a value of kind int is needed"),
        (GOOD.replace("epochs = 2", "epochs = 2.5"), "epochs = 2.5"),
        (GOOD.replace("epochs = 2", "epochs = true"), "epochs = True"),
        (GOOD.replace("epochs = 2", "epochs = 0"), "epochs = 0, and it goes from 1"),
        (GOOD.replace("epochs = 2", "batch_size = 0"), "batch_size = 0"),
        (GOOD.replace("epochs = 2", "learning_rate = nan"), "learning_rate = nan"),
        (GOOD.replace("epochs = 2", "max_length = 8"), "max_length = 8, and it goes from 80 to 512"),
        (GOOD.replace("share = 2", "share = -1.0"), "data[0]: share = -1.0"),
        (GOOD + "optional = 1", "optional = 1, and a value of kind bool is needed"),
        (GOOD + 'format = "xml"', "format 'xml' is none of stanceframe, "),
        (GOOD + 'format = "dse"\ncalibrates = true', "shipped:train.jsonl cannot have calibrates"),
        ('encoder = "x"\ndata = "news.jsonl"', "write [[data]]"),
        ('encoder = "x"\ndata = ["news.jsonl"]', "data[0]: a table is needed"),
        ("encoder = somewhere", "no TOML"),
    ],
)
def test_an_error_names_the_file_and_the_setting(written, text, named):
    path = written(text)
    with pytest.raises(ConfigError) as caught:
        read_recipe(path)
    assert str(caught.value).startswith(path) and named in str(caught.value)


def test_a_file_that_is_no_text_is_an_error(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="no TOML"):
        read_recipe(str(path))


def test_an_unknown_recipe_is_told_which_there_are():
    with pytest.raises(ConfigError, match=r"best: no such recipe; shipped are .*student"):
        read_recipe("best")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('teacher = "said.safetensors"\n', "distil = 0, and the teacher would not be heard"),
        ('[[data]]\npath = "a"\ntaught = true\ncalibrates = true\n', "cannot be taught and have calibrates"),
        ('[[data]]\npath = "a"\nformat = "dse"\ntaught = true\n', "cannot have taught"),
        ('[[data]]\npath = "a"\nswapped = true\n', "cannot be swapped without taught"),
    ],
)
def test_a_teacher_that_nobody_would_hear_is_refused(tmp_path, text, said):
    (tmp_path / "odd.toml").write_text(f'encoder = "base"\n{text}')
    with pytest.raises(ConfigError, match=said):
        read_recipe(str(tmp_path / "odd.toml"))
