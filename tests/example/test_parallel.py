"""Revvenu's templates page under a double click and under a hundred posts at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from example_project.welcome import ARCHIVED, ESSENTIALS, FREE
from tests.example.application import BIN, Application, eventually, running
from tests.example.test_django import RUNSERVER
from tests.example.visitor import Visitor
from tests.redis_server import redis_server

THREADS = [
    str(BIN / "gunicorn"),
    "--workers=2",
    "--threads=16",
    "--bind=127.0.0.1:{port}",
    "example_project.revvenu.wsgi",
]
ONE_WORKER = [
    str(BIN / "gunicorn"),
    "--workers=1",
    "--bind=127.0.0.1:{port}",
    "example_project.revvenu.wsgi",
]

ROUNDS = 4
"""Workers that do not share go over the limit in one of about ten."""


@pytest.fixture
def application(home: Path) -> Iterator[Application]:
    with running(RUNSERVER, home) as application:
        yield application


def burst(visitor: Visitor) -> dict[str, Any]:
    """Press the button, and wait for the outcome."""
    assert visitor.post("/backstage/burst/").status_code == 302
    eventually(lambda: visitor.standing["burst_ended"], "all requests are answered")
    return visitor.standing


def test_hundred_parallel_posts_create_exactly_what_is_left(
    application: Application,
) -> None:
    with Visitor(application.url, ESSENTIALS) as visitor:
        assert visitor.at_once(100) == {302: 3, 402: 97}
        assert visitor.standing["here"] == 6
        assert visitor.standing["counted"] == "6 of 6"
        assert "6 of 6" in visitor.get("/").text


def test_workers_that_share_their_holds_create_exactly_what_is_left(
    home: Path,
) -> None:
    with (
        redis_server() as redis,
        running(THREADS, home, REVVENU_HOLDS=redis.url) as application,
        Visitor(application.url, FREE) as visitor,
    ):
        for _ in range(ROUNDS):
            for _ in range(3):
                visitor.delete_one()
            assert visitor.at_once(100) == {302: 3, 402: 97}
            assert visitor.standing["here"] == 6
            assert visitor.standing["counted"] == "6 of 6"


def test_form_that_is_sent_twice_makes_one_template(application: Application) -> None:
    with Visitor(application.url, ESSENTIALS) as visitor:
        form_id = visitor.form_id
        assert visitor.at_once(2, form_id) == {302: 2}
        assert visitor.create("Much later", form_id) == 302
        assert visitor.standing["here"] == 4
        assert visitor.standing["counted"] == "4 of 6"


def test_second_click_on_the_last_unit_is_answered_as_the_first(
    application: Application,
) -> None:
    with Visitor(application.url, ESSENTIALS) as visitor:
        assert [visitor.create(f"Number {each}") for each in (4, 5)] == [302, 302]
        form_id = visitor.form_id
        assert visitor.at_once(2, form_id) == {302: 2}
        assert "is ready to be filled" in visitor.get("/templates/").text
        assert visitor.standing["counted"] == "6 of 6"
        assert visitor.create("Another form") == 402


def test_two_forms_for_the_last_unit_are_one_template_and_one_402(
    application: Application,
) -> None:
    with Visitor(application.url, ESSENTIALS) as visitor:
        assert [visitor.create(f"Number {each}") for each in (4, 5)] == [302, 302]
        assert visitor.at_once(2) == {302: 1, 402: 1}
        assert visitor.standing["here"] == 6


def test_form_of_one_customer_is_none_of_another(application: Application) -> None:
    with Visitor(application.url, FREE) as free:
        free.delete_one()
        form_id = free.form_id
        assert free.create("Mine", form_id) == 302
        with Visitor(application.url, ESSENTIALS) as essentials:
            assert essentials.create("Mine as well", form_id) == 302
            assert essentials.standing["here"] == 4


def test_button_sends_a_hundred_requests_and_tells_what_came_of_them(
    application: Application,
) -> None:
    with Visitor(application.url, ESSENTIALS) as visitor:
        assert not visitor.standing["burst_ended"]
        told = burst(visitor)
        assert (told["created"], told["denied"], told["others"]) == (3, 97, 0)
        assert told["burst_counted"] == told["counted"] == "6 of 6"
        assert told["is_within"]
        assert told["took"].endswith(" s")
        again = burst(visitor)
        assert (again["created"], again["denied"]) == (0, 100)
        assert again["is_within"]
        visitor.begin_again()
        assert not visitor.standing["burst_ended"]


def test_button_does_not_hang_a_server_with_one_worker(home: Path) -> None:
    with (
        running(ONE_WORKER, home) as application,
        Visitor(application.url, ESSENTIALS) as visitor,
    ):
        told = burst(visitor)
        assert (told["created"], told["denied"], told["others"]) == (3, 97, 0)
        assert told["is_within"]


def test_archived_customer_is_refused_a_hundred_times(
    application: Application,
) -> None:
    with Visitor(application.url, ARCHIVED) as visitor:
        told = burst(visitor)
        assert (told["created"], told["denied"], told["others"]) == (0, 0, 100)
        assert told["burst_counted"] == "nothing"
        assert not told["is_over"]
