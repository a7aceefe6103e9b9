"""Fine-tuning, on a random BERT of two small layers and a vocabulary of a few words, made here."""

import importlib.util
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone

import dsl
from dsl.exceptions import ArgumentError, DataError, FileError, MissingDependencyError, TextWarning
from dsl.learners.text import TextClassifier, TextRows
from dsl.learners.text import pretrained as pretrained_module
from tests.learners.text.words import worded

pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in pretrained_module.NEEDED),
    reason='the extra "text" is not installed',
)
DATA = worded()
TEXTS, GOLD = DATA["body"].to_numpy(dtype=object), DATA["truth"].to_numpy()
WORDS = sorted({word for text in TEXTS for word in text.split()})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder as transformers saves it: configuration, random weights, a WordPiece vocabulary."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("bert")
    vocabulary = {word: i for i, word in enumerate(["[PAD]", "[UNK]", *WORDS])}
    pieces = Tokenizer(models.WordPiece(vocab=vocabulary, unk_token="[UNK]"))
    pieces.pre_tokenizer = pre_tokenizers.Whitespace()
    made = PreTrainedTokenizerFast(tokenizer_object=pieces, pad_token="[PAD]", unk_token="[UNK]")
    made.save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=40,
    )
    with torch.random.fork_rng(), pretrained_module.quiet():
        torch.manual_seed(0)
        BertModel(config).save_pretrained(folder)
    return str(folder)


def learner(model: str, kind: Any = "lora", **changed: Any) -> TextClassifier:
    settings = {"epochs": 2, "max_length": 16, "n_tokens": 4, "r": 4, "batch_size": 32, "random_state": 1}
    return TextClassifier(kind, model=model, **{**settings, **changed})


@pytest.mark.parametrize(
    ("kind", "rate", "gain"), [("lora", 0.01, 0.8), ("prompt_tuning", 0.1, 0.95), ("full", 0.002, 0.8)]
)
@pytest.mark.long
def test_words_are_learnt(model: str, kind: str, rate: float, gain: float) -> None:
    fitted = learner(model, kind, epochs=6, validation=0.0, learning_rate=rate).fit(TEXTS[:120], GOLD[:120])
    predicted = fitted.predict(TEXTS)
    assert ((predicted > 0.5) == GOLD)[120:].mean() > 0.75
    assert 0.0 <= predicted.min() <= predicted.max() <= 1.0
    epochs, losses, _ = zip(*fitted.history_, strict=True)
    assert epochs == (0, 1, 2, 3, 4, 5, 6)
    assert losses[-1] < gain * losses[1]


def test_what_is_trained(model: str) -> None:
    """The issue of an adapter: few weights, which start where they change nothing and end elsewhere."""
    sizes = {}
    for kind in ("lora", "prompt_tuning", "full"):
        stored = learner(model, kind, epochs=1, validation=0.0).fit(TEXTS[:40], GOLD[:40]).stored_
        body = {name: each for name, each in stored.items() if name.startswith("body.")}
        sizes[kind] = sum(each.size for each in body.values())
        if kind == "lora":
            assert any(np.abs(each).max() > 0.0 for name, each in body.items() if "lora_B" in name)
    # a soft prompt: vectors times their size. LoRA: r (in + out) for each of six square or oblong layers of a block
    assert sizes["prompt_tuning"] == 4 * 32
    assert sizes["lora"] == 2 * 4 * (4 * (32 + 32) + 2 * (32 + 64))
    assert sizes["full"] > 10_000


@pytest.mark.long
def test_the_seed_says_it_all(model: str) -> None:
    one, same, other = (
        learner(model, random_state=seed, validation=0.0).fit(TEXTS[:60], GOLD[:60]).predict(TEXTS[60:])
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 0.0


@pytest.mark.long
def test_trained_weights_are_used_again(model: str, tmp_path: Path) -> None:
    folder = tmp_path / "adapters"
    first = learner(model, cache_dir=folder).fit(TEXTS[:80], GOLD[:80])
    (file,) = folder.iterdir()
    again = learner(model, cache_dir=folder).fit(TEXTS[:80], GOLD[:80])
    assert (first.reused_, again.reused_) == (False, True)
    assert again.history_ == first.history_
    np.testing.assert_array_equal(again.predict(TEXTS[80:]), first.predict(TEXTS[80:]))
    # anything else is trained anew: a label, a text, a number, a setting, the seed
    flipped = np.append(1.0 - GOLD[:1], GOLD[1:80])
    others = [
        learner(model, cache_dir=folder).fit(TEXTS[:80], flipped),
        learner(model, cache_dir=folder).fit([*TEXTS[1:80], TEXTS[0]], GOLD[:80]),
        learner(model, cache_dir=folder).fit(TextRows(np.ones((80, 1)), TEXTS[:80]), GOLD[:80]),
        learner(model, cache_dir=folder, r=2).fit(TEXTS[:80], GOLD[:80]),
        learner(model, cache_dir=folder, random_state=2).fit(TEXTS[:80], GOLD[:80]),
    ]
    assert not any(each.reused_ for each in others)
    assert len(list(folder.iterdir())) == 6
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(FileError, match="cannot be read as weights trained by dsl"):
        learner(model, cache_dir=folder).fit(TEXTS[:80], GOLD[:80])


def test_numbers_count_beside_the_text(model: str) -> None:
    number = np.random.default_rng(5).normal(size=(len(GOLD), 1)) * 100.0
    rows, y = TextRows(number, TEXTS), 3.0 + 2.0 * GOLD + number[:, 0]
    fitted = learner(model).fit(rows[:120], y[:120])
    predicted = fitted.predict(rows[120:])
    # squared loss, on the scale of the labels: more than the number alone explains
    assert np.mean((predicted - y[120:]) ** 2) < 0.7 * np.var(2.0 * GOLD[120:])
    with pytest.raises(ArgumentError, match="trained with 1 columns of numbers"):
        fitted.predict(TEXTS[120:])


def test_a_pickle_predicts_the_same(model: str) -> None:
    fitted = learner(model).fit(TEXTS[:60], GOLD[:60])
    content = pickle.dumps(fitted)
    assert len(content) < 60_000  # the adapter, and not the model
    np.testing.assert_array_equal(pickle.loads(content).predict(TEXTS[60:]), fitted.predict(TEXTS[60:]))
    assert clone(fitted).get_params() == fitted.get_params()


def test_training_stops_early(model: str) -> None:
    """Labels without rhyme or reason: no epoch improves on the rows held out for long."""
    noise = np.random.default_rng(2).integers(0, 2, 80).astype(float)
    fitted = learner(model, epochs=30, patience=1, learning_rate=0.05).fit(TEXTS[:80], noise)
    assert len(fitted.history_) < 15
    held = [loss for _, _, loss in fitted.history_]
    assert fitted.n_epochs_ == int(np.argmin(held))
    few = learner(model, epochs=3).fit(TEXTS[:25], GOLD[:25])  # too few rows to judge by
    assert few.n_epochs_ == 3


@pytest.mark.long
def test_a_fit_splits_rows_once_and_learns_from_texts(model: str, tmp_path: Path) -> None:
    call: dict[str, Any] = {
        "predicted_var": "y",
        "prediction": "llm",
        "text": "body",
        "tune": "coef",
        "cross_fit": 3,
        "sl_method": learner(model, random_state=None, cache_dir=tmp_path),
    }
    fit = dsl.dsl("y ~ x", DATA, **call)
    without = dsl.dsl("y ~ x", DATA, **{**call, "text": None, "sl_method": "lm"})
    assert fit.splits.params.shape[0] == 1
    assert "rows are split once" in str(fit.summary())
    explained = [float(each.fit_quality.loc["y", "r2"]) for each in (without, fit)]
    assert explained[0] + 0.1 < explained[1]  # the words tell more than the surrogate
    again = dsl.dsl("y ~ x", DATA, **call)
    assert len(list(tmp_path.iterdir())) == 3  # one for each fold: none was trained twice
    np.testing.assert_array_equal(again.params, fit.params)
    asked = dsl.dsl("y ~ x", DATA, **call, sample_split=2)
    assert asked.splits.params.shape[0] == 2
    assert "rows are split once" not in str(asked.summary())


def test_long_texts_are_said_to_be_cut(model: str) -> None:
    long = " ".join(TEXTS[:10])
    with pytest.warns(TextWarning, match="1 of 60 texts have more than max_length=16 tokens"):
        fitted = learner(model).fit([long, *TEXTS[1:60]], GOLD[:60])
    assert np.isfinite(fitted.predict(["", "unknown words"])).all()


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"kind": "lorra"}, ArgumentError, "unknown kind 'lorra': use one of lora"),
        ({"r": 0}, ArgumentError, "r must be a whole number of at least 1; found 0"),
        ({"validation": 0.9}, ArgumentError, "validation must be a share"),
        ({"learning_rate": -1.0}, ArgumentError, "learning_rate must lie"),
        ({"max_length": 64}, ArgumentError, "take 64 tokens, and .* reads 40"),
        ({"kind": "prompt_tuning", "max_length": 38}, ArgumentError, "and the soft prompt take 42 tokens"),
        ({"device": "nowhere"}, ArgumentError, "device='nowhere' cannot be used"),
        ({"model": "no/such-model"}, ArgumentError, "no name of one that is on this machine .*download=True"),
    ],
)
def test_settings(model: str, settings: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        learner(**{"model": model, **settings}).fit(TEXTS[:20], GOLD[:20])


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (np.ones(20), "all 20 labels are 1"),
        (np.ones(19), "20 texts need as many labels"),
        (np.append(GOLD[:19], np.nan), "missing or infinite in 1 of 20"),
        (np.arange(20.0), "between 0 and 1; found 0 to 19"),
    ],
)
def test_labels(model: str, y: np.ndarray, words: str) -> None:
    with pytest.raises((ArgumentError, DataError), match=words):
        learner(model, family="binomial").fit(TEXTS[:20], y)


def test_without_the_extra(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained_module, "NEEDED", ("torch", "a_package_that_nobody_has"))
    with pytest.raises(MissingDependencyError, match=r"'a_package_that_nobody_has'.*pip install \"dsl\[text\]\""):
        learner(model).fit(TEXTS[:20], GOLD[:20])


def test_what_it_is_called() -> None:
    words = {kind: TextClassifier(kind, model="org/tiny-bert", r=4).words for kind in ("lora", "prompt_tuning", "full")}
    assert words["lora"].startswith(
        "the language model tiny-bert, fine-tuned on the other folds' labelled texts by low-rank"
    )
    assert "rank 4" in words["lora"]
    assert "16 tokens" in words["prompt_tuning"]
    assert "all weights" in words["full"]


def test_before_it_was_trained(model: str) -> None:
    with pytest.raises(ArgumentError, match="call fit"):
        learner(model).predict(TEXTS)
