"""R's days and seconds as dates, instants and spans, shared by the converter and the reader of data files."""

import numpy as np
import pandas as pd
from pandas.api.extensions import ExtensionArray

from dsl._typing import AnyArray, FloatArray

TEXT = pd.Series(["a"]).dtype
"""What pandas itself makes of texts: str from version 3 on, object before."""
SECONDS = {"secs": 1, "mins": 60, "hours": 3600, "days": 86_400, "weeks": 604_800}


def as_dates(days: FloatArray) -> AnyArray:
    """R's ``Date`` as an array of datetime.date, NaT where missing."""
    known = np.isfinite(days)
    # R's dates may have a fraction of a day, which its own printing cuts off
    out = np.where(known, np.floor(np.nan_to_num(days)), 0).astype("datetime64[D]").astype(object)
    out[~known] = pd.NaT
    return out


def as_instants(seconds: FloatArray, zone: str) -> ExtensionArray:
    """R's ``POSIXct`` in its time zone, UTC where it names none."""
    micro = _microseconds(seconds, 1).view("datetime64[us]")
    out: ExtensionArray = pd.DatetimeIndex(micro, tz="UTC").tz_convert(zone or "UTC").array
    return out


def as_spans(values: FloatArray, units: str) -> AnyArray:
    """R's ``difftime``."""
    return _microseconds(values, SECONDS[units]).view("timedelta64[us]")


def _microseconds(values: FloatArray, seconds: int) -> AnyArray:
    known = np.isfinite(values)
    out = np.round(np.nan_to_num(values) * seconds * 1e6).astype(np.int64)
    out[~known] = np.datetime64("NaT").astype(np.int64)
    return out
