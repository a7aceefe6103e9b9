"""R as a separate process (``Rscript``), one call for many questions: base, stats, splines and utils only."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

MODEL_MATRIX = r"""
suppressMessages(library(splines))
dir <- commandArgs(TRUE)[1]
frames <- lapply(seq_len(length(list.files(dir, "^frame"))), function(i) {
  e <- new.env(); sys.source(file.path(dir, sprintf("levels%d.R", i - 1)), e)
  d <- read.csv(file.path(dir, sprintf("frame%d.csv", i - 1)), check.names = FALSE, colClasses = e$classes)
  for (name in names(e$levels)) d[[name]] <- factor(d[[name]], levels = e$levels[[name]], ordered = name %in% e$ordered)
  d
})
formulas <- readLines(file.path(dir, "formulas.txt"), encoding = "UTF-8")
which_frame <- as.integer(readLines(file.path(dir, "which.txt"))) + 1
text <- file(file.path(dir, "names.txt"), "w", encoding = "UTF-8")
values <- file(file.path(dir, "values.bin"), "wb")
for (i in seq_along(formulas)) {
  d <- frames[[which_frame[i]]]
  found <- tryCatch(suppressWarnings({
    f <- as.formula(formulas[i])
    used <- intersect(all.vars(terms(f, data = d)), names(d))
    mf <- model.frame(f, d[complete.cases(d[used]), , drop = FALSE], drop.unused.levels = TRUE)
    offset <- model.offset(mf)
    list(x = model.matrix(attr(mf, "terms"), mf), y = as.numeric(model.response(mf)),
         offset = if (is.null(offset)) numeric() else as.numeric(offset))
  }), error = function(e) conditionMessage(e))
  if (is.character(found)) {
    writeLines(c("-1", gsub("\n", " ", found)), text)
  } else {
    writeLines(as.character(c(ncol(found$x), colnames(found$x))), text)
    writeBin(c(nrow(found$x), length(found$offset), as.numeric(found$x), found$y, found$offset), values)
  }
}
close(text); close(values)
"""


@dataclass(frozen=True)
class RMatrix:
    """What R's ``model.matrix`` made, or the message with which it refused."""

    names: list[str]
    values: np.ndarray
    outcome: np.ndarray
    offset: np.ndarray
    error: str | None = None


def rscript(code: str, *args: str) -> str:
    """Standard output of an R program, in the C locale."""
    program = shutil.which("Rscript")
    assert program is not None, "Rscript is not on the path; install R (r-base-core)"
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "LC_COLLATE": "C", "TZ": "UTC"}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "program.R")
        file.write_text(code, encoding="utf-8")
        done = subprocess.run(
            [program, "--vanilla", str(file), *args], capture_output=True, text=True, env=environment, check=False
        )
    assert done.returncode == 0, done.stderr
    return done.stdout


def model_matrices(frames: Sequence[pd.DataFrame], questions: Sequence[tuple[int, str]]) -> list[RMatrix]:
    """R's model matrices of formulas, each with the number of its frame; rows with missing values left out."""
    with tempfile.TemporaryDirectory() as folder:
        for i, frame in enumerate(frames):
            _write(frame, i, Path(folder))
        Path(folder, "formulas.txt").write_text("".join(f"{formula}\n" for _, formula in questions), encoding="utf-8")
        Path(folder, "which.txt").write_text("".join(f"{i}\n" for i, _ in questions), encoding="utf-8")
        rscript(MODEL_MATRIX, folder)
        lines = Path(folder, "names.txt").read_text(encoding="utf-8").splitlines()
        values = np.fromfile(Path(folder, "values.bin"))
    out, at, start = [], 0, 0
    for _ in questions:
        count = int(lines[at])
        if count < 0:
            out.append(RMatrix([], np.empty((0, 0)), np.empty(0), np.empty(0), lines[at + 1]))
            at += 2
            continue
        rows, offsets = int(values[start]), int(values[start + 1])
        ends = start + 2 + np.cumsum([0, rows * count, rows, offsets])
        x, y, offset = (values[a:b] for a, b in pairwise(ends))
        out.append(RMatrix(lines[at + 1 : at + 1 + count], x.reshape(count, rows).T, y, offset))
        at, start = at + 1 + count, int(ends[-1])
    return out


def _write(frame: pd.DataFrame, i: int, folder: Path) -> None:
    """A frame as csv, and what R must know about its columns."""
    classes, levels, ordered = [], [], []
    for name, column in frame.items():
        if isinstance(column.dtype, pd.CategoricalDtype):
            classes.append("character")
            listed = ", ".join(quoted(str(level)) for level in column.cat.categories)
            levels.append(f"{quoted(str(name))} = c({listed})")
            ordered += [quoted(str(name))] if column.cat.ordered else []
        else:
            dates = "Date" if column.dtype == "datetime64[s]" else "POSIXct"
            kinds = {"b": "logical", "i": "integer", "f": "numeric", "M": dates}
            classes.append(kinds.get(column.dtype.kind, "character"))
    listing = ", ".join(quoted(kind) for kind in classes)
    code = f"classes <- c({listing})\nlevels <- list({', '.join(levels)})\nordered <- c({', '.join(ordered)})\n"
    Path(folder, f"levels{i}.R").write_text(code, encoding="utf-8")
    written = frame.copy()
    for name, column in frame.items():
        if column.dtype.kind == "b":
            written[name] = np.where(column, "TRUE", "FALSE")
    written.to_csv(folder / f"frame{i}.csv", index=False, na_rep="NA", float_format="%.17g")


def quoted(text: str) -> str:
    """Text as an R string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
