"""The R package dslpy: built, checked, installed, and its numbers against Python's."""

import re
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dsl

from .dslpy_cases import CASES, MIXED_R, load
from .dslpy_session import SOURCE, Session, prepared, run
from .rscript import quoted

README = SOURCE.parent / "README.md"
VIGNETTE = SOURCE / "vignettes" / "dslpy.Rmd"
SAME = 1e-10
"""Of the standard error, or of the largest number: the same engine; R adds nothing but normal quantiles."""
NEEDED = ("reticulate", "generics", "knitr", "rmarkdown")


@pytest.fixture(autouse=True, scope="session")
def _started() -> None:
    """These tests use R as separate processes, not the embedded R."""


def check(folder: Path, *options: str) -> Path:
    """Folder of ``R CMD check``, which is also a library with the package installed."""
    listed = ", ".join(quoted(name) for name in NEEDED)
    missing = run(
        "Rscript", "--vanilla", "-e", f"cat(setdiff(c({listed}), rownames(installed.packages())))", folder=folder
    )
    assert missing.stdout == "", f"R packages missing: {missing.stdout}; run r_compat/install_r.sh"
    shutil.copytree(SOURCE, folder / "dslpy", ignore=shutil.ignore_patterns("__pycache__"))
    built = run("R", "CMD", "build", "dslpy", folder=folder)
    assert built.returncode == 0, built.stdout + built.stderr
    (tarball,) = folder.glob("dslpy_*.tar.gz")
    run("R", "CMD", "check", "--no-manual", *options, tarball.name, folder=folder, _R_CHECK_FORCE_SUGGESTS_="false")
    return folder / "dslpy.Rcheck"


@pytest.fixture(scope="session")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Examples and tests of the package run in `session`, where Python has started."""
    return check(tmp_path_factory.mktemp("dslpy"), "--no-examples", "--no-tests")


def assert_clean(checked: Path) -> str:
    """No error or warning. The log."""
    log = (checked / "00check.log").read_text(encoding="utf-8")
    status = re.search(r"^Status: (.*)$", log, re.M)
    assert status is not None, log
    assert "ERROR" not in status[1], log
    assert "WARNING" not in status[1], log
    assert (checked / "dslpy" / "DESCRIPTION").exists()
    return log


def test_check_has_no_error_or_warning(checked: Path) -> None:
    assert "checking for code/documentation mismatches ... OK" in assert_clean(checked)


@pytest.mark.slow
def test_the_whole_check_has_no_error_or_warning(tmp_path: Path) -> None:
    log = assert_clean(check(tmp_path))
    assert re.search(r"checking examples \.\.\. (\[.*\] )?OK", log), log
    assert re.search(r"Running .columns.R.*\n.* OK", log), log


@pytest.mark.parametrize("page", sorted(path.name for path in (SOURCE / "man").glob("*.Rd")))
def test_examples_run(session: Session, page: str, tmp_path: Path) -> None:
    example = tmp_path / "example.R"
    session(f"tools::Rd2ex({quoted(str(SOURCE / 'man' / page))}, {quoted(str(example))}, commentDonttest = TRUE)")
    if example.exists():  # of pages that have some
        session("library(dslpy)\n" + example.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", sorted((SOURCE / "tests").glob("*.R")), ids=lambda path: path.name)
def test_the_packages_own_tests_pass(session: Session, path: Path) -> None:
    session(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def rscript(checked: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Standard output of an R program that can load dslpy, in a process of its own."""

    def call(code: str, **more: str) -> str:
        folder = tmp_path_factory.mktemp("script")
        program = folder / "program.R"
        program.write_text(prepared(code, checked), encoding="utf-8")
        done = run("Rscript", "--no-environ", "--no-init-file", str(program), folder=folder, **more)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return call


@pytest.fixture(scope="session")
def session(checked: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """The same for programs that may share a process."""
    with Session(checked, tmp_path_factory.mktemp("session")) as started:
        yield started


# ---------------------------------------------------------------------------------------------------------------
# numbers
# ---------------------------------------------------------------------------------------------------------------


EMIT = """
emit <- function(case, fit) {
  all <- tidy(fit, conf.int = TRUE)
  values <- c(as.matrix(all[-1]), vcov(fit), fit$RMSE, fit$internal$split_coefficients)
  writeLines(c(case, nrow(all), all$term, length(values), sprintf("%.17g", values)))
}
"""


def in_r(value: Any) -> str:
    """A value as R code."""
    if value is None:
        return "NULL"
    if isinstance(value, list):
        return f"c({', '.join(map(in_r, value))})"
    return quoted(value) if isinstance(value, str) else str(value)


def r_call(data: str, arguments: dict[str, Any]) -> str:
    given = [f"{name} = {value if name == 'formula' else in_r(value)}" for name, value in arguments.items()]
    return f"suppressWarnings(dsl({', '.join(given)}, data = {data}))"


@pytest.fixture(scope="session")
def in_python_and_r(session: Session) -> dict[str, tuple[list[str], np.ndarray]]:
    """Coefficients' names and numbers of every case in R, from one program."""
    tables = {data for data, _ in CASES.values()} - {"mixed"}
    lines = [f"{data} <- dsl_data({quoted(data)}{more(data, in_r)})" for data in sorted(tables)]
    fits = [f"emit({quoted(case)}, {r_call(*CASES[case])})" for case in CASES]
    found = session("\n".join(["library(dslpy)", *lines, MIXED_R, EMIT, *fits])).splitlines()
    out, at = {}, 0
    while at < len(found):
        case, terms = found[at], int(found[at + 1])
        names = found[at + 2 : at + 2 + terms]
        start = at + 3 + terms
        at = start + int(found[start - 1])
        out[case] = (names, np.array(found[start:at], dtype=float))
    return out


def more(data: str, write: Callable[[Any], str] = str) -> str:
    """Arguments that make a table, behind a comma."""
    return f", n_labels = {write(1000)}, seed = {write(1)}" if data == "sentiment" else f", seed = {write(1)}"


@pytest.mark.parametrize("case", CASES)
def test_same_numbers_as_python(case: str, in_python_and_r: dict[str, tuple[list[str], np.ndarray]]) -> None:
    data, arguments = CASES[case]
    limit = 3  # noqa: F841  (a formula uses it)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dsl.DSLWarning)
        fit = dsl.dsl(data=load(data), **arguments)
    names, found = in_python_and_r[case]
    assert_same(names, found, fit)
    with pytest.raises(AssertionError):
        assert_same(names, found + 10 * SAME * np.abs(found).max(), fit)


def assert_same(names: list[str], found: np.ndarray, fit: Any) -> None:
    """Names, and everything that `EMIT` writes."""
    assert names == list(fit.names_r)
    table = fit.tidy().drop(columns="term").to_numpy()
    rmse = fit.rmse.to_numpy() if fit.call.estimator == "dsl" else np.empty(0)
    parts = (table.T, fit.cov_params().to_numpy(), rmse, fit.split_params.to_numpy().T)
    expected = np.concatenate([part.ravel() for part in parts])
    assert len(found) == len(expected)
    assert np.abs(found - expected).max() <= SAME * np.abs(expected).max()
    gap = found[: len(names)] - fit.params.to_numpy()
    assert np.abs(gap / fit.bse.to_numpy()).max() <= SAME


def test_a_factor_of_numbers_is_the_category_that_it_is_in_lm(session: Session) -> None:
    """Every row labelled: the numbers and names are those of R's lm."""
    code = """
    library(dslpy)
    data <- dsl_data("linear", n = 600, n_labels = "all", seed = 1)
    data$grade <- factor(findInterval(data$Y, c(-0.5, 1)))
    data$hot <- data$Y > 0
    data$bit <- factor(as.integer(data$hot))
    for (formula in c(X1 ~ grade, X1 ~ hot * X2, X1 ~ bit, X1 ~ bit - 1, X1 ~ X2:hot)) {
      name <- intersect(all.vars(formula), c("grade", "hot", "bit"))
      fit <- suppressWarnings(dsl(formula = formula, predicted_var = name, feature = "pred_Y", data = data, sl_method = "lm"))
      expected <- coef(lm(formula, data))
      stopifnot(identical(names(coef(fit)), names(expected)), max(abs(coef(fit) - expected) / fit$standard_errors) < 1e-9)
    }
    cat("done")
    """
    assert session(code) == "done"


def test_folds_from_r(session: Session) -> None:
    code = """
    library(dslpy)
    data <- dsl_data("linear", seed = 1)
    n <- nrow(data)
    folds <- t(sapply(c(1234, 5), function(seed) {
      set.seed(seed)
      sample(c(rep(1:4, each = n %/% 4), seq_len(n %% 4)))
    }))
    fit <- dsl(formula = Y ~ X1, predicted_var = "Y", prediction = "pred_Y", data = data, sl_method = "lm", folds = folds)
    cat(sprintf("%.17g", fit$internal$split_coefficients))
    """
    found = np.array(session(code).split(), dtype=float)
    data = dsl.datasets.simulate_linear(seed=1)
    folds = [dsl.folds_like_r(len(data), cross_fit=4, sample_split=1, seed=seed)[0] for seed in (1234, 5)]
    fit = dsl.dsl("Y ~ X1", data, predicted_var="Y", prediction="pred_Y", sl_method="lm", folds=np.array(folds))
    assert np.abs(found - fit.split_params.to_numpy().ravel(order="F")).max() <= SAME


# ---------------------------------------------------------------------------------------------------------------
# behaviour in R
# ---------------------------------------------------------------------------------------------------------------


def test_errors_and_warnings_of_python_are_conditions_of_r(session: Session) -> None:
    code = """
    library(dslpy)
    data <- dsl_data("linear", n = 600, n_labels = 200, seed = 1)
    rownames(data) <- paste0("post", seq_len(nrow(data)))
    data$list <- lapply(seq_len(nrow(data)), identity)
    fit <- function(...) {
      given <- modifyList(list(formula = Y ~ X1, predicted_var = "Y", prediction = "pred_Y", data = data,
                               sl_method = "lm", sample_split = 1), list(...))
      do.call(dsl, given)
    }
    say <- function(x) tryCatch(x, dsl_error = function(e) cat(class(e)[1], "|", conditionMessage(e), "\\n"))
    gap <- data; gap$pred_Y[2:3] <- NA
    say(fit(data = gap))
    say(fit(formula = Y ~ X7))
    say(fit(formula = Y ~ list))
    say(fit(clusters = "X2"))
    say(fit(cluster = NA))
    say(fit(data = 1:3))
    say(fit(sl_method = function(x) x))
    say(dsl_data("linnear"))
    gap <- data; gap$X1[2:4] <- NA
    withCallingHandlers(invisible(fit(data = gap)), dsl_warning = function(w) {
      cat(class(w)[1], "|", conditionMessage(w), "\\n")
      invokeRestart("muffleWarning")
    })
    plain <- try(fit(formula = Y ~ X7), silent = TRUE)
    cat(attr(plain, "condition")$message == "column 'X7', named in formula, is not in the data; did you mean 'X2' or 'X1'?",
        inherits(attr(plain, "condition"), "error"), "\\n")
    """
    lines = session(code).splitlines()
    expected = [
        r"PredictionError \| prediction 'pred_Y' is missing in 2 rows \(first: post2, post3\)",
        r"MissingColumnError \| column 'X7', named in formula, is not in the data",
        r"ColumnTypeError \| column 'list' is a list; it must hold one number",
        r"CallError \| dsl\(\) has no argument 'clusters'; did you mean 'cluster'\?",
        r"dsl_error \| cluster is empty or NA",
        r"dsl_error \| data must be a data frame; found values of type integer",
        r"dsl_error \| sl_method is values of type function",
        r"ArgumentError \| there is no table 'linnear'; there are sentiment",
        r"DroppedRowsWarning \| 3 of 600 rows left out; missing values per column: 'X1' \(3\)",
    ]
    assert len(lines) == len(expected) + 1, lines
    for line, pattern in zip(lines, expected, strict=False):
        assert re.match(pattern, line), line
    assert lines[-1].endswith("TRUE "), lines[-1]


def test_warnings_of_other_python_packages_arrive_too(rscript: Callable[..., str]) -> None:
    code = """
    answer <- list(warnings = list(list(classes = list(), message = "from elsewhere")), error = NULL, value = 7)
    assignInNamespace("bridge", function() list(fit = function(...) answer), "dslpy")
    value <- withCallingHandlers(dslpy:::call_python("fit", call = NULL), warning = function(w) {
      cat(class(w), "|", conditionMessage(w), "\\n")
      invokeRestart("muffleWarning")
    })
    cat(value, "\\n")
    """
    assert rscript(code).splitlines() == ["dsl_warning warning condition | from elsewhere ", "7 "]


def test_a_python_without_the_package_is_explained(rscript: Callable[..., str]) -> None:
    bare = getattr(sys, "_base_executable", sys.executable)
    assert bare != sys.executable, "run the tests in a virtual environment"
    code = f"""
    library(dslpy)
    cat(dsl_available(), "\\n")
    tell <- function(e) cat(class(e)[1:2], "|", conditionMessage(e), "\\n")
    tryCatch(available_method(), dsl_error = tell)
    options(dslpy.python = {quoted(sys.executable)})
    tryCatch(available_method(), dsl_error = tell)
    options(dslpy.python = "/no/such/python")
    tryCatch(available_method(), dsl_error = tell)
    """
    lines = rscript(code, RETICULATE_PYTHON=bare, RETICULATE_AUTOCONFIGURE="0").splitlines()
    assert lines[0] == "FALSE "
    assert lines[1].startswith("dsl_python_missing dsl_error | the Python package 'dsl' is not found in ")
    assert "options(dslpy.python" in lines[1]
    assert "this R session already runs Python from" in lines[2]
    assert "options(dslpy.python = ) names no file" in lines[3]


def test_the_option_chooses_python_and_a_fit_is_plain_r(rscript: Callable[..., str]) -> None:
    code = f"""
    options(dslpy.python = {quoted(sys.executable)})
    library(dslpy)
    data <- dsl_data("linear", n = 600, n_labels = 200, seed = 1)
    fit <- dsl("lm", Y ~ X1, "Y", "pred_Y", data, sl_method = "lm", sample_split = 2)
    file <- tempfile()
    saveRDS(fit, file)
    again <- readRDS(file)
    stopifnot(identical(coef(again), coef(fit)), identical(vcov(again), vcov(fit)), nobs(again) == 600)
    stopifnot(identical(capture.output(summary(again)), capture.output(summary(fit))))
    stopifnot(inherits(fit, "dsl"), nrow(confint(fit, "X1")) == 1, nrow(glance(fit)) == 1)
    stopifnot(identical(colnames(confint(fit)), c("2.5 %", "97.5 %")))
    frame <- structure(as.list(data), class = c("tbl_df", "tbl", "data.frame"), row.names = seq_len(nrow(data)))
    same <- dsl(formula = "Y ~ X1", predicted_var = list(Y = "pred_Y"), data = frame, sl_method = "lm", sample_split = 2)
    stopifnot(identical(coef(same), coef(fit)))
    print(fit)
    """
    printed = rscript(code, RETICULATE_PYTHON="/no/such/python")
    assert printed.startswith("Design-based supervised learning: lm of Y ~ X1\n600 rows, 200 labelled\n")


BLOCK = re.compile(r"```r( reference)?\n(.*?)```", re.S)


def readme_blocks(rscript: Callable[[str], str], *, reference: bool, page: Path = README) -> list[tuple[str, str, str]]:
    """Code, printed and shown output of the page's blocks, with or without those that need the reference."""
    blocks = [m for m in BLOCK.finditer(page.read_text(encoding="utf-8")) if reference or not m[1]]
    codes = ["\n".join(line for line in m[2].splitlines() if not line.startswith("#>")) for m in blocks]
    shown = ["\n".join(line[3:] for line in m[2].splitlines() if line.startswith("#>")) for m in blocks]
    program = [
        "run <- function(code) {",
        "  here <- globalenv()",
        "  cat(capture.output(source(exprs = parse(text = code), print.eval = TRUE, local = here)), '@@@', sep = '\\n')",
        "}",
        *(f"run({quoted(code)})" for code in codes),
    ]
    printed = rscript("\n".join(program)).split("@@@\n")[:-1]
    return list(zip(codes, printed, shown, strict=True))


def assert_as_shown(blocks: list[tuple[str, str, str]]) -> None:
    for code, printed, shown in blocks:
        assert [line.rstrip() for line in printed.rstrip().splitlines()] == shown.splitlines(), code


def test_the_readme_prints_what_it_shows(session: Session) -> None:
    blocks = readme_blocks(session, reference=False)
    assert len(blocks) >= 14
    assert_as_shown(blocks)


def test_the_vignette_prints_what_it_shows(session: Session, checked: Path) -> None:
    blocks = readme_blocks(session, reference=False, page=VIGNETTE)
    assert len(blocks) >= 5
    assert_as_shown(blocks)
    assert (checked / "dslpy" / "doc" / "dslpy.html").exists()


COMPARE_R = """
library(dslpy)
posts <- dsl_data("linear", n = 900, n_labels = 300, seed = 3)
posts$young <- seq_len(900) %% 4 == 0
found <- compare(formula = Y ~ X1 + young, predicted_var = "Y", prediction = "pred_Y", data = posts, sl_method = "lm",
                 sample_split = 2, estimators = c("naive", "gold_only", "dsl"), alpha = 0.1)
stopifnot(identical(tidy(found), found$table), "youngTRUE" %in% found$bias$term, length(found$sentences) >= 2)
stopifnot(any(startsWith(found$sentences, "youngTRUE: ")), glance(found)$reference == "dsl")
printed <- capture.output(print(found))
stopifnot(any(grepl("Hausman-type test", printed)), any(grepl("judged by dsl", printed)))
problem <- tryCatch(compare(formula = Y ~ X1, predicted_var = "Y", prediction = "pred_Y", data = posts, tune = "coef"),
                    dsl_error = conditionMessage)
stopifnot(grepl("is for one estimator", problem))
numbers <- as.matrix(found$table[c("estimate", "std.error", "conf.low", "conf.high")])
cat(sprintf("%.17g", c(numbers, found$bias$difference, found$bias$std.error, found$hausman[["statistic"]])), sep = "\\n")
"""


def test_compare(session: Session) -> None:
    data = dsl.datasets.simulate_linear(n=900, n_labels=300, seed=3)
    data["young"] = np.arange(1, 901) % 4 == 0
    names, call = ("naive", "gold_only", "dsl"), {"predicted_var": "Y", "prediction": "pred_Y"}
    expected = dsl.compare("Y ~ X1 + young", data, sl_method="lm", sample_split=2, estimators=names, alpha=0.1, **call)
    found = np.array(session(COMPARE_R).split(), dtype=float)
    numbers = expected.table[["estimate", "std_error", "conf_low", "conf_high"]].to_numpy().ravel(order="F")
    assert expected.bias is not None
    assert expected.hausman is not None
    bias = expected.bias[["difference", "std_error"]].to_numpy().ravel(order="F")
    np.testing.assert_allclose(found, [*numbers, *bias, expected.hausman.statistic], rtol=SAME)


TEXREG = {
    "DESCRIPTION": "Package: texreg\nVersion: 1.0\nTitle: Stand-in\nDescription: What dslpy calls.\nLicense: GPL-3\n"
    "Author: A\nMaintainer: A <a@b.invalid>\nImports: methods\n",
    "NAMESPACE": "importFrom(methods, setGeneric)\nexport(createTexreg)\nexportMethods(extract)\n",
    "R/texreg.R": "setGeneric('extract', function(model, ...) standardGeneric('extract'))\n"
    "createTexreg <- function(coef.names, coef, se, pvalues, ci.low, ci.up, gof.names, gof, gof.decimal, model.name)\n"
    "  as.list(environment())\n",
}


def test_texreg(rscript: Callable[..., str], tmp_path: Path, checked: Path) -> None:
    """Against a stand-in with texreg's generic, which is not installed everywhere."""
    for name, text in TEXREG.items():
        path = tmp_path / "texreg" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    library = tmp_path / "library"
    library.mkdir()
    done = run("R", "CMD", "INSTALL", "--no-docs", f"--library={library}", str(tmp_path / "texreg"), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    code = f"""
    .libPaths(c({quoted(str(library))}, .libPaths()))
    library(dslpy)
    posts <- dsl_data("linear", n = 900, n_labels = 300, seed = 3)
    fit <- dsl(formula = Y ~ X1, predicted_var = "Y", prediction = "pred_Y", data = posts, sl_method = "lm", sample_split = 1)
    found <- texreg::extract(fit, include.ci = TRUE)
    stopifnot(identical(found$coef.names, c("(Intercept)", "X1")), identical(found$coef, unname(coef(fit))))
    stopifnot(identical(found$se, unname(sqrt(diag(vcov(fit))))), all.equal(found$pvalues, tidy(fit)$p.value))
    stopifnot(identical(found$ci.up, unname(confint(fit)[, 2])), identical(found$gof, c(900, 300)))
    stopifnot(length(texreg::extract(fit)$ci.low) == 0)
    cat("done")
    """
    assert rscript(code).endswith("done")


def test_broom_takes_fits(session: Session) -> None:
    code = """
    library(dslpy)
    posts <- dsl_data("linear", n = 900, n_labels = 300, seed = 3)
    fit <- dsl(formula = Y ~ X1, predicted_var = "Y", prediction = "pred_Y", data = posts, sl_method = "lm", sample_split = 1)
    stopifnot(identical(generics::tidy(fit), tidy(fit)), identical(generics::glance(fit), glance(fit)))
    stopifnot(!requireNamespace("broom", quietly = TRUE) || identical(broom::tidy(fit), tidy(fit)))
    cat("done")
    """
    assert session(code).endswith("done")


def test_install_says_what_is_wrong(rscript: Callable[..., str]) -> None:
    """Nothing is installed in tests."""
    code = """
    said <- function(code) cat(strwrap(tryCatch(code, dsl_error = conditionMessage), 1000), sep = "\\n")
    said(dslpy::install(character()))
    stopifnot(dslpy::dsl_available())
    said(dslpy::install("dsl"))
    """
    lines = rscript(code).splitlines()
    assert lines[0].startswith("package must be what pip installs: a name, the path of a wheel")
    assert lines[1].startswith("Python runs in this session already, from ")


@pytest.mark.live_r_dsl
def test_the_readme_shows_the_reference(rscript: Callable[..., str]) -> None:
    assert_as_shown(readme_blocks(rscript, reference=True))


def test_every_difference_is_demonstrated() -> None:
    text = README.read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[(\d+)\]\(#(\S+)\)", text, re.M)
    assert [int(number) for number, _ in rows] == list(range(1, 14))
    for number, anchor in rows:
        (title,) = re.findall(rf"^### {number} (.*)$", text, re.M)
        assert anchor == f"{number}-{title.lower().replace(' ', '-')}"
