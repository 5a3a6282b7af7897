"""What `evaluate` reports, and that nothing is judged by what has seen it."""

import json
from dataclasses import replace

import numpy as np
import pytest

from stanceframe.data.corpus import write_labelled
from stanceframe.data.examples import Example, TargetLabels
from stanceframe.data.splits import fold_of
from stanceframe.models.errors import CheckpointError, InputError
from stanceframe.models.labels import Frame, Sentiment, Stance, Target, TargetText
from stanceframe.models.types import LabelledSentence, Mention, Sentence
from stanceframe.training import evaluate as module_of_evaluate
from stanceframe.training import judge as module
from stanceframe.training.baselines import MajorityBaseline, TfidfBaseline
from stanceframe.training.calibrate import calibrate
from stanceframe.training.evaluate import compare, evaluate, evaluate_mentions, gold, intervals, predicted
from stanceframe.training.judge import Judge, unseen
from stanceframe.training.optimise import optimise

FIGURES = {
    "stance_macro_f1",
    "stance_macro_f1_mentioned",
    *(f"f1_{stance}" for stance in Stance),
    *(f"f_avg_{target}" for target in Target),
    *(f"f1_{frame}" for frame in Frame),
    "holder_accuracy",
    "sentiment_macro_f1",
    *(f"ece_{name}" for name in (*Target, *Frame)),
    "answered_share",
    "answered_accuracy",
}
"""The contract's, all of them."""


@pytest.fixture(scope="module", autouse=True)
def few_draws():
    """A fifth of the resamples, to be quick: how many there are is said here alone."""
    assert module_of_evaluate.DRAWS == 1000, "the contract's"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module_of_evaluate, "DRAWS", 200)
        yield


@pytest.fixture(scope="module")
def judged(toy):
    """The toy world by the majority of its labels."""
    return evaluate(toy, MajorityBaseline(toy))


def test_the_json_has_the_contracts_keys_and_the_bins_of_the_calibration(judged, toy):
    value = json.loads(json.dumps(judged.to_json()))
    assert set(value) == FIGURES | {"model", "n", "unit", "missing", "slices", "reliability"}
    assert value["unit"] == "sentences"
    assert set(value["reliability"]) == {*Target, *Frame}
    for bins in value["reliability"].values():
        assert sum(part["count"] for part in bins) == len(toy) and len(bins) == 10
    assert all(set(value[name]) == {"value", "low", "high"} for name in FIGURES)
    assert set(value["slices"]) == {"publisher_kind"}
    assert set(value["slices"]["publisher_kind"]) == {"agency", "paper"}
    assert all(set(of_kind) == FIGURES | {"n"} for of_kind in value["slices"]["publisher_kind"].values())


def test_a_figure_that_nothing_decides_is_null(toy):
    only_sentiment = [replace(s, stance={}, holder={}, framing=None) for s in toy]
    value = evaluate(only_sentiment, MajorityBaseline(toy)).to_json()
    assert value["stance_macro_f1"] == {"value": None, "low": None, "high": None}
    assert value["sentiment_macro_f1"]["value"] > 0
    assert "stance.favor" in value["missing"] and "sentiment.positive" not in value["missing"]


def test_a_slice_is_what_its_sentences_alone_would_give(toy, judged):
    of_agency = [s for s in toy if s.publisher_kind == "agency"]
    alone = evaluate(of_agency, MajorityBaseline(toy))
    slices = judged.to_json()["slices"]["publisher_kind"]
    assert slices["agency"] == {"n": len(of_agency), **{name: alone.to_json()[name] for name in FIGURES}}
    assert slices["paper"]["n"] == len(toy) - len(of_agency)


def test_sentences_without_a_kind_of_publisher_are_in_no_slice(toy):
    plain = [replace(s, publisher_kind=None) for s in toy]
    assert evaluate(plain, MajorityBaseline(toy)).to_json()["slices"] == {"publisher_kind": {}}


def test_intervals_are_the_same_each_time(toy, judged):
    value, low, high = judged.figures["sentiment_macro_f1"]
    assert low < value < high
    assert evaluate(toy, MajorityBaseline(toy)).to_json() == judged.to_json()


def test_intervals_are_quantiles_of_the_resamples_that_have_a_value():
    drawn = [{"a": float(i)} for i in range(41)] + [{"a": float("nan")}] * 9
    assert intervals({"a": 20.0}, drawn) == {"a": (20.0, 1.0, 39.0)}


def test_resamples_are_of_documents(toy):
    one = [replace(s, document_id="all the same") for s in toy]
    said = predicted(MajorityBaseline(toy).predict([Sentence(s.text) for s in toy]))
    value, low, high = compare(one, said, "").figures["sentiment_macro_f1"]
    assert low == value == high
    value, low, high = compare(toy, said, "").figures["sentiment_macro_f1"]
    assert low < value < high


def test_the_table_has_every_figure_that_has_a_value(judged):
    table = judged.to_table()
    assert f"baseline:majority on {judged.count} sentences" in table
    for name, (value, _, _) in judged.figures.items():
        assert np.isnan(value) or f"{name} " in table
    assert "agency" in table and "paper" in table
    assert f"without gold, and left out: {', '.join(judged.missing)}" in table


def test_gold_codes_tell_unlabelled_from_none():
    sentences = [
        LabelledSentence("a", "a", stance={Target.NORTH_KOREA: Stance.AGAINST}, framing=frozenset()),
        LabelledSentence("b", "b", framing=frozenset({Frame.DESPERATION}), sentiment=Sentiment.NEUTRAL),
    ]
    codes = gold(sentences)
    assert codes.stance.tolist() == [[-1, 1, -1], [-1, -1, -1]]
    assert codes.framing.tolist() == [[0, 0], [0, 1]]
    assert codes.sentiment.tolist() == [-1, 2]


def test_nothing_to_evaluate_on_is_an_error(toy, tiny, tmp_path):
    with pytest.raises(InputError, match="no labelled sentences"):
        evaluate([], MajorityBaseline(toy))
    with pytest.raises(InputError, match="no labelled mentions"):
        evaluate_mentions([Example("a", "kim", [TargetLabels(Mention(TargetText("kim")))])], tiny)
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(InputError, match="no labelled sentences"):
        Judge([tmp_path / "empty.jsonl"], model="baseline:majority").folds(3, tmp_path)


# NewsMTSC


class Says:
    """A classifier that says of each mention what stands in a table; absent is the most probable of all."""

    tag = "said"

    def __init__(self, table):
        self.table = table

    def score(self, texts, mentions):
        class Said:
            def __init__(self, stance):
                self.stance = stance

        rows = []
        for asked in mentions:
            stance = np.full((len(asked), 4), 0.1)
            for row, mention in zip(stance, asked, strict=True):
                row[list(Stance).index(self.table[mention.target.name])] = 0.2
            stance[:, list(Stance).index(Stance.ABSENT)] = 0.6
            rows.append(Said(stance))
        return rows


def mention(name, stance):
    return TargetLabels(Mention(TargetText(name), (0, 1)), stance)


def test_newsmtsc_figures_by_hand():
    examples = [
        Example("1", "x", [mention("a", Stance.FAVOR), mention("b", Stance.AGAINST)]),
        Example("2", "x", [mention("a", Stance.NEUTRAL)]),
        Example("3", "x", [mention("b", Stance.AGAINST), mention("c", None)]),
    ]
    said = Says({"a": Stance.FAVOR, "b": Stance.AGAINST, "c": Stance.FAVOR})
    value = evaluate_mentions(examples, said).to_json()
    assert set(value) == {
        "model", "n", "unit", "missing", "slices", "macro_f1", "f1_favor", "f1_against", "f1_neutral", "accuracy"
    }  # fmt: skip
    assert "said on 4 mentions" in evaluate_mentions(examples, said).to_table()
    assert value["n"] == 4 and value["accuracy"]["value"] == 0.75
    assert value["f1_favor"]["value"] == pytest.approx(2 / 3, abs=1e-6)
    assert value["f1_against"]["value"] == 1 and value["f1_neutral"]["value"] == 0
    assert value["macro_f1"]["value"] == pytest.approx((2 / 3 + 1 + 0) / 3, abs=1e-6)
    assert value["accuracy"]["low"] < 0.75 < value["accuracy"]["high"]


def test_newsmtsc_names_a_class_without_gold():
    judged = evaluate_mentions([Example("1", "x", [mention("a", Stance.FAVOR)])], Says({"a": Stance.FAVOR}))
    assert judged.missing == ["stance.against", "stance.neutral"]
    assert judged.figures["macro_f1"][0] == 1 and np.isnan(judged.figures["f1_against"][0])


def test_a_file_of_newsmtsc_is_judged_by_a_checkpoint(tiny, save, tmp_path):
    checkpoint = save(tiny, tmp_path / "checkpoint")
    lines = [
        {"sentence": "kim met putin", "mention": "putin", "from": 8, "to": 13, "polarity": polarity}
        for polarity in (-1, 0, 1)
    ]
    (tmp_path / "news.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    judged = Judge([tmp_path / "news.jsonl"], model=str(checkpoint.path)).mentions()
    assert judged.model == checkpoint.tag and judged.count == 3
    assert judged.figures["accuracy"][0] == pytest.approx(1 / 3)


@pytest.mark.parametrize("model", ["baseline:tfidf", "baseline:majority", "baseline:zero-shot"])
def test_a_baseline_cannot_judge_mentions(toy_file, model):
    with pytest.raises(InputError, match="name a checkpoint"):
        Judge([toy_file], model=model).mentions()


# Who may have seen what is judged


def memorable():
    """A set that can only be learned by heart: each document has a word of its own, and a label by lot."""
    chance = np.random.default_rng(0)
    sentences = []
    for document in range(120):
        word = "".join(chance.choice(list("bcdfghjklmnpqrstvwxz"), 12))
        tone = list(Sentiment)[chance.integers(3)]
        sentences += [
            LabelledSentence(f"{document}-{i}", f"{word} again {word} {i}", sentiment=tone, document_id=word)
            for i in range(4)
        ]
    return sentences


def test_each_document_is_judged_by_what_never_saw_it(tmp_path):
    sentences = memorable()
    write_labelled(tmp_path / "memorable.jsonl", sentences)
    by_heart = evaluate(sentences, TfidfBaseline(sentences)).figures["sentiment_macro_f1"][0]
    files = [tmp_path / "memorable.jsonl"]
    across = Judge(files, model="baseline:tfidf", training=files).folds(4, tmp_path)
    assert by_heart > 0.95
    assert across.figures["sentiment_macro_f1"][0] < 0.45, "no better than by lot"
    assert across.model == "baseline:tfidf, 4 folds" and across.count == len(sentences)


def test_a_baseline_is_never_fitted_on_what_is_judged(tmp_path):
    sentences = memorable()
    write_labelled(tmp_path / "all.jsonl", sentences)
    write_labelled(tmp_path / "some.jsonl", sentences[:200])
    files, training = [tmp_path / "some.jsonl"], [tmp_path / "all.jsonl"]
    assert Judge(files, model="baseline:tfidf", training=training).sentences().figures["sentiment_macro_f1"][0] < 0.45


@pytest.fixture
def given(monkeypatch):
    """What each baseline was fitted on: a list of sets of texts, in the order of the fittings."""
    fittings = []

    class Spy(MajorityBaseline):
        def __init__(self, sentences):
            fittings.append({s.text for s in sentences})
            super().__init__(sentences)

    monkeypatch.setattr(module, "FITTED", {"baseline:majority": Spy})
    return fittings


def test_folds_learn_from_the_other_folds_and_from_the_other_files(toy, toy_file, tmp_path, given):
    others = [LabelledSentence("more", "something else", sentiment=Sentiment.NEUTRAL)]
    write_labelled(tmp_path / "more.jsonl", others)
    Judge([toy_file], model="baseline:majority", training=[toy_file, tmp_path / "more.jsonl"]).folds(3, tmp_path)
    assert len(given) == 3
    for fold, texts in enumerate(given):
        assert texts == {s.text for s in toy if fold_of(s.document_id, 3) != fold} | {"something else"}


def test_unseen_shares_neither_document_nor_text():
    training = [
        LabelledSentence("1", "kim met putin"),
        LabelledSentence("2", "putin met kim", document_id="d"),
        LabelledSentence("3", "KIM  met Putin.", document_id="other"),
        LabelledSentence("4", "they met"),
    ]
    judged = [LabelledSentence("5", "something", document_id="d"), LabelledSentence("6", "Kim met Putin!")]
    assert [s.id for s in unseen(training, judged)] == ["4"]


def test_a_network_is_cross_validated_over_documents(recipe, toy, toy_file, tmp_path, monkeypatch):
    path = tmp_path / "toy.toml"
    path.write_text(
        f'encoder = "{recipe.encoder}"\nepochs = 1\nbatch_size = 8\nlearning_rate = 5e-3\nmax_length = 96\n'
        f'[[data]]\npath = "{toy_file}"\n'
    )
    fitted_on = []

    def spy(examples, scores, origin):
        fitted_on.append({example.id for example in examples})
        return calibrate(examples, scores, origin)

    monkeypatch.setattr(module, "calibrate", spy)
    judge = Judge([toy_file], recipe=str(path), quiet=True)
    judged = judge.folds(2, tmp_path / "work")
    assert fitted_on == [{s.id for s in toy if fold_of(s.document_id, 2) != fold} for fold in (0, 1)]
    assert judged.count == len(toy) and judged.model == f"recipe:{path}, 2 folds"
    assert set(judged.figures) == FIGURES
    assert len(list((tmp_path / "work").glob("*.npz"))) == 2

    def untrained(*arguments, **options):
        raise AssertionError("a fold that was done is trained again")

    monkeypatch.setattr("stanceframe.training.train.optimise", untrained)
    assert judge.folds(2, tmp_path / "work").to_json() == judged.to_json()


def test_a_fold_is_judged_by_a_network_that_never_saw_its_documents(recipe, toy, toy_file, tmp_path, monkeypatch):
    path = tmp_path / "toy.toml"
    path.write_text(f'encoder = "{recipe.encoder}"\nepochs = 1\nmax_length = 96\n[[data]]\npath = "{toy_file}"\n')
    seen = []

    def spy(network, encoder, draw, of, **options):
        seen.append({lesson.example.text for lesson in draw(0)})
        return optimise(network, encoder, draw, of, **options)

    monkeypatch.setattr("stanceframe.training.train.optimise", spy)
    Judge([toy_file], recipe=str(path), quiet=True).folds(3, tmp_path / "work")
    assert seen == [{s.text for s in toy if fold_of(s.document, 3) != fold} for fold in range(3)]
    seen.clear()
    judged = Judge([toy_file], recipe=str(path), quiet=True).kinds(tmp_path / "work")
    kinds = sorted({s.publisher_kind for s in toy})
    assert seen == [{s.text for s in toy if s.publisher_kind != kind} for kind in kinds]
    assert list(judged.slices) == kinds and judged.model.endswith("kinds of publisher left out")


def test_a_kind_that_is_left_out_is_left_out_of_every_source(toy, toy_file, tmp_path, given):
    others = [
        LabelledSentence(f"{k}", f"something of an {k}", publisher_kind=k, framing=frozenset())
        for k in ("agency", "blog")
    ]
    write_labelled(tmp_path / "more.jsonl", others)
    Judge([toy_file], model="baseline:majority", training=[tmp_path / "more.jsonl"]).kinds(tmp_path)
    papers, agencies = ({s.text for s in toy if s.publisher_kind == kind} for kind in ("paper", "agency"))
    assert given == [papers | {"something of an blog"}, agencies | {"something of an agency", "something of an blog"}]


def test_one_kind_of_publisher_cannot_be_left_out(toy, tmp_path):
    write_labelled(tmp_path / "one.jsonl", [s for s in toy if s.publisher_kind == "paper"])
    with pytest.raises(InputError, match="two kinds of publisher"):
        Judge([tmp_path / "one.jsonl"]).kinds(tmp_path)
    write_labelled(tmp_path / "some.jsonl", [toy[0], *(replace(s, publisher_kind=None) for s in toy[1:])])
    with pytest.raises(InputError, match="of each its `publisher_kind`"):
        Judge([tmp_path / "some.jsonl"]).kinds(tmp_path)


def test_what_is_no_model_is_said_so(toy_file, tmp_path):
    with pytest.raises(InputError, match=r"baseline:best is no baseline: there are baseline:majority, baseline:tfidf"):
        Judge([toy_file], model="baseline:best").sentences()
    with pytest.raises(InputError, match="is not fitted"):
        Judge([toy_file], model="baseline:zero-shot").folds(3, tmp_path)
    with pytest.raises(CheckpointError):
        Judge([toy_file], model=str(tmp_path)).sentences()
