"""Keys of requests that may come again: what was asked for under a key, and is now.

Which fields are keys is said by who takes them; whole answers that are repeated live in
`management.idempotency`.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Literal

from sidecar_client.local.refusal import Refusal
from sidecar_client.local.shown import shown
from sidecar_client.local.world import Transaction

Asked = Literal["consumption", "measurement"]


async def is_first(
    transaction: Transaction, what: Asked, key: str, said: bytes, *, where: str = ""
) -> bool:
    """Whether nothing was asked for under the key yet; from now on, something is.

    Refuses a key under which something else was said.
    """
    # The key's mark comes first, so that it is the first of both to be forgotten.
    name = f"{what}/{_digest(key.encode())}"
    is_new, is_other = await transaction.mark([name, f"{name}/{_digest(said)}"])
    if is_other and not is_new:
        raise Refusal(
            "ALREADY_EXISTS",
            f"{where}idempotencyKey {shown(key)} was used for another {what}; use "
            "another key.",
        )
    return is_new


def _digest(text: bytes) -> str:
    """Short, whatever the text is."""
    return blake2b(text, digest_size=16).hexdigest()
