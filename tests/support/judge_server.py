"""A judge on loopback that reads the prompt it is sent and works its answer out from it."""

import json
import re
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def listed(prompt: str) -> dict[int, str]:
    """The passages of a prompt by the numbers that it gives them."""
    return {int(n): json.loads(text) for n, text in re.findall(r'^(\d+)\. (".*")$', prompt, flags=re.MULTILINE)}


def reading_judge(prompt: str) -> str:
    """A judge that can read: it looks for marked words, and for the quoted word of a description."""
    texts = listed(prompt)
    if "is_monosemantic" in prompt:
        word, count = Counter(
            mark for text in texts.values() for mark in re.findall(r"\[\[(\w+)\]\]", text)
        ).most_common(1)[0]
        mono = count >= 0.8 * len(texts)
        return json.dumps({"is_monosemantic": mono, "description": f"the word {word}"})
    word = re.search(r'"the word (\w+)"', prompt)[1]
    matches = [number for number, text in texts.items() if word in re.findall(r"\w+", text)]
    return json.dumps({"matches": matches})


class Judge:
    """An OpenAI-compatible endpoint. `trouble(prompt, n)` may answer the n-th request with (status, headers, text)."""

    def __init__(self, reply=reading_judge):
        self.reply, self.trouble = reply, lambda _prompt, _n: None
        self.prompts, self.times, self.paths, self.keys = [], [], [], []
        judge, lock = self, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                prompt = body["messages"][-1]["content"]
                with lock:
                    judge.prompts.append(prompt)
                    judge.times.append(time.monotonic())
                    judge.paths.append(self.path)
                    judge.keys.append(self.headers.get("Authorization"))
                    n = len(judge.prompts)
                status, headers, text = judge.trouble(prompt, n) or (200, {}, completion(judge.reply(prompt)))
                raw = text.encode()
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(raw))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def completion(content: str | None, **choice) -> str:
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": content}} | choice]})
