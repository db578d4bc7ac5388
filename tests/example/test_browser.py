"""Revvenu in a browser: what a person sees and clicks."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from tests.browser import chromium
from tests.example.application import PATIENCE, Application, running
from tests.example.test_outage import DEMO


class Person:
    """Somebody in front of Revvenu's pages."""

    def __init__(self, browser: Chrome, url: str) -> None:
        self.browser = browser
        self._url = url

    def open(self, path: str) -> None:
        """Type an address."""
        self.browser.get(self._url + path)

    def choose(self, company: str) -> None:
        """Log in."""
        self.open("/login/")
        self.press(company)
        self.press("Start the demo over")

    def press(self, label: str) -> None:
        """Click a button and see the next page."""
        self._leave_by(self.button(label))

    def button(self, label: str) -> WebElement:
        """The first button that can be seen and says so."""
        buttons = self.browser.find_elements(By.TAG_NAME, "button")
        return next(found for found in buttons if label in found.text)

    def see(self, text: str) -> None:
        """Look at the page until it says so."""
        WebDriverWait(self.browser, PATIENCE).until(lambda _: text in self.text, text)

    def follow(self, label: str) -> None:
        """Click a link and see the next page."""
        self._leave_by(self.browser.find_element(By.LINK_TEXT, label))

    def _leave_by(self, element: WebElement) -> None:
        self.wait_for_next_page(element.click)

    def wait_for_next_page(self, leave: Callable[[], None]) -> None:
        """Do something that leads to another page."""
        page = self.browser.find_element(By.TAG_NAME, "html")
        leave()
        WebDriverWait(self.browser, PATIENCE).until(
            lambda browser: (
                browser.find_element(By.TAG_NAME, "html") != page
                and self.evaluate("document.readyState") == "complete"
            )
        )

    def evaluate(self, expression: str) -> object:
        """What a JavaScript expression gives."""
        return cast("Any", self.browser).execute_script(f"return {expression}")

    def emulate(self, what: str, **options: object) -> None:
        """Pretend to be another device."""
        cast("Any", self.browser).execute_cdp_cmd(f"Emulation.{what}", options)

    def fill(self, name: str, text: str) -> None:
        """Type into a field."""
        self.browser.find_element(By.NAME, name).send_keys(text)

    @property
    def heading(self) -> str:
        """The page's headline."""
        return self.browser.find_element(By.TAG_NAME, "h1").text

    @property
    def text(self) -> str:
        """Everything the page says."""
        return self.browser.find_element(By.TAG_NAME, "body").text


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with chromium(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture(scope="module")
def application(
    tmp_path_factory: pytest.TempPathFactory, migrated: Path
) -> Iterator[Application]:
    home = tmp_path_factory.mktemp("application")
    shutil.copy(migrated, home)
    with running(DEMO, home) as application:
        yield application


@pytest.fixture
def person(browser: Chrome, application: Application) -> Person:
    return Person(browser, application.url)


def test_customer_creates_templates_until_the_plan_has_no_more(person: Person) -> None:
    person.choose("Harbor & Pine")
    assert "3 of 6" in person.text
    person.follow("Templates")
    for number in range(3):
        person.fill("name", f"Template {number}")
        person.press("Create template")
        assert f"“Template {number}” is ready" in person.text
    person.fill("name", "One too many")
    person.press("Create template")
    assert person.heading == "You have reached the limit of templates"
    assert "6 of 6 templates are in use" in person.text
    person.follow("See the plans")
    assert person.heading == "Plans"
    marked = [found.text for found in person.browser.find_elements(By.TAG_NAME, "mark")]
    assert "Templates without limit" in marked
    person.follow("Overview")
    assert "6 of 6" in person.text


def test_customer_at_its_limit_is_led_to_the_plans(person: Person) -> None:
    person.choose("Bluebird Bakery")
    person.follow("Domain")
    assert person.heading == "Custom domain is not part of your plan"
    person.follow("Files")
    assert person.heading == "Large files need a larger plan"
    person.follow("Templates")
    person.fill("name", "A seventh")
    person.press("Create template")
    assert person.heading == "You have reached the limit of templates"
    person.follow("Templates")
    assert "A seventh" not in person.text


def test_archived_customer_is_told_so(person: Person) -> None:
    person.choose("Old Mill Books")
    assert "This account is archived" in person.text
    person.follow("Domain")
    assert person.heading == "This account is archived"
    assert "See the plans" not in person.text
    person.press("Switch customer")
    assert person.heading == "Email that people look forward to"


def test_keyboard_is_enough_to_create_a_template(person: Person) -> None:
    person.choose("Harbor & Pine")
    person.open("/templates/")
    field = person.browser.find_element(By.NAME, "name")
    field.send_keys("By keyboard", Keys.TAB)
    focused = person.browser.switch_to.active_element
    assert focused.text == "Create template"
    person.wait_for_next_page(lambda: focused.send_keys(Keys.ENTER))
    assert "“By keyboard” is ready" in person.text


def test_double_click_creates_one_template(
    person: Person, application: Application
) -> None:
    person.choose("Harbor & Pine")
    person.open("/templates/")
    sent = application.said.count("POST /templates/create/")
    person.fill("name", "Clicked twice")
    create = person.button("Create template")
    twice = ActionChains(person.browser).double_click(create)
    person.wait_for_next_page(twice.perform)
    person.see("“Clicked twice” is ready")
    headings = [x.text for x in person.browser.find_elements(By.CSS_SELECTOR, "h2")]
    assert headings.count("Clicked twice") == 1
    person.see("4 of 6")
    assert application.said.count("POST /templates/create/") == sent + 1


SUBMIT_TWICE = """(() => {
    const form = document.querySelector("form.inline"), prevented = [];
    addEventListener("submit", (event) => {
        prevented.push(event.defaultPrevented);
        event.preventDefault();
    });
    form.elements.name.value = "Twice";
    form.requestSubmit();
    form.requestSubmit();
    return prevented;
})()"""


def test_form_that_is_under_way_is_not_sent_again(person: Person) -> None:
    person.choose("Harbor & Pine")
    person.open("/templates/")
    assert person.evaluate(SUBMIT_TWICE) == [False, True]
    create = person.button("Create template")
    assert create.get_dom_attribute("aria-disabled") == "true"


def test_button_shows_what_came_of_a_hundred_requests(person: Person) -> None:
    person.choose("Harbor & Pine")
    person.open("/templates/")
    page = person.browser.find_element(By.TAG_NAME, "html")
    outcome = person.browser.find_element(By.ID, "burst-outcome")
    assert not outcome.is_displayed()
    person.button("Send 100 requests at once").click()
    person.see("Within the limit. The sidecar counts 6 of 6.")
    figures = outcome.find_elements(By.TAG_NAME, "dd")
    assert [figure.text for figure in figures] == ["3", "97", ""]
    assert "All hundred were answered in" in outcome.text
    person.see("Request ")
    cards = person.browser.find_elements(By.CSS_SELECTOR, ".card h2")
    assert sum(card.text.startswith("Request ") for card in cards) == 3
    assert len(cards) == 6
    # All of it without another page.
    assert person.browser.find_element(By.TAG_NAME, "html") == page


def test_usage_waits_and_arrives_before_ones_eyes(person: Person) -> None:
    person.choose("Harbor & Pine")
    person.open("/templates/")
    person.button("Stop the sidecar").click()
    try:
        person.see("is away")
        person.fill("name", "Made meanwhile")
        person.press("Create template")
        assert "“Made meanwhile” is ready" in person.text
        person.see("1 unit is waiting to be reported. The oldest has waited")
        person.see("has waited 2 s")
    finally:
        person.button("Start the sidecar again").click()
    person.see("All of it has arrived at the sidecar.")
    person.see("4 of 6")
    assert "waiting to be reported" not in person.text
    # The focus stays where the button was.
    assert person.browser.switch_to.active_element.text == "Stop the sidecar"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_is_wider_than_a_phone(person: Person, scheme: str) -> None:
    person.emulate(
        "setDeviceMetricsOverride",
        width=360,
        height=740,
        deviceScaleFactor=1,
        mobile=True,
    )
    feature = {"name": "prefers-color-scheme", "value": scheme}
    person.emulate("setEmulatedMedia", features=[feature])
    try:
        person.choose("Harbor & Pine")
        for page in ("", "templates/", "campaigns/", "domain/", "files/", "plans/"):
            person.open(f"/{page}")
            width = person.evaluate("document.documentElement.scrollWidth")
            assert width == person.evaluate("window.innerWidth") == 360, page
            colour = person.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (colour == "rgb(25, 22, 20)") is (scheme == "dark")
    finally:
        person.emulate("clearDeviceMetricsOverride")
        person.emulate("setEmulatedMedia", features=[])
