"""Tests of the outbox in a Django project's database, on real servers."""
