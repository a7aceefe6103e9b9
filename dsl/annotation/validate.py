"""How good labels are where gold labels are known: agreement and calibration, by group, for the population."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from dsl._typing import BoolArray, FloatArray, IntArray
from dsl.analyses.cells import labeled_rows, read_columns
from dsl.annotation.measures import Drawn
from dsl.annotation.validation import ALL, LabelledRows, Validation, calibration_table, measure_table, written
from dsl.data.arguments import Names, as_name, as_names, check_choice, check_count, explain_calls
from dsl.data.columns import NamedColumns
from dsl.data.design import SamplingDesign, aligned
from dsl.data.kinds import Kind, kind_of
from dsl.data.labels import sampling_probabilities
from dsl.data.recorded import warn_if_unused
from dsl.data.tables import TableLike, as_numbers, first_rows
from dsl.engine.agreement import METRICS, check_distances
from dsl.engine.intervals import check_alpha
from dsl.exceptions import ArgumentError, ColumnTypeError, DataError, LabelError, OutcomeError

MOST_LABELS = 50
"""Different labels, beyond which a column holds something else."""


@explain_calls
def validate(
    data: TableLike,
    *,
    gold: str,
    prediction: str,
    probability: str | Mapping[str, str] | Mapping[int, str] | None = None,
    by: Names | None = None,
    labeled: str | None = None,
    sample_prob: str | None = None,
    design: SamplingDesign | None = None,
    cluster: str | None = None,
    metric: str = "nominal",
    bins: int = 10,
    alpha: float = 0.05,
) -> "Validation":
    """How far labels agree with gold labels, and probabilities with how often they come true.

    Figures are those of the population from which the gold labels were drawn: a labelled row counts one over its probability of
    being drawn. Rows without a gold label count nothing.

    Parameters
    ----------
    data : data frame
        pandas, polars, pyarrow, or a dict of columns.
    gold : str
        Column with the expert labels, missing where not labelled: 0/1, text or whole numbers.
    prediction : str
        Column with the model's labels, of the same kind.
    probability : str or mapping, optional
        Column with the probability of a label, or label to column. Of one column, the label is the one that its name ends with
        ("llm_positive"), or 1. Of two labels, one column says both.
    by : str or list of str, optional
        Columns whose values make groups.
    labeled, sample_prob, design, cluster
        As in ``dsl.dsl``: which rows have gold labels, the probability of each row to be drawn for them, or the design that drew
        them. Clusters are rows that were drawn together.
    metric : {"nominal", "ordinal", "interval"}
        How far two labels are apart for Krippendorff's alpha: different or not, in ranks or in values (labels that are numbers).
    bins : int
        Intervals of equal width for the calibration.
    alpha : float
        One minus the level of the intervals.

    Returns
    -------
    Validation
        ``table``, ``calibration``, ``summary()``.

    Raises
    ------
    MissingColumnError, ColumnTypeError, DataError
        Columns are not there, or hold what cannot be used.
    LabelError
        No row has both a gold label and a label, or gold labels and design contradict each other.
    ArgumentError, SampleProbabilityError, OutcomeError
        An argument or a probability cannot be used.

    Examples
    --------
    >>> import dsl
    >>> texts = dsl.datasets.load_sentiment(n_labels=1000, seed=1)
    >>> found = dsl.annotation.validate(texts, gold="human_positive", prediction="vader_positive", by="source")
    >>> found
    <Validation of 'vader_positive' against 'human_positive' by source: 1,000 rows, 2 labels>
    >>> found.get("accuracy")["estimate"].round(2).tolist()
    [0.77, 0.71, 0.83]
    """
    check_alpha(alpha)
    check_count(bins, name="bins", least=2)
    check_choice("metric", metric, METRICS)
    groups = as_names(by, "by")
    shown = _probabilities(probability)
    named = as_name(prediction, "prediction")
    if named is None:
        raise ArgumentError(f"prediction must be the name of the column with the labels; found {prediction!r}")
    single = {"labeled": labeled, "sample_prob": sample_prob, "cluster": cluster, "time": None}
    single = {role: as_name(name, role) for role, name in single.items()}
    several = {"by": groups, "prediction": (named,), "probability": tuple(dict.fromkeys(shown.values()))}
    frame = read_columns(data, gold, single, several, design)
    drawn, rows = _drawn(frame, gold, single, design)
    if not rows.all():
        warn_if_unused(data, gold=(gold,), design=design, sample_prob=sample_prob, cluster=cluster)
    frame = frame[rows]
    codes, labels = _labels(frame, gold, named)
    check_distances(labels, metric, f"'{gold}' and '{named}' hold")
    scores = _scores(frame, shown, labels, named)
    sample = LabelledRows(gold=codes[:, 0], given=codes[:, 1], labels=labels, scores=scores, drawn=drawn, metric=metric)
    if not sample.both.any():
        raise LabelError(f"'{named}' is missing in all {len(frame)} rows that have a gold label '{gold}'")
    parts = list(_groups(frame, groups))
    return Validation(
        table=pd.concat(
            [measure_table(sample.of(part), where, bins, alpha) for where, part in parts], ignore_index=True
        ),
        calibration=pd.concat(
            [calibration_table(sample.of(part), where, bins, alpha) for where, part in parts], ignore_index=True
        ),
        gold=gold,
        prediction=named,
        labels=labels,
        by=groups,
        n=len(frame),
        n_missing=int((~sample.both).sum()),
        alpha=alpha,
        metric=metric,
    )


def _probabilities(given: object) -> dict[object, str]:
    """Label to column. Of one column the label is not known yet."""
    if given is None:
        return {}
    if isinstance(given, Mapping):
        if not given:
            raise ArgumentError("probability must name a column, or the column of each label; found an empty mapping")
        return {label: str(as_name(column, "probability")) for label, column in given.items()}
    return {None: str(as_name(given, "probability"))}


def _drawn(
    frame: pd.DataFrame, gold: str, single: Mapping[str, str | None], design: SamplingDesign | None
) -> tuple[Drawn, BoolArray]:
    """Weights and clusters of the labelled rows, and which rows (N,) these are."""
    if design is not None and (single["sample_prob"] or single["labeled"]):
        raise ArgumentError(
            "design says which rows are labelled, and with which probability; leave labeled and sample_prob out"
        )
    labeling = None if design is None else aligned(design, frame.index)
    rows = labeled_rows(frame, gold, single["labeled"], design)
    lacking = rows & frame[gold].isna().to_numpy()
    if lacking.any():
        raise LabelError(
            f"'{gold}' is missing in {first_rows(lacking, frame.index)} that were drawn or are said to be labelled"
        )
    if not rows.any():
        raise LabelError(f"no labelled rows: '{gold}' is missing in every row")
    columns = NamedColumns(named={}, sample_prob=single["sample_prob"])
    prob = sampling_probabilities(frame, columns, rows) if labeling is None else labeling.prob
    cluster: IntArray = np.arange(len(frame))
    if single["cluster"] is not None:
        column = frame[single["cluster"]]
        if column[rows].isna().any():
            raise DataError(
                f"'{column.name}' (cluster) is missing in {first_rows(rows & column.isna().to_numpy(), frame.index)}"
            )
        cluster = pd.factorize(column)[0]
    elif labeling is not None and labeling.unit is not None:
        cluster = labeling.unit
    return Drawn(weight=1.0 / prob, cluster=cluster).of(rows), rows


def _labels(frame: pd.DataFrame, gold: str, prediction: str) -> tuple[IntArray, tuple[str | float, ...]]:
    """Positions of gold and given labels, (n, 2), -1 for missing ones, and the labels."""
    columns = [_values(frame[gold], "gold"), _values(frame[prediction], "prediction")]
    kinds = [pd.api.types.is_numeric_dtype(column) for column in columns]
    if kinds[0] != kinds[1]:
        found = [column.dropna().iloc[0] if column.notna().any() else None for column in columns]
        raise ColumnTypeError(
            f"'{gold}' holds {found[0]!r} and '{prediction}' {found[1]!r}; both must be numbers, or both text, for them to "
            f"agree. Recode one of them, e.g. data['{prediction}'].map({{...}})"
        )
    labels = sorted(pd.unique(pd.concat(columns).dropna()))
    if kinds[0]:
        broken = [value for value in labels if value != round(value)]
        if broken:
            raise OutcomeError(
                f"'{gold}' and '{prediction}' hold numbers such as {broken[0]:g}, which are no labels; probabilities go into "
                "probability="
            )
    if len(labels) > MOST_LABELS:
        raise OutcomeError(
            f"'{gold}' and '{prediction}' have {len(labels)} different values, such as {labels[0]!r}; labels are at most "
            f"{MOST_LABELS}"
        )
    places = {label: place for place, label in enumerate(labels)}
    codes = np.column_stack([column.map(places).fillna(-1).to_numpy(dtype=int) for column in columns])
    return codes, tuple(labels)


def _values(column: pd.Series, role: str) -> pd.Series:
    """Labels as numbers, or as text."""
    if kind_of(column) in (Kind.NUMBER, Kind.TRUTH):
        return as_numbers(column, role)
    numbers = pd.to_numeric(column.astype(object), errors="coerce")
    # "0" and "1", and categories of numbers
    if column.notna().any() and numbers.isna().equals(column.isna()):
        return numbers.astype(float)
    return column.astype(object).where(column.notna()).map(str, na_action="ignore")


def _scores(
    frame: pd.DataFrame, named: Mapping[object, str], labels: tuple[str | float, ...], prediction: str
) -> dict[int, FloatArray]:
    """Probabilities by position of their label."""
    texts = [written(label) for label in labels]
    out: dict[int, FloatArray] = {}
    for label, column in named.items():
        values = as_numbers(frame[column], "probability").to_numpy()
        bad = (values < 0.0) | (values > 1.0)
        if bad.any():
            raise DataError(
                f"'{column}' (probability) is outside 0 to 1 in {first_rows(bad, frame.index)}, such as {values[bad][0]:g}; "
                "divide percentages by 100"
            )
        wanted = _label_of(column, texts) if label is None else written(label)
        if wanted not in texts:
            raise ArgumentError(
                f"probability names the label {wanted!r}, which neither gold nor prediction has; labels are {', '.join(texts)}"
            )
        out[texts.index(wanted)] = np.asarray(values)
    if len(labels) == 2 and len(out) == 1:
        [(place, known)] = out.items()
        out[1 - place] = 1.0 - known
    return out


def _label_of(column: str, texts: Sequence[str]) -> str:
    """The label whose probability a column holds, by its name."""
    fitting = [label for label in texts if column == label or column.endswith(f"_{label}")]
    if fitting:
        # "llm_hate_speech" is of "hate_speech" rather than of "speech"
        return max(fitting, key=len)
    if list(texts) in (["0", "1"], ["1"], ["0"]):
        return "1"
    raise ArgumentError(
        f"it is not known of which label '{column}' is the probability; pass probability={{{texts[0]!r}: '{column}'}}, or "
        f"whichever it is of {', '.join(texts)}"
    )


def _groups(frame: pd.DataFrame, by: tuple[str, ...]) -> Iterator[tuple[dict[str, object], BoolArray]]:
    """All rows, and each group's."""
    yield dict.fromkeys(by, ALL), np.ones(len(frame), dtype=bool)
    if not by:
        return
    keys = frame[list(by)].astype(object)
    code = keys.groupby(list(by), sort=True, observed=True).ngroup().to_numpy()
    for each in range(code.max() + 1):
        rows = code == each
        yield dict(keys[rows].iloc[0]), rows
