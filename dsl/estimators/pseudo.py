"""Design-adjusted values of all rows, written to a file block by block."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from dsl.data.files import PathLike, written_aside
from dsl.data.source import Source
from dsl.engine.moments import pseudo_values
from dsl.estimators.call import Execution
from dsl.estimators.remade import check_same_rows
from dsl.estimators.result import Fit
from dsl.estimators.streamed import predicted_blocks
from dsl.estimators.streaming import prepare_streaming
from dsl.exceptions import ArgumentError, MissingDependencyError

ROW = "row"
"""Column with the rows' numbers in the data."""


def pseudo_blocks(fit: Fit, source: Source, execution: Execution) -> Iterator[pd.DataFrame]:
    """`dsl.estimators.result.Fit.pseudo_outcomes` of a fit whose rows come in blocks, each under the rows' numbers.

    Learners are trained again, on the same rows with the same seeds.
    """
    if not fit.estimator.learns:
        raise ArgumentError(
            f"estimator='{fit.call.estimator}' makes no out-of-fold predictions, of which these are made"
        )
    streaming = prepare_streaming(fit.call, source, fit.predictor.spec.functions, execution, learns=True, quiet=True)
    found, prob = streaming.scan, streaming.labels.sample.sample_prob
    kept = np.arange(found.n_input) if found.kept is None else np.flatnonzero(found.kept)
    check_same_rows(fit, streaming)
    for chunk, predictions in predicted_blocks(streaming, fit.call, execution, imputes=fit.estimator.imputes):
        labeled = np.flatnonzero(chunk.analysis.sample.labeled)
        low = int(np.searchsorted(found.gold_rows, chunk.first))
        labels = slice(low, low + len(labeled))
        values = pseudo_values(predictions.mean(axis=0), fit.sample.gold[labels], labeled, 1.0 / prob[labels])
        yield pd.DataFrame(values, index=pd.Index(kept[chunk.places], name=ROW), columns=list(fit.splits.targets))


def write_pseudo(blocks: Iterator[pd.DataFrame], path: PathLike) -> int:
    """Write blocks to a Parquet file, whole or not at all. The number of rows."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError as error:
        raise MissingDependencyError("writing Parquet needs pyarrow: pip install 'dsl[parquet]'") from error
    rows, writer = 0, None
    with written_aside(path) as draft:
        try:
            for block in blocks:
                table = pa.Table.from_pandas(block.reset_index(), preserve_index=False)
                writer = writer or pq.ParquetWriter(draft, table.schema)
                writer.write_table(table)
                rows += len(block)
        finally:
            if writer is not None:
                writer.close()
    return rows
