"""Whether the labelled rows of a sample look drawn as stated, column by column.

Every fit looks: `looked_at` tests the number of labelled rows in parts of each column (`dsl.engine.drawn`), with the chance
of any false alarm held at `LEVEL` over all columns. The rows tested are those of the analysis: missing values decide which rows
these are, not the draw, so that labels drawn among all rows, or among complete ones, are right alike.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from dsl._typing import IntArray
from dsl.data.coded import MOST_LEVELS, Coded, coded, coded_order, coded_within
from dsl.data.columns import Columns, quoted
from dsl.data.design import SamplingDesign
from dsl.data.recorded import unused
from dsl.data.sample import Sample
from dsl.data.tables import TableLike, column_names, raw_column
from dsl.engine.drawn import Stage, nested_stages, part_tests, reach_test, stages_of

LEVEL = 5e-4
"""Chance of a false alarm in a fit, over all tests of it. It is smaller: p values are bounds, and tests overlap."""
MOST_OTHERS = 30
"""Columns of the data looked at that the call does not name."""
MADE = 0.95
"""Labelled share of a part of such a column from which it was most likely made from the labels (a coder's name, a weight)."""
APART = 0.01
"""P value below which its missing values go with the labels, so that it was most likely made with them (remarks, votes)."""
LEAST = 5
"""Labelled rows that such a part has at least."""
CERTAIN = 1e-9
"""P value from which a part without any labelled row is named rather than another."""
SHOWN = 3
"""Columns that a warning names."""
OTHER, ORDER, REACH = "other", "order", "reach"
"""Roles besides the arguments of the call: columns outside it, the order of the rows, levels that have labels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """One column, and its part whose number of labelled rows is the least likely."""

    column: str
    role: str
    """Argument of the call that names the column, or one of the roles above."""
    part: str
    """The rows, in words: ``llm = 0``."""
    rows: int
    n_labeled: int
    expected: float
    p_value: float
    """Adjusted for all parts of all columns."""

    @property
    def alarm(self) -> bool:
        """Whether chance is no explanation."""
        return self.p_value < LEVEL

    @property
    def about(self) -> str:
        """The expected number, in words."""
        return f"{self.expected:,.0f}" if self.expected >= 9.5 else f"{self.expected:.2g}"

    @property
    def finding(self) -> str:
        """The counts, in words."""
        about = self.about
        if self.role == REACH:
            return f"labelled rows lie in {self.n_labeled:,} of {self.rows:,} {self.part} (expected about {about})"
        if self.role == ORDER:
            counted = f"{self.n_labeled:,} of the {self.rows:,}" if self.n_labeled else f"none of the {self.rows:,}"
            return f"{counted} rows {self.part} are labelled (expected about {about})"
        if not self.n_labeled:
            return f"no labelled row has {self.part} (expected about {about} of its {self.rows:,} rows)"
        return f"{self.n_labeled:,} of {self.rows:,} rows with {self.part} are labelled (expected about {about})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the user named, where a call is made on the user's behalf with columns of its own making."""

    data: TableLike
    """The user's table, with the rows of the call's, in the same order."""
    named: Mapping[str, str]
    """Columns that the user named, and by which argument."""


_ASKED: ContextVar[Asked | None] = ContextVar("columns that the user named", default=None)
_LOOKING: ContextVar[bool] = ContextVar("whether labels are looked at", default=True)


@contextmanager
def asked(data: TableLike, named: Mapping[str, str]) -> Iterator[None]:
    """Calls within look at the user's own columns, and name these."""
    token = _ASKED.set(Asked(data=data, named=named))
    try:
        yield
    finally:
        _ASKED.reset(token)


@contextmanager
def labels_known() -> Iterator[None]:
    """Calls within do not look at the labels: whoever makes them drew these by a design a moment before."""
    token = _LOOKING.set(False)
    try:
        yield
    finally:
        _LOOKING.reset(token)


def how_looked_at() -> tuple[object, ...]:
    """What `looked_at` takes from its surroundings: the user's own table, and whether labels are looked at."""
    return _ASKED.get(), _LOOKING.get()


def looked_at(
    sample: Sample, columns: Columns, data: TableLike, design: SamplingDesign | None = None
) -> tuple[Tested, ...]:
    """Test every column against the draw as it was stated, the least likely first. Nothing if every row is labelled.

    Parameters
    ----------
    sample : Sample
        Rows of the analysis.
    columns : Columns
        Those of the call.
    data : data frame
        What the sample was made from. Some of its other columns are looked at, too.
    design : SamplingDesign, optional
        Of the call.
    """
    if sample.labeled.all() or not _LOOKING.get():
        return ()
    user = _ASKED.get() or Asked(data=data, named=columns.roles())
    if sample.last is None:
        stages = stages_of(sample.labeling, sample.cluster)
    else:
        stages = nested_stages([*(each.labeling for each in sample.stages), sample.last], sample.cluster)
    found = [_tested(role, column, stages) for role, column in _columns(sample, columns, user, stages, design)]
    found += _reached(sample, columns, stages)
    others = list(_others(sample, user, stages, columns))
    n_columns = len(found) + len(others)
    found += [
        tested
        for column, values in others
        if not _made_from_labels(tested := _tested(OTHER, column, stages), n_columns, column, values, sample, columns)
    ]
    adjusted = [replace(each, p_value=min(1.0, each.p_value * n_columns)) for each in found]
    return tuple(sorted(adjusted, key=lambda each: each.p_value))


def design_unused(columns: Columns, data: TableLike, design: SamplingDesign | None) -> bool:
    """Whether the data record a design that the call does not use."""
    table = data if (user := _ASKED.get()) is None else user.data
    named = columns.sample_prob, columns.cluster
    return bool(unused(table, gold=columns.predicted, design=design, sample_prob=named[0], cluster=named[1]))


def _tested(role: str, column: Coded, stages: list[Stage]) -> Tested:
    """The least likely part of a column, its p value adjusted for the number of parts."""
    best, n_tests = None, 0
    for stage in stages:
        test = part_tests(stage, column.code, len(column.parts), ordered=column.ordered)
        # where the number of labelled rows is fixed, two parts say the same
        n_tests += len(test.p_value) - (len(test.p_value) == 2 and (stage.fixed or stage.group is not None))
        low = test.p_value <= test.p_value.min() * (1.0 + 1e-6)
        # of parts that say the same with certainty, one without labels says it shortest
        if role != ORDER:
            low |= (test.labeled == 0.0) & (test.p_value < CERTAIN)
        gap = np.abs(test.labeled - test.expected)
        # else the least likely one, the one farthest from what was expected, that with the fewest labels
        some = test.labeled > 0.0 if role != ORDER else np.zeros(len(low), dtype=bool)
        j = int(np.lexsort((test.labeled, -gap.round(6), some, ~low))[0])
        if best is None or test.p_value[j] < best.p_value:
            best = Tested(
                column=column.name,
                role=role,
                part=column.words[j],
                rows=int(test.rows[j]),
                n_labeled=int(test.labeled[j]),
                expected=float(test.expected[j]),
                p_value=float(test.p_value[j]),
            )
    assert best is not None
    return replace(best, p_value=best.p_value * n_tests)


def _columns(
    sample: Sample, columns: Columns, user: Asked, stages: list[Stage], design: SamplingDesign | None
) -> Iterator[tuple[str, Coded]]:
    """The columns of the call, the order of the rows, and what the draw is made of."""
    for name, role in user.named.items():
        # probabilities of later stages depend on who came so far
        if (
            name in columns.predicted
            or name == columns.labeled
            or (sample.stages and role in ("sample_prob", "stages"))
        ):
            continue
        values = sample.data[name] if name in sample.data else _values(user.data, name, sample)
        column = None if values is None else coded(name, values)
        if column is not None:
            yield role, column
    labeling = sample.stages[0].labeling if sample.stages else sample.labeling
    if design is not None:
        column = coded("probability of being drawn", pd.Series(labeling.prob))
        if column is not None:
            yield "design", column
    # a design knows the order in which rows were drawn. The table may have been sorted since
    place = np.arange(len(sample.labeled))
    if design is not None:
        place[np.argsort(design.rows.get_indexer(sample.labels))] = place.copy()
    yield ORDER, coded_order(place, "of the data" if design is None else "of the design")
    group = labeling.stratum if labeling.stratum is not None else labeling.unit
    if group is not None and not (len(stages) == 1 and stages[0].whole):
        kind = "stratum" if labeling.stratum is not None else "unit"
        yield ORDER, coded_within(place, np.unique(group, return_inverse=True)[1], kind)
    if stages[0].whole and stages[0].piece is not None:
        size = coded(
            "size of the unit" if labeling.unit is not None else "size of the cluster", _sizes(stages[0].piece)
        )
        if size is not None:
            yield "cluster", size


def _sizes(unit: IntArray) -> pd.Series:
    """Number of rows of each row's unit."""
    return pd.Series(np.bincount(unit)[unit])


def _reached(sample: Sample, columns: Columns, stages: list[Stage]) -> list[Tested]:
    """How many levels of the fixed effects have labelled rows, where rows are taken to be drawn one by one."""
    out = []
    if sample.cluster is None and sample.labeling.unit is None:
        for name, code in zip(columns.absorbed, sample.absorbed, strict=True):
            n_levels = int(code.max()) + 1
            if n_levels > MOST_LEVELS:
                count, expected, p_value = reach_test(sample.labeling.prob, sample.labeled, code)
                out.append(
                    Tested(
                        column=name,
                        role=REACH,
                        part=f"levels of '{name}'",
                        rows=n_levels,
                        n_labeled=count,
                        expected=expected,
                        p_value=p_value,
                    )
                )
    return out


def _others(sample: Sample, user: Asked, stages: list[Stage], columns: Columns) -> Iterator[tuple[Coded, pd.Series]]:
    """Columns outside the call that can be cut into parts, and that were not made with the labels as far as can be seen."""
    names = column_names(user.data)
    n_found = 0
    for name in names:
        if name in user.named or names.count(name) > 1 or _named_after(name, columns):
            continue
        values = _values(user.data, name, sample)
        column = None if values is None else coded(name, values)
        if values is None or column is None or (len(column.parts) >= MOST_LEVELS and not column.ordered):
            continue
        missing = column.code < 0
        if missing.any():
            apart = [part_tests(stage, missing.astype(np.int64), 2, ordered=False).p_value.min() for stage in stages]
            if missing[sample.labeled].all() or missing[~sample.labeled].all() or min(apart) < APART:
                continue
        yield column, values
        n_found += 1
        if n_found == MOST_OTHERS:
            return


def _named_after(name: str, columns: Columns) -> bool:
    """Whether a column bears the name of a gold variable, as what is made from it does (``tone_adjusted`` of `dsl.aggregate`)."""
    return any(name.startswith(f"{gold}_") for gold in columns.predicted)


def _values(data: TableLike, name: str, sample: Sample) -> pd.Series | None:
    """A column that the call does not name, or None where it holds what no part can be made of."""
    try:
        column = raw_column(data, name)
        if len(column) != sample.n_input:
            return None
        kind = column.dtype
        if not pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_datetime64_any_dtype(kind):
            # a few hundred rows tell free text from categories
            few = column.iloc[:: max(1, len(column) // 500)]
            if few.nunique() > MOST_LEVELS:
                return None
        return column if len(sample.rows) == len(column) else column.iloc[sample.rows]
    except Exception:  # whatever is wrong with a column that nobody asked for, the fit does not need it
        return None


def _made_from_labels(
    tested: Tested, n_columns: int, column: Coded, values: pd.Series, sample: Sample, columns: Columns
) -> bool:
    """Whether an unlikely column outside the call was most likely made from the labels: a weight, a coder, gold."""
    if tested.p_value * n_columns >= LEVEL:
        return False
    code, n_parts = column.code, len(column.parts)
    known = code >= 0
    rows, labels = (np.bincount(code[mask], minlength=n_parts) for mask in (known, known & sample.labeled))
    if ((labels >= MADE * rows) & (labels >= LEAST)).any():
        return True
    mine = values.to_numpy()[sample.labeled].astype(object)
    return any(
        bool((mine == sample.data[name].to_numpy()[sample.labeled].astype(object)).all()) for name in columns.predicted
    )


def in_words(found: Sequence[Tested]) -> str:
    """What a warning says about the columns that chance does not explain."""
    shown = "; ".join(each.finding for each in found[:SHOWN])
    more = f"; and {len(found) - SHOWN} more columns" if len(found) > SHOWN else ""
    return f"the labelled rows do not look drawn as stated: {shown}{more}. {remedy(found)}"


def training_in_words(found: Sequence[Tested]) -> str:
    """What a warning says where rows that the predictions' maker has seen are no random part of the labelled rows."""
    shown = "; ".join(
        f"{each.n_labeled:,} of {each.rows:,} labelled rows {each.part if each.role == ORDER else f'with {each.part}'} were seen "
        f"(expected about {each.about})"
        for each in found[:SHOWN]
    )
    return (
        f"the rows of trained_on do not look drawn at random from the labelled rows: {shown}. What the other labelled rows say "
        "of the predictions' errors then holds for rows like these only, and estimates may be biased. Take examples for a "
        "prompt, and rows to fine-tune on, at random from the labelled rows; or choose them before the others are drawn, "
        "with a sample_prob of 1"
    )


def remedy(found: Sequence[Tested]) -> str:
    """What to do about columns that chance does not explain."""
    text = (
        "If rows were drawn with unequal probabilities, or in clusters, say so (sample_prob=, design=, cluster=). If they were "
        "not drawn at random, DSL cannot repair that: label a random sample of the other rows, or analyse only the rows from "
        "which they were drawn"
    )
    roles = {each.role for each in found}
    if ORDER in roles:
        text += ". If the table was sorted after a random draw, pass the design, or shuffle it: data.sample(frac=1)"
    others = list(dict.fromkeys(each.column for each in found[:SHOWN] if each.role == OTHER))
    if others:
        text += f". The call does not name {quoted(others)}: leave it out of the data if it was made from the labels"
    return text
