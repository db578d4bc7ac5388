"""The certificate of a server that is reached over TLS: its host, and what is wrong.

Where errors come up, and what they are raised as, does not live here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_NO_CERTIFICATE: Final = ("Is a directory", "NO_CERTIFICATE_OR_CRL_FOUND", "PEM lib")
"""What is said of a file that is read as a certificate, or as its key, and is none."""


def of_its_host(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of redis-py for TLS, which accept no certificate of another host.

    Before its version 6 it accepted any, unless it was told otherwise.
    """
    if options.get("ssl_cert_reqs") == "none":
        return {**options}
    return {"ssl_check_hostname": True, **options}


def certificate_problem(text: str, location: str) -> str | None:
    """The cause and the cure, from what OpenSSL says; None for other errors.

    `location` is the URL of the server, whose options name the files that are used.
    """
    if "ssl_" in location and "No such file" in text:
        return (
            "a file of a certificate that its URL names is not there; correct the path"
        )
    if "ssl_" in location and any(words in text for words in _NO_CERTIFICATE):
        return (
            "a file of a certificate that its URL names is none; name one in PEM form"
            f" ({text})"
        )
    _, is_of_it, rest = text.partition("certificate verify failed: ")
    if not is_of_it:
        return None
    why = rest.partition(" (_ssl")[0].rstrip(".")
    if "mismatch" in why:
        return (
            f"its certificate is another host's; name the host that it is for ({why})"
        )
    if "expired" in why:
        return f"its certificate has expired; renew it ({why})"
    return (
        "its certificate is signed by an authority that is not known here; name the"
        f" authority's file, as with ?ssl_ca_certs=/path/to/ca.pem in the URL ({why})"
    )
