"""Replication: the fit of an archive made again, and compared with it number by number."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from dsl._typing import FloatArray
from dsl.analyses.archive import environment, folds_fingerprint, read_archive
from dsl.analyses.results import DSLResults
from dsl.data.arguments import check_execution, explain_calls
from dsl.data.files import PathLike
from dsl.data.tables import TableLike, column_names, to_pandas
from dsl.data.typed import as_typed
from dsl.estimators.again import changed_columns
from dsl.estimators.analysis import prepare_analysis
from dsl.estimators.call import Execution
from dsl.estimators.result import Fit
from dsl.estimators.run import run
from dsl.exceptions import ArgumentError, MissingColumnError

TOLERANCE = 1e-8
"""Difference up to which two numbers agree: rounding in other orders of summation, and no more."""
MOST_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Replication:
    """A fit made again, beside the one of an archive.

    Attributes
    ----------
    table : DataFrame
        One row per number: quantity, term, archived, now, difference, and relative: the difference in standard errors
        (estimates, standard errors, covariances), in itself (others).
    columns : DataFrame
        Columns of the analysis, and whether they hold the same values.
    versions : DataFrame
        What the numbers depend on, archived and now.
    same_folds : bool or None
        Whether the folds are the same. None where there are none.
    tolerance : float
        Up to which ``relative`` counts as the same.
    read_as : dict of str to str
        Columns that were of another type than in the archive, as those of CSV files are, and what was made of them.
    fit : DSLResults
        The fit made again.
    archived : dsl.estimators.result.Fit
        That of the archive, without its rows.
    """

    table: pd.DataFrame = field(repr=False)
    columns: pd.DataFrame = field(repr=False)
    versions: pd.DataFrame = field(repr=False)
    same_folds: bool | None
    tolerance: float
    read_as: Mapping[str, str]
    fit: DSLResults = field(repr=False)
    archived: Fit = field(repr=False)

    @property
    def differences(self) -> pd.DataFrame:
        """Rows of `table` that differ by more than `tolerance`, the largest first."""
        return self.table[~(self.table["relative"] <= self.tolerance)].sort_values("relative", ascending=False)

    @property
    def same_data(self) -> bool:
        """Whether every column of the analysis holds what it held."""
        return bool(self.columns["same"].all())

    @property
    def same(self) -> bool:
        """Whether data and numbers are the same."""
        return self.same_data and self.differences.empty

    def __repr__(self) -> str:
        """One line: formula, and whether all is the same."""
        count = len(self.differences)
        found = "the same" if self.same else f"{count} numbers differ" if count else "other data, the same numbers"
        return f"<Replication of {self.archived.call.formula_text}: {found}>"

    def summary(self) -> str:
        """What differs, and by how much."""
        call = self.archived.call
        parts = [f"Replication of {call.formula_text} ({call.model}, {call.estimator})", self._data(), self._versions()]
        if self.same_folds is False:
            parts.append("Folds: drawn otherwise than those of the archive")
        return "\n".join([*parts, self._numbers()])

    def _data(self) -> str:
        other = list(self.columns.index[~self.columns["same"]])
        rows = f"{self.fit.core.sample.n_input:,} rows"
        if self.read_as:
            rows += (
                f" ({', '.join(f'{name!r} read as {kind}' for name, kind in self.read_as.items())}, as in the archive)"
            )
        if not other:
            return f"Data: {rows}, and all {len(self.columns)} columns hold the values of the archive"
        more = f" (and {len(other) - 1} more: {', '.join(other[1:6])})" if len(other) > 1 else ""
        return f"Data: {rows}; column '{other[0]}'{more} holds other values than in the archive, or the same in another order"

    def _versions(self) -> str:
        other = self.versions[self.versions["archived"] != self.versions["now"]]
        if other.empty:
            return "Versions: the same"
        return f"Versions that differ:\n{other.to_string()}"

    def _numbers(self) -> str:
        found = self.differences
        if found.empty:
            largest = float(self.table["relative"].max())
            return f"Numbers: all {len(self.table)} agree; the largest relative difference is {largest:.2g}"
        shown = found.head(MOST_SHOWN).to_string(index=False, float_format="{:.10g}".format)
        more = f"\n({len(found) - MOST_SHOWN} more)" if len(found) > MOST_SHOWN else ""
        scale = "relative: in standard errors, or in itself"
        head = f"Numbers: {len(found)} of {len(self.table)} differ by more than {self.tolerance:g} ({scale})"
        return f"{head}\n{shown}{more}"


@explain_calls
def replicate(
    path: PathLike, data: TableLike | None = None, *, tolerance: float = TOLERANCE, n_jobs: int = 1
) -> Replication:
    """Make the fit of a replication archive again, and compare all its numbers.

    The call is read from the archive as data: nothing in it is run, and its formula finds R's functions and a list of numpy's.

    Parameters
    ----------
    path : str or Path
        What ``fit.archive`` wrote.
    data : data frame, optional
        The data of the fit. Needed unless they are in the archive.
    tolerance : float
        Up to which differences count as none, in standard errors.
    n_jobs : int
        Parallel learner fits (joblib). The numbers do not depend on it.

    Returns
    -------
    Replication
        ``same``, ``summary()``, ``table``, ``versions``.

    Raises
    ------
    FileError
        The file is no archive, was changed, or has entries that no archive has.
    ArgumentError
        There are no data.
    DSLError
        The data cannot be fitted: named subclasses say why.

    Examples
    --------
    >>> import dsl, pathlib, tempfile
    >>> posts = dsl.datasets.simulate_linear(n=1000, n_labels=300, seed=1)
    >>> fit = dsl.dsl(data=posts, sl_method="lm", sample_split=2, **posts.attrs["call"])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = fit.archive(pathlib.Path(folder) / "replication.zip")
    ...     found = dsl.replicate(path, posts)
    >>> found.same
    True
    """
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float) or not 0.0 <= tolerance < np.inf:
        raise ArgumentError(f"tolerance must be a number of at least zero; found {tolerance!r}")
    check_execution(n_jobs)
    archive = read_archive(path)
    given = archive.data if data is None else data
    if given is None:
        raise ArgumentError(f"the data are not in '{path}': pass those of the fit")
    _check_columns(archive.fit, given)
    kept = list(archive.fit.sample.fingerprint)
    frame, read_as = as_typed(to_pandas(given, kept), archive.facts.get("types", {}))
    given = frame if read_as else given
    fit = _again(archive.fit, given, n_jobs)
    changed = changed_columns(archive.fit, frame)
    here, there = environment(), archive.facts["environment"]
    names = list(dict.fromkeys([*there, *here]))
    return Replication(
        table=_compared(archive.fit, fit),
        columns=pd.DataFrame({"same": [name not in changed for name in kept]}, index=pd.Index(kept, name="column")),
        versions=pd.DataFrame(
            {"archived": [there.get(name, "") for name in names], "now": [here.get(name, "") for name in names]},
            index=names,
        ),
        same_folds=None if fit.splits.folds is None else folds_fingerprint(fit) == archive.facts["folds"],
        tolerance=float(tolerance),
        read_as=read_as,
        fit=DSLResults.of(fit, given),
        archived=archive.fit,
    )


def _check_columns(fit: Fit, data: TableLike) -> None:
    there = set(column_names(data))
    gone = [name for name in fit.sample.fingerprint if name not in there]
    if gone:
        raise MissingColumnError(f"the fit of the archive used column '{gone[0]}', which the data do not have")


def _again(fit: Fit, data: TableLike, n_jobs: int) -> Fit:
    """The call of a fit, on data."""
    # warnings about the data were given when the fit was made
    analysis = prepare_analysis(
        fit.call, data, fit.predictor.spec.functions, known=list(fit.sample.fingerprint), quiet=True
    )
    return run(fit.call, analysis, Execution(n_jobs=n_jobs))


def _compared(then: Fit, now: Fit) -> pd.DataFrame:
    """Every number of two fits of one call."""
    rows: list[tuple[str, str, float, float, float]] = []

    def add(quantity: str, old: Mapping[str, float], new: Mapping[str, float], scale: Mapping[str, float]) -> None:
        for term in dict.fromkeys([*old, *new]):
            a, b = float(old.get(term, np.nan)), float(new.get(term, np.nan))
            rows.append((quantity, term, a, b, float(scale.get(term, np.nan))))

    bse = _named(then, then.bse)
    add("estimate", _named(then, then.params), _named(now, now.params), bse)
    add("std_error", bse, _named(now, now.bse), bse)
    add("df", _named(then, then.df), _named(now, now.df), _named(then, then.df))
    add("covariance", _pairs(then, then.vcov), _pairs(now, now.vcov), _pairs(then, np.outer(then.bse, then.bse)))
    if then.splits.tuning is not None and now.splits.tuning is not None:
        old, new = (dict(fit.tuning["lambda"]) for fit in (then, now))
        add("lambda", old, new, dict.fromkeys(old, 1.0))
    if then.rmse is not None and now.rmse is not None:
        old, new = (dict(fit.rmse.mean()) for fit in (then, now) if fit.rmse is not None)
        add("rmse of predictions", old, new, old)
    counts = [
        {
            "rows of the data": f.sample.n_input,
            "rows used": f.nobs,
            "labelled rows": f.n_labeled,
            "clusters": f.sample.n_clusters,
        }
        for f in (then, now)
    ]
    whole = [{name: float(n) for name, n in each.items() if n is not None} for each in counts]
    add("count", whole[0], whole[1], whole[0])
    table = pd.DataFrame(rows, columns=["quantity", "term", "archived", "now", "scale"])
    table["difference"] = (table["now"] - table["archived"]).abs()
    # what has no scale (a standard error of zero) is compared as it is
    scale = table.pop("scale").abs()
    table["relative"] = np.where(table["difference"] == 0.0, 0.0, table["difference"] / scale.where(scale > 0.0, 1.0))
    return table


def _named(fit: Fit, values: FloatArray) -> dict[str, float]:
    return dict(zip(fit.names, values.tolist(), strict=True))


def _pairs(fit: Fit, matrix: FloatArray) -> dict[str, float]:
    """What stands below a matrix' diagonal, by the two names."""
    return {f"{fit.names[i]}, {fit.names[j]}": float(matrix[i, j]) for i in range(len(fit.names)) for j in range(i)}
