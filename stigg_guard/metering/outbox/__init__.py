"""A durable place for measurements that the sidecar has not acknowledged.

The contract is in `base`, a store in each module beside it; who delivers what is stored
is `stigg_guard.metering.worker`.
"""
