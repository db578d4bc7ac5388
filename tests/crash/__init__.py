"""Rounds of concurrent requests in which processes are killed and connections cut.

`python -m tests.crash` runs them and prints what was granted, lost and doubled.
"""
