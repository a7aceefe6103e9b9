"""What `validate` returns: measures and calibration by group, and how they are printed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from dsl._typing import BoolArray, FloatArray, IntArray
from dsl.annotation import measures
from dsl.annotation.measures import Bin, Drawn, Measure
from dsl.data.tables import each_row
from dsl.engine.intervals import wald_interval
from dsl.exceptions import ArgumentError

ALL = "(all)"
"""Group of all rows."""
SUMMARY = ("accuracy", "kappa", "krippendorff_alpha", "f1", "auc", "brier", "calibration_error")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Validation:
    """What `validate` returns.

    Attributes
    ----------
    table : DataFrame
        One row for each group and measure, all rows first: the columns of `by` ("(all)" for all rows), ``measure``, ``label``
        (empty for measures of all labels), ``estimate``, ``std_error``, ``conf_low``, ``conf_high``, ``n`` (rows behind it).
        Measures: accuracy, kappa (Cohen's), krippendorff_alpha (Krippendorff's, by `metric`), f1 (mean over labels); with
        probabilities brier, auc (mean over labels, each against the rest), calibration_error (mean over labels of the expected
        calibration error, without a standard error; noise makes it larger in small samples); of each label precision, recall,
        f1 and, with probabilities, auc.
        Intervals of measures between 0 and 1 are symmetric on the log-odds scale.
    calibration : DataFrame
        One row for each group, label (of two, the second) and interval of probabilities that has rows: ``low``, ``high``,
        ``share`` (of the population), ``predicted`` (mean probability), ``observed`` (share of rows with the label),
        ``std_error``, ``conf_low``, ``conf_high``, ``n``. Empty without probabilities.
    gold, prediction, by, metric, alpha
        As in the call.
    labels : tuple
        All labels, in order.
    n : int
        Rows with a gold label.
    n_missing : int
        Of these, rows without a label of the model's, which count in no measure.
    """

    table: pd.DataFrame
    calibration: pd.DataFrame = field(repr=False)
    gold: str
    prediction: str
    labels: tuple[str | float, ...]
    by: tuple[str, ...]
    n: int
    n_missing: int
    alpha: float
    metric: str = "nominal"

    def __repr__(self) -> str:
        """One line: what, and of how many rows."""
        by = f" by {', '.join(self.by)}" if self.by else ""
        missing = f", {self.n_missing:,} without a label" if self.n_missing else ""
        return (
            f"<Validation of '{self.prediction}' against '{self.gold}'{by}: {self.n:,} rows{missing}, "
            f"{len(self.labels)} labels>"
        )

    def get(self, measure: str, label: object = "") -> pd.DataFrame:
        """The rows of one measure.

        Parameters
        ----------
        measure : str
        label : str or number
            Of a measure of one label. Empty: of all labels.

        Raises
        ------
        ArgumentError
            There is no such measure.
        """
        wanted = written(label)
        found = self.table[(self.table["measure"] == measure) & (self.table["label"] == wanted)]
        if found.empty:
            known = ", ".join(dict.fromkeys(self.table["measure"]))
            raise ArgumentError(f"there is no measure {measure!r} of the label {wanted!r}; measures are {known}")
        return found.reset_index(drop=True)

    def summary(self) -> str:
        """Agreement by group, labels one by one, and calibration, as text."""
        wide = self.table[(self.table["label"] == "") & self.table["measure"].isin(SUMMARY)]
        parts = [repr(self), "", _wide(wide, list(self.by), "measure")]
        label = self.table[(self.table["label"] != "") & self._all(self.table)]
        parts += ["", _wide(label, ["label"], "measure")]
        bins = self.calibration[self._all(self.calibration)]
        if len(bins):
            columns = ["label", "low", "high", "n", "predicted", "observed", "std_error"]
            parts += ["", bins[columns].to_string(index=False, float_format=lambda value: f"{value:.3f}")]
        level = f"{100 * (1 - self.alpha):g}%"
        parts += ["", f"Standard errors in parentheses; {level} intervals are in .table. Rows count 1 / probability."]
        return "\n".join(parts)

    def _all(self, table: pd.DataFrame) -> pd.Series:
        rows = pd.Series(True, index=table.index)
        for name in self.by:
            rows &= table[name] == ALL
        return rows


def _wide(table: pd.DataFrame, rows: list[str], column: str) -> str:
    """Measures side by side, standard errors in parentheses."""
    cells = [
        f"{each.estimate:.3f}" + ("" if np.isnan(each.std_error) else f" ({each.std_error:.3f})")
        for each in each_row(table)
    ]
    shown = table.assign(cell=cells)
    names = list(dict.fromkeys(shown[column]))
    keys = rows or ["n"]
    wide = shown.drop_duplicates([*keys, column]).pivot(index=keys, columns=column, values="cell")[names]
    order = list(dict.fromkeys(shown[keys].itertuples(index=False, name=None)))
    wide = wide.loc[[key if len(keys) > 1 else key[0] for key in order]].fillna("")
    return str(wide.rename_axis(columns=None).reset_index().to_string(index=False))


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledRows:
    """Labelled rows of a group."""

    gold: IntArray
    """(n,) position of the gold label."""
    given: IntArray
    """(n,) position of the model's label, -1 where it is missing."""
    labels: tuple[str | float, ...]
    scores: Mapping[int, FloatArray]
    """By position of the label, (n,) probabilities, NaN where missing."""
    drawn: Drawn
    metric: str = "nominal"
    """How far two labels are apart."""

    @property
    def both(self) -> BoolArray:
        """Rows with both labels."""
        return self.given >= 0

    @property
    def known(self) -> BoolArray:
        """Rows with all probabilities that are given."""
        out = np.ones(len(self.gold), dtype=bool)
        for each in self.scores.values():
            out &= ~np.isnan(each)
        return out

    def of(self, rows: BoolArray) -> "LabelledRows":
        """Some of the rows."""
        scores = {place: each[rows] for place, each in self.scores.items()}
        return LabelledRows(
            gold=self.gold[rows],
            given=self.given[rows],
            labels=self.labels,
            scores=scores,
            drawn=self.drawn.of(rows),
            metric=self.metric,
        )

    @property
    def values(self) -> FloatArray:
        """The labels as numbers, places where they are text."""
        numbers = [float(place if isinstance(label, str) else label) for place, label in enumerate(self.labels)]
        return np.array(numbers)


def written(label: object) -> str:
    """A label as text: 1.0 is 1."""
    return f"{label:g}" if isinstance(label, float) else str(label)


def measure_table(sample: LabelledRows, where: Mapping[str, object], bins: int, alpha: float) -> pd.DataFrame:
    """Measures of a group."""
    rows: list[tuple[str, Measure]] = []
    own: list[tuple[str, Measure]] = []
    both = sample.of(sample.both)
    names = [written(label) for label in sample.labels]
    if len(both.gold):
        parts = [measures.of_label(both.gold == place, both.given == place, both.drawn) for place in range(len(names))]
        own += [(name, each) for name, found in zip(names, parts, strict=True) for each in found]
        rows += [
            ("", measures.accuracy(both.gold, both.given, both.drawn)),
            ("", measures.kappa(both.gold, both.given, len(names), both.drawn)),
            ("", measures.krippendorff_alpha(both.gold, both.given, both.values, both.drawn, both.metric)),
            ("", both.drawn.mean("f1", [found[2] for found in parts])),
        ]
    known = sample.of(sample.known)
    if sample.scores and len(known.gold):
        aucs = {place: measures.auc(known.gold == place, score, known.drawn) for place, score in known.scores.items()}
        own += [(names[place], each) for place, each in aucs.items()]
        if len(known.scores) == len(names):
            matrix = np.column_stack([known.scores[place] for place in range(len(names))])
            rows += [("", measures.brier(known.gold, matrix, known.drawn))]
        rows += [("", known.drawn.mean("auc", list(aucs.values())))]
        gaps = [measures.calibration_error(each) for each in _calibration(known, bins).values()]
        rows += [
            ("", Measure(name="calibration_error", estimate=float(np.mean(gaps)), std_error=np.nan, n=len(known.gold)))
        ]
    return _framed(rows + own, where, alpha)


def _framed(rows: Sequence[tuple[str, Measure]], where: Mapping[str, object], alpha: float) -> pd.DataFrame:
    found = [each for _, each in rows]
    table = pd.DataFrame(
        {
            "measure": [each.name for each in found],
            "label": [label for label, _ in rows],
            "estimate": [each.estimate for each in found],
            "std_error": [each.std_error for each in found],
            "conf_low": np.nan,
            "conf_high": np.nan,
            "n": [each.n for each in found],
        }
    )
    table[["conf_low", "conf_high"]] = _ends(table, alpha)
    for place, (name, value) in enumerate(where.items()):
        table.insert(place, name, pd.Series([value] * len(table), dtype=object))
    return table


def _ends(table: pd.DataFrame, alpha: float) -> FloatArray:
    """Intervals, (n, 2): symmetric on the log-odds scale, but for kappa and alpha. None at the edge."""
    estimate, spread = table["estimate"].to_numpy(dtype=float), table["std_error"].to_numpy(dtype=float)
    ends = np.full((len(table), 2), np.nan)
    normal = table["measure"].isin(("kappa", "krippendorff_alpha")).to_numpy() & (spread > 0.0)
    ends[normal] = np.clip(wald_interval(estimate[normal], spread[normal], alpha), -1.0, 1.0)
    # se(logit p) = se / (p (1 - p))
    inside = ~normal & (estimate > 0.0) & (estimate < 1.0) & (spread > 0.0)
    p, se = estimate[inside], spread[inside]
    ends[inside] = expit(wald_interval(logit(p), se / (p * (1.0 - p)), alpha))
    return ends


def _calibration(sample: LabelledRows, bins: int) -> dict[int, list[Bin]]:
    """Bins of each label. Of two labels, those of the second say what the first's do."""
    two = len(sample.labels) == 2 and len(sample.scores) == 2
    return {
        place: measures.calibration(sample.gold == place, score, sample.drawn, bins)
        for place, score in sorted(sample.scores.items())
        if not two or place == 1
    }


def calibration_table(sample: LabelledRows, where: Mapping[str, object], bins: int, alpha: float) -> pd.DataFrame:
    """Calibration of a group."""
    known = sample.of(sample.known)
    rows = [
        (sample.labels[place], each)
        for place, found in (_calibration(known, bins) if len(known.gold) else {}).items()
        for each in found
    ]
    table = _framed([("", each.observed) for _, each in rows], where, alpha)
    shown = table.rename(columns={"estimate": "observed"}).drop(columns="measure")
    shown["label"] = [written(label) for label, _ in rows]
    first = len(where) + 1
    for place, name in enumerate(("low", "high", "share", "predicted")):
        shown.insert(first + place, name, np.array([getattr(each, name) for _, each in rows], dtype=float))
    return shown
