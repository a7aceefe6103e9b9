"""The main job on real data: naive, gold-only and DSL estimates beside the truth (`python -m dsl.cli.demo`)."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from dsl._typing import Record
from dsl.analyses.regression import dsl
from dsl.data.files import written_aside
from dsl.datasets import load_sentiment

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FORMULA = "human_positive ~ negation + hedge + np.log1p(n_words) + source"
LABELS = {"naive": "naive (LLM as truth)", "gold_only": "gold only", "dsl": "DSL"}


def with_probability(tweets: pd.DataFrame) -> pd.DataFrame:
    """The table with the LLM's probability of "positive", which tells more than its label."""
    certain = tweets["llm_confidence"]
    return tweets.assign(llm_probability=certain.where(tweets["llm_positive"] == 1, 1 - certain))


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

    tweets = with_probability(load_sentiment(n_labels=n_labels, seed=seed))
    out: Record = {
        estimator: dsl(
            FORMULA,
            tweets,
            model="logit",
            predicted_var="human_positive",
            prediction="llm_positive" if estimator == "naive" else "llm_probability",
            cluster="doc_id",
            sl_method="ridge",
            estimator=estimator,
        )
        for estimator in LABELS
    }
    out["truth"] = smf.logit(FORMULA, load_sentiment()).fit(disp=0)
    return out


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
    import matplotlib.pyplot as plt

    if ax is None:
        _, ax = plt.subplots(figsize=(7.5, 4.2), layout="constrained")
    terms = [term for term in fits["dsl"].params.index if term != "Intercept"]
    # the first coefficient on top
    place = np.arange(len(terms))[::-1].astype(float)
    styles = {"naive": ("s", "0.55", 0.22), "gold_only": ("o", "0.35", 0.0), "dsl": ("D", "black", -0.22)}
    for name, (marker, color, shift) in styles.items():
        tidy = fits[name].tidy().set_index("term").loc[terms]
        # lengths (2, k) down and up, as `errorbar` takes them
        half = [tidy["estimate"] - tidy["conf_low"], tidy["conf_high"] - tidy["estimate"]]
        ax.errorbar(
            tidy["estimate"],
            place + shift,
            xerr=half,
            fmt=marker,
            color=color,
            label=LABELS[name],
            capsize=3,
            markersize=5,
        )
    for y, value in zip(place, fits["truth"].params[terms], strict=True):
        first = y == place[0]
        ax.plot([value, value], [y - 0.4, y + 0.4], "k:", linewidth=1.5, label="all human labels" if first else None)
    ax.axvline(0.0, color="0.8", linewidth=0.8, zorder=0)
    ax.set_yticks(place, terms)
    ax.set_xlabel("logit coefficient, 95% confidence interval")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, loc="best")
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
        figure.savefig(draft, dpi=150)
    print(f"\nCoefficient plot: {path}")


if __name__ == "__main__":
    main()
