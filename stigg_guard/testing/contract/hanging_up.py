"""A client that hangs up while a response is on its way.

What is expected of an application then is in `streams`.
"""

from __future__ import annotations

import socket


def hang_up_amid(port: int, path: str, customer: str, *, after: int) -> None:
    """Ask for a stream, read so many bytes of its body, and hang up."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(
            f"GET {path} HTTP/1.1\r\nHost: testserver\r\nX-Customer: {customer}"
            "\r\n\r\n".encode()
        )
        received = b""
        while len(received.partition(b"\r\n\r\n")[2]) < after:
            found = connection.recv(4096)
            assert found, received
            received += found
