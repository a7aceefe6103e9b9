"""R's fits of the other models as truths: glm, MASS::glm.nb, nnet::multinom, MASS::polr.

R's optimisers stop short of the maximum. R then takes Newton steps from there, with the derivatives that its own
`stats::D` makes of the log-likelihood, and these make the robust covariances too: by the exact second derivative, as ours.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

import dsl
from tests.live_r.r import r

EXACT = 1e-8
"""Relative, of a standard error: the root of the same equation, by Newton's method in both."""
STOP = {"glm": 1e-6, "glm.nb": 1e-6, "multinom": 1e-5, "polr": 1e-3}
"""Of a standard error: where R's own optimisers stop (polr's BFGS has the coarsest differences)."""

FIT_AND_POLISH = """function(d, formula, fit, loglik, cluster = NULL) {
  f <- stats::as.formula(formula)
  d$class <- factor(d$class, levels = c("no", "some", "much"))
  d$no <- d$class == "no"; d$some <- d$class == "some"; d$much <- d$class == "much"
  m <- eval(str2lang(fit))
  x <- stats::model.matrix(m)
  b <- switch(class(m)[1], multinom = c(t(stats::coef(m))), polr = c(stats::coef(m), m$zeta),
              negbin = c(stats::coef(m), -log(m$theta)), stats::coef(m))
  if (inherits(m, "polr")) x <- x[, names(stats::coef(m)), drop = FALSE]
  parts <- intersect(c("e", "e2", "a", "a2"), all.vars(str2lang(loglik)))
  left <- function(part) if (startsWith(part, "e")) x else matrix(1, nrow(x), 1)
  columns <- lapply(stats::setNames(parts, parts), left)
  place <- rep(parts, vapply(columns, ncol, 1L))
  first <- lapply(parts, function(p) stats::D(str2lang(loglik), p))
  second <- lapply(first, function(one) lapply(parts, function(p) stats::D(one, p)))
  at <- function(derivative, b) {
    eta <- lapply(stats::setNames(parts, parts), function(p) c(columns[[p]] %*% b[place == p]))
    rep_len(eval(derivative, c(eta, d)), nrow(x))
  }
  scores <- function(b) do.call(cbind, Map(function(p, one) at(one, b) * columns[[p]], parts, first))
  hessian <- function(b) do.call(rbind, Map(function(p, row) {
    do.call(cbind, Map(function(q, two) crossprod(columns[[p]], at(two, b) * columns[[q]]), parts, row))
  }, parts, second))
  top <- b
  for (step in 1:4) top <- top - solve(hessian(top), colSums(scores(top)))
  bread <- solve(-hessian(top))
  psi <- scores(top)
  if (!is.null(cluster)) psi <- rowsum(psi, d[[cluster]])
  names <- c(rownames(stats::vcov(m)), if (inherits(m, "negbin")) "log(alpha)")
  out <- cbind(stopped = b, top = top, classical = sqrt(diag(bread)), bread %*% crossprod(psi) %*% bread)
  structure(out, dimnames = list(names, colnames(out)))
}"""


@dataclass(frozen=True)
class Case:
    """A model, R's call, and the log-likelihood of a row in the linear predictors e, e2 and the single parameters a, a2."""

    outcome: str
    fit: str
    loglik: str
    stop: str = "glm"


def generalised(outcome: str, family: str, loglik: str) -> Case:
    return Case(outcome, f"stats::glm(f, {family}, d, epsilon = 1e-14, maxit = 100)", loglik)


def ordered(method: str, distribution: str) -> Case:
    """100 stands for infinity: the fourth power of exp(100) is a number still."""
    above = distribution.format("a * no + a2 * some + 100 * much - e")
    below = distribution.format("a * some + a2 * much - 100 * no - e")
    control = "control = list(reltol = 1e-15, maxit = 1000)"
    return Case(
        "class", f'MASS::polr(f, d, method = "{method}", Hess = TRUE, {control})', f"log({above} - {below})", "polr"
    )


MULTINOM = "nnet::multinom(f, d, Hess = TRUE, trace = FALSE, reltol = 1e-15, maxit = 1000)"
GLM_NB = "MASS::glm.nb(f, d, control = stats::glm.control(epsilon = 1e-14, maxit = 200))"
NB2 = "lgamma(count + exp(-a)) - lgamma(exp(-a)) - (count + exp(-a)) * log(1 + exp(a + e)) + count * (a + e)"
CASES = {
    "logit": generalised("b", "stats::binomial()", "b * e - log(1 + exp(e))"),
    "poisson": generalised("count", "stats::poisson()", "count * e - exp(e)"),
    "probit": generalised("b", 'stats::binomial("probit")', "b * log(pnorm(e)) + (1 - b) * log(1 - pnorm(e))"),
    "cloglog": generalised("b", 'stats::binomial("cloglog")', "b * log(1 - exp(-exp(e))) - (1 - b) * exp(e)"),
    "gamma": generalised("amount", 'stats::Gamma("log")', "-e - amount * exp(-e)"),
    "negbin": Case("count", GLM_NB, NB2, "glm.nb"),
    "multinom": Case("class", MULTINOM, "some * e + much * e2 - log(1 + exp(e) + exp(e2))", "multinom"),
    "ologit": ordered("logistic", "1 / (1 + exp(-({})))"),
    "oprobit": ordered("probit", "pnorm({})"),
}


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Outcomes of every kind, none of which follows its model: robust and classical standard errors differ."""
    rng = np.random.default_rng(31)
    n = 900
    unit = rng.integers(60, size=n)
    level = rng.normal(scale=0.4, size=60)[unit]
    x = rng.normal(size=n) + level
    z = rng.gamma(2.0, 0.5, size=n)
    eta = -0.2 + 0.5 * x - 0.3 * z + level
    code = np.digitize(eta + rng.standard_t(4, size=n), [-0.5, 0.7])
    return pd.DataFrame(
        {
            "unit": unit,
            "x": x,
            "z": z,
            "place": np.where(rng.random(n) < 0.3, "town", "country"),
            "b": (eta + rng.standard_t(4, size=n) > 0.0).astype(float),
            "count": rng.poisson(np.exp(eta) * rng.gamma(1.5, 1 / 1.5, size=n)).astype(float),
            "amount": np.exp(eta) * rng.lognormal(sigma=0.5 + 0.3 * (x > 0.0), size=n),
            "class": pd.Categorical.from_codes(code, ["no", "some", "much"], ordered=True),
        }
    )


@pytest.mark.parametrize("cluster", [None, "unit"])
@pytest.mark.parametrize("model", CASES)
def test_parameters_and_robust_covariance(rows: pd.DataFrame, model: str, cluster: str | None) -> None:
    case = CASES[model]
    formula = f"{case.outcome} ~ x * place + z"
    with pytest.warns(dsl.exceptions.AllLabeledWarning):
        fit = dsl.dsl(
            formula, rows.assign(llm=rows[case.outcome]), model=model, predicted_var=case.outcome, prediction="llm",
            sl_method="lm", sample_split=1, cluster=cluster,
        )  # fmt: skip
    data = rows.assign(**{"class": rows["class"].astype(str)})
    theirs = r(FIT_AND_POLISH, data, formula, case.fit, case.loglik, cluster=cluster)
    assert list(fit.names_r) == list(theirs.index)
    vcov = theirs.iloc[:, 3:].to_numpy()
    se = np.sqrt(np.diag(vcov))
    assert np.abs((theirs["stopped"] - theirs["top"]) / se).max() < STOP[case.stop]
    assert np.abs((fit.params.to_numpy() - theirs["top"].to_numpy()) / se).max() < EXACT
    np.testing.assert_allclose(fit.cov_params() / np.outer(se, se), vcov / np.outer(se, se), atol=EXACT)
    assert np.abs(theirs["classical"] / se - 1.0).max() > 0.02
