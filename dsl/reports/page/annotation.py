"""Labels from a language model: sentences for the methods paragraph, and a checklist of what a paper must report."""

import json
from collections.abc import Mapping, Sequence

from dsl._typing import JSON
from dsl.data.trail import Trail
from dsl.estimators.result import Fit
from dsl.learners.words import joined
from dsl.reports.diagnostics import Diagnostics
from dsl.reports.page.markup import (
    Cell,
    Html,
    Section,
    element,
    folded,
    paragraph,
    table,
    text,
)
from dsl.reports.page.markup import joined as together

SOURCE = "GUIDE"
"""Key of the guidelines that the checklist follows."""
NOT_RECORDED = "not recorded: say it yourself"
MEASURED = {
    "logprobs": "Probabilities of the labels are the model's own, from its log probabilities, scaled to sum to one",
    "verbal": "Probabilities of the labels are the model's own statements in words",
    "both": "Probabilities of the labels are the model's own, from its log probabilities, scaled to sum to one; it was also "
    "asked for a probability in words",
    "repeat": "Probabilities of the labels are shares of the answers to the same question, asked several times",
}
LONGEST = 400
"""Characters of a question in a sentence."""


def sentences(trail: Trail) -> str:
    """How labels were made, for a paper."""
    parts = [_who(trail), _what(trail), _measured(trail), _missing(trail)]
    return " ".join(f"{part}." for part in parts if part)


def _who(trail: Trail) -> str:
    who = f"the language model {trail.model}" if trail.server else f"the model {trail.model}"
    reported = {name: count for name, count in trail.versions.items() if name not in ("", trail.model)}
    if reported:
        who += f" (reported by the server as {_versions(reported)})"
    rows = f" ({trail.texts:,} rows)" if trail.texts != trail.distinct else ""
    asked = f"asked about {trail.distinct:,} different texts{rows}{_when(trail)}"
    return f"The labels {trail.name} were made by {who}, which was {asked}"


def _versions(reported: Mapping[str, int]) -> str:
    if len(reported) == 1:
        return next(iter(reported))
    return joined([f"{name} in {count:,} answers" for name, count in reported.items()])


def _when(trail: Trail) -> str:
    first, last = trail.first[:10], trail.last[:10]
    if not first:
        return ""
    return f" on {first}" if first == last else f" between {first} and {last}"


def _what(trail: Trail) -> str:
    book = trail.codebook or {}
    labels, examples = _labels(trail), _examples(trail)
    out = []
    question = book.get("question")
    if isinstance(question, str):
        short = question if len(question) <= LONGEST else f"{question[:LONGEST]}..."
        out.append(f"The question was \N{LEFT DOUBLE QUOTATION MARK}{short}\N{RIGHT DOUBLE QUOTATION MARK}")
    if labels:
        defined = ", each with a definition" if all(labels.values()) else ""
        out.append(f"{'with the' if out else 'The'} labels {joined(list(labels))}{defined}")
    words = " ".join(out)
    if examples:
        words += f", and {examples} example{'s' if examples > 1 else ''}, which count as training data"
    settings = _settings(trail)
    return words + (f" ({settings})" if settings else "")


def _labels(trail: Trail) -> dict[str, str]:
    labels = (trail.codebook or {}).get("labels")
    return {str(label): str(meaning or "") for label, meaning in labels.items()} if isinstance(labels, Mapping) else {}


def _examples(trail: Trail) -> int:
    examples = (trail.codebook or {}).get("examples")
    return len(examples) if isinstance(examples, Sequence) and not isinstance(examples, str) else 0


def _settings(trail: Trail) -> str:
    return ", ".join(f"{name} {_plain(value)}" for name, value in (trail.parameters or {}).items())


def _plain(value: JSON) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _measured(trail: Trail) -> str:
    words = MEASURED.get(trail.confidence, "")
    more = []
    if trail.mass is not None:
        more.append(f"median probability of all labels together before that: {trail.mass:.3g}")
    if trail.censored:
        more.append(f"bounded for labels outside the server's list of tokens in {trail.censored:.1%} of rows")
    if trail.unreadable is not None:
        more.append(f"unreadable in {trail.unreadable:,} rows")
    return words + (f" ({'; '.join(more)})" if more and words else "")


def _missing(trail: Trail) -> str:
    missing = dict(trail.missing or {})
    total = sum(missing.values())
    if not total:
        return "Every row has a label"
    reasons = ", ".join(f"{reason}: {count:,}" for reason, count in missing.items())
    return f"{total:,} rows ({total / max(trail.texts, 1):.1%}) have no label ({reasons})"


def annotation_section(trails: Sequence[Trail], fit: Fit, drawn: str, diagnostics: Diagnostics | None) -> Section:
    """The checklist of every trail, with prompts and codebook to unfold.

    Parameters
    ----------
    trails : sequence of Trail
    fit : Fit
    drawn : str
        How the rows with gold labels were chosen, in a sentence.
    diagnostics : Diagnostics or None
        Where they were made: how the labels compare with gold labels.
    """
    parts: list[Html] = []
    for number, trail in enumerate(trails, start=1):
        rows = [*_rows(trail), *_use(trail, fit, drawn, diagnostics)]
        caption = f"What to report about {trail.name}, and what is known"
        parts.append(table(f"checklist-{number}", caption, ["report", "here"], rows))
        if trail.prompts:
            parts.append(folded(f"Prompts of {trail.name}, as they were sent", together(map(_prompt, trail.prompts))))
        if _labels(trail):
            pairs: list[Sequence[Cell]] = [[label, meaning] for label, meaning in _labels(trail).items()]
            parts.append(
                folded(
                    f"Codebook of {trail.name}",
                    table(f"codebook-{number}", "Labels and their definitions", ["label", "definition"], pairs),
                )
            )
    words = "What guidelines for labels from language models ask for. Lines that say so need words of your own."
    return Section(
        ident="annotation", heading="Labels from a language model", body=together([paragraph(words), *parts])
    )


def _rows(trail: Trail) -> list[list[Cell]]:
    """What the trail knows."""
    book = trail.codebook or {}
    missing = dict(trail.missing or {})
    total = sum(missing.values())
    examples = _examples(trail)
    cost = "" if trail.cost is None else f"; ${trail.cost:,.2f}"
    failed = "; ".join(f"{reason}: {count:,}" for reason, count in missing.items())
    tokens = f"{trail.prompt_tokens:,} sent, {trail.completion_tokens:,} received{cost}"
    known = {
        "Model": trail.model,
        "Version, as the server reported it": _versions(trail.versions) if any(trail.versions) else NOT_RECORDED,
        # no link: the page leads nowhere outside
        "Server": trail.server.rpartition("//")[2] or "none: a function was called",
        "Dates of the answers (UTC)": f"{trail.first} to {trail.last}" if trail.first else NOT_RECORDED,
        "Question": str(book.get("question") or NOT_RECORDED),
        "Labels": ", ".join(_labels(trail)) or NOT_RECORDED,
        "Prompts": f"{len(trail.prompts)} stage{'s' if len(trail.prompts) != 1 else ''}, below"
        if trail.prompts
        else NOT_RECORDED,
        "Parameters": _settings(trail) or "the server's own",
        "Examples in the prompt": f"{examples}; they count as training data, and belong to no gold label"
        if examples
        else "none",
        "Texts": f"{trail.texts:,} rows, {trail.distinct:,} different texts",
        "Failures and refusals": f"{total:,} rows ({total / max(trail.texts, 1):.1%}){': ' + failed if failed else ''}",
        "Where probabilities come from": MEASURED.get(trail.confidence, NOT_RECORDED),
    }
    if trail.mass is not None:
        known["Probability on all labels, median"] = f"{trail.mass:.3g}"
        known["Rows with a label outside the server's list"] = f"{trail.censored or 0.0:.1%}"
    if trail.unreadable is not None:
        known["Confidence in words that could not be read"] = f"{trail.unreadable:,} rows"
    known |= {
        "Answers and tokens": f"{trail.answers:,} answers; {tokens}",
        "Software": f"dsl {trail.package}" if trail.package else NOT_RECORDED,
        "Why this model, and who may see the texts": NOT_RECORDED,
        "Texts that the model may have been trained on": NOT_RECORDED,
    }
    return [[name, value] for name, value in known.items()]


def _use(trail: Trail, fit: Fit, drawn: str, diagnostics: Diagnostics | None) -> list[list[Cell]]:
    """What the fit adds: gold labels, agreement with them, correction."""
    used = [
        name
        for name in (*fit.call.prediction, *fit.call.feature, *fit.call.predicted_var)
        if name == trail.name or name.startswith(f"{trail.name}_")
    ]
    correction = fit.estimator.title if fit.estimator.uses_labels else "none: labels are taken for the truth"
    known = {
        "Columns used in this analysis": ", ".join(used) or f"none is named {trail.name} or {trail.name}_...",
        "How gold labels were sampled": drawn.replace(" of them", f" of {fit.sample.nobs:,} rows", 1),
        "Validation against gold labels": _validation(diagnostics),
        "Correction of the labels' errors": correction,
    }
    return [[name, value] for name, value in known.items()]


def _validation(diagnostics: Diagnostics | None) -> str:
    if diagnostics is None or "surrogates" not in diagnostics.details:
        return "not on this page: write the report with the data and its diagnostics"
    found = diagnostics.details["surrogates"]
    measures = [name for name in ("accuracy", "false_positive_rate", "false_negative_rate", "rmse") if name in found]
    out = []
    for row in found[found["covariate"] == ""].to_dict("records"):
        shown = [f"{name.replace('_', ' ')} {row[name]:.3f}" for name in measures if row[name] == row[name]]
        out.append(f"{row['variable']} on {row['n']:,} gold labels: {', '.join(shown)}")
    return f"{'; '.join(out)} (weighted by the design; by group in the diagnostics)"


def _prompt(stage: JSON) -> Html:
    """One stage as it was sent."""
    turns = stage if isinstance(stage, Sequence) and not isinstance(stage, str) else [stage]
    lines = [
        f"{each.get('role', '')}: {_plain(each.get('content'))}" if isinstance(each, Mapping) else _plain(each)
        for each in turns
    ]
    return element("pre", element("code", text("\n".join(lines))), tabindex="0", role="region", aria_label="Prompt")
