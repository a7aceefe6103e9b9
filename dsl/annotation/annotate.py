"""The call: texts to labels with probabilities, through the cache, with a trail."""

import inspect
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import pandas as pd

from dsl._typing import JSON
from dsl.annotation.asking import Asking
from dsl.annotation.cache import Cache
from dsl.annotation.client import ServerModel
from dsl.annotation.codebook import Codebook
from dsl.annotation.collect import gather
from dsl.annotation.cost import Meter
from dsl.annotation.exchange import Answer, Ask, Request
from dsl.annotation.labels import Confidence
from dsl.annotation.plan import Models, Part, Plan, Prompts, Settings, as_model, planned
from dsl.annotation.progress import Bar
from dsl.annotation.record import trail_of, warn_of_examples, warn_of_labels
from dsl.data.arguments import explain_calls
from dsl.data.containers import with_columns
from dsl.data.files import PathLike
from dsl.data.tables import TableLike
from dsl.data.trail import Trail, load_trails, record_of, save_trails, trails_of

Function = TypeVar("Function", bound=Callable[..., object])
ATTRS = "annotation"
"""Where a pandas table keeps its trails."""


@explain_calls
def annotate(
    data: TableLike,
    *,
    text: str | None = None,
    image: str | None = None,
    codebook: Codebook | PathLike,
    model: Models,
    base_url: str | None = None,
    name: str = "llm",
    prompt: Prompts | None = None,
    confidence: Confidence = "logprobs",
    repeats: int = 5,
    cache: PathLike = "labels.jsonl",
    concurrency: int = 8,
    max_retries: int = 6,
    timeout: float = 60.0,
    budget: float | None = None,
    price: tuple[float, float] | None = None,
    temperature: float | None = None,
    max_tokens: int | None = None,
    extra_body: Mapping[str, JSON] | None = None,
    seed: int | None = None,
    progress: bool = True,
) -> TableLike:
    """Labels of texts or images from a language model, each with a probability.

    Every different text is asked about once, and every answer is stored before it is used: a call that was stopped, by an error,
    by Ctrl-C or by a kill, goes on where it stopped when it is repeated, and a finished one repeats itself from the file alone.
    The key is taken from the environment (``OPENAI_API_KEY``) and written nowhere.

    Parameters
    ----------
    data : data frame
        pandas, polars, pyarrow, or a dict of columns, N rows.
    text : str, optional
        Column of texts. Rows whose text is missing or empty get no label.
    image : str, optional
        Column of paths or addresses of images, alone or beside the text.
    codebook : Codebook or path
        Question, labels with definitions, examples; or a YAML file of these.
    model : str or callable, or a list or dict of them
        A model's name at the server, or a function that is asked instead of one. Several make one set of columns each,
        ``{name}_{model}`` or, with a dict, under the names that it gives them.
    base_url : str, optional
        Address of a server that speaks OpenAI's protocol: OpenAI's by default; vLLM, Ollama, llama.cpp.
    name : str
        What the new columns' names begin with.
    prompt : Prompt or dict of Prompt, optional
        How the model is asked, by default `dsl.annotation.Prompt.one_stage()`. A dict makes one set of columns for each.
    confidence : {"logprobs", "verbal", "both", "repeat"}
        Where the probabilities come from: the model's log probabilities of every label; what it says when it is asked for a
        probability; both, side by side; or the shares of `repeats` answers.
    repeats : int
        How often each question is asked with ``confidence="repeat"``.
    cache : str or Path
        The file of the answers. It holds no texts and no prompts. One that ends in ``.gz`` is read only.
    concurrency : int
        Questions in flight at once.
    max_retries : int
        Times that a question is asked again after a failure that may pass: with pauses that double, or that the server names.
    timeout : float
        Seconds to wait for an answer.
    budget : float, optional
        Dollars that this call may spend. It stops before it would spend more, with an error.
    price : (float, float), optional
        Dollars for a million tokens sent and a million that come back.
    temperature : float, optional
        By default 0, and 1 with ``confidence="repeat"``.
    max_tokens : int, optional
        Most tokens of an answer, by default as many as the labels need.
    extra_body : mapping, optional
        What the server takes besides, such as ``{"n_probs": 4000}`` of llama.cpp, which lists every label's probability.
    seed : int, optional
        Sent to the server.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    data frame
        Of the kind of `data`, its rows in their order, with columns added: ``llm`` (the label), ``llm_{label}`` for every label
        (its probability), ``llm_confidence`` (probability of the label given), ``llm_mass`` (probability of all labels together,
        before they were scaled to one) and ``llm_censored`` (a label was outside the server's list of tokens, so that its
        probability is a bound) with log probabilities, ``llm_verbal`` and ``llm_said`` (the probability in words, read and as it
        was said) where it was asked for, ``llm_reason`` (why there is no label, empty where there is one). The trail (`Trail`)
        is in the file ``labels.trail.json`` beside the cache and, for pandas, in ``attrs["annotation"]``.

    Raises
    ------
    ArgumentError, MissingColumnError, ColumnTypeError
        The arguments cannot be used.
    ServerError
        The model cannot be asked, or fails for every text. What was answered is stored.
    BudgetError
        The budget is spent. What was answered is stored.
    CacheError
        The cache cannot be used, or another process writes to it.
    MissingDependencyError
        The package `openai` is needed, and not installed.

    Warns
    -----
    AnnotationWarning
        Rows have no label, labels together have little of the probability, some are outside the server's list of tokens, or
        examples of the codebook are among the texts.

    See Also
    --------
    dsl.annotation.estimate_cost : what a call would cost.

    Notes
    -----
    Labels of a model are imperfect, and regressions on them are biased. ``dsl.dsl(..., prediction="llm_positive",
    refusals="indicator")`` corrects them by a random sample of gold labels. Examples in the codebook count as training data:
    gold labels of rows with their texts must be left out of the sample (``exclude=`` of `dsl.sampling`), or be named in
    ``dsl.dsl(..., trained_on=)``.

    Examples
    --------
    A function in the place of a model, which needs no server:

    >>> import dsl, os, tempfile
    >>> import pandas as pd
    >>> book = dsl.annotation.Codebook("Is the tweet positive?", ["yes", "no"])
    >>> posts = pd.DataFrame({"body": ["I love it", "What a mess", None]})
    >>> def keyword(text):
    ...     return {"yes": 0.9, "no": 0.1} if "love" in text else {"yes": 0.2, "no": 0.8}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     labels = dsl.annotate(
    ...         posts, text="body", codebook=book, model=keyword, cache=os.path.join(folder, "labels.jsonl"), progress=False
    ...     )
    >>> labels[["llm", "llm_yes", "llm_reason"]]
       llm  llm_yes llm_reason
    0  yes      0.9
    1   no      0.2
    2  NaN      NaN    no text
    """
    what = planned(
        data,
        text=text,
        image=image,
        codebook=codebook,
        model=model,
        name=name,
        prompt=prompt,
        base_url=base_url,
        confidence=confidence,
        repeats=repeats,
        cache=cache,
        concurrency=concurrency,
        max_retries=max_retries,
        timeout=timeout,
        budget=budget,
        price=price,
        temperature=temperature,
        max_tokens=max_tokens,
        extra_body=extra_body,
        seed=seed,
        progress=progress,
    )
    warn_of_examples(what)
    tables, trails = labelled(what)
    for table, trail in zip(tables, trails, strict=True):
        warn_of_labels(table, trail)
    out = with_columns(data, pd.concat(tables, axis=1))
    if isinstance(out, pd.DataFrame):
        # those of columns that an earlier call made stay
        earlier = trails_of(data.attrs[ATTRS]) if isinstance(data, pd.DataFrame) and ATTRS in data.attrs else ()
        out.attrs[ATTRS] = record_of(merged(earlier, trails))
    return out


def labelled(what: Plan) -> tuple[list[pd.DataFrame], list[Trail]]:
    """New columns and trail of every model and prompt. The trails are written after each."""
    settings = what.settings
    # a file that is no trail is found before anything is paid for
    before = load_trails(settings.trail) if settings.trail is not None and settings.trail.exists() else ()
    tables: list[pd.DataFrame] = []
    trails: list[Trail] = []
    meter = Meter(price=settings.dollars, budget=settings.budget)
    with Cache(settings.cache, write=True) as answers:
        for part in what.parts:
            table, trail = _part(what, part, answers, meter)
            tables.append(table)
            trails.append(trail)
            if settings.trail is not None:
                save_trails(settings.trail, merged(before, trails))
    return tables, trails


def merged(before: Sequence[Trail], trails: Sequence[Trail]) -> list[Trail]:
    """Earlier trails with later ones, which take the place of those of the same name."""
    names = {each.name for each in trails}
    return [*(each for each in before if each.name not in names), *trails]


def _part(what: Plan, part: Part, answers: Cache, meter: Meter) -> tuple[pd.DataFrame, Trail]:
    """New columns of one model and prompt, and their trail."""
    settings = what.settings
    interview, threads = what.interview(part), settings.concurrency
    asking = Asking(model_of(part, settings), answers, patience=settings.patience, meter=meter, threads=threads)
    bar = Bar(asking, total=len(what.items), name=part.name, cache=str(settings.cache), shown=settings.progress)
    with bar.showing():
        found = gather(
            what.items, interview, asking, what.book.codes, concurrency=threads, step=bar.step, idle=bar.wait
        )
    table = found.table(what.items.rows, part.name, settings.confidence)
    return table, trail_of(what, part, interview, answers, asking.tally, found, table)


def like(other: Callable[..., object]) -> Callable[[Function], Function]:
    """Mark a function of ``**arguments`` as one with the arguments of another behind its own, for help and for messages."""

    def mark(function: Function) -> Function:
        own = inspect.signature(function)
        first = [each for each in own.parameters.values() if each.kind is not each.VAR_KEYWORD]
        rest = [each for name, each in inspect.signature(other).parameters.items() if name not in own.parameters]
        function.__signature__ = own.replace(parameters=[*first, *rest])  # type: ignore[attr-defined]
        return function

    return mark


class _Server:
    """A server that is connected to by the first question: where all answers are stored, neither key nor client is needed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._model: ServerModel | None = None

    def __call__(self, request: Request) -> Answer:
        """The server's answer."""
        with self._lock:
            if self._model is None:
                self._model = ServerModel(self._settings.base_url, timeout=self._settings.timeout)
        return self._model(request)


def model_of(part: Part, settings: Settings) -> Ask:
    """Whom a part's questions go to."""
    return _Server(settings) if isinstance(part.model, str) else as_model(part.model)
