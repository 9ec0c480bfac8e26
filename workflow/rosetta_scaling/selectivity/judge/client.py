"""Ask a judge over any endpoint that speaks OpenAI's API; each answer is kept as it arrives."""

import email.utils
import http.client
import json
import logging
import os
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

from rosetta_scaling.selectivity.judge.answers import is_answered, latest, parse_reply, read_lines
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.progress import Reporter

log = logging.getLogger(__name__)

KEY = "OPENAI_API_KEY"
ATTEMPTS = 6  # of one request
FIRST_WAIT, LONGEST_WAIT = 1.0, 600.0  # seconds between attempts; doubles every time
BUSY = (408, 409, 425, 429)  # worth another attempt, like every 5xx
HOPELESS = (307, 308, 401, 403, 404, 405)  # they are about the key, the address or the judge, so about all requests


class _Reply(NamedTuple):
    status: int | None  # None when there was no reply
    text: str
    retry_after: float = 0  # seconds


class _Endpoint:
    """Where to post, with which key and how long to wait. One for all threads; `stop` ends their waiting."""

    def __init__(self, endpoint: str, timeout: float):
        if not endpoint.startswith(("http://", "https://")):
            raise StudyError(f"the judge's endpoint is {endpoint!r}, an address like http://127.0.0.1:8000 is expected")
        self.root, self.timeout = endpoint.rstrip("/").removesuffix("/v1"), timeout
        self.key = os.environ.get(KEY, "").strip()
        if not (self.key.isascii() and self.key.isprintable()):  # else http.client would print it in its error
            raise StudyError(f"{KEY} holds characters that no key has; set it to the key alone")
        self.stop = threading.Event()

    def answer(self, request: dict) -> dict:
        """The answer to a request, in the batch format. Raises StudyError when trying again would not help."""
        for attempt in range(1, ATTEMPTS + 1):
            reply = self._post(request)
            if reply.status is not None and reply.status not in BUSY and reply.status < 500:
                self._check(reply, request)
                response = {"status_code": reply.status, "body": _parsed(reply.text)}
                return {"custom_id": request["custom_id"], "response": response, "error": None}
            wait = max(FIRST_WAIT * 2 ** (attempt - 1), reply.retry_after)
            if attempt == ATTEMPTS or wait > LONGEST_WAIT or self.stop.wait(wait):
                break
            log.info("judge: %s, asked again after %.3g s", _reason(reply), wait)
        raise StudyError(
            f"the judge at {self.root} cannot be reached ({_reason(reply)}, attempt {attempt}); start it or correct "
            "the endpoint and run again, answers that have arrived are kept"
        )

    def _post(self, request: dict) -> _Reply:
        data, headers = json.dumps(request["body"]).encode(), {"Content-Type": "application/json"}
        post = urllib.request.Request(self.root + request["url"], data, headers, method="POST")
        if self.key:
            post.add_unredirected_header("Authorization", f"Bearer {self.key}")  # not for whom we are sent on to
        try:
            with self._open(post) as response:
                text = response.read().decode(errors="replace")
        except ValueError as error:  # no host in it, or one that no name server could be asked for
            raise StudyError(
                f"the judge's endpoint {self.root} is no address that can be asked ({type(error).__name__}); correct it"
            ) from error
        except (OSError, http.client.HTTPException) as error:
            return _Reply(None, str(getattr(error, "reason", error)) or type(error).__name__)
        if self.key:
            text = text.replace(self.key, "<key>")  # a server that repeats it must not bring it into a file
        return _Reply(response.status, text, _seconds(response.headers.get("Retry-After", "")))

    def _open(self, post: urllib.request.Request):
        try:
            return urllib.request.urlopen(post, timeout=self.timeout)
        except urllib.error.HTTPError as error:
            return error  # a reply like any other

    def _check(self, reply: _Reply, request: dict) -> None:
        if reply.status in (401, 403):
            found = "was refused" if self.key else "is not set"
            raise StudyError(
                f"the judge at {self.root} refuses access (HTTP {reply.status}) and {KEY} {found}; set the environment "
                f"variable {KEY} to a valid key and run again"
            )
        if reply.status in HOPELESS:
            raise StudyError(
                f"the judge at {self.root} does not know {request['url']} or the model {request['body']['model']!r} "
                f"({_reason(reply)}); correct the endpoint or the name of the judge"
            )


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _reason(reply: _Reply) -> str:
    text = " ".join(reply.text.split())[:200]
    return text if reply.status is None else f"HTTP {reply.status} {text}".strip()


def _seconds(retry_after: str) -> float:
    """Seconds that a Retry-After header asks for, as a number or as a date; 0 when it says nothing sensible."""
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        date = email.utils.parsedate_tz(retry_after)
        return max(0.0, email.utils.mktime_tz(date) - time.time()) if date else 0.0


def _recover(path: Path) -> list[dict]:
    """Answers of an earlier run; a line that it was killed in the middle of is cut off."""
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = path.read_bytes() if path.exists() else b""
    whole = raw.rfind(b"\n") + 1
    with open(path, "ab") as file:
        if isinstance(_parsed(raw[whole:].decode(errors="replace")), dict):  # only its end of line is missing
            file.write(b"\n")
        else:
            file.truncate(whole)
    return read_lines(path)


def ask(requests: list[dict], endpoint: str, out_path: str | Path, workers: int = 4, *, timeout: float = 120) -> None:
    """Post every request that has no answer in `out_path` yet, and append each answer as it arrives.

    `endpoint` with or without /v1. The key is read from OPENAI_API_KEY and never written. Requests that fail for their
    own sake are kept as failures and sent again by the next run. Raises StudyError when the endpoint cannot be
    reached or refuses, or when not one reply holds a JSON object.
    """
    judge, path = _Endpoint(endpoint, timeout), Path(out_path)
    answered = {name for name, record in latest(_recover(path)).items() if is_answered(record)}
    todo = [request for request in requests if request["custom_id"] not in answered]
    report, writing = Reporter(log, "judge", len(requests), len(requests) - len(todo)), threading.Lock()

    def work(request: dict) -> None:
        if judge.stop.is_set():
            return
        try:
            line = json.dumps(judge.answer(request)) + "\n"
        except StudyError:
            if judge.stop.is_set():  # another request has ended the run and says why
                return
            judge.stop.set()
            raise
        with writing:  # also when the run has ended: what has arrived is kept
            out.write(line)
            out.flush()

    with open(path, "a") as out, ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(work, request) for request in todo]
        try:
            for done, future in enumerate(as_completed(futures), start=len(requests) - len(todo) + 1):
                future.result()
                report(done)
        finally:
            judge.stop.set()
    _refuse_garbage(requests, path)


def _refuse_garbage(requests: list[dict], path: Path) -> None:
    answers = latest(read_lines(path))
    parsed = [parse_reply(answers[request["custom_id"]]) for request in requests]
    if parsed and not any(found for found, _ in parsed):
        reasons = Counter(reason for _, reason in parsed)
        raise StudyError(
            f"not one of {len(parsed)} answers of the judge can be used (mostly: {reasons.most_common(1)[0][0]}), see "
            f"{path}; take another judge or correct the endpoint, and move that file away to ask again"
        )
