"""Calls that R and Python make of the same tables, with the tables of mixed columns that R and pandas make."""

from typing import Any

import numpy as np
import pandas as pd

import dsl
from dsl.engine.models import MODELS

MIXED_R = """
mixed <- dsl_data("linear", n = 900, n_labels = 300, seed = 3)
i <- seq_len(nrow(mixed))
mixed$party <- factor(c("b", "a", "c")[1 + i %% 3], levels = c("c", "a", "b", "none"))
mixed$size <- factor(c("low", "mid", "high")[1 + i %/% 3 %% 3], levels = c("low", "mid", "high"), ordered = TRUE)
mixed$size[c(4, 8)] <- NA
mixed$young <- i %% 4 == 0
mixed$k <- i %% 5L
mixed$k[c(7, 9)] <- NA
mixed$place <- c("\\u00e9vora", "zz", "\\u4e2d x")[1 + i %/% 2 %% 3]
mixed$place[11] <- NA
mixed$day <- as.Date("2024-02-28") + i %% 3
mixed$at <- as.POSIXct("2024-03-31 00:30", tz = "Europe/Berlin") + 3600 * (i %% 4)
mixed$gold <- mixed$Y > 0
mixed$code <- factor(as.integer(mixed$gold))
mixed$z <- scale(mixed$X1)
mixed$odd.name <- i %% 7
mixed[["two words"]] <- i %% 9
mixed$grade <- factor(findInterval(mixed$Y, c(-0.5, 1)))
mixed$pred_grade <- factor(findInterval(mixed$pred_Y, c(-0.5, 1)))
mixed$steps <- factor(mixed$grade, ordered = TRUE)
mixed$hot <- mixed$Y > 0
mixed$pred_hot <- mixed$pred_Y > 0
mixed$bit <- factor(as.integer(mixed$hot))
mixed$many <- floor(exp(mixed$Y / 2))
mixed$pred_many <- floor(exp(mixed$pred_Y / 2))
mixed$amount <- exp(mixed$Y / 2)
mixed$near <- round(mixed$X1)
mixed$counts_for <- 1 + i %% 3
mixed$spss <- structure(ifelse(is.na(mixed$Y), -9, mixed$Y), na_values = -9,
                        class = c("haven_labelled_spss", "haven_labelled", "vctrs_vctr", "double"))
mixed$broken <- as.POSIXlt(mixed$at)
mixed$junk <- lapply(i, identity)
limit <- 3
"""


def mixed() -> pd.DataFrame:
    """The table that `MIXED_R` makes, with pandas' own types."""
    data = dsl.datasets.simulate_linear(n=900, n_labels=300, seed=3)
    i = np.arange(1, len(data) + 1)
    data["party"] = pd.Categorical(np.array(["b", "a", "c"])[i % 3], categories=["c", "a", "b", "none"])
    size = np.array(["low", "mid", "high"], dtype=object)[i // 3 % 3]
    size[[3, 7]] = None
    data["size"] = pd.Categorical(size, categories=["low", "mid", "high"], ordered=True)
    data["young"] = i % 4 == 0
    data["k"] = pd.Series(i % 5, dtype="Int64")
    data.loc[[6, 8], "k"] = pd.NA
    data["place"] = np.array(["\u00e9vora", "zz", "\u4e2d x"], dtype=object)[i // 2 % 3]
    data.loc[10, "place"] = None
    data["day"] = pd.Series(pd.Timestamp("2024-02-28") + pd.to_timedelta(i % 3, unit="D"))
    data["at"] = pd.Timestamp("2024-03-31 00:30", tz="Europe/Berlin") + pd.to_timedelta(i % 4, unit="h")
    data["gold"] = data["code"] = (data["Y"] > 0).astype(float).where(data["Y"].notna())
    data["z"] = (data["X1"] - data["X1"].mean()) / data["X1"].std()
    for name, source in (("grade", "Y"), ("pred_grade", "pred_Y")):
        level = np.searchsorted([-0.5, 1.0], data[source], side="right").astype(str)
        data[name] = pd.Categorical(np.where(data[source].notna(), level, None), ["0", "1", "2"])
    data["steps"] = data["grade"].cat.as_ordered()
    data["hot"] = (data["Y"] > 0).astype("boolean").where(data["Y"].notna())
    data["pred_hot"] = data["pred_Y"] > 0
    data["bit"] = data["hot"].astype("Int64").astype("category")
    data["many"], data["pred_many"] = np.floor(np.exp(data["Y"] / 2)), np.floor(np.exp(data["pred_Y"] / 2))
    data["amount"] = np.exp(data["Y"] / 2)
    data["near"] = np.round(data["X1"])
    data["counts_for"] = 1 + i % 3
    data["spss"] = data["Y"]
    data["broken"] = data["at"]
    data["odd.name"] = i % 7
    data["two words"] = i % 9
    return data


def load(data: str) -> pd.DataFrame:
    if data == "mixed":
        return mixed()
    if data == "sentiment":
        return dsl.datasets.load_sentiment(n_labels=1000, seed=1)
    return getattr(dsl.datasets, f"simulate_{data}")(seed=1)


LINEAR = {"predicted_var": "Y", "prediction": "pred_Y", "sl_method": "lm", "sample_split": 3}
SENTIMENT = {"predicted_var": "human_positive", "prediction": "vader_positive", "model": "logit", "sl_method": "lm"}
PANEL = {"predicted_var": "x", "prediction": "pred_x", "model": "felm", "sl_method": "lm", "formula": "y ~ x + z"}
GRADE = {"predicted_var": "grade", "prediction": "pred_grade"}
HOT = {"predicted_var": "hot", "prediction": "pred_hot"}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "bundled": ("sentiment", SENTIMENT | {"formula": "human_positive ~ negation * hedge + log1p(n_words) + source"}),
    "bundled, clusters": ("sentiment", SENTIMENT | {"formula": "human_positive ~ hedge + source", "cluster": "doc_id"}),
    "auto": (
        "sentiment",
        SENTIMENT
        | {"formula": "human_positive ~ hedge", "feature": ["source", "n_words"]}
        | {"sl_method": "auto", "sample_split": 1},
    ),
    "default learner": ("linear", LINEAR | {"formula": "Y ~ X1 + X2", "sl_method": "grf", "sample_split": 1}),
    "stack": ("linear", LINEAR | {"formula": "Y ~ X1", "sl_method": ["lm", "ridge"]}),
    "family": ("unequal", LINEAR | {"formula": "Y ~ X1", "family": "binomial", "sl_method": "glm"}),
    "two predicted": (
        "logit",
        LINEAR
        | {"formula": "Y ~ X + Z", "predicted_var": ["Y", "X"], "model": "logit"}
        | {"prediction": ["pred_Y", "pred_X"]},
    ),
    "oneway": ("panel", PANEL | {"index": "unit", "cluster": "unit"}),
    "twoways": ("panel", PANEL | {"index": ["unit", "year"], "fixed_effect": "twoways", "seed": 7}),
    "bar": ("panel", PANEL | {"formula": "y ~ x + z | unit + year", "cross_fit": 3}),
    "probabilities": ("unequal", LINEAR | {"formula": "Y ~ X1 + X2", "model": "logit", "sample_prob": "sample_prob"}),
    "shares": ("yearly", LINEAR | {"formula": "Y ~ as.factor(year) - 1"}),
    "nested": (
        "nested",
        LINEAR
        | {"formula": "tone ~ incumbent + I(economy^2)", "cluster": "candidate"}
        | {"predicted_var": "tone", "prediction": "pred_tone"},
    ),
    "features": ("features_only", LINEAR | {"formula": "Y ~ X1", "prediction": None, "feature": ["W1", "W2", "W3"]}),
    "one coefficient": ("linear", LINEAR | {"formula": "Y ~ 1"}),
    "gold only": ("linear", LINEAR | {"formula": "Y ~ X1", "estimator": "gold_only", "vcov": "HC1"}),
    "factors": ("mixed", LINEAR | {"formula": "Y ~ party * X1 + size + young"}),
    "missing whole numbers": ("mixed", LINEAR | {"formula": "Y ~ factor(k) + poly(X1, 2)"}),
    "text": ("mixed", LINEAR | {"formula": "Y ~ place + I(X1 > limit)"}),
    "dates": (
        "mixed",
        LINEAR | {"formula": "Y ~ X1", "model": "felm", "index": ["day", "at"], "fixed_effect": "twoways"},
    ),
    "logical gold": ("mixed", LINEAR | {"formula": "gold ~ z + odd.name", "predicted_var": "gold", "model": "logit"}),
    "factor gold": ("mixed", LINEAR | {"formula": "code ~ z + `two words`", "predicted_var": "code", "model": "logit"}),
    "predicted factor of numbers": ("mixed", LINEAR | GRADE | {"formula": "X1 ~ grade + X2"}),
    "predicted ordered factor": ("mixed", LINEAR | GRADE | {"formula": "X1 ~ steps", "predicted_var": "steps"}),
    "predicted factor as outcome": ("mixed", LINEAR | GRADE | {"formula": "grade ~ X1"}),
    "predicted logical": ("mixed", LINEAR | HOT | {"formula": "X1 ~ hot * X2 + young"}),
    "predicted logical, both levels": ("mixed", LINEAR | HOT | {"formula": "X1 ~ hot - 1"}),
    "predicted factor of 0 and 1": ("mixed", LINEAR | HOT | {"formula": "X1 ~ bit", "predicted_var": "bit"}),
    "declared missing": ("mixed", LINEAR | {"formula": "X1 ~ spss", "predicted_var": "spss"}),
    "days and times": ("mixed", LINEAR | {"formula": "Y ~ day + at"}),
    "broken-down times": ("mixed", LINEAR | {"formula": "Y ~ broken"}),
    "learner's factors": ("mixed", LINEAR | {"formula": "Y ~ X1", "feature": ["party", "place", "young", "day"]}),
}
OUTCOMES = {
    "lm": "Y", "logit": "hot", "felm": "Y", "poisson": "many", "probit": "hot", "cloglog": "hot", "gamma": "amount",
    "multinom": "grade", "ologit": "steps", "oprobit": "steps", "negbin": "many", "iv": "Y",
}  # fmt: skip
PREDICTIONS = {"many": "pred_many", "grade": "pred_grade", "steps": "pred_grade", "hot": "pred_hot"}
RIGHT = {
    "felm": "X1 + size | young",
    "iv": "X2 | young | X1 ~ near",
    "poisson": "X1 + size + offset(X2 / 9)",
    "cloglog": "X2 + size",
}


def of_model(model: str) -> dict[str, Any]:
    """A call of every model in the registry, with weights."""
    outcome = OUTCOMES[model]
    call = {"formula": f"{outcome} ~ {RIGHT.get(model, 'X1 + size')}", "model": model, "predicted_var": outcome}
    surrogate = PREDICTIONS.get(outcome, "pred_Y")
    return call | {"prediction": surrogate, "sl_method": "lm", "sample_split": 2, "weights": "counts_for"}


CASES |= {f"model {model}": ("mixed", of_model(model)) for model in MODELS}
CASES |= {
    f"dsl+ of {model}": ("mixed", of_model(model) | {"estimator": "dsl+"})
    for model in ("poisson", "multinom", "negbin")
}
CASES["absorbed counts"] = ("mixed", of_model("poisson") | {"formula": "many ~ X1 | young + size"})
CASES["tuned"] = ("mixed", LINEAR | {"formula": "Y ~ X1", "tune": "coef"})
