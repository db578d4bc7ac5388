"""What every adapter has to do, as a suite of tests that anybody's adapter can run.

The tests are in `suite`; what they need of a framework is a `BehaviourClient`, which
builds the application of `routes`, whose views do what `views` says.
"""

from __future__ import annotations

from stigg_guard.testing.contract.client import BehaviourClient, Response

__all__ = ["BehaviourClient", "Response"]
