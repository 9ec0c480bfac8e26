"""The pages of docs/ as a site: every link leads somewhere, and nothing is fetched."""

import re
import subprocess
import sys
from pathlib import Path

from study_runs import ROOT

FETCHED = re.compile(r'<(?:script|img|source)[^>]*src="(https?:[^"]+)"|<link[^>]*stylesheet[^>]*href="(https?:[^"]+)"')


def test_the_site_is_built_with_all_its_links_and_fetches_nothing(tmp_path):
    mkdocs = Path(sys.executable).with_name("mkdocs")
    built = subprocess.run([mkdocs, "build", "--site-dir", tmp_path], cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    pages = {path.name: path.read_text() for path in tmp_path.glob("*.html")}
    assert {path.with_suffix(".html").name for path in (ROOT / "docs").glob("*.md")} <= pages.keys()
    assert not [found for page in pages.values() for found in FETCHED.findall(page)]
    assert "match_tile" in pages["library.html"], "docstrings of the library are shown"
