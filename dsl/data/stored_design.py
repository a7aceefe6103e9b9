"""Designs on disk: one ``.npz`` file, no pickle, with a checksum over everything in it."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from dsl._typing import AnyArray, Record
from dsl.data.design import ARRAYS, SamplingDesign
from dsl.data.files import read_from, write_arrays
from dsl.engine.labeling import Labeling
from dsl.exceptions import DesignError

FORMAT = "dsl label design"
VERSION = 1
NESTED = 2
"""Version of files with nested designs."""


def save_design(design: SamplingDesign, path: str | Path) -> None:
    """Write a design. See `dsl.sampling.LabelDesign.save`."""
    write_arrays(path, design_arrays(design))


def design_arrays(design: SamplingDesign) -> dict[str, AnyArray]:
    """What the file of a design holds. Raises DesignError for row labels that are neither whole numbers nor text."""
    arrays = _arrays(design)
    arrays["rows"], labels = _packed(design.rows)
    version = VERSION if design.within is None else NESTED
    facts = {"format": FORMAT, "version": version, "labels": labels, **_facts_of(design)}
    # sorted, so that the same facts give the same text and checksum
    text = json.dumps(facts, sort_keys=True)
    return {"facts": np.array(text), "checksum": np.array(_checksum(text, arrays)), **arrays}


def _arrays(design: SamplingDesign, prefix: str = "") -> dict[str, AnyArray]:
    """Arrays of a design and, if it is nested, of the designs before it, whose names begin with a prefix each."""
    out = {prefix + name: getattr(design, name) for name in ARRAYS if getattr(design, name) is not None}
    if design.within is not None and design.inner is not None:
        inner = {name: getattr(design.inner, name) for name in ARRAYS if getattr(design.inner, name) is not None}
        out |= {f"{prefix}inner_{name}": value for name, value in inner.items()}
        out |= _arrays(design.within, f"{prefix}within_")
    return out


def _facts_of(design: SamplingDesign) -> Record:
    out: Record = {"kind": design.kind, "fixed_size": design.fixed_size, "settings": dict(design.settings)}
    if design.within is not None and design.inner is not None:
        out |= {"inner": design.inner.fixed_size, "within": _facts_of(design.within)}
    return out


def _design_of(facts: Record, arrays: Mapping[str, AnyArray], rows: pd.Index, prefix: str = "") -> Record:
    """The parts of a design, that of the one before it in `within`."""
    out: Record = {name: facts[name] for name in ("kind", "fixed_size", "settings")}
    out |= {"rows": rows, **{name: arrays[prefix + name] for name in ARRAYS if prefix + name in arrays}}
    if "within" in facts:
        inner = {name: arrays[own] for name in ARRAYS if (own := f"{prefix}inner_{name}") in arrays}
        out["inner"] = Labeling(fixed_size=facts["inner"], **inner)
        out["within"] = _design_of(facts["within"], arrays, rows, f"{prefix}within_")
    return out


def load_parts(path: str | Path) -> Record:
    """The parts of a saved design, by the names under which `LabelDesign` takes them. See `LabelDesign.load`."""
    with read_from(path, "a saved design", DesignError) as target:
        return _parts(target)


def _parts(path: Path) -> Record:
    parts = _read(path)
    text = str(parts.pop("facts"))
    checksum = str(parts.pop("checksum"))
    facts = _facts(text, path)
    # before anything of it is used
    if _checksum(text, parts) != checksum:
        raise DesignError(
            f"'{path}' was changed after it was saved: its checksum does not fit its contents. Probabilities that were edited "
            "make every estimate wrong; use the file as it was saved, or draw a new design"
        )
    rows = _unpacked(parts.pop("rows"), facts["labels"])
    return _design_of(facts, parts, rows)


def _read(path: Path) -> dict[str, AnyArray]:
    """Arrays of the file."""
    # no pickle: reading a file from somebody else must not run code
    with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
        parts = {name: stored[name] for name in stored.files}
    # all that must be there, and nothing else
    known = {
        name for name in parts if name.removeprefix("inner_").rsplit("within_")[-1].removeprefix("inner_") in ARRAYS
    }
    if {"facts", "checksum", "rows", "prob", "drawn"} <= set(parts) <= {"facts", "checksum", "rows", *known}:
        return parts
    raise DesignError(
        f"'{path}' is not a saved design, or is damaged (it holds {', '.join(parts) or 'nothing'}); use the file that "
        "design.save wrote"
    )


def _facts(text: str, path: Path) -> Record:
    try:
        facts: Record = json.loads(text)
        version = facts["version"] if facts["format"] == FORMAT else None
    except (ValueError, KeyError, TypeError):
        version = None
    if version is None:
        raise DesignError(f"'{path}' is not a saved design; use the file that design.save wrote")
    if version not in (VERSION, NESTED):
        raise DesignError(
            f"'{path}' has format {version}, written by another version of this package, which reads format {NESTED}; "
            'update it: pip install --upgrade "dsl"'
        )
    return facts


def _checksum(text: str, arrays: Mapping[str, AnyArray]) -> str:
    """SHA-256 of the facts and of every array's name, type, shape and bytes."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        # C order, so that a transposed copy has the same bytes
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode() + array.tobytes())
    return digest.hexdigest()


def _packed(rows: pd.Index) -> tuple[AnyArray, Record]:
    """Row labels as an array, and what is needed to make the same index of it."""
    name = rows.name if isinstance(rows.name, str) else None
    if isinstance(rows, pd.RangeIndex):
        return np.array([rows.start, rows.stop, rows.step]), {"kind": "range", "name": name}
    if pd.api.types.is_integer_dtype(rows.dtype):
        dtype = np.uint64 if pd.api.types.is_unsigned_integer_dtype(rows.dtype) else np.int64
        return rows.to_numpy(dtype=dtype), {"kind": "integer", "name": name}
    values = rows.tolist()
    if all(isinstance(value, str) for value in values):
        # JSON text as bytes, as numpy has no portable strings of any length without pickle
        return np.frombuffer(json.dumps(values).encode(), dtype=np.uint8), {"kind": "text", "name": name}
    odd = next(value for value in values if not isinstance(value, str))
    raise DesignError(
        f"row labels such as {odd!r} cannot be saved; give the data whole numbers or text as row labels, e.g. "
        "data.reset_index(), before the design is drawn"
    )


def _unpacked(values: AnyArray, labels: Record) -> pd.Index:
    if labels["kind"] == "range":
        start, stop, step = values.tolist()
        return pd.RangeIndex(start, stop, step, name=labels["name"])
    if labels["kind"] == "integer":
        whole: pd.Index = pd.Index(values, name=labels["name"])
        return whole
    text: pd.Index = pd.Index(json.loads(values.tobytes().decode()), name=labels["name"])
    return text
