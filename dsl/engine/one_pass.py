"""Functions that look at all rows once and return sums, which a run that was interrupted need not take again."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar, cast

from dsl.engine.streamed import Rows, Streamed, Sums

P = ParamSpec("P")
S = TypeVar("S", bound=Sums)


def one_pass(function: Callable[Concatenate[Rows, P], S]) -> Callable[Concatenate[Rows, P], S]:
    """Mark a function of rows, and of what is known before, that takes its sums from one pass over them.

    Of rows that are not in memory the sums come from `Streamed.keep`, which may have them from an earlier run. Whatever else
    a solver does is done again, so that it arrives at the same numbers. A pass that is not marked is read again.

    Examples
    --------
    >>> import numpy as np
    >>> from dsl.engine.blocks import Block
    >>> @one_pass
    ... def total(rows, factor):
    ...     return (factor * sum(piece.outcome.sum() for piece in rows.pieces()),)
    >>> x, none = np.ones((3, 1)), np.empty(0)
    >>> rows = Block(fixed=x, predicted=x[:, :0], outcome=x[:, 0], gold_rows=none.astype(int), gold=x[:0, :0],
    ...              gold_outcome=none, weight=none)
    >>> float(total(rows, 2.0)[0])
    6.0
    >>> def kept(name, make):
    ...     return (np.array(7.0),)
    >>> float(total(Streamed(again=rows.pieces, own=rows, gold_rows=rows.gold_rows, rows=3, keep=kept), 2.0)[0])
    7.0
    """

    @wraps(function)
    def taken(rows: Rows, /, *args: P.args, **kwargs: P.kwargs) -> S:
        if not isinstance(rows, Streamed):
            return function(rows, *args, **kwargs)
        return cast(S, rows.keep(function.__name__, lambda: function(rows, *args, **kwargs)))

    return taken
