"""One classifier for many requests: the event loop stays free, and what waits is bounded."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice

from anyio import CapacityLimiter, to_thread

from stanceframe.models.types import Classifier, Prediction, Sentence
from stanceframe.service.problems import Problem
from stanceframe.service.settings import Settings

SENTENCES_AT_A_TIME = 64
"""After so many, a large request lets the others have a turn."""
EXPLAINED_AT_A_TIME = 1
"""The same where evidence is asked for, which takes as many more passes as the sentences have words."""


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
        self._turn = CapacityLimiter(1)
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
        classifier, at_a_time = self._classifier, SENTENCES_AT_A_TIME
        if evidence:
            classifier, at_a_time = self._explaining, EXPLAINED_AT_A_TIME
        waiting = iter(sentences)
        predictions: list[Prediction] = []
        while chunk := list(islice(waiting, at_a_time)):
            predictions += await to_thread.run_sync(classifier.predict, chunk, limiter=self._turn)
        return predictions
