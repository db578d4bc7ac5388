"""A program without a server around it: reports events, says so, and waits.

`python -m tests.metering.scripts.reporter TARGET COUNT [waits]`; it ends by itself, or
waits for a signal.
"""

from __future__ import annotations

import sys
import time

from stigg_guard import Guard, Subject


def main() -> None:
    target, count = sys.argv[1], int(sys.argv[2])
    guard = Guard(target=target, timeout=5, write_timeout=5, drain_timeout=2)
    for _ in range(count):
        guard.report_event(Subject("customer-1"), "email.sent")
    print("reported", flush=True)
    if sys.argv[3:] == ["waits"]:
        time.sleep(3600)


if __name__ == "__main__":
    main()
