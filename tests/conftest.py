"""Fixtures of several test modules."""

from pathlib import Path

import pytest

from .posts import posts


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own with the posts, as the working directory."""
    monkeypatch.chdir(tmp_path)
    posts().assign(text=[f"post {j}" for j in range(200)]).to_csv("posts.csv", index=False)
    return tmp_path
