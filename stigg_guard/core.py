"""What the sync and the async guard of one application share: memory, policy, counts.

The ground that `flow` stands on. Who talks to the sidecar is `guard`.
"""

from __future__ import annotations

import logging
import os
import weakref
from collections import Counter
from collections.abc import Mapping

from stigg_guard.coalesce import AsyncFlights, Flights
from stigg_guard.decision import Answer, Decision, NoAnswer
from stigg_guard.denial import MISCONFIGURED, DenialPolicy, FeatureSettings
from stigg_guard.memory import DecisionMemory
from stigg_guard.metering.measurement import Measurement
from stigg_guard.outage import Outage
from stigg_guard.requirement import Fallback, Policy, Requirement
from stigg_guard.settings import Settings
from stigg_guard.subject import Subject

logger = logging.getLogger("stigg_guard")

_NO_SETTINGS = FeatureSettings()


class GuardCore:
    """One application's settings, memory, denials and counts."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.customer = settings.customer
        self.flights: Flights[Answer | NoAnswer] = Flights()
        self.async_flights: AsyncFlights[Answer | NoAnswer] = AsyncFlights()
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
        )
        self._outage = Outage()
        _cores.add(self)

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

    def keep(self, decision: Decision) -> None:
        """Take note of a verdict: it ends an outage and may be used again."""
        self._outage.answered()
        self.memory.keep(decision)

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

    def reported(self, measurement: Measurement) -> None:
        """Answers under way may be from before: nobody who asks now shares them."""
        self.flights.part(measurement.subject)
        self.async_flights.part(measurement.subject)

    def unreported(self, measurement: Measurement, reply: NoAnswer) -> None:
        """Count usage that was not acknowledged, and log it in full."""
        self.counts["unreported"] += 1
        logger.error(
            "Usage was not acknowledged: feature %s, %s %g, customer %r, resource %r:"
            " %s",
            measurement.feature_id,
            measurement.update,
            measurement.value,
            measurement.subject.customer_id,
            measurement.subject.resource_id,
            reply.cause,
        )

    def decided(self, decision: Decision) -> None:
        """Count a decision; one that shows a wrong deployment is logged."""
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
        self.flights.forget()
        self.async_flights.forget()


_cores: weakref.WeakSet[GuardCore] = weakref.WeakSet()


def _after_fork() -> None:
    for core in list(_cores):
        core.after_fork()


os.register_at_fork(after_in_child=_after_fork)
