"""Eight tables of one kind, and what the reference returned for them: its optimiser stops at another place in each.

``python -m tests.r.seeds`` rewrites the frozen file; it needs R and the reference package.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import dsl
from dsl.r import ReferenceResult, ReferenceSplit

FILE = Path(__file__).with_name("seeds.json")
SEEDS = range(8)
MODELS = ("lm", "logit")
SPLITS = 2
FORMULA = "y ~ x * party"
CALL: dict[str, Any] = {"predicted_var": "y", "prediction": "llm", "sl_method": "lm"}


@cache
def table(seed: int) -> pd.DataFrame:
    """900 posts, 350 of them labelled; the surrogate errs most for one party."""
    rng, rows = np.random.default_rng(seed), 900
    x, party = rng.normal(size=rows), rng.choice(["center", "left", "right"], rows)
    truth = rng.random(rows) < 1 / (1 + np.exp(0.3 - 0.8 * x - 0.5 * (party == "right")))
    wrong = rng.random(rows) < np.where(party == "right", 0.25, 0.1)
    labeled = np.isin(np.arange(rows), rng.choice(rows, 350, replace=False))
    gold = pd.Series(truth.astype(float)).where(labeled)
    return pd.DataFrame({"x": x, "party": party, "llm": (truth ^ wrong).astype(float), "y": gold})


@cache
def fitted(model: str, seed: int) -> dsl.DSLResults:
    """Our fit on R's folds, so that its predictions are R's."""
    data = table(seed)
    folds = dsl.folds_like_r(len(data), learner="lm", labeled=data["y"].notna(), sample_split=SPLITS)
    return dsl.dsl(FORMULA, data, model=model, folds=folds, **CALL)


@cache
def stored() -> dict[str, Any]:
    """The frozen file."""
    found: dict[str, Any] = json.loads(FILE.read_text())
    return found


def reference(model: str, seed: int) -> ReferenceResult:
    """What the reference returned, with our predictions on its folds."""
    found, fit = stored()[f"{model} {seed}"], fitted(model, seed)
    terms, k = stored()["terms"], len(stored()["terms"])
    empty = np.empty((k, k))
    splits = tuple(
        ReferenceSplit(
            params=np.array(split["params"]),
            bse=np.sqrt(np.diag(split["vcov"])),
            vcov=np.array(split["vcov"]),
            folds=np.asarray(fit.core.splits.folds[s]),
            predictions={"y": fit.predictions[s, :, 0]},
            jacobian=empty,
            meat_1=empty,
            meat_23=empty,
            rescale=empty,
        )
        for s, split in enumerate(found["splits"])
    )
    return ReferenceResult(
        params=pd.Series(found["params"], index=terms),
        bse=pd.Series(found["bse"], index=terms),
        vcov=pd.DataFrame(empty, terms, terms),
        nearest=False,
        rmse=pd.DataFrame(),
        nobs=int(fit.nobs),
        n_labeled=fit.n_labeled,
        equal_prob=True,
        rows=np.arange(int(fit.nobs)),
        sample_prob=np.full(int(fit.nobs), fit.n_labeled / fit.nobs),
        splits=splits,
        power=None,
        summary="",
        warnings=(),
        versions=stored()["versions"],
        seconds=0.0,
        n_input=int(fit.nobs),
        robject=None,
    )


def main() -> None:
    """Run the reference on every table and rewrite the frozen file."""
    from dsl.r import reference_dsl

    out: dict[str, Any] = {}
    for model in MODELS:
        for seed in SEEDS:
            result = reference_dsl(FORMULA, table(seed), model=model, sample_split=SPLITS, **CALL)
            out["terms"], out["versions"] = list(result.params.index), dict(result.versions)
            splits = [{"params": split.params.tolist(), "vcov": split.vcov.tolist()} for split in result.splits]
            out[f"{model} {seed}"] = {
                "params": result.params.tolist(),
                "bse": result.bse.tolist(),
                "splits": splits,
            }
    FILE.write_text(json.dumps(out, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
