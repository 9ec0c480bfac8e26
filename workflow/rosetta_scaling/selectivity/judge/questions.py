"""An optional judge of monosemanticity: what it is asked about a neuron, and what its answers are worth.

The protocol of arXiv 2606.03990 (sections 5.1 and H, Table 5), for text instead of images: a judge sees the strongest
contexts of a neuron and says whether one feature explains them, and which. Its description is then put to the test on
contexts it has not seen. `examples` has columns neuron, kind (top, positive, negative), rank, text, activation.
"""

import json
import logging

import numpy as np
import pandas as pd

from rosetta_scaling.numerics import intervals
from rosetta_scaling.selectivity.judge.answers import usable
from rosetta_scaling.store.digests import digest

log = logging.getLogger(__name__)

MARKED = "The piece of text at which the neuron was read stands between [[ and ]]."
DESCRIBE = f"""Here are the passages, out of a large collection of text, at which one neuron of a language model fires \
most strongly, strongest first. {MARKED}

Does one feature explain all of them? It may be a word, a topic, a kind of document, or a pattern of grammar, spelling \
or layout. If one does, the neuron is monosemantic. If the passages fall into unrelated groups, or share nothing, it \
is not. Describe the feature (or the groups) in at most 20 words, so precisely that somebody who has only your \
description can pick out other passages at which the neuron fires.

Reply with nothing but a JSON object: {{"is_monosemantic": true or false, "description": "..."}}

Passages:
"""
DETECT = f"""A neuron of a language model is said to fire on what this description says:

%s

Below are numbered passages. The neuron fires strongly on some of them and hardly on the others. {MARKED} Which \
passages match the description? There may be any number of them.

Reply with nothing but a JSON object: {{"matches": [the numbers of the passages that match]}}

Passages:
"""
MEASURES = ("accuracy", "precision", "recall", "f1")
CHANCE = dict.fromkeys(MEASURES, 0.5) | {"f1": 0.487}  # a coin thrown for each of 5 positives and 5 negatives


def _request(model_name: str, neuron: int, stage: str, prompt: str, *, judge_model: str) -> dict:
    """A line of an OpenAI batch. Its id (at most 64 characters) names the content, so old answers are not mistaken."""
    body = {
        "model": judge_model,
        "messages": [{"role": "user", "content": prompt}],
        "temperature": 0,
        "response_format": {"type": "json_object"},
    }
    name = f"{model_name[:24]}.{neuron}.{stage}.{digest([model_name, body])}"
    return {"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body}


def _listing(texts: pd.Series) -> str:
    """Numbered lines; each text a JSON string, so that its own line breaks cannot look like another passage."""
    return "\n".join(f"{i}. {json.dumps(text, ensure_ascii=False)}" for i, text in enumerate(texts, start=1))


def description_requests(model_name: str, examples: pd.DataFrame, judge_model: str) -> list[dict]:
    """Stage 1, one request per neuron: do its top contexts have one feature in common, and which?"""
    tops = examples[examples.kind == "top"].sort_values(["neuron", "rank"])
    return [
        _request(model_name, neuron, "describe", DESCRIBE + _listing(own.text), judge_model=judge_model)
        for neuron, own in tops.groupby("neuron")
    ]


def detection_requests(
    model_name: str, examples: pd.DataFrame, answers: pd.DataFrame, judge_model: str, *, seed: int
) -> list[dict]:
    """Stage 2, one request per neuron: which of its held-out contexts, shuffled, match the description of stage 1?

    `answers` as read by `read_answers`. Neurons without a usable description, or with held-out contexts that are not
    balanced, are left out; `judge_table` says why.
    """
    descriptions, requests = usable(answers), []
    neurons = examples.groupby("neuron")
    for neuron, own in neurons:
        shown = _shown(own, neuron, seed)
        if neuron in descriptions and shown is not None:
            prompt = DETECT % json.dumps(descriptions[neuron]["description"], ensure_ascii=False)
            requests.append(
                _request(model_name, neuron, "detect", prompt + _listing(shown.text), judge_model=judge_model)
            )
    if len(requests) < len(neurons):
        log.info("%s: %d of %d neurons cannot be tested", model_name, len(neurons) - len(requests), len(neurons))
    return requests


def _shown(own: pd.DataFrame, neuron: int, seed: int) -> pd.DataFrame | None:
    """Held-out contexts of one neuron in the order in which the judge sees them; None unless half are positive.

    The order, which is the key to its answer, follows from seed and neuron alone: it is written nowhere.
    """
    held_out = own[own.kind.isin(("positive", "negative"))].sort_values(["kind", "rank"])
    positives = int((held_out.kind == "positive").sum())
    if not positives or 2 * positives != len(held_out):
        return None
    return held_out.iloc[np.random.default_rng([seed, neuron]).permutation(len(held_out))]


def judge_table(
    examples: pd.DataFrame, descriptions: pd.DataFrame, detections: pd.DataFrame, seed: int
) -> pd.DataFrame:
    """One row per neuron: is_monosemantic (or NA), description, accuracy, precision, recall and f1 on the held-out
    contexts (or NaN), and why an answer cannot be used (description_problem, detection_problem; missing when it can).

    `descriptions` and `detections` as read by `read_answers`, `seed` that of `detection_requests`.
    """
    described, detected = usable(descriptions), usable(detections)
    problems = [dict(zip(answers.neuron, answers.problem, strict=True)) for answers in (descriptions, detections)]
    rows = []
    for neuron, own in examples.groupby("neuron"):
        row, shown = {"neuron": neuron}, _shown(own, neuron, seed)
        if neuron in described:
            row |= {name: described[neuron][name] for name in ("is_monosemantic", "description")}
        else:
            row["description_problem"] = problems[0].get(neuron, "no top contexts")
        if neuron not in described:
            row["detection_problem"] = "no description to test"
        elif shown is None:
            row["detection_problem"] = "held-out contexts are not balanced"
        elif neuron not in detected:
            row["detection_problem"] = problems[1].get(neuron, "no answer")
        else:
            row |= _scores(detected[neuron]["matches"], (shown.kind == "positive").to_numpy())
        rows.append(row)
    names = ["neuron", "is_monosemantic", "description", *MEASURES, "description_problem", "detection_problem"]
    kinds = dict.fromkeys(MEASURES, float) | {"is_monosemantic": "boolean"}
    table = pd.DataFrame(rows, columns=names).astype(kinds)
    for stage in ("description", "detection"):
        for problem, count in table[f"{stage}_problem"].value_counts().items():
            log.info("%s: %d of %d neurons without: %s", stage, count, len(table), problem)
    return table


def _scores(matches: list[int], positive: np.ndarray) -> dict[str, float | str]:
    """Accuracy, precision (NaN when nothing matched), recall and F1 of the numbers of matches, counted from 1."""
    if not set(matches) <= set(range(1, len(positive) + 1)):
        return {"detection_problem": "matches names a passage that was not shown"}
    chosen = np.isin(np.arange(1, len(positive) + 1), matches)
    hits = int((chosen & positive).sum())
    return {
        "accuracy": float((chosen == positive).mean()),
        "precision": hits / chosen.sum() if chosen.any() else np.nan,
        "recall": hits / positive.sum(),
        "f1": 2 * hits / (chosen.sum() + positive.sum()),
    }


def judge_summary(table: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Mean over neurons of is_monosemantic and the four measures: measure, neurons, answered (share), mean, low, high
    (a t interval over neurons; Wilson's for the share that is monosemantic) and chance, of a `judge_table`.
    """
    rows = []
    for measure in ("is_monosemantic", *MEASURES):
        known = table[measure].dropna().astype(float)
        row = {"measure": measure, "neurons": len(known), "mean": known.mean(), "chance": CHANCE.get(measure, np.nan)}
        stage = "description" if measure == "is_monosemantic" else "detection"
        row["answered"] = float(table[f"{stage}_problem"].isna().mean())
        row["low"], row["high"] = _interval(known, measure, confidence)
        rows.append(row)
    return pd.DataFrame(rows)[["measure", "neurons", "answered", "mean", "low", "high", "chance"]]


def _interval(values: pd.Series, measure: str, confidence: float) -> tuple[float, float]:
    if len(values) < 2:
        return np.nan, np.nan
    if measure == "is_monosemantic":
        return intervals.of_share(int(values.sum()), len(values), confidence)
    return intervals.of_mean(values, confidence)
