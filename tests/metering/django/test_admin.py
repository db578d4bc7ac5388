"""The outbox in the Django admin: what a person sees there and may do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import unescape

import pytest
from django.apps import apps
from django.contrib.auth.models import Permission, User
from django.test import Client

from stigg_guard.metering.holds.base import Keep, Peek, Place, Standing
from stigg_guard.metering.measurement import Measurement
from stigg_guard.metering.outbox.base import NewRow, PutOff
from stigg_guard.subject import Subject
from stigg_guard_django.apps import project_guards
from stigg_guard_django.models import OutboxRow
from stigg_guard_django.outbox import DjangoOutbox
from tests.metering.django.admin_project import admin_project
from tests.metering.django.samples import event, keys, stored, usage

ROWS = "/admin/stigg_guard/outboxrow/"


class Person:
    """Somebody who is logged in to the admin."""

    def __init__(self, *permissions: str) -> None:
        self.user = User.objects.create(username="person", is_staff=True)
        names = [f"{name}_outboxrow" for name in permissions]
        found = Permission.objects.filter(codename__in=names)
        assert len(found) == len(names)
        self.user.user_permissions.set(found)
        self.client = Client()
        self.client.force_login(self.user)

    def sees(self, query: str = "") -> str:
        """The list, or a page below it."""
        response = self.client.get(ROWS + query)
        assert response.status_code == 200, response.status_code
        return unescape(response.content.decode())

    def does(self, action: str, rows: Sequence[str], **more: str) -> str:
        """Choose rows of the list and an action; the page after it."""
        ids = [row.id for row in DjangoOutbox().find(rows)]
        data = {"action": action, "_selected_action": ids, **more}
        response = self.client.post(ROWS, data, follow=True)
        assert response.status_code == 200
        return unescape(response.content.decode())


@pytest.fixture(scope="module", autouse=True)
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with admin_project(tmp_path_factory.mktemp("admin")):
        yield


@pytest.fixture(autouse=True)
def outbox(project: None) -> Iterator[DjangoOutbox]:
    """The project's outbox; it and the users are gone after each test."""
    yield DjangoOutbox()
    OutboxRow.objects.all().delete()
    User.objects.all().delete()


def history() -> list[tuple[str, str]]:
    """What the admin wrote down."""
    entries = apps.get_model("admin", "LogEntry").objects.order_by("pk")
    return [(entry.object_repr, entry.change_message) for entry in entries]


def parked(key: str, **options: str) -> NewRow:
    return usage(key, state="parked", error="no such feature", **options)


def test_list_shows_what_is_stored(outbox: DjangoOutbox) -> None:
    outbox.put(
        [
            parked("a", customer="<b>Zoë</b>", feature="seats"),
            event("b", doubtful=True),
        ]
    )
    page = Person("view").sees()
    for text in ("<b>Zoë</b>", "seats", "+1", "Parked", "no such feature", "export"):
        assert text in page
    assert "Pending, may have arrived" in page
    assert "0\N{NO-BREAK SPACE}minutes" in page


def test_list_is_filtered_and_searched(outbox: DjangoOutbox) -> None:
    outbox.put([parked("a", customer="one"), usage("B", customer="two"), event("c")])
    person = Person("view")

    def found(query: str) -> list[str]:
        page = person.sees(query)
        names = {"a": "one", "B": "two", "c": "export"}
        return [key for key, text in names.items() if f">{text}</td>" in page]

    assert found("") == ["a", "B", "c"]
    assert found("?state__exact=parked") == ["a"]
    assert found("?doubtful__exact=1") == []
    assert found("?q=tw") == ["B"]
    assert found("?q=export") == ["c"]
    assert found("?q=B") == ["B"]
    assert found("?q=nowhere") == []


def test_detail_says_all_and_edits_nothing(outbox: DjangoOutbox) -> None:
    measurement = Measurement(
        subject=Subject("acme", "site-1"),
        feature_id="seats",
        value=12_000,
        update="set",
        key="k" * 100,
    )
    outbox.put([NewRow(measurement=measurement, is_held=True), event("e")])
    first, second = outbox.rows()
    person = Person("view", "change", "delete")
    page = person.sees(f"{first.id}/change/")
    for text in ("acme", "site-1", "= 12,000", "k" * 100, "Held until"):
        assert text in page
    assert "format: pdf, pages: 3" in person.sees(f"{second.id}/change/")
    assert '<input type="submit"' not in page
    edit = person.client.post(f"{ROWS}{first.id}/change/", {"customer": "other"})
    add = person.client.get(f"{ROWS}add/")
    delete = person.client.post(f"{ROWS}{first.id}/delete/", {"post": "yes"})
    assert [edit.status_code, add.status_code, delete.status_code] == [403] * 3
    assert outbox.rows()[0].measurement == measurement


def test_row_of_a_newer_version_is_shown(outbox: DjangoOutbox) -> None:
    outbox.put([usage("a")])
    OutboxRow.objects.update(record="{}")
    person = Person("view")
    assert "seats" in person.sees()
    assert "seats" in person.sees(f"{OutboxRow.objects.get().pk}/change/")


def test_parked_rows_are_sent_again(outbox: DjangoOutbox) -> None:
    outbox.put([parked("a"), parked("b"), event("c"), parked("d")])
    page = Person("change").does("send_again", ["a", "b", "c"])
    assert "2 measurements will be sent again" in page
    assert keys(outbox.rows("parked")) == ["d"]
    assert keys(outbox.claim("w", most=9, lease=9)) == ["a", "b", "c"]
    assert history() == [("seats of acme", "Sent again.")] * 2


def test_nothing_parked_is_said(outbox: DjangoOutbox) -> None:
    outbox.put([event("a")])
    assert "None of these is parked" in Person("change").does("send_again", ["a"])


def test_discard_asks_and_then_deletes(outbox: DjangoOutbox) -> None:
    outbox.put([event("sent"), parked("a"), event("b"), event("kept")])
    outbox.claim("w", most=1, lease=60)
    person = Person("view", "delete")
    page = person.does("discard", ["sent", "a", "b"])
    assert "Discard 2 measurements?" in page
    assert "1 of the selected measurements" in page
    assert stored(outbox) == ["sent", "a", "b", "kept"]
    page = person.does("discard", ["a", "b"], confirmed="yes")
    assert "Discarded 2 measurements." in page
    assert stored(outbox) == ["sent", "kept"]
    assert [message for _, message in history()] == ["Discarded."] * 2


def test_discarded_rows_hold_nothing_any_more(outbox: DjangoOutbox) -> None:
    row = usage("a", customer="held", is_held=True)
    place = Place("held", None, "seats")
    stores = project_guards().sync.stores
    stores.perform(Keep(place=place, key="a", units=1, mode="stored"))
    outbox.put([row])
    Person("view", "delete").does("discard", ["a"], confirmed="yes")
    standing = stores.perform(Peek(place=place))
    assert isinstance(standing, Standing)
    assert (standing.counted, standing.held) == (0, 0)


def test_row_that_is_claimed_while_a_person_thinks_is_not_discarded(
    outbox: DjangoOutbox,
) -> None:
    outbox.put([event("a"), event("b")])
    person = Person("view", "delete")
    person.does("discard", ["a", "b"])
    (row,) = outbox.claim("w", most=1, lease=60)
    page = person.does("discard", ["a", "b"], confirmed="yes")
    assert "Discarded 1 measurement." in page
    assert stored(outbox) == ["a"]
    outbox.finish("w", [PutOff(id=row.id, error="out", due_at=0)])
    assert keys(outbox.rows("pending")) == ["a"]


def test_nothing_to_discard_is_said(outbox: DjangoOutbox) -> None:
    outbox.put([event("a")])
    outbox.claim("w", most=1, lease=60)
    assert "nothing can be discarded" in Person("view", "delete").does("discard", ["a"])


@pytest.mark.parametrize(
    ("permission", "offered"),
    [("view", []), ("change", ["send_again"]), ("delete", ["discard"])],
)
def test_actions_need_their_permission(
    outbox: DjangoOutbox, permission: str, offered: list[str]
) -> None:
    outbox.put([parked("a"), event("b")])
    person = Person("view", *{permission} - {"view"})
    page = person.sees()
    actions = ("send_again", "discard", "delete_selected")
    assert [name for name in actions if f'value="{name}"' in page] == offered
    for action in {*actions} - {*offered}:
        person.does(action, ["a", "b"], confirmed="yes", post="yes")
    assert keys(outbox.rows("parked")) == ["a"]
    assert stored(outbox) == ["a", "b"]


def test_strangers_see_nothing(outbox: DjangoOutbox) -> None:
    outbox.put([event("a")])
    assert Person().client.get(ROWS).status_code == 403
    assert Client().get(ROWS).status_code == 302
