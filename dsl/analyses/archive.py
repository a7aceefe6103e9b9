"""Replication archives: a fit, and all that a reviewer needs to make its numbers again, in one zip file.

An archive holds data and texts. Nothing in it is run by whoever reads it here: the call is stored as data, as in files of
results (`dsl.analyses.stored`), and `dsl.replicate` makes the fit again from it. The script in it is for people to read, and to
run if they want to.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_info

from dsl._typing import AnyArray, Record
from dsl._version import __version__
from dsl.analyses.stored import UNREADABLE, fit_of_bytes, fit_to_bytes
from dsl.data.arguments import check_flags
from dsl.data.design import aligned
from dsl.data.files import PathLike, as_path
from dsl.data.fingerprint import fingerprint
from dsl.data.formula.rlang.evaluate import is_constant
from dsl.data.kinds import Kind
from dsl.data.packed import Packer, Unpacker
from dsl.data.stored_design import design_arrays
from dsl.data.tables import TableLike, column_names, to_pandas
from dsl.data.trail import TrailLike, record_of, trails_of
from dsl.data.typed import column_types
from dsl.data.zipped import arrays_of_bytes, arrays_to_bytes, read_zip, write_zip
from dsl.estimators.again import check_same_data
from dsl.estimators.result import Fit
from dsl.exceptions import ArgumentError, FileError
from dsl.reports.page.rerun import PACKAGES, code, session
from dsl.reports.page.write import report_html
from dsl.reports.summary import summarize

FORMAT, VERSION = "dsl replication archive", 1
FACTS, RESULTS, DATA, TABLE = "archive.json", "results.npz", "data.npz", "table"
ANNOTATION = "annotation"
"""Where `dsl.annotate` leaves the trail in a table's ``attrs``."""
CONTENTS = {
    "replicate.py": "the call, as a script to read: python replicate.py data.csv, where the archive was unpacked",
    "estimates.csv": "coefficients, standard errors, intervals",
    "covariance.csv": "covariance matrix of the estimates",
    "summary.txt": "the summary",
    "report.html": "a page about the fit: comparison of estimators, diagnostics, methods",
    RESULTS: "the fit with its call, read by dsl.DSLResults.load",
    "gold.csv": "the gold labels, with the probabilities of being labelled where these were stated",
    "design.json": "how the labelled rows were drawn",
    "design.npz": "the same with all rows, read by dsl.sampling.LabelDesign.load",
    "design_log.jsonl": "every batch of an adaptive design, in order",
    "trail.json": "how a language model made the labels: model, versions, prompts, parameters",
    "folds.npy": "folds that were given",
    "trained_on.npy": "rows whose gold labels the predictions' maker has seen",
    "environment.json": "versions that the numbers were made with",
    "requirements.txt": "the same for pip install -r",
    "data.csv": "the columns of the analysis",
    DATA: "the same with their types, read by dsl replicate",
    FACTS: "SHA-256 of each of these, and of each column of the data",
}
"""All that an archive may hold, and what it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """What `read_archive` finds."""

    facts: Record
    """What it says about itself: versions, row labels, fingerprint of the folds."""
    fit: Fit
    """The fit without its rows, with its whole call."""
    data: pd.DataFrame | None
    """The columns of the analysis, where they are in it."""


class Archiving:
    """Results that can be archived."""

    _core: Fit

    def _rows(self, data: TableLike | None) -> TableLike:
        raise NotImplementedError

    def archive(
        self,
        path: PathLike,
        data: TableLike | None = None,
        *,
        include_data: bool = False,
        trail: TrailLike | None = None,
        log: PathLike | None = None,
        alpha: float = 0.05,
        n_jobs: int = 1,
    ) -> Path:
        """Write one zip file with all that a reviewer needs to make the numbers again, which `dsl.replicate` does.

        It holds the call as data, hashes of the data's columns, gold labels and how they were drawn, prompts and other facts
        about labels from a language model, versions, a script to read, the report and the numbers. `dsl.replicate` runs nothing
        in it.

        Parameters
        ----------
        path : str or Path
            Ends in ``.zip``. An archive that is there is replaced.
        data : data frame, optional
            Those of the fit, for results that were read from a file.
        include_data : bool
            Whether the columns of the analysis go into the archive. By default only their hashes and the gold labels do.
        trail : path, Trail or mapping, optional
            How a language model made the labels, as in `report`. By default what `dsl.annotate` left in the table's ``attrs``.
        log : str or Path, optional
            The log of a `dsl.AdaptiveDesign`, with every batch.
        alpha : float
            One minus the level of intervals in the tables and the report.
        n_jobs : int
            As in `dsl.dsl`, for the fits of the report's comparison.

        Raises
        ------
        ArgumentError
            The fit needs code that is no data: a learner that is an object, a formula that calls a function of yours.
        FileError
            The file cannot be written, or the log not be read.

        Examples
        --------
        >>> import dsl, pathlib, tempfile, zipfile
        >>> posts = dsl.datasets.simulate_linear(n=1000, n_labels=300, seed=1)
        >>> fit = dsl.dsl(data=posts, sl_method="lm", sample_split=2, **posts.attrs["call"])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = fit.archive(pathlib.Path(folder) / "replication.zip")
        ...     "estimates.csv" in zipfile.ZipFile(path).namelist()
        True
        """
        if isinstance(data, bool):
            raise ArgumentError("data is the table of the fit; include_data=True puts its columns into the archive")
        write_archive(
            self._core,
            path,
            self._rows(data),
            include_data=include_data,
            trail=trail,
            log=log,
            alpha=alpha,
            n_jobs=n_jobs,
        )
        return as_path(path)


def write_archive(
    fit: Fit,
    path: PathLike,
    data: TableLike,
    *,
    include_data: bool = False,
    trail: TrailLike | None = None,
    log: PathLike | None = None,
    alpha: float = 0.05,
    n_jobs: int = 1,
) -> None:
    """Write an archive. See `Archiving.archive`."""
    check_flags(include_data=include_data)
    if as_path(path).suffix.lower() != ".zip":
        raise ArgumentError(f"path must end in .zip; found '{path}'")
    _check_whole(fit)
    check_same_data(fit, data)
    frame = to_pandas(data, list(fit.sample.fingerprint))
    trail = _own_trail(data) if trail is None else trail
    labels = _row_labels(frame)
    # levels that the fit keeps anyway: of clusters, for one, they would name people
    types = column_types(frame, [name for name, levels in fit.predictor.spec.kinds.items() if levels is not None])
    entries: dict[str, bytes] = {
        "replicate.py": _text(_script(fit, labels, types)),
        "estimates.csv": _text(fit.tidy(alpha=alpha).to_csv(index=False, lineterminator="\n")),
        "covariance.csv": _csv(pd.DataFrame(fit.vcov, index=pd.Index(fit.names, name="term"), columns=list(fit.names))),
        "summary.txt": _text(f"{summarize(fit, alpha=alpha, title=None, terms=list(fit.names))}\n"),
        "report.html": _text(report_html(fit, data, trail=trail, alpha=alpha, n_jobs=n_jobs, date="")),
        RESULTS: fit_to_bytes(replace(fit.without_rows(), call=fit.call)),
        "gold.csv": _csv(_gold(fit, frame)),
        **_drawn(fit, frame, log),
        "environment.json": _json(environment()),
        "requirements.txt": _text(_requirements()),
    }
    if trail is not None:
        entries["trail.json"] = _json(record_of(trails_of(trail)))
    if include_data:
        entries |= {"data.csv": _csv(frame), DATA: _packed(frame)}
    facts = {
        "format": FORMAT,
        "version": VERSION,
        "made_by": __version__,
        "formula": fit.call.formula_text,
        "rows": fit.sample.n_input,
        "row_labels": labels,
        "columns": dict(fit.sample.fingerprint),
        "types": types,
        "folds": folds_fingerprint(fit),
        "environment": environment(),
        "entries": {name: sha256(content).hexdigest() for name, content in entries.items()},
    }
    entries[FACTS] = _json(facts)
    write_zip(path, {"README.txt": _text(_readme(facts)), **entries})


def read_archive(path: PathLike) -> Archive:
    """Read an archive. Nothing in it is run.

    Raises
    ------
    FileError
        No such file, no archive, a damaged one, one that was changed, or one of another version.
    """
    where, entries = f"'{as_path(path)}'", read_zip(path, "a replication archive")
    entries.pop("README.txt", None)
    facts = _facts(entries, where)
    named = facts["entries"]
    if set(named) != set(entries) or not set(named) <= set(CONTENTS):
        odd = sorted(set(named) ^ set(entries) | set(named) - set(CONTENTS))
        raise FileError(
            f"{where} holds other files than it says, '{odd[0]}' among them; use it as fit.archive wrote it"
        )
    other = [name for name, content in entries.items() if sha256(content).hexdigest() != named[name]]
    if other:
        raise FileError(
            f"'{other[0]}' in {where} was changed after the archive was made; use it as fit.archive wrote it"
        )
    if RESULTS not in entries:
        raise FileError(f"{where} has no '{RESULTS}'; use it as fit.archive wrote it")
    return Archive(
        facts=facts,
        fit=fit_of_bytes(entries[RESULTS], f"'{RESULTS}' in {where}"),
        data=_unpacked(entries[DATA], f"'{DATA}' in {where}") if DATA in entries else None,
    )


def environment() -> dict[str, str]:
    """Versions of what the numbers depend on, and the library of linear algebra with the processor that it chose."""
    found = {
        f"{each['internal_api']} {each.get('version')} ({each.get('architecture', 'any processor')})"
        for each in threadpool_info()
        if each.get("user_api") == "blas"
    }
    return {"dsl": __version__, **session(), **({"linear algebra": ", ".join(sorted(found))} if found else {})}


def folds_fingerprint(fit: Fit) -> str | None:
    """Hash of the folds of every split, None where there are none."""
    return None if fit.splits.folds is None else fingerprint(np.asarray(fit.splits.folds, dtype=np.int64))


def _facts(entries: dict[str, bytes], where: str) -> Record:
    """What the archive says about itself."""
    try:
        facts: Record = json.loads(entries.pop(FACTS))
        right = facts["format"] == FORMAT and isinstance(facts["entries"], dict) and isinstance(facts["version"], int)
    except (KeyError, ValueError, TypeError):
        right = False
    if not right:
        raise FileError(f"{where} is no replication archive, or is damaged; use one that fit.archive wrote")
    if facts["version"] != VERSION:
        raise FileError(
            f"{where} has format {facts['version']}, written by dsl {facts.get('made_by')}; this version reads format {VERSION}"
        )
    return facts


def _check_whole(fit: Fit) -> None:
    """Raise ArgumentError for a fit that cannot be made again from what an archive holds."""
    if not fit.whole:
        raise ArgumentError("remove_data() dropped the rows of the fit; write the archive before that")
    yours = [name for name, value in fit.predictor.spec.functions.items() if not is_constant(value)]
    if yours:
        raise ArgumentError(
            f"the formula calls '{yours[0]}', which is code of yours, and an archive holds none: compute the column before the "
            "call, or use a function of R's or numpy's that formulas know"
        )


def _own_trail(data: TableLike) -> TrailLike | None:
    """The trail that `dsl.annotate` left in a table."""
    found: TrailLike | None = getattr(data, "attrs", {}).get(ANNOTATION)
    return found


def _row_labels(frame: pd.DataFrame) -> str | None:
    """Name of the rows' labels, None where they are numbered."""
    if isinstance(frame.index, pd.RangeIndex) and frame.index.name is None:
        return None
    return str(frame.index.name or "row")


def _gold(fit: Fit, frame: pd.DataFrame) -> pd.DataFrame:
    """The gold labels, with the probabilities with which they were drawn."""
    call, predicted = fit.call, list(fit.call.predicted_var)
    out = frame[[*predicted, *dict.fromkeys(filter(None, (call.labeled, call.sample_prob)))]]
    if call.design is not None:
        out = out.assign(sample_prob=aligned(call.design, frame.index).prob)
    return out[frame[predicted].notna().any(axis=1)]


def _drawn(fit: Fit, frame: pd.DataFrame, log: PathLike | None) -> dict[str, bytes]:
    """How rows were drawn, and what else the call says about single rows."""
    out, call = {}, fit.call
    if call.design is not None:
        design = call.design
        facts = {"kind": design.kind, "rows": len(design), "drawn": design.n_drawn, "fingerprint": design.fingerprint}
        out["design.json"] = _json({**facts, "settings": dict(design.settings)})
        out["design.npz"] = arrays_to_bytes(design_arrays(design))
    if log is not None:
        try:
            out["design_log.jsonl"] = as_path(log, "log").read_bytes()
        except OSError as error:
            raise FileError(
                error.errno, f"the log '{log}' cannot be read ({error.strerror}); look at the path"
            ) from None
    if call.folds is not None:
        out["folds.npy"] = _npy(np.asarray(call.folds))
    if call.trained_on is not None and not isinstance(call.trained_on, str):
        given = call.trained_on
        mask = frame.index.isin(given) if isinstance(given, pd.Index) else given
        out["trained_on.npy"] = _npy(np.asarray(mask, dtype=bool))
    return out


def _script(fit: Fit, labels: str | None, types: Mapping[str, Record]) -> str:
    """Lines that make all numbers again, for people."""
    read = f"pd.read_csv({', '.join(['sys.argv[1]', *_reading(types)])})"
    read += f".set_index({labels!r}, drop=False)" if labels else ""
    supplied = {
        "data": f"{read}  # or as your table is stored",
        "design": 'dsl.sampling.LabelDesign.load("design.npz")',
        "folds": 'np.load("folds.npy")',
        "trained_on": 'np.load("trained_on.npy")',
    }
    lines = code(fit, None, supplied, ("import sys", "import numpy as np", "import pandas as pd"))
    return "\n".join(
        [
            '"""The numbers of this archive again. usage: python replicate.py data.csv, where it was unpacked."""',
            lines,
            'archived = pd.read_csv("estimates.csv")',
            'difference = (fit.tidy()[["estimate", "std_error"]] - archived[["estimate", "std_error"]]).abs().max(axis=None)',
            'print(f"largest difference from estimates.csv: {difference:.3g}")',
            'fit.report("report_again.html", data)',
            "",
        ]
    )


def _reading(types: Mapping[str, Record]) -> list[str]:
    """Arguments with which pandas reads a CSV file's columns as they were."""
    kinds, dates = [], []
    for name, facts in types.items():
        if "levels" in facts:
            kinds.append(f"{name!r}: pd.CategoricalDtype({facts['levels']!r}, ordered={facts['ordered']})")
        elif facts["kind"] == Kind.TEXT.value:
            kinds.append(f"{name!r}: str")
        elif facts["kind"] != Kind.CATEGORY.value:
            dates.append(name)
    return [*([f"dtype={{{', '.join(kinds)}}}"] if kinds else []), *([f"parse_dates={dates!r}"] if dates else [])]


def _readme(facts: Record) -> str:
    """What a reviewer reads first."""
    has_data, labels = DATA in facts["entries"], facts["row_labels"]
    command = "dsl replicate replication.zip" + (
        "" if has_data else " data.csv" + (f" --id {labels}" if labels else "")
    )
    rows = f"{facts['rows']:,} rows" + (f", known by the labels in '{labels}'" if labels else "")
    lines = [
        f"Replication archive of {facts['formula']}",
        "",
        f"    pip install -r requirements.txt\n    {command}",
        "",
        "makes the fit again, compares every number with this archive, and says what differs. The data are "
        + ("in the archive" if has_data else "not in the archive")
        + f" ({rows}; columns {', '.join(facts['columns'])}). Files:",
        "",
        *(f"{name}: {what}" for name, what in CONTENTS.items() if name in facts["entries"] or name == FACTS),
        "",
    ]
    return "\n".join(lines)


def _requirements() -> str:
    pins = [f"dsl=={__version__}"]
    for name in PACKAGES:
        try:
            pins.append(f"{name}=={version(name)}")
        except PackageNotFoundError:  # vendored
            continue
    return "\n".join([*pins, ""])


def _text(content: str) -> bytes:
    return content.encode("utf-8")


def _json(record: Mapping[str, object]) -> bytes:
    return _text(json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _csv(table: pd.DataFrame) -> bytes:
    """A table with its row labels, where it has some, numbers in full."""
    labels = _row_labels(table)
    several = isinstance(table.index, pd.MultiIndex)
    # labels that are a column too stand there once
    shown = labels is not None and labels not in table.columns
    return _text(str(table.to_csv(index=shown, index_label=None if several else labels, lineterminator="\n")))


def _npy(array: AnyArray) -> bytes:
    out = BytesIO()
    np.save(out, array, allow_pickle=False)
    return out.getvalue()


def _packed(frame: pd.DataFrame) -> bytes:
    """A table with its types, as arrays."""
    packer = Packer({})
    facts = packer.pack(frame)
    if packer.objects:
        odd = [str(name) for name in column_names(frame) if _needs_objects(frame[[name]])]
        raise ArgumentError(
            f"column '{odd[0] if odd else 'of row labels'}' holds values that are no numbers, texts or dates, and cannot be "
            "archived: recode it before the call"
        )
    return arrays_to_bytes(
        {**packer.arrays, TABLE: np.frombuffer(json.dumps(facts, allow_nan=False).encode(), dtype=np.uint8)}
    )


def _needs_objects(column: pd.DataFrame) -> bool:
    packer = Packer({})
    packer.pack(column.reset_index(drop=True))
    return bool(packer.objects)


def _unpacked(content: bytes, where: str) -> pd.DataFrame:
    try:
        arrays = arrays_of_bytes(content, where)
        table = Unpacker({}, arrays).unpack(json.loads(arrays.pop(TABLE).tobytes()))
        if not isinstance(table, pd.DataFrame):
            raise ValueError("it holds no table")
    except UNREADABLE as error:
        raise FileError(f"{where} cannot be read ({error}); use the archive as fit.archive wrote it") from error
    return table
