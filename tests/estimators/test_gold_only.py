"""The labelled rows alone: weighted least squares of statsmodels."""

import numpy as np
import pytest
import statsmodels.api as sm

from dsl.exceptions import FewLabelsWarning
from tests.posts import posts, run


@pytest.mark.parametrize(("vcov", "corrected"), [("CR0", False), ("CR1", True)])
def test_clusters_are_those_with_labelled_rows(vcov: str, corrected: bool) -> None:
    """Seven of 20 clusters have no label: G is 13, as in a table of the labelled rows alone."""
    data = posts()
    data = data.assign(lab=data["lab"].where(data["cl"] % 3 != 1, 0))
    data["y"] = data["y"].where(data["lab"] == 1)
    labeled = data[data["lab"] == 1]
    assert labeled["cl"].nunique() == 13
    with pytest.warns(FewLabelsWarning, match=r"behind 'x' \(\d\.\d\).*cluster counts as one"):
        fit = run(data, estimator="gold_only", labeled="lab", sample_prob="pi", cluster="cl", vcov=vcov)
    truth = sm.WLS(labeled["y"], sm.add_constant(labeled[["x"]]), weights=1.0 / labeled["pi"]).fit(
        cov_type="cluster", cov_kwds={"groups": labeled["cl"], "use_correction": corrected}
    )
    np.testing.assert_allclose(fit.params, truth.params, rtol=1e-9)
    np.testing.assert_allclose(fit.bse, truth.bse, rtol=1e-9)
