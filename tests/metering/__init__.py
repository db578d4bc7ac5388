"""Tests of metering: holds, outboxes and delivery."""
