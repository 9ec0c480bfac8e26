"""Answers of a judge: files in the format of OpenAI's batches, and the JSON object that every reply should hold.

A line of a file is one request or one answer, so that other tools can send the requests just as well.
"""

import json
import re
from pathlib import Path

import pandas as pd

from rosetta_scaling.store.atomic import atomic
from rosetta_scaling.store.errors import StudyError


def write_lines(path: str | Path, records: list[dict]) -> None:
    with atomic(path) as part:
        part.write_text("".join(json.dumps(record) + "\n" for record in records))


def read_lines(path: str | Path) -> list[dict]:
    """One JSON object per line. Raises StudyError when the file is missing or damaged."""
    if not Path(path).is_file():
        raise StudyError(f"{path}: no such file; put the judge's answers there, one JSON object per line.")
    records = []
    for number, line in enumerate(Path(path).read_bytes().splitlines(), start=1):
        try:
            record = json.loads(line) if line.strip() else None
            if record is not None:
                records.append(record | {"custom_id": str(record["custom_id"])})
        except (ValueError, TypeError, KeyError) as error:  # not JSON, not an object, no custom_id
            raise StudyError(
                f"{path}: line {number} is not a JSON object with a custom_id; correct that line, or fetch the answers "
                "again."
            ) from error
    return records


def is_answered(record: dict) -> bool:
    """Whether the judge has replied, sensibly or not; else the request failed and can be sent again."""
    response = record.get("response")
    body = response.get("body") if isinstance(response, dict) and response.get("status_code") == 200 else None
    choices = body.get("choices") if isinstance(body, dict) else None
    return isinstance(choices, list) and len(choices) > 0 and isinstance(choices[0], dict)


def latest(records: list[dict]) -> dict[str, dict]:
    """custom_id -> its answer; of several the last, except that a failure does not replace an answer."""
    kept: dict[str, dict] = {}
    for record in records:
        if is_answered(record) or not is_answered(kept.get(record["custom_id"], {})):
            kept[record["custom_id"]] = record
    return kept


def parse_reply(record: dict) -> tuple[dict | None, str | None]:
    """The JSON object that an answer holds, and None; or None, and why there is none.

    Fences and words around it are passed over; of several objects the last counts, since judges think aloud first.
    """
    if not is_answered(record):
        return None, _failure(record)
    choice = record["response"]["body"]["choices"][0]
    message = choice.get("message")
    text = message.get("content") if isinstance(message, dict) else None
    found, place = None, 0
    while isinstance(text, str) and (brace := re.compile(r"\{").search(text, place)):
        try:
            found, place = json.JSONDecoder().raw_decode(text, brace.start())
        except (ValueError, RecursionError):
            place = brace.end()
    if found is not None:
        return found, None
    return None, "reply was cut off" if choice.get("finish_reason") == "length" else "no JSON object in the reply"


def _failure(record: dict) -> str:
    if error := record.get("error"):
        return f"request failed: {error.get('code') if isinstance(error, dict) else error}"
    response = record.get("response")
    status = response.get("status_code") if isinstance(response, dict) else None
    return "reply is no chat completion" if status == 200 else f"request failed: HTTP {status}"


def neuron_and_stage(custom_id: str) -> tuple[int, str]:
    """Neuron and stage of a request."""
    _, neuron, stage, _ = custom_id.rsplit(".", 3)
    return int(neuron), stage


def read_answers(path_or_records: str | Path | list[dict], requests: list[dict], partial: bool = False) -> pd.DataFrame:
    """One row per request: custom_id, neuron, answer (the JSON object of the reply) and problem; one of them is None.

    Answers to other requests are ignored. Raises StudyError when answers are missing, unless `partial`.
    """
    records, origin = path_or_records, "the judge"
    if isinstance(records, str | Path):
        records, origin = read_lines(records), str(path_or_records)
    answers = latest(records)
    missing = [request["custom_id"] for request in requests if request["custom_id"] not in answers]
    if missing and not partial:
        raise StudyError(
            f"{origin}: {len(missing)} of {len(requests)} answers are missing, "
            f"{missing[0]} is the first; send those requests too"
        )
    rows = []
    for name in (request["custom_id"] for request in requests):
        neuron, stage = neuron_and_stage(name)
        answer, problem = parse_reply(answers[name]) if name in answers else (None, "no answer")
        problem = problem if answer is None else _fault(answer, stage)
        rows.append((name, neuron, None if problem else answer, problem))
    return pd.DataFrame(rows, columns=["custom_id", "neuron", "answer", "problem"])


def _fault(answer: dict, stage: str) -> str | None:
    """What keeps a parsed answer from being used."""
    if stage == "detect":
        matches = answer.get("matches")
        whole = isinstance(matches, list) and all(type(match) is int for match in matches)
        return None if whole else "matches is not a list of whole numbers"
    if not isinstance(answer.get("is_monosemantic"), bool):
        return "is_monosemantic is neither true nor false"
    description = answer.get("description")
    return None if isinstance(description, str) and description.strip() else "description is empty or no text"


def usable(answers: pd.DataFrame) -> dict[int, dict]:
    """Neuron -> answer, of those without a problem."""
    return {row.neuron: row.answer for row in answers.itertuples() if pd.isna(row.problem)}
