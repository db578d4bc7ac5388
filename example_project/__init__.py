"""Revvenu, an example application guarded by a local sidecar, in three frameworks.

`python -m example_project` starts it; nothing here is installed with the library.
"""
