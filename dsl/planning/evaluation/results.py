"""What `dsl.evaluate` returns: every estimate, and what they say about the strategies."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from dsl._typing import Record
from dsl.data.arguments import warn_caller
from dsl.estimators.short import BASELINE
from dsl.exceptions import ArgumentError, EvaluationWarning
from dsl.planning.evaluation import scores
from dsl.planning.evaluation.replicate import COLUMNS, Cell, Setting

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FEW = "few replications"
"""What `note` says of effective labels that a few more draws may change."""
FEWEST, WIDE = 30, 0.5
"""Replications, and two Monte Carlo errors as a share of the effective labels, from which they are not marked."""
GROUP = ["design", "estimator", "n_labels", "term"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class EvaluationResults:
    """Estimates of repeated labelling, and the comparison of designs and estimators that they make.

    Attributes
    ----------
    replications : DataFrame
        One row per design, estimator, n_labels (labels asked for), replication and term: estimate, std_error, conf_low,
        conf_high, truth, n_labeled (labels drawn), failed (class and message of the error, where there was one), warning
        (classes of the warnings).
    truth : Series, (k,)
        True values of the coefficients.
    formula, target, alpha, seed
        As in the call.
    nobs : int
        Rows of the data.

    Examples
    --------
    >>> import dsl
    >>> posts = dsl.datasets.load_sentiment().head(2000)
    >>> result = dsl.evaluate("human_positive ~ hedge", posts, predicted_var="human_positive",
    ...     n_labels=300, estimators="gold_only", replications=20, model="logit")
    >>> hedge = result.summary().set_index("term").loc["hedge"]
    >>> int(hedge["replications"]), int(hedge["failed"]), float(hedge["effective"])
    (20, 0, 300.0)
    """

    replications: pd.DataFrame = field(repr=False)
    truth: pd.Series
    formula: str
    target: str
    alpha: float
    seed: int
    nobs: int

    def __repr__(self) -> str:
        """One line: formula, and how much was compared."""
        counts = []
        for name in (*GROUP[:3], "replication"):
            number = self.replications[name].nunique()
            one, several = ("number of labels", "numbers of labels") if name == "n_labels" else (name, f"{name}s")
            counts.append(f"{number} {one if number == 1 else several}")
        return f"<EvaluationResults {self.formula}: {', '.join(counts)}>"

    def summary(self) -> pd.DataFrame:
        """Measures of each design, estimator, number of labels and coefficient, with Monte Carlo standard errors (``_se``).

        Returns
        -------
        DataFrame
            One row per design, estimator, number of labels and term, with the columns

            ``truth``, ``replications`` without error, ``failed`` (those with one, which the measures leave out),
            ``warned`` (those with a warning), ``n_labeled`` (mean number of labels).

            ``coverage`` of the intervals (binomial error), ``bias``, ``rmse`` (delta method), mean ``width`` of the intervals,
            ``sd`` of the estimates and ``std_error``, the mean of the standard errors, which should agree.

            ``effective``: labels that labelled rows alone under simple random sampling need for the same variance,
            n_labels * Var(gold_only, srs) / Var(estimate), with the correlation between estimates from the same draws in its
            error (delta method). NaN where nothing varies, as for ``"naive"``. Like the variance, it says nothing about bias.

            ``note``: "few replications" where ``effective`` is not to be relied on: two Monte Carlo errors are more than half of
            it, or it comes from fewer than 30 replications, of which not even its error is well known. `plot` draws a ring
            around such points.

        Warns
        -----
        EvaluationWarning
            Replications failed.
        """
        failed = self.replications.loc[self.replications["failed"].notna()]
        if len(failed):
            # a fit has one line for each coefficient: count it once
            fits = failed.drop_duplicates(["design", "estimator", "n_labels", "replication"])
            kinds = fits["failed"].str.split(":").str[0].value_counts()
            example = fits.loc[fits["failed"].str.startswith(f"{kinds.index[0]}:"), "failed"].iloc[0]
            warn_caller(
                EvaluationWarning,
                f"{len(fits)} fits failed and are left out of the measures, which flatters their estimators (see the column "
                f"failed); {kinds.iloc[0]} with {example}",
            )
        return pd.DataFrame(self._rows())

    def _rows(self) -> Iterator[Record]:
        groups = dict(iter(self.replications.groupby(GROUP, sort=False)))
        for (design, estimator, n_labels, term), group in groups.items():
            # the baseline at the same number of labels and for the same coefficient
            baseline = groups[(*BASELINE, n_labels, term)]
            measures = _measures(group, baseline, n_labels=int(group["n_labels"].iloc[0]), paired=design == BASELINE[0])
            yield {
                "design": design,
                "estimator": estimator,
                "n_labels": n_labels,
                "term": term,
                "truth": group["truth"].iloc[0],
                "replications": int(group["failed"].isna().sum()),
                "failed": int(group["failed"].notna().sum()),
                "warned": int(group["warning"].notna().sum()),
                "n_labeled": group["n_labeled"].mean(),
                **measures,
                # the baseline is what it is compared with
                "note": "" if (design, estimator) == BASELINE else note_of(measures, int(group["failed"].isna().sum())),
            }

    def plot(self, kind: str = "coverage", *, term: str | None = None, ax: "Axes | None" = None) -> "Axes":
        """A measure against the number of labels, a line per design and estimator, with two Monte Carlo errors up and down.

        Parameters
        ----------
        kind : {"coverage", "effective", "rmse", "width"}
            Coverage beside its nominal level, effective labels beside those of the baseline, root mean squared error, mean
            width of the intervals.
        term : str, optional
            The coefficient, needed where there are several.
        ax : matplotlib Axes, optional
            Drawn on, a new one by default.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ArgumentError
            Unknown kind or coefficient.
        MissingDependencyError
            matplotlib is not installed.
        """
        from dsl.reports.plots.evaluation import plot_measure

        terms = list(self.truth.index)
        if term is None and len(terms) > 1:
            raise ArgumentError(f"which coefficient? Pass term=, one of {', '.join(terms)}")
        if term is not None and term not in terms:
            raise ArgumentError(f"unknown coefficient {term!r}: use one of {', '.join(terms)}")
        table = self.summary()
        return plot_measure(table[table["term"] == (term or terms[0])], kind=kind, alpha=self.alpha, ax=ax)


def note_of(measures: Mapping[str, float], replications: int) -> str:
    """What to know about the effective labels."""
    value, error = measures["effective"], measures["effective_se"]
    if not np.isfinite(value):
        return ""
    return FEW if replications < FEWEST or 2 * error > WIDE * value else ""


def _measures(group: pd.DataFrame, baseline: pd.DataFrame, *, n_labels: int, paired: bool) -> dict[str, float]:
    """Measures of one group of replications, and their errors."""
    # replications without error, (R,)
    there = group["failed"].isna().to_numpy()
    fits = group[there]
    estimate, low, high = (fits[name].to_numpy(dtype=float) for name in ("estimate", "conf_low", "conf_high"))
    truth = float(group["truth"].iloc[0])
    reference = baseline["failed"].isna().to_numpy()
    # draws of srs are the baseline's own: the estimates are correlated, which makes the comparison more precise
    if paired:  # same draws, in the same order
        effective = scores.effective(
            estimates=group["estimate"].to_numpy(dtype=float),
            baseline=baseline["estimate"].to_numpy(dtype=float),
            n_labels=n_labels,
            paired=there & reference,
        )
    else:
        others = baseline["estimate"].to_numpy(dtype=float)[reference]
        effective = scores.effective(estimates=estimate, baseline=others, n_labels=n_labels)
    named = {
        "coverage": scores.coverage(low=low, high=high, truth=truth),
        "bias": scores.mean(estimate - truth),
        "rmse": scores.rmse(estimate - truth),
        "width": scores.mean(high - low),
        "effective": effective,
    }
    out: dict[str, float] = {}
    for name, measure in named.items():
        out |= {name: measure.value, f"{name}_se": measure.error}
    # with one replication there is no spread
    sd = float(estimate.std(ddof=1)) if len(estimate) > 1 else np.nan
    return {**out, "sd": sd, "std_error": scores.mean(fits["std_error"].to_numpy(dtype=float)).value}


def replications_table(
    setting: Setting, plan: list[Cell], records: Mapping[tuple[str, int, int], Record], truth: pd.Series
) -> pd.DataFrame:
    """The records of all cells as a long table, ordered by design, estimator, number of labels, replication, term."""
    k = len(setting.terms)
    parts: dict[str, list[object]] = {
        name: [] for name in (*GROUP[:3], "replication", *COLUMNS, "n_labeled", "failed", "warning")
    }
    places = {design: j for j, design in enumerate(setting.contenders)}
    # cells by design, number of labels, replication, whatever the order in which they were finished
    ordered = sorted(plan, key=lambda cell: (places[cell.design], cell.n_labels, cell.replication))
    for design, contender in setting.contenders.items():
        for estimator in contender.estimators:
            for cell in (cell for cell in ordered if cell.design == design):
                record = records[cell.key]
                fit = record["estimators"][estimator]
                once = {
                    "design": design,
                    "estimator": estimator,
                    "n_labels": cell.n_labels,
                    "replication": cell.replication,
                }
                once |= {"n_labeled": record["n_labeled"], "failed": fit.get("failed"), "warning": fit.get("warning")}
                for name, value in once.items():
                    # one line for each of the k coefficients
                    parts[name].extend([value] * k)
                for name in COLUMNS:
                    parts[name].extend(fit.get(name, [np.nan] * k))
    table = pd.DataFrame(parts)
    # coefficients and truths repeat line after line in the same order
    table.insert(4, "term", np.tile(np.array(setting.terms, dtype=object), len(table) // k))
    table.insert(9, "truth", np.tile(truth.to_numpy(), len(table) // k))
    return table.astype({"n_labeled": float, "failed": object, "warning": object})
