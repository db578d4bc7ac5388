"""The command line: `stigg-guard catalog pull`.

What people type and read lives here; what is asked and said of it is in `pull`.
"""

from __future__ import annotations

import os
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

import click

from sidecar_client.api import ApiOptions, MissingApiClient, sync_client
from sidecar_client.errors import ConfigurationError
from sidecar_client.local.catalog import Catalog
from sidecar_client.local.catalog_text import text_of
from sidecar_client.local.loading import load_catalog
from sidecar_client.local.shown import limited

if TYPE_CHECKING:
    import stigg

API_URL: Final = "https://api.stigg.io"
_MOST_CAUSE: Final = 300


class PullFailed(Exception):
    """Nothing was pulled: why, with the cure, and the command's exit status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


@click.command()
@click.option("--url", help="The API. [STIGG_BASE_URL, else https://api.stigg.io]")
@click.option("--api-key", help="A server key; better in STIGG_API_KEY, unseen.")
@click.option(
    "--out",
    metavar="FILE",
    default="-",
    help="Where to write it: .yaml or .json; without it, to the terminal.",
)
@click.option("--customers", is_flag=True, help="Customers too, one after another.")
@click.option("--force", is_flag=True, help="Write over a FILE that is there.")
@click.option(
    "--timeout",
    type=click.FloatRange(0, 3600, min_open=True),
    default=30,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for each answer.",
)
def pull(
    url: str | None,
    api_key: str | None,
    out: str,
    timeout: float,
    *,
    customers: bool,
    force: bool,
) -> None:
    """Make a catalog of what is published in an environment of the vendor.

    Features, currencies, products, plans and add-ons, and with --customers who has
    what. What was used is not told by the API, so usage begins at 0. What a catalog
    cannot say is told. The exit status is 1 when the API refuses, 3 when it cannot be
    reached.
    """
    path = None if out == "-" else Path(out)
    try:
        _check_place(path, force=force)
        client = _client(url, api_key, timeout)
        catalog, notes = _pulled(client, with_customers=customers)
        _write(path, catalog, str(client.base_url))
    except PullFailed as error:
        _fail(str(error), error.status)
    except ConfigurationError as error:
        _fail(str(error), 2)
    for note in notes:
        click.echo(f"Note: {note}.", err=True)
    if path is not None:
        from sidecar_client.local.catalog_command import contents_of

        click.echo(f"{path} written: {contents_of(catalog)}.", err=True)


def _fail(message: str, status: int) -> NoReturn:
    click.echo(f"Error: {message}", err=True)
    sys.exit(status)


def _check_place(path: Path | None, *, force: bool) -> None:
    if path is None:
        return
    if path.exists() and not force:
        raise ConfigurationError(
            f"{path} is there already; give another --out, or --force to write over it"
        )
    if not path.absolute().parent.is_dir():
        raise ConfigurationError(
            f"{path.parent} is no folder; make it, or give another --out"
        )


def _client(url: str | None, api_key: str | None, timeout: float) -> stigg.Stigg:
    key = api_key or os.environ.get("STIGG_API_KEY")
    if not key:
        raise ConfigurationError(
            "no key is given for the API; set STIGG_API_KEY, or give --api-key"
        )
    url = url or os.environ.get("STIGG_BASE_URL") or API_URL
    if not url.startswith(("http://", "https://")):
        raise ConfigurationError(f"--url is {url!r}; use a URL such as {API_URL}")
    options = ApiOptions(key=key, url=url)
    try:
        client = sync_client(options, None)
    except MissingApiClient as error:
        text = str(error).replace("`.api` is", "`catalog pull` needs")
        raise ConfigurationError(text) from None
    return client.with_options(timeout=timeout)


def _pulled(client: stigg.Stigg, *, with_customers: bool) -> tuple[Catalog, list[str]]:
    import stigg

    from sidecar_client.local.pull import pull as pull_all

    try:
        found = pull_all(client, with_customers=with_customers)
    except stigg.APIStatusError as error:
        request = error.request
        cause = limited(" ".join(error.message.split()), _MOST_CAUSE)
        cure = "; check the key" if error.status_code in (401, 403) else ""
        raise PullFailed(
            f"{request.method} {request.url} was refused: {cause}{cure}", 1
        ) from None
    except stigg.APIConnectionError as error:
        raise PullFailed(
            f"{client.base_url} cannot be reached: {error.__cause__ or error};"
            " check --url",
            3,
        ) from None
    except stigg.StiggError as error:
        raise PullFailed(
            f"{client.base_url} answers what cannot be read: {error}", 1
        ) from None
    try:
        return load_catalog(found.data), found.notes
    except ConfigurationError as error:
        raise PullFailed(
            f"what {client.base_url} tells does not fit together: {error}", 1
        ) from None


def _write(path: Path | None, catalog: Catalog, url: str) -> None:
    text = text_of(catalog, "" if path is None else path.name)
    if path is None or path.suffix != ".json":
        moment = datetime.now(UTC).isoformat(timespec="seconds")
        text = f"# Pulled from {url} at {moment}\n{text}"
    if path is None:
        click.echo(text, nl=False)
        return
    try:
        # At once: a sidecar that serves the file must not see half of it.
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=path.absolute().parent, delete=False
        ) as file:
            file.write(text)
        os.chmod(file.name, 0o644)
        os.replace(file.name, path)
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be written ({error.strerror}); give another --out"
        ) from None
