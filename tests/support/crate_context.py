"""Puts the context of RO-Crate 1.1 into the cache of roc-validator, which then asks no network.

python crate_context.py CACHE, in an environment with `roc-validator` and `rocrate`, which brings the context.
"""

import io
import sys
from importlib.metadata import distribution
from pathlib import Path

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests_cache import CachedSession
from urllib3 import HTTPResponse

ADDRESS = "https://w3id.org/ro/crate/1.1/context"


class Shipped(HTTPAdapter):
    """Answers every request with the context."""

    def send(self, request: PreparedRequest, **settings: object) -> Response:
        context = Path(str(distribution("rocrate").locate_file("rocrate/data/ro-crate.jsonld"))).read_bytes()
        assert ADDRESS.encode() in context
        headers = {"Content-Type": "application/ld+json"}
        raw = HTTPResponse(io.BytesIO(context), status=200, headers=headers, preload_content=False)
        return self.build_response(request, raw)


session = CachedSession(sys.argv[1], backend="sqlite")
session.mount("https://", Shipped())
session.get(ADDRESS)
