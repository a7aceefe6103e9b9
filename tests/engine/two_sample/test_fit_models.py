"""Prediction-powered inference in models whose Jacobian depends on the outcome: the estimating equation written out."""

import numpy as np
import pytest
from scipy.special import ndtr

from dsl.engine.blocks import Block
from dsl.engine.models.cloglog import CLOGLOG_LINK
from dsl.engine.models.gamma import GAMMA_LOG
from dsl.engine.models.model import Link
from dsl.engine.models.probit import NORMAL
from dsl.engine.two_sample import two_sample

pytestmark = pytest.mark.numeric

N, LABELS = 1200, 200
LINKS = {"probit": NORMAL, "cloglog": CLOGLOG_LINK, "gamma": GAMMA_LOG}


def study(link: Link) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns, outcomes, and surrogates that shrink these towards their mean."""
    rng = np.random.default_rng(4)
    x = np.column_stack([np.ones(N), rng.normal(size=(N, 2))])
    eta = x @ [0.2, 0.5, -0.4]
    if link is GAMMA_LOG:
        y = rng.gamma(2.0, np.exp(eta) / 2.0)
    else:
        y = (rng.random(N) < (ndtr(eta) if link is NORMAL else -np.expm1(-np.exp(eta)))).astype(float)
    return x, y, 0.7 * y + 0.3 * y.mean() + rng.normal(scale=0.1, size=N)


@pytest.mark.parametrize("name", list(LINKS))
@pytest.mark.parametrize("lam", [0.0, 0.6, 1.0, None])
def test_root_and_covariance(name: str, lam: float | None) -> None:
    """mean_L g + lam (mean_U h - mean_L h) = 0, with its numerical derivative in the sandwich."""
    link = LINKS[name]
    x, y, f = study(link)
    block = Block(
        fixed=x,
        predicted=np.empty((N, 0)),
        outcome=f,
        gold_rows=np.arange(LABELS),
        gold=np.empty((LABELS, 0)),
        gold_outcome=y[:LABELS],
        weight=np.full(LABELS, N / LABELS),
    )
    fit = two_sample(block, ("Intercept", "x1", "x2"), link, lam=lam)

    def scores(outcome: np.ndarray, rows: slice, params: np.ndarray) -> np.ndarray:
        eta = x[rows] @ params
        assert link.residual is not None
        return x[rows] * link.residual(outcome[rows], eta, link.mean(eta))[:, None]

    labelled, others = slice(0, LABELS), slice(LABELS, N)

    def moment(params: np.ndarray) -> np.ndarray:
        g, h, u = scores(y, labelled, params), scores(f, labelled, params), scores(f, others, params)
        return np.asarray(g.mean(0) + fit.lam * (u.mean(0) - h.mean(0)))

    np.testing.assert_allclose(moment(fit.params), 0.0, atol=1e-9)
    step = 1e-5
    jacobian = np.column_stack(
        [(moment(fit.params - step * e) - moment(fit.params + step * e)) / (2.0 * step) for e in np.eye(3)]
    )
    bread = np.linalg.inv(jacobian)
    own = scores(y, labelled, fit.params) - fit.lam * scores(f, labelled, fit.params)
    meat = np.cov(own.T) / LABELS + fit.lam**2 * np.cov(scores(f, others, fit.params).T) / (N - LABELS)
    np.testing.assert_allclose(fit.vcov, bread @ meat @ bread.T, rtol=1e-6, atol=1e-12)
