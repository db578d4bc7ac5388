"""Webhooks of all processes of an application, through a Redis that they share.

Which messages were handled is kept there; what they make old is told to everybody. The
thread that listens is `news`'s.
"""

from __future__ import annotations

import hashlib
import json
import logging
import socket
import uuid
from typing import TYPE_CHECKING, Any, Final, cast

from stigg_guard.metering.holds.redis_address import RedisAddress
from stigg_guard.metering.holds.redis_clients import Client, check, client
from stigg_guard.metering.holds.redis_errors import unavailable
from stigg_guard.subject import Subject
from stigg_guard.webhooks.event import WebhookEvent
from stigg_guard.webhooks.news import News
from stigg_guard.webhooks.seen import CLAIMED_FOR, SeenHere, Standing

if TYPE_CHECKING:
    from stigg_guard.webhooks.reception import Ground

logger = logging.getLogger("stigg_guard")

REMEMBERED_FOR: Final = 7 * 86_400
"""Seconds that a message is known after it was handled."""
_DONE: Final = b"done"


class SharedSeen:
    """The messages that any process handled, and what the others are told of them.

    Processes that ask another sidecar, because it is beside them on another host, have
    theirs load the customer anew, one for each host. While the Redis is out, each
    process knows its own messages alone, and nobody hears anything; when it is back,
    everybody asks anew.
    """

    def __init__(
        self,
        url: str,
        *,
        setting: str,
        prefix: str,
        target: str,
        ground: Ground,
        here: SeenHere,
    ) -> None:
        self._address = RedisAddress.parse(url, setting=setting)
        check(self._address, setting=setting)
        from redis.exceptions import RedisClusterException, RedisError

        self._failures = (RedisError, RedisClusterException, OSError, IndexError)
        self._client: Client = client(self._address)
        self._name = f"{prefix}:webhooks"
        self._place = f"{socket.gethostname()} {target}"
        self._ground = ground
        self._here = here
        self._is_out = False
        self._news: News | None = None

    def claim(self, message_id: str) -> Standing:
        """Take a message on, unless that was done before, by anybody."""
        if not message_id:
            return "new"
        commands, key = self._client.commands, self._key(message_id)
        try:
            if commands.set(key, b"claimed", nx=True, ex=int(CLAIMED_FOR)):
                found: Standing = "new"
            else:
                known = commands.get(key)
                found = "done" if known in (_DONE, _DONE.decode()) else "under way"
        except self._failures as error:
            self._note(error)
            return self._here.claim(message_id)
        self._is_out = False
        return found

    def conclude(self, message_id: str) -> None:
        """Take note that a message was handled."""
        if not message_id:
            return
        self._here.conclude(message_id)
        try:
            self._client.commands.set(self._key(message_id), _DONE, ex=REMEMBERED_FOR)
        except self._failures as error:
            self._note(error)

    def release(self, message_id: str) -> None:
        """Give a claim back: the message is new again."""
        self._here.release(message_id)
        try:
            self._client.commands.delete(self._key(message_id))
        except self._failures as error:
            self._note(error)

    def announce(self, event: WebhookEvent) -> None:
        """Tell all processes what an event makes old; this one's sidecar knows it."""
        notice = {
            "id": event.message_id or uuid.uuid4().hex,
            "customer": event.customer_id,
            "resource": event.resource_id,
        }
        self.conclude(self._told_here(notice))
        self._publish(notice)

    def _publish(self, notice: dict[str, Any]) -> None:
        text = json.dumps({**notice, "place": self._place})
        try:
            self._client.commands.publish(self._name, text)
        except self._failures as error:
            self._note(error)

    def listen(self) -> None:
        """Begin to hear what is announced, in a thread of its own."""
        if self._news is None:
            self._news = News(
                self._client,
                self._name,
                heard=self._heard,
                missed=self._missed,
                failures=self._failures,
            )

    def _missed(self) -> None:
        """Whatever may have been announced while nobody listened, it is asked anew."""
        self._ground.forget(None)

    def _heard(self, text: bytes | str) -> None:
        notice = cast("dict[str, Any]", json.loads(text))
        customer: str | None = notice["customer"]
        if customer is None:
            self._ground.expire()
            return
        self._ground.forget(customer)
        if notice["place"] == self._place or not self._ground.is_on:
            return
        told = self._told_here(notice)
        if self.claim(told) != "new":
            return
        for resource in {None, notice["resource"]}:
            self._ground.reload(Subject(customer, resource))
        self._ground.forget(customer)
        self.conclude(told)
        self._publish(notice)

    def _told_here(self, notice: dict[str, Any]) -> str:
        return f"{notice['id']} at {self._place}"

    def _key(self, message_id: str) -> str:
        raw = message_id.encode("utf-8", "surrogatepass")
        return f"{self._name}:{hashlib.sha256(raw).hexdigest()[:40]}"

    def _note(self, error: Exception) -> None:
        if not self._is_out:
            self._is_out = True
            found = str(unavailable(error, self._address.location))
            logger.warning(
                "Webhooks are known to single processes only: %s",
                found.replace("The hold store", "The Redis", 1),
            )

    def close(self) -> None:
        """Let go of the thread and of connections."""
        if self._news is not None:
            self._news.stop()
        self._client.close()
