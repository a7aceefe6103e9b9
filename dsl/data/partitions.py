"""A dask DataFrame as a source of blocks: its partitions one after the other, in their order.

Whatever makes a partition (reading files, filters, joins, code of the user's) runs where dask runs it: in threads of this
process, or on the workers of a cluster where a ``distributed.Client`` is at work. The next partition is made while the one before
is summed, so that two are in memory here. Sums are taken here.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, cast

import pandas as pd

from dsl.data.arguments import in_one_line
from dsl.data.tables import TableLike
from dsl.exceptions import SourceError

AHEAD = "dsl partition ahead"
"""Name of the thread that asks for the next one."""


def partitions(frame: Any, columns: Sequence[str]) -> Iterator[TableLike]:
    """Tables of the named columns, one for each partition.

    Parameters
    ----------
    frame : dask.dataframe.DataFrame
    columns : sequence of str

    Raises
    ------
    SourceError
        Dask fails to make a partition, which the message numbers.
    """
    chosen = frame[list(columns)]
    made: Future[pd.DataFrame] | None = None
    # one partition ahead
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix=AHEAD) as ahead:
        for number in range(chosen.npartitions):
            mine = made or ahead.submit(chosen.partitions[number].compute)
            more = number + 1 < chosen.npartitions
            made = ahead.submit(chosen.partitions[number + 1].compute) if more else None
            try:
                table = mine.result()
            # dask passes on whatever the code that makes a partition raises
            except Exception as error:
                raise SourceError(
                    f"partition {number} of {chosen.npartitions} of the dask DataFrame cannot be made: {in_one_line(error)}; "
                    f"df.partitions[{number}].compute() shows where"
                ) from error
            yield cast(TableLike, table)
