"""Coders' files opened: rows found in the design by their keys, texts checked against those that were shown."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from dsl._typing import BoolArray, IntArray
from dsl.data.design import SamplingDesign
from dsl.data.files import as_path
from dsl.data.tables import first_rows
from dsl.exceptions import CoderFileError
from dsl.sampling.coding.codebook import Codebook, canonical, read_labels
from dsl.sampling.coding.exchange import KEY, ROW, Incoming
from dsl.sampling.coding.formats import format_of
from dsl.sampling.coding.rewritten import DIGITS, same_value, was_rounded
from dsl.sampling.coding.sheets import cell_text, heading

KEYED = re.compile(r"^k([0-9a-f]{12})-(\d{1,18})-([0-9a-f]{10})$")
"""A row's key: the design's fingerprint, the row's position, the digest of the text shown."""


def checked_columns(frame: pd.DataFrame) -> list[str]:
    """Shown columns that must come back unchanged: all but dates, which spreadsheets rewrite."""
    return [str(name) for name in frame.columns if not pd.api.types.is_datetime64_any_dtype(frame[name].dtype)]


def text_digests(texts: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """Hash of the text shown in each row, the same after a spreadsheet has been at it."""
    # columns in the order of their names, joined by a character that no text holds
    columns = [texts[name] for name in sorted(names)]
    # without columns some versions of pandas have no rows
    rows = zip(*columns, strict=True) if columns else iter([()] * len(texts))
    joined = ("\x1f".join(canonical(text, DIGITS) for text in row) for row in rows)
    return [hashlib.sha256(text.encode()).hexdigest()[:10] for text in joined]


def row_keys(fingerprint: str, positions: IntArray, digests: Sequence[str]) -> list[str]:
    """What ties each row to a design and to its text."""
    return [f"k{fingerprint}-{j}-{digest}" for j, digest in zip(positions, digests, strict=True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class CoderSheet:
    """A coder's file, or a coder's part of one, its rows found in the design."""

    name: str
    cells: pd.DataFrame
    """Every column as text, under the rows' labels."""
    positions: IntArray
    """(rows,) places in the design."""
    digests: list[str]
    """(rows,) hash of the text that was shown."""
    skipped: BoolArray
    """(rows,) which ones the coder passed over."""

    def typed(self, label: str) -> pd.Series:
        """What was given in the column of labels, (rows,), empty where nothing was."""
        found: pd.Series = self.cells[heading(label)].str.strip()
        return found

    def labelled(self, label: str) -> bool:
        """Whether any label was given."""
        return bool((self.typed(label) != "").any())


def open_coder_file(
    design: SamplingDesign, path: str | Path, *, label: str, encoding: str, format: str | None
) -> list[CoderSheet]:
    """Read a coder's file, or a file of several coders, and find its rows in the design.

    Raises
    ------
    CoderFileError
        Columns are missing, or rows have no key, another design's, or the same one twice.
    """
    target = as_path(path)
    parts = format_of(target, format, written=False).read(target, label, encoding)
    return [_opened(design, part, f"'{target.name}'", label) for part in parts]


def designs_in(path: str | Path, *, label: str, encoding: str, format: str | None) -> set[str]:
    """Fingerprints of the designs whose rows a coder's file holds."""
    target = as_path(path)
    parts = format_of(target, format, written=False).read(target, label, encoding)
    cells = [part.cells[KEY] for part in parts if int((part.cells.columns == KEY).sum()) == 1]
    return {found[1] for column in cells for key in column if (found := KEYED.match(key.strip()))}


def _opened(design: SamplingDesign, part: Incoming, file: str, label: str) -> CoderSheet:
    cells, places, unit = part.cells, part.places, part.unit
    name = f"{file} (coder {part.coder})" if part.coder else file
    for column in (label, KEY):
        found = int((cells.columns == heading(column)).sum())
        if found != 1:
            listed = ", ".join(f"'{c}'" for c in cells.columns[:10])
            raise CoderFileError(
                f"{name} has {found or 'no'} column{'s' if found else ''} named '{column}'; its columns are {listed}. "
                f"{'Pass label= with its name' if column == label else 'Use the file that to_coder wrote, with all columns'}"
            )
    keys = cells[KEY].str.strip().str.extract(KEYED)
    bad = keys[0].isna().to_numpy()
    if bad.any():
        raise CoderFileError(
            f"{name} has {first_rows(bad, places, unit)} without a key of to_coder's: rows that were not asked for cannot be "
            "used, since the probability of drawing them is unknown; delete them, or restore the key column"
        )
    other = (keys[0] != design.fingerprint).to_numpy()
    if other.any():
        raise CoderFileError(
            f"{name} has {first_rows(other, places, unit)} of another design (k{keys[0][other].iloc[0]}; this one is "
            f"k{design.fingerprint}); use the design that wrote the file, as saved with design.save"
        )
    positions = keys[1].astype(int).to_numpy()
    _check_positions(design, positions, name, part)
    skipped = part.skipped if len(part.skipped) else np.zeros(len(cells), dtype=bool)
    return CoderSheet(
        name=name,
        cells=cells.set_axis(design.rows[positions]),
        positions=positions,
        digests=keys[2].tolist(),
        skipped=skipped,
    )


def _check_positions(design: SamplingDesign, positions: IntArray, name: str, part: Incoming) -> None:
    # 0 stands in where the position is outside, so that indexing cannot fail
    inside = positions < len(design)
    undrawn = ~(inside & design.drawn[np.where(inside, positions, 0)])
    if undrawn.any():
        raise CoderFileError(
            f"{name} has {first_rows(undrawn, part.places, part.unit)} whose rows were not drawn; delete them: only drawn rows "
            "have a known probability"
        )
    twice = pd.Series(positions).duplicated(keep=False).to_numpy()
    if twice.any():
        others = (
            "one answer of each coder"
            if part.coder
            else "one line of each (several coders' labels go into one file each)"
        )
        raise CoderFileError(
            f"{name} has rows more than once: {first_rows(twice, design.rows[positions])}; keep {others}"
        )


def given_labels(sheets: Sequence[CoderSheet], *, label: str, codebook: Codebook | None) -> list[pd.Series]:
    """Labels that each coder of a file gave, by position in the design. Rows left blank are left out, and so are coders.

    Raises
    ------
    CoderFileError
        Nobody gave any, or labels are not in the codebook.
    """
    out = []
    for sheet in sheets:
        typed = sheet.typed(label)
        given = (typed != "").to_numpy()
        if given.any():
            out.append(read_labels(typed[given], codebook, sheet.name).set_axis(sheet.positions[given]))
    if not out:
        raise CoderFileError(f"{sheets[0].name} has no label at all in column '{label}'; was the right file saved?")
    return out


def check_texts(sheet: CoderSheet, table: pd.DataFrame, label: str) -> None:
    """Raise CoderFileError if the texts in the file, or those in the data, are not those that were shown."""
    names = {heading(name): name for name in checked_columns(table) if name not in (ROW, KEY, label)}
    shown = [names[head] for head in sheet.cells.columns if head in names]
    cells = sheet.cells.rename(columns=names)[shown]
    source = table[shown].reindex(sheet.cells.index).astype(object).map(cell_text)
    digests = np.array(sheet.digests)
    # hash of what came back, and of what the data say now, against the hash in the key
    in_file = np.array(text_digests(cells, shown)) != digests
    in_data = np.array(text_digests(source, shown)) != digests
    rows = sheet.cells.index
    if in_data.any() and not shown:
        raise CoderFileError(
            f"{sheet.name} has none of the texts that were shown, so that nobody can tell whether its labels belong to them; "
            "export it with the data, and keep the columns that to_coder wrote"
        )
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
