"""Values as JSON and arrays, and back, without a step that could run code.

What is known is written as it is: numbers, texts, arrays, containers, pandas' indexes and tables, and the classes that a fit
is made of. What is not (a learner of the user's, a specification of formulaic's) is set aside in `Packer.objects`, which
whoever reads the file decides about.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import pandas as pd

from dsl._typing import AnyArray, Record

Json = Any
"""What `json` reads and writes."""
PLAIN = "biufmMUS"
"""Kinds of numpy's types that an ``.npy`` file holds without objects."""


class Packer:
    """Turns values into JSON. Arrays and objects are collected on the way.

    Parameters
    ----------
    classes : mapping of str to class
        Dataclasses that may occur, by the name that stands for them in a file.
    special : mapping of class to function
        Classes whose values are packed by a function of the packer and the value.
    """

    def __init__(
        self, classes: Mapping[str, type], special: Mapping[type, "Callable[[Packer, Any], Json]"] | None = None
    ) -> None:
        self.names = {kind: name for name, kind in classes.items()}
        self.special = special or {}
        self.arrays: dict[str, AnyArray] = {}
        self.objects: list[object] = []

    def pack(self, value: object) -> Json:
        """The value as JSON."""
        if value is None or isinstance(value, bool | int | str):
            return value
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else {"float": repr(float(value))}
        for kind, function in self.special.items():
            if isinstance(value, kind):
                return function(self, value)
        if isinstance(value, tuple | list | set | frozenset):
            return {type(value).__name__: [self.pack(each) for each in value]}
        if isinstance(value, Mapping):
            return {"dict": [[self.pack(key), self.pack(each)] for key, each in value.items()]}
        if type(value) in self.names:
            return self.fields(value)
        return self._table(value)

    def fields(self, value: Any, kind: type | None = None) -> Json:
        """A dataclass, by its fields (those of `kind`, a class that it is derived from)."""
        kind = kind or type(value)
        return {"class": self.names[kind], "fields": {f.name: self.pack(getattr(value, f.name)) for f in fields(kind)}}

    def _table(self, value: object) -> Json:
        if isinstance(value, np.ndarray | np.generic):
            array = np.asarray(value)
            return {"array": self._kept(array)} if array.dtype.kind in PLAIN else self._texts(array)
        if isinstance(value, pd.DataFrame):
            columns = [self._values(value.iloc[:, j]) for j in range(value.shape[1])]
            return {"frame": columns, "columns": self.pack(value.columns), "index": self.pack(value.index)}
        if isinstance(value, pd.RangeIndex):
            return {"range": [value.start, value.stop, value.step], "name": self.pack(value.name)}
        if isinstance(value, pd.MultiIndex):
            levels, codes = [self.pack(each) for each in value.levels], [self.pack(np.asarray(c)) for c in value.codes]
            return {"levels": levels, "codes": codes, "names": [self.pack(name) for name in value.names]}
        if isinstance(value, pd.Index):
            return {"index": self._values(value), "name": self.pack(value.name)}
        return self.object(value)

    def object(self, value: object) -> Json:
        """A value that JSON cannot hold, set aside."""
        self.objects.append(value)
        return {"object": len(self.objects) - 1}

    def _kept(self, array: AnyArray) -> str:
        name = f"a{len(self.arrays)}"
        self.arrays[name] = array
        return name

    def _texts(self, array: AnyArray) -> Json:
        """An array of objects, if these are plain."""
        flat = array.ravel().tolist()
        if not all(each is None or isinstance(each, bool | int | float | str) for each in flat):
            return self.object(array)
        return {"texts": [self.pack(each) for each in flat], "shape": list(array.shape)}

    def _values(self, column: pd.Series | pd.Index) -> Json:
        """Values of a column or an index."""
        kind = column.dtype
        if isinstance(kind, pd.CategoricalDtype):
            codes, categories = self.pack(np.asarray(pd.Series(column).cat.codes)), self.pack(kind.categories)
            return {"codes": codes, "categories": categories, "ordered": bool(kind.ordered)}
        if isinstance(kind, pd.DatetimeTZDtype):
            moments = pd.DatetimeIndex(column).tz_convert("UTC").tz_localize(None).to_numpy()
            return {"moments": self.pack(moments), "zone": str(kind.tz)}
        if isinstance(kind, np.dtype) and kind.kind in PLAIN:
            return self.pack(column.to_numpy())
        plain = [None if each is pd.NA else each for each in column.tolist()]
        if all(each is None or isinstance(each, bool | int | float | str) for each in plain):
            return {"column": [self.pack(each) for each in plain], "dtype": str(kind)}
        return self.object(column)


class Unpacker:
    """Turns JSON back into values.

    Parameters
    ----------
    classes : mapping of str to class
    arrays : mapping of str to array
    objects : sequence
        What was set aside.
    special : mapping of str to function
        How objects with this first key are read, by a function of the unpacker and the object.

    Raises
    ------
    KeyError, TypeError, ValueError
        The JSON is not what a `Packer` writes.
    """

    def __init__(
        self,
        classes: Mapping[str, type],
        arrays: Mapping[str, AnyArray],
        objects: Sequence[object] = (),
        special: "Mapping[str, Callable[[Unpacker, Record], object]] | None" = None,
    ) -> None:
        self.classes = classes
        self.arrays = arrays
        self.objects = objects
        self.special = special or {}

    def unpack(self, value: Json) -> Any:
        """The value of a piece of JSON."""
        if not isinstance(value, dict):
            return value
        first = next(iter(value))
        if first in self.special:
            return self.special[first](self, value)
        return _READERS[first](self, value)

    def each(self, values: Sequence[Json]) -> list[Any]:
        """The values of several."""
        return [self.unpack(value) for value in values]

    def array(self, value: Record) -> Any:
        """An array, or one of numpy's numbers."""
        found = self.arrays[value["array"]]
        return found if found.ndim else found[()]

    def texts(self, value: Record) -> AnyArray:
        """An array of plain objects."""
        out = np.empty(len(value["texts"]), dtype=object)
        out[:] = self.each(value["texts"])
        return out.reshape(value["shape"])

    def instance(self, value: Record) -> object:
        """One of the known classes."""
        return self.classes[value["class"]](**{name: self.unpack(each) for name, each in value["fields"].items()})

    def frame(self, value: Record) -> pd.DataFrame:
        """A table."""
        index = self.unpack(value["index"])
        each = [self.values(column) for column in value["frame"]]
        # dtypes as they were: pandas takes an array of objects that are texts for texts
        columns = {j: pd.Series(column, index=index, dtype=column.dtype) for j, column in enumerate(each)}
        return pd.DataFrame(columns, index=index).set_axis(self.unpack(value["columns"]), axis=1)

    def values(self, value: Record) -> Any:
        """A column of pandas'."""
        if "categories" in value:
            categories = self.unpack(value["categories"])
            return pd.Categorical.from_codes(self.unpack(value["codes"]), categories, ordered=value["ordered"])
        if "moments" in value:
            return pd.DatetimeIndex(self.unpack(value["moments"])).tz_localize("UTC").tz_convert(value["zone"])
        if "column" in value:
            plain = self.each(value["column"])
            # pandas 3 has texts of its own, which are objects before: there "str" would make a text of a missing value
            own = value["dtype"] != "str" or isinstance(pd.Series(["a"]).dtype, pd.StringDtype)
            if value["dtype"] != "object" and own:
                return pd.array(plain, dtype=value["dtype"])
            return self.texts({"texts": plain, "shape": [len(plain)]})
        return self.unpack(value)

    def index(self, value: Record) -> pd.Index:
        """An index of one level."""
        values = self.values(value["index"])
        out: pd.Index = pd.Index(values, dtype=values.dtype, name=self.unpack(value["name"]))
        return out

    def range(self, value: Record) -> pd.RangeIndex:
        """Row numbers."""
        start, stop, step = value["range"]
        return pd.RangeIndex(start, stop, step, name=self.unpack(value["name"]))

    def multi(self, value: Record) -> pd.MultiIndex:
        """An index of several levels."""
        levels, codes = self.each(value["levels"]), self.each(value["codes"])
        return pd.MultiIndex(levels=levels, codes=codes, names=self.each(value["names"]))


_READERS: Mapping[str, Callable[[Unpacker, Record], Any]] = {
    "float": lambda made, value: float(value["float"]),
    "tuple": lambda made, value: tuple(made.each(value["tuple"])),
    "list": lambda made, value: made.each(value["list"]),
    "set": lambda made, value: set(made.each(value["set"])),
    "frozenset": lambda made, value: frozenset(made.each(value["frozenset"])),
    "dict": lambda made, value: {made.unpack(key): made.unpack(each) for key, each in value["dict"]},
    "array": Unpacker.array,
    "texts": Unpacker.texts,
    "class": Unpacker.instance,
    "frame": Unpacker.frame,
    "range": Unpacker.range,
    "levels": Unpacker.multi,
    "index": Unpacker.index,
    "object": lambda made, value: made.objects[value["object"]],
}
