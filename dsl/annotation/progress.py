"""What a run shows while it goes on, and what it says where it ends early."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, cast

from dsl.annotation.asking import Asking
from dsl.annotation.cost import Spent
from dsl.exceptions import BudgetError, ServerError

MOST_TROUBLE = 60
"""Characters of a server's complaint beside the bar."""


class Shown(Protocol):
    """What is used of a bar of tqdm."""

    def update(self, n: float) -> object:
        """Some more are done."""
        ...

    def set_postfix_str(self, s: str, refresh: bool) -> object:
        """Words behind the bar."""
        ...

    def close(self) -> object:
        """The end."""
        ...


class Bar:
    """Texts done, with dollars and what the server complains of.

    Parameters
    ----------
    asking : Asking
    total : int
        Different texts.
    name : str
        Of the columns that are made.
    cache : str
        File of the answers, for messages.
    shown : bool
        Whether there is a bar, on stderr.
    """

    def __init__(self, asking: Asking, *, total: int, name: str, cache: str, shown: bool) -> None:
        self.done = 0
        self._asking, self._total, self._name, self._cache = asking, total, name, cache
        self._bar: Shown | None = None
        if shown:
            from tqdm.auto import tqdm

            self._bar = cast(Shown, tqdm(total=total, desc=name, unit="text"))

    def step(self) -> None:
        """One more text is done."""
        self.done += 1
        if self._bar is not None:
            self._say(refresh=False)
            self._bar.update(1)

    def wait(self) -> None:
        """Nothing was done for a while: show why."""
        self._say(refresh=True)

    def _say(self, *, refresh: bool) -> None:
        if self._bar is None:
            return
        meter, asking = self._asking.meter, self._asking
        words = [f"${meter.spent:,.2f}"] if meter.price is not None else []
        if asking.tally.retries:
            words.append(f"{asking.tally.retries:,} retries (last: {asking.trouble[:MOST_TROUBLE]})")
        if words:
            self._bar.set_postfix_str(", ".join(words), refresh=refresh)

    @contextmanager
    def showing(self) -> Iterator["Bar"]:
        """The bar while texts are asked about. Ends before all are done say what is there, and how to go on.

        Raises
        ------
        BudgetError
            The budget was spent.
        ServerError
            The server failed.
        KeyboardInterrupt
            With the same words.
        """
        try:
            yield self
        except Spent:
            meter = self._asking.meter
            raise BudgetError(
                f"the budget of ${meter.budget:,.4g} is spent, but for what one more question may cost (${meter.spent:,.4g} "
                f"were). {self._state()}, with as much again; dsl.annotation.estimate_cost says what is left to do"
            ) from None
        except ServerError as error:
            # without the other error before it, whose words it has
            raise ServerError(f"{error}. {self._state()}", status=error.status, retry_after=error.retry_after) from None
        except KeyboardInterrupt:
            raise KeyboardInterrupt(self._state()) from None
        finally:
            if self._bar is not None:
                self._bar.close()

    def _state(self) -> str:
        return (
            f"{self.done:,} of {self._total:,} different texts are done for '{self._name}', and all answers are in "
            f"'{self._cache}': the same call goes on from there"
        )
