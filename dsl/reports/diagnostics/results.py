"""What `diagnose` returns: one line for each check, and the tables behind them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from dsl.data.arguments import check_choice
from dsl.estimators.result import Fit
from dsl.exceptions import ArgumentError
from dsl.reports.diagnostics.printed import html, text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STATUS = ("ok", "note", "alarm")
COLUMNS = ("check", "about", "value", "threshold", "status", "finding", "reason", "remedy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """From where on a value deserves a note, or an alarm."""

    note: float
    alarm: float | None = None
    below: bool
    """Whether small values are the bad ones."""
    reason: str
    """Why there: literature, or simulation."""

    def judge(self, value: float, *, at_most: str = "alarm") -> tuple[str, float]:
        """Status of a value, `at_most` a note or an alarm, and the threshold it passed or, if none, would pass first."""
        # the alarm first: its threshold lies beyond that of the note
        if at_most == "alarm" and self.alarm is not None and self._passed(value, self.alarm):
            return "alarm", self.alarm
        return ("note" if self._passed(value, self.note) else "ok"), self.note

    def _passed(self, value: float, limit: float) -> bool:
        return value < limit if self.below else value > limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check and its outcome."""

    check: str
    about: str
    """The variable, covariate or coefficient it is about, empty for the whole analysis."""
    value: float
    threshold: float
    status: str
    finding: str
    """What was found, in words."""
    reason: str
    """Why the threshold is where it is, and what is at stake."""
    remedy: str


def judged(
    check: str, value: float, limits: Limits, *, finding: str, remedy: str, about: str = "", at_most: str = "alarm"
) -> Check:
    """A check with the status that `limits` give its value. `at_most` caps it."""
    status, threshold = limits.judge(value, at_most=at_most)
    return Check(
        check=check,
        about=about,
        value=float(value),
        threshold=threshold,
        status=status,
        finding=finding,
        reason=limits.reason,
        remedy=remedy,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What one part of the diagnostics contributes."""

    checks: list[Check] = field(default_factory=list)
    details: dict[str, pd.DataFrame] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    @classmethod
    def joined(cls, parts: Iterable["Findings"]) -> "Findings":
        """All parts in one."""
        out = cls()
        for part in parts:
            out.checks.extend(part.checks)
            out.details.update(part.details)
            out.skipped.update(part.skipped)
        return out


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Diagnostics:
    """Checks of a fit, returned by ``fit.diagnostics(data)``.

    Attributes
    ----------
    checks : DataFrame
        One row per check: check, about (variable, covariate or coefficient), value, threshold, status ("ok", "note",
        "alarm"), finding, reason (of the threshold), remedy.
    details : dict of str to DataFrame
        The tables behind the checks: ``"surrogates"`` (quality by group), ``"differential"`` (tests for each covariate),
        ``"calibration"``, ``"learner"``, ``"balance"``, ``"cells"``, ``"coefficients"``, ``"influential"``, ``"folds"``,
        ``"splits"``: those that apply.
    skipped : dict
        Checks that do not apply to this fit, and why.
    fit : Fit
        The fit that was checked.

    Examples
    --------
    >>> import dsl
    >>> from dsl.reports.diagnostics import diagnose
    >>> posts = dsl.datasets.simulate_linear(n=5000, n_labels=1000, bias=1.0, seed=1)
    >>> found = diagnose(dsl.dsl(data=posts, sl_method="lm", sample_split=2, **posts.attrs["call"]), posts)
    >>> found
    <Diagnostics: 0 alarms, 2 notes, 14 ok; 5 skipped>
    >>> found.notes["check"].unique().tolist()
    ['differential error']
    """

    checks: pd.DataFrame
    details: Mapping[str, pd.DataFrame] = field(repr=False)
    skipped: Mapping[str, str]
    title: str = ""
    fit: Fit | None = field(default=None, repr=False)

    @property
    def alarms(self) -> pd.DataFrame:
        """The checks that raise an alarm."""
        return self._with("alarm")

    @property
    def notes(self) -> pd.DataFrame:
        """The checks with a note: worth knowing, not alarming."""
        return self._with("note")

    def _with(self, status: str) -> pd.DataFrame:
        return self.checks[self.checks["status"] == status].reset_index(drop=True)

    def detail(self, name: str) -> pd.DataFrame:
        """One of the tables in ``details``.

        Raises
        ------
        ArgumentError
            There is none of that name.
        """
        if not isinstance(name, str) or name not in self.details:
            raise ArgumentError(f"there is no table '{name}' here; there are {', '.join(self.details)}")
        return self.details[name]

    def plot(self, ax: "Axes | None" = None, *, kind: str | None = None, variable: str | None = None) -> "Axes":
        """Calibration of the predictions, or the weights of the labelled rows.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw, a new figure by default.
        kind : {"calibration", "weights"}, optional
            What to draw, by default the calibration where a learner made predictions, else the weights.
        variable : str, optional
            The predicted variable whose calibration is drawn, needed if there are several.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ArgumentError
            Another kind, a `variable` for the weights, or a calibration without predictions.
        MissingDependencyError
            matplotlib is missing: ``pip install 'dsl[plot]'``.

        See Also
        --------
        dsl.plotting.calibration, dsl.plotting.weights

        Examples
        --------
        >>> import dsl, matplotlib
        >>> matplotlib.use("Agg")
        >>> posts = dsl.datasets.simulate_linear(n=1000, n_labels=300, seed=1)
        >>> fit = dsl.dsl(data=posts, sl_method="lm", sample_split=2, **posts.attrs["call"])
        >>> fit.diagnostics().plot().get_xlabel()
        'out-of-fold prediction of Y'
        """
        from dsl.reports.plots.diagnostics import calibration, weights

        if self.fit is None:
            raise ArgumentError("these diagnostics were made without a fit; draw those of fit.diagnostics()")
        if kind is None:
            kind = "calibration" if self.fit.splits.predictions is not None else "weights"
        check_choice("kind", kind, ("calibration", "weights"))
        if kind == "calibration":
            return calibration(self.fit, ax, variable=variable)
        if variable is not None:
            raise ArgumentError(
                "weights belong to rows and not to a variable; leave variable out, or ask for kind='calibration'"
            )
        return weights(self.fit, ax)

    def __repr__(self) -> str:
        """One line: how many of each status."""
        count = self.checks["status"].value_counts()
        alarms, notes, ok = (int(count.get(status, 0)) for status in ("alarm", "note", "ok"))
        skipped = f"; {len(self.skipped)} skipped" if self.skipped else ""
        return f"<Diagnostics: {_plural(alarms, 'alarm')}, {_plural(notes, 'note')}, {ok} ok{skipped}>"

    def __str__(self) -> str:
        """Alarms and notes with reason and remedy, then what is in order."""
        return text(self.title, self.checks, self.skipped)

    def _repr_html_(self) -> str:
        return html(self.title, self.checks, self.skipped)


def _plural(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def table_of(checks: Iterable[Check]) -> pd.DataFrame:
    """Checks as rows, the most serious first."""
    rows = [{name: getattr(check, name) for name in COLUMNS} for check in checks]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    table["threshold"] = table["threshold"].astype(float)
    # alarms, then notes, then the rest. A stable sort keeps the checks' own order within each
    place = -table["status"].map(STATUS.index)
    return table.iloc[np.argsort(place.to_numpy(dtype=int), kind="stable")].reset_index(drop=True)
