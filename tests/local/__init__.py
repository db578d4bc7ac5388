"""The tests of the local sidecar."""
