"""Power in R: `power_dsl` of the R package dslpy against Python's, and ours against the reference's."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl.exceptions import DSLWarning
from dsl.planning.power import power_dsl
from tests.reference.cases import CASES, arguments, load_table

from .dslpy_session import SOURCE, Session, run
from .rscript import quoted

SAME = 1e-12
"""Relative: the same engine, numbers through R as doubles."""
REFERENCE = 1e-9
"""Relative: the same Jacobians and meats, another library's inverse."""


@pytest.fixture(scope="module")
def rscript(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """Standard output of an R program that can load dslpy, installed without the checks."""
    folder = tmp_path_factory.mktemp("power")
    library = folder / "library"
    library.mkdir()
    quick = ("--no-docs", "--no-byte-compile", "--no-test-load", f"--library={library}")
    installed = run("R", "CMD", "INSTALL", *quick, str(SOURCE), folder=folder)
    assert installed.returncode == 0, installed.stdout + installed.stderr
    with Session(library, folder) as session:
        session("library(dslpy)")
        yield session


def panel() -> tuple[pd.DataFrame, dict[str, object]]:
    data = dsl.datasets.simulate_panel(seed=5)
    return data, {
        "cluster": "unit",
        "index": ["unit", "year"],
        "fixed_effect": "twoways",
        "sl_method": "lm",
        "sample_split": 3,
    }


def test_numbers_of_python(rscript: Session, tmp_path: Path) -> None:
    data, call = panel()
    fit = dsl.dsl("y ~ x + z", data, model="felm", predicted_var="x", prediction="pred_x", **call)  # type: ignore[arg-type]
    program = f"""
    data <- dsl_data("panel", seed = 5)
    arguments <- list(model = "felm", formula = y ~ x + z, predicted_var = "x", prediction = "pred_x", data = data,
                      cluster = "unit", index = c("unit", "year"), fixed_effect = "twoways", sl_method = "lm",
                      sample_split = 3)
    fit <- do.call(dsl, arguments)
    file <- {quoted(str(tmp_path / "fit.rds"))}
    saveRDS(fit, file)
    found <- list(power_dsl(dsl_out = readRDS(file)), power_dsl(c(500, 1900), fit),
                  power_dsl(labeled_size = 1000, dsl_out = fit, drawn = "clusters"),
                  do.call(power_dsl, c(list(labeled_size = 1000), arguments)))
    for (one in found) cat(sprintf("%.17g", c(one$labeled_size, one$predicted_se)), sep = " ", fill = 1e6)
    stopifnot(identical(class(found[[1]]), c("dslpy_power", "power_dsl")), identical(found[[2]]$dsl_out, fit))
    """
    lines = rscript(program).splitlines()
    expected = [
        power_dsl(fit),
        power_dsl(fit, labeled_size=[500, 1900]),
        power_dsl(fit, labeled_size=1000, drawn="clusters"),
        power_dsl(fit, labeled_size=1000),
    ]
    assert len(lines) == len(expected)
    for line, power in zip(lines, expected, strict=True):
        values = np.concatenate([power.labeled_size, power.predicted_se.to_numpy().T.ravel()])
        np.testing.assert_allclose([float(value) for value in line.split()], values, rtol=SAME)


def test_methods_and_conditions(rscript: Session, tmp_path: Path) -> None:
    figure = tmp_path / "power.png"
    program = f"""
    posts <- dsl_data("linear", n = 600, n_labels = 200, seed = 1)
    call <- list(formula = Y ~ X1, predicted_var = "Y", prediction = "pred_Y", data = posts, sl_method = "lm")
    fit <- do.call(dsl, call)
    power <- power_dsl(c(300, 600), fit)
    print(power)
    stopifnot(is.data.frame(summary(power)), identical(rownames(summary(power)), c("200", "300", "600")))
    png({quoted(str(figure))})
    plot(power, coef_name = "X1", main = "Power")
    invisible(dev.off())
    tell <- function(e) cat(class(e)[1], "|", conditionMessage(e), "\\n")
    tryCatch(power_dsl(601, fit), dsl_error = tell)
    tryCatch(power_dsl("many", fit), dsl_error = tell)
    tryCatch(power_dsl(300, lm(X1 ~ X2, posts)), dsl_error = tell)
    tryCatch(power_dsl(300, fit, drawn = "units"), dsl_error = tell)
    tryCatch(power_dsl(300, do.call(dsl, c(call, estimator = "naive"))), dsl_error = tell)
    """
    lines = rscript(program).splitlines()
    assert lines[1] == "Predicted Standard Errors:"
    assert [line.split()[0] for line in lines[4:7]] == ["200", "300", "600"]
    assert lines[7].startswith("ArgumentError | labeled_size=601 is more than there are rows (600)")
    assert lines[8] == 'dsl_error | labeled_size must hold numbers of labelled rows; found "many" '
    assert lines[9] == "dsl_error | dsl_out must be a value of dsl(); found a list "
    assert lines[10] == 'dsl_error | drawn must be "rows" or "clusters"; found "units" '
    assert lines[11].startswith("ArgumentError | no power analysis of estimator='naive'")
    assert figure.stat().st_size > 1000


@pytest.mark.live_r_dsl
@pytest.mark.parametrize("name", ["lm_cluster_lm", "logit_two_predicted_lm", "felm_twoways_cluster_lm"])
def test_the_references_power_of_our_fit(name: str) -> None:
    """Splits that all differ: how the reference puts them together, at sizes below and above the present one."""
    from dsl.r import from_r, to_r
    from dsl.r.session import run as run_r

    case = {case["name"]: case for case in CASES}[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DSLWarning)
        fit = dsl.dsl(data=load_table(case["data"]), **arguments(case))
        assert len(np.unique(fit.split_params.iloc[:, 0])) == 10
        sizes = fit.n_labeled * np.array([0.5, 0.9, 1.3, 1.6, 2.0])
        ours = power_dsl(fit, labeled_size=sizes, drawn="clusters")
    theirs = from_r(run_r("dsl::power_dsl", labeled_size=to_r(sizes), dsl_out=to_r(fit)).value)
    np.testing.assert_allclose(ours.labeled_size, theirs["labeled_size"], rtol=SAME)
    np.testing.assert_allclose(ours.predicted_se, theirs["predicted_se"], rtol=REFERENCE)
