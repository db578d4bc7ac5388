"""Tests of the hold stores."""
