"""Chromium without a window, spoken to through a pipe: pages opened from file://, driven and looked at."""

import base64
import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 30  # seconds


class Page:
    """One page. `complaints` collects errors of the console and of scripts, `fetched` what it asks a network for."""

    def __init__(self, process: subprocess.Popen, read: int, write: int, downloads: Path):
        self.process, self.write, self.reader = process, write, os.fdopen(read, "rb")
        self.number, self.session, self.downloads = 0, None, downloads
        self.complaints: list[str] = []
        self.fetched: list[str] = []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")
        self.ask("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(downloads))

    def ask(self, method: str, **params) -> dict:
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session and not method.startswith(("Target.", "Browser.")):
            message["sessionId"] = self.session
        os.write(self.write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                return answer["result"]

    def _next(self) -> dict:
        text = b""
        while not text.endswith(b"\0"):
            byte = self.reader.read(1)
            assert byte, "the browser has ended"
            text += byte
        message = json.loads(text[:-1])
        params = message.get("params", {})
        match message.get("method"):
            case "Runtime.exceptionThrown":
                self.complaints.append(json.dumps(params["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if params["type"] in ("error", "warning"):
                self.complaints.append(json.dumps(params["args"]))
            case "Log.entryAdded" if params["entry"]["level"] in ("error", "warning"):
                self.complaints.append(params["entry"]["text"])
            case "Network.requestWillBeSent":
                url = params["request"]["url"]
                if not url.startswith(("file:", "data:", "blob:", "about:")):
                    self.fetched.append(url)
        return message

    def run(self, expression: str):
        """The value of an expression in the page; a promise is waited for."""
        answer = self.ask("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait(self, expression: str):
        """The value of an expression as soon as it is true."""
        end = time.monotonic() + PATIENCE
        while not (value := self.run(expression)):
            assert time.monotonic() < end, f"{expression} did not come true; complaints: {self.complaints}"
            time.sleep(0.02)
        return value

    def open(self, url: str) -> None:
        self.ask("Page.navigate", url=url)

    def size(self, width: int, height: int, dark: bool = False) -> None:
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])

    def picture(self, path: Path) -> None:
        answer = self.ask("Page.captureScreenshot")
        path.write_bytes(base64.b64decode(answer["data"]))

    def downloaded(self, name: str) -> str:
        """The text of a file that the page has saved; the name is free again after it."""
        end, path = time.monotonic() + PATIENCE, self.downloads / name
        # The browser makes an empty file of that name, and moves the whole one over it.
        while not (path.exists() and path.stat().st_size):
            assert time.monotonic() < end, f"{name} was not saved; there are {os.listdir(self.downloads)}"
            self.run("1")
            time.sleep(0.02)
        text = path.read_text()
        path.unlink()
        return text


@contextlib.contextmanager
def chromium() -> Iterator[Page]:
    """A browser for the time of the block; skips the test where there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if not found:
        pytest.skip(f"there is none of {', '.join(NAMES)}")
    to_browser, write = os.pipe()
    read, from_browser = os.pipe()
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryDirectory() as downloads:
        options = "--headless=new --no-sandbox --disable-gpu --no-first-run --remote-debugging-pipe"
        # The browser reads from descriptor 3 and writes to 4.
        command = f'exec 3<&{to_browser} 4>&{from_browser}; exec "{found}" {options} --user-data-dir="{home}"'
        process = subprocess.Popen(
            ["bash", "-c", command],
            pass_fds=(to_browser, from_browser),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"HOME": home},
        )
        os.close(to_browser)
        os.close(from_browser)
        page = Page(process, read, write, Path(downloads))
        try:
            yield page
        finally:
            page.session = None
            page.ask("Browser.close")
            process.wait(PATIENCE)
            os.close(write)
            page.reader.close()
