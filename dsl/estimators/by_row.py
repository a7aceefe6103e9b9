"""Whether a formula can be evaluated in blocks: whether a row's columns are the same whichever other rows are there."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dsl._typing import BoolArray, FloatArray
from dsl.data.formula.matrices import build_each
from dsl.data.formula.sides import Design, ParsedFormula
from dsl.data.scan import Scan
from dsl.estimators.analysis import Analysis, outcome_of
from dsl.exceptions import DSLError, NeedsAllRowsError


def check_by_row(parsed: ParsedFormula, analysis: Analysis, found: Scan) -> None:
    """Raise NeedsAllRowsError unless a row's columns are the same whichever other rows are there.

    The formula is fitted once more to the anchor without half of the rows drawn for checks, and evaluated on half of the rows.
    """
    sample, columns, design = analysis.sample, analysis.columns, analysis.designs[0]
    spare = np.flatnonzero(~found.needed & ~sample.labeled)
    kept = np.ones(len(sample.labeled), dtype=bool)
    kept[spare[::2]] = False
    half = np.arange(len(kept)) % 2 == 0
    names: set[str] = set()
    for mask, refit in ((kept, True), (half, False)):
        if mask.all() or not sample.labeled[mask].any():
            continue
        data = sample.data[mask]
        try:
            if refit:
                other = build_each(
                    parsed,
                    data,
                    sample.labeled[mask],
                    columns.predicted,
                    absorbed=analysis.absorbed,
                    two_levels=sample.two_levels,
                    outcome_of=outcome_of(analysis.model),
                )[0][0]
            else:
                labels = sample.labeled[mask]
                other = design.on(data, slice(0, int(labels.sum())))
        except DSLError:
            names.add("one of the terms")
            continue
        names |= _differing(design, other, sample.data, mask, columns.predicted)
    if names:
        depend = "depends" if len(names) == 1 else "depend"
        raise NeedsAllRowsError(
            f"{', '.join(sorted(names))} of the formula '{parsed.text}' {depend} on all rows at once (a mean, a spread, knots, "
            "an order), and the data are read in blocks: write the numbers themselves, as in I((x - 3.2) / 1.7) or ns(x, knots = "
            "c(1, 2), Boundary.knots = c(0, 3)), or make the column first"
        )


def _differing(
    design: Design, other: Design, data: pd.DataFrame, mask: BoolArray, predicted: Sequence[str]
) -> set[str]:
    """Names of columns that are not the same on the rows of a mask."""
    pairs: list[tuple[FloatArray, FloatArray, list[str]]] = []
    for first, second in ((design.covariates, other.covariates), (design.instruments, other.instruments)):
        if first is None or second is None:
            continue
        if first.names != second.names:
            return set(first.names) ^ set(second.names)
        pairs.append((first.fixed[mask], second.fixed, [first.names[j] for j in first.fixed_index]))
        if first.predicted_index and first.direct is None:
            gold = data[list(predicted)].dropna().iloc[0]
            some = data.assign(
                **{name: pd.Series(gold[name], index=data.index, dtype=data[name].dtype) for name in predicted}
            )
            columns = [first.names[j] for j in first.predicted_index]
            pairs.append((first.moving(some)[mask], second.moving(some[mask]), columns))
    if design.outcome.fixed is not None and other.outcome.fixed is not None:
        pairs.append((design.outcome.fixed[mask], other.outcome.fixed, [design.outcome.name]))
    if design.offset is not None and other.offset is not None:
        pairs.append((design.offset[mask, None], other.offset[:, None], ["the offset"]))
    out: set[str] = set()
    for ours, theirs, names in pairs:
        out |= {f"'{name}'" for name, same in zip(names, (ours == theirs).all(axis=0), strict=True) if not same}
    return out
