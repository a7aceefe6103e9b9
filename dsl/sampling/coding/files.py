"""Coders' files: what was drawn goes out, labels come back, and every row is checked on the way."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from dsl._typing import BoolArray, IntArray
from dsl.data.arguments import Seed, as_name, as_names, random_generator
from dsl.data.columns import named_columns
from dsl.data.design import SamplingDesign
from dsl.data.files import as_path, written_aside
from dsl.data.recorded import COLUMNS as RECORDED
from dsl.data.recorded import check_free, recorded
from dsl.data.tables import TableLike, check_unique, column_names, first_rows, rounded_hint, to_pandas
from dsl.exceptions import ArgumentError, CoderFileError, DesignError, LabelError
from dsl.sampling.coding.codebook import Codebook, CodebookLike, canonical, quoted, read_labels
from dsl.sampling.coding.rewritten import DIGITS, same_value, was_rounded
from dsl.sampling.coding.sheets import cell_text, check_suffix, heading, read_sheet, write_sheet
from dsl.sampling.coding.votes import combine

ROW, KEY = "row", "key"


def write_coder_file(
    design: SamplingDesign,
    path: str | Path,
    data: TableLike,
    *,
    columns: str | Sequence[str],
    label: str,
    codebook: CodebookLike | None,
    seed: Seed,
) -> pd.DataFrame:
    """Write the drawn rows for a coder. See `LabelDesign.to_coder`."""
    target, shown, name = as_path(path), as_names(columns, "columns"), _label_name(label)
    check_suffix(target, (".csv", ".xlsx"))
    book = None if codebook is None else Codebook.of(codebook)
    _check_shown(shown, name)
    if target.exists():
        raise CoderFileError(
            f"'{target}' is there already and may hold a coder's labels; choose another name, or delete it"
        )
    frame = named_columns(data, dict.fromkeys(shown, "columns"), shown=True)
    asked = _asked(design, data, frame.index, name)
    # in random order, so that neither rank nor stratum shows
    order = random_generator(seed).permutation(asked)
    texts = frame.reindex(design.rows[order]).astype(object).map(cell_text)
    # hashed as written: the text's key does not depend on the column order or on a spreadsheet's rounding
    keys = _keys(design.fingerprint, order, _digests(texts, _checked(frame)))
    sheet = texts.assign(**{name: "", KEY: keys}).rename_axis(ROW)
    shown_rows = sheet.set_axis(sheet.index.map(str), axis=0).rename_axis(ROW)
    with written_aside(target, replace=False) as draft:
        write_sheet(draft, shown_rows, label=name, codebook=book)
    return sheet


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


def _checked(frame: pd.DataFrame) -> list[str]:
    """Shown columns that must come back unchanged: all but dates, which spreadsheets rewrite."""
    return [str(name) for name in frame.columns if not pd.api.types.is_datetime64_any_dtype(frame[name].dtype)]


def _digests(texts: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """Hash of the text shown in each row, the same after a spreadsheet has been at it."""
    # columns in the order of their names, joined by a character that no text holds
    rows = texts[sorted(names)].itertuples(index=False, name=None)
    joined = ("\x1f".join(canonical(text, DIGITS) for text in row) for row in rows)
    return [hashlib.sha256(text.encode()).hexdigest()[:10] for text in joined]


def _keys(fingerprint: str, positions: IntArray, digests: Sequence[str]) -> list[str]:
    return [f"k{fingerprint}-{j}-{digest}" for j, digest in zip(positions, digests, strict=True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class CoderSheet:
    """A coder's file, its rows found in the design."""

    name: str
    cells: pd.DataFrame
    """Every column as text, under the rows' labels."""
    positions: IntArray
    """(rows,) places in the design."""
    digests: list[str]
    """(rows,) hash of the text that was shown."""


def open_coder_file(design: SamplingDesign, path: str | Path, *, label: str, encoding: str) -> CoderSheet:
    """Read a coder's file and find its rows in the design.

    Raises
    ------
    CoderFileError
        Columns are missing, or rows have no key, another design's, or the same one twice.
    """
    target = as_path(path)
    cells = read_sheet(target, encoding)
    name = f"'{target.name}'"
    for column in (label, KEY):
        found = int((cells.columns == heading(column)).sum())
        if found != 1:
            listed = ", ".join(f"'{c}'" for c in cells.columns[:10])
            raise CoderFileError(
                f"{name} has {found or 'no'} column{'s' if found else ''} named '{column}'; its columns are {listed}. "
                f"{'Pass label= with its name' if column == label else 'Use the file that to_coder wrote, with all columns'}"
            )
    # a file's lines from 2, below the header, as spreadsheets count them
    lines = pd.Index(np.arange(2, len(cells) + 2))
    # k<design's fingerprint>-<position>-<digest of the text shown>
    keys = cells[KEY].str.strip().str.extract(r"^k([0-9a-f]{12})-(\d+)-([0-9a-f]{10})$")
    bad = keys[0].isna().to_numpy()
    if bad.any():
        raise CoderFileError(
            f"{name} has {first_rows(bad, lines, 'line')} without a key of to_coder's: rows that were not asked for cannot be "
            "used, since the probability of drawing them is unknown; delete them, or restore the key column"
        )
    other = (keys[0] != design.fingerprint).to_numpy()
    if other.any():
        raise CoderFileError(
            f"{name} has {first_rows(other, lines, 'line')} of another design (k{keys[0][other].iloc[0]}; this one is "
            f"k{design.fingerprint}); use the design that wrote the file, as saved with design.save"
        )
    positions = keys[1].astype(int).to_numpy()
    _check_positions(design, positions, name, lines)
    return CoderSheet(
        name=name, cells=cells.set_axis(design.rows[positions]), positions=positions, digests=keys[2].tolist()
    )


def _check_positions(design: SamplingDesign, positions: IntArray, name: str, lines: pd.Index) -> None:
    # 0 stands in where the position is outside, so that indexing cannot fail
    inside = positions < len(design)
    undrawn = ~(inside & design.drawn[np.where(inside, positions, 0)])
    if undrawn.any():
        raise CoderFileError(
            f"{name} has {first_rows(undrawn, lines, 'line')} whose rows were not drawn; delete them: only drawn rows have a "
            "known probability"
        )
    twice = pd.Series(positions).duplicated(keep=False).to_numpy()
    if twice.any():
        raise CoderFileError(
            f"{name} has rows more than once: {first_rows(twice, design.rows[positions])}; keep one line of each (several "
            "coders' labels go into one file each)"
        )


def sheet_labels(sheet: CoderSheet, *, label: str, codebook: Codebook | None) -> pd.Series:
    """Labels that the coder gave, by position in the design. Rows left blank are left out."""
    typed = sheet.cells[heading(label)].str.strip()
    given = (typed != "").to_numpy()
    if not given.any():
        raise CoderFileError(f"{sheet.name} has no label at all in column '{label}'; was the right file saved?")
    return read_labels(typed[given], codebook, sheet.name).set_axis(sheet.positions[given])


def read_coder_files(
    design: SamplingDesign,
    path: str | Path | Sequence[str | Path],
    data: TableLike,
    *,
    label: str,
    codebook: CodebookLike | None,
    rule: str,
    ties: str,
    encoding: str,
) -> TableLike:
    """Put coders' labels into a copy of the data. See `LabelDesign.from_coder`."""
    name = _label_name(label)
    book = None if codebook is None else Codebook.of(codebook)
    table = data if isinstance(data, pd.DataFrame) else to_pandas(data, column_names(data))
    _check_rows(design, table.index)
    check_free(data, table, design)
    given = []
    for file in path_list(path):
        sheet = open_coder_file(design, file, label=name, encoding=encoding)
        # texts before labels: a sorted column would give labels to other rows
        _check_texts(sheet, table, name)
        given.append(sheet_labels(sheet, label=name, codebook=book))
    labels = combine(given, rows=design.rows, rule=rule, ties=ties)
    known = _known(design, table, name)
    _check_known(design, labels, known)
    every = labels.reindex(np.flatnonzero(design.drawn)).set_axis(design.drawn_rows)
    # a label in the file goes before one that the data had
    every = every if known is None else every.where(every.notna(), known)
    _check_missing(every, name)
    return recorded(data, every.rename(name).reindex(table.index), design)


def path_list(path: str | Path | Sequence[str | Path]) -> list[str | Path]:
    """One path or several as a list."""
    paths = list(path) if isinstance(path, Sequence) and not isinstance(path, str | bytes) else [path]
    if not paths or len({str(p) for p in paths}) < len(paths):
        raise ArgumentError(f"name each coder's file once; found {[str(p) for p in paths]}")
    return paths


def _check_texts(sheet: CoderSheet, table: pd.DataFrame, label: str) -> None:
    """Raise CoderFileError if the texts in the file, or those in the data, are not those that were shown."""
    names = {heading(name): name for name in _checked(table) if name not in (ROW, KEY, label)}
    shown = [names[head] for head in sheet.cells.columns if head in names]
    cells = sheet.cells.rename(columns=names)[shown]
    source = table[shown].reindex(sheet.cells.index).astype(object).map(cell_text)
    digests = np.array(sheet.digests)
    # hash of what came back, and of what the data say now, against the hash in the key
    in_file = np.array(_digests(cells, shown)) != digests
    in_data = np.array(_digests(source, shown)) != digests
    rows = sheet.cells.index
    # a changed table looks like a changed file in every coder's file, so it is told apart first
    if in_data.any():
        raise CoderFileError(
            f"the data have changed since {sheet.name} was written: columns {', '.join(shown)} differ in "
            f"{first_rows(in_data, rows)}; pass the table that to_coder was given, with the columns shown under their names then"
        )
    if in_file.any():
        _check_cells(sheet, source[in_file], cells[in_file])


def _check_cells(sheet: CoderSheet, source: pd.DataFrame, cells: pd.DataFrame) -> None:
    """Raise CoderFileError if cells differ from what was shown in more than a spreadsheet's way of writing them.

    Parameters
    ----------
    sheet : CoderSheet
    source, cells : DataFrame
        What was shown and what came back, of the rows in question.
    """
    same = [[same_value(was, now) for was, now in zip(source[n], cells[n], strict=True)] for n in cells]
    changed = ~np.array(same, dtype=bool).T
    rows: BoolArray = np.asarray(changed.any(axis=1), dtype=bool)
    if not rows.any():
        return
    i = int(rows.argmax())
    j = int(changed[i].argmax())
    was, now = str(source.iloc[i, j]), str(cells.iloc[i, j])
    if was_rounded(was, now):
        raise CoderFileError(
            f"{sheet.name} has rounded numbers in {first_rows(changed[:, j], cells.index)}: '{cells.columns[j]}' was {was} and "
            f"is {now}. A spreadsheet keeps 15 digits, so that identifiers are no longer told apart. Import the file with this "
            "column as text, send an .xlsx file, whose cells are text, or leave the column out of columns="
        )
    raise CoderFileError(
        f"{sheet.name} has other texts than were sent out in {first_rows(rows, cells.index)}: '{cells.columns[j]}' was "
        f"{was[:40]!r} and is {now[:40]!r}, so that labels may belong to other rows. "
        f"{_changed_advice(bool(rows.sum() > 0.5 * len(sheet.cells)), was)}"
    )


def _changed_advice(most: bool, was: str) -> str:
    if was.isascii() and most:
        return "Perhaps one column was sorted without the others: restore the order, or send the file out again"
    if not was.isascii():
        return "Perhaps it was saved in another encoding: save it as 'CSV UTF-8' or .xlsx, or pass encoding="
    return "Restore these texts, or send these rows out again"


def _known(design: SamplingDesign, table: pd.DataFrame, label: str) -> pd.Series | None:
    """Labels that the data have already on drawn rows."""
    if label not in table.columns:
        return None
    outside = table[label].notna().to_numpy() & ~table.index.isin(design.drawn_rows)
    if outside.any():
        raise LabelError(
            f"'{label}' has labels in {first_rows(outside, table.index)} that this design did not draw; keep them in a column of "
            "another name, or drop it: data.drop(columns=[...])"
        )
    return table[label].reindex(design.drawn_rows)


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


def _check_missing(labels: pd.Series, label: str) -> None:
    missing = labels.isna().to_numpy()
    if missing.any():
        raise CoderFileError(
            f"'{label}' is still missing in {first_rows(missing, labels.index)} of {len(labels)} drawn: every drawn row needs a "
            "label, or the probabilities no longer hold. Complete the file; for texts that cannot be judged agree on a label"
        )
