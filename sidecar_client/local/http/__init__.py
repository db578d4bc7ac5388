"""The HTTP side of the local sidecar: health, metrics, control, and what is mounted.

Nothing of it is imported before a sidecar is given an HTTP port.
"""
