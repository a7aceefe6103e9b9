"""Embeddings from every source: the right rows, once a call, and refused where they cannot be those of the texts."""

import importlib.util
import sys
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

import dsl
from dsl.exceptions import ArgumentError, CacheError, DataError, FileError, MissingDependencyError
from dsl.learners.text import Embedding, memory
from dsl.learners.words import learner_words
from tests.learners.text.embeddings import embed, serving
from tests.learners.text.words import worded
from tests.posts import run

DATA = worded()
TEXTS = DATA["body"].tolist()
MATRIX = embed(TEXTS)


@pytest.fixture(autouse=True)
def _empty() -> None:
    memory.forget()


def params(source: object = None, data: pd.DataFrame = DATA, **options: object) -> np.ndarray:
    return np.asarray(run(data, text="body", sl_method=Embedding(source, **options)).params)


def test_every_source_gives_the_same_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "vectors.npy", MATRIX)
    expected = params(MATRIX)
    for source in (tmp_path / "vectors.npy", str(tmp_path / "vectors.npy"), pd.DataFrame(MATRIX, index=DATA.index)):
        np.testing.assert_array_equal(params(source), expected)
    single = 1e-5  # numbers of four bytes
    np.testing.assert_allclose(params(embed), expected, rtol=single)
    np.testing.assert_allclose(params(embed, cache=tmp_path / "a.bin"), expected, rtol=single)
    monkeypatch.setenv("OPENAI_API_KEY", "unused")
    with serving() as (address, fake):
        for _ in range(2):
            memory.forget()
            found = params(model="fake", base_url=address, cache=tmp_path / "b.bin", batch_size=50)
            np.testing.assert_allclose(found, expected, rtol=single)
        different = list(dict.fromkeys(TEXTS))
        assert [text for request in fake.asked for text in request] == different
        assert {len(request) for request in fake.asked[:-1]} == {50}


def test_the_words_tell_more_than_the_surrogate() -> None:
    alone, with_text = run(DATA), run(DATA, text="body", sl_method=Embedding(embed))
    assert with_text.fit_quality["r2"].iloc[0] > alone.fit_quality["r2"].iloc[0] + 0.2
    assert with_text.fit_quality["learner"].tolist() == ["Embedding"]


def test_texts_are_embedded_once_a_call() -> None:
    asked: list[int] = []
    learner = Embedding(lambda texts: asked.append(len(texts)) or embed(texts))
    for splits in (1, 3):
        run(DATA, text="body", sl_method=learner, sample_split=splits)
    assert asked == [len(set(TEXTS))]


def test_rows_that_are_left_out_leave_theirs() -> None:
    data = DATA.copy()
    data.loc[[3, 8], "x"] = None
    with pytest.warns(dsl.exceptions.DroppedRowsWarning):
        found = params(MATRIX, data)
    # not to the last bit: rows lie elsewhere in memory, which products of some processors' kernels depend on
    np.testing.assert_allclose(found, params(np.delete(MATRIX, [3, 8], 0), data.drop(index=[3, 8])), rtol=1e-12)


def test_another_number_or_order_of_rows_is_refused() -> None:
    with pytest.raises(ArgumentError, match="the embeddings have 199 rows, and the data 200"):
        params(MATRIX[1:])
    twice = DATA.assign(body=[*TEXTS[:100], *TEXTS[:100]])
    with pytest.raises(DataError, match=r"not those of these texts in their order: \d+ rows .* with the same text"):
        params(MATRIX, twice)
    params(np.vstack([MATRIX[:100], MATRIX[:100] * 1.01]), twice)  # rounding of another batch
    shuffled = pd.DataFrame(MATRIX, index=DATA.index).sample(frac=1, random_state=1)
    with pytest.raises(DataError, match=r"other row labels than the data in \d+ rows .*embeddings.loc\[data.index\]"):
        params(shuffled)
    np.testing.assert_array_equal(params(shuffled.loc[DATA.index]), params(MATRIX))


def test_what_is_no_matrix_of_embeddings(tmp_path: Path) -> None:
    holes = MATRIX.copy()
    holes[[2, 5], 1] = np.nan
    with pytest.raises(DataError, match=r"missing or infinite in 2 rows \(first: 2, 5\)"):
        params(holes)
    with pytest.raises(ArgumentError, match=r"must be a matrix of numbers.*found shape \(200,\)"):
        params(MATRIX[:, 0])
    with pytest.raises(FileError, match="there is no file"):
        params(tmp_path / "none.npy")
    with pytest.raises(DataError, match=r"lambda> made an array of shape \(3,\) of \d+ texts"):
        params(lambda texts: np.zeros(3))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "needs either source="),
        ({"source": embed, "model": "m"}, "needs either source="),
        ({"source": embed, "base_url": "http://x"}, "no model= of it is named"),
        ({"source": MATRIX, "cache": "a.bin"}, "a matrix was computed before"),
        ({"source": embed, "batch_size": 0}, "batch_size"),
    ],
)
def test_arguments_that_do_not_go_together(options: dict, words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        params(**options)


def test_a_file_has_one_makers_embeddings(tmp_path: Path) -> None:
    params(embed, cache=tmp_path / "a.bin")
    with pytest.raises(CacheError, match="holds the embeddings of embed, and those of other are wanted"):
        params(model="other", base_url="http://127.0.0.1:9", cache=tmp_path / "a.bin")


def test_sentence_transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model is loaded once, when the first text comes."""
    loaded = []

    class SentenceTransformer:
        def __init__(self, name: str) -> None:
            loaded.append(name)

        def encode(self, texts: list[str], show_progress_bar: bool) -> np.ndarray:
            return embed(texts)

    module = ModuleType("sentence_transformers")
    module.SentenceTransformer = SentenceTransformer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sentence_transformers", module)
    np.testing.assert_allclose(params("some-model", batch_size=7), params(MATRIX), rtol=1e-5)
    assert loaded == ["some-model"]
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'dsl\[text\]'"):
        params("other-model")


def test_an_estimator_of_scikit_learn() -> None:
    """On its own it takes lists of texts. Its checks do not apply: they fit numbers."""
    learner = Embedding(embed, batch_size=3)
    assert clone(learner).get_params() == learner.get_params()
    assert clone(Embedding(MATRIX)).source is MATRIX
    fitted = clone(learner).fit(TEXTS[:150], DATA["truth"][:150])
    assert ((fitted.predict(TEXTS[150:]) > 0.5) == DATA["truth"][150:]).mean() > 0.95
    assert fitted.score(TEXTS[150:], DATA["truth"][150:]) > 0.7


@pytest.mark.parametrize(
    ("learner", "words"),
    [
        (Embedding(embed), "ridge regression on embeddings (embed)"),
        (Embedding(MATRIX), "ridge regression on embeddings (given as a matrix)"),
        (Embedding(model="text-embedding-3-small"), "ridge regression on embeddings (text-embedding-3-small)"),
    ],
)
def test_words_for_a_paper(learner: Embedding, words: str) -> None:
    assert learner_words(["Embedding"], learner, "gaussian") == [words]


def test_the_name_stands_for_a_small_model(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("sentence_transformers")
    module.__spec__ = ModuleSpec("sentence_transformers", None)
    asked = []

    class SentenceTransformer:
        def __init__(self, name: str) -> None:
            asked.append(name)

        def encode(self, texts: list[str], show_progress_bar: bool) -> np.ndarray:
            return embed(texts)

    module.SentenceTransformer = SentenceTransformer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sentence_transformers", module)
    found = run(DATA, text="body", sl_method="embedding")
    np.testing.assert_allclose(found.params, params(MATRIX), rtol=1e-5)
    assert asked == ["sentence-transformers/all-MiniLM-L6-v2"]


def test_the_name_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None)
    with pytest.raises(MissingDependencyError, match=r"'sentence_transformers'.* pip install \"dsl\[text\]\""):
        run(DATA, text="body", sl_method="embedding")


@pytest.mark.slow
@pytest.mark.skipif(find_spec("sentence_transformers") is None, reason='the extra "text" is not installed')
def test_a_real_model_of_sentence_transformers(tmp_path: Path) -> None:
    """A random BERT of one small layer in a folder. The mean of its tokens is the embedding."""
    from tokenizers import Tokenizer, pre_tokenizers
    from tokenizers.models import WordPiece
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", *sorted({word for text in TEXTS for word in text.split()})]
    pieces = Tokenizer(WordPiece(vocab={word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    pieces.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=pieces, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(
        tmp_path / "bert"
    )
    BertModel(
        BertConfig(
            vocab_size=len(words), hidden_size=64, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64
        )
    ).save_pretrained(tmp_path / "bert")
    fit = run(DATA, text="body", sl_method=Embedding(str(tmp_path / "bert"), cache=tmp_path / "vectors.bin"))
    assert fit.fit_quality["r2"].iloc[0] > 0.5
