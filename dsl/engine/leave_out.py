r"""Covariances that leave one independent unit out: HC2, HC3, CR2, CR3, and the jackknife.

A unit g (a row, or the rows of a cluster) has the score :math:`\psi_g` and the Jacobian :math:`J_g`, minus the derivative of its
score. With :math:`A = \sum J_g` and :math:`H_g = J_g A^{-1}`, one Newton step without the unit changes the estimate by

.. math:: \hat\theta_{(g)} - \hat\theta = -A^{-1} (I - H_g)^{-1} \psi_g ,

exactly in linear models. HC3 and CR3 put :math:`(I - H_g)^{-1} \psi_g` in the place of the score, HC2 and CR2
:math:`(I - H_g)^{-1/2} \psi_g`, the root in the metric of A. Of least squares :math:`H_g` has the leverage as its only
eigenvalue, and both are the textbook's. Of generalised linear models with their canonical link they are those of the
working-weighted regression. A row of DSL has the Jacobian of its own score, :math:`(1 - w_i) \hat J_i + w_i J_i`, so that both
are the textbook's where every row is labelled. The jackknife is HC3 with its scores less their mean, times (G - 1) / G.

References
----------
MacKinnon and White, "Some heteroskedasticity-consistent covariance matrix estimators with improved finite sample properties",
Journal of Econometrics 29 (1985). Bell and McCaffrey, "Bias reduction in standard errors for linear regression with multi-stage
samples", Survey Methodology 28 (2002). Pustejovsky and Tipton, "Small-sample methods for cluster-robust variance estimation and
hypothesis testing in fixed effects models", Journal of Business and Economic Statistics 36 (2018).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from dsl._typing import BoolArray, FloatArray
from dsl.engine.blocks import Block
from dsl.engine.covariance import BY_DESIGN_HC3, cluster_sums, inverse, sandwich
from dsl.engine.moments import Weights, augmentation_weights, fitted_means, jacobian_rows
from dsl.engine.one_pass import one_pass
from dsl.engine.streamed import Rows
from dsl.engine.sums import Problem, WeightRule, row_scores, tuning_changes
from dsl.exceptions import SingularJacobianError

Values = Callable[[Block], FloatArray]
"""Numbers (n, ...) of the rows of a piece."""
LEAVE_OUT = ("HC2", "HC3", "CR2", "CR3", "jackknife", "PRESS", BY_DESIGN_HC3)
"""Covariances of this kind. ``"PRESS"`` leaves units out of the choice of Lambda alone (`dsl.engine.press`)."""
BELL_MCCAFFREY = ("HC2", "HC3", "CR2", "CR3")
"""Those whose degrees of freedom are `satterthwaite`'s, unless a Lambda was chosen."""
VALUES = 1_000_000
"""Entries of the units' Jacobians that are held at a time."""
WHOLE = 1e-9
"""Distance of a leverage from one that counts as none."""
UNEVEN = 1e-9
"""Asymmetry of a Jacobian, relative to its size, from which a root in its metric has no meaning."""


def root_of(vcov: str) -> bool | None:
    """Whether a covariance takes the square root (HC2, CR2), or None if it leaves nothing out."""
    return vcov in ("HC2", "CR2") if vcov in LEAVE_OUT else None


def correctors(jacobians: FloatArray, total: FloatArray, *, root: bool) -> tuple[FloatArray, BoolArray]:
    r"""Matrices that take units' scores to those of an estimate without the unit, :math:`(I - J_g A^{-1})^{-1}` or its root.

    Parameters
    ----------
    jacobians : (G, k, k) array
    total : (k, k) array
        A, their sum over all units.
    root : bool
        The inverse square root, for which all Jacobians must be symmetric and A positive definite. As in Bell and McCaffrey
        directions that a unit determines alone are left out of it.

    Returns
    -------
    (G, k, k) array
    (G,) bool array
        Units without which A cannot be inverted, or not as a positive definite matrix where it is one: their matrix is none.

    Examples
    --------
    >>> x = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0], [1.0, 6.0]])
    >>> parts = x[:, :, None] * x[:, None, :]
    >>> found, bad = correctors(parts, parts.sum(axis=0), root=False)
    >>> (found @ x[:, :, None])[:, 0, 0].round(3).tolist()  # 1 / (1 - leverage), for an intercept of one
    [1.976, 1.482, 1.339, 13.833]
    """
    k = len(total)
    if root:
        return _roots(jacobians, total)
    left = np.eye(k) - jacobians @ inverse(total)
    sign, size = np.linalg.slogdet(left)
    bad = (sign <= 0.0) | ~(size > np.log(WHOLE))
    left[bad] = np.eye(k)
    return np.asarray(np.linalg.inv(left)), np.asarray(bad)


def _roots(jacobians: FloatArray, total: FloatArray) -> tuple[FloatArray, BoolArray]:
    size = np.sqrt(np.abs(np.diag(total)))
    size = np.where(size > 0.0, size, 1.0)
    scaled = total / size[:, None] / size
    if np.abs(scaled - scaled.T).max() > UNEVEN or np.linalg.eigvalsh(scaled)[0] <= 0.0:
        raise SingularJacobianError(
            "vcov='HC2' and 'CR2' need a Jacobian that is positive definite, and the labelled rows are too few for that here; "
            "use vcov='HC3' (with clusters 'CR3'), or label more rows"
        )
    # A = L L', I - J A^-1 = L (I - L^-1 J L^-T) L^-1, whose middle is symmetric
    lower = np.linalg.cholesky(scaled)
    back = np.linalg.inv(lower)
    inner = back @ (jacobians / size[:, None] / size) @ back.T
    values, vectors = np.linalg.eigh((inner + inner.transpose(0, 2, 1)) / 2.0)
    left = 1.0 - values
    kept = left > WHOLE
    power = np.where(kept, np.where(kept, left, 1.0) ** -0.5, 0.0)
    middle = (vectors * power[:, None, :]) @ vectors.transpose(0, 2, 1)
    own = (size[:, None] * lower) @ middle @ (back / size)
    return own, np.asarray((left < -WHOLE).any(axis=1))


def _row_jacobians(piece: Block, problem: Problem, params: FloatArray) -> FloatArray:
    """Jacobian of each row's score at Lambda, (n, k, k)."""
    means = fitted_means(piece, params, problem.link)
    out = jacobian_rows(piece, means, problem.weights(piece))
    changes = tuning_changes(problem, piece)
    for change, scaled in zip(changes, piece.scaled if changes else (), strict=True):
        own = means if scaled is piece else fitted_means(scaled, params, problem.link)
        out += change @ jacobian_rows(scaled, own, augmentation_weights(scaled))
    return out


def unit_values(block: Rows, problem: Problem, values: Sequence[Values]) -> Iterator[tuple[FloatArray, ...]]:
    """Numbers of the units in one pass over the rows: in pieces of the rows, or sums over all clusters at once.

    Parameters
    ----------
    block : Block or Streamed
    problem : Problem
    values : sequence of callables
        Numbers (n, ...) of the rows of a piece.

    Yields
    ------
    tuple of (units, ...) arrays
        One for each of `values`.
    """
    k, first, totals, count = len(problem.parameters), 0, list[FloatArray](), problem.n_clusters or 0
    for piece in block.pieces(max(VALUES // (k * k), 64)):
        rows = tuple(each(piece) for each in values)
        if problem.cluster is None:
            yield rows
            continue
        n = len(piece.outcome)
        found, place = np.unique(problem.cluster[first : first + n], return_inverse=True)
        first += n
        totals = totals or [np.zeros((count, *each.shape[1:])) for each in rows]
        for total, each in zip(totals, rows, strict=True):
            total[found] += cluster_sums(each.reshape(n, -1), place, len(found)).reshape(-1, *each.shape[1:])
    if totals:
        yield tuple(totals)


def unit_jacobians(
    block: Rows, problem: Problem, params: FloatArray, rule: WeightRule | None = None
) -> Iterator[FloatArray]:
    """Jacobians of the units' scores, in pieces of the rows, or of all clusters at once. `rule` weighs versions otherwise."""
    for (found,) in unit_values(block, problem, [_jacobians(problem, params, rule)]):
        yield found


def _jacobians(problem: Problem, params: FloatArray, rule: WeightRule | None = None) -> Values:
    """Jacobians (n, k, k) of the rows of a piece, as `unit_jacobians`."""
    if rule is None:
        return lambda piece: _row_jacobians(piece, problem, params)
    return lambda piece: jacobian_rows(piece, fitted_means(piece, params, problem.link), rule(piece))


def _scores(problem: Problem, params: FloatArray) -> Values:
    """Scores (n, k) of the rows of a piece."""

    def scores(piece: Block) -> FloatArray:
        rows = row_scores(piece, problem, params, problem.weights, augmentation_weights)
        return np.concatenate([np.empty((0, len(params))), *rows])

    return scores


def _correctors(problem: Problem, jacobian: FloatArray) -> Callable[[FloatArray], FloatArray]:
    """What makes correctors (., k, k) of the units' Jacobians, one piece after the other."""
    root, seen = bool(root_of(problem.leave_out or "")), 0

    def made(jacobians: FloatArray) -> FloatArray:
        nonlocal seen
        found, bad = correctors(jacobians, jacobian, root=root)
        if bad.any():
            raise SingularJacobianError(alone(problem, seen + int(np.argmax(bad)), int(bad.sum())))
        seen += len(jacobians)
        return found

    return made


def alone(problem: Problem, first: int, count: int) -> str:
    """What to say of `count` units without which there is no estimate."""
    unit = "row" if problem.cluster is None else "cluster"
    return (
        f"vcov='{problem.leave_out}' leaves out each {unit} in turn, and without {count} of them (first: {unit} {first + 1} of "
        "those analysed) the coefficients cannot be told apart; use vcov='robust', label more rows, or take columns that few "
        "rows have out of the formula"
    )


def left_out_scores(
    block: Block, problem: Problem, params: FloatArray, jacobian: FloatArray, scores: FloatArray | None = None
) -> FloatArray:
    """Scores of the units as the covariance `Problem.leave_out` has them, whose squares add up to its meat.

    Parameters
    ----------
    block : Block
    problem : Problem
    params : (k,) array
        The estimate.
    jacobian : (k, k) array
        A, summed over rows.
    scores : (G, k) array, optional
        The units' scores, where they are others than the problem's.

    Returns
    -------
    (G, k) array

    Raises
    ------
    SingularJacobianError
        Without some unit the coefficients cannot be told apart.
    """
    if scores is None:
        out = np.concatenate([*left_out_pieces(block, problem, params, jacobian)])
    else:
        out, first, corrected = np.empty_like(scores), 0, _correctors(problem, jacobian)
        for parts in unit_jacobians(block, problem, params):
            own = slice(first, first + len(parts))
            out[own] = (corrected(parts) @ scores[own, :, None])[:, :, 0]
            first += len(parts)
    return jackknifed(out) if problem.leave_out == "jackknife" else out


def left_out_pieces(block: Rows, problem: Problem, params: FloatArray, jacobian: FloatArray) -> Iterator[FloatArray]:
    """The same in pieces (., k) of one pass over the rows, for the jackknife without its last step."""
    corrected = _correctors(problem, jacobian)
    for own, parts in unit_values(block, problem, [_scores(problem, params), _jacobians(problem, params)]):
        yield (corrected(parts) @ own[:, :, None])[:, :, 0]


def leverage_of_labels(
    block: Block, problem: Problem, params: FloatArray, jacobian: FloatArray, scores: FloatArray
) -> FloatArray:
    """Scores (G, k) of the units with those of labelled rows, or of all clusters, corrected for their leverage (HC3).

    Units that alone determine a coefficient stay as they are, so that there is a covariance in any case. Other rows' leverage is
    of the order of k / N, and left out.
    """
    own = block.at(block.shown_rows) if problem.cluster is None else block
    found, bad = correctors(np.concatenate([*unit_jacobians(own, problem, params)]), jacobian, root=False)
    found[bad] = np.eye(len(params))
    places = block.shown_rows if problem.cluster is None else np.arange(len(scores))
    out = scores.copy()
    out[places] = (found @ scores[places][:, :, None])[:, :, 0]
    return out


def jackknifed(scores: FloatArray) -> FloatArray:
    """Scores (G, k) of the estimates without each unit, less their mean, times the root of (G - 1) / G."""
    return np.asarray((scores - scores.mean(axis=0)) * np.sqrt(1.0 - 1.0 / len(scores)))


def left_out_vcov(block: Rows, problem: Problem, params: FloatArray, jacobian: FloatArray) -> FloatArray:
    """The covariance `Problem.leave_out` at an estimate, (k, k). Arguments and errors are those of `left_out_scores`."""
    return sandwich(jacobian, _left_out_meat(block, problem, params, jacobian)[0])


@one_pass
def _left_out_meat(block: Rows, problem: Problem, params: FloatArray, jacobian: FloatArray) -> tuple[FloatArray]:
    return (left_out_meat(left_out_pieces(block, problem, params, jacobian), problem, len(params)),)


def left_out_meat(pieces: Iterable[FloatArray], problem: Problem, k: int) -> FloatArray:
    """Sum of squares (k, k) of the units' scores (., k), which come in pieces as `left_out_pieces` has them."""
    total, meat, count = np.zeros(k), np.zeros((k, k)), 0
    for own in pieces:
        total += own.sum(axis=0)
        meat += own.T @ own
        count += len(own)
    if problem.leave_out != "jackknife":
        return meat
    # of scores less their mean
    return np.asarray((meat - total[:, None] * total / count) * (1.0 - 1.0 / count))


def _imputed_square(block: Block) -> Weights:
    rows = np.ones(len(block.outcome)) if block.row_weight is None else block.row_weight
    return Weights(predicted=rows**2, gold=np.zeros(len(block.weight)))


def _gold_square(block: Block) -> Weights:
    rows = 1.0 if block.row_weight is None else block.row_weight[block.gold_rows]
    return Weights(predicted=np.zeros(len(block.outcome)), gold=np.asarray(rows * block.weight) ** 2)


def satterthwaite(
    block: Rows,
    problem: Problem,
    params: FloatArray,
    jacobian: FloatArray,
    meats: tuple[FloatArray, FloatArray],
    basis: FloatArray,
) -> FloatArray:
    r"""Degrees of freedom of the variances HC2, CR2, HC3 and CR3 (Bell and McCaffrey's, by Satterthwaite's approximation).

    An estimated variance is a sum of squares :math:`\sum_g c_g^2` of linear functions of the scores,
    :math:`c_g = b_g' (\psi_g - J_g A^{-1} \sum_h \psi_h)`. With normal scores of working covariances :math:`\Omega_g` they have
    the covariances S, and degrees of freedom :math:`(\mathrm{tr} S)^2 / \mathrm{tr} S^2`. The working covariance of a row is
    :math:`(1 - \tau) \hat J_i + \tau w_i^2 J_i`: a part that predictions explain, and one that labels show, which counts squared
    weights. The share :math:`\tau` makes the labelled rows' part of the variance what it was found to be. Where all rows are
    labelled this is :math:`J_i`, the working model of least squares and of generalised linear models.

    Parameters
    ----------
    block, problem, params, jacobian
        As for `left_out_scores`.
    meats : two (k, k) arrays
        The part of the meat that labelled rows add (`dsl.engine.sums.label_meat`), and all of it, without corrections.
    basis : (q, k) array
        Combinations of the parameters.

    Returns
    -------
    (q,) array

    References
    ----------
    Bell and McCaffrey (2002), and Pustejovsky and Tipton (2018), section 2.
    """
    bread = inverse(jacobian)
    direction = (basis @ bread).T  # (k, q): A^-T times the combination
    own, every = (np.einsum("jq,jl,lq->q", direction, part, direction) for part in meats)
    sums = _squared(block, problem, params)
    tau = _share(own, every, *(np.einsum("jq,jl,lq->q", direction, part, direction) for part in sums))
    # (q, k, k) working covariance of the sum of all scores
    whole = np.stack([(1.0 - t) * sums[0] + t * sums[1] for t in tau])
    return _degrees(block, problem, params, jacobian, (direction, bread, tau, whole))[0]


KINDS = (_imputed_square, _gold_square)
"""Squared weights: of what predictions explain, and of what labels show."""


@one_pass
def _squared(block: Rows, problem: Problem, params: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Sums of the units' Jacobians with squared weights, (k, k) each."""
    imputed, gold = np.zeros((2, len(params), len(params)))
    for one, other in unit_values(block, problem, [_jacobians(problem, params, rule) for rule in KINDS]):
        imputed += one.sum(axis=0)
        gold += other.sum(axis=0)
    return imputed, gold


@one_pass
def _degrees(
    block: Rows,
    problem: Problem,
    params: FloatArray,
    jacobian: FloatArray,
    known: tuple[FloatArray, FloatArray, FloatArray, FloatArray],
) -> tuple[FloatArray]:
    """`_approximate` in a pass over the rows, given what it takes besides."""
    corrected = _correctors(problem, jacobian)
    rules = [_jacobians(problem, params), *(_jacobians(problem, params, rule) for rule in KINDS)]
    pieces = ((corrected(own), own, *parts) for own, *parts in unit_values(block, problem, rules))
    return (_approximate(pieces, *known),)


def _share(own: FloatArray, every: FloatArray, imputed: FloatArray, gold: FloatArray) -> FloatArray:
    """Share tau (q,) with which the labelled part of the working variance is that of the variance."""
    ratio = np.clip(own / np.where(every > 0.0, every, 1.0), 0.0, 1.0)
    below = np.abs(gold) * (1.0 - ratio) + np.abs(imputed) * ratio
    # labels alone: all is theirs
    return np.where(np.abs(imputed) > 0.0, np.abs(imputed) * ratio / np.where(below > 0.0, below, 1.0), 1.0)


def _approximate(
    pieces: Iterable[tuple[FloatArray, ...]],
    direction: FloatArray,
    bread: FloatArray,
    tau: FloatArray,
    whole: FloatArray,
) -> FloatArray:
    k, q = direction.shape
    trace, square, cross = np.zeros(q), np.zeros(q), np.zeros(q)
    inner = np.zeros((q, 2 * k, 2 * k))
    # S = D - U C U' with U = (alpha, beta), alpha = Omega_g b_g, beta = A^-T J_g' b_g
    middle = np.zeros((q, 2 * k, 2 * k))
    middle[:, :k, k:] = middle[:, k:, :k] = np.eye(k)
    middle[:, k:, k:] = -whole
    for found, jacobians, imputed, gold in pieces:
        b = np.einsum("gji,jq->gqi", found, direction)
        alpha = (1.0 - tau)[:, None] * np.einsum("gij,gqj->gqi", imputed, b)
        alpha += tau[:, None] * np.einsum("gij,gqj->gqi", gold, b)
        beta = np.einsum("gji,gqj->gqi", jacobians, b) @ bread
        diagonal = np.einsum("gqi,gqi->gq", b, alpha)
        u = np.concatenate([alpha, beta], axis=2)
        taken = np.einsum("gqi,qij,gqj->gq", u, middle, u, optimize=True)
        trace += (diagonal - taken).sum(axis=0)
        square += (diagonal**2).sum(axis=0)
        cross += (diagonal * taken).sum(axis=0)
        inner += np.einsum("gqi,gqj->qij", u, u, optimize=True)
    turned = middle @ inner
    total = square - 2.0 * cross + np.einsum("qij,qji->q", turned, turned)
    return np.asarray(trace**2 / np.where(total > 0.0, total, np.inf))
