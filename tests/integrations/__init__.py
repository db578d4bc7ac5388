"""Tests of the framework adapters' own ways; what all share lives in `behaviour`."""
