r"""The covariance of a superpopulation, given how the labelled rows were drawn.

The meat of `dsl.engine.fit`, the sum of psi psi', takes rows for independent of each other. Where a fixed number was drawn,
labels are not: with :math:`w_i = R_i / \pi_i`,

.. math:: \psi_i = m_i + (w_i - 1) d_i, \qquad d_i = m_i - \Lambda \hat m_i,

and :math:`u_i = w_i - 1` add up to zero, so that the mean of d adds nothing to the sum of psi. The meat counts it all the same.
It is far from zero where predicted moments are off in the mean, as those of a predicted covariate at its conditional mean are.
What psi has of this direction is taken off,

.. math:: \psi_i - (R_i - \pi_i) B_h, \qquad B_h = \frac{\sum_h (1 - \pi) c}{\sum_h (1 - \pi)}, \qquad c_i = w_i d_i,

with sums over the labelled rows of the stratum h. What is left are the rows' own variance and that of the labelling about the
stratum's mean (Hajek 1964). With equal probabilities :math:`R_i - \pi_i` is :math:`\pi u_i`, and B is the coefficient of the
projection of psi on it, up to what the predictions' means differ between labelled and other rows, of the order of
:math:`\pi / \sqrt n`. In moments that are affine in the label this is the variance of regression estimators in two-phase
samples (Cochran 1977, section 12.6). What is lost by estimating B, 1 / n of the labelling's variance in each stratum, is added.

Where units were drawn, sums over them take the place of rows, and what happens within them is in these sums. Rows drawn one by
one have no fixed number, but weights that are scaled to the number drawn. This is a ratio estimator, in which the mean of c takes
the place of B. So do weights without a design, whose equal probabilities are the number labelled over that of all rows.

References
----------
Hajek, "Asymptotic theory of rejective sampling with varying probabilities from a finite population", Annals of Mathematical
Statistics 35, 1964. Cochran, "Sampling Techniques" (1977). Sarndal, Swensson and Wretman, "Model Assisted Survey Sampling"
(1992), chapter 9.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from dsl._typing import FloatArray, IntArray
from dsl.engine.covariance import cluster_sums
from dsl.engine.labeling import WHOLE, Labeling, centre_of, first_stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """How the labelled rows of a superpopulation's sample were drawn, and its clusters."""

    labeling: Labeling
    cluster: IntArray | None = field(default=None, repr=False)
    """(N,) codes 0, 1, ..., each of which holds units of the draw whole."""
    n_clusters: int | None = None
    before: tuple[Labeling, ...] = ()
    """How rows were drawn in earlier stages (`dsl.engine.stages`). `labeling` and all but the first are draws among the rows of
    the stage before, where others have a probability of one and were not drawn."""

    def about(self, label_scores: FloatArray) -> "Centred":
        """What is taken off the scores, from what the labelled rows add to them (m, k), stage below stage."""
        stages = (*self.before, self.labeling)
        ends = np.cumsum([int(stage.drawn.sum()) for stage in stages])
        first, *later = (
            Centred.of(replace(self, labeling=stage, before=()), part)
            for stage, part in zip(stages, np.split(label_scores, ends[:-1]), strict=True)
        )
        for each in later:
            first = replace(each, earlier=first, lost=np.vstack([first.lost, each.lost]))
        return first

    def meat(self, rows: Iterable[FloatArray], label_scores: FloatArray) -> FloatArray:
        """Sum of squares (k, k) of rows' scores, which come in pieces, given the draw."""
        return self.sums(rows, label_scores)[1]

    def sums(self, rows: Iterable[FloatArray], label_scores: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The same, after the sum (k,) of the scores as they are."""
        centred = self.about(label_scores)
        moment, meat = np.zeros(label_scores.shape[1]), centred.lost.T @ centred.lost

        def counted() -> Iterator[FloatArray]:
            for part in rows:
                moment[:] += part.sum(axis=0)
                yield part

        for part in centred.units(counted()):
            meat += part.T @ part
        return moment, meat


@dataclass(frozen=True, slots=True, kw_only=True)
class Centred:
    """What a draw takes off scores: a row loses ``number`` times the mean, and ``share`` times its stratum's centre."""

    draw: Draw
    number: FloatArray = field(repr=False)
    """(N,) R - pi of rows, zero for those that were certain."""
    mean: FloatArray
    """(k,) mean of the labelled rows' scores."""
    share: FloatArray = field(repr=False)
    """(N,) R - pi of rows, or of units, spread over their rows."""
    stratum: IntArray = field(repr=False)
    """(N,) row of `centre`."""
    centre: FloatArray = field(repr=False)
    """(S + 1, k) the strata's centres. The last is zero, of strata without labels."""
    label_scores: FloatArray = field(repr=False)
    """(m, k) what the labelled rows add, about their centres."""
    lost: FloatArray = field(repr=False)
    """(., k) deviations whose squares are what estimating the centres takes from the variance."""
    earlier: "Centred | None" = None
    """What an earlier stage takes off."""

    @classmethod
    def of(cls, draw: Draw, label_scores: FloatArray) -> "Centred":
        """From what the labelled rows add to the scores, w (m - Lambda m_hat), (m, k)."""
        labeling, drawn = draw.labeling, draw.labeling.drawn
        certain = labeling.prob >= 1.0 - WHOLE
        number = np.where(certain, 0.0, drawn - labeling.prob)
        random = ~certain[drawn]
        mean = label_scores[random].mean(axis=0) if random.any() else np.zeros(label_scores.shape[1])
        rest = label_scores - random[:, None] * mean
        stage = first_stage(labeling)
        share, mine = number, np.ones(len(rest))
        if labeling.unit is not None and labeling.unit_prob is not None:
            n_units = int(labeling.unit.max()) + 1
            size = np.bincount(labeling.unit, minlength=n_units)[labeling.unit]
            reached = np.bincount(labeling.unit, drawn, minlength=n_units)[labeling.unit] > 0.0
            share = (reached - labeling.unit_prob) / size
            mine = 1.0 / np.bincount(stage.unit)[stage.unit]
            totals = cluster_sums(rest, stage.unit, len(stage.prob))
        else:
            totals = rest
        if not labeling.fixed_size:
            none = np.zeros((1, totals.shape[1]))
            every = np.zeros(len(drawn), dtype=np.int64)
            return cls(
                draw=draw,
                number=number,
                mean=mean,
                share=share,
                stratum=every,
                centre=none,
                label_scores=rest,
                lost=none,
            )
        centre, count = centre_of(totals, stage.prob, stage.stratum, stage.kept)
        gap = totals - centre[stage.stratum]
        lost = np.where(count > 1.5, 1.0 / np.maximum(count - 1.0, 1.0), 0.0)[stage.stratum]
        return cls(
            draw=draw,
            number=number,
            mean=mean,
            share=share,
            stratum=_codes(labeling, stage.stratum, stage.unit),
            centre=np.vstack([centre, np.zeros((1, centre.shape[1]))]),
            label_scores=rest - (random * mine)[:, None] * centre[stage.stratum[stage.unit]],
            lost=gap * np.sqrt(stage.left * lost)[:, None],
        )

    def rows(self, rows: Iterable[FloatArray]) -> Iterator[FloatArray]:
        """Rows' scores (., k), in pieces, less what the draw makes known. Those of labelled rows alone are put among zeros."""
        drawn, first = self.draw.labeling.drawn, 0
        if self.earlier is not None:
            rows = self.earlier.rows(rows)
        for part in _padded(rows, len(drawn), np.flatnonzero(drawn)):
            here = slice(first, first + len(part))
            first += len(part)
            share = self.share[here]
            if self.draw.labeling.stratum is None:
                yield part - np.column_stack([self.number[here], share]) @ np.vstack([self.mean, self.centre[0]])
            else:
                yield part - self.number[here, None] * self.mean - share[:, None] * self.centre[self.stratum[here]]

    def units(self, rows: Iterable[FloatArray]) -> Iterator[FloatArray]:
        """The same for independent units: rows, or sums over clusters."""
        cluster, first = self.draw.cluster, 0
        if cluster is None:
            yield from self.rows(rows)
            return
        total = np.zeros((self.draw.n_clusters or 0, len(self.mean)))
        for part in self.rows(rows):
            total += cluster_sums(part, cluster[first : first + len(part)], len(total))
            first += len(part)
        yield total


def _padded(rows: Iterable[FloatArray], n: int, labeled: IntArray) -> Iterator[FloatArray]:
    """The pieces, or, if they are those of the labelled rows, all rows with zeros for the others."""
    held: list[FloatArray] = []
    count = 0
    for part in rows:
        held.append(part)
        count += len(part)
        # more rows than were labelled: these are all
        if count > len(labeled) or len(labeled) == n:
            yield from held
            held = []
    if held:
        scores = np.concatenate(held)
        out = np.zeros((n, scores.shape[1]))
        out[labeled] = scores
        yield out


def _codes(labeling: Labeling, stratum: IntArray, unit: IntArray) -> IntArray:
    """Place of each row's stratum among those of the labelled rows, the number of these for others, (N,)."""
    last = int(stratum.max(initial=-1)) + 1
    if labeling.stratum is None:
        return np.zeros(len(labeling.prob), dtype=np.int64)
    out = np.full(int(labeling.stratum.max()) + 1, last)
    out[labeling.stratum[labeling.drawn]] = stratum[unit]
    return out[labeling.stratum]
