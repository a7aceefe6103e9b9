"""Two-sample estimates against ppi-python 0.2.3, closed forms, and the estimators that they are related to."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.special import expit
from scipy.stats import norm

from dsl.engine.blocks import Block, Version
from dsl.engine.fit import fit_split
from dsl.engine.models.linear import LINEAR
from dsl.engine.models.logistic import LOGISTIC
from dsl.engine.models.model import Link
from dsl.engine.models.poisson import LOG
from dsl.engine.sums import Problem
from dsl.engine.two_sample import TwoSampleFit, two_sample
from dsl.engine.two_sample.fit import best_lam
from dsl.engine.two_sample.solve import CLOSE
from dsl.engine.two_sample.sums import Samples, sums_at
from dsl.exceptions import ArgumentError, LabelError, SeparationError, SingularJacobianError

pytestmark = pytest.mark.numeric

CLOSED_FORM = 1e-9
"""The same algebra, in another order."""
LBFGS = 1e-6
"""ppi-python minimises the losses of logit and Poisson by L-BFGS, which stops near the root, not at it."""
NAMES = ("Intercept", "x1", "x2", "x3")


def quietly(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """A call to ppi-python: its import silences all warnings of the process, its calls raise several."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args, **kwargs)


def rival(name: str) -> Callable[..., Any]:
    """A function of ppi-python."""

    def call(*args: Any, **kwargs: Any) -> Any:
        from tests.interpreted import ppi_py

        return getattr(ppi_py, name)(*args, **kwargs)

    return lambda *args, **kwargs: quietly(call, *args, **kwargs)


def half_width(interval: tuple[np.ndarray, np.ndarray], alpha: float = 0.1) -> np.ndarray:
    """Standard error behind a two-sided interval; 0.1 is ppi-python's default alpha."""
    return (interval[1] - interval[0]) / 2.0 / norm.ppf(1.0 - alpha / 2.0)


def bse(fit: TwoSampleFit) -> np.ndarray:
    return np.sqrt(np.diag(fit.vcov))


class Study:
    """Two hundred labelled rows, the first ones, and many unlabelled ones."""

    def __init__(self, *, model: str = "lm", n: int = 200, rows: int = 1200, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(rows, 4))
        x[:, 0] = 1.0
        index = x @ [0.2, 0.5, -0.4, 0.3]
        if model == "logit":
            y = (rng.random(rows) < expit(index)).astype(float)
            f = np.where(rng.random(rows) < 0.85, y, 1.0 - y)
        elif model == "poisson":
            y = rng.poisson(np.exp(index)).astype(float)
            f = 0.7 * y + rng.normal(size=rows)  # negative for some rows
        else:
            y = index + rng.normal(size=rows) * (1.0 + 0.5 * (x[:, 1] > 0))
            f = 0.8 * y + 0.3 + 0.6 * rng.normal(size=rows)
        self.x, self.y, self.f, self.n, self.rows = x, y, f, n, rows
        self.link: Link = {"lm": LINEAR, "logit": LOGISTIC, "poisson": LOG}[model]

    def samples(self) -> tuple[np.ndarray, ...]:
        """Arguments as ppi-python orders them."""
        n = self.n
        return self.x[:n], self.y[:n], self.f[:n], self.x[n:], self.f[n:]

    def block(self, x: np.ndarray | None = None) -> Block:
        n = self.n
        return Block(
            fixed=self.x if x is None else x,
            predicted=np.empty((self.rows, 0)),
            outcome=self.f,
            gold_rows=np.arange(n),
            gold=np.empty((n, 0)),
            gold_outcome=self.y[:n],
            weight=np.full(n, self.rows / n),
        )

    def fit(self, lam: float | None, **given: Any) -> TwoSampleFit:
        return two_sample(self.block(), NAMES, self.link, lam=lam, **given)


MODELS = {
    "lm": ("ppi_ols_pointestimate", "ppi_ols_ci", CLOSED_FORM),
    "logit": ("ppi_logistic_pointestimate", "ppi_logistic_ci", LBFGS),
    "poisson": ("ppi_poisson_pointestimate", "ppi_poisson_ci", LBFGS),
}


@pytest.fixture(scope="module", params=["lm", "logit", "poisson"])
def model(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("lam", [0.0, 0.3, 1.0, None])
def test_estimates_are_those_of_ppi_python(model: str, lam: float | None) -> None:
    """At fixed lam, and at the one that ppi-python's point estimate chooses."""
    study = Study(model=model)
    estimate, interval, tolerance = MODELS[model]
    ours = study.fit(lam)
    np.testing.assert_allclose(ours.params, rival(estimate)(*study.samples(), lam=lam), atol=tolerance)
    theirs = rival(interval)(*study.samples(), lam=ours.lam)
    np.testing.assert_allclose(bse(ours), half_width(theirs), rtol=tolerance)
    np.testing.assert_allclose(ours.params, (theirs[0] + theirs[1]) / 2.0, atol=tolerance)
    assert ours.tuned is (lam is None)


@pytest.mark.parametrize("lam", [0.0, 0.3, 1.0, None])
def test_mean_is_that_of_ppi_python(lam: float | None) -> None:
    """Its mean divides variances by n where its regressions divide by n - 1; a model of one constant does so too."""
    study = Study()
    samples = study.y[: study.n], study.f[: study.n], study.f[study.n :]
    ours = two_sample(study.block(np.ones((study.rows, 1))), ("Intercept",), LINEAR, lam=lam)
    np.testing.assert_allclose(ours.params, rival("ppi_mean_pointestimate")(*samples, lam=lam), rtol=CLOSED_FORM)
    np.testing.assert_allclose(bse(ours), half_width(rival("ppi_mean_ci")(*samples, lam=lam)), rtol=CLOSED_FORM)


def test_lambda_of_the_mean_is_the_published_one() -> None:
    study = Study()
    y, f, u = study.y[: study.n], study.f[: study.n], study.f[study.n :]
    covariance = np.cov(y, f, ddof=0)[0, 1]
    expected = covariance / ((1 + study.n / len(u)) * np.var(study.f, ddof=1))
    ours = two_sample(study.block(np.ones((study.rows, 1))), ("Intercept",), LINEAR, lam=None)
    assert ours.lam == pytest.approx(expected, rel=CLOSED_FORM)
    variance = np.var(y - ours.lam * f) / len(y) + ours.lam**2 * np.var(u) / len(u)
    assert ours.vcov[0, 0] == pytest.approx(variance, rel=CLOSED_FORM)


def test_whole_covariance_of_least_squares() -> None:
    """Formula of the covariance written out, off the diagonal too."""
    study = Study()
    fit = study.fit(0.7)
    x, y, f, xu, u = study.samples()
    grad, grad_f = (x * (x @ fit.params - v)[:, None] for v in (y, f))
    grad_u = xu * (xu @ fit.params - u)[:, None]
    bread = np.linalg.inv(study.x.T @ study.x / study.rows)
    inner = 0.49 * np.cov(grad_u.T) / len(u) + np.cov((grad - 0.7 * grad_f).T) / len(y)
    np.testing.assert_allclose(fit.vcov, bread @ inner @ bread, rtol=CLOSED_FORM, atol=1e-15)


def test_lambda_zero_is_the_labelled_regression() -> None:
    """HC0 with n/(n - 1), which is what a covariance of the scores amounts to."""
    study = Study()
    x, y = study.samples()[:2]
    theirs = sm.OLS(y, x).fit(cov_type="HC0")
    ours = study.fit(0.0)
    np.testing.assert_allclose(ours.params, theirs.params, rtol=CLOSED_FORM)
    np.testing.assert_allclose(bse(ours), theirs.bse * np.sqrt(study.n / (study.n - 1)), rtol=CLOSED_FORM)


def test_design_based_mean_is_ppi_at_one_minus_pi() -> None:
    """DSL's mean without cross-fitting and with constant pi, from its own engine."""
    study = Study()
    block = study.block(np.ones((study.rows, 1)))
    design_based = fit_split(block, Problem(link=LINEAR, names=("Intercept",)))
    ours = two_sample(block, ("Intercept",), LINEAR, lam=1.0 - study.n / study.rows)
    np.testing.assert_allclose(ours.params, design_based.params, rtol=CLOSED_FORM)


def test_design_based_logit_is_ppi_with_all_rows_as_unlabelled() -> None:
    study = Study(model="logit")
    design_based = fit_split(study.block(), Problem(link=LOGISTIC, names=NAMES))
    x, y, f, _, _ = study.samples()
    theirs = rival("ppi_logistic_pointestimate")(x, y, f, study.x, study.f, lam=1)
    np.testing.assert_allclose(design_based.params, theirs, atol=LBFGS)


def test_useless_surrogates_are_not_used(model: str) -> None:
    study = Study(model=model)
    # of counts twice the surrogates: mean and covariates alone explain little of their variance then
    study.f = np.random.default_rng(8).permutation(study.f) * (2.0 if model == "poisson" else 1.0)
    assert study.fit(None).lam < 0.2
    # on the other side of the mean than the truth
    mean = 1.0 if model == "logit" else 0.0 if model == "lm" else 2.0 * np.exp(study.x @ [0.2, 0.5, -0.4, 0.3])
    study.f = mean - study.y
    ours, alone = study.fit(None), study.fit(0.0)
    assert ours.lam == 0.0
    np.testing.assert_allclose(ours.vcov, alone.vcov, rtol=LBFGS)


def test_perfect_surrogates_are_the_regression_of_all_rows() -> None:
    """The logit's score is then that of the unlabelled rows; with few labels this is the regression of all."""
    study = Study(model="logit")
    study.f = study.y
    x, y = study.x[study.n :], study.y[study.n :]
    theirs = sm.Logit(y, x).fit(disp=0, tol=1e-14)
    np.testing.assert_allclose(study.fit(1.0).params, theirs.params, rtol=1e-8)


def test_clusters_of_one_row_change_nothing(model: str) -> None:
    study = Study(model=model)
    ours = study.fit(0.6, cluster=np.random.default_rng(1).permutation(study.rows), n_clusters=study.rows)
    np.testing.assert_allclose(ours.vcov, study.fit(0.6).vcov, rtol=1e-9, atol=1e-15)


def test_clusters_of_repeated_rows() -> None:
    """Every row twice, labelled alike: the covariance is that of the rows once, but for n - 1 in place of 2n - 1."""
    once = Study()
    twice = Study()
    for name in ("x", "y", "f"):
        setattr(twice, name, np.repeat(getattr(once, name), 2, axis=0))
    twice.n, twice.rows = 2 * once.n, 2 * once.rows
    ours = twice.fit(0.6, cluster=np.repeat(np.arange(once.rows), 2), n_clusters=once.rows)
    plain = once.fit(0.6)
    np.testing.assert_allclose(ours.params, plain.params, rtol=CLOSED_FORM)
    np.testing.assert_allclose(ours.vcov, plain.vcov, rtol=1.0 / once.n)
    assert not np.allclose(twice.fit(0.6).vcov, plain.vcov, rtol=0.3)


def test_cluster_covariance_has_labelled_and_unlabelled_rows_of_a_cluster_together() -> None:
    """Each cluster: one labelled and five unlabelled copies of a row. Influences written out by hand."""
    once = Study(n=100, rows=100)
    copies = Study()
    order = np.concatenate([np.arange(100), np.repeat(np.arange(100), 5)])
    copies.x, copies.y, copies.f = once.x[order], once.y[order], once.f[order]
    copies.n, copies.rows = 100, 600
    ours = copies.fit(1.0, cluster=order, n_clusters=100)
    score = once.x * (once.y - once.x @ ours.params)[:, None]
    hat = once.x * (once.f - once.x @ ours.params)[:, None]
    a = (score - score.mean(axis=0)) / np.sqrt(100 * 99)
    gap = hat - hat.mean(axis=0)
    b = 5 * gap / np.sqrt(500 * 499) - gap / np.sqrt(100 * 99)
    bread = np.linalg.inv(copies.x.T @ copies.x / 600)
    np.testing.assert_allclose(ours.vcov, bread @ (a + b).T @ (a + b) @ bread, rtol=1e-9, atol=1e-15)


def test_lambda_with_clusters_minimises_the_variance() -> None:
    study = Study()
    given = {"cluster": np.arange(study.rows) % 150, "n_clusters": 150}
    best = study.fit(None, **given)
    for other in (best.lam - 0.1, best.lam + 0.1):
        # the Hessian is the same for all, the score's place moves a little with lam
        assert np.trace(study.fit(other, **given).vcov) > np.trace(best.vcov)


def test_rows_in_any_order_and_pieces(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    study = Study(model=model)
    block, order = study.block(), np.random.default_rng(3).permutation(study.rows)
    place = np.argsort(order)[: study.n]
    by_place = np.argsort(place)
    shuffled = Block(
        fixed=study.x[order],
        predicted=block.predicted,
        outcome=study.f[order],
        gold_rows=place[by_place],
        gold=block.gold,
        gold_outcome=study.y[: study.n][by_place],
        weight=block.weight,
    )
    cluster = np.arange(study.rows) // 7
    given = {"n_clusters": int(cluster.max()) + 1}
    whole = two_sample(block, NAMES, study.link, lam=None, cluster=cluster, **given)
    pieces = Block.pieces
    monkeypatch.setattr(Block, "pieces", lambda self: pieces(self, 97))
    cut = two_sample(shuffled, NAMES, study.link, lam=None, cluster=cluster[order], **given)
    assert cut.lam == pytest.approx(whole.lam, rel=CLOSED_FORM)
    np.testing.assert_allclose(cut.params, whole.params, atol=CLOSED_FORM)
    np.testing.assert_allclose(cut.vcov, whole.vcov, rtol=1e-7, atol=1e-14)


def test_many_rows_start_from_some_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """The way to the root taken on large data ends where Newton's method from zero does."""
    study = Study(model="logit")
    plain = study.fit(None)
    monkeypatch.setattr("dsl.engine.two_sample.solve.THIN", 100)
    thin = study.fit(None)
    assert thin.lam == pytest.approx(plain.lam, rel=1e-8)
    np.testing.assert_allclose(thin.params, plain.params, atol=CLOSED_FORM)
    np.testing.assert_allclose(thin.vcov, plain.vcov, rtol=1e-7, atol=1e-14)
    assert max(thin.moment_norm, plain.moment_norm) <= 0.1 * CLOSE  # before the last step, which squares it


def test_columns_far_from_zero_lose_no_digits() -> None:
    """A calendar year; lam is chosen for the coefficients as they are reported, as ppi-python does."""
    study = Study()
    study.x[:, 3] += 2000.0
    ours = study.fit(None)
    near = Study()
    fixed = near.fit(ours.lam)
    np.testing.assert_allclose(ours.params[1:], fixed.params[1:], rtol=1e-9)
    np.testing.assert_allclose(bse(ours)[1:], bse(fixed)[1:], rtol=1e-9)
    theirs = rival("ppi_ols_ci")(*study.samples(), lam=ours.lam)
    np.testing.assert_allclose(bse(ours), half_width(theirs), rtol=1e-6)  # what ppi-python keeps
    np.testing.assert_allclose(ours.params, rival("ppi_ols_pointestimate")(*study.samples()), rtol=1e-5)


def test_offset_is_known_part_of_the_outcome() -> None:
    study = Study()
    offset = 0.3 * study.x[:, 1] ** 2
    block = study.block()
    with_offset = two_sample(replace(block, offset=offset), NAMES, LINEAR, lam=None)
    study.y, study.f = study.y - offset, study.f - offset
    plain = study.fit(None)
    np.testing.assert_allclose(with_offset.params, plain.params, rtol=CLOSED_FORM)
    np.testing.assert_allclose(with_offset.vcov, plain.vcov, rtol=CLOSED_FORM, atol=1e-15)


def covariate_block(study: Study, surrogate: np.ndarray) -> Block:
    """The last column is a predicted variable: gold values `study.x`, surrogates `surrogate`."""
    n = study.n
    return Block(
        fixed=study.x[:, :3],
        predicted=surrogate[:, None],
        outcome=study.y,
        gold_rows=np.arange(n),
        gold=study.x[:n, 3:],
        gold_outcome=study.y[:n],
        weight=np.full(n, study.rows / n),
    )


@pytest.mark.parametrize("lam", [0.4, 1.0, None])
def test_predicted_covariate_is_the_root_of_the_rectified_gradient(model: str, lam: float | None) -> None:
    """Loss of PPI with surrogates among the covariates, its gradient and its covariance written out."""
    study = Study(model=model, n=300, rows=2000)
    surrogate = study.x[:, 3] + 0.4 * np.random.default_rng(5).normal(size=study.rows)
    fit = two_sample(covariate_block(study, surrogate), NAMES, study.link, lam=lam)
    x_hat = np.column_stack([study.x[:, :3], surrogate])
    n, mean = study.n, study.link.mean

    def gradients(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mu = mean(x @ fit.params)
        slope = np.ones(len(x)) if study.link.slope is None else study.link.slope(mu, mu, mu)
        return x * (y - mu)[:, None], (x * slope[:, None]).T @ x / len(x)

    g, j_gold = gradients(study.x[:n], study.y[:n])
    h, j_hat = gradients(x_hat[:n], study.y[:n])
    u, j_u = gradients(x_hat[n:], study.y[n:])
    np.testing.assert_allclose(g.mean(0) + fit.lam * (u.mean(0) - h.mean(0)), 0.0, atol=1e-9)
    bread = np.linalg.inv(j_gold + fit.lam * (j_u - j_hat))
    meat = np.cov((g - fit.lam * h).T) / n + fit.lam**2 * np.cov(u.T) / len(u)
    np.testing.assert_allclose(fit.vcov, bread @ meat @ bread, rtol=1e-6, atol=1e-12)
    assert fit.lam > 0.1


def test_predicted_covariate_that_is_right_is_the_regression_of_the_unlabelled_rows() -> None:
    study = Study()
    fit = two_sample(covariate_block(study, study.x[:, 3]), NAMES, LINEAR, lam=1.0)
    theirs = sm.OLS(study.y[study.n :], study.x[study.n :]).fit()
    np.testing.assert_allclose(fit.params, theirs.params, rtol=1e-8)


def test_versions_of_the_surrogate_are_averaged() -> None:
    """A surrogate given as a probability of 1 is the outcome's mean, in linear and logistic scores alike."""
    study = Study(model="logit")
    probability = np.clip(study.f, 0.1, 0.9)
    empty = np.empty((study.rows, 0))
    versions = (
        Version(predicted=empty, outcome=np.ones(study.rows), share=probability),
        Version(predicted=empty, outcome=np.zeros(study.rows), share=1.0 - probability),
    )
    block = replace(study.block(), outcome=probability)
    averaged = two_sample(block, NAMES, LOGISTIC, lam=None)
    mixed = two_sample(replace(block, imputed=versions), NAMES, LOGISTIC, lam=None)
    assert mixed.lam == pytest.approx(averaged.lam, rel=1e-8)
    np.testing.assert_allclose(mixed.params, averaged.params, atol=CLOSED_FORM)
    np.testing.assert_allclose(mixed.vcov, averaged.vcov, rtol=1e-7, atol=1e-14)


def test_parts_for_power_and_finite_populations(model: str) -> None:
    """vcov is the sandwich of jacobian and meat; labels' part of the meat is the covariance of their scores."""
    study = Study(model=model)
    fit = study.fit(0.8)
    bread = np.linalg.inv(fit.jacobian)
    np.testing.assert_allclose(bread @ fit.meat @ bread.T, fit.vcov, rtol=1e-9, atol=1e-15)
    spread = np.cov(fit.label_scores.T) * study.n
    np.testing.assert_allclose(fit.label_meat, spread, rtol=1e-9, atol=1e-9 * spread.max())
    assert fit.label_scores.shape == (study.n, 4)
    assert fit.positive_definite


def broken(change: Callable[[Study], Any], lam: float | None = None) -> Callable[[], TwoSampleFit]:
    def call() -> TwoSampleFit:
        study = Study()
        given = change(study) or {}
        block = given.get("block") or study.block()
        return two_sample(block, NAMES, given.get("link", LINEAR), lam=given.get("lam", lam))

    return call


def _weights(study: Study) -> dict[str, Any]:
    return {"block": replace(study.block(), weight=np.linspace(2.0, 9.0, study.n))}


def _absorbed(study: Study) -> dict[str, Any]:
    return {"block": replace(study.block(), absorbed=study.x, absorbed_outcome=study.f)}


def _constant_when_unlabelled(study: Study) -> None:
    study.x[study.n :, 2] = 0.0


def _near_zero_when_unlabelled(study: Study) -> None:
    """What rounding can leave of a difference of sums that is zero: squares of 1e-14 of the whole."""
    study.x[study.n :, 2] = 3e-8


def _constant_when_labelled(study: Study) -> None:
    study.x[: study.n, 2] = 0.0


def _few(study: Study) -> None:
    study.n = 1


def _all(study: Study) -> None:
    study.n = study.rows


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (_weights, ArgumentError, ["2 to 9", "equal probability", "estimator='cdi'", "estimator='dsl'"]),
        (_absorbed, ArgumentError, ["fixed effects", "factor(unit)"]),
        (lambda study: {"lam": np.nan}, ArgumentError, ["finite", "None to choose it"]),
        (_few, LabelError, ["two labelled rows", "found 1"]),
        (_all, LabelError, ["two unlabelled rows", "found 0", "gold_only"]),
        (_constant_when_unlabelled, SingularJacobianError, ["1000 unlabelled rows alone", "'x2' zero in all"]),
        (_near_zero_when_unlabelled, SingularJacobianError, ["1000 unlabelled rows alone", "'x2' zero in all"]),
        (_constant_when_labelled, SingularJacobianError, ["200 labelled rows alone", "'x2' zero in all"]),
    ],
)
def test_errors(change: Callable[[Study], Any], kind: type[Exception], words: list[str]) -> None:
    with pytest.raises(kind) as caught:
        broken(change)()
    for word in words:
        assert word in str(caught.value)


def test_separation_is_named() -> None:
    study = Study(model="logit")
    study.x[:, 3] = np.arange(study.rows) % 2
    study.y = np.where(study.x[:, 3] == 1, 1.0, study.y)
    with pytest.raises(SeparationError, match="'x3'"):
        study.fit(0.0)


def test_lambda_is_chosen_without_surrogates_where_these_leave_no_root() -> None:
    """At lam = 1 the rectified share of a group leaves [0, 1]; labelled rows alone have an estimate to choose lam at."""
    study = Study(model="logit", n=60, rows=1200, seed=4)
    rng = np.random.default_rng(0)
    group, labeled = np.arange(study.rows) % 6 == 0, np.arange(study.rows) < study.n
    study.x[:, 3] = group
    study.f = np.where(rng.random(study.rows) < 0.7, study.y, 1.0 - study.y)
    study.y[labeled & group] = np.tile([1.0, 0.0, 1.0, 1.0, 1.0], 2)
    study.f[labeled & group] = np.tile([1.0, 0.0], 5)
    study.f[~labeled & group] = rng.random(190) < 0.8  # 0.8 + 0.8 - 0.5 > 1
    with pytest.raises(SeparationError):
        study.fit(1.0)
    ours = study.fit(None)
    assert 0.0 < ours.lam < 0.6
    assert np.isfinite(bse(ours)).all()


def test_lambda_at_the_estimate_is_what_ppi_python_s_interval_uses(model: str) -> None:
    """Its tuned interval chooses lam a second time, at its tuned estimate; ours once, as its point estimate and the
    paper do. Choosing ours again gives theirs.
    """
    study = Study(model=model)
    _, interval, tolerance = MODELS[model]
    ours = study.fit(None)
    samples = Samples(
        block=study.block(),
        labeled=study.block().labeled(),
        problem=Problem(link=study.link, names=NAMES),
        gram=study.x.T @ study.x,
        ddof=1,
    )
    sums = sums_at(samples, ours.params)
    share = study.n / study.rows
    bread = share * sums.jacobians.hat + (1.0 - share) * sums.jacobians.unlabeled
    again = best_lam(sums.spread, bread, np.eye(4), samples)
    assert again != pytest.approx(ours.lam, rel=1e-5)
    second, theirs = study.fit(again), rival(interval)(*study.samples())
    np.testing.assert_allclose(second.params, (theirs[0] + theirs[1]) / 2.0, atol=tolerance)
    np.testing.assert_allclose(bse(second), half_width(theirs), rtol=tolerance)
