"""Every model with every feature: a cell works, or raises an error of ours that names the model. The page's table says which."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl.cli.command import main
from dsl.engine.models import MODELS, Model
from dsl.engine.models.family import Family
from dsl.exceptions import DSLError, DSLWarning

PAGE = Path(__file__).parents[1] / "vignettes" / "features.md"
BEGIN, END = "<!-- tests/test_models_by_features.py writes this: -->", "<!-- until here -->"
CLASSES = ["low", "mid", "high"]
N, LABELS = 300, 150


@cache
def table_of(model: str) -> pd.DataFrame:
    """Rows with an outcome that the model can have, and surrogates with errors: of it, of a 0/1 covariate, of a category."""
    entry, rng = MODELS[model], np.random.default_rng(17)
    x, d = rng.normal(size=N), (rng.random(N) < 0.5).astype(float)
    topic = rng.choice(["a", "b", "c"], N, p=[0.5, 0.3, 0.2])
    y = draw_outcome(entry, 0.2 + 0.3 * x - 0.4 * d, rng)
    data = pd.DataFrame({"x": x, "d": d, "topic": topic, "y": y, "exposure": rng.uniform(0.5, 2.0, N)})
    wrong = rng.random((3, N)) < 0.15
    data["llm_d"] = np.where(wrong[0], 1.0 - d, d)
    data["llm_topic"] = np.where(wrong[1], rng.permutation(topic), topic)
    # numbers: errors make some surrogates of counts negative
    binary = np.isin(y, (0.0, 1.0)).all()
    data["llm_y"] = np.where(wrong[2], 1.0 - y, y) if binary else y + rng.normal(size=N)
    data["z"] = rng.normal(size=N)
    data["e"] = data["z"] + rng.normal(size=N)
    family = entry.link
    if isinstance(family, Family) and family.classes:
        for name, codes in (("y", y), ("llm_y", np.where(wrong[2], rng.permutation(y), y))):
            data[name] = pd.Categorical.from_codes(codes.astype(int), CLASSES, ordered=True)
    elif isinstance(family, Family):
        data["llm_y"] = np.maximum(data["llm_y"].round(), 0.0)
    data["unit"], data["year"] = rng.integers(0, 8, N), rng.integers(0, 5, N)
    data["cluster"] = rng.integers(0, 60, N)
    data["pi"] = 0.3 + 0.4 * (x > 0.0)
    return data


def draw_outcome(model: Model, eta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Outcomes in the model's range."""
    low, high = model.outcomes or (-np.inf, np.inf)
    if isinstance(model.link, Family):
        if model.link.classes:
            return np.digitize(eta + rng.logistic(size=N), [-0.5, 0.8])
        return rng.negative_binomial(1.5, 1.5 / (1.5 + np.exp(1.0 + eta))).astype(float)
    if high == 1.0:
        return (rng.random(N) < 1.0 / (1.0 + np.exp(-eta))).astype(float)
    if low == 0.0:
        return rng.poisson(np.exp(eta)).astype(float)
    return rng.gamma(3.0, np.exp(eta) / 3.0) if low > 0.0 else eta + rng.normal(size=N)


@dataclass(frozen=True)
class Cell:
    """One model, and a folder to write in."""

    model: str
    folder: Path
    unequal: bool = False
    predicted: tuple[str, ...] = ("y",)

    @property
    def entry(self) -> Model:
        """The model's line in the registry."""
        return MODELS[self.model]

    @property
    def data(self) -> pd.DataFrame:
        """Its rows, with gold labels of the predicted variables on some."""
        full, rng = table_of(self.model), np.random.default_rng(23)
        shown = rng.random(N) < full["pi"] if self.unequal else rng.permutation(N) < LABELS
        return full.assign(**{name: full[name].where(shown) for name in self.predicted})

    def formula(self, right: str = "x + d") -> str:
        """With instruments, or fixed effects, where the model must have them."""
        if self.entry.instruments:
            return f"y ~ {right} | e ~ z"
        return f"y ~ {right} | unit" if self.entry.needs_effects else f"y ~ {right}"

    def behind(self, right: str, bar: str) -> str:
        """With these fixed effects, whether the model can have them or not."""
        return f"y ~ {right} | {bar}" + (" | e ~ z" if self.entry.instruments else "")

    def arguments(self, **more: Any) -> dict[str, Any]:
        """Those of every call."""
        pairs = {name: f"llm_{name}" for name in self.predicted}
        return {
            "model": self.model,
            "predicted_var": pairs,
            "sl_method": "lm",
            "cross_fit": 2,
            "sample_split": 1,
            **more,
        }

    def fit(self, right: str = "x + d", **more: Any) -> dsl.DSLResults:
        """A fit, checked."""
        out = dsl.dsl(self.formula(right), self.data, **self.arguments(**more))
        assert np.isfinite(out.params).all()
        assert (out.bse > 0.0).all()
        return out

    def plain(self) -> dsl.DSLResults:
        """The same fit for all that reads one."""
        return plain_fit(self.model)

    def with_(self, *predicted: str) -> "Cell":
        """The same with other predicted variables."""
        return Cell(self.model, self.folder, self.unequal, predicted)


@cache
def plain_fit(model: str) -> dsl.DSLResults:
    """y ~ x + d with everything else left as it is."""
    return Cell(model, Path()).fit()


FEATURES: dict[str, Callable[[Cell], object]] = {}


def feature(name: str) -> Callable[[Callable[[Cell], object]], Callable[[Cell], object]]:
    """A row of the table."""

    def add(check: Callable[[Cell], object]) -> Callable[[Cell], object]:
        FEATURES[name] = check
        return check

    return add


for _name in ("dsl", "dsl+", "ppi", "ppi++", "cdi", "gold_only", "naive"):
    FEATURES[f'`estimator="{_name}"`'] = lambda cell, name=_name: cell.fit(estimator=name)
for _tune in ("scalar", "coef", "matrix", 0.5):
    FEATURES[f"`tune={_tune!r}`".replace("'", '"')] = lambda cell, tune=_tune: cell.fit(tune=tune)
for _name in ("dsl", "dsl+", "ppi++", "cdi"):
    FEATURES[f"predicted covariate, `{_name}`"] = lambda cell, name=_name: cell.with_("d").fit(estimator=name)
for _name in ("dsl", "dsl+", "cdi"):
    FEATURES[f"predicted category as covariate, `{_name}`"] = lambda cell, name=_name: cell.with_("topic").fit(
        "x + topic", estimator=name
    )
FEATURES["outcome and covariate predicted"] = lambda cell: cell.with_("y", "d").fit()
FEATURES["predicted variable inside an interaction"] = lambda cell: cell.with_("d").fit("x * d")
FEATURES['`target="finite"`'] = lambda cell: [
    cell.fit(target="finite", estimator=each) for each in ("dsl", "gold_only")
]
FEATURES["`cluster=`"] = lambda cell: [cell.fit(cluster="cluster", tune=each) for each in (None, "coef")]
FEATURES['`vcov="HC1"`, `use_t=True`'] = lambda cell: cell.fit(vcov="HC1", use_t=True)
FEATURES['`vcov="HC2"`, `"HC3"`, `"CR2"`, `"CR3"`, `"jackknife"`'] = lambda cell: [
    cell.fit(vcov=each, cluster="cluster" if each.startswith("CR") else None)
    for each in ("HC2", "HC3", "CR2", "CR3", "jackknife")
]
FEATURES['`tune="coef"`, `vcov="PRESS"`'] = lambda cell: cell.fit(tune="coef", vcov="PRESS")
FEATURES['`vcov="design"`'] = lambda cell: cell.fit(vcov="design")
FEATURES["factors, polynomials"] = lambda cell: cell.fit("factor(year) + poly(x, 2)")
FEATURES["`offset(log(exposure))`"] = lambda cell: cell.fit("x + d + offset(log(exposure))")


@feature("fixed effects behind a bar, one and two factors")
def _absorbed(cell: Cell) -> None:
    for bar in ("unit", "unit + year"):
        dsl.dsl(cell.behind("x", bar), cell.data, **cell.arguments())


for _name in ("dsl+", "ppi++", "cdi", "gold_only", "naive"):
    FEATURES[f"fixed effects, `{_name}`"] = lambda cell, name=_name: dsl.dsl(
        cell.behind("x + d", "unit"), cell.with_("d").data, **cell.with_("d").arguments(estimator=name)
    )


@feature("fixed effects with `fit.compare()`, diagnostics, power, report")
def _absorbed_after(cell: Cell) -> None:
    fit = dsl.dsl(cell.behind("x", "unit"), cell.data, **cell.arguments(tune="coef", cluster="cluster"))
    assert np.isfinite(fit.compare().table["estimate"]).all()
    assert len(fit.diagnostics().checks)
    assert (dsl.power_dsl(fit, labeled_size=[200]).predicted_se > 0.0).all(axis=None)
    assert "unit" in fit.report(cell.folder / "fit.html", compare=False, diagnose=False).read_text(encoding="utf-8")


@feature("`sample_prob=`")
def _unequal(cell: Cell) -> None:
    uneven = Cell(cell.model, cell.folder, unequal=True)
    for estimator in ("dsl+", "gold_only"):
        uneven.fit(estimator=estimator, sample_prob="pi")


@feature("`weights=`")
def _weights(cell: Cell) -> None:
    for estimator in ("dsl", "cdi" if cell.entry.needs_effects or cell.entry.instruments else "ppi++"):
        cell.fit(weights="exposure", estimator=estimator)


@feature("`trained_on=`")
def _trained(cell: Cell) -> None:
    labelled = cell.data.index[cell.data["y"].notna()]
    cell.fit(trained_on=labelled[::5])


@feature("`fit.compare()`")
def _compare(cell: Cell) -> None:
    found = cell.plain().compare()
    assert np.isfinite(found.table["estimate"]).all()
    assert found.hausman is not None


@feature("`fit.diagnostics()`")
def _diagnostics(cell: Cell) -> None:
    assert len(cell.plain().diagnostics().checks)


@feature("`power_dsl`")
def _power(cell: Cell) -> None:
    fit = cell.plain()
    se = dsl.power_dsl(fit, labeled_size=[LABELS, 250]).predicted_se
    np.testing.assert_allclose(se.loc[LABELS], fit.bse, rtol=1e-10)


@feature("`plan_dsl`")
def _plan(cell: Cell) -> None:
    full = table_of(cell.model)
    surrogate = np.maximum(full["llm_y"], 0.1) if cell.entry.outcomes == (0.0, np.inf) else full["llm_y"]
    known = {"accuracy": 0.85} if np.isin(full["y"], (0.0, 1.0)).all() else {"rmse": 0.5}
    if isinstance(cell.entry.link, Family):  # so that counts are overdispersed
        known = {"rmse": 3.0}
    if cell.entry.outcomes is not None and cell.entry.outcomes[0] > 0.0:
        surrogate = full["y"]
    data = full.drop(columns="y").assign(llm_y=surrogate)
    plan = dsl.plan_dsl(cell.formula(), data, labeled_size=150, replications=2, **known, **cell.arguments())
    assert (plan.predicted_se > 0.0).all(axis=None)


@feature("`learning_curve`")
def _learning(cell: Cell) -> None:
    assert len(dsl.learning_curve(cell.plain(), cell.data, labeled_size=[100], replications=1).table)


@feature("`fit.report()`")
def _report(cell: Cell) -> None:
    text = cell.plain().report(cell.folder / "report.html", compare=False, diagnose=False).read_text(encoding="utf-8")
    assert cell.entry.title in text


@feature("`fit.predict(new)`")
def _predict(cell: Cell) -> None:
    fit = cell.plain()
    new = table_of(cell.model).head(7)
    eta = fit.predict(new, which="linear")
    family, found = cell.entry.link, fit.predict(new)
    if isinstance(family, Family) and family.classes:
        assert list(found.columns) == CLASSES
        np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-12)
        assert len(eta) == 7
        return
    mean = np.exp if isinstance(family, Family) else family.mean
    np.testing.assert_allclose(found, mean(eta.to_numpy()), rtol=1e-12)


@feature("`fit.get_prediction(new)`")
def _intervals(cell: Cell) -> None:
    fit, new = cell.plain(), table_of(cell.model).head(7)
    found = fit.get_prediction(new)
    np.testing.assert_allclose(found.predicted, fit.predict(new), rtol=1e-12)
    assert (found.se > 0.0).all()


@feature("`fit.get_margeff()`")
def _effects(cell: Cell) -> None:
    fit = cell.plain()
    assert (fit.get_margeff().margeff_se > 0.0).all()
    assert fit.get_margeff("mean", dummy=False).terms[:2] == ("x", "d")


@feature("`fit.get_margeff()` with a predicted covariate")
def _effects_of_predicted(cell: Cell) -> None:
    assert (cell.with_("d").fit("x * d").get_margeff().margeff_se > 0.0).all()


@feature('`fit.get_margeff(method="eyex")`')
def _elasticities(cell: Cell) -> None:
    found = cell.fit("exposure").get_margeff(method="eyex")
    assert np.isfinite(found.margeff).all()


@feature("`wald_test_terms`, `t_test_pairwise`")
def _terms(cell: Cell) -> None:
    fit = cell.fit("x + factor(year)")
    name = next(term for term in fit.wald_test_terms().table.index if term.endswith("factor(year)"))
    assert len(fit.t_test_pairwise(name).result_frame) == 10


@feature("`tidy(exponentiate=True)`")
def _ratios(cell: Cell) -> None:
    fit = cell.plain()
    table = fit.tidy(exponentiate=True).set_index("term")
    np.testing.assert_allclose(table["estimate"], np.exp(fit.params), rtol=1e-12)


@feature("`dsl.table(margins=True)`, `fit.compare(margins=True)`")
def _shown_effects(cell: Cell) -> None:
    fit = cell.plain()
    assert "Average marginal effects" in dsl.table([fit], margins=True).as_text()
    assert np.isfinite(fit.compare(margins=True, estimators=["gold_only"]).margins["std_error"]).all()


@feature("`dsl.table(exponentiate=True)`, `fit.compare(exponentiate=True)`")
def _shown_ratios(cell: Cell) -> None:
    fit = cell.plain()
    assert fit.core.ratios() in dsl.table([fit], exponentiate=True).as_text()
    assert fit.compare(exponentiate=True, estimators=["gold_only"]).scale


@feature("`dsl.table`, `tidy`, `summary`, R's names")
def _table(cell: Cell) -> None:
    fit = cell.fit("x + factor(year)")
    assert "(1)" in dsl.table([fit]).as_text()
    assert cell.model in str(fit.summary(names="r"))
    assert any("factor(year)1" in name for name in fit.params_r.index)
    assert len(fit.tidy()) == len(fit.params)


@feature("`fit.save`, `DSLResults.load`")
def _save(cell: Cell) -> None:
    fit = cell.plain()
    fit.save(cell.folder / "fit.dsl")
    again = dsl.DSLResults.load(cell.folder / "fit.dsl")
    np.testing.assert_array_equal(again.cov_params(), fit.cov_params())
    new, which = table_of(cell.model).head(7), "linear" if fit.call.index else "mean"
    np.testing.assert_array_equal(again.predict(new, which=which), fit.predict(new, which=which))


@feature("`sampling.targeted`")
def _targeted(cell: Cell) -> None:
    design = dsl.sampling.targeted(cell.plain(), cell.data, 50, coefficient="x", error_model="lm", seed=1)
    assert design.n_drawn == LABELS + 50


@feature("`AdaptiveDesign`")
def _adaptive(cell: Cell) -> None:
    full = table_of(cell.model)
    loop = dsl.AdaptiveDesign(
        cell.formula(),
        full.drop(columns="y"),
        predicted_var="y",
        prediction="llm_y",
        model=cell.model,
        sl_method="lm",
        error_model="lm",
        coefficient="x",
        n_labels=140,
        batches=2,
        seed=1,
    )
    while not loop.done:
        loop.add_labels(full["y"][loop.next_batch().index])
    assert np.isfinite(loop.estimate(sample_split=1).params).all()


@feature("`dsl.evaluate`")
def _evaluate(cell: Cell) -> None:
    found = dsl.evaluate(
        cell.formula(),
        table_of(cell.model),
        n_labels=100,
        replications=2,
        estimators=["dsl", "gold_only"],
        **cell.arguments(),
    )
    assert np.isfinite(found.summary()["rmse"]).all()


@feature("`dsl fit --model`")
def _command(cell: Cell) -> None:
    path, out = cell.folder / "rows.csv", cell.folder / "fit.csv"
    cell.data.to_csv(path, index=False)
    formula, family = cell.formula(), cell.entry.link
    if isinstance(family, Family) and family.ordered:  # a file knows no order
        formula = formula.replace("y ~", "ordered(y, levels = c('low', 'mid', 'high')) ~")
    command = ["fit", str(path), formula, "--predicted", "y=llm_y", "--model", cell.model, "--sl-method", "lm"]
    assert main([*command, "--sample-split", "1", "--quiet", "--out-csv", str(out)]) == 0
    assert np.isfinite(pd.read_csv(out)["estimate"]).all()


@cache
def tried(model: str, name: str) -> str:
    """Empty where the feature works, else the reason that the error gives."""
    with warnings.catch_warnings(), TemporaryDirectory() as folder:
        warnings.simplefilter("ignore", DSLWarning)
        try:
            FEATURES[name](Cell(model, Path(folder)))
        except DSLError as error:
            return str(error)
    return ""


def rendered() -> str:
    """The page's table: features down, models across, and below it why some cells are empty."""
    models, notes = list(MODELS), []
    lines = ["| | " + " | ".join(f"`{model}`" for model in models) + " |", "|---" * (len(models) + 1) + "|"]
    for name in FEATURES:
        cells = []
        for model in models:
            # one note for all models whose reasons differ by their names alone
            reason = tried(model, name).replace(f"'{model}'", "'{model}'")
            if reason and reason not in notes:
                notes.append(reason)
            cells.append(f"no ({notes.index(reason) + 1})" if reason else "yes")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *(f"{j}. {note.replace('{model}', '...')}" for j, note in enumerate(notes, 1))])


@pytest.mark.parametrize("model", list(MODELS))
@pytest.mark.parametrize("name", list(FEATURES))
@pytest.mark.long
def test_works_or_says_why_not(model: str, name: str) -> None:
    reason = tried(model, name)
    assert not reason or f"'{model}'" in reason


def test_the_page_has_this_table() -> None:
    """`python -m tests.test_models_by_features` writes it."""
    assert rendered() == PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0].strip()


def test_the_command_line_names_all_models(capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["fit", "--help"], ["adaptive", "start", "--help"]):
        with pytest.raises(SystemExit):
            main(command)
        assert ", ".join(MODELS) in " ".join(capsys.readouterr().out.split())


if __name__ == "__main__":
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{rendered()}\n{END}{rest.partition(END)[2]}", encoding="utf-8", newline="\n")
