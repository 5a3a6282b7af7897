"""A teacher's probabilities: asked once, kept without text, and learned from."""

import json
from dataclasses import replace

import numpy as np
import pytest

from stanceframe.data.corpus import text_id, write_labelled
from stanceframe.data.variants import swap
from stanceframe.models.classifier import SCHEMA_MENTIONS, StanceClassifier
from stanceframe.models.errors import ConfigError
from stanceframe.training.config import DataSource
from stanceframe.training.distill import distill
from stanceframe.training.lessons import drawing, read_sources
from stanceframe.training.teaching import HEADS, Teaching, teach
from stanceframe.training.train import train

BYTE = 1 / 255


@pytest.fixture
def bare(toy, tmp_path):
    """A file of sentences that nobody labelled, and their texts."""
    sentences = [
        replace(
            s, id=text_id(f"also {s.text}"), text=f"also {s.text}", stance={}, holder={}, framing=None, sentiment=None
        )
        for s in toy[:12]
    ]
    write_labelled(tmp_path / "bare.jsonl", sentences)
    return tmp_path / "bare.jsonl", [s.text for s in sentences]


def test_what_is_kept_is_what_the_teacher_said_to_a_byte(tiny, toy, tmp_path):
    texts = [s.text for s in toy[:5]]
    teach([tiny], texts, tmp_path / "kept.safetensors", quiet=True)
    kept = Teaching.read(tmp_path / "kept.safetensors")
    for text, said in zip(texts, tiny.score(texts, [SCHEMA_MENTIONS] * 5), strict=True):
        for head in HEADS:
            assert np.abs(getattr(kept.of(text), head) - getattr(said, head)).max() <= 2 * BYTE
        assert kept.of(text).stance.sum(-1) == pytest.approx(np.ones(3))
    assert kept.of("another text") is None
    assert kept.teacher == tiny.tag
    assert not any(text.encode() in (tmp_path / "kept.safetensors").read_bytes() for text in texts)


def test_of_several_teachers_the_mean_counts(new_tiny, tmp_path):
    teachers = [new_tiny(seed=1), new_tiny(seed=2)]
    said = teach(teachers, ["kim met putin ."], tmp_path / "kept.safetensors", quiet=True).of("kim met putin .")
    alone = [t.score(["kim met putin ."], [SCHEMA_MENTIONS])[0] for t in teachers]
    assert said.stance == pytest.approx((alone[0].stance + alone[1].stance) / 2, abs=2 * BYTE)


def test_the_same_teacher_is_not_asked_again(tiny, tmp_path, monkeypatch):
    kept = tmp_path / "kept.safetensors"
    teach([tiny], ["kim met putin .", "kim met kim ."], kept, quiet=True)
    asked = []
    score = tiny.score
    monkeypatch.setattr(tiny, "score", lambda texts, mentions: asked.extend(texts) or score(texts, mentions))
    again = teach([tiny], ["kim met kim .", "putin met putin .", "putin met putin ."], kept, quiet=True)
    assert asked == ["putin met putin ."]
    assert len(again.rows) == 3 and Teaching.read(kept).rows == again.rows


def test_what_another_teacher_said_is_not_overwritten(tiny, new_tiny, save, tmp_path):
    kept = tmp_path / "kept.safetensors"
    teach([tiny], ["kim met putin .", "kim met kim ."], kept, quiet=True)
    other = StanceClassifier.from_pretrained(save(new_tiny(seed=5), tmp_path / "other").path)
    with pytest.raises(ConfigError, match=f"is what {tiny.tag} said, not {other.tag}"):
        teach([other], ["kim met putin ."], kept, quiet=True)
    assert len(Teaching.read(kept).rows) == 2


@pytest.mark.parametrize("content", [None, b"", b"no such format"])
def test_a_file_that_holds_no_teaching_is_refused_with_its_name(tmp_path, content):
    path = tmp_path / "kept.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"kept\.safetensors"):
        Teaching.read(path)


def test_a_lesson_comes_with_what_the_teacher_says_of_it(recipe, toy, tiny, bare, tmp_path):
    kept = tmp_path / "kept.safetensors"
    path, texts = bare
    teach([tiny], [*texts[:10], toy[0].text], kept, quiet=True)
    taught = replace(recipe, data=(*recipe.data, DataSource(str(path), taught=True)), teacher=str(kept), distil=0.5)
    sources = read_sources(taught)
    assert [len(source.examples) for source in sources] == [len(toy), 10], "of the rest nobody says anything"
    lessons = drawing(sources, 0, Teaching.read(kept))(0)
    assert {lesson.example.text for lesson in lessons if lesson.teacher is not None} == {*texts[:10], toy[0].text}


def test_the_teacher_is_asked_of_variants_of_what_is_labelled_too(recipe, toy, tiny, tmp_path):
    kept, path = tmp_path / "kept.safetensors", tmp_path / "named.jsonl"
    write_labelled(path, [replace(toy[0], text="Russia thanked Ukraine .", document_id="doc"), toy[1]])
    variant = swap("Russia thanked Ukraine .")
    teach([tiny], [variant], kept, quiet=True)
    source = DataSource(str(path), taught=True, swapped=True)
    (read,) = read_sources(replace(recipe, data=(source,), teacher=str(kept), distil=0.5))
    assert read.name == f"{path} (swapped)"
    (example,) = read.examples
    assert (example.text, example.document_id) == (variant, "doc")
    assert [labels.stance for labels in example.targets] == [None] * 3


def test_without_a_teacher_a_taught_source_is_empty(recipe, bare):
    sources = read_sources(replace(recipe, data=(*recipe.data, DataSource(str(bare[0]), taught=True))))
    assert [source.name for source in sources][1:] == [f"{bare[0]} (taught)"]
    assert sources[1].examples == []


def test_a_student_learns_from_sentences_that_only_the_teacher_labelled(recipe, toy, bare, tmp_path):
    """The student's only labels are of other sentences, and few."""
    teacher = train(replace(recipe, epochs=30), [], tmp_path / "teacher", quiet=True)
    write_labelled(tmp_path / "few.jsonl", toy[:6])
    sources = (DataSource(str(tmp_path / "few.jsonl")), DataSource(str(bare[0]), taught=True, share=8.0))
    few = replace(recipe, data=sources, epochs=15)
    student = distill(few, [teacher.path], [], tmp_path / "student", quiet=True)
    assert len(Teaching.read(tmp_path / "student.teacher.safetensors").rows) == 18
    assert teacher.tag in (student.path / "README.md").read_text()
    assert str(tmp_path) not in json.dumps(student.metrics["recipe"])
    assert student.metrics["recipe"]["distil"] == 0.5
    assert [s["sentences"] for s in student.trained_on] == [6, 12]

    def said(path):
        classifier = StanceClassifier.from_pretrained(path)
        return np.stack([s.stance.argmax(-1) for s in classifier.score(bare[1], [SCHEMA_MENTIONS] * 12)])

    assert (said(student.path) == said(teacher.path)).mean() > 0.9
    untaught = train(replace(few, data=sources[:1]), [], tmp_path / "untaught", quiet=True)
    assert (said(untaught.path) == said(teacher.path)).mean() < (said(student.path) == said(teacher.path)).mean()


def test_what_was_kept_repeats_the_distillation_without_the_teacher(recipe, bare, save, new_tiny, tmp_path):
    teacher = save(new_tiny(seed=3), tmp_path / "teacher")
    taught = replace(recipe, data=(*recipe.data, DataSource(str(bare[0]), taught=True)), epochs=1)
    first = distill(taught, [teacher.path], [], tmp_path / "first", tmp_path / "kept", quiet=True)
    again = train(replace(taught, teacher=str(tmp_path / "kept"), distil=0.5), [], tmp_path / "again", quiet=True)
    assert again.hash == first.hash


def test_a_recipe_may_leave_everything_to_the_teacher(recipe, bare, save, new_tiny, tmp_path):
    teacher = save(new_tiny(seed=3), tmp_path / "teacher")
    taught = replace(recipe, data=(DataSource(str(bare[0]), taught=True),), epochs=1)
    student = distill(taught, [teacher.path], [], tmp_path / "student", quiet=True)
    assert [source["sentences"] for source in student.trained_on] == [12]


def test_the_teacher_reads_no_more_than_the_student_learns_from(recipe, toy, bare, save, new_tiny, tmp_path):
    teacher = save(new_tiny(seed=3), tmp_path / "teacher")
    mixed = [
        *toy[:3],
        *(
            replace(s, id=f"{s.id} bare", text=f"then {s.text}", stance={}, holder={}, framing=None, sentiment=None)
            for s in toy[:5]
        ),
    ]
    write_labelled(tmp_path / "mixed.jsonl", mixed)
    distill(replace(recipe, epochs=1), [teacher.path], [tmp_path / "mixed.jsonl"], tmp_path / "student", quiet=True)
    assert len(Teaching.read(tmp_path / "student.teacher.safetensors").rows) == len(toy)


def test_distillation_without_a_sentence_for_the_teacher_says_what_is_needed(recipe, save, new_tiny, tmp_path):
    teacher = save(new_tiny(seed=3), tmp_path / "teacher")
    line = {
        "id": "1",
        "sentence_normalized": "kim met putin",
        "targets": [{"mention": "kim", "from": 0, "to": 3, "polarity": 4.0}],
    }
    (tmp_path / "marked.jsonl").write_text(json.dumps(line) + "\n")
    marked = replace(recipe, data=(DataSource(str(tmp_path / "marked.jsonl"), format="newsmtsc"),))
    with pytest.raises(ConfigError, match="no source has a sentence for a teacher to read"):
        distill(marked, [teacher.path], [], tmp_path / "student", quiet=True)


def test_distillation_needs_a_teacher(recipe, tmp_path):
    with pytest.raises(ConfigError, match="needs a teacher"):
        distill(recipe, [], [], tmp_path / "out", quiet=True)
