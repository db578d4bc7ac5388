"""The ceiling of a gRPC server: what h2load, a client in C, gets out of it.

h2load is in Debian's nghttp2-client; without it there is no ceiling to show.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from typing import Final

from bench.question import METHOD, REQUEST, framed

_RATE: Final = re.compile(r"finished in [\d.]+\w+, ([\d.]+) req/s")
_ERRORS: Final = re.compile(r"(\d+) failed, (\d+) errored, (\d+) timeout")


def rate(target: str, in_flight: int) -> float | None:
    """Calls a second over one connection; None when h2load is not installed."""
    program = shutil.which("h2load")
    if program is None:
        return None
    with tempfile.NamedTemporaryFile() as body:
        body.write(framed(REQUEST))
        body.flush()
        shown = subprocess.run(
            [
                *(program, "-c", "1", "-m", str(in_flight), "-D", "1"),
                *("-H", "content-type: application/grpc", "-H", "te: trailers"),
                *("-d", body.name, f"http://{target}{METHOD}"),
            ],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    found, errors = _RATE.search(shown), _ERRORS.search(shown)
    if found is None or errors is None or set(errors.groups()) != {"0"}:
        raise RuntimeError(f"h2load could not use {target}:\n{shown}")
    return float(found[1])
