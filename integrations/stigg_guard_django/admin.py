"""The outbox in the admin: read it, send parked rows again, discard rows.

Both go through `DjangoOutbox`, so that its rules are the same everywhere; nothing is
added or edited by hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import CHANGE, DELETION, LogEntry
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.text import Truncator
from django.utils.timesince import timesince

from stigg_guard.metering.holds.base import GiveBack
from stigg_guard.metering.measurement import Measurement
from stigg_guard.metering.outbox.base import Row
from stigg_guard.metering.worker import place_of
from stigg_guard_django.apps import project_guards
from stigg_guard_django.models import DISCARDABLE, STATES, OutboxRow, stored_key
from stigg_guard_django.outbox import DjangoOutbox

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[OutboxRow]
else:
    _ModelAdmin = admin.ModelAdmin

MOST_TO_DISCARD = 500
"""At a time: each is a field of the form that asks, and Django takes 1,000 fields."""
_AT_ONCE = 1_000


@admin.register(OutboxRow)
class OutboxAdmin(_ModelAdmin):
    """Who may change measurements may send them again; who may delete, discard."""

    list_display = (
        "short_key",
        "customer",
        "name",
        "value",
        "progress",
        "attempts",
        "age",
        "short_error",
    )
    list_filter = ("state", "doubtful")
    search_fields = ("customer", "name")
    search_help_text = "Customer, feature or event, or a whole key"
    ordering = ("-pk",)
    show_full_result_count = False
    actions = ("send_again", "discard")
    fieldsets = (
        (None, {"fields": ("customer", "resource", "name", "value", "dimensions")}),
        ("Delivery", {"fields": ("progress", "attempts", "error")}),
        ("Times", {"fields": ("measured", "stored", "changed", "due")}),
        ("More", {"fields": ("whole_key", "held", "on_ambiguous", "worker")}),
    )
    readonly_fields = (
        *("resource", "value", "dimensions", "progress", "whole_key", "held"),
        *("measured", "stored", "changed", "due"),
    )

    def outbox(self) -> DjangoOutbox:
        """The project's outbox; where that is another one, what lies in the tables."""
        found = project_guards().sync.outbox
        return found if isinstance(found, DjangoOutbox) else DjangoOutbox()

    def get_queryset(self, request: HttpRequest) -> QuerySet[OutboxRow]:
        """The rows of the outbox's database."""
        return super().get_queryset(request).using(self.outbox().alias)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[OutboxRow], search_term: str
    ) -> tuple[QuerySet[OutboxRow], bool]:
        """Rows of a customer, feature or event, and the one with this key."""
        found, repeats = super().get_search_results(request, queryset, search_term)
        if search_term:
            found |= queryset.filter(key=stored_key(search_term.strip()))
        return found, repeats

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody: measurements are made by the application."""
        return False

    def has_change_permission(
        self, request: HttpRequest, obj: OutboxRow | None = None
    ) -> bool:
        """Nobody: what was measured stays as it was measured."""
        return False

    def has_delete_permission(
        self, request: HttpRequest, obj: OutboxRow | None = None
    ) -> bool:
        """Nobody: the admin's own deletion knows no rules of the outbox."""
        return False

    def has_send_again_permission(self, request: HttpRequest) -> bool:
        """Who may change measurements."""
        return super().has_change_permission(request)

    def has_discard_permission(self, request: HttpRequest) -> bool:
        """Who may delete measurements."""
        return super().has_delete_permission(request)

    @admin.action(description="Send again", permissions=["send_again"])
    def send_again(self, request: HttpRequest, rows: QuerySet[OutboxRow]) -> None:
        """Make the parked ones pending; a doubtful one may then count twice."""
        count = 0
        for some in _slices(rows.filter(state="parked")):
            count += self.outbox().retry([str(row.pk) for row in some])
            _log(request, some, CHANGE, "Sent again.")
        if count:
            self.message_user(request, f"{_counted(count)} will be sent again.")
        else:
            text = "None of these is parked, so nothing is sent again."
            self.message_user(request, text, messages.WARNING)

    @admin.action(description="Discard", permissions=["discard"])
    def discard(
        self, request: HttpRequest, rows: QuerySet[OutboxRow]
    ) -> HttpResponse | None:
        """Ask, then delete what is pending or parked: it will never be reported."""
        chosen = rows.filter(state__in=DISCARDABLE)[:MOST_TO_DISCARD]
        if not chosen:
            text = "None of these is pending or parked, so nothing can be discarded."
            self.message_user(request, text, messages.WARNING)
            return None
        if request.POST.get("confirmed"):
            self._discard(request, [*chosen])
            return None
        context: dict[str, Any] = {
            **self.admin_site.each_context(request),
            "title": f"Discard {_counted(len(chosen))}?",
            "opts": self.opts,
            "rows": [(row, self.value(row)) for row in chosen],
            "others": rows.count() - len(chosen),
            "checkbox": ACTION_CHECKBOX_NAME,
        }
        request.current_app = self.admin_site.name
        name = "admin/stigg_guard/outboxrow/discard.html"
        return TemplateResponse(request, name, context)

    def _discard(self, request: HttpRequest, rows: list[OutboxRow]) -> None:
        gone = self.outbox().discard([str(row.pk) for row in rows])
        _give_back(gone)
        ids = {row.id for row in gone}
        discarded = [row for row in rows if str(row.pk) in ids]
        _log(request, discarded, DELETION, "Discarded.")
        self.message_user(request, f"Discarded {_counted(len(gone))}.")

    @admin.display(description="key", ordering="key")
    def short_key(self, row: OutboxRow) -> str:
        """Enough of the key to tell rows apart."""
        return Truncator(self.whole_key(row)).chars(9)

    @admin.display(description="key")
    def whole_key(self, row: OutboxRow) -> str:
        """The key, as the application knows it."""
        measurement = _measurement(row)
        return row.key if measurement is None else measurement.key

    def value(self, row: OutboxRow) -> str:
        """A change with its sign, or a total."""
        measurement = _measurement(row)
        if measurement is None or measurement.event is not None:
            return ""
        if measurement.update == "set":
            return f"= {measurement.value:,.12g}"
        return f"{measurement.value:+,.12g}"

    def resource(self, row: OutboxRow) -> str:
        """The resource that was acted for."""
        measurement = _measurement(row)
        return (measurement and measurement.subject.resource_id) or "-"

    def dimensions(self, row: OutboxRow) -> str:
        """The dimensions of an event."""
        measurement = _measurement(row)
        pairs = measurement.dimensions if measurement is not None else ()
        return ", ".join(f"{name}: {value}" for name, value in pairs) or "-"

    @admin.display(description="state", ordering="state")
    def progress(self, row: OutboxRow) -> str:
        """The state, and whether it may have been counted already."""
        state = dict(STATES)[row.state]
        return f"{state}, may have arrived" if row.doubtful else state

    @admin.display(description="units")
    def held(self, row: OutboxRow) -> str:
        """Whether nobody else can use them."""
        return "Held until it is acknowledged" if row.is_held else "Not held"

    @admin.display(description="last error", ordering="error")
    def short_error(self, row: OutboxRow) -> str:
        """The beginning of the last error."""
        return Truncator(row.error or "").chars(80)

    @admin.display(ordering="created_at")
    def age(self, row: OutboxRow) -> str:
        """How long ago it was stored."""
        return timesince(_moment(row.created_at), depth=1)

    def measured(self, row: OutboxRow) -> datetime | None:
        """When it was measured."""
        measurement = _measurement(row)
        return None if measurement is None else measurement.timestamp

    def stored(self, row: OutboxRow) -> datetime:
        """When it was stored."""
        return _moment(row.created_at)

    def changed(self, row: OutboxRow) -> datetime:
        """When its state changed."""
        return _moment(row.changed_at)

    def due(self, row: OutboxRow) -> datetime:
        """When it is sent at the earliest."""
        return _moment(row.due_at)


def _measurement(row: OutboxRow) -> Measurement | None:
    """What was measured; None for a record that only a newer version can read."""
    try:
        return row.measurement
    except ValueError:
        return None


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _counted(count: int) -> str:
    return "1 measurement" if count == 1 else f"{count:,} measurements"


def _slices(rows: QuerySet[OutboxRow]) -> Iterator[list[OutboxRow]]:
    """All rows, some at a time; what becomes of them meanwhile changes nothing."""
    last = 0
    while some := [*rows.order_by("pk").filter(pk__gt=last)[:_AT_ONCE]]:
        yield some
        last = some[-1].pk


def _give_back(rows: Iterable[Row]) -> None:
    """Let others have the units that discarded rows held."""
    stores = project_guards().sync.stores
    for row in rows:
        place = place_of(row.measurement)
        if row.is_held and place is not None:
            stores.perform(GiveBack(place=place, keys=(row.measurement.key,)))


def _log(request: HttpRequest, rows: list[OutboxRow], flag: int, message: str) -> None:
    """Write into the admin's history who did it."""
    user = request.user.pk
    if rows and user is not None:
        LogEntry.objects.log_actions(user, rows, flag, message)
