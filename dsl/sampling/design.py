"""The record of a labelling design: who could be drawn with what probability, and who was."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
import pandas as pd
from narwhals.typing import IntoDataFrameT, IntoLazyFrame

from dsl._typing import Record
from dsl.data.arguments import check_flags
from dsl.data.design import ARRAYS, SamplingDesign
from dsl.data.source import DataLike, Source
from dsl.data.stored_design import load_parts, save_design
from dsl.data.tables import TableLike, check_unique
from dsl.exceptions import ArgumentError, DesignError
from dsl.sampling.checked import check_probability, frozen, plain_settings
from dsl.sampling.coding.agreement import agreement_table
from dsl.sampling.coding.codebook import CodebookLike
from dsl.sampling.coding.files import read_coder_files, write_coder_file
from dsl.sampling.coding.in_blocks import CodedSource
from dsl.sampling.parts import Part, places

KINDS = ("srs", "bernoulli", "stratified", "pps", "cluster", "two_stage", "targeted", "adaptive", "nested")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class LabelDesign(SamplingDesign):
    """Rows drawn for labelling, and the probability with which each row of the population was drawn.

    Made by the functions of `dsl.sampling`, passed to ``dsl.dsl(design=...)``.

    Parameters
    ----------
    kind : {"srs", "bernoulli", "stratified", "pps", "cluster", "two_stage", "targeted", "adaptive", "nested"}
        How the rows were drawn.
    rows : Index, (N,)
        Labels of the population's rows: the index of a pandas table, else 0, 1, ...
    prob : (N,) array
        Probability of being drawn, in (0, 1].
    drawn : (N,) bool array
        Rows to be labelled.
    fixed_size : bool
        Whether the number drawn (within each stratum or of units, if there are any) was fixed in advance.
    stratum : (N,) int array, optional
        Codes 0, 1, ... of the strata within which the size was fixed.
    unit : (N,) int array, optional
        Codes 0, 1, ... of the primary sampling units: what was drawn first, together.
    unit_prob : (N,) array, optional
        Probability that the row's unit was drawn.
    kept : (N,) array, optional
        Share of the rows drawn in the row's stratum (or unit) that are among these rows. `subset` gives it to parts.
    settings : mapping
        How it was drawn (seed, size, floor, ...): whatever JSON can hold.
    within, inner : LabelDesign and Labeling, optional
        Of a design that `dsl.sampling.nested` drew: the design of the stage before, and the draw among its rows.

    Raises
    ------
    DesignError
        Lengths differ, row labels repeat, or strata and units are not whole codes.
    SampleProbabilityError
        A probability is missing or outside (0, 1].

    Examples
    --------
    >>> import dsl
    >>> tweets = dsl.datasets.load_sentiment(n_labels=0)
    >>> design = dsl.sampling.simple_random(tweets, 500, seed=1)
    >>> design
    <LabelDesign srs: 500 of 9390 rows drawn, probability 0.0532>
    >>> design.table().columns.tolist()
    ['prob', 'drawn']
    """

    def __post_init__(self) -> None:
        """Check the parts against each other, and make them read-only."""
        if self.kind not in KINDS:
            raise ArgumentError(f"unknown kind of design {self.kind!r}: use one of {', '.join(KINDS)}")
        # `object.__setattr__`, as the class is frozen: parts are made plain and read-only before anybody sees them
        rows = pd.Index(self.rows)
        object.__setattr__(self, "rows", rows)
        object.__setattr__(self, "fixed_size", bool(self.fixed_size))
        object.__setattr__(self, "settings", plain_settings(self.settings))
        if not len(rows):
            raise DesignError("a design needs at least one row")
        check_unique(rows)
        for name, dtype in (
            ("prob", float),
            ("drawn", bool),
            ("stratum", int),
            ("unit", int),
            ("unit_prob", float),
            ("kept", float),
        ):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, frozen(value, name, dtype, len(rows)))
        # after lengths and types: probabilities are named by their row in the error
        for name in ("prob", "unit_prob", "kept"):
            if getattr(self, name) is not None:
                check_probability(getattr(self, name), name, rows)
        if (self.unit is None) != (self.unit_prob is None):
            raise DesignError("unit and unit_prob belong together: give both, or neither")
        if (self.within is None) != (self.inner is None):
            raise DesignError("within and inner belong together: give both, or neither")
        if self.within is not None and (not self.within.rows.equals(rows) or (self.drawn & ~self.within.drawn).any()):
            raise DesignError(
                "a nested design draws among the rows that the design before drew, under the same row labels"
            )

    def __repr__(self) -> str:
        """One line: kind, rows drawn, probabilities."""
        low, high = float(self.prob.min()), float(self.prob.max())
        prob = f"probability {low:.3g}" if high - low < 1e-12 else f"probabilities {low:.3g} to {high:.3g}"
        return f"<LabelDesign {self.kind}: {self.n_drawn} of {len(self)} rows drawn, {prob}>"

    def table(self) -> pd.DataFrame:
        """One row per row of the population: prob, drawn and, where the design has them, stratum, unit, unit_prob."""
        names = [name for name in ARRAYS if getattr(self, name) is not None]
        return pd.DataFrame({name: getattr(self, name) for name in names}, index=self.rows)

    def subset(self, part: Part, *, renumber: bool = False) -> LabelDesign:
        r"""The design of a part of the rows: what an analysis of this part takes for ``design=``.

        The part must be defined by what was known before the draw (party, year, length), not by labels or by who was drawn.

        Parameters
        ----------
        part : (N,) bool array or Series, or Index or list of row labels
            Rows to keep: a mask in the order of `rows` (a pandas Series is matched by its index), or the labels of the part, such
            as ``part.index``.
        renumber : bool
            Whether the part's rows are numbered 0, 1, ... in the order that they have here, as in tables without row labels
            (polars, pyarrow, dict) and after ``reset_index(drop=True)``.

        Returns
        -------
        LabelDesign
            Rows in the order of this design.

        Raises
        ------
        DesignError
            Labels that the design does not have, or repeated ones, a mask of another length or with missing values, or no rows.

        Notes
        -----
        Every row keeps the probability :math:`\pi_i` that it had, its stratum and its unit, so that estimates for the part are
        those of any domain. The number drawn in a stratum that is cut is no longer fixed: of n rows drawn, m happen to be in
        the part. The variance over repeated labelling (``target="finite"``) of a sum of their scores c is then that of all n
        with scores of zero outside, :math:`(1 - \pi) \frac{n}{n-1} (\sum c^2 - (\sum c)^2 / n)`, where a whole stratum has
        :math:`(\sum c)^2 / m`. Rows that are dropped for missing values are treated alike. Without strata and units the m rows
        are a simple random sample of the part, given m. Independent draws remain independent.

        References
        ----------
        Sarndal, Swensson and Wretman, "Model assisted survey sampling", 1992, section 10.3.

        Examples
        --------
        >>> import dsl
        >>> tweets = dsl.datasets.load_sentiment()
        >>> design = dsl.sampling.stratified(tweets, 600, by=["source", "hedge"], allocation="equal", seed=1)
        >>> part = tweets[tweets["n_words"] > 10]
        >>> design.subset(part.index)
        <LabelDesign stratified: 470 of 6638 rows drawn, probabilities 0.0316 to 0.489>
        """
        check_flags(renumber=renumber)
        place = places(self, part)
        labeling, before = self.at(place), self.within
        return LabelDesign(
            within=before.subset(self.rows[place], renumber=renumber) if isinstance(before, LabelDesign) else None,
            inner=None if self.inner is None else self.inner.at(place),
            kind=self.kind,
            rows=pd.RangeIndex(len(place)) if renumber else self.rows[place],
            fixed_size=labeling.fixed_size,
            settings={**self.settings, "part_of": {"fingerprint": self.fingerprint, "rows": len(self)}},
            **{name: getattr(labeling, name) for name in ARRAYS},
        )

    def save(self, path: str | Path) -> None:
        """Write the design to one file (``.npz``, no pickle), which `load` reads and checks.

        Parameters
        ----------
        path : str or Path
            Written as named.

        Raises
        ------
        DesignError
            The row labels are neither whole numbers nor text.
        FileError
            The file cannot be written. One that was there is unchanged.
        """
        save_design(self, path)

    @classmethod
    def load(cls, path: str | Path) -> LabelDesign:
        """Read a design that `save` wrote.

        Parameters
        ----------
        path : str or Path

        Returns
        -------
        LabelDesign

        Raises
        ------
        DesignError
            No such file, not a design, damaged or changed since it was saved, or written by a newer version.

        Examples
        --------
        >>> import tempfile, pathlib, dsl
        >>> design = dsl.sampling.simple_random({"text": ["a", "b", "c", "d"]}, 2, seed=1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     design.save(pathlib.Path(folder) / "design.npz")
        ...     again = dsl.sampling.LabelDesign.load(pathlib.Path(folder) / "design.npz")
        >>> again.fingerprint == design.fingerprint
        True
        """
        return cls._made(load_parts(path))

    @classmethod
    def _made(cls, parts: Record) -> LabelDesign:
        before = parts.pop("within", None)
        return cls(**parts, within=None if before is None else cls._made(before))

    def to_coder(
        self,
        path: str | Path,
        data: DataLike,
        *,
        columns: str | Sequence[str],
        label: str = "gold",
        codebook: CodebookLike | None = None,
        seed: int | np.random.Generator = 1234,
        format: str | None = None,
        show_predictions: bool = False,
    ) -> pd.DataFrame:
        """Write the drawn rows to a file for a coder or a coders' tool, in random order, without labels.

        The file holds `columns` and nothing that could sway the coder: no prediction, no probability, no stratum.
        A key ties each row to this design and to the text shown (column ``key``, in JSON ``dsl_id``). `from_coder` checks it.
        Rows whose label `data` already has (a pilot's) are not asked for again.

        Parameters
        ----------
        path : str or Path
            Ends in ``.csv`` (UTF-8, as Excel reads it too), ``.xlsx`` (needs openpyxl: ``pip install "dsl[excel]"``), ``.json``
            (Label Studio, Argilla) or ``.jsonl`` (doccano, Prodigy).
        data : data frame, or source of blocks of rows
            Holds `columns` for every drawn row, found by row label. A source is read once, and drawn rows alone are kept.
        columns : str or list of str
            What the coder sees. doccano and Prodigy show one text.
        label : str
            Name of the column (Label Studio: the choices, Argilla: the question) to fill in.
        codebook : list, dict of code to meaning, or dsl.annotation.Codebook, optional
            Labels that may be given, which Label Studio, doccano and Prodigy need. An XLSX file offers them in each cell and
            explains them on a second sheet. Tools show the meaning of a code that is a number.
        seed : int or numpy.random.Generator
            Decides the order.
        format : {"csv", "xlsx", "label_studio", "doccano", "prodigy", "argilla"}, optional
            By default what the ending of `path` says, which for ``.json`` and ``.jsonl`` it does not.
        show_predictions : bool
            Whether coders may see a prediction or a confidence: a column with which the rows were drawn, that `dsl.annotate`
            made, or whose name has a word such as "llm", "predicted" or "confidence". Coders who see what a model says tend to
            agree with it (anchoring). Their labels then follow its errors, which no estimator can correct, so that such a column
            is refused unless this is True.

        Notes
        -----
        Label Studio: import the file, and paste the labelling configuration that is written beside it (``.xml``) under Settings,
        Labeling Interface, Code. doccano (text classification): import the file as JSONL and the labels beside it
        (``.labels.json``). Prodigy: ``prodigy mark DATASET FILE --view-id choice``. Argilla: ``dataset.records.from_json(path)``
        into a dataset with a text field for each column and a LabelQuestion of the label's name.

        Returns
        -------
        DataFrame, (rows asked for, columns)
            What was written, indexed by row label.

        Raises
        ------
        DesignError
            Drawn rows are not in `data`.
        MissingColumnError, ArgumentError, MissingDependencyError
            A column is not there, the file's kind is unknown, or openpyxl is not installed.

        Examples
        --------
        >>> import tempfile, pathlib, dsl
        >>> posts = {"text": ["good", "bad", "so so", "fine"]}
        >>> design = dsl.sampling.simple_random(posts, 2, seed=1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     asked = design.to_coder(pathlib.Path(folder) / "coder.csv", posts, columns="text", codebook=[0, 1])
        >>> asked.columns.tolist()
        ['text', 'gold', 'key']
        """
        return write_coder_file(
            self,
            path,
            data,
            columns=columns,
            label=label,
            codebook=codebook,
            seed=seed,
            format=format,
            show_predictions=show_predictions,
        )

    @overload
    def from_coder(
        self,
        path: str | Path | Sequence[str | Path],
        data: Mapping[str, object],
        *,
        label: str = ...,
        codebook: CodebookLike | None = ...,
        rule: str = ...,
        ties: str = ...,
        encoding: str = ...,
        format: str | None = ...,
    ) -> pd.DataFrame: ...

    @overload
    def from_coder(
        self,
        path: str | Path | Sequence[str | Path],
        data: IntoDataFrameT,
        *,
        label: str = ...,
        codebook: CodebookLike | None = ...,
        rule: str = ...,
        ties: str = ...,
        encoding: str = ...,
        format: str | None = ...,
    ) -> IntoDataFrameT: ...

    @overload
    def from_coder(
        self,
        path: str | Path | Sequence[str | Path],
        data: Source | IntoLazyFrame | str | os.PathLike[str] | Iterable[TableLike],
        *,
        label: str = ...,
        codebook: CodebookLike | None = ...,
        rule: str = ...,
        ties: str = ...,
        encoding: str = ...,
        format: str | None = ...,
    ) -> CodedSource: ...

    def from_coder(
        self,
        path: str | Path | Sequence[str | Path],
        data: DataLike,
        *,
        label: str = "gold",
        codebook: CodebookLike | None = None,
        rule: str = "majority",
        ties: str = "raise",
        encoding: str = "utf-8-sig",
        format: str | None = None,
    ) -> TableLike | CodedSource:
        """Read coders' files back and put their labels into a copy of the data, after checking all of it.

        Spaces around labels, numbers written as text and ``1.0`` for ``1`` are accepted. Texts that were shown may come back as
        spreadsheets of any country write them (dates, decimal commas, thousands, truth values), but not with other values, nor
        with identifiers rounded to 15 digits.

        The result records the design: each row's probability of being labelled in the column ``sample_prob`` and, where units
        were drawn whole or first, the row's unit in ``sample_unit``. A call that is given the table without ``design=``,
        although probabilities differ or there are units, warns (`UnusedDesignWarning`).

        Parameters
        ----------
        path : str, Path or list of them
            The file, or one per coder: a row may be labelled by several coders, and must be by one at least. Label Studio,
            Prodigy and Argilla name the coder of each answer, so that one file may hold several coders'.
        data : data frame, or source of blocks of rows
            What the design was drawn from.
        label : str
            The column that the coders filled in. A column of that name is set in the result.
        codebook : list, dict of code to meaning, or dsl.annotation.Codebook, optional
            The labels allowed. With a dict, coders may have given the code or the meaning.
        rule : {"majority", "mean"}
            How several coders' labels of a row become one.
        ties : {"raise", "first"}
            What to do about a tied majority: raise, or take the label of the file (in it, of the coder) that comes first.
        encoding : str
            Of CSV files.
        format : str, optional
            As in `to_coder`, for all files, by default what each one's ending says. Export "JSON" from Label Studio, "JSONL"
            from doccano, ``db-out`` from Prodigy, ``dataset.records(with_responses=True).to_json`` from Argilla. Tasks that were
            skipped, rejected or discarded have no label. Predictions, suggestions and drafts are never read.

        Returns
        -------
        data frame
            Copy of `data`, of its kind (pandas, polars, pyarrow; pandas for a dict), with `label` on the drawn rows, missing
            elsewhere, and the columns that record the design. A pandas table has the design's fingerprint in its ``attrs`` too.
            Of a source comes a source, which adds them to the blocks as they are read: `dsl.dsl` takes it, and its
            ``write(path)`` makes a Parquet file of it. Rows that ``exclude=`` left out of the draw are left out of it.

        Raises
        ------
        CoderFileError
            Labels are missing, outside the codebook or tied, rows are repeated, changed, not asked for or of another design, or
            a file cannot be read. The message counts them and names the first.
        LabelError
            `data` has labels on rows that were not drawn.
        ArgumentError
            `data` has a column ``sample_prob`` or ``sample_unit`` with other values than the design's.

        Examples
        --------
        >>> import tempfile, pathlib, dsl
        >>> posts = {"text": ["good", "bad", "so so", "fine"]}
        >>> design = dsl.sampling.simple_random(posts, 2, seed=1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "coder.csv"
        ...     design.to_coder(path, posts, columns="text").assign(gold=1).to_csv(path)  # the coder at work
        ...     coded = design.from_coder(path, posts, codebook=[0, 1])
        >>> int(coded["gold"].notna().sum()), coded["sample_prob"].tolist()
        (2, [0.5, 0.5, 0.5, 0.5])
        """
        return read_coder_files(
            self, path, data, label=label, codebook=codebook, rule=rule, ties=ties, encoding=encoding, format=format
        )

    def agreement(
        self,
        paths: Sequence[str | Path],
        *,
        label: str = "gold",
        codebook: CodebookLike | None = None,
        metric: str = "nominal",
        encoding: str = "utf-8-sig",
        format: str | None = None,
    ) -> pd.DataFrame:
        """Agreement of each pair of coders on the rows that both labelled, and of all coders.

        Parameters
        ----------
        paths : list of str or Path
            One file per coder.
        metric : {"nominal", "ordinal", "interval"}
            Distance of labels for Krippendorff's alpha: different or not, in ranks or in values.
        label, codebook, encoding, format
            As in `from_coder`.

        Returns
        -------
        DataFrame
            One row per pair of coders: ``first``, ``second``, ``n`` rows labelled by both, ``agreement`` (share of equal
            labels), Cohen's ``kappa`` (NaN where chance alone would make them agree), ``krippendorff_alpha``. Of more than two
            coders a last row, "(all)", of the rows that two of them labelled: agreement is the mean over pairs of labels.

        Raises
        ------
        CoderFileError
            As in `from_coder`, but labels may be missing.

        Examples
        --------
        >>> import tempfile, pathlib, dsl
        >>> posts = {"text": ["good", "bad", "so so", "fine"]}
        >>> design = dsl.sampling.simple_random(posts, 4, seed=1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     sent, first, second = (pathlib.Path(folder) / f"{name}.csv" for name in ("sent", "first", "second"))
        ...     asked = design.to_coder(sent, posts, columns="text")
        ...     asked.assign(gold=[0, 0, 1, 1]).to_csv(first)  # two coders at work
        ...     asked.assign(gold=[0, 0, 1, 0]).to_csv(second)
        ...     report = design.agreement([first, second])
        >>> report.loc[0, ["n", "agreement", "kappa", "krippendorff_alpha"]].astype(float).round(3).tolist()
        [4.0, 0.75, 0.5, 0.533]
        """
        return agreement_table(
            self, paths, label=label, codebook=codebook, metric=metric, encoding=encoding, format=format
        )
