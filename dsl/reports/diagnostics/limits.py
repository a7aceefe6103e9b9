"""From where on a figure deserves a note or an alarm, and why there."""

from dsl.data.drawn import LEVEL
from dsl.reports.diagnostics.results import Limits

FEW_BEHIND = 60
"""Labelled rows behind a coefficient (`labels_behind`) below which a chosen lambda is doubtful. With about 50 in simulation A
at n = 500, normal 95% intervals covered 92 to 93.5%, and t intervals 93 to 94.5%. Counted by another measure then (14), and
converted by the usual ratio of the two."""


FEW_PER_LAMBDA = 20
"""Labels per coefficient below which choosing lambda is doubtful."""


DIFFERENTIAL = Limits(
    note=0.01,
    alarm=0.0001,
    below=True,
    reason=(
        "p value, adjusted for the number of covariates (Holm): one clean study in a hundred has a note. Errors that depend on a "
        "covariate given the truth bias an analysis that takes surrogates for the truth; DSL corrects for them"
    ),
)
SURROGATE = Limits(
    note=0.3,
    alarm=0.1,
    below=True,
    reason=(
        "correlation with the gold values (kappa for categories): predictions that correlate by r save at most a share r^2 of "
        "the labels, 9% at 0.3 and 1% at 0.1; a negative one is a surrogate coded the wrong way round"
    ),
)
LEARNER = Limits(
    note=0.1,
    alarm=0.0,
    below=True,
    reason=(
        "out-of-fold R2: predictions save at most this share of the labels; below zero they are worse than the mean and add "
        "noise to an estimator that relies on them in full"
    ),
)
LEARNER_Z = Limits(
    note=2.326,
    below=False,
    reason=(
        "z statistic of the difference in squared errors: above the 99% point, the learner makes more of an error than the "
        "surrogate that it is given"
    ),
)
CALIBRATION = Limits(
    note=0.1,
    below=False,
    reason=(
        "distance of the calibration slope from 1 beyond its 99% interval (Cox 1958): predictions that are systematically too "
        "extreme or too timid waste labels; estimates stay valid"
    ),
)
MINIMUM_SPREAD = 0.1
"""Standard deviation of the predictions, relative to that of the gold values, below which a slope says nothing."""
LABELS = Limits(
    note=50,
    alarm=30,
    below=True,
    reason=(
        "Kish's effective number of labels: intervals rest on the normal approximation, and the learner on (K - 1)/K of them; in "
        "simulations (linear model, 400 draws) nominal 95% intervals covered as little as 92% at 30, and `dsl.dsl` warns below"
    ),
)
WEIGHTS = Limits(
    note=0.5,
    alarm=0.2,
    below=True,
    reason=(
        "Kish's effective number of labels relative to their number (1965, Survey Sampling, sec. 11.7): at 0.5 unequal weights "
        "cost as much as half of the labels, unless probabilities follow the size of the errors"
    ),
)
SMALLEST = Limits(
    note=0.0999,
    alarm=0.02,
    below=True,
    reason=(
        "smallest sampling probability relative to the mean one: at 0.1, where the floor of adaptive designs lies, one "
        "label speaks for ten times as many rows as the average one; at 0.02 for fifty times"
    ),
)
BALANCE = Limits(
    note=0.005,
    alarm=LEVEL,
    below=True,
    reason=(
        "p value, adjusted for all parts of all columns; `dsl.dsl` warns below 0.0005: labelled rows must resemble all rows in "
        "every column that is known for all, because they were drawn at random with the stated probabilities; all of DSL rests "
        "on that"
    ),
)
CLUSTERS = Limits(
    note=40,
    alarm=20,
    below=True,
    reason=(
        "clusters with labelled rows: clustered standard errors are too small with few of them (Cameron and Miller 2015, "
        "Journal of Human Resources 50: with fewer than 20 to 50)"
    ),
)
PER_COEFFICIENT = Limits(
    note=FEW_PER_LAMBDA,
    alarm=5,
    below=True,
    reason=(
        "labels per coefficient: robust standard errors are too small by about k/(2n), 2.5% at 20 and 10% at 5 (MacKinnon and "
        "White 1985)"
    ),
)
BEHIND = Limits(
    note=25,
    alarm=12,
    below=True,
    reason=(
        "labelled rows behind a coefficient: in simulations of a rare group (linear model, 400 draws) nominal 95% intervals with "
        "25 or more behind them covered 93 to 96%, with 12 to 15 92 to 93% (counted by another measure then, and converted by "
        "the usual ratio of the two)"
    ),
)
BEHIND_TUNED = Limits(
    note=FEW_BEHIND,
    alarm=40,
    below=True,
    reason=(
        "labelled rows behind a coefficient whose lambda is chosen from them: nominal 95% intervals covered 93% with about 50 in "
        "simulation A at n = 500, 90 to 93% with about as many on the bundled ratings at n = 1000, 94 to 96% with more "
        "(counted by another measure then, and converted by the usual ratio of the two)"
    ),
)
INFLUENCE = Limits(
    note=0.2,
    alarm=0.33,
    below=False,
    reason=(
        "share of a coefficient's variance that comes from one labelled row: in simulations of a rare group (linear model, 400 "
        "draws) nominal 95% intervals covered 95% at 0.16, 92 to 93% at 0.2 to 0.3; the normal approximation of the tails may be "
        "off by 0.56 share^(3/2) (Berry-Esseen; Shevtsova 2010)"
    ),
)
CELLS = Limits(
    note=20,
    alarm=5,
    below=True,
    reason=(
        "labelled rows in a cell of the formula's factors, or with a value of a predicted variable: its coefficient rests on "
        "these alone; 5 is the usual limit of the normal approximation for counts (Cochran 1954)"
    ),
)
OUTCOMES = Limits(
    note=5,
    alarm=1,
    below=True,
    reason=(
        "the rarer outcome in a cell: with none of it a logit coefficient is infinite without the predictions (separation), with "
        "few of it the approximation of its distribution is poor"
    ),
)
EVENTS = Limits(
    note=10,
    alarm=5,
    below=True,
    reason=(
        "the rarer outcome per coefficient of a logit: ten are the usual advice (Peduzzi et al. 1996), five enough in many "
        "cases (Vittinghoff and McCulloch 2007)"
    ),
)
SEPARATION = Limits(
    note=0.05,
    alarm=0.25,
    below=False,
    reason=(
        "share of the labelled rows with a fitted probability within 1 in 10,000 of 0 or 1: no sample of labels can support so "
        "many of them, and the coefficients that make them are on the way to infinity (separation; Albert and Anderson 1984)"
    ),
)
EXTREME = 1e-4
"""Distance of a fitted probability from 0 or 1 from which `SEPARATION` counts it."""
JACOBIAN = Limits(
    note=0.5,
    alarm=0.1,
    below=True,
    reason=(
        "smallest part of the information in the predicted covariates that the gold correction leaves, over splits: near zero "
        "the moment equation has no stable solution"
    ),
)
FOLDS = Limits(
    note=0.01,
    alarm=0.0001,
    below=True,
    reason=(
        "p value that out-of-fold errors are alike in all folds (Welch 1951; twice the median over splits, Meinshausen, Meier "
        "and Buehlmann 2009): folds drawn at random differ by chance only"
    ),
)
SPLITS = Limits(
    note=0.1,
    alarm=0.3,
    below=False,
    reason=(
        "how far another seed would move the estimate, in its standard errors: 1.25 sd/sqrt(S), the standard error of a median "
        "over S splits; above 0.1 results depend on the seed visibly"
    ),
)
MEDIAN_ERROR = 1.2533
"""Standard error of a median of normal draws, relative to that of their mean: sqrt(pi / 2)."""
