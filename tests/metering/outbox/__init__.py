"""Tests of outboxes: one contract on every store, and what each has of its own."""
