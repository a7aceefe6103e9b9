"""What becomes of each conclusion that the naive estimate suggests, in words."""

import pandas as pd

from dsl.reports.text import number, p_text

CHANGES = {
    (True, True, True): "same",
    (True, True, False): "reverses",
    (True, False, True): "vanishes",
    (True, False, False): "vanishes",
    (False, True, True): "appears",
    (False, True, False): "appears",
    (False, False, True): "same",
    (False, False, False): "same",
}
"""By whether the naive and the corrected estimate are significant, and have the same sign."""


def conclude(table: pd.DataFrame, bias: pd.DataFrame, naive: str, reference: str, alpha: float) -> pd.DataFrame:
    """Change and sentence for each coefficient.

    Parameters
    ----------
    table : DataFrame
        Coefficients of `naive` and `reference` among others, as `dsl.reports.comparison.results.coefficients` makes it.
    bias : DataFrame
        Naive less reference.
    naive, reference : str
        Names of the two estimators.
    alpha : float
        Level of the tests that conclusions rest on.
    """
    rows = {name: table[table["estimator"] == name].set_index("term") for name in (naive, reference)}
    out = []
    for term in bias.index:
        raw, corrected = rows[naive].loc[term], rows[reference].loc[term]
        change = CHANGES[
            bool(raw["p_value"] < alpha),
            bool(corrected["p_value"] < alpha),
            # the same sign
            bool(raw["estimate"] * corrected["estimate"] > 0.0),
        ]
        sentence = f"{term}: {_verdict(change, raw, corrected, reference, alpha)} {_bias(bias.loc[term], alpha)}"
        out.append({"change": change, "sentence": sentence})
    return pd.DataFrame(out, index=bias.index)


def _verdict(change: str, naive: pd.Series, corrected: pd.Series, reference: str, alpha: float) -> str:
    before = f"with surrogates taken for the truth ({_numbers(naive)})"
    after = f"by {reference} ({_numbers(corrected)})"
    unclear = f"cannot be told from zero at the {100 * alpha:g}% level"
    first, second = _sign(naive), _sign(corrected)
    if change == "reverses":
        return f"the conclusion reverses. {first.capitalize()} {before}, {second} {after}."
    if change == "vanishes":
        return f"the conclusion does not hold. {first.capitalize()} {before}; {after} it {unclear}."
    if change == "appears":
        return f"the conclusion changes. It {unclear} {before}; {after} it is {second}."
    if naive["p_value"] < alpha:
        return f"the conclusion holds. {first.capitalize()} {before} and {after}."
    return f"the conclusion holds. It {unclear}, neither {before} nor {after}."


def _bias(row: pd.Series, alpha: float) -> str:
    size = f"SE {number(row['std_error'])}, {p_text(row['p_value'])}"
    if row["std_error"] == 0.0:
        return "The two estimates are the same."
    if row["p_value"] < alpha:
        way = "high" if row["difference"] > 0.0 else "low"
        return f"The naive estimate is too {way} by {number(abs(row['difference']))} ({size})."
    return f"No bias of the naive estimate can be shown: {number(row['difference'])} ({size})."


def _sign(row: pd.Series) -> str:
    return "positive" if row["estimate"] > 0.0 else "negative"


def _numbers(row: pd.Series) -> str:
    return f"{number(row['estimate'])}, {p_text(row['p_value'])}"
