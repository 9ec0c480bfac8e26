"""The judge, against a real server on loopback that reads the prompt it is sent and works its answer out from it."""

import json
import logging
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from email.utils import formatdate

import numpy as np
import pandas as pd
import pytest
from judge_server import Judge, completion, listed, reading_judge

from rosetta_scaling.selectivity.judge import client as judge_client
from rosetta_scaling.selectivity.judge.answers import read_answers, read_lines, write_lines
from rosetta_scaling.selectivity.judge.client import ask
from rosetta_scaling.selectivity.judge.questions import (
    description_requests,
    detection_requests,
    judge_summary,
    judge_table,
)
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import read_table, write_table

KEY = "sk-secret-0123456789"
FILLER = [f"filler{i}" for i in range(200)]
COMMON = ["bread", "river", "stone", "cloud", "tiger", "piano", "amber", "maple"]
SEED = 3


@pytest.fixture
def judge():
    judge = Judge()
    yield judge
    judge.close()


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(judge_client, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(judge_client, "ATTEMPTS", 4)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def context(rng, word: str, others: list[str]) -> str:
    words = list(rng.choice(others, 6))
    words.insert(rng.integers(6), f"[[{word}]]")
    return " ".join(words)


def neuron_examples(neuron: int, planted: bool) -> pd.DataFrame:
    """20 tops, 5 positives, 5 negatives. A planted neuron fires on one word; another on any of a few, which are also
    all around, so that what a judge finds in its tops says nothing about its positives."""
    rng = np.random.default_rng([7, neuron])
    rows = []
    for kind, count in (("top", 20), ("positive", 5), ("negative", 5)):
        for rank in range(count):
            if planted:
                text = context(rng, f"plant{neuron}" if kind != "negative" else rng.choice(FILLER), FILLER)
            else:
                text = context(rng, rng.choice(COMMON), COMMON)
            rows.append((neuron, kind, rank, text, 9.0 - rank if kind != "negative" else 0.0))
    return pd.DataFrame(rows, columns=["neuron", "kind", "rank", "text", "activation"])


def some_examples(planted=(5, 11), random=()) -> pd.DataFrame:
    parts = [neuron_examples(n, True) for n in planted] + [neuron_examples(n, False) for n in random]
    return pd.concat(parts, ignore_index=True)


def run_both_stages(judge, examples, folder, **options):
    first = description_requests("net-a", examples, "a-judge")
    ask(first, judge.endpoint, folder / "descriptions.jsonl", **options)
    descriptions = read_answers(folder / "descriptions.jsonl", first)
    second = detection_requests("net-a", examples, descriptions, "a-judge", seed=SEED)
    ask(second, judge.endpoint, folder / "detections.jsonl", **options)
    detections = read_answers(folder / "detections.jsonl", second)
    return first, second, judge_table(examples, descriptions, detections, SEED)


def test_planted_neurons_are_found_and_random_ones_are_at_chance(judge, tmp_path):
    planted, random = range(10), range(100, 180)
    *_, table = run_both_stages(judge, some_examples(planted, random), tmp_path)
    table = table.set_index("neuron")
    good, bad = table.loc[list(planted)], table.loc[list(random)]
    assert good.is_monosemantic.all()
    assert (good.description == [f"the word plant{n}" for n in planted]).all()
    assert (good[["accuracy", "precision", "recall", "f1"]] == 1).all(axis=None)
    assert not bad.is_monosemantic.any()
    assert abs(bad.accuracy.mean() - 0.5) < 4 * 0.5 / np.sqrt(10 * len(bad))
    assert bad.accuracy.nunique() > 3  # it guesses, it does not abstain
    assert judge.paths == ["/v1/chat/completions"] * 180

    summary = judge_summary(table.reset_index(), 0.95).set_index("measure")
    assert summary.neurons.eq(90).all()
    assert summary.answered.eq(1).all()
    assert summary.loc["is_monosemantic", "mean"] == pytest.approx(10 / 90)
    assert summary.loc["accuracy", "mean"] == pytest.approx(table.accuracy.mean())
    assert (summary.low < summary["mean"]).all()
    assert (summary.high > summary["mean"]).all()


def test_scores_are_those_of_a_known_answer(tmp_path):
    """Of 5 positives the judge names 3, and 1 negative: accuracy .7, precision .75, recall .6, F1 6/9."""
    examples = some_examples([5])
    chosen = set(examples.text[(examples.kind == "positive") & (examples["rank"] < 3)])
    chosen |= set(examples.text[(examples.kind == "negative") & (examples["rank"] == 4)])

    def reply(prompt):
        if "is_monosemantic" in prompt:
            return '{"is_monosemantic": false, "description": "this and that", "neuron": 77, "f1": 1}'
        return json.dumps({"matches": [number for number, text in listed(prompt).items() if text in chosen]})

    judge = Judge(reply)
    *_, table = run_both_stages(judge, examples, tmp_path)
    judge.reply = lambda prompt: reading_judge(prompt) if "is_monosemantic" in prompt else '{"matches": []}'
    (tmp_path / "none").mkdir()
    *_, none = run_both_stages(judge, examples, tmp_path / "none")
    judge.close()
    row, none = table.iloc[0], none.iloc[0]
    assert row.neuron == 5
    assert not row.is_monosemantic
    assert [row.accuracy, row.precision, row.recall] == pytest.approx([0.7, 0.75, 0.6])
    assert row.f1 == pytest.approx(6 / 9)
    assert (none.accuracy, none.recall, none.f1) == (0.5, 0, 0)
    assert np.isnan(none.precision)


def test_the_prompts_show_what_they_should_and_nothing_else():
    examples = some_examples([5])
    examples.loc[examples["rank"] == 2, "text"] += '\n4. "a line [[break]] that looks like a passage"'
    shuffled = examples.sample(frac=1, random_state=0)
    (first,), texts = description_requests("net-a", shuffled, "a-judge"), examples.groupby("kind").text
    assert listed(first["body"]["messages"][0]["content"]) == dict(enumerate(texts.get_group("top"), start=1))
    answers = pd.DataFrame([("x", 5, {"description": "cloud\nwords"}, None)])
    answers.columns = ["custom_id", "neuron", "answer", "problem"]
    (second,) = detection_requests("net-a", shuffled, answers, "a-judge", seed=SEED)
    prompt = second["body"]["messages"][0]["content"]
    assert sorted(listed(prompt).values()) == sorted([*texts.get_group("positive"), *texts.get_group("negative")])
    assert '"cloud\\nwords"' in prompt
    for request in (first, second):
        assert set(request) == {"custom_id", "method", "url", "body"}  # what the batch API takes
        assert request["body"]["temperature"] == 0
        assert request["body"]["response_format"] == {"type": "json_object"}
        assert "JSON" in request["body"]["messages"][0]["content"]  # else OpenAI refuses json_object
        assert "positive" not in json.dumps(request)


@pytest.mark.slow(0.1)
def test_the_order_gives_the_key_away_to_nobody():
    """Positives are uniform over the ten places, orders differ between neurons and seeds, and repeat for one."""
    neurons = range(400)
    one = some_examples([5])
    held_out = one[one.kind != "top"].assign(text=one.kind + one["rank"].astype(str))
    examples = pd.concat([held_out.assign(neuron=n) for n in neurons], ignore_index=True)
    answers = pd.DataFrame({"neuron": neurons, "answer": [{"description": "x"}] * 400, "problem": None})

    def orders(seed, model="net-a", rows=examples):
        requests = detection_requests(model, rows, answers, "a-judge", seed=seed)
        return [tuple(listed(request["body"]["messages"][0]["content"]).values()) for request in requests]

    found = orders(SEED)
    assert len(set(found)) == 400
    assert found == orders(SEED, rows=examples.sample(frac=1, random_state=1))
    assert sum(a == b for a, b in zip(found, orders(SEED + 1), strict=True)) == 0
    share = np.mean([[text.startswith("positive") for text in order] for order in found], axis=0)
    assert np.abs(share - 0.5).max() < 4 * 0.5 / np.sqrt(400)
    keys = Counter(tuple(text.startswith("positive") for text in order) for order in found)
    assert len(keys) > 150  # of the 252 possible


def test_custom_ids_are_unique_across_models_stages_and_contents():
    examples = some_examples(range(20))
    long = "a-network-with-a-name-much-longer-than-an-identifier-may-be-seed-"
    requests = []
    for model in ("net-a", "net-b", "net.3.detect", long + "0", long + "1"):
        first = description_requests(model, examples, "a-judge")
        answers = pd.DataFrame({"neuron": range(20), "answer": [{"description": "x"}] * 20, "problem": None})
        requests += first + detection_requests(model, examples, answers, "a-judge", seed=SEED)
    requests += description_requests("net-a", examples, "another-judge")
    requests += description_requests("net-a", examples.assign(text=examples.text + "!"), "a-judge")
    names = [request["custom_id"] for request in requests]
    assert len(set(names)) == len(names) == 5 * 40 + 40
    assert max(map(len, names)) <= 64
    read = read_answers([], requests, partial=True)
    assert (read.neuron == [int(n) for n in [*[*range(20)] * 12]]).all()


def test_a_file_gives_the_same_as_the_endpoint(judge, tmp_path):
    """Requests go to a file, another tool answers them in another order, and the tables are equal, also on disk."""
    examples = some_examples([5, 11], range(100, 110))
    first, second, table = run_both_stages(judge, examples, tmp_path)

    def answered_by_hand(requests, name):
        write_lines(tmp_path / name, requests)
        answers = []
        for request in reversed(read_lines(tmp_path / name)):
            body = json.loads(completion(reading_judge(request["body"]["messages"][0]["content"])))
            response = {"status_code": 200, "request_id": "r", "body": body}
            answers.append({"id": "b", "custom_id": request["custom_id"], "response": response, "error": None})
        foreign = answers[0] | {"custom_id": "net-z.1.describe.0"}
        write_lines(tmp_path / f"answers-{name}", [foreign, *answers])
        return read_answers(tmp_path / f"answers-{name}", requests)

    descriptions = answered_by_hand(first, "first.jsonl")
    again = detection_requests("net-a", examples, descriptions, "a-judge", seed=SEED)
    assert again == second
    by_hand = judge_table(examples, descriptions, answered_by_hand(again, "second.jsonl"), SEED)
    pd.testing.assert_frame_equal(by_hand, table)
    write_table(tmp_path / "table.parquet", table)
    pd.testing.assert_frame_equal(read_table(tmp_path / "table.parquet"), table, check_dtype=False)


@pytest.mark.parametrize(
    ("status", "headers", "least"),
    [
        (429, {"Retry-After": "0.4"}, 0.4),
        (429, {"Retry-After": "{date}"}, 0.5),
        (500, {}, 0.03),
        (503, {"Retry-After": "soon"}, 0.03),
    ],
)
@pytest.mark.slow(0.1)
def test_a_busy_judge_is_asked_again_later(judge, tmp_path, status, headers, least):
    """Two failures, then success; in between it waits as told, or twice as long every time."""
    if "{date}" in headers.values():
        headers = {"Retry-After": formatdate(time.time() + 2, usegmt=True)}
    judge.trouble = lambda _prompt, n: (status, headers, "busy") if n <= 2 else None
    requests = description_requests("net-a", some_examples([5]), "a-judge")
    ask(requests, judge.endpoint, tmp_path / "a.jsonl")
    assert read_answers(tmp_path / "a.jsonl", requests).problem.isna().all()
    assert len(judge.prompts) == 3
    assert judge.times[2] - judge.times[0] >= least
    assert len(read_lines(tmp_path / "a.jsonl")) == 1


def test_a_judge_that_stays_busy_or_breaks_off_ends_the_run(judge, tmp_path):
    requests = description_requests("net-a", some_examples([5]), "a-judge")
    judge.trouble = lambda _prompt, _n: (503, {}, "out to lunch")
    with pytest.raises(StudyError, match=r"cannot be reached \(HTTP 503 out to lunch, attempt 4\)"):
        ask(requests, judge.endpoint, tmp_path / "a.jsonl")
    assert len(judge.prompts) == 4
    judge.trouble = lambda _prompt, _n: (429, {"Retry-After": "86400"}, "come back tomorrow")
    with pytest.raises(StudyError, match="come back tomorrow, attempt 1"):
        ask(requests, judge.endpoint, tmp_path / "a.jsonl")
    judge.trouble = lambda _prompt, n: (200, {"Content-Length": "9999", "Connection": "close"}, "{") if n < 7 else None
    ask(requests, judge.endpoint, tmp_path / "a.jsonl")  # a reply that breaks off is asked for again
    assert len(judge.prompts) == 7


def test_nobody_there_is_one_sentence(judge, tmp_path):
    judge.close()
    requests = description_requests("net-a", some_examples([5, 11]), "a-judge")
    with pytest.raises(StudyError, match=r"^the judge at http://127.*cannot be reached \(.*refused") as caught:
        ask(requests, judge.endpoint, tmp_path / "a.jsonl")
    assert "\n" not in str(caught.value)
    with pytest.raises(StudyError, match="an address like http"):
        ask(requests, "127.0.0.1:8000", tmp_path / "a.jsonl")


@pytest.mark.parametrize(("key", "says"), [(None, "OPENAI_API_KEY is not set"), (KEY, "OPENAI_API_KEY was refused")])
def test_a_refusal_names_the_variable_and_ends_at_once(judge, tmp_path, monkeypatch, key, says):
    if key:
        monkeypatch.setenv("OPENAI_API_KEY", key)
    judge.trouble = lambda _prompt, _n: (401, {}, f"bad key {key}")
    requests = description_requests("net-a", some_examples(range(60)), "a-judge")
    with pytest.raises(StudyError, match=says) as caught:
        ask(requests, judge.endpoint, tmp_path / "a.jsonl", workers=1)
    assert KEY not in str(caught.value)
    assert len(judge.prompts) == 1


def test_an_unknown_judge_ends_at_once(judge, tmp_path):
    judge.trouble = lambda _prompt, _n: (404, {}, '{"error": "no such model"}')
    requests = description_requests("net-a", some_examples(range(60)), "a-judge")
    with pytest.raises(StudyError, match=r"the model 'a-judge' \(HTTP 404 .*no such model"):
        ask(requests, judge.endpoint, tmp_path / "a.jsonl", workers=1)
    assert len(judge.prompts) == 1


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
def test_v1_is_never_doubled(judge, tmp_path, suffix):
    ask(description_requests("net-a", some_examples([5]), "a-judge"), judge.endpoint + suffix, tmp_path / "a.jsonl")
    assert judge.paths == ["/v1/chat/completions"]


def test_the_key_is_sent_and_never_written(judge, tmp_path, monkeypatch, caplog):
    """Not even when the server repeats it, in good answers, bad ones, and errors."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY + "\n")
    caplog.set_level(logging.DEBUG)
    outcomes = {1: (429, {}, f"slow down {KEY}"), 2: (400, {}, f"what is {KEY}"), 3: (200, {}, completion(f"{KEY}?"))}
    judge.trouble = lambda _prompt, n: outcomes.get(n)
    requests = description_requests("net-a", some_examples(range(5)), "a-judge")
    ask(requests, judge.endpoint, tmp_path / "a.jsonl", workers=1)
    assert set(judge.keys) == {f"Bearer {KEY}"}
    assert len(judge.keys) == 6
    files = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    assert sum("what is <key>" in text for text in files) == 1
    assert not any(KEY in text for text in files)
    assert "slow down <key>" in caplog.text
    assert KEY not in caplog.text


def test_the_key_does_not_follow_a_redirect(judge, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    thief, stolen = Judge(), []
    thief.server.RequestHandlerClass.do_GET = lambda handler: (
        stolen.append(handler.headers.get("Authorization")),
        handler.send_error(404),
    )
    judge.trouble = lambda _prompt, _n: (302, {"Location": thief.endpoint + "/v1/chat/completions"}, "")
    with pytest.raises(StudyError, match="HTTP 404"):
        ask(description_requests("net-a", some_examples([5]), "a-judge"), judge.endpoint, tmp_path / "a.jsonl")
    thief.close()
    assert stolen == [None]


def test_a_key_that_cannot_be_one_is_refused_without_showing_it(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-one\nsk-two")
    with pytest.raises(StudyError, match="OPENAI_API_KEY holds characters") as caught:
        ask([], "http://127.0.0.1:9", tmp_path / "a.jsonl")
    assert "sk-" not in str(caught.value)


PROBLEMS = {
    "I would rather not say.": "no JSON object in the reply",
    '{"is_monosemantic": tr': "no JSON object in the reply",
    '{"is_monosemantic": "yes", "description": "x"}': "is_monosemantic is neither true nor false",
    '{"is_monosemantic": true, "description": " "}': "description is empty or no text",
    '{"is_monosemantic": true}': "description is empty or no text",
    "[1, 2]": "no JSON object in the reply",
    "": "no JSON object in the reply",
}


def test_malformed_answers_are_counted_with_their_reason(judge, tmp_path):
    """One neuron per kind of nonsense, and more in the second stage; none is dropped, none is scored."""
    examples = some_examples(range(12), [100])
    examples = examples[~((examples.neuron == 11) & (examples.kind == "negative") & (examples["rank"] == 0))]
    nonsense = dict(enumerate(PROBLEMS)) | {7: None}
    detections = {
        8: '{"matches": [1, 11]}',
        9: '{"matches": "all"}',
        10: '{"matches": [true, "2"]}',
    }

    def trouble(prompt, _n):
        neuron = int((re.search(r"plant(\d+)", prompt) or ["", "100"])[1])
        described = neuron in nonsense and "is_monosemantic" in prompt
        if described:
            return 200, {}, completion(nonsense[neuron], finish_reason="length" if neuron == 7 else "stop")
        if neuron in detections and "is_monosemantic" not in prompt:
            return 200, {}, completion(detections[neuron])
        return (400, {}, "too long") if neuron == 100 else None

    judge.trouble = trouble
    _, second, table = run_both_stages(judge, examples, tmp_path)
    table = table.set_index("neuron")
    assert len(table) == 13
    assert list(table.description_problem[:8]) == [*PROBLEMS.values(), "reply was cut off"]
    assert table.description_problem[100] == "request failed: HTTP 400"
    assert table.detection_problem[[*range(8), 100]].eq("no description to test").all()
    assert list(table.detection_problem[8:12]) == [
        "matches names a passage that was not shown",
        *["matches is not a list of whole numbers"] * 2,
        "held-out contexts are not balanced",
    ]
    assert len(second) == 3  # neither the undescribed nor the unbalanced
    assert table.accuracy.isna().all()
    assert table.is_monosemantic.isna().sum() == 9
    summary = judge_summary(table.reset_index(), 0.95).set_index("measure")
    assert summary.answered["is_monosemantic"] == pytest.approx(4 / 13)
    assert summary.answered["f1"] == 0
    assert summary.neurons["f1"] == 0


@pytest.mark.parametrize(
    "reply",
    [
        '```json\n{"is_monosemantic": true, "description": "x {y}"}\n```',
        'Brace {yourself}! Here it is: {"is_monosemantic": true, "description": "x {y}"} I hope {that} helps.',
        '<think>maybe {"is_monosemantic": false, "description": "z"}?</think>{"is_monosemantic": true,\n'
        '"description": "x {y}"}',
    ],
)
def test_words_and_fences_around_the_json_are_passed_over(reply):
    requests = description_requests("net-a", some_examples([5]), "a-judge")
    response = {"status_code": 200, "body": json.loads(completion(reply))}
    records = [{"custom_id": requests[0]["custom_id"], "response": response, "error": None}]
    assert read_answers(records, requests).answer[0] == {"is_monosemantic": True, "description": "x {y}"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<html>It works!</html>", "reply is no chat completion"),
        ('{"choices": ["no"]}', "reply is no chat completion"),
        (completion("no idea"), "no JSON object in the reply"),
        (json.dumps({"choices": [{"text": "{}"}]}), "no JSON object in the reply"),
    ],
)
def test_nothing_but_garbage_is_an_error(judge, tmp_path, text, reason):
    judge.trouble = lambda _prompt, _n: (200, {}, text)
    requests = description_requests("net-a", some_examples([5, 11]), "a-judge")
    with pytest.raises(StudyError, match=rf"not one of 2 answers.*mostly: {reason}"):
        ask(requests, judge.endpoint, tmp_path / "a.jsonl")
    assert len(read_lines(tmp_path / "a.jsonl")) == 2  # to look at


def test_failed_requests_are_sent_again_and_answered_ones_are_not(judge, tmp_path):
    requests = description_requests("net-a", some_examples(range(6)), "a-judge")
    judge.trouble = lambda prompt, _n: (400, {}, "too long") if re.search("plant[23]", prompt) else None
    ask(requests, judge.endpoint, tmp_path / "a.jsonl")
    problems = read_answers(tmp_path / "a.jsonl", requests).problem
    assert list(problems[[2, 3]]) == ["request failed: HTTP 400"] * 2
    assert problems.isna().sum() == 4
    judge.trouble = lambda _prompt, _n: None
    ask(requests, judge.endpoint, tmp_path / "a.jsonl")
    assert len(judge.prompts) == 6 + 2
    assert read_answers(tmp_path / "a.jsonl", requests).problem.isna().all()
    lines = read_lines(tmp_path / "a.jsonl")
    assert read_answers(lines[::-1], requests).problem.isna().all()  # a failure does not replace an answer


@pytest.mark.parametrize("torn", ["", '{"custom_id": "net-a.5.desc'])
def test_a_killed_run_loses_nothing_and_asks_only_the_rest(judge, tmp_path, torn):
    requests = description_requests("net-a", some_examples(range(12)), "a-judge")
    write_lines(tmp_path / "requests.jsonl", requests)
    out, hang = tmp_path / "a.jsonl", threading.Event()

    def hang_from_the_sixth_on(_prompt, n):
        if n > 5:
            hang.wait(60)

    judge.trouble = hang_from_the_sixth_on
    code = (
        "import sys; from rosetta_scaling.selectivity.judge import answers, client;"
        "client.ask(answers.read_lines(sys.argv[1]), *sys.argv[2:], workers=1)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, tmp_path / "requests.jsonl", judge.endpoint, out])
    try:
        deadline = time.monotonic() + 60
        while len(judge.prompts) < 6 and time.monotonic() < deadline:
            time.sleep(0.02)
    finally:
        process.kill()
        process.wait()
        hang.set()
    kept = read_lines(out)
    assert len(kept) == 5
    with pytest.raises(StudyError, match=rf"7 of 12 answers are missing, {re.escape(requests[5]['custom_id'])} is"):
        read_answers(out, requests)
    assert read_answers(out, requests, partial=True).problem.eq("no answer").sum() == 7

    with open(out, "a") as file:
        file.write(torn)
    judge.trouble = lambda _prompt, _n: None
    before = len(judge.prompts)
    ask(requests, judge.endpoint, out)
    assert sorted(judge.prompts[before:]) == sorted(r["body"]["messages"][0]["content"] for r in requests[5:])
    assert read_answers(out, requests).problem.isna().all()
    assert read_lines(out)[:5] == kept
    ask(requests, judge.endpoint, out)
    assert len(judge.prompts) == before + 7


def test_what_is_under_way_when_another_is_refused_is_kept(judge, tmp_path):
    slow = threading.Event()

    def trouble(prompt, _n):
        if "plant0" in prompt:
            slow.set()
            time.sleep(0.5)
            return None
        slow.wait(10)
        return 401, {}, ""

    judge.trouble = trouble
    requests = description_requests("net-a", some_examples(range(4)), "a-judge")
    with pytest.raises(StudyError, match="OPENAI_API_KEY"):
        ask(requests, judge.endpoint, tmp_path / "a.jsonl", workers=2)
    assert [record["custom_id"] for record in read_lines(tmp_path / "a.jsonl")] == [requests[0]["custom_id"]]


def test_a_file_without_a_last_line_end_loses_no_answer(judge, tmp_path):
    requests = description_requests("net-a", some_examples([5, 11]), "a-judge")
    ask(requests, judge.endpoint, tmp_path / "a.jsonl")
    whole = (tmp_path / "a.jsonl").read_text()
    (tmp_path / "a.jsonl").write_text(whole.rstrip("\n"))
    ask(requests, judge.endpoint, tmp_path / "a.jsonl")
    assert (tmp_path / "a.jsonl").read_text() == whole
    assert len(judge.prompts) == 2


def test_a_refusal_does_not_wait_for_those_that_wait(judge, tmp_path):
    asked = threading.Event()

    def trouble(prompt, _n):
        if "plant0" in prompt:
            asked.set()
            return 429, {"Retry-After": "30"}, ""
        asked.wait(10)
        return 401, {}, ""

    judge.trouble = trouble
    began = time.monotonic()
    with pytest.raises(StudyError, match="OPENAI_API_KEY"):
        ask(description_requests("net-a", some_examples(range(2)), "a-judge"), judge.endpoint, tmp_path / "a.jsonl")
    assert time.monotonic() - began < 15


@pytest.mark.parametrize("line", ["{", "[1]", '{"response": {}}', "null x"])
def test_damaged_answer_files_are_refused_with_the_line(tmp_path, line):
    path = tmp_path / "a.jsonl"
    path.write_text('{"custom_id": "net-a.1.describe.0"}\n\n' + line + "\n")
    with pytest.raises(StudyError, match=r"a\.jsonl: line 3 is not"):
        read_answers(path, [])
    with pytest.raises(StudyError, match="no such file"):
        read_answers(tmp_path / "none.jsonl", [])


def test_failures_reported_by_a_batch_are_told():
    requests = description_requests("net-a", some_examples([1, 2]), "a-judge")
    one, two = (request["custom_id"] for request in requests)
    records = [
        {"custom_id": one, "response": None, "error": {"code": "batch_expired", "message": "too late"}},
        {"custom_id": two, "response": {"status_code": 500, "body": json.loads(completion("{}"))}, "error": None},
    ]
    problems = read_answers(records, requests).problem
    assert list(problems) == ["request failed: batch_expired", "request failed: HTTP 500"]
