"""One classifier for many requests: the event loop stays free, and what waits is bounded."""

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice

from anyio import CapacityLimiter, to_thread

from stanceframe.models.types import Classifier, Prediction, Sentence
from stanceframe.service.problems import Problem
from stanceframe.service.settings import Settings

SENTENCES_AT_A_TIME = 64
"""Sentences of a turn: requests that wait together share one, and a large request lets the others have theirs."""


@dataclass(eq=False, slots=True)
class _Request:
    """A request's sentences, and what has been said of the first of them."""

    sentences: Sequence[Sentence]
    answer: asyncio.Future[list[Prediction]]
    predictions: list[Prediction] = field(default_factory=list)

    def next(self, most: int) -> Sequence[Sentence]:
        """Those that come next, up to so many."""
        done = len(self.predictions)
        return self.sentences[done : done + most]


Turn = list[tuple[_Request, Sequence[Sentence]]]


class Labeller:
    """Labels the sentences of concurrent requests, one forward pass at a time.

    Args:
        classifier: what labels; its passes use every core, so two at once would only slow each other down.
        explaining: the same with evidence.
        settings: how many requests are taken on.
    """

    def __init__(self, classifier: Classifier, explaining: Classifier, settings: Settings) -> None:
        self._classifier = classifier
        self._explaining = explaining
        self._settings = settings
        self._pass = CapacityLimiter(1)
        self._waiting: deque[_Request] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._requests = 0

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Hold one of the places for requests.

        Raises:
            Problem: 503 with `Retry-After`: all are taken.
        """
        if self._requests >= self._settings.max_requests:
            raise Problem(
                503,
                f"{self._requests} requests are being labelled or wait for it: try again later",
                headers={"Retry-After": str(self._settings.retry_after_seconds)},
            )
        self._requests += 1
        try:
            yield
        finally:
            self._requests -= 1

    async def label(self, sentences: Sequence[Sentence], *, evidence: bool = False) -> list[Prediction]:
        """Label every sentence, in their order; turns are first come, first served."""
        if evidence:
            return [await self._explain(sentence) for sentence in sentences]
        if not sentences:
            return []
        request = _Request(sentences, asyncio.get_running_loop().create_future())
        self._waiting.append(request)
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return await request.answer

    async def _explain(self, sentence: Sentence) -> Prediction:
        """A turn of its own: evidence takes as many more passes as the sentence has words."""
        (prediction,) = await to_thread.run_sync(self._explaining.predict, [sentence], limiter=self._pass)
        return prediction

    async def _work(self) -> None:
        """Label until nothing waits."""
        while turn := self._next_turn():
            outcomes = await to_thread.run_sync(self._label, turn, limiter=self._pass)
            for (request, _), outcome in zip(turn, outcomes, strict=True):
                self._take(request, outcome)

    def _next_turn(self) -> Turn:
        """The next sentences of those who wait longest; a request whose client has gone is dropped."""
        turn: Turn = []
        room = SENTENCES_AT_A_TIME
        while room and self._waiting:
            request = self._waiting.popleft()
            if not request.answer.done():
                part = request.next(room)
                room -= len(part)
                turn.append((request, part))
        return turn

    def _label(self, turn: Turn) -> list[list[Prediction] | Exception]:
        """What is said of each part of a turn; where it fails together, each part is tried alone."""
        try:
            said = iter(self._classifier.predict([sentence for _, part in turn for sentence in part]))
            return [list(islice(said, len(part))) for _, part in turn]
        except Exception as error:  # noqa: BLE001 - it is raised to the request whose sentence it is
            if len(turn) == 1:
                return [error]
            return [outcome for one in turn for outcome in self._label([one])]

    def _take(self, request: _Request, outcome: list[Prediction] | Exception) -> None:
        """Answer a request, or let it wait for its next turn."""
        if request.answer.done():
            return
        if isinstance(outcome, Exception):
            request.answer.set_exception(outcome)
            return
        request.predictions += outcome
        if request.next(1):
            self._waiting.append(request)
        else:
            request.answer.set_result(request.predictions)
