"""The main job on real data: naive, gold-only and DSL estimates beside the truth (`python -m dsl.cli.demo`)."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np  # noqa: F401  # FORMULA names it
import pandas as pd

from dsl._typing import Record
from dsl.analyses.regression import dsl
from dsl.analyses.results import DSLResults
from dsl.data.files import written_aside
from dsl.datasets import load_sentiment
from dsl.reports.plots import coefficients
from dsl.reports.plots.lettering import write_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FORMULA = "human_positive ~ negation + hedge + np.log1p(n_words) + source"
LABELS = {"naive": "LLM labels alone", "gold_only": "human labels alone", "dsl": "both, by DSL"}
TITLE = "Is the text positive? One regression, three ways"


def fitted(tweets: pd.DataFrame, estimator: str) -> DSLResults:
    """The regression by one estimator."""
    return dsl(
        FORMULA,
        tweets,
        model="logit",
        predicted_var="human_positive",
        prediction="llm_positive" if estimator == "naive" else ["llm_positive", "llm_confidence"],
        cluster="doc_id",
        sl_method="ridge",
        estimator=estimator,
    )


def estimate(n_labels: int = 1000, seed: int = 1) -> Record:
    """Fit every estimator on one random labelling, and the regression on all human labels.

    Parameters
    ----------
    n_labels : int
        Number of texts whose human label is shown.
    seed : int
        Draws them.

    Returns
    -------
    dict
        ``naive``, ``gold_only`` and ``dsl``: results of `dsl.dsl`, and ``truth``: statsmodels results.
    """
    import statsmodels.formula.api as smf

    tweets = load_sentiment(n_labels=n_labels, seed=seed)
    fits: Record = {estimator: fitted(tweets, estimator) for estimator in LABELS}
    return {**fits, "truth": smf.logit(FORMULA, load_sentiment()).fit(disp=0)}


def comparison(fits: Record) -> pd.DataFrame:
    """Estimates and intervals side by side, one row per coefficient, text cells."""
    terms = fits["dsl"].params.index
    table = {}
    for name, label in LABELS.items():
        tidy = fits[name].tidy().set_index("term")
        table[label] = [f"{row.estimate:6.2f} [{row.conf_low:5.2f}, {row.conf_high:5.2f}]" for row in tidy.itertuples()]
    table["truth"] = [f"{value:6.2f}" for value in fits["truth"].params[terms]]
    return pd.DataFrame(table, index=terms)


def plot(fits: Record, ax: "Axes | None" = None) -> "Axes":
    """Coefficient plot: the estimators' intervals around the truth. Takes and returns matplotlib Axes."""
    ax = coefficients({label: fits[name] for name, label in LABELS.items()}, ax, truth=fits["truth"].params)
    write_title(ax, TITLE)
    ax.set_xlabel("logit coefficient, 95% confidence interval")
    return ax


def main() -> None:
    """Print the comparison and save the plot."""
    from matplotlib.figure import Figure

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("demo_output"), help="folder for the plot")
    parser.add_argument("--n-labels", type=int, default=1000, help="texts with a human label shown")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    fits = estimate(given.n_labels, given.seed)
    print(f"{FORMULA} (logit), 9,390 texts, human labels shown for {given.n_labels:,} of them.")
    print("The LLM is SmolLM2 (135 million parameters), asked by dsl.annotate.")
    print("Estimates with 95% intervals; 'truth' is the regression on all 9,390 human labels.\n")
    print(comparison(fits).to_string())
    given.output.mkdir(parents=True, exist_ok=True)
    path = given.output / "coefficients.png"
    figure = plot(fits).figure
    assert isinstance(figure, Figure)
    with written_aside(path) as draft:
        # what is drawn, for those who do not see it, and for a test of the picture in the README
        figure.savefig(draft, dpi=150, metadata={"Description": comparison(fits).to_string()})
    print(f"\nCoefficient plot: {path}")


if __name__ == "__main__":
    main()
