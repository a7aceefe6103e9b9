"""One question: answered from the cache, or by the model with patience, and then in the cache."""

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from dsl.annotation.cache import Cache
from dsl.annotation.cost import Meter
from dsl.annotation.exchange import Answer, Ask, Request
from dsl.exceptions import ServerError

LONGEST_WAIT = 600.0
"""Seconds that a server may ask to wait. Where it asks for more, the run stops and says so."""


TOO_MANY = 429
"""Status of servers that limit how many questions they take."""
LEAST_STREAK, LEAST_AT_FIRST = 20, 3
"""Questions in a row without an answer, at least, after which the server is taken for down: later, and before its first answer,
when one for each thread is enough."""


class Stopped(Exception):  # noqa: N818
    """The run is being stopped: no further question is asked."""


class Unanswered(Exception):  # noqa: N818
    """All retries failed; the server's last words."""

    def __init__(self, error: ServerError) -> None:
        super().__init__(str(error))
        self.error = error


class _Flight:
    """A question that a thread is asking, for others that have the same."""

    def __init__(self) -> None:
        self.landed = threading.Event()
        self.error: ServerError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How often a question is asked again, and how long is waited before.

    Parameters
    ----------
    max_retries : int
        Times that a question is asked again. Those do not count on which the server took too many questions for it, and
        answered others meanwhile.
    first : float
        Seconds before the first of them, doubled for each further one.
    longest : float
        Seconds that are waited at most, unless the server asks for more.
    """

    max_retries: int = 6
    first: float = 1.0
    longest: float = 60.0

    def pause(self, key: str, attempt: int, retry_after: float | None) -> float:
        """Seconds to wait after a failed attempt (0 is the first): half of it certain, half at random, the same for the same key.

        Examples
        --------
        >>> patience = Patience()
        >>> [0.5 * 2**n <= patience.pause("k", n, None) <= 2**n for n in range(3)]
        [True, True, True]
        >>> 20.0 <= patience.pause("k", 0, 20.0) <= 21.0
        True
        """
        # threads that failed together do not come back together
        share = random.Random(f"{key} {attempt}").random()
        most = min(self.first * 2.0 ** min(attempt, 30), self.longest)
        if retry_after is not None:
            return retry_after + most * share
        return most * (1.0 + share) / 2.0


@dataclass(slots=True)
class Tally:
    """What the answers of a run were, those from the cache included. Written under the lock of its `Asking`."""

    asked: int = 0
    """Questions that the model answered now."""
    stored: int = 0
    """Questions whose answer was in the cache."""
    retries: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    versions: Counter[str] = field(default_factory=Counter)
    """Models as the server reports them."""
    first: str = ""
    last: str = ""

    def add(self, answer: Answer, *, stored: bool) -> None:
        """Count an answer."""
        self.asked += not stored
        self.stored += stored
        self.prompt_tokens += answer.prompt_tokens
        self.completion_tokens += answer.completion_tokens
        self.versions[answer.model] += 1
        if answer.at:
            # times of one form and one zone: the order of the texts is theirs
            self.first = min(self.first or answer.at, answer.at)
            self.last = max(self.last, answer.at)


class Asking:
    """A model behind its cache, for several threads at once.

    Parameters
    ----------
    ask : Ask
    cache : Cache
    patience : Patience
    meter : Meter, optional
        Counts dollars, and may allow no further question.
    threads : int
        Threads that ask.

    Notes
    -----
    A question that another thread is asking already is waited for. An answer is in the cache before it is returned.
    """

    def __init__(
        self, ask: Ask, cache: Cache, *, patience: Patience, meter: Meter | None = None, threads: int = 1
    ) -> None:
        self.stop = threading.Event()
        self.tally = Tally()
        self.meter = Meter() if meter is None else meter
        self._ask, self._cache, self._patience = ask, cache, patience
        self._lock = threading.Lock()
        self._flights: dict[str, _Flight] = {}
        self._until = 0.0
        self._threads = threads
        self._answers = 0
        self._failed_in_a_row = 0
        self.trouble = ""
        """What the server last complained of, for those who look on."""

    def __call__(self, request: Request) -> Answer:
        """The answer to a request.

        Raises
        ------
        ServerError
            The model cannot be asked, and asking again would not help.
        Unanswered
            It might, but did not, as often as was tried.
        Spent
            The budget does not allow another question.
        Stopped
            `stop` was set meanwhile.
        """
        key = request.key()
        while True:
            record = self._cache.get(key)
            if record is not None:
                return self._counted(Answer.from_json(record), stored=True)
            with self._lock:
                flight = self._flights.get(key)
                if flight is None and key not in self._cache:
                    mine = self._flights[key] = _Flight()
                    break
            if flight is not None:
                flight.landed.wait()
                # whoever waits for the same question need not be refused as often
                if flight.error is not None:
                    raise Unanswered(flight.error)
        try:
            return self._counted(self._answered(key, request), stored=False)
        except Unanswered as error:
            mine.error = error.error
            raise
        finally:
            with self._lock:
                del self._flights[key]
            mine.landed.set()

    def _answered(self, key: str, request: Request) -> Answer:
        """Ask until there is an answer, and store it."""
        attempt = faults = refused = 0
        while True:
            self._wait_for_turn()
            others = self._answers
            held = self.meter.hold(request)
            try:
                answer = self._ask(request)
            except ServerError as error:
                self.meter.drop(held)
                if not error.retry:
                    raise
                if faults + refused >= self._patience.max_retries:
                    self._check_streak(error)
                    raise Unanswered(error) from error
                self._wait(key, attempt, error)
                attempt += 1
                if error.status != TOO_MANY:
                    faults += 1
                # too many questions at once is no fault of this one: it comes to its turn as long as others do
                else:
                    refused = refused + 1 if self._answers == others else 0
                continue
            except BaseException:
                self.meter.drop(held)
                raise
            self.meter.pay(held, request, answer)
            self._cache.add(key, answer.to_json())
            self._failed_in_a_row = 0
            with self._lock:
                self._answers += 1
            return answer

    def _check_streak(self, error: ServerError) -> None:
        """Raise ServerError if so many questions in a row had no answer that the next will not have one either."""
        with self._lock:
            self._failed_in_a_row += 1
            most = max(LEAST_STREAK, 2 * self._threads) if self.tally.asked else max(LEAST_AT_FIRST, self._threads)
            if self._failed_in_a_row >= most:
                raise ServerError(
                    f"{self._failed_in_a_row} questions in a row had no answer, however often they were asked (last: {error})",
                    status=error.status,
                    retry_after=error.retry_after,
                )

    def _wait_for_turn(self) -> None:
        """Wait until the server wants to be asked again."""
        while not self.stop.is_set():
            left = self._until - time.monotonic()
            if left <= 0.0:
                return
            self.stop.wait(left)
        raise Stopped

    def _wait(self, key: str, attempt: int, error: ServerError) -> None:
        """Wait after a failure; where the server names a time, all threads wait for it."""
        if error.retry_after is not None and error.retry_after > LONGEST_WAIT:
            raise ServerError(
                f"the server asks to wait {error.retry_after:,.0f} s before the next question ({error}); go on then with the "
                "same call: what is answered is in the cache",
                status=error.status,
                retry_after=error.retry_after,
            )
        pause = self._patience.pause(key, attempt, error.retry_after)
        with self._lock:
            self.tally.retries += 1
            self.trouble = str(error)
            if error.retry_after is not None:
                self._until = max(self._until, time.monotonic() + error.retry_after)
        if self.stop.wait(pause):
            raise Stopped

    def _counted(self, answer: Answer, *, stored: bool) -> Answer:
        with self._lock:
            self.tally.add(answer, stored=stored)
        return answer
