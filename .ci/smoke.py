"""Use the installed package as a user's first lines do; run outside the source tree."""

from importlib.metadata import version
from pathlib import Path

import dsl

assert "site-packages" in Path(dsl.__file__).parts, dsl.__file__
assert dsl.__version__ == version("dsl"), dsl.__version__

tweets = dsl.datasets.load_sentiment(n_labels=1000, seed=1)
assert len(tweets) == 9390
assert tweets["human_positive"].notna().sum() == 1000

fit = dsl.dsl(
    "human_positive ~ negation + hedge",
    data=tweets,
    model="logit",
    predicted_var="human_positive",
    prediction="vader_positive",
    cluster="doc_id",
)
assert (fit.bse > 0).all()
assert "Design-based supervised learning" in str(fit.summary())
print(f"dsl {dsl.__version__}: installed, data there, a model fitted")
