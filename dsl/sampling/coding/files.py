"""Coders' files: what was drawn goes out, labels come back, and every row is checked on the way."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd

from dsl._typing import IntArray
from dsl.data.arguments import Seed, as_name, as_names, check_flags, random_generator
from dsl.data.columns import named_columns
from dsl.data.design import SamplingDesign
from dsl.data.files import as_path, written_aside
from dsl.data.recorded import COLUMNS as RECORDED
from dsl.data.recorded import check_free, recorded
from dsl.data.source import DataLike, as_source
from dsl.data.tables import TableLike, check_unique, column_names, first_rows, rounded_hint, to_pandas
from dsl.exceptions import ArgumentError, CoderFileError, DesignError, LabelError
from dsl.sampling.coding.codebook import Codebook, CodebookLike, quoted
from dsl.sampling.coding.exchange import KEY, ROW, Draft, Outgoing
from dsl.sampling.coding.formats import format_of
from dsl.sampling.coding.hidden import check_hidden, names_made
from dsl.sampling.coding.in_blocks import CodedSource, coded_rows, columns_known, drawn_rows
from dsl.sampling.coding.opened import (
    check_texts,
    checked_columns,
    given_labels,
    open_coder_file,
    row_keys,
    text_digests,
)
from dsl.sampling.coding.sheets import cell_text, heading
from dsl.sampling.coding.votes import combine


def write_coder_file(
    design: SamplingDesign,
    path: str | Path,
    data: DataLike,
    *,
    columns: str | Sequence[str],
    label: str,
    codebook: CodebookLike | None,
    seed: Seed,
    format: str | None = None,
    show_predictions: bool = False,
) -> pd.DataFrame:
    """Write the drawn rows for a coder. See `LabelDesign.to_coder`."""
    request = coder_request(
        design,
        path,
        data,
        columns=columns,
        label=label,
        codebook=codebook,
        seed=seed,
        format=format,
        show_predictions=show_predictions,
    )
    return write_request(request)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked of a coder, and the files that ask it."""

    sheet: pd.DataFrame
    """What is written, indexed by row label."""
    drafts: dict[Path, Draft]
    """What writes each file."""


def write_request(request: Request) -> pd.DataFrame:
    """Write all files of a request, or none, and hand out what they hold."""
    with ExitStack() as drafts:
        for target, write in request.drafts.items():
            write(drafts.enter_context(written_aside(target, replace=False)))
    return request.sheet


def coder_request(
    design: SamplingDesign,
    path: str | Path,
    data: DataLike,
    *,
    columns: str | Sequence[str],
    label: str,
    codebook: CodebookLike | None,
    seed: Seed,
    format: str | None,
    show_predictions: bool,
) -> Request:
    """What `write_coder_file` writes, before it is written."""
    target, shown, name = as_path(path), as_names(columns, "columns"), _label_name(label)
    kind = format_of(target, format, written=True)
    book = None if codebook is None else Codebook.of(codebook)
    _check_shown(shown, name)
    check_flags(show_predictions=show_predictions)
    source = as_source(data)
    if not show_predictions:
        check_hidden(shown, design.settings, names_made(data if source is None else source))
    for taken in (target, *(target.with_suffix(ending) for ending in kind.beside)):
        if taken.exists():
            raise CoderFileError(
                f"'{taken}' is there already and may hold a coder's labels; choose another name, or delete it"
            )
    table = cast(TableLike, data) if source is None else drawn_rows(design, source, shown, name)
    frame = named_columns(table, dict.fromkeys(shown, "columns"), shown=True)
    asked = _asked(design, table, frame.index, name)
    # in random order, so that neither rank nor stratum shows
    order = random_generator(seed).permutation(asked)
    texts = frame.reindex(design.rows[order]).astype(object).map(cell_text)
    # hashed as written: the text's key does not depend on the column order or on a spreadsheet's rounding
    keys = row_keys(design.fingerprint, order, text_digests(texts, checked_columns(frame)))
    shown_rows = texts.set_axis(texts.index.map(str), axis=0).rename_axis(ROW)
    # a codebook made for models (`dsl.annotation.Codebook`) has a question too
    question = getattr(codebook, "question", "")
    outgoing = Outgoing(texts=shown_rows, keys=keys, label=name, codebook=book, question=str(question))
    kind.check(outgoing)
    sheet = texts.assign(**{name: "", KEY: keys}).rename_axis(ROW)
    return Request(sheet=sheet, drafts=kind.drafts(target, outgoing))


def _check_shown(shown: tuple[str, ...], label: str) -> None:
    """Raise ArgumentError for columns that a coder's file could not hold under headings of their own."""
    if not shown:
        raise ArgumentError("columns names nothing for the coder to see; name the column with the text")
    taken = {ROW, KEY, label} & set(shown)
    if taken:
        raise ArgumentError(
            f"columns names '{min(taken)}', which the file uses itself (row, {label}, key); rename that column"
        )
    first: dict[str, str] = {}
    for name in (*shown, label):
        other = first.setdefault(heading(name), name)
        if other != name:
            raise ArgumentError(f"'{other}' and '{name}' are the same heading in a spreadsheet; rename one")


def _label_name(label: object) -> str:
    name = as_name(label, "label")
    if not name or name in (ROW, KEY, *RECORDED):
        taken = ", ".join(f"'{column}'" for column in (ROW, KEY, *RECORDED))
        raise ArgumentError(f"label must name the column of labels, other than {taken}; found {label!r}")
    return name


def _asked(design: SamplingDesign, data: TableLike, index: pd.Index, label: str) -> IntArray:
    """Positions in the design of the drawn rows without a label in the data."""
    _check_rows(design, index)
    drawn = np.flatnonzero(design.drawn)
    if label not in column_names(data):
        return drawn
    # labels that a pilot's table has already are not asked for twice
    known = to_pandas(data, [label])[label].reindex(design.rows[drawn]).notna().to_numpy()
    if known.all():
        raise ArgumentError(
            f"all {len(drawn)} drawn rows have a label in '{label}' already: there is nothing to ask for"
        )
    asked: IntArray = drawn[~known]
    return asked


def _check_rows(design: SamplingDesign, index: pd.Index) -> None:
    check_unique(index)
    absent = ~design.drawn_rows.isin(index)
    if absent.any():
        raise DesignError(
            f"drawn {first_rows(absent, design.drawn_rows)} not in the data{rounded_hint(index)}; pass the table that the design "
            "was drawn from, under the same row labels"
        )


def read_coder_files(
    design: SamplingDesign,
    path: str | Path | Sequence[str | Path],
    data: DataLike,
    *,
    label: str,
    codebook: CodebookLike | None,
    rule: str,
    ties: str,
    encoding: str,
    format: str | None = None,
) -> TableLike | CodedSource:
    """Put coders' labels into a copy of the data. See `LabelDesign.from_coder`."""
    name, source = _label_name(label), as_source(data)
    if source is not None:
        _check_outside(design, columns_known(design, source, name), name)
        sheets = [
            sheet
            for file in path_list(path)
            for sheet in open_coder_file(design, file, label=name, encoding=encoding, format=format)
        ]
        table = coded_rows(design, source, sheets, name)
        _check_rows(design, table.index)
        labels = coder_labels(
            design, path, table, label=name, codebook=codebook, rule=rule, ties=ties, encoding=encoding, format=format
        )
        return CodedSource(source, labels.rename(name), design)
    data = cast(TableLike, data)
    table = data if isinstance(data, pd.DataFrame) else to_pandas(data, column_names(data))
    _check_rows(design, table.index)
    check_free(data, table, design)
    labels = coder_labels(
        design,
        path,
        table,
        label=name,
        codebook=codebook,
        rule=rule,
        ties=ties,
        encoding=encoding,
        format=format,
    )
    return recorded(data, labels.rename(name).reindex(table.index), design)


def coder_labels(
    design: SamplingDesign,
    path: str | Path | Sequence[str | Path],
    table: pd.DataFrame,
    *,
    label: str,
    codebook: CodebookLike | None,
    rule: str,
    ties: str,
    encoding: str,
    format: str | None,
) -> pd.Series:
    """The label of each drawn row, by row label, after checking all of it. See `LabelDesign.from_coder`."""
    book = None if codebook is None else Codebook.of(codebook)
    given: list[pd.Series] = []
    skipped: list[IntArray] = []
    for file in path_list(path):
        sheets = open_coder_file(design, file, label=label, encoding=encoding, format=format)
        # texts before labels: a sorted column would give labels to other rows
        for sheet in sheets:
            check_texts(sheet, table, label)
            skipped.append(sheet.positions[sheet.skipped])
        given += given_labels(sheets, label=label, codebook=book)
    labels = combine(given, rows=design.rows, rule=rule, ties=ties)
    known = _known(design, table, label)
    _check_known(design, labels, known)
    every = labels.reindex(np.flatnonzero(design.drawn)).set_axis(design.drawn_rows)
    # a label in the file goes before one that the data had
    every = every if known is None else every.where(every.notna(), known)
    _check_missing(every, label, design.rows[np.concatenate(skipped)])
    return every


def path_list(path: str | Path | Sequence[str | Path]) -> list[str | Path]:
    """One path or several as a list."""
    paths = list(path) if isinstance(path, Sequence) and not isinstance(path, str | bytes) else [path]
    if not paths or len({str(p) for p in paths}) < len(paths):
        raise ArgumentError(f"name each coder's file once; found {[str(p) for p in paths]}")
    return paths


def _known(design: SamplingDesign, table: pd.DataFrame, label: str) -> pd.Series | None:
    """Labels that the data have already on drawn rows."""
    if label not in table.columns:
        return None
    _check_outside(design, table, label)
    return table[label].reindex(design.drawn_rows)


def _check_outside(design: SamplingDesign, table: pd.DataFrame, label: str) -> None:
    """Raise LabelError if rows that were not drawn have labels."""
    if label not in table.columns:
        return
    outside = table[label].notna().to_numpy() & ~table.index.isin(design.drawn_rows)
    if outside.any():
        raise LabelError(
            f"'{label}' has labels in {first_rows(outside, table.index)} that this design did not draw; keep them in a column of "
            "another name, or drop it: data.drop(columns=[...])"
        )


def _check_known(design: SamplingDesign, labels: pd.Series, known: pd.Series | None) -> None:
    if known is None:
        return
    given = labels.set_axis(design.rows[labels.index])
    before = known.reindex(given.index)
    differs = (before.notna() & (before != given)).to_numpy()
    if differs.any():
        was, now = quoted(before[differs].iloc[0]), quoted(given[differs].iloc[0])
        raise CoderFileError(
            f"{first_rows(differs, given.index)} have another label in the data than in the file ({was} and {now}); drop the "
            "column from the data if the file is right"
        )


def _check_missing(labels: pd.Series, label: str, skipped: pd.Index) -> None:
    missing = labels.isna().to_numpy()
    if missing.any():
        passed = int(labels.index[missing].isin(skipped).sum())
        hint = f" ({passed} of them skipped by a coder)" if passed else ""
        raise CoderFileError(
            f"'{label}' is still missing in {first_rows(missing, labels.index)} of {len(labels)} drawn{hint}: every drawn row "
            "needs a label, or the probabilities no longer hold. Complete the file; for texts that cannot be judged agree on a "
            "label"
        )
