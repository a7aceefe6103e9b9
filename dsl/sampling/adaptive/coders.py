"""Batches to the coders and back by files, as `LabelDesign.to_coder` and `from_coder` do it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd

from dsl._typing import FloatArray
from dsl.data.tables import first_rows
from dsl.exceptions import ArgumentError, CoderFileError
from dsl.sampling.adaptive.archive import Population
from dsl.sampling.adaptive.batches import Batch, Progress, read_labels
from dsl.sampling.adaptive.next_batch import batch_design
from dsl.sampling.adaptive.settings import Settings
from dsl.sampling.coding.codebook import CodebookLike
from dsl.sampling.coding.files import Request, coder_labels, coder_request, path_list, write_request
from dsl.sampling.coding.opened import designs_in

Paths: TypeAlias = str | Path | Sequence[str | Path]
"""A coder's file, or one of each coder."""


class CoderFiles(ABC):
    """What an adaptive design does with coders' files."""

    _people: Population
    _progress: Progress

    @property
    @abstractmethod
    def settings(self) -> Settings:
        """The arguments, resolved."""

    @abstractmethod
    def next_batch(self) -> pd.DataFrame:
        """Rows to label next."""

    @abstractmethod
    def _take(self, values: FloatArray) -> None:
        """Record the labels (n, q) of the batch that waits for them, in its order."""

    def to_coder(
        self,
        path: str | Path,
        *,
        columns: str | Sequence[str],
        label: str | None = None,
        codebook: CodebookLike | None = None,
        seed: int | np.random.Generator = 1234,
        format: str | None = None,
        show_predictions: bool = False,
    ) -> pd.DataFrame:
        """Write the batch that waits for labels to a file for a coder, and draw it first if none waits.

        The file is one of `LabelDesign.to_coder`: texts in random order, no prediction and no confidence, and a key that ties
        each row to this batch. The same batch may be written to several files, for several coders.

        Parameters
        ----------
        path : str or Path
        columns : str or list of str
            What the coder sees, of the data that the design was begun (or resumed) with.
        label : str, optional
            Name of the column to fill in. By default that of the predicted variable. With several predicted variables the one
            that this file is about.
        codebook : list, or dict of code to meaning, optional
            By default that of the design.
        seed, format
            As in `LabelDesign.to_coder`.
        show_predictions : bool
            Whether coders may see predictions or confidences (those of the design, and columns that look like such). Coders who
            see what a model says tend to agree with it (anchoring), so that their labels cannot correct it.

        Returns
        -------
        DataFrame, (rows of the batch, columns)
            What was written, indexed by row label.

        Raises
        ------
        ArgumentError
            The design is done, or a column is a prediction.
        MissingColumnError, CoderFileError, MissingDependencyError
            As `LabelDesign.to_coder` raises.

        Examples
        --------
        >>> import dsl, pathlib, tempfile
        >>> posts = dsl.datasets.simulate_nested(n_candidates=60, n_posts=5, n_labels=0, seed=1).drop(columns="tone")
        >>> posts["text"] = [f"post {j}" for j in range(len(posts))]
        >>> adaptive = dsl.AdaptiveDesign("tone ~ incumbent", posts, predicted_var="tone", prediction="pred_tone", n_labels=60,
        ...                               batches=2, sl_method="lm", error_model="lm")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "batch-1.csv"
        ...     sheet = adaptive.to_coder(path, columns="text")
        ...     sheet.assign(tone=[j % 2 for j in range(30)]).to_csv(path)  # the coder at work
        ...     labels = adaptive.from_coder(path)
        >>> sheet.columns.tolist(), labels.shape
        (['text', 'tone', 'key'], (30, 1))
        >>> adaptive.status().n_labeled
        30
        """
        request = batch_request(
            self,
            path,
            columns=columns,
            label=label,
            codebook=codebook,
            seed=seed,
            format=format,
            show_predictions=show_predictions,
        )
        return write_request(request)

    def from_coder(
        self,
        path: Paths | Mapping[str, Paths],
        *,
        label: str | None = None,
        codebook: CodebookLike | None = None,
        rule: str = "majority",
        ties: str = "raise",
        encoding: str = "utf-8-sig",
        format: str | None = None,
    ) -> pd.DataFrame:
        """Read coders' files of a batch back, check all of them, and record the labels as `add_labels` does.

        A file of the last batch may be read again, as long as no other waits and its labels are the same: nothing is recorded
        twice.

        Parameters
        ----------
        path : str, Path or list of them, or dict
            The file, or one for each coder. With several predicted variables a dict of variable to its file or files.
        label : str, optional
            The column filled in, as in `to_coder`. Not for a dict.
        codebook, rule, ties, encoding, format
            As in `LabelDesign.from_coder`. The codebook is that of the design by default.

        Returns
        -------
        DataFrame, (rows of the batch, predicted variables)
            The labels, indexed by row label, in the order of the data.

        Raises
        ------
        CoderFileError
            The file is another batch's, or its rows, texts or labels are not as they should be (see `LabelDesign.from_coder`), or
            a batch that is recorded has other labels. Nothing was recorded.
        LabelError, ColumnTypeError, OutcomeError, DataError
            As `add_labels` raises.
        ArgumentError
            No batch was drawn yet.
        """
        if not self._progress.batches:
            raise ArgumentError("no batch was drawn yet: to_coder() draws one, and writes it to a file")
        batch = self._progress.batches[-1]
        rows = self._people.rows[batch.rows]
        given = {}
        for variable, files in self._files(path, label).items():
            given[variable] = self._labels(
                files,
                label=variable if label is None else label,
                codebook=self._codebook(variable) if codebook is None else codebook,
                rule=rule,
                ties=ties,
                encoding=encoding,
                format=format,
            )
        labels = pd.DataFrame(given).reindex(rows)
        # a mean of several labels is in no codebook. Each of them was checked when it was read
        values = read_labels(labels, rows, self.settings, codebook={} if rule == "mean" else self.settings.codebook)
        if batch.labels is None:
            self._take(values)
        else:
            _check_same(values, batch, rows)
        return labels

    def _variable(self, label: str | None) -> str:
        """The predicted variable that a file with this label is about."""
        predicted = self.settings.predicted
        if len(predicted) > 1 and label not in predicted:
            raise ArgumentError(
                f"label must say which predicted variable the file is about, one of {', '.join(predicted)}; found {label!r}. "
                "Each has a file of its own"
            )
        return predicted[0] if len(predicted) == 1 else str(label)

    def _files(self, path: Paths | Mapping[str, Paths], label: str | None) -> dict[str, Paths]:
        """The files of each predicted variable."""
        predicted = self.settings.predicted
        if not isinstance(path, Mapping):
            if len(predicted) > 1:
                raise ArgumentError(
                    f"each of {', '.join(predicted)} has a file of its own: pass a dict, {{'{predicted[0]}': path, ...}}"
                )
            return {predicted[0]: path}
        if set(path) != set(predicted) or label is not None:
            raise ArgumentError(
                f"a dict of files names each predicted variable once ({', '.join(predicted)}), and goes without label=; found "
                f"{', '.join(map(str, path)) or 'nothing'}"
            )
        return dict(path)

    def _codebook(self, variable: str) -> CodebookLike | None:
        """The design's codebook, with what labels mean where it says so."""
        codes, meanings = self.settings.codebook.get(variable), self.settings.meanings.get(variable)
        return codes if codes is None or meanings is None else dict(zip(codes, meanings, strict=True))

    def _labels(
        self,
        files: Paths,
        *,
        label: str,
        codebook: CodebookLike | None,
        rule: str,
        ties: str,
        encoding: str,
        format: str | None,
    ) -> pd.Series:
        """The last batch's labels in its files, by row label."""
        number = len(self._progress.batches)
        try:
            return coder_labels(
                batch_design(self._people, self._progress, number),
                files,
                self._people.table,
                label=label,
                codebook=codebook,
                rule=rule,
                ties=ties,
                encoding=encoding,
                format=format,
            )
        except CoderFileError:
            # which other batch it is takes a while to find out, and is asked for only now
            for file in path_list(files):
                found = designs_in(file, label=label, encoding=encoding, format=format)
                for earlier in range(1, number):
                    if batch_design(self._people, self._progress, earlier).fingerprint in found:
                        raise CoderFileError(
                            f"'{Path(file).name}' is of batch {earlier}, whose labels are recorded already, and not of batch "
                            f"{number}, the last one drawn; pass the file that to_coder wrote for batch {number}"
                        ) from None
            raise


def batch_request(
    design: CoderFiles,
    path: str | Path,
    *,
    columns: str | Sequence[str],
    label: str | None = None,
    codebook: CodebookLike | None = None,
    seed: int | np.random.Generator = 1234,
    format: str | None = None,
    show_predictions: bool = False,
) -> Request:
    """What `CoderFiles.to_coder` writes, before it is written."""
    variable = design._variable(label)
    design.next_batch()
    return coder_request(
        batch_design(design._people, design._progress, len(design._progress.batches)),
        path,
        design._people.table,
        columns=columns,
        label=variable if label is None else label,
        codebook=design._codebook(variable) if codebook is None else codebook,
        seed=seed,
        format=format,
        show_predictions=show_predictions,
    )


def _check_same(values: FloatArray, batch: Batch, rows: pd.Index) -> None:
    """Raise CoderFileError unless the labels are those of the batch."""
    assert batch.labels is not None
    differs = (values != batch.labels).any(axis=1)
    if differs.any():
        i = int(differs.argmax())
        raise CoderFileError(
            f"{first_rows(np.asarray(differs), rows)} of batch {batch.number} have other labels in the file than were recorded "
            f"({values[i]} and {batch.labels[i]}): labels that decided which rows came next cannot be changed. Where they were "
            "wrong, begin anew from the labels that were right"
        )
