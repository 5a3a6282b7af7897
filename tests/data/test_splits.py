"""Splits by hash: the same for ever, and of about the right size."""

import pytest

from stanceframe.data.splits import fold_of, held_out

KEYS = [f"document-{number}" for number in range(10_000)]


def test_folds_are_what_they_always_were():
    """Another value here moves documents between folds: figures would no longer compare with older ones."""
    assert [fold_of(key, 5) for key in ("d1", "d2", "d3", "Ж", "", "\ud800")] == [1, 0, 3, 3, 4, 4]


def test_what_is_held_out_is_what_always_was():
    """Another value here puts sentences into training that judged a checkpoint before."""
    assert held_out(["a", "b", "c", "d", "e", "f", "Ж", "\ud800"], 0.3, "held out") == [
        False,
        False,
        False,
        True,
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize("folds", [1, 2, 5, 10])
def test_folds_are_near_their_share(folds):
    parts = [fold_of(key, folds) for key in KEYS]
    assert set(parts) == set(range(folds))
    for fold in range(folds):
        assert parts.count(fold) == pytest.approx(len(KEYS) / folds, rel=0.1)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.9])
def test_about_the_share_is_held_out(share):
    assert sum(held_out(KEYS, share, "salt")) == pytest.approx(share * len(KEYS), rel=0.1)


def test_nothing_and_everything_can_be_held_out():
    assert not any(held_out(KEYS, 0.0, "salt"))
    assert all(held_out(KEYS, 1.0, "salt"))


def test_a_keys_side_depends_on_nothing_else_in_the_call():
    together = held_out(KEYS, 0.3, "salt")
    assert held_out(KEYS[::-1], 0.3, "salt") == together[::-1]
    assert [held_out([key], 0.3, "salt")[0] for key in KEYS[:100]] == together[:100]


def test_a_larger_share_keeps_what_was_held_out():
    less, more = held_out(KEYS, 0.2, "salt"), held_out(KEYS, 0.4, "salt")
    assert all(b for a, b in zip(less, more, strict=True) if a)


def test_salts_and_folds_are_independent():
    """A fold's documents are held out as often as any, and so are another salt's."""
    first, second = held_out(KEYS, 0.3, "one"), held_out(KEYS, 0.3, "two")
    assert sum(a and b for a, b in zip(first, second, strict=True)) == pytest.approx(0.09 * len(KEYS), rel=0.2)
    for fold in range(5):
        inside = [out for key, out in zip(KEYS, first, strict=True) if fold_of(key, 5) == fold]
        assert sum(inside) / len(inside) == pytest.approx(0.3, rel=0.2)
