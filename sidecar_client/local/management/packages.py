"""Plans and add-ons: defined, drafted, published, archived, listed.

What they entitle to lives in `package_entitlements`. Both are packages: they differ in
a few fields and in how subscriptions follow a new version.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Generic, Literal, TypeVar, cast

from sidecar_client.local.catalog import (
    Addon,
    CatalogIndex,
    Definitions,
    Plan,
)
from sidecar_client.local.management.about import (
    Kept,
    Thing,
    Told,
    note_change,
    note_new,
    told,
)
from sidecar_client.local.management.definitions import (
    define,
    definitions_of,
    put,
    without,
)
from sidecar_client.local.management.missing import (
    check_product,
    missing,
    product_of_package,
)
from sidecar_client.local.management.pages import Page, Turn, page_of
from sidecar_client.local.management.product_packages import archived
from sidecar_client.local.records import about_key
from sidecar_client.local.refusal import Refusal, checked_id
from sidecar_client.local.world import Transaction, World

Package = TypeVar("Package", Plan, Addon)
PackageStatus = Literal["published", "draft", "archived"]
DRAFT = "archivedDraft"
"""Under which name it is kept which version was a draft when it was archived."""


class Packages(Generic[Package]):
    """All operations on plans, or on add-ons."""

    def __init__(self, kind: type[Package]) -> None:
        self._is_plan: bool = kind is Plan
        self.thing: Thing = "plan" if kind is Plan else "addon"
        self.word: Literal["plan", "add-on"] = "plan" if kind is Plan else "add-on"

    async def get(self, world: World, name: str) -> Told[Package]:
        """The latest published version, else the latest of all."""
        package = self.current(await world.index(), name)
        return (await told(world, self.thing, {name: package}))[0]

    async def list(
        self,
        world: World,
        turn: Turn,
        *,
        product_id: str | None = None,
        statuses: Collection[PackageStatus] | None = None,
        created: Callable[[datetime], bool] | None = None,
    ) -> Page[Told[Package]]:
        """One version of each, by id: a draft where only drafts are wanted."""
        index = await world.index()
        latest = dict(self._latest(index))
        if statuses is not None and set(statuses) == {"draft"}:
            definitions = await world.transact(definitions_of)
            latest = {
                item.id: item
                for item in self._all(definitions)
                if item.status == "draft"
            }
        fitting = {
            name: package
            for name, package in sorted(latest.items())
            if product_id in (None, product_of_package(index, package))
            and (statuses is None or package.status in statuses)
        }
        everything = [
            (item.value.id, item)
            for item in await told(world, self.thing, fitting)
            if created is None or created(item.about.created)
        ]
        page = await page_of(everything, turn)
        return page.mapped(lambda items: [item for _, item in items])

    async def create(
        self, world: World, package: Package, *, kept: Kept
    ) -> Told[Package]:
        """Define a first version, usually as a draft; its id must be free."""
        checked_id(self.word, package.id)

        async def work(transaction: Transaction) -> Told[Package]:
            definitions = await definitions_of(transaction)
            if any(item.id == package.id for item in self._all(definitions)):
                raise Refusal(
                    "ALREADY_EXISTS",
                    f"the {self.word} {package.id!r} is there already; update it, or "
                    "use another id.",
                )
            check_product(CatalogIndex.of(definitions), package)
            self._put(transaction, definitions, package)
            about = note_new(transaction, self.thing, package.id, kept=kept)
            self._announce(transaction, "created", package.id)
            return Told(value=package, about=about)

        return await world.transact(work)

    async def update(
        self, world: World, name: str, changes: Mapping[str, object], *, kept: Kept
    ) -> Told[Package]:
        """Change what is named in `changes`, of the draft where there is one."""

        async def work(transaction: Transaction) -> Told[Package]:
            definitions = await definitions_of(transaction)
            package = self.draft_in(definitions, name) or self.current(
                CatalogIndex.of(definitions), name
            )
            changed = package.model_copy(update=dict(changes))
            self._put(transaction, definitions, changed)
            about = await note_change(transaction, self.thing, name, kept=kept)
            self._announce(transaction, "updated", name)
            return Told(value=changed, about=about)

        return await world.transact(work)

    async def archive(self, world: World, name: str) -> Told[Package]:
        """Archive all but a draft: nobody can subscribe to it any more.

        What has nothing but a draft is archived with it.
        """

        async def work(transaction: Transaction) -> Told[Package]:
            definitions = await definitions_of(transaction)
            current = self.current(CatalogIndex.of(definitions), name)
            if current.status == "archived":
                raise Refusal(
                    "FAILED_PRECONDITION", f"{self.word} {name!r} is archived already."
                )
            self._replace(transaction, definitions, name, archived)
            draft = current.version if current.status == "draft" else None
            kept: Kept = {DRAFT: draft}
            about = await note_change(transaction, self.thing, name, kept=kept)
            self._announce(transaction, "archived", name)
            now = current.model_copy(update={"status": "archived"})
            return Told(value=now, about=about)

        return await world.transact(work)

    async def unarchive(self, world: World, name: str) -> Told[Package]:
        """Take an archived one back, as it was: what was a draft is one again."""

        async def work(transaction: Transaction) -> Told[Package]:
            definitions = await definitions_of(transaction)
            index = CatalogIndex.of(definitions)
            current = self.current(index, name)
            if current.status != "archived":
                raise Refusal(
                    "FAILED_PRECONDITION", f"{self.word} {name!r} is not archived."
                )
            check_product(index, current)
            known = await transaction.read(about_key(self.thing, name))
            draft = known.kept.get(DRAFT) if known else None
            definitions = self._replace(
                *(transaction, definitions, name),
                lambda versions: tuple(_taken_back(versions, draft)),
            )
            about = await note_change(transaction, self.thing, name, kept={DRAFT: None})
            self._announce(transaction, "unarchived", name)
            back = self.current(CatalogIndex.of(definitions), name)
            return Told(value=back, about=about)

        return await world.transact(work)

    async def create_draft(self, world: World, name: str) -> Told[Package]:
        """Begin a new version, from the latest one."""

        async def work(transaction: Transaction) -> Told[Package]:
            definitions = await definitions_of(transaction)
            if self.draft_in(definitions, name):
                raise Refusal(
                    "ALREADY_EXISTS",
                    f"{self.word} {name!r} has a draft already; publish or remove it "
                    "first.",
                )
            index = CatalogIndex.of(definitions)
            current = self.current(index, name)
            check_product(index, current)
            draft = current.model_copy(
                update={"version": current.version + 1, "status": "draft"}
            )
            self._put(transaction, definitions, draft)
            about = await note_change(transaction, self.thing, name)
            return Told(value=draft, about=about)

        return await world.transact(work)

    async def remove_draft(self, world: World, name: str) -> str:
        """Throw the draft of a new version away; its id."""

        async def work(transaction: Transaction) -> str:
            definitions = await definitions_of(transaction)
            draft = self.draft_of(definitions, name)
            left = without(self._all(definitions), draft)
            define(transaction, self._with(definitions, left))
            return name

        return await world.transact(work)

    async def edit_draft(
        self, transaction: Transaction, name: str, changes: Mapping[str, object]
    ) -> Package:
        """Change the draft, as a part of a change that goes on."""
        definitions = await definitions_of(transaction)
        draft = self.draft_of(definitions, name).model_copy(update=dict(changes))
        self._put(transaction, definitions, draft)
        return draft

    async def publish_draft(self, transaction: Transaction, name: str) -> Package:
        """Let the draft be the latest version from now on."""
        definitions = await definitions_of(transaction)
        draft = self.draft_of(definitions, name)
        index = CatalogIndex.of(definitions)
        check_product(index, draft)
        if self.current(index, name).status == "archived":
            raise Refusal(
                "FAILED_PRECONDITION",
                f"{self.word} {name!r} is archived; unarchive it first.",
            )
        published = await self.edit_draft(transaction, name, {"status": "published"})
        await note_change(transaction, self.thing, name)
        self._announce(transaction, "published", name)
        return published

    def current(self, index: CatalogIndex, name: str) -> Package:
        """The latest published version, else the latest of all."""
        checked_id(self.word, name)
        if package := self._latest(index).get(name):
            return package
        raise missing(self.word, name)

    def draft_in(self, definitions: Definitions, name: str) -> Package | None:
        """The draft of a package, None where there is none."""
        for item in self._all(definitions):
            if item.id == name and item.status == "draft":
                return item
        return None

    def draft_of(self, definitions: Definitions, name: str) -> Package:
        """The draft of a package, which must have one."""
        if draft := self.draft_in(definitions, name):
            return draft
        self.current(CatalogIndex.of(definitions), name)
        raise Refusal(
            "FAILED_PRECONDITION",
            f"{self.word} {name!r} has no draft; create one first.",
        )

    def _latest(self, index: CatalogIndex) -> Mapping[str, Package]:
        found = index.plans if self._is_plan else index.addons
        return cast("Mapping[str, Package]", found)

    def _all(self, definitions: Definitions) -> tuple[Package, ...]:
        found = definitions.plans if self._is_plan else definitions.addons
        return cast("tuple[Package, ...]", found)

    def _with(
        self, definitions: Definitions, items: tuple[Package, ...]
    ) -> Definitions:
        part = "plans" if self._is_plan else "addons"
        return definitions.model_copy(update={part: items})

    def _put(
        self, transaction: Transaction, definitions: Definitions, package: Package
    ) -> None:
        items = put(self._all(definitions), package)
        define(transaction, self._with(definitions, items))

    def _replace(
        self,
        transaction: Transaction,
        definitions: Definitions,
        name: str,
        changed: Callable[[Iterable[Package]], tuple[Package, ...]],
    ) -> Definitions:
        """Put other versions of a package in the place of those there are."""
        versions = changed(item for item in self._all(definitions) if item.id == name)
        items = self._all(definitions)
        for version in versions:
            items = put(items, version)
        definitions = self._with(definitions, items)
        define(transaction, definitions)
        return definitions

    def _announce(self, transaction: Transaction, what: str, name: str) -> None:
        transaction.announce(f"{self.thing}.{what}", **{f"{self.thing}_id": name})


def _taken_back(versions: Iterable[Package], draft: object) -> Iterator[Package]:
    """Versions as they were before they were archived, with what was a draft then."""
    for item in versions:
        was_draft = item.status == "draft" or item.version == draft
        status: PackageStatus = "draft" if was_draft else "published"
        yield item.model_copy(update={"status": status})


PLANS = Packages(Plan)
ADDONS = Packages(Addon)
