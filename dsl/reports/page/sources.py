"""The literature that the methods paragraph cites, and how sentences name it."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Source:
    """One entry of the references."""

    short: str
    """As sentences name it."""
    full: str
    """As the list of references has it."""


SOURCES: dict[str, Source] = {
    "ALLEN": Source(
        "Allen, 1974",
        "Allen, D. M. (1974). The relationship between variable selection and data augmentation and a method for "
        "prediction. Technometrics 16(1), 125-127.",
    ),
    "BM": Source(
        "Bell and McCaffrey, 2002",
        "Bell, R. M., and McCaffrey, D. F. (2002). Bias reduction in standard errors for linear regression with "
        "multi-stage samples. Survey Methodology 28(2), 169-181.",
    ),
    "CGM": Source(
        "Cameron, Gelbach and Miller, 2011",
        "Cameron, A. C., Gelbach, J. B., and Miller, D. L. (2011). Robust inference with multiway clustering. Journal of "
        "Business and Economic Statistics 29(2), 238-249.",
    ),
    "CDI": Source(
        "Gligorić et al., 2025",
        "Gligorić, K., Zrnic, T., Lee, C., Candès, E. J., and Jurafsky, D. (2025). Can unconfident LLM "
        "annotations be used for confident conclusions? Proceedings of the 2025 Conference of the Nations of the "
        "Americas Chapter of the Association for Computational Linguistics (Volume 1: Long Papers), 3514-3533.",
    ),
    "DML": Source(
        "Chernozhukov et al., 2018",
        "Chernozhukov, V., Chetverikov, D., Demirer, M., Duflo, E., Hansen, C., Newey, W., and Robins, J. "
        "(2018). Double/debiased machine learning for treatment and structural parameters. The Econometrics "
        "Journal 21(1), C1-C68.",
    ),
    "DSL-2023": Source(
        "Egami et al., 2023",
        "Egami, N., Hinck, M., Stewart, B. M., and Wei, H. (2023). Using imperfect surrogates for downstream "
        "inference: Design-based supervised learning for social science applications of large language "
        "models. Advances in Neural Information Processing Systems 36, 68589-68601.",
    ),
    "DSL-2024": Source(
        "Egami et al., 2024",
        "Egami, N., Hinck, M., Stewart, B. M., and Wei, H. (2024). Using large language model annotations for"
        " the social sciences: A general framework of using predicted variables in downstream analyses. "
        "Conditionally accepted at the American Journal of Political Science.",
    ),
    "GUIDE": Source(
        "Törnberg, 2024",
        "Törnberg, P. (2024). Best practices for text annotation with large language models. Sociologica 18(2), 67-85.",
    ),
    "HAJEK": Source(
        "Hájek, 1964",
        "Hájek, J. (1964). Asymptotic theory of rejective sampling with varying probabilities from a finite population. "
        "Annals of Mathematical Statistics 35(4), 1491-1523.",
    ),
    "HAUSMAN": Source(
        "Hausman, 1978",
        "Hausman, J. A. (1978). Specification tests in econometrics. Econometrica 46(6), 1251-1271.",
    ),
    "HT": Source(
        "Horvitz and Thompson, 1952",
        "Horvitz, D. G., and Thompson, D. J. (1952). A generalization of sampling without replacement from a "
        "finite universe. Journal of the American Statistical Association 47(260), 663-685.",
    ),
    "LZ": Source(
        "Liang and Zeger, 1986",
        "Liang, K.-Y., and Zeger, S. L. (1986). Longitudinal data analysis using generalized linear models. "
        "Biometrika 73(1), 13-22.",
    ),
    "MW": Source(
        "MacKinnon and White, 1985",
        "MacKinnon, J. G., and White, H. (1985). Some heteroskedasticity-consistent covariance matrix estimators with "
        "improved finite sample properties. Journal of Econometrics 29(3), 305-325.",
    ),
    "PPI": Source(
        "Angelopoulos, Bates et al., 2023",
        "Angelopoulos, A. N., Bates, S., Fannjiang, C., Jordan, M. I., and Zrnic, T. (2023). Prediction-"
        "powered inference. Science 382(6671), 669-674.",
    ),
    "PPI++": Source(
        "Angelopoulos, Duchi and Zrnic, 2023",
        "Angelopoulos, A. N., Duchi, J. C., and Zrnic, T. (2023). PPI++: Efficient prediction-powered "
        "inference. arXiv:2311.01453.",
    ),
    "RRZ": Source(
        "Robins, Rotnitzky and Zhao, 1994",
        "Robins, J. M., Rotnitzky, A., and Zhao, L. P. (1994). Estimation of regression coefficients when "
        "some regressors are not always observed. Journal of the American Statistical Association 89(427), "
        "846-866.",
    ),
    "SAT": Source(
        "Satterthwaite, 1946",
        "Satterthwaite, F. E. (1946). An approximate distribution of estimates of variance components. "
        "Biometrics Bulletin 2(6), 110-114.",
    ),
}
"""By key."""
TOGETHER = {"DSL": (("DSL-2023", "DSL-2024"), "Egami et al., 2023, 2024")}
"""Several sources that sentences name at once."""


def cite(key: str) -> str:
    """Sources as sentences name them."""
    return TOGETHER[key][1] if key in TOGETHER else SOURCES[key].short


def cited(words: str) -> tuple[str, tuple[str, ...]]:
    """Words with every ``{KEY}`` replaced by the source's name, and the keys of these sources.

    Examples
    --------
    >>> cited("as in survey sampling ({HT})")
    ('as in survey sampling (Horvitz and Thompson, 1952)', ('HT',))
    """
    keys = re.findall(r"\{([^{}]+)\}", words)
    for key in keys:
        words = words.replace(f"{{{key}}}", cite(key))
    # in the order in which the words name them
    return words, tuple(each for key in keys for each in (TOGETHER[key][0] if key in TOGETHER else (key,)))
