"""A Parquet file that `datasets` wrote reads as the JSON lines do."""

from pathlib import Path

import pytest
from datasets import Dataset

from stanceframe.data.corpus import SHIPPED, read_labelled, to_json
from stanceframe.data.examples import from_labelled, read_parquet
from stanceframe.models.errors import InputError


def test_the_shipped_corpus_through_parquet(tmp_path: Path) -> None:
    sentences = [s for s, _ in zip(read_labelled(SHIPPED / "test.jsonl"), range(60), strict=False)]
    rows = [to_json(sentence) for sentence in sentences]
    Dataset.from_list(rows).to_parquet(tmp_path / "labelled.parquet")
    assert list(read_parquet(tmp_path / "labelled.parquet")) == [from_labelled(sentence) for sentence in sentences]


def test_a_wrong_row_is_named(tmp_path: Path) -> None:
    path = tmp_path / "wrong.parquet"
    Dataset.from_list([{"text": "Fine."}, {"text": " "}]).to_parquet(path)
    with pytest.raises(InputError, match=r"wrong\.parquet: row 2: text"):
        list(read_parquet(path))


def test_no_parquet_at_all(tmp_path: Path) -> None:
    path = tmp_path / "no.parquet"
    path.write_text("nothing")
    with pytest.raises(InputError, match=r"no\.parquet: no Parquet"):
        list(read_parquet(path))
