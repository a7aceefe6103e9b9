"""Short names of estimators with their settings, as comparisons and evaluations list them."""

from collections.abc import Collection, Mapping
from typing import TypeAlias

from dsl._typing import Arguments, Record
from dsl.data.arguments import Names, as_names, check_choice
from dsl.exceptions import ArgumentError

Estimators: TypeAlias = Names | Mapping[str, str | Arguments]
"""Short names, or arguments of `dsl.dsl` by a name of one's own."""

SHORT: dict[str, Record] = {
    # no labels, so that nothing about these rows is random
    "naive": {"estimator": "naive", "target": "superpopulation"},
    "gold_only": {"estimator": "gold_only"},
    "dsl": {"estimator": "dsl"},
    "tuned": {"estimator": "dsl", "tune": "coef"},
    "dsl+": {"estimator": "dsl+"},
    "ppi": {"estimator": "ppi"},
    "ppi++": {"estimator": "ppi++"},
    "cdi": {"estimator": "cdi"},
}
"""Arguments of `dsl.dsl` behind each short name, in the order in which they are listed."""

BASELINE = ("srs", "gold_only")
"""Design and estimator that others are measured against."""


def resolve_estimators(estimators: Estimators) -> dict[str, Record]:
    """Arguments of `dsl.dsl` by name of the estimator."""
    named = (
        estimators if isinstance(estimators, Mapping) else {name: name for name in as_names(estimators, "estimators")}
    )
    if not named:
        raise ArgumentError("estimators names nothing to compare; use e.g. estimators=('gold_only', 'dsl')")
    out: dict[str, Record] = {}
    for name, given in named.items():
        if isinstance(given, Mapping):
            drawn = next((key for key in ("design", "labeled", "sample_prob") if key in given), None)
            if drawn is not None:
                raise ArgumentError(
                    f"estimator '{name}' sets '{drawn}', but the designs decide which rows are labelled"
                )
            out[str(name)] = {str(key): value for key, value in given.items()}
        elif isinstance(given, str):
            out[str(name)] = dict(SHORT[known_name(given, SHORT, "estimator")])
        else:
            raise ArgumentError(
                f"estimator '{name}' must be a short name or a dict of arguments of dsl.dsl, e.g. {{'estimator': 'dsl', 'tune': "
                f"'scalar'}}; found {type(given).__name__}"
            )
    # gains are shares of the baseline's, so that its name must mean what it says
    if out.get(BASELINE[1], SHORT[BASELINE[1]]) != SHORT[BASELINE[1]]:
        raise ArgumentError("'gold_only' is the baseline of every evaluation; give this estimator another name")
    return out


def known_name(name: str, known: Collection[str], what: str) -> str:
    """The name. Raises ArgumentError, which lists the known ones, if it is none of them."""
    check_choice(what, name, tuple(known))
    return name
