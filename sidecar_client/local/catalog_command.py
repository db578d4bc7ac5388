"""The command line: `stigg-guard catalog validate`, `show`, `diff`, `schema`, `pull`.

What people type and read lives here; what is done is in modules of its own.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager

import click

from sidecar_client.errors import ConfigurationError
from sidecar_client.local.catalog import Catalog
from sidecar_client.local.catalog_diff import Change, diff
from sidecar_client.local.catalog_text import text_of
from sidecar_client.local.catalog_words import changes_in_words
from sidecar_client.local.loading import DEMO, load_catalog
from sidecar_client.local.pull_command import pull

_PATHS = click.argument("paths", metavar="PATH...", nargs=-1, required=True)


@click.group("catalog")
def catalogs() -> None:
    """Catalogs of the local sidecar: files of YAML or JSON, and folders of such."""


@contextmanager
def readable_errors() -> Generator[None]:
    """Errors that the user can fix become lines on stderr and status 2."""
    try:
        yield
    except ConfigurationError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(2)


@catalogs.command()
@_PATHS
def validate(paths: tuple[str, ...]) -> None:
    """Say what is wrong with a catalog, or what is in it.

    Several PATHs are one catalog together.
    """
    with readable_errors():
        catalog = load_catalog(paths)
    are = "is" if len(paths) == 1 else "are"
    click.echo(f"{', '.join(paths)} {are} fine: {contents_of(catalog)}.")


@catalogs.command()
@_PATHS
@click.option("--customer", metavar="ID", help="Only this customer, and its plans.")
@click.option("--yaml", "format_", flag_value="yaml", help="As one file of YAML.")
@click.option("--json", "format_", flag_value="json", help="As one file of JSON.")
def show(paths: tuple[str, ...], customer: str | None, format_: str | None) -> None:
    """Show what a catalog says: an overview, or all of it in one file.

    Several PATHs are one catalog together; `demo` is the demo catalog.
    """
    from sidecar_client.local.catalog_overview import overview, overview_of_customer

    with readable_errors():
        catalog = _loaded(paths)
        if customer is not None:
            catalog = _with_customer(catalog, customer)
        if format_ is not None:
            click.echo(text_of(catalog, f".{format_}"), nl=False)
            return
        lines = overview(catalog) if customer is None else overview_of_customer(catalog)
        for line in lines:
            click.echo(line)


@catalogs.command("diff")
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@click.option("--json", "is_json", is_flag=True, help="One change a line.")
def diff_(before: str, after: str, *, is_json: bool) -> None:
    """Tell in words what changed from catalog A to catalog B.

    Each is a file or a folder. The exit status is 0 when nothing differs, 1 when
    something does, and 2 when one of them cannot be read.
    """
    with readable_errors():
        changes = diff(_loaded((before,)), _loaded((after,)))
    lines = _as_json(changes) if is_json else iter(changes_in_words(changes))
    for line in lines:
        click.echo(line)
    sys.exit(1 if changes else 0)


@catalogs.command()
def schema() -> None:
    """Print the JSON Schema of catalogs, for editors."""
    from sidecar_client.local.schema import catalog_schema

    click.echo(json.dumps(catalog_schema(), indent=2))


catalogs.add_command(pull)


def contents_of(catalog: Catalog) -> str:
    """What is in a catalog: `3 features, 2 plans, 1 customer`."""
    numbers = {
        "feature": len(catalog.features),
        "currencies": len(catalog.currencies),
        "product": len(catalog.products),
        "plan": len(catalog.plans),
        "add-on": len(catalog.addons),
        "customer": len(catalog.customers),
    }
    always = ("feature", "plan", "customer")
    return ", ".join(
        _count(number, name)
        for name, number in numbers.items()
        if number or name in always
    )


def _loaded(paths: tuple[str, ...]) -> Catalog:
    is_demo = paths == (DEMO,) and not os.path.exists(DEMO)
    return load_catalog(None if is_demo else paths)


def _with_customer(catalog: Catalog, customer_id: str) -> Catalog:
    """The catalog with one customer alone."""
    found = [item for item in catalog.customers if item.id == customer_id]
    if not found:
        some = ", ".join(item.id for item in catalog.customers[:8])
        raise ConfigurationError(
            f"the catalog has no customer {customer_id!r}; its customers are: "
            f"{some or 'none'}{', ...' if len(catalog.customers) > 8 else ''}"
        )
    return catalog.model_copy(update={"customers": tuple(found)})


def _as_json(changes: tuple[Change, ...]) -> Iterator[str]:
    for change in changes:
        what = "order" if change.is_order else "value"
        told = {"path": change.path, "what": what}
        yield json.dumps(told | change.as_json())


def _count(number: int, what: str) -> str:
    if what == "currencies":
        return f"{number} {'currency' if number == 1 else what}"
    return f"{number} {what}{'' if number == 1 else 's'}"
