"""The test that labelled rows look drawn as stated: false alarms over all that `dsl.sampling` draws, and power.

Columns are cut into parts once for all draws. Everything else is what every fit does.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl.data import drawn
from dsl.data.columns import Columns
from dsl.data.design import aligned
from dsl.data.sample import Sample, prepare
from dsl.engine.labeling import Labeling
from dsl.sampling import LabelDesign
from dsl.sampling.probability import scale_probabilities

pytestmark = pytest.mark.slow

ROWS, CLUSTERS = 2000, 150
DRAWS = 500
"""Draws of each design, each looked at with the design and with the probabilities alone."""
WORST = 4
"""Alarms of a design in 1,000 looks: five or more have probability 0.004 if one fit in a thousand has an alarm."""
COLUMNS = Columns(
    formula=("y", "x", "heavy", "g", "rare"), predicted=("y",), prediction=("llm",), feature=("conf",), cluster="cl"
)


@cache
def table() -> pd.DataFrame:
    """Columns of all kinds: heavy tails, rare values, values that clusters share, and clusters of very unequal size."""
    rng = np.random.default_rng(20)
    size = rng.lognormal(0.0, 0.9, CLUSTERS)
    cl = np.sort(rng.choice(CLUSTERS, ROWS, p=size / size.sum()))
    level = rng.normal(size=CLUSTERS)
    return pd.DataFrame(
        {
            "y": np.where(np.arange(ROWS) < 2, np.arange(ROWS) * 1.0, np.nan),
            "x": level[cl] + 0.3 * rng.normal(size=ROWS),
            "heavy": rng.standard_cauchy(ROWS),
            "g": rng.choice(list("abcdef"), ROWS, p=[0.4, 0.3, 0.15, 0.1, 0.04, 0.01]),
            "rare": (rng.random(ROWS) < 0.003) * 1.0,
            "llm": (rng.random(ROWS) < 0.3) * 1.0,
            "conf": rng.beta(5.0, 1.0, ROWS),
            "cl": cl,
            "above": (level[cl] > 0.5) * 1.0,
            "source": np.where(rng.random(ROWS) < 0.3, "tweets", "nyt"),
            "year": rng.integers(2000, 2020, ROWS),
        }
    )


@pytest.fixture(autouse=True)
def cut_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns do not depend on the draw."""
    kept: dict[tuple[str, int], object] = {}

    def coded(name: str, column: pd.Series) -> object:
        if name not in table():
            return own(name, column)
        key = (name, len(column))
        if key not in kept:
            kept[key] = own(name, column)
        return kept[key]

    own = drawn.coded
    monkeypatch.setattr(drawn, "coded", coded)


@cache
def base(clustered: bool) -> tuple[Sample, Columns]:
    columns = COLUMNS if clustered else replace(COLUMNS, cluster=None)
    return prepare(table(), columns), columns


def looked(
    labeling: Labeling, design: LabelDesign | None, *, clustered: bool = False, stated: bool = False
) -> drawn.Tested:
    """The least likely column."""
    sample, columns = base(clustered)
    sample = replace(sample, labeled=labeling.drawn, labeling=labeling)
    if stated:  # the column itself is not in the table, but its sum is looked at
        columns = replace(columns, sample_prob="pi")
        sample = replace(sample, data=sample.data.assign(pi=labeling.prob))
    return drawn.looked_at(sample, columns, table(), design)[0]


def alone(design: LabelDesign) -> Labeling:
    """What a call knows from probabilities alone."""
    equal = float(np.ptp(design.prob)) < 1e-12
    prob = np.full(ROWS, design.drawn.mean()) if equal else design.prob
    return Labeling(prob=prob, drawn=design.drawn, fixed_size=equal)


def entropy() -> np.ndarray:
    return np.sqrt(table()["conf"] * (1.0 - table()["conf"])).to_numpy()


DESIGNS: dict[str, Callable[[np.random.Generator], LabelDesign]] = {
    "srs 20": lambda rng: dsl.sampling.simple_random(table(), 20, seed=rng),
    "srs 200": lambda rng: dsl.sampling.simple_random(table(), 200, seed=rng),
    "srs 1000": lambda rng: dsl.sampling.simple_random(table(), 1000, seed=rng),
    "bernoulli": lambda rng: dsl.sampling.bernoulli(table(), 200, seed=rng),
    "bernoulli, unequal": lambda rng: dsl.sampling.bernoulli(
        table(), prob=scale_probabilities(entropy(), 200.0, floor=0.01), seed=rng
    ),
    "stratified": lambda rng: dsl.sampling.stratified(table(), 200, by="g", seed=rng),
    "stratified, equal": lambda rng: dsl.sampling.stratified(
        table(), 300, by=["g", "llm"], allocation="equal", seed=rng
    ),
    "stratified, given": lambda rng: dsl.sampling.stratified(
        table(), by="source", allocation={"tweets": 300, "nyt": 50}, seed=rng
    ),
    "pps 60": lambda rng: dsl.sampling.proportional_to_size(table(), 60, measure="conf", seed=rng),
    "pps, certain rows": lambda rng: dsl.sampling.proportional_to_size(
        table(), 200, measure=table()["heavy"].abs(), floor=0.01, seed=rng
    ),
    "pps 800": lambda rng: dsl.sampling.proportional_to_size(table(), 800, measure=entropy(), floor=0.05, seed=rng),
    "cluster 20": lambda rng: dsl.sampling.clustered(table(), 20, by="cl", seed=rng),
    "cluster 60": lambda rng: dsl.sampling.clustered(table(), 60, by="cl", seed=rng),
    "two stages": lambda rng: dsl.sampling.two_stage(table(), 40, 5, by="cl", seed=rng),
    "two stages, equal": lambda rng: dsl.sampling.two_stage(table(), 40, 5, by="cl", first="equal", seed=rng),
}


@pytest.mark.parametrize("kind", DESIGNS)
def test_false_alarms(kind: str) -> None:
    found = []
    for draw in range(DRAWS):
        design = DESIGNS[kind](np.random.default_rng([draw, 7]))
        found.append(looked(aligned(design, table().index), design))
        together = design.unit is not None
        found.append(looked(alone(design), None, clustered=together or draw % 2 == 1, stated=not design.fixed_size))
    alarms = [each for each in found if each.alarm]
    print(f"{kind}: {len(alarms)} alarms in {len(found)}")
    assert len(alarms) <= WORST, alarms


def test_false_alarms_after_poststratification() -> None:
    """A simple random sample whose probabilities are the shares labelled in each stratum."""
    code = pd.factorize(table()["llm"])[0]
    found = []
    for draw in range(DRAWS):
        design = DESIGNS["srs 200"](np.random.default_rng([draw, 8]))
        prob = (np.bincount(code, design.drawn) / np.bincount(code))[code]
        found.append(looked(Labeling(prob=prob, drawn=design.drawn, fixed_size=False), None, stated=True))
    print(f"poststratified: {sum(each.alarm for each in found)} alarms in {len(found)}")
    assert sum(each.alarm for each in found) <= WORST


def aimed(draws: int) -> Iterator[tuple[str, LabelDesign]]:
    """Designs whose probabilities were learnt from labels that were drawn before."""
    rng = np.random.default_rng(3)
    data = table().drop(columns="y")
    truth = pd.Series((rng.random(ROWS) < np.where(data["llm"] == 1.0, 0.8, 0.1)) * 1.0, index=data.index)
    call = {"predicted_var": "y", "prediction": "llm", "sl_method": "lm"}
    for draw in range(draws):
        loop = dsl.AdaptiveDesign(
            "y ~ x + above", data, n_labels=240, batches=4, confidence="conf", seed=1000 + draw, **call
        )
        yield "adaptive", loop.run(lambda batch: truth[batch.index]).design()
        design = dsl.sampling.simple_random(data, 120, seed=5000 + draw)
        shown = data.assign(y=truth.where(design.drawn))
        pilot = dsl.dsl("y ~ x + above", shown, design=design, sample_split=1, **call)
        yield "targeted", dsl.sampling.targeted(pilot, shown, 120, coefficient="above", seed=9000 + draw)


def test_false_alarms_of_designs_that_learn() -> None:
    found = []
    for kind, design in aimed(150):
        found.append((kind, looked(aligned(design, table().index), design)))
        found.append((kind, looked(alone(design), None, stated=True)))
    alarms = [each for each in found if each[1].alarm]
    print(f"adaptive and targeted: {len(alarms)} alarms in {len(found)}")
    assert len(alarms) <= 2, alarms


def chosen(rng: np.random.Generator, mask: pd.Series, size: int) -> np.ndarray:
    labeled = np.zeros(ROWS, dtype=bool)
    labeled[rng.choice(np.flatnonzero(mask), size, replace=False)] = True
    return labeled


def oversampled(rng: np.random.Generator, size: int) -> np.ndarray:
    """60% of tweets to 8% of the others in proportion, scaled to the number of labels."""
    weight = np.where(table()["source"] == "tweets", 0.6, 0.08)
    return rng.random(ROWS) < weight * size / weight.sum()


CASES: dict[str, tuple[Callable[[np.random.Generator, int], np.ndarray], float]] = {
    "first rows": (lambda rng, size: np.arange(ROWS) < size, 1.0),
    "one prediction": (lambda rng, size: chosen(rng, table()["llm"] == 1.0, size), 1.0),
    "confident rows": (lambda rng, size: chosen(rng, table()["conf"] > table()["conf"].quantile(0.7), size), 1.0),
    "no label in g = a": (lambda rng, size: chosen(rng, table()["g"] != "a", size), 1.0),
    "source oversampled": (oversampled, 0.95),
}
"""How rows are chosen, and the share of 100 draws that 100 labels find at least."""


@pytest.mark.parametrize("case", CASES)
def test_power(case: str) -> None:
    choose, least = CASES[case]
    power = {}
    for size in (50, 100, 200, 500):
        found = []
        for draw in range(100):
            labeled = choose(np.random.default_rng([draw, size]), size)
            labeling = Labeling(prob=np.full(ROWS, labeled.mean()), drawn=labeled, fixed_size=True)
            found.append(looked(labeling, None).alarm)
        power[size] = float(np.mean(found))
    print(f"{case}: {power}")
    assert power[100] >= least
    assert power[200] == power[500] == 1.0
