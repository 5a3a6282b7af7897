import csv
import gzip
import io
import json
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stanceframe.models.errors import InputError
from stanceframe.models.types import Sentence
from stanceframe.service import tables
from stanceframe.service.tables import (
    Format,
    common_type,
    flat,
    guard,
    input_type,
    json_line,
    unguard,
    write_table,
)

EXTRA = [
    {"publisher": "=KCNA", "n": 1, "x": 1, "yes": True, "tags": ["a"], "mixed": "a"},
    {"publisher": "Пхеньян, \"x\"\n|", "n": -2, "x": 2.5, "yes": None, "big": 2**70, "mixed": 3},
]  # fmt: skip


@pytest.fixture
def rows(tiny):
    sentences = [
        Sentence("Putin praised Kim.", "d1", 0, 0),
        Sentence("=cmd() of Washington", "d1", 1, 19, "furniture"),
    ]
    return [
        {**prediction.to_json(), "input": extra}
        for prediction, extra in zip(tiny.predict(sentences), EXTRA, strict=True)
    ]


def types_of(rows) -> dict[str, tables.InputType]:
    types: dict[str, tables.InputType] = {}
    for row in rows:
        for name, value in row["input"].items():
            types[name] = common_type(types.get(name, input_type(value)), input_type(value))
    return types


def written(chosen: Format, rows) -> bytes:
    file = io.BytesIO()
    evidence = any("evidence" in row for row in rows)
    write_table(chosen, file, [json_line(row) for row in rows], types_of(rows), evidence=evidence)
    return file.getvalue()


def test_json_lines_are_the_rows(rows):
    assert [json.loads(line) for line in written(Format("jsonl"), rows).splitlines()] == rows


def test_the_flat_columns_are_the_contracts(rows):
    table = pyarrow.parquet.read_table(io.BytesIO(written(Format("parquet"), rows)))
    names = ["document_id", "sentence_index", "start", "end", "text", "kind"]
    for target in ("russia", "north_korea", "united_states"):
        names += [f"{target}_{key}" for key in ("label", "confidence", "abstained", "holder")]
        names += [f"{target}_p_{label}" for label in ("favor", "against", "neutral", "absent")]
    names += ["framing_labels", "p_sacred_struggle", "p_desperation"]
    names += [
        "sentiment_label",
        "sentiment_confidence",
        "p_positive",
        "p_negative",
        "p_neutral",
        "truncated",
        "model",
    ]
    assert table.column_names == [*names, *(f"input_{name}" for name in types_of(rows))]
    assert list(flat(rows[0])) == names


def test_evidence_is_a_column_where_the_rows_have_it(rows):
    words = [[{"for": "russia", "start": 6, "end": 13, "weight": 0.5}], []]
    explained = [{**row, "evidence": some} for row, some in zip(rows, words, strict=True)]
    table = pyarrow.parquet.read_table(io.BytesIO(written(Format("parquet"), explained)))
    assert [json.loads(cell) for cell in table.column("evidence").to_pylist()] == words
    lines = list(csv.DictReader(io.StringIO(written(Format("csv"), explained).decode())))
    assert [json.loads(line["evidence"]) for line in lines] == words
    assert "evidence" not in csv.DictReader(io.StringIO(written(Format("csv"), rows).decode())).fieldnames


def test_parquet_holds_the_values_of_the_rows_with_their_types(rows):
    table = pyarrow.parquet.read_table(io.BytesIO(written(Format("parquet"), rows)))
    for read, row in zip(table.to_pylist(), rows, strict=True):
        assert {name: value for name, value in read.items() if not name.startswith("input_")} == flat(row)
    own = {name: table.column(f"input_{name}").to_pylist() for name in types_of(rows)}
    assert own == {
        "publisher": ["=KCNA", 'Пхеньян, "x"\n|'], "n": [1, -2], "x": [1.0, 2.5], "yes": [True, None],
        "tags": ['["a"]', None], "big": [None, str(2**70)], "mixed": ["a", "3"],
    }  # fmt: skip
    assert table.schema.field("input_n").type == pyarrow.int64()


def test_csv_holds_what_parquet_holds(rows):
    data = written(Format("csv"), rows).decode()
    cells = list(csv.DictReader(io.StringIO(data, newline=""), strict=True))
    table = pyarrow.parquet.read_table(io.BytesIO(written(Format("parquet"), rows)))
    for read, row in zip(cells, table.to_pylist(), strict=True):
        for name, value in row.items():
            cell = unguard(read[name])
            if isinstance(value, bool):
                assert cell == str(value).lower()
            elif isinstance(value, int | float):
                assert type(value)(cell) == value
            else:
                assert cell == ("|".join(value) if isinstance(value, list) else value or "")


def test_no_csv_cell_is_a_formula(rows):
    cells = next(row for row in csv.DictReader(io.StringIO(written(Format("csv"), rows[1:]).decode(), newline="")))
    assert cells["text"] == "'=cmd() of Washington"
    assert cells["input_n"] == "-2"


@pytest.mark.parametrize(("text", "cell"), [
    ("=1+1", "'=1+1"), ("@x", "'@x"), ("-5.5e3", "-5.5e3"), ("-x", "'-x"), ("+7", "+7"), ("\tx", "'\tx"),
    ("'=1", "''=1"), ("'tis", "'tis"), ("", ""), ("a=1", "a=1"),
])  # fmt: skip
def test_only_what_runs_as_a_formula_is_guarded(text, cell):
    assert guard(text) == cell
    assert unguard(cell) == text


@given(st.text(alphabet="'=+-@\t\r\n1.a", max_size=6) | st.text())
def test_guarding_can_be_undone(text):
    assert unguard(guard(text)) == text


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_packed_tables_unpack_to_the_plain_ones_and_have_no_time_in_them(rows, kind):
    packed = written(Format(kind, packed=True), rows)
    assert gzip.decompress(packed) == written(Format(kind), rows)
    assert packed[4:8] == bytes(4)


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_a_table_without_rows_is_a_table(kind):
    data = written(Format(kind), [])
    if kind == "parquet":
        assert pyarrow.parquet.read_table(io.BytesIO(data)).num_rows == 0
    else:
        assert len(data.splitlines()) == (kind == "csv")


def test_a_long_parquet_table_keeps_order_across_groups(rows, monkeypatch):
    monkeypatch.setattr(tables, "ROWS_AT_ONCE", 3)
    monkeypatch.setattr(tables, "ROWS_IN_GROUP", 6)
    many = [{**rows[0], "sentence_index": i} for i in range(20)]
    file = pyarrow.parquet.ParquetFile(io.BytesIO(written(Format("parquet"), many)))
    assert file.metadata.num_row_groups == 4
    assert file.read().column("sentence_index").to_pylist() == list(range(20))


@pytest.mark.parametrize(("one", "other", "both"), [
    ("null", "integer", "integer"), ("integer", "number", "number"), ("boolean", "integer", "text"),
    ("text", "null", "text"), ("number", "text", "text"),
])  # fmt: skip
def test_a_column_takes_the_type_that_holds_all_its_values(one, other, both):
    assert common_type(one, other) == common_type(other, one) == both


@pytest.mark.parametrize(("name", "chosen"), [
    ("a.jsonl", Format("jsonl")), ("a.csv.gz", Format("csv", packed=True)), ("A.PARQUET", Format("parquet")),
])  # fmt: skip
def test_the_ending_says_the_format(name, chosen):
    assert Format.of(Path(name)) == chosen


@pytest.mark.parametrize("name", ["a.xlsx", "a", "a.parquet.gz", "a.tsv"])
def test_an_unknown_ending_is_an_error_that_lists_those_there_are(name):
    with pytest.raises(InputError, match=r"can be \.jsonl, \.jsonl\.gz, \.csv, \.csv\.gz, \.parquet"):
        Format.of(Path(name))
