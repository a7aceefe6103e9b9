"""Data files of R without R: a file that R 4.2.2 and haven 2.5.1 wrote, and what haven's ``is.na`` said of its columns."""

import base64
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl.r import read_rds

LABELLED = """
/Td6WFoAAAFpIt42AgAhARYAAAB0L+Wj4AY3AbtdACwCfBn5r/QdO56YNX7q0PQhTbNFUsa9mj0VBIbpIM6S3seVQ98Biax2zu3edSlYWKg9dUUPXicx
qx1IFHx6nu9OISJv4/8Q9uH5aptLKClJik6eVgQbqEuLJrSAo0y6CfdC/6dl9lFTN53+QkIiVEwgot5mW9URRrTdzknAvNB9NxeieedzgYqqdF/MYTP6
b4faOQ43wvyTvvCNOMIM0rG1S0AOwzdLKETo/PkPG5hbZeXiBMn9W/wS0OCuhzmQ8awoEqRN26BeBks2HJQpQisAmkV18yYhVXp7r0yHj+D8jpUK1Nb/
bPa+cfOrR1ar8gU0sJMdP8WNaDNavmCD94T9vK2M5kXtW+2QFs5j6+P5Hqnm52vsv0//Npt0SjWvemIbxjVD+xS7Td5wZuMTXdcJNMnZ8RMysBADctpX
4nOCEasNMXt0XIdIJ846yuLfqVVRqTT8sRuU6cC6E7XyCZ2jInxsG6wxq7v3R9T4pztp7qW09Jt9ZqJgXHePuWQzCn3hb9qDzIm3J33rDIga2rYZ0Qh4
xBNLGkZcMLAzvvi2edLWt3IH60Zi9mpI250GtDFT+ykTFrN6EswAAADssnRkAAHTA7gMAACdX4PBPjANiwIAAAAAAVla
"""
IS_NA = {
    "number": "001111",  # labelled_spss(c(0, 1, -9, NA, 98, 99), na_values = -9, na_range = c(98, Inf))
    "whole": "001110",  # labelled_spss(c(0L, 1L, -9L, NA, -8L, 4L), na_values = c(-9L, -8L))
    "text": "011000",  # labelled_spss(c("a", "REF", NA, "b", "a", "REF "), na_values = "REF")
    "tagged": "011000",  # labelled(c(1, tagged_na("a"), NA, 2, 3, 4))
    "labels": "000000",  # labelled(c(1, 2, 3, 4, -9, 0), c(lo = 1, missing = -9))
    "range": "001011",  # labelled_spss(c(1L, 2L, -5L, 4L, -1L, NA), na_range = c(-10, -1))
}


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    file = tmp_path / "labelled.rds"
    file.write_bytes(base64.b64decode(LABELLED))
    return file


def test_missing_as_haven_says(labelled: Path) -> None:
    table = read_rds(labelled)
    assert isinstance(table, pd.DataFrame)
    assert {name: "".join(map(str, table[name].isna().astype(int))) for name in table} == IS_NA
    assert table["whole"].dtype == "Int64"
    assert table["labels"].tolist() == [1.0, 2.0, 3.0, 4.0, -9.0, 0.0]
    assert table["text"].dropna().tolist() == ["a", "b", "a", "REF "]


def test_a_fit_does_not_count_declared_values_as_labels(labelled: Path) -> None:
    """Three rows have a gold value; -9, 98 and 99 are no labels."""
    table = pd.concat([read_rds(labelled)] * 40, ignore_index=True)
    rng = np.random.default_rng(1)
    table = table.assign(x=rng.normal(size=240), llm=rng.integers(0, 2, 240).astype(float))
    fit = dsl.dsl("x ~ number", table, predicted_var="number", prediction="llm", sl_method="lm", sample_split=1)
    assert fit.n_labeled == 80
