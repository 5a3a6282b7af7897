"""Concurrent requests: they share the forward passes, and none waits for, or fails with, another."""

import asyncio
import threading

import pytest

from stanceframe.models.types import Sentence
from stanceframe.service.labelling import SENTENCES_AT_A_TIME, Labeller
from stanceframe.service.settings import Settings


class Echo:
    """A classifier that says the text itself, remembers its calls, and holds the first one back."""

    tag = "echo"

    def __init__(self):
        self.calls = []
        self.begun, self.open = threading.Event(), threading.Event()

    def predict(self, sentences):
        self.calls.append([sentence.text for sentence in sentences])
        self.begun.set()
        assert self.open.wait(30)
        if any(sentence.text == "poison" for sentence in sentences):
            raise ValueError("poison")
        return [sentence.text for sentence in sentences]


def labelled(*requests, leaves=None):
    """What becomes of requests that come while a first one is being labelled; `leaves` is one whose client goes."""

    async def ask():
        labeller = Labeller(echo, echo, Settings())
        tasks = [asyncio.create_task(labeller.label([Sentence("first")]))]
        await asyncio.to_thread(echo.begun.wait, 30)
        tasks += [asyncio.create_task(labeller.label([Sentence(text) for text in texts])) for texts in requests]
        await asyncio.sleep(0)
        if leaves is not None:
            tasks[1 + leaves].cancel()
        echo.open.set()
        return (await asyncio.gather(*tasks, return_exceptions=True))[1:]

    echo = Echo()
    return asyncio.run(ask()), echo.calls[1:]


def many(name, count):
    return [f"{name}{i}" for i in range(count)]


def test_requests_that_wait_together_share_a_pass():
    requests = [many("a", 3), ["b"], many("c", 2)]
    answers, calls = labelled(*requests)
    assert answers == requests
    assert calls == [["a0", "a1", "a2", "b", "c0", "c1"]]


def test_a_large_request_lets_the_others_have_a_turn():
    large = many("large", 3 * SENTENCES_AT_A_TIME)
    answers, calls = labelled(large, ["small"])
    assert answers == [large, ["small"]]
    assert calls[0] == large[:SENTENCES_AT_A_TIME]
    assert calls[1][0] == "small"
    assert [len(call) for call in calls] == [64, 64, 64, 1]


def test_a_request_of_nothing_is_answered_with_nothing():
    assert labelled([])[0] == [[]]


def test_a_sentence_that_fails_fails_its_own_request_alone():
    (one, bad, other), _ = labelled(["one"], ["fine", "poison"], ["other"])
    assert (one, other) == (["one"], ["other"])
    assert isinstance(bad, ValueError)


def test_a_request_whose_client_has_gone_is_not_labelled():
    (gone, here), calls = labelled(["gone"], ["here"], leaves=0)
    assert isinstance(gone, asyncio.CancelledError)
    assert here == ["here"]
    assert calls == [["here"]]


def test_requests_after_a_pause_are_labelled_too():
    async def twice():
        labeller = Labeller(echo, echo, Settings())
        return [await labeller.label([Sentence(text)]) for text in ("a", "b")]

    echo = Echo()
    echo.open.set()
    assert asyncio.run(twice()) == [["a"], ["b"]]


def test_evidence_is_sought_a_sentence_at_a_time():
    async def ask():
        return await Labeller(None, echo, Settings()).label([Sentence("a"), Sentence("b")], evidence=True)

    echo = Echo()
    echo.open.set()
    assert asyncio.run(ask()) == ["a", "b"]
    assert echo.calls == [["a"], ["b"]]


@pytest.mark.parametrize("places", [1, 2])
def test_there_are_so_many_places_and_no_more(places):
    labeller = Labeller(None, None, Settings(max_requests=places))
    with labeller.admitted():
        if places == 1:
            with pytest.raises(Exception, match="try again later"), labeller.admitted():
                pass
        else:
            with labeller.admitted():
                pass
    with labeller.admitted():
        pass
