"""Real data, shipped with the package and read only when asked for."""

import gzip
from collections.abc import Callable
from importlib.resources import files

import pandas as pd
from numpy.typing import ArrayLike

from dsl.data.arguments import Seed, check_probabilities, explain_calls, foreign_errors, random_generator
from dsl.data.files import PathLike
from dsl.datasets.labels import Labels, draw_fixed, hide_gold
from dsl.datasets.texts import read_texts
from dsl.exceptions import ArgumentError
from dsl.sampling.draw import draw_bernoulli

SENTIMENT_GOLD = ("human_rating", "human_sd", "n_raters", "rater_1", "rater_2", "rater_3", "human_positive")


@explain_calls
def load_sentiment(
    n_labels: Labels = "all",
    *,
    sample_prob: ArrayLike | Callable[[pd.DataFrame], ArrayLike] | None = None,
    texts: PathLike | None = None,
    seed: Seed = 1234,
) -> pd.DataFrame:
    """Human and machine sentiment of 9,390 tweets and newspaper sentences.

    Every text was rated by 20 or more people, so the truth is known for all rows. The arguments hide it
    again: gold columns are NaN except on the rows drawn by a labelling design, as if only those had been
    annotated. Any analysis of the drawn rows can then be checked against the same analysis of all rows.

    Parameters
    ----------
    n_labels : int or "all", default "all"
        Show gold values on a simple random sample of exactly this many rows, or on every row.
    sample_prob : float, array-like of shape (9390,), or callable, optional
        Label each row independently with this known probability, instead of a fixed number of rows. A
        callable receives the table without its gold columns, that is, what is known before labelling, and
        returns the probabilities. They are kept in a column ``sample_prob``.
    texts : str or Path, optional
        The archive that has the texts, which are not shipped: ``vaderSentiment-3.3.2.tar.gz``, the source distribution from
        PyPI. ``pip download --no-deps --no-binary :all: vaderSentiment==3.3.2`` gets it. They come as a column ``text``.
    seed : int or numpy.random.Generator, default 1234
        Decides which rows are drawn.

    Returns
    -------
    pandas.DataFrame, shape (9390, 26), and a column more each with ``sample_prob`` and `texts`
        ``source`` ("tweets", 4,200 rows, or "nyt", 5,190 sentences of 498 editorials), ``doc_id`` (the
        editorial, a tweet being its own document) and ``snippet_id``: strings.

        Gold, float64, NaN where not labelled: ``human_rating`` (mean of all raters, -4 to 4), ``human_sd``,
        ``n_raters``, ``rater_1`` to ``rater_3`` (three single raters: noisier gold), ``human_positive``
        (1 if human_rating > 0.5).

        Surrogates, known for every row: ``llm_positive`` and ``llm_confidence`` (label of a small language model, and its
        probability, .5 to 1: SmolLM2 with 135 million parameters, asked by `dsl.annotate`), ``vader_compound`` (-1 to 1),
        ``vader_positive`` (1 if >= 0.05), ``textblob_polarity`` (-1 to 1), ``textblob_subjectivity`` (0 to 1),
        ``textblob_positive`` (1 if > 0.05).

        Text, known for every row: ``n_words``, ``n_exclaim``, ``n_question`` (counts), ``negation``,
        ``hedge``, ``first_person_plural``, ``first_person_singular``, ``second_person`` (1 if present),
        ``caps_share`` (share of words written in capitals).

    Raises
    ------
    ArgumentError
        `n_labels` is negative, larger than 9,390 or not a whole number, `sample_prob` is not one number or
        one per row, or both `n_labels` and `sample_prob` are given.
    SampleProbabilityError
        A probability is missing or outside (0, 1].
    FileError
        `texts` is not there, or is another archive.

    Notes
    -----
    The surrogates' errors are far from random. Take a logit of being positive on hedge, negation,
    first_person_plural, n_question, log(1 + n_words) and source: the coefficient of log(1 + n_words) is
    .124 with the human labels, .444 with VADER's and .542 with TextBlob's. That of tweets against newspaper sentences is 1.604
    with the human labels, .414 with the language model's.

    How the language model's labels came about (prompt, answers, trail) is in ``vignettes/labels`` of the source distribution.
    ``make labels`` repeats some of them.

    References
    ----------
    Hutto, C. J. and Gilbert, E. (2014). VADER: a parsimonious rule-based model for sentiment analysis of
    social media text. ICWSM. Data: MIT licence, from vaderSentiment 3.3.2. See ``data/README.md`` beside
    this module.

    Examples
    --------
    >>> from dsl.datasets import load_sentiment
    >>> tweets = load_sentiment(n_labels=1000, seed=1)
    >>> tweets.shape
    (9390, 26)
    >>> int(tweets["human_positive"].notna().sum()), int(tweets["vader_positive"].notna().sum())
    (1000, 9390)

    Tweets labelled with probability .2, newspaper sentences with probability .05:

    >>> unequal = load_sentiment(sample_prob=lambda d: d["source"].map({"tweets": 0.2, "nyt": 0.05}))
    >>> sorted(unequal["sample_prob"].unique().tolist())
    [0.05, 0.2]
    """
    if sample_prob is not None and n_labels != "all":
        raise ArgumentError(
            "n_labels and sample_prob are two designs; give a number of rows or probabilities, not both."
        )
    rng = random_generator(seed)
    frame = _read("sentiment_tweets_nyt.csv.gz")
    if sample_prob is None:
        shown = draw_fixed(n_rows=len(frame), n_labels=n_labels, rng=rng)
    else:
        # a design may depend only on what is known before labelling: a callable never sees gold columns
        known = frame.drop(columns=list(SENTIMENT_GOLD))
        with foreign_errors("sample_prob failed on the data"):
            given = sample_prob(known) if callable(sample_prob) else sample_prob
        prob = check_probabilities(given, n_rows=len(frame))
        frame["sample_prob"] = prob
        shown = draw_bernoulli(prob=prob, rng=rng)
    hide_gold(frame, gold=SENTIMENT_GOLD, shown=shown)
    if texts is not None:
        frame.insert(3, "text", frame["snippet_id"].map(read_texts(texts)))
    return frame


def _read(name: str) -> pd.DataFrame:
    """Read one compressed table of the package."""
    with files(__package__).joinpath("data", name).open("rb") as packed, gzip.open(packed) as table:
        return pd.read_csv(table)
