"""Logs from elsewhere: settings and events are data, whoever wrote them."""

import base64
import hashlib
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dsl import exceptions as e
from dsl.sampling.adaptive import AdaptiveDesign
from dsl.sampling.adaptive.log import FIRST
from tests.sampling.adaptive.test_log import begin, forge, small

HEADER: dict[str, tuple[dict[str, Any], str]] = {
    "fractions of rows": ({"sizes": [21.5, 21, 21]}, "burn_in must be a whole number, not 21.5"),
    "a small burn-in": ({"sizes": [2, 61]}, "burn_in is 2; it must be at least 20"),
    "no batches": ({"sizes": []}, "sizes must be a list of whole numbers"),
    "empty batches": ({"sizes": [21, 0]}, "batch_size is 0"),
    "too many batches": ({"sizes": [21, *[1] * 10_000]}, "10,000 is the most"),
    "another model": ({"model": "tobit"}, "unknown model 'tobit'"),
    "another learner": ({"sl_method": "os.system"}, "unknown sl_method 'os.system'"),
    "a learner of another kind": ({"error_model": {"name": "lm"}}, "error_model must be the name of a learner"),
    "folds": ({"cross_fit": 1}, "cross_fit must be a whole number of at least 2"),
    "many folds": ({"cross_fit": 10**9}, "cross_fit is 1,000,000,000"),
    "seed": ({"seed": -1}, "seed must be a whole number"),
    "tau": ({"tau": 0}, "tau must be above 0"),
    "floor": ({"floor": 1e9}, "floor must be above 0 and at most 1"),
    "robust": ({"robust": "yes"}, "robust must be True or False"),
    "criterion": ({"criterion": "best"}, "unknown criterion 'best'"),
    "refusals": ({"refusals": "ignore"}, "unknown refusals 'ignore'"),
    "se": ({"se": {"x": "small"}}, "se of 'x' must be a positive number"),
    "codebook": ({"codebook": {"z": [0, 1]}}, "codebook names 'z'"),
    "codebook of texts": ({"codebook": {"y": ["a"]}}, "must be a list of numbers"),
    "meanings": ({"meanings": {"y": ["no"]}}, "meanings must be texts, one for each label"),
    "nothing to learn from": ({"prediction": []}, "neither prediction, confidence nor feature is given"),
    "formula": ({"formula": ["y", "x"]}, "formula must be text"),
    "unknown": ({"hook": "x"}, "setting 'hook' is unknown"),
}


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A log whose first batch waits for its labels."""
    path = tmp_path_factory.mktemp("begun") / "log"
    begin(path).next_batch()
    return path.read_bytes()


@pytest.fixture
def path(begun: bytes, tmp_path: Path) -> Path:
    """A copy of it."""
    path = tmp_path / "log"
    path.write_bytes(begun)
    return path


@pytest.mark.parametrize("case", HEADER)
def test_settings_that_no_call_could_have_made(path: Path, case: str) -> None:
    changed, message = HEADER[case]
    forge(path, lambda events: events[0]["settings"].update(changed))
    with pytest.raises(e.LogError, match=rf"the settings in '.*' are none that AdaptiveDesign could .*{message}"):
        AdaptiveDesign.resume(path, small()[0])


@pytest.mark.parametrize("name", ["formula", "sizes", "seed", "coefficient"])
def test_settings_that_are_not_there(path: Path, name: str) -> None:
    forge(path, lambda events: events[0]["settings"].pop(name))
    with pytest.raises(e.LogError, match=f"setting '{name}' is missing"):
        AdaptiveDesign.resume(path, small()[0])
    forge(path, lambda events: events[0].pop("settings"))
    with pytest.raises(e.LogError, match="there are no settings"):
        AdaptiveDesign.resume(path, small()[0])


def bomb(events: list[dict[str, Any]]) -> None:
    events[1]["prob"] = base64.b64encode(zlib.compress(b"\0" * 2**24, 9)).decode()


EVENTS: dict[str, Callable[[list[dict[str, Any]]], Any]] = {
    "a few bytes that stand for many": bomb,
    "no base64": lambda events: events[1].update(prob="?"),
    "no compressed numbers": lambda events: events[1].update(prob="AAAA"),
    "probabilities cut off": lambda events: events[1].update(prob=events[1]["prob"][:8]),
    "probabilities above one": lambda events: events[1].update(prob=_packed(2.0)),
    "probabilities that are none": lambda events: events[1].update(prob=_packed(float("nan"))),
    "rows beyond 64 bits": lambda events: events[1].update(rows=[2**80]),
    "rows of another kind": lambda events: events[1].update(rows={"a": 1}),
    "facts of another kind": lambda events: events[1].update(rho={"y": "high"}),
    "facts that are none": lambda events: events[1].update(relative_variance=3),
    "kind of another kind": lambda events: events[1].update(kind=["batch"]),
}


def _packed(value: float) -> str:
    import numpy as np

    from dsl.sampling.adaptive.log import packed

    return packed(np.full(200, value))


@pytest.mark.parametrize("case", EVENTS)
@pytest.mark.parametrize("recompute", [True, False])
def test_events_that_no_design_could_have_written(path: Path, case: str, recompute: bool) -> None:
    forge(path, EVENTS[case])
    with pytest.raises(e.LogError):
        AdaptiveDesign.resume(path, small()[0], recompute=recompute)


def test_json_nested_beyond_reason(tmp_path: Path) -> None:
    path = tmp_path / "log"
    body = '{"kind": "header", "x": ' + "[" * 100_000 + "]" * 100_000 + "}"
    path.write_text(f'{body[:-1]}, "chain": "{"0" * 64}"}}\n')
    with pytest.raises(e.LogError, match=r"line 1 of '.*is no event"):
        AdaptiveDesign.resume(path, small()[0])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


def by_hand(path: Path, text: str) -> None:
    """A log of one line, with its hash, by another writer than ours: Python's json also writes Infinity and NaN."""
    chain = hashlib.sha256(f"{FIRST}\n{text}".encode()).hexdigest()
    path.write_text(f'{text[:-1]}, "chain": "{chain}"}}\n', encoding="utf-8")


@pytest.mark.parametrize("number", ["Infinity", "-Infinity", "NaN", "1e999"])
@pytest.mark.parametrize("name", ["tau", "floor", "cluster", "se"])
def test_a_log_with_a_number_that_is_none(path: Path, name: str, number: str) -> None:
    header = json.loads(path.read_text(encoding="utf-8").splitlines()[0])
    header["settings"][name] = "HERE"
    del header["chain"]
    by_hand(path, json.dumps(header).replace('"HERE"', number))
    with pytest.raises(e.LogError, match=r"line 1 of '.*is no event|none that AdaptiveDesign could"):
        AdaptiveDesign.resume(path, small()[0])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_setting_may_be_anything(
    begun: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """A design, or an error of ours."""
    path = tmp_path_factory.mktemp("any") / "log"
    header = json.loads(begun.splitlines()[0])
    name = data.draw(st.sampled_from(sorted(header["settings"])))
    header["settings"][name] = data.draw(JSON)
    del header["chain"]
    by_hand(path, json.dumps(header))
    try:
        design = AdaptiveDesign.resume(path, small()[0])
    except e.DSLError:
        return
    assert len(design.next_batch()) == design.settings.sizes[0]
