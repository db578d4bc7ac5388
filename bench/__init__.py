"""Measures the clients and the guards beside what a user would have without them.

Run it with `make bench`, or `python -m bench --quick`; nothing here is installed.
"""
