"""The generated protocol code and the .proto it is made from (`make proto`).

Nothing here is written by hand but the .proto; the names a user needs are exported by
`sidecar_client`.
"""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    # protobuf 6.31 warns of code made for 5.x, which is made so on purpose: it runs on
    # every protobuf from 5.29 to 7.x.
    warnings.filterwarnings(
        "ignore",
        message=r"Protobuf gencode version .* at stigg/sidecar/v1/sidecar\.proto",
        category=UserWarning,
    )
    from sidecar_client.protocol import sidecar_pb2 as sidecar_pb2
