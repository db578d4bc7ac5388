"""What the guards of one application share: memory, policy, stores, counts, hooks.

The ground that `flow` stands on. Who talks to the sidecar is `guard`.
"""

from __future__ import annotations

import itertools
import logging
import os
import time
import weakref
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from stigg_guard import stand_in
from stigg_guard.coalesce import AsyncFlights, Flights
from stigg_guard.decision import Answer, Answers, Decision, Entitlement, NoAnswer
from stigg_guard.denial import (
    MISCONFIGURED,
    DenialPolicy,
    FeatureSettings,
    Wanted,
)
from stigg_guard.entitlements import Entitlements
from stigg_guard.kill_switch import KillSwitch
from stigg_guard.memory import DecisionMemory
from stigg_guard.metering.happening import (
    LOGGED,
    Happening,
    Hook,
    log_outcome,
    tell,
)
from stigg_guard.metering.holds.base import Place
from stigg_guard.metering.measurement import Measurement
from stigg_guard.metering.stores import Stores
from stigg_guard.metering.terms import Terms
from stigg_guard.metering.worker import Reply, Report
from stigg_guard.outage import Outage
from stigg_guard.requirement import Fallback, Policy, Requirement
from stigg_guard.settings import Settings
from stigg_guard.shadow import ShadowLog
from stigg_guard.steps import OutcomeName
from stigg_guard.subject import Subject
from stigg_guard.view import OnDenied, Template
from stigg_guard.webhooks.reception import Reception

if TYPE_CHECKING:
    from stigg_guard.sidecar import SyncSidecar

logger = logging.getLogger("stigg_guard")

_NO_SETTINGS = FeatureSettings()

CROWDED_FOR: Final = 5.0
"""Seconds that a place is taken for crowded after its units were all held."""
MOST_CROWDS: Final = 10_000
MOST_REPORTS: Final = 10_000


class GuardCore:
    """One application's settings, memory, denials and counts."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        application = settings.on_denied
        self.customer = settings.customer
        self.exempt_when = settings.exempt_when
        self._switch = KillSwitch(settings.enabled)
        self._shadows = {
            name: feature.shadow
            for name, feature in settings.features.items()
            if feature.shadow is not None
        }
        self._shadow_log = ShadowLog()
        self.flights: Flights[Answer | NoAnswer] = Flights()
        self.async_flights: AsyncFlights[Answer | NoAnswer] = AsyncFlights()
        self.list_flights: Flights[Answers | NoAnswer] = Flights()
        self.async_list_flights: AsyncFlights[Answers | NoAnswer] = AsyncFlights()
        self.counts: Counter[str] = Counter()
        self.memory = DecisionMemory(
            remember_for=settings.remember,
            last_known_for=settings.last_known_for,
            max_customers=settings.remember_customers,
        )
        self.denials = DenialPolicy(
            statuses=settings.statuses,
            features=settings.features,
            type_base=settings.problem_type_base,
            upgrade_url=settings.upgrade_url,
            html=settings.html,
            no_customer=settings.no_customer,
            login_url=settings.login_url,
            retry_after=settings.retry_after,
            template=application.name if isinstance(application, Template) else None,
        )
        # The template answers in the status that the others want.
        self.on_denied: Wanted | None = None
        if not isinstance(application, Template | Mapping | str):
            self.on_denied = application
        self.hooks: dict[str, tuple[Hook, ...]] = dict(settings.hooks)
        self.stores = Stores(settings, report=self._report, happened=self.happened)
        self._reporter: SyncSidecar | None = None
        self._crowds: dict[Place, tuple[float, float]] = {}
        self._reports: dict[str, int] = {}
        self._numbers = itertools.count(1)
        self._changed_at = 0
        self.reception = Reception(settings, self)
        self._outage = Outage()
        _cores.add(self)

    def _report(self) -> Report:
        """What the deliverer reports with."""
        return self._deliver

    def _deliver(self, batch: Sequence[Measurement]) -> Reply:
        kit = stand_in.kit
        if kit is not None:
            return kit.sync_sidecar(self, self._connection).report(batch)
        return self._connection().report(batch)

    def _connection(self) -> SyncSidecar:
        """The deliverer's own connection to the sidecar."""
        if self._reporter is None:
            from stigg_guard import connect

            self._reporter = connect.sync_sidecar(self.settings)
        return self._reporter

    def reload(self, subject: Subject) -> NoAnswer | None:
        """Have the sidecar load a subject anew, by the deliverer's connection."""
        return self._connection().reload(subject)

    def close(self) -> None:
        """Deliver what waits, within a bounded time, and let go of the stores."""
        self.stores.close()
        self.reception.close()
        self._let_go()

    async def aclose(self) -> None:
        """Close without holding up the event loop."""
        await self.stores.aclose()
        await self.reception.aclose()
        self._let_go()

    def _let_go(self) -> None:
        reporter, self._reporter = self._reporter, None
        if reporter is not None:
            reporter.close()

    @property
    def _all_flights(self) -> tuple[Flights[Any] | AsyncFlights[Any], ...]:
        return (
            self.flights,
            self.async_flights,
            self.list_flights,
            self.async_list_flights,
        )

    @property
    def features(self) -> Mapping[str, FeatureSettings]:
        """What is settled for single features."""
        return self.settings.features

    def recall(self, subject: Subject, requirement: Requirement) -> Decision | None:
        """A decision young enough to be used again without asking."""
        return self.memory.recall(subject, requirement)

    def last_known(self, subject: Subject, requirement: Requirement) -> Decision | None:
        """A decision young enough to stand in when the sidecar gives no verdict."""
        return self.memory.last_known(subject, requirement)

    def last_entitlement(
        self, subject: Subject, requirement: Requirement
    ) -> Entitlement | None:
        """The last known entitlement of a metered feature, if it is young enough."""
        return self.memory.last_entitlement(subject, requirement.feature_id)

    @property
    def epoch(self) -> int:
        """A number that changes when anything is forgotten."""
        return self.memory.epoch

    def keep(self, decision: Decision, epoch: int) -> None:
        """Take note of a verdict: it ends an outage and may be used again.

        `epoch` is that of the moment when it was asked for.
        """
        self._outage.answered()
        self.reception.listen()
        self.memory.keep(decision, epoch)

    def forget(self, customer_id: str | None) -> None:
        """Forget all of one customer, or of everybody; nobody shares old answers."""
        self._part(customer_id)
        self.memory.forget(customer_id)

    def expire(self) -> None:
        """Use nothing again that is known now; it may still stand in."""
        self._part(None)
        self.memory.expire()

    def _part(self, customer_id: str | None) -> None:
        # Before the epoch ends: who is of the next one shares nothing from before.
        def is_about(subject: Subject) -> bool:
            return customer_id in (None, subject.customer_id)

        for flights in self._all_flights:
            flights.part(is_about)
        for place in list(self._crowds):
            if customer_id in (None, place.customer_id):
                self._crowds.pop(place, None)
        self._changed_at = next(self._numbers)

    def last_entitlements(self, subject: Subject) -> Entitlements | None:
        """All that a subject had, if that is young enough to stand in."""
        known = self.memory.last_entitlements(subject)
        return None if known is None else known.as_last_known()

    def keep_entitlements(self, entitlements: Entitlements, epoch: int) -> None:
        """Take note of what the sidecar said of all that a subject has."""
        self._outage.answered()
        self.reception.listen()
        self.memory.keep_entitlements(entitlements, epoch)

    def unknown_entitlements(self, subject: Subject) -> Entitlements:
        """What FEATURES and the policy say of everything."""
        fallbacks: dict[str, Fallback] = {}
        for name, feature in self.features.items():
            if feature.fallback is not None:
                fallbacks[name] = feature.fallback
            elif feature.on_unavailable is not None:
                is_allowed = feature.on_unavailable == "allow"
                fallbacks[name] = Fallback(has_access=is_allowed)
        return Entitlements.unknown(
            subject,
            fallbacks=fallbacks,
            allows_unknown=self.settings.on_unavailable == "allow",
        )

    def reports_of(self, subject: Subject) -> int:
        """A number that changes when what the subject has may have changed."""
        return max(self._reports.get(subject.customer_id, 0), self._changed_at)

    def bypasses(self) -> bool:
        """Whether the guard is switched off now; what it then lets pass is counted."""
        if self._switch.is_fixed_on or not self._switch.is_off():
            return False
        self.counts["bypassed"] += 1
        return True

    @property
    def is_on(self) -> bool:
        """Whether the guard is not switched off."""
        return not self._switch.is_off()

    def is_shadow(self, requirement: Requirement, shadow: bool | None) -> bool:
        """Whether a denial is only noted: the view's word, the feature's, or ours."""
        if shadow is not None:
            return shadow
        if self._shadows:
            return self._shadows.get(requirement.name, self.settings.shadow)
        return self.settings.shadow

    def shadowed(self, decision: Decision, on_denied: OnDenied | None = None) -> None:
        """Count a denial that is only noted, tell the hooks, and log it in a while."""
        self.happened("shadow_denied", decision)
        nearest = self.denials.nearest(decision, on_denied)
        wanted = self.on_denied if nearest is None else nearest
        status = self.denials.status(decision, wanted)
        named = "" if wanted is None or isinstance(wanted, int) else f" or {wanted!r}"
        self._shadow_log.note(decision, f"{status}{named}")

    def fallback(self, requirement: Requirement) -> Fallback | None:
        """The requirement's own answer, or that of its feature's settings.

        An `on_unavailable` written on the view is nearer than the feature's fallback.
        """
        if requirement.fallback is not None or requirement.on_unavailable is not None:
            return requirement.fallback
        return self.features.get(requirement.name, _NO_SETTINGS).fallback

    def policy(self, requirement: Requirement) -> Policy:
        """The view's policy, else the feature's, else the application's."""
        feature = self.features.get(requirement.name, _NO_SETTINGS)
        return (
            requirement.on_unavailable
            or feature.on_unavailable
            or self.settings.on_unavailable
        )

    def unanswered(self, reply: NoAnswer) -> None:
        """Count a missing verdict; an outage is logged once."""
        self.counts["unanswered"] += 1
        self._outage.unanswered(reply)

    @property
    def terms(self) -> Terms:
        """How metering works in this application."""
        return self.stores.terms

    @property
    def follows_transactions(self) -> bool:
        """Whether the outbox stores in a transaction of the caller's."""
        return self.stores.follows_transactions

    def reported(self, measurement: Measurement) -> None:
        """Answers under way may be from before: nobody who asks now shares them."""
        subject = measurement.subject
        for flights in self._all_flights:
            flights.part(lambda whom: whom == subject)
        if len(self._reports) >= MOST_REPORTS:
            self._reports.clear()
        self._reports[subject.customer_id] = next(self._numbers)

    def crowd(self, place: Place) -> float | None:
        """The limit of a place whose units were all held a moment ago, else None."""
        known = self._crowds.get(place) if self._crowds else None
        if known is None:
            return None
        if time.monotonic() - known[1] < CROWDED_FOR:
            return known[0]
        self._crowds.pop(place, None)
        return None

    def crowded(self, place: Place, limit: float | None) -> None:
        """Take note that a place is crowded, or with None that it is no more."""
        if limit is None:
            self._crowds.pop(place, None)
            return
        if len(self._crowds) >= MOST_CROWDS:
            self._crowds.clear()
        self._crowds[place] = (limit, time.monotonic())

    def happened(
        self, outcome: OutcomeName, subject: Measurement | Decision, cause: str = ""
    ) -> None:
        """Count an outcome, tell the hooks, log what is lost or waits for a person."""
        if outcome != "denied":  # counted when it was decided
            self.counts[outcome] += 1
        if outcome in LOGGED and (outcome != "stored" or self._is_at_risk(cause)):
            is_safe = self.terms.is_durable
            log_outcome(outcome, subject, cause, is_safe=is_safe)
        if stand_in.kit is not None:
            stand_in.kit.happened(self, outcome, subject, cause)
        if self.hooks:
            tell(self.hooks.get(outcome, ()), Happening.of(outcome, subject, cause))

    def _is_at_risk(self, cause: str) -> bool:
        return bool(cause) and not self.terms.is_durable

    def decided(self, decision: Decision) -> None:
        """Count a decision; one that shows a wrong deployment is logged."""
        if not decision.is_shadow:  # else counted when the request is let through
            self.counts["allowed" if decision.allowed else "denied"] += 1
        if decision.is_fallback:
            self.counts["fallbacks"] += 1
        if decision.reason in MISCONFIGURED:
            logger.error(
                "%s. The feature's id or type differs between the code and the"
                " catalog; customers are not at fault.",
                decision.explanation,
            )

    def after_fork(self) -> None:
        """Let go of what belongs to the parent's threads and loops."""
        self.memory.renew_lock()
        for flights in self._all_flights:
            flights.forget()
        self.stores.after_fork()
        self.reception.after_fork()
        self._reporter = None


_cores: weakref.WeakSet[GuardCore] = weakref.WeakSet()


def _after_fork() -> None:
    for core in list(_cores):
        core.after_fork()


os.register_at_fork(after_in_child=_after_fork)
