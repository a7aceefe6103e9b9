"""A dry run counts what would be asked, and reckons tokens by hand."""

from collections.abc import Sequence
from pathlib import Path

from dsl.annotation.cache import Cache
from dsl.annotation.estimate import CostEstimate, count
from dsl.annotation.exchange import Answer, Item, Outcome, Request


class Twice:
    """A label, then how sure it is, which names the label."""

    def questions(self, item: Item, answers: Sequence[Answer]) -> tuple[Request, ...]:
        said = "".join(answer.text for answer in answers)
        if len(answers) == 2:
            return ()
        return (Request(model="m", prompt=f"{item.text}{said}", parameters={"max_tokens": 5}),)

    def outcome(self, answers: Sequence[Answer]) -> Outcome:
        return Outcome(label=answers[0].text, probabilities=(1.0,))


def test_a_dry_run_imagines_what_follows(tmp_path: Path) -> None:
    with Cache(tmp_path / "c.jsonl", write=True) as cache:
        stored = Answer(text="longlabel", prompt_tokens=2, completion_tokens=1)
        cache.add(Request(model="m", prompt="text", parameters={"max_tokens": 5}).key(), stored.to_json())
        found, rates = count([Item(text="text"), Item(text="another")], Twice(), cache, "yes")
    assert (found.requests, found.cached, found.left) == (4, 1, 3)
    assert found.characters == len("textlonglabel") + len("another") + len("anotheryes")
    assert rates.answers == 1


def test_estimates_add_up() -> None:
    one = CostEstimate(
        texts=3,
        distinct=2,
        without_text=1,
        requests=2,
        cached=1,
        prompt_tokens=10.0,
        completion_tokens=1.0,
        measured=True,
        cost=0.5,
    )
    two = one + one
    assert (two.texts, two.distinct, two.requests, two.cached, two.prompt_tokens, two.cost) == (3, 2, 4, 2, 20.0, 1.0)
    assert "3 rows with 2 different texts, 1 without a text" in str(two)
    assert "about $1.00" in str(two)
