"""Names of columns by role."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from dsl.data.arguments import check_not_empty
from dsl.data.tables import TableLike, check_usable, column_names, to_pandas
from dsl.exceptions import DataError, MissingColumnError


@dataclass(frozen=True, slots=True, kw_only=True)
class StageColumns:
    """Columns of one of the stages in which labels come (`dsl.data.stages`)."""

    labels: Mapping[str, str]
    """Predicted variable to the column with its label at this stage."""
    prob: str | None = None
    """Column with the probability of coming that far, None where the design has it."""

    @property
    def columns(self) -> tuple[str, ...]:
        """All of its columns."""
        return (*self.labels.values(), *filter(None, [self.prob]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Names of the columns an analysis uses, by role."""

    formula: tuple[str, ...]
    predicted: tuple[str, ...]
    prediction: tuple[str, ...] = ()
    feature: tuple[str, ...] = ()
    text: str | None = None
    labeled: str | None = None
    sample_prob: str | None = None
    cluster: str | None = None
    across: str | None = None
    """Clusters in a second way."""
    weights: str | None = None
    absorbed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Fixed effects by name, and the columns whose combinations they are (most often one)."""
    pairs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Which predictions stand for which predicted variable, where that is known."""
    stages: tuple[StageColumns, ...] = ()
    """Labels of lower quality on more rows (`dsl.data.stages`)."""
    trained_on: str | None = None
    """Column that is 1 on rows that the predictions' maker has seen with their gold labels."""
    refusals: str = "raise"
    """What to do about missing predictions and features (`dsl.data.refusals.REFUSALS`)."""

    def roles(self) -> dict[str, str]:
        """Argument that names each column, for messages, and the first one where several do."""
        named: list[tuple[str, Iterable[str]]] = [
            ("predicted_var", self.predicted),
            ("formula", self.formula),
            ("prediction", self.prediction),
            ("feature", self.feature),
            ("text", () if self.text is None else (self.text,)),
            ("labeled", () if self.labeled is None else (self.labeled,)),
            ("sample_prob", () if self.sample_prob is None else (self.sample_prob,)),
            ("stages", [name for stage in self.stages for name in stage.columns]),
            ("trained_on", () if self.trained_on is None else (self.trained_on,)),
            ("cluster", [name for name in (self.cluster, self.across) if name is not None]),
            ("weights", () if self.weights is None else (self.weights,)),
            ("index", [name for names in self.absorbed.values() for name in names]),
        ]
        out: dict[str, str] = {}
        for role, names in named:
            for name in names:
                # the order of the list above decides: the first argument that names a column
                out.setdefault(name, role)
        return out


def check_columns_exist(columns: Columns, available: Sequence[str]) -> None:
    """Raise MissingColumnError or DataError unless every named column is there once."""
    roles = columns.roles()
    if "" in roles and "" not in available:
        check_not_empty(("",), roles[""])
    missing = [name for name in roles if name not in set(available)]
    if missing:
        name = missing[0]
        close = difflib.get_close_matches(name, available, n=3)
        hint = f"did you mean {quoted(close)}?" if close else f"the columns are {quoted(list(available)[:20])}"
        others = f" (nor are {quoted(missing[1:])})" if missing[1:] else ""
        raise MissingColumnError(f"column '{name}', named in {roles[name]}, is not in the data{others}; {hint}")
    twice = sorted({name for name in roles if list(available).count(name) > 1})
    if twice:
        raise DataError(
            f"the data have more than one column named {quoted(twice)}; keep one of them, e.g. "
            "data.loc[:, ~data.columns.duplicated()]"
        )


def quoted(names: Iterable[str]) -> str:
    """Names as messages list them."""
    return ", ".join(f"'{name}'" for name in names)


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedColumns(Columns):
    """Columns by the argument that names them."""

    formula: tuple[str, ...] = ()
    predicted: tuple[str, ...] = ()
    named: Mapping[str, str]
    """Column to argument."""

    def roles(self) -> dict[str, str]:
        """Argument that names each column, for messages."""
        return dict(self.named)


def named_columns(data: TableLike, named: Mapping[str, str], *, shown: bool = False) -> pd.DataFrame:
    """The columns, keys of `named`, as a pandas frame under the table's row labels. The values of `named` are the arguments.

    Columns that are `shown` only may hold anything.
    """
    check_columns_exist(NamedColumns(named=named), column_names(data))
    frame = to_pandas(data, list(named))
    if not shown:
        check_usable(frame, named)
    return frame
