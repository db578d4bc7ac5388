"""Units promised to requests in flight, counted against the limit until settled.

The contract is in `base`, the stores in `memory` and `redis`; who takes a hold and when
is said in `stigg_guard.flow`.
"""
