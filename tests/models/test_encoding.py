"""Mentions, marks, names, windows and padding: what the network is given to read."""

import random

import pytest
import torch

from stanceframe.models.encoding import (
    CHARACTERS_A_TOKEN,
    MAX_WINDOWS,
    WINDOW_OVERLAP,
    Encoder,
    find_mentions,
)
from stanceframe.models.errors import ConfigError
from stanceframe.models.labels import TARGETS, Target, TargetText
from stanceframe.models.network import MAX_TARGETS
from stanceframe.models.types import Mention

RUSSIA, NORTH_KOREA, UNITED_STATES = TARGETS.values()
SCHEMA = [Mention(target) for target in TARGETS.values()]
LONG_NAME = "the united states of the north and the north of the united states and the war of the shells"


@pytest.fixture(scope="module")
def encoder(new_tiny):
    return new_tiny().encoder


def windows(encoder, text, mentions=SCHEMA):
    return list(encoder.windows([text], [mentions]))


def stretch(window):
    """The token ids of the sentence that a window holds."""
    return list(window.input_ids[window.sentence_start : -1])


def marks(encoder, window):
    """Tokens of the sentence that are marked, each with its slot."""
    tokens = [encoder.tokenizer.id_to_token(token) for token in window.input_ids]
    return [(tokens[i], window.slot_ids[i]) for i in range(window.sentence_start, len(tokens)) if window.slot_ids[i]]


def letters(count, seed=0):
    """A text of so many tokens, each a letter."""
    return " ".join(random.Random(seed).choices("bcdefghijklmnopqrtvwxyz", k=count))


@pytest.mark.parametrize(
    ("text", "target", "found"),
    [
        ("He told us that the US left.", Target.UNITED_STATES, ["US"]),
        ("the usa and the USA", Target.UNITED_STATES, ["USA"]),
        ("u.s. U.S.-led, the U.S.A.", Target.UNITED_STATES, ["U.S.", "U.S.A."]),
        ("WASHINGTON, white house", Target.UNITED_STATES, ["WASHINGTON", "white house"]),
        ("The Pentagonal Americanist", Target.UNITED_STATES, []),
        ("Russia's and RUSSIAN, but Belarussian", Target.RUSSIA, ["Russia", "RUSSIAN"]),
        ("North Koreans, N. Korea, South Korea", Target.NORTH_KOREA, ["North Koreans", "N. Korea"]),
        ("Kim Jong Un's KPA, kpa", Target.NORTH_KOREA, ["Kim Jong Un", "KPA"]),
        ("the Workers’ Party of Korea", Target.NORTH_KOREA, ["Workers’ Party of Korea"]),
        ("", Target.RUSSIA, []),
    ],
)
def test_aliases_match_whole_words_and_the_short_ones_by_case(text, target, found):
    assert [text[start:end] for start, end in find_mentions(text, TARGETS[target])] == found


def test_a_name_is_found_as_it_stands_not_as_a_pattern():
    assert find_mentions("(a.b) axb", TargetText("a.b")) == [(1, 4)]


def test_the_tokens_of_each_mention_carry_their_targets_slot(encoder):
    (window,) = windows(encoder, "Moscow praised North Korea, and Putin met the US.")
    assert marks(encoder, window) == [("moscow", 1), ("north", 2), ("korea", 2), ("putin", 1), ("us", 3)]


def test_a_word_in_pieces_is_marked_whole(encoder):
    (window,) = windows(encoder, "the KPA said", [Mention(NORTH_KOREA)])
    assert marks(encoder, window) == [("k", 1), ("##p", 1), ("##a", 1)]


def test_a_given_span_is_marked_and_nothing_else(encoder):
    text = "Putin said Putin praised Kim."
    second = text.rindex("Putin")
    (window,) = windows(encoder, text, [Mention(TargetText("Putin"), (second, second + 5))])
    assert list(window.slot_ids[window.sentence_start :]) == [0, 0, 1, 0, 0, 0, 0]
    assert marks(encoder, window) == [("putin", 1)]


def test_an_empty_span_marks_nothing(encoder):
    (window,) = windows(encoder, "Russia praised Russia", [Mention(RUSSIA, (0, 0))])
    assert marks(encoder, window) == []


def test_a_span_within_a_word_marks_the_pieces_that_it_touches(encoder):
    (window,) = windows(encoder, "bcd", [Mention(TargetText("c"), (1, 2))])
    assert marks(encoder, window) == [("##c", 1)]


def test_where_two_targets_claim_a_token_the_first_has_it(encoder):
    kim, kim_of_the_north = TargetText("Kim"), TargetText("Kim of the north")
    text = "Kim of the north"
    (window,) = windows(encoder, text, [Mention(kim), Mention(kim_of_the_north)])
    assert marks(encoder, window) == [("kim", 1), ("of", 2), ("the", 2), ("north", 2)]
    (window,) = windows(encoder, text, [Mention(kim_of_the_north), Mention(kim)])
    assert {slot for _, slot in marks(encoder, window)} == {1}


def test_marks_are_right_in_every_window(encoder):
    text = f"Russia {letters(60)} Moscow {letters(60)} Putin"
    found = windows(encoder, text, [Mention(RUSSIA)])
    assert len(found) > 1
    words = ["russia", "moscow", "putin"]
    for window in found:
        inside = [encoder.tokenizer.id_to_token(token) for token in stretch(window)]
        assert marks(encoder, window) == [(word, 1) for word in words if word in inside]


def test_names_stand_first_with_their_slots(encoder):
    (window,) = windows(encoder, "the war")
    tokens = [encoder.tokenizer.id_to_token(token) for token in window.input_ids]
    assert tokens == (
        ["[CLS]", "russia", "[SEP]", "north", "korea", "[SEP]", "united", "states", "[SEP]", "the", "war", "[SEP]"]
    )
    assert list(window.slot_ids) == [0, 1, 0, 2, 2, 0, 3, 3, 0, 0, 0, 0]
    assert list(window.names) == [(1, 2), (3, 5), (6, 8)]
    assert (window.item, window.targets, window.tokens) == (0, range(3), 3)


def test_a_long_name_takes_its_share_of_an_input_and_no_more(encoder):
    found = windows(encoder, letters(200), [Mention(TargetText(LONG_NAME))] * MAX_TARGETS)
    assert {end - start for window in found for start, end in window.names} == {96 // (2 * MAX_TARGETS)}
    assert max(len(window.input_ids) for window in found) == 96


@pytest.mark.parametrize("count", [0, 1, 2, 31, 32, 33, 50, 82, 83, 84, 100, 133, 134, 135, 350])
@pytest.mark.parametrize("mentions", [[], SCHEMA, [Mention(TargetText(LONG_NAME))] * MAX_TARGETS])
def test_every_token_is_in_some_window_and_windows_overlap(encoder, count, mentions):
    text = letters(count)
    found = windows(encoder, text, mentions)
    whole = stretch(found[0])
    for window in found[1:]:
        assert stretch(window)[:WINDOW_OVERLAP] == whole[-WINDOW_OVERLAP:]
        assert len(stretch(window)) > WINDOW_OVERLAP
        whole += stretch(window)[WINDOW_OVERLAP:]
    assert whole == encoder.tokenizer.encode(text, add_special_tokens=False).ids
    assert len(whole) == count
    assert max(len(window.input_ids) for window in found) <= encoder.max_length
    assert not any(window.truncated for window in found)


def test_a_sentence_is_truncated_only_past_the_last_window(encoder):
    room = 96 - 9 - 1  # [CLS], five tokens of names and three separators, and the one that closes the sentence
    most = room + (MAX_WINDOWS - 1) * (room - WINDOW_OVERLAP)
    whole, longer = windows(encoder, letters(most)), windows(encoder, letters(most + 1))
    assert len(whole) == len(longer) == MAX_WINDOWS
    assert len(stretch(whole[-1])) == room
    assert not any(window.truncated for window in whole)
    assert all(window.truncated for window in longer)


def test_a_text_with_more_characters_than_the_windows_could_hold_is_truncated(encoder):
    limit = CHARACTERS_A_TOKEN * MAX_WINDOWS * encoder.max_length
    (window,) = windows(encoder, "war" + " " * (limit - 3))
    assert not window.truncated
    (window,) = windows(encoder, "war" + " " * (limit - 3) + "war")
    assert window.truncated
    assert len(stretch(window)) == 1


@pytest.mark.parametrize("max_length", range(64, 100))
def test_a_length_is_refused_or_works_with_the_longest_names(encoder, max_length):
    try:
        encoder = Encoder(encoder.tokenizer, max_length, pad_id=0)
    except ConfigError as error:
        assert str(max_length) in str(error)
        assert max_length < 96
        return
    found = windows(encoder, letters(64), [Mention(TargetText(LONG_NAME))] * MAX_TARGETS)
    whole = stretch(found[0])
    for window in found[1:]:
        whole += stretch(window)[WINDOW_OVERLAP:]
    assert len(whole) == 64


def test_more_targets_than_a_pass_takes_are_split_in_order(encoder):
    mentions = [Mention(TargetText(letter)) for letter in "bcdefghij"]
    found = windows(encoder, "b c d e f g h i j", mentions)
    assert [window.targets for window in found] == [range(4), range(4, 8), range(8, 9)]
    assert [marks(encoder, window) for window in found] == [
        [("b", 1), ("c", 2), ("d", 3), ("e", 4)],
        [("f", 1), ("g", 2), ("h", 3), ("i", 4)],
        [("j", 1)],
    ]


def test_every_text_has_its_windows_in_order(encoder):
    texts = [letters(count) for count in (300, 0, 5, 100)]
    found = list(encoder.windows(texts, [SCHEMA] * 4))
    assert [window.item for window in found] == sorted(window.item for window in found)
    for item, text in enumerate(texts):
        alone = windows(encoder, text)
        together = [window for window in found if window.item == item]
        assert [(w.input_ids, w.slot_ids) for w in together] == [(w.input_ids, w.slot_ids) for w in alone]


def test_each_text_needs_its_list_of_targets(encoder):
    with pytest.raises(ValueError, match="shorter"):
        list(encoder.windows(["a", "b"], [SCHEMA]))


def test_half_of_a_surrogate_pair_moves_no_offset(encoder):
    (window,) = windows(encoder, "\ud83d Russia \udc00 Moscow", [Mention(RUSSIA)])
    assert marks(encoder, window) == [("russia", 1), ("moscow", 1)]
    (window,) = windows(encoder, "\ud83d\ud83d Kim Putin", [Mention(TargetText("Kim"), (3, 6))])
    assert marks(encoder, window) == [("kim", 1)]
    assert windows(encoder, "the war", [Mention(TargetText("\ud83d"))])


def test_thousands_of_names_are_still_told_apart(encoder):
    for number in range(1100):
        name = letters(8, seed=number)
        (window,) = windows(encoder, "the war", [Mention(TargetText(name))])
        ((start, end),) = window.names
        assert list(window.input_ids[start:end]) == encoder.tokenizer.encode(name, add_special_tokens=False).ids


def test_a_batch_is_the_windows_and_padding(encoder):
    encoder = Encoder(encoder.tokenizer, 96, pad_id=7)
    given = [*windows(encoder, "the war", SCHEMA[:1]), *windows(encoder, "Russia met North Korea.")]
    batch = encoder.collate(given)
    size, length = batch.input_ids.shape
    assert (size, length) == (2, max(len(window.input_ids) for window in given))
    assert batch.name_mask.shape == (2, 3, length)
    for row, window in enumerate(given):
        used = len(window.input_ids)
        assert batch.input_ids[row].tolist() == [*window.input_ids, *[7] * (length - used)]
        assert batch.slot_ids[row].tolist() == [*window.slot_ids, *[0] * (length - used)]
        assert batch.attention_mask[row].tolist() == [1] * used + [0] * (length - used)
        assert batch.sentence_mask[row].nonzero().flatten().tolist() == list(range(window.sentence_start, used))
        for column in range(3):
            names = [window.names[column]] if column < len(window.names) else []
            expected = [i for start, end in names for i in range(start, end)]
            assert batch.name_mask[row, column].nonzero().flatten().tolist() == expected
    assert batch.input_ids.dtype == batch.attention_mask.dtype == batch.slot_ids.dtype == torch.int64


def test_an_input_without_targets_still_has_a_column(encoder):
    batch = encoder.collate(windows(encoder, "the war", []))
    assert batch.name_mask.shape[1] == 1
    assert not batch.name_mask.any()
