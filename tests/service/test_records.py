import gzip
import io
import json
import sys
from datetime import date
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from stanceframe.models.errors import InputError
from stanceframe.service import records
from stanceframe.service.records import Record, RecordOptions, Reject, check_sources, read
from stanceframe.service.sources import Source, find_sources

PAGE = """<html><head><title>Kim meets Putin</title><meta property="og:site_name" content="The Daily">
<meta property="article:published_time" content="2024-06-19T10:00:00Z"></head><body><nav><a href="/">Home</a></nav>
<article><p>Kim Jong Un pledged full support for Putin’s war on Wednesday, state media said in a long report.</p>
<p>Washington said the trip showed how desperate Moscow had become for shells, and urged Pyongyang to stop.</p>
</article></body></html>"""


def items(path: Path, options: RecordOptions | None = None) -> list[Record | Reject]:
    return list(read(Source(path, path.name, named=True), options or RecordOptions()))


def write(path: Path, data: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def test_a_text_file_is_one_document_with_its_own_line_ends_and_no_byte_order_mark(tmp_path):
    path = write(tmp_path / "a.txt", b"\xef\xbb\xbfOne.\r\nTwo \xe2\x80\x94 three.")
    assert items(path) == [Record("a.txt", "One.\r\nTwo — three.", {}, str(path))]


def test_a_text_file_of_sentences_has_one_a_line(tmp_path):
    path = write(tmp_path / "a.txt", "One.\r\n\nTwo.\n")
    assert items(path, RecordOptions(unit="sentence")) == [
        Record("a.txt:1", "One.", {}, f"{path}:1"),
        Record("a.txt:3", "Two.", {}, f"{path}:3"),
    ]


def test_bytes_that_are_no_utf8_are_rejected_with_their_place(tmp_path):
    path = write(tmp_path / "a.txt", "Москва".encode("cp1251"))
    assert items(path) == [Reject(str(path), "byte 0xcc at offset 0 is no UTF-8: save it as UTF-8", "a.txt")]


@pytest.mark.parametrize("text", ["", " \n\t"])
def test_an_empty_text_is_rejected(tmp_path, text):
    path = write(tmp_path / "a.txt", text)
    assert items(path) == [Reject(str(path), "the text is empty", "a.txt")]


def test_too_large_a_document_is_rejected_and_the_next_line_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "MAX_DOCUMENT", 100)
    lines = [json.dumps({"text": "x" * 300}), json.dumps({"text": "short"})]
    first, second = items(write(tmp_path / "a.jsonl", "\n".join(lines)))
    assert isinstance(first, Reject)
    assert "split it" in first.reason
    assert second == Record("a.jsonl:2", "short", {}, f"{tmp_path / 'a.jsonl'}:2")
    (whole,) = items(write(tmp_path / "a.txt", "x" * 101))
    assert isinstance(whole, Reject)


def test_a_page_gives_its_main_text_and_what_it_says_of_itself(tmp_path):
    (record,) = items(write(tmp_path / "a.html", PAGE))
    assert isinstance(record, Record)
    assert "Kim Jong Un pledged full support for Putin’s war" in record.text
    assert "Home" not in record.text
    assert record.extra == {"title": "Kim meets Putin", "publisher": "The Daily", "date": "2024-06-19"}


def test_a_page_without_text_is_rejected(tmp_path):
    (reject,) = items(write(tmp_path / "a.html", "<html><body></body></html>"))
    assert isinstance(reject, Reject)
    assert reject.reason == "no main text was found in the page"


def test_json_lines_keep_id_and_other_columns(tmp_path):
    path = write(
        tmp_path / "a.jsonl",
        '\ufeff{"id": "d1", "text": "One.", "n": 1, "tags": ["a"], "x": NaN}\n\n{"id": 7, "text": "Two."}\n'
        '{"text": "Three."}\n',
    )
    assert items(path) == [
        Record("d1", "One.", {"n": 1, "tags": ["a"], "x": None}, f"{path}:1"),
        Record("7", "Two.", {}, f"{path}:3"),
        Record("a.jsonl:4", "Three.", {}, f"{path}:4"),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"text": "a"', "no JSON: Expecting ',' delimiter at column 13"),
        (b'["a"]', "a record is a JSON object, not a list"),
        (b'{"body": "a", "n": 1}', "no column 'text'; it has body, n"),
        (b'{"text": null}', "text is null, not a string"),
        (b'{"text": 3}', "text is a number, not a string"),
        (b'{"text": "  "}', "text is empty"),
        (b'{"text": "a", "id": 1.5}', "id is a number, not a string or a whole number"),
        (b'{"text": "a", "id": true}', "id is a boolean, not a string or a whole number"),
        (b'{"text": "\xe9"}', "byte 0xe9 at offset 10 is no UTF-8: save it as UTF-8"),
        (rb'{"text": "\ud800"}', "\\ud800 stands alone: half of a surrogate pair is no character"),
        (b"[" * 100_000, "JSON that cannot be read"),
        (b'{"text": "a", "n": ' + b"1" * 5000 + b"}", "JSON that cannot be read"),
    ],
)
def test_a_bad_line_is_rejected_alone(tmp_path, line, reason):
    path = write(tmp_path / "a.jsonl", b'{"text": "before"}\n' + line + b'\n{"text": "after"}\n')
    before, reject, after = items(path)
    assert isinstance(reject, Reject)
    assert reject.place == f"{path}:2"
    assert reject.reason.startswith(reason)
    assert [before.text, after.text] == ["before", "after"]


def test_csv_cells_may_hold_quotes_lines_and_much_text(tmp_path):
    long = "word " * 60_000
    path = write(tmp_path / "a.csv", f'\ufeffid,text,note\r\n1,"He said ""no"",\nand left.",x\r\n\r\n2,{long},=1+1\r\n')
    assert items(path) == [
        Record("1", 'He said "no",\nand left.', {"note": "x"}, f"{path}:2"),
        Record("2", long, {"note": "=1+1"}, f"{path}:5"),
    ]


def test_tsv_is_split_at_tabs(tmp_path):
    path = write(tmp_path / "a.tsv", "text\tn\nOne, two.\t1\n")
    assert items(path) == [Record("a.tsv:2", "One, two.", {"n": "1"}, f"{path}:2")]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"a,b,c", "the row has 3 cells, the header 2"),
        (b"a", "the row has 1 cells, the header 2"),
        (b'1,"a "b" c"', "lines 2 to 2 are no row"),
        (b"1,caf\xe9", "byte 0xe9 is no UTF-8: save the file as UTF-8"),
        (b"1,", "text is empty"),
    ],
)
def test_a_bad_row_is_rejected_alone(tmp_path, row, reason):
    path = write(tmp_path / "a.csv", b"id,text\n" + row + b"\n9,after\n")
    reject, after = items(path)
    assert isinstance(reject, Reject)
    assert reject.place == f"{path}:2"
    assert reject.reason.startswith(reason)
    assert after == Record("9", "after", {}, f"{path}:3")


def test_a_quote_that_is_never_closed_is_rejected_and_not_read_as_text(tmp_path):
    path = write(tmp_path / "a.csv", 'id,text\n1,ok\n2,"open\n3,lost\n')
    ok, reject = items(path)
    assert ok.text == "ok"
    assert reject.reason.startswith("lines 3 to 4 are no row")


def test_parquet_values_become_json_values(tmp_path):
    path = tmp_path / "a.parquet"
    table = pyarrow.table({
        "id": ["a", None], "text": ["One.", None], "day": [date(2024, 6, 19), None], "n": [1, 2],
        "x": [float("inf"), 0.5],
    })  # fmt: skip
    pyarrow.parquet.write_table(table, path)
    first, second = items(path)
    assert first == Record("a", "One.", {"day": "2024-06-19", "n": 1, "x": None}, f"{path}:1")
    assert second == Reject(f"{path}:2", "text is null, not a string", "a.parquet:2")


def test_a_parquet_string_that_is_no_utf8_is_rejected_alone(tmp_path):
    path = tmp_path / "a.parquet"
    raw = pyarrow.array([b"good", b"\xff", b"fine"]).view(pyarrow.string())
    pyarrow.parquet.write_table(pyarrow.table({"text": raw}), path)
    first, second, third = items(path)
    assert (first.text, third.text) == ("good", "fine")
    assert second == Reject(f"{path}:2", "byte 0xff in a string is no UTF-8")


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.csv.gz", "a.tsv.gz", "a.txt.gz", "a.html.gz"])
def test_packed_files_are_read(tmp_path, name):
    body = {"jsonl": '{"text": "One."}', "csv": "text\nOne.\n", "tsv": "text\nOne.\n", "txt": "One.", "html": PAGE}
    (record,) = items(write(tmp_path / name, gzip.compress(body[name.split(".")[1]].encode())))
    assert isinstance(record, Record)
    assert record.text.startswith("Kim Jong Un" if "html" in name else "One.")


def test_a_file_that_breaks_off_gives_what_it_had(tmp_path):
    lines = "".join(json.dumps({"text": f"sentence {i * 7919 % 10007}"}) + "\n" for i in range(5000))
    whole = gzip.compress(lines.encode())
    *records_read, reject = items(write(tmp_path / "a.jsonl.gz", whole[: len(whole) // 2]))
    assert len(records_read) > 100
    assert all(isinstance(record, Record) for record in records_read)
    assert reject.reason.startswith(f"cannot be read on after {len(records_read)} records")


@pytest.mark.parametrize("name", ["a.parquet", "a.jsonl.gz"])
def test_a_damaged_file_is_rejected(tmp_path, name):
    (reject,) = items(write(tmp_path / name, b"nonsense, and more of it"))
    assert isinstance(reject, Reject)
    assert reject.reason.startswith("cannot be read on after 0 records")


def test_standard_input_is_json_lines(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"text": "One."}\n')))
    assert list(read(*find_sources(["-"]), RecordOptions())) == [Record("-:1", "One.", {}, "-:1")]


def test_reading_is_lazy(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"text": "One."}\n' * 100_000)
    seen: list[int] = []
    reading = read(Source(path, "a.jsonl", named=True), RecordOptions(), seen.append)
    next(reading)
    assert seen[-1] < path.stat().st_size / 2
    for _ in reading:
        pass
    assert seen[-1] == path.stat().st_size


def test_a_folder_is_read_whole_and_sorted(tmp_path):
    for name in ("b.txt", "a/z.jsonl", "a.txt", ".hidden.txt", ".git/c.txt", "picture.png", "A.HTML"):
        write(tmp_path / name, "x")
    found = find_sources([str(tmp_path)])
    assert [source.name for source in found] == ["A.HTML", "a.txt", "a/z.jsonl", "b.txt"]


def test_a_glob_names_its_files_from_where_it_begins_to_vary(tmp_path):
    for name in ("in/x/a.txt", "in/y/a.txt", "in/y/b.csv"):
        write(tmp_path / name, "x")
    assert [s.name for s in find_sources([str(tmp_path / "in/*/a.*")])] == ["x/a.txt", "y/a.txt"]
    assert [s.name for s in find_sources([str(tmp_path / "i*")])] == ["in/x/a.txt", "in/y/a.txt", "in/y/b.csv"]


def test_a_file_met_twice_is_taken_once_and_names_stay_apart(tmp_path):
    one, two = write(tmp_path / "x/a.txt", "x"), write(tmp_path / "y/a.txt", "y")
    found = find_sources([str(one), str(tmp_path / "x"), str(two)])
    assert [source.name for source in found] == [one.as_posix(), two.as_posix()]


def test_a_glob_character_in_a_file_name_is_no_pattern(tmp_path):
    path = write(tmp_path / "a[1].txt", "x")
    assert [source.path for source in find_sources([str(path)])] == [path]


def test_the_output_in_the_folder_is_no_input(tmp_path):
    for name in ("a.txt", "out.jsonl", "out.jsonl.rejects.jsonl", "out.jsonl.parts/000000.jsonl"):
        write(tmp_path / name, "x")
    assert [source.name for source in find_sources([str(tmp_path)], tmp_path / "out.jsonl")] == ["a.txt"]
    with pytest.raises(InputError, match="is the output itself"):
        find_sources([str(tmp_path / "out.jsonl")], tmp_path / "out.jsonl")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.csv", "no such file or folder"),
        ("*.csv", "matches no file"),
        ("a.docx", r"unknown ending; it can be \.txt, \.html"),
        ("a.parquet.gz", "unknown ending"),
        ("empty", "the folder holds no file that can be read"),
    ],
)
def test_an_input_that_cannot_be_read_is_an_error(tmp_path, name, message):
    write(tmp_path / "a.docx", "x")
    write(tmp_path / "a.parquet.gz", "x")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=message):
        find_sources([str(tmp_path / name)])


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.parquet"])
def test_an_unknown_column_of_a_named_file_is_an_error_that_lists_those_there_are(tmp_path, name):
    path = tmp_path / name
    if name == "a.parquet":
        pyarrow.parquet.write_table(pyarrow.table({"key": ["1"], "body": ["One."]}), path)
    else:
        body = {
            "a.csv": "key,body\n1,One.\n",
            "a.tsv": "key\tbody\n1\tOne.\n",
            "a.jsonl": '{"key": 1, "body": "One."}',
        }
        write(path, body[name])
    with pytest.raises(InputError, match="no column 'text'; it has key, body: name one of them with --text-column"):
        check_sources(find_sources([str(path)]), RecordOptions())
    with pytest.raises(InputError, match="no column 'url'; it has key, body: name one of them with --id-column"):
        check_sources(find_sources([str(path)]), RecordOptions("body", "url"))
    check_sources(find_sources([str(path)]), RecordOptions("body", "key"))
    check_sources(find_sources([str(tmp_path)]), RecordOptions())
    assert all(isinstance(item, Reject) for item in items(path))


def test_a_first_line_without_the_column_does_not_stop_the_file(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"body": "One."}\n{"text": "Two."}\n')
    check_sources(find_sources([str(path)]), RecordOptions())
    assert [type(item) for item in items(path)] == [Reject, Record]


def test_a_column_that_is_there_twice_is_an_error(tmp_path):
    path = write(tmp_path / "a.csv", "text,text\na,b\n")
    with pytest.raises(InputError, match="'text' is there twice"):
        check_sources(find_sources([str(path)]), RecordOptions())


def test_a_page_is_no_sentence(tmp_path):
    path = write(tmp_path / "a.html", PAGE)
    with pytest.raises(InputError, match="leave --unit sentence out"):
        check_sources(find_sources([str(path)]), RecordOptions(unit="sentence"))
