"""Where the local sidecar keeps what was reported.

The contract (`base`) and its implementations live here; what usage means does not.
"""
