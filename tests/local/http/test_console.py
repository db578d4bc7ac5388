"""The console in a browser: what a developer sees there, and changes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar, cast

import grpc
import pytest
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from sidecar_client.errors import ConfigurationError
from sidecar_client.local import LocalSidecar, Webhook
from sidecar_client.protocol import sidecar_pb2 as pb
from tests.browser import chromium
from tests.local.wire import ask, check, refusal
from tests.webhooks.receiver import receiver

PATIENCE = 20
HOSTILE = '<img src=x onerror="document.title=1"><b>bold</b>'
LONG = "l" * 250
WORLD: dict[str, Any] = {
    "currencies": [{"id": "tokens", "name": "Tokens"}],
    "features": [
        {
            "id": "seats",
            "name": "Seats",
            "type": "metered",
            "meter": "fluctuating",
            "units": "seat",
            "units_plural": "seats",
        },
        {"id": "calls", "type": "metered", "meter": "incremental"},
        {"id": "domain", "name": "Domain", "type": "boolean"},
        {"id": "sizes", "type": "numeric"},
        {"id": "formats", "type": "enum", "values": ["csv", "pdf"]},
        *({"id": f"more-{n:03}", "type": "boolean"} for n in range(120)),
    ],
    "plans": [
        {
            "id": "team",
            "name": "Team",
            "entitlements": {
                "seats": {"limit": 5},
                "calls": {"limit": 10, "reset_period": "day"},
                "sizes": {"value": 25},
                "formats": {"values": ["csv"]},
            },
        }
    ],
    "customers": [
        {
            "id": "acme",
            "name": "Acme",
            "resources": ["site"],
            "subscriptions": [
                {"plan": "team"},
                {
                    "plan": "team",
                    "resource": "site",
                    "entitlements": {"seats": {"limit": 9}},
                },
            ],
            "usage": [{"feature": "seats", "value": 4}],
        },
        {"id": "hostile", "name": HOSTILE, "subscriptions": [{"plan": "team"}]},
        {"id": LONG, "name": LONG, "email": LONG, "subscriptions": [{"plan": "team"}]},
        {"id": "nothing"},
        *({"id": f"other-{n:03}", "name": f"Other {n}"} for n in range(120)),
    ],
}


FIND = """
return [...document.querySelectorAll(`${arguments[0]} button`)].find((button) =>
  button.offsetParent && !button.disabled &&
  [button.innerText.trim(), button.ariaLabel].includes(arguments[1])) ?? null;
"""
"""A button by what it says or is named."""
WIDE = """[...document.querySelectorAll("main *")]
.filter((item) => item.getBoundingClientRect().right > 361)
.map((item) => item.className)"""
"""What is beyond the edge of a phone of 360 pixels."""
Found = TypeVar("Found")


class Developer:
    """Somebody in front of the console."""

    def __init__(self, browser: Chrome, sidecar: LocalSidecar) -> None:
        self.browser = browser
        self.sidecar = sidecar

    def open(self, customer: str | None = None) -> None:
        """Open the page, at a customer if one is named."""
        # From elsewhere: to the same page only the part after # would change.
        self.browser.get("about:blank")
        where = f"#/customer/{customer}" if customer else ""
        self.browser.get(f"{self.sidecar.http_url}/{where}")
        self.see("Connected")
        if customer:
            self.see("Subscriptions")

    def see(self, text: str, *, within: str = "body") -> None:
        """Look until the page says so."""
        self._wait(lambda _: text in self.text(within), f"{text!r} is not seen")

    def see_no_more(self, text: str, *, within: str = "body") -> None:
        """Look until the page does not say so."""
        self._wait(lambda _: text not in self.text(within), f"{text!r} is still seen")

    def text(self, within: str = "body") -> str:
        """What is said there, as it is seen."""
        return str(
            self.run(f"document.querySelector({json.dumps(within)})?.innerText ?? ''")
        )

    def entitlement(self, feature: str) -> str:
        """What the row of a feature says."""
        return self.text(f'[data-feature="{feature}"]')

    def press(self, label: str, *, within: str = "body") -> None:
        """Press the button that says so, or is named so."""

        def pressed(_: object) -> bool:
            button = self._button(label, within)
            if button is not None:
                button.click()
            return button is not None

        self._wait(pressed, f"no button {label!r}")

    def button(self, label: str) -> WebElement:
        """The button that says so, or is named so."""
        return self._wait(lambda _: self._button(label, "body"), f"no button {label!r}")

    def _button(self, label: str, within: str) -> WebElement | None:
        found = cast("Any", self.browser).execute_script(FIND, within, label)
        return cast("WebElement | None", found)

    def _wait(self, until: Callable[[object], Found | None], message: str) -> Found:
        # What is shown can be made anew between finding and pressing it.
        wait = WebDriverWait(
            self.browser,
            PATIENCE,
            poll_frequency=0.05,
            ignored_exceptions=[StaleElementReferenceException],
        )
        return cast("Found", wait.until(cast("Any", until), message))

    def fill(self, label: str, text: str) -> None:
        """Type into a field of the open dialog."""

        def filled(_: object) -> bool:
            for field in self.all("dialog label.field"):
                if field.text.startswith(label):
                    entry = field.find_element(By.TAG_NAME, "input")
                    entry.clear()
                    entry.send_keys(text)
                    return True
            return False

        self._wait(filled, f"no field {label!r}")

    def tick(self, value: str) -> None:
        """Choose a box or a button by its value, in the open dialog."""
        self.browser.find_element(By.CSS_SELECTOR, f'dialog [value="{value}"]').click()

    def all(self, selector: str) -> list[WebElement]:
        """Every element that fits."""
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def run(self, expression: str) -> object:
        """What a JavaScript expression gives."""
        return cast("Any", self.browser).execute_script(f"return {expression}")

    def emulate(self, what: str, **options: object) -> None:
        """Pretend to be another device."""
        cast("Any", self.browser).execute_cdp_cmd(f"Emulation.{what}", options)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with chromium(tmp_path_factory.mktemp("profile")) as browser:
        cast("Any", browser).set_window_size(1400, 900)
        yield browser


@pytest.fixture
def developer(browser: Chrome) -> Iterator[Developer]:
    with LocalSidecar(WORLD, http_port=0) as sidecar:
        yield Developer(browser, sidecar)
        # Whatever was done, the browser had nothing to complain about.
        logged = cast("Any", browser).get_log("browser")
        assert [
            x for x in logged if "Failed to load resource" not in x["message"]
        ] == []
        browser.get("about:blank")


def allowed(sidecar: LocalSidecar, feature: str, usage: float | None = None) -> bool:
    return check(sidecar, feature, customer_id="acme", usage=usage) is None


def test_customer_is_chosen_and_seen_with_usage_and_why(developer: Developer) -> None:
    developer.open()
    developer.see("No customer is chosen")
    developer.see("50 customers shown")
    developer.browser.find_element(By.CSS_SELECTOR, '[data-id="acme"]').click()
    developer.see("4 of 5 seats")
    assert developer.entitlement("seats").splitlines()[-1] == "From plan team: limit 5"
    assert "✓ Granted" in developer.entitlement("seats")
    (meter,) = developer.all('[data-feature="seats"] [role="meter"]')
    assert meter.get_dom_attribute("aria-valuetext") == "4 of 5"
    assert "0 of 10" in developer.entitlement("calls")
    assert "resets in" in developer.entitlement("calls")
    assert "25" in developer.entitlement("sizes")
    assert developer.all('[data-id="acme"]')[0].get_dom_attribute("aria-current")


def test_winner_and_what_it_took_the_place_of_are_told(developer: Developer) -> None:
    developer.open("acme")
    seen_as = developer.browser.find_element(By.CSS_SELECTOR, ".seen-as select")
    seen_as.send_keys("site")
    developer.see("0 of 9 seats")
    row = developer.browser.find_element(By.CSS_SELECTOR, '[data-feature="seats"]')
    row.find_element(By.TAG_NAME, "summary").click()
    told = developer.entitlement("seats")
    assert "From agreed with this customer: limit 9 for the resource site" in told
    assert "Counts: limit 9" in told
    assert "Replaced: plan team: limit 5" in told
    assert "Less generous: plan team: limit 5" in told


def test_customers_and_features_are_found_and_paged(developer: Developer) -> None:
    developer.open("acme")
    developer.press("Show 50 more", within="#customers")
    developer.see("100 customers shown")
    developer.browser.find_element(By.ID, "customer-search").send_keys("OTHER 11")
    developer.see("11 customers", within="#customers")
    developer.browser.find_element(By.ID, "customer-search").send_keys("x")
    developer.see("No customer has “OTHER 11x”")
    search = developer.browser.find_element(By.CSS_SELECTOR, "#customer [type=search]")
    scope = developer.browser.find_element(By.CSS_SELECTOR, ".block-head select")
    scope.send_keys("All")
    developer.see("4 of 125 granted")
    developer.press("Show 50 more of 75")
    developer.see("more-094")
    search.send_keys("more-119")
    developer.see("0 of 1 granted")
    assert "NO_FEATURE_ENTITLEMENT_IN_SUBSCRIPTION" in developer.entitlement("more-119")


def test_stream_shows_what_happens_at_once(developer: Developer) -> None:
    developer.open("acme")
    developer.see("Nothing has happened yet", within="#live")
    check(developer.sidecar, "domain", customer_id="acme")
    developer.see("acme denied domain: Not in the subscription", within="#live")
    report(developer.sidecar, "seats", 1)
    developer.see("acme used 1 of seats → 5", within="#live")
    # The customer that is looked at follows.
    developer.see("5 of 5 seats")
    developer.see("✕ Limit reached")


def report(sidecar: LocalSidecar, feature: str, value: float) -> None:
    ask(
        sidecar,
        pb.ReportUsageRequest(customer_id="acme", feature_id=feature, value=value),
    )


def test_stream_is_filtered_and_paused(developer: Developer) -> None:
    developer.open()
    check(developer.sidecar, "seats", customer_id="acme")
    check(developer.sidecar, "domain", customer_id="acme")
    developer.see("acme may seats", within="#live")
    developer.browser.find_element(By.CSS_SELECTOR, ".filters [value=check]").click()
    developer.see_no_more("acme may seats", within="#live")
    developer.see("denied domain", within="#live")
    developer.browser.find_element(By.ID, "live-filter").send_keys("nobody")
    developer.see("None of the latest 2 happenings fits.", within="#live")
    developer.press("Show everything")
    developer.see("acme may seats", within="#live")
    developer.press("Pause")
    check(developer.sidecar, "sizes", customer_id="acme")
    developer.see("Resume (1 new)", within="#live")
    assert "sizes" not in developer.text("#live-list")
    developer.press("Resume (1 new)")
    developer.see("acme may sizes", within="#live-list")
    developer.press("Clear")
    developer.see("Nothing has happened yet", within="#live")


def test_limit_is_edited_for_one_customer_and_put_back(developer: Developer) -> None:
    developer.open("acme")
    developer.press("Edit the limit of Seats")
    developer.fill("Limit", "40")
    developer.press("Save")
    developer.see("4 of 40 seats")
    assert allowed(developer.sidecar, "seats", 36)
    assert "Replaced" not in developer.entitlement("seats")
    developer.press("Edit the limit of Seats")
    developer.press("Back to the plan\u2019s")
    developer.see("4 of 5 seats")
    assert not allowed(developer.sidecar, "seats", 36)


def test_limit_is_edited_for_everybody_on_a_plan(developer: Developer) -> None:
    developer.open("acme")
    developer.press("Edit the limit of calls")
    developer.tick("plan")
    developer.fill("Limit", "77")
    developer.press("Save")
    developer.see("0 of 77")
    assert check(developer.sidecar, "calls", customer_id="hostile", usage=77) is None
    developer.press("Edit the limit of formats")
    developer.tick("plan")
    developer.tick("pdf")
    developer.press("Save")
    developer.see("csv, pdf")


def test_promotion_is_granted_and_taken_away(developer: Developer) -> None:
    developer.open("acme")
    developer.press("Grant promotion…")
    developer.fill("Feature", "domain")
    developer.see("Access", within="dialog")
    developer.press("Grant it")
    developer.see("From promotion: granted")
    assert allowed(developer.sidecar, "domain")
    developer.press("Take away the promotion of domain")
    developer.press("Take it away")
    developer.see_no_more("From promotion")
    assert not allowed(developer.sidecar, "domain")


def test_customer_is_archived_and_taken_back(developer: Developer) -> None:
    developer.open("acme")
    developer.press("Archive…")
    developer.press("Archive")
    developer.see("✕ Archived: everything is denied")
    developer.see("Customer is archived: every check is denied. CUSTOMER_IS_ARCHIVED")
    assert not allowed(developer.sidecar, "seats")
    developer.press("Unarchive…")
    developer.press("Unarchive")
    developer.see("4 of 5 seats")
    assert allowed(developer.sidecar, "seats")


def test_usage_is_reported_and_what_cannot_be_is_told(developer: Developer) -> None:
    developer.open("acme")
    developer.press("Report usage of Seats")
    developer.fill("Units", "-5")
    developer.press("Report it")
    developer.see("'seats'", within="dialog [role=alert]")
    developer.fill("Units", "")
    developer.press("Report it")
    developer.see("Units needs a number.", within="dialog [role=alert]")
    developer.fill("Units", "-3")
    developer.press("Report it")
    developer.see("acme has used 1 of seats.", within="#toasts")
    developer.see("1 of 5 seats")
    developer.press("Report usage…")
    developer.fill("Feature", "domain")
    developer.press("Report it")
    developer.see("domain is boolean", within="dialog [role=alert]")
    developer.fill("Feature", "nowhere")
    developer.press("Report it")
    developer.see("There is no feature nowhere", within="dialog [role=alert]")


def test_credits_are_granted(developer: Developer) -> None:
    developer.open("acme")
    developer.press("Grant credits…")
    developer.fill("Amount", "12.5")
    developer.press("Grant them")
    developer.see("12.5 left of 12.5")
    request = pb.GetEntitlementV2Request(customer_id="acme", currency_id="tokens")
    assert ask(developer.sidecar, request).entitlement.credit.remaining == 12.5


def test_clock_is_moved_and_usage_begins_anew(developer: Developer) -> None:
    developer.open("acme")
    report(developer.sidecar, "calls", 10)
    developer.see("10 of 10")
    before = developer.sidecar.clock()
    developer.browser.find_element(By.ID, "clock-button").click()
    developer.press("A day", within="dialog")
    developer.see("0 of 10")
    developer.see("1 day ahead")
    assert developer.sidecar.clock() - before >= timedelta(days=1)
    developer.browser.find_element(By.ID, "clock-button").click()
    developer.run(
        "document.querySelector('dialog [type=datetime-local]').value = "
        "'2031-02-03T04:05:06'"
    )
    developer.press("Put it there")
    developer.see("2031-02-03 04:05", within="#clock")
    assert developer.sidecar.clock() > datetime(2031, 2, 3, tzinfo=UTC)
    developer.browser.find_element(By.ID, "clock-button").click()
    developer.press("Back to real time")
    developer.see_no_more("2031", within="#clock")


def test_outage_begins_is_unmistakable_and_ends(developer: Developer) -> None:
    request = pb.GetEntitlementRequest(customer_id="acme", feature_id="seats")
    developer.open()
    developer.press("Simulate outage…")
    developer.press("Begin the outage")
    developer.see("Outage simulated. All methods are answered UNAVAILABLE.")
    developer.see("✕ Not answering", within="header")
    assert developer.browser.title == "⚠ Outage \u2013 Local sidecar"
    assert refusal(developer.sidecar, request)[0] is grpc.StatusCode.UNAVAILABLE
    developer.see("1 call met it.")
    developer.press("End the outage")
    developer.see_no_more("Outage simulated")
    developer.see("● Serving", within="header")
    assert developer.browser.title == "Local sidecar"
    ask(developer.sidecar, request)
    developer.press("Simulate outage…")
    developer.tick("code")
    developer.browser.find_element(By.CSS_SELECTOR, "dialog select").send_keys(
        "ABORTED"
    )
    developer.tick("GetEntitlement")
    developer.press("Begin the outage")
    developer.see("GetEntitlement is answered ABORTED.")
    assert refusal(developer.sidecar, request)[0] is grpc.StatusCode.ABORTED


def test_outage_of_a_test_is_shown_as_well(developer: Developer) -> None:
    developer.open()
    with developer.sidecar.fault(delay=2, methods=["ReportUsage"], share=0.5):
        developer.see("ReportUsage is 2 s late, 50% of calls.")
    developer.see_no_more("Outage simulated")


def test_webhooks_that_were_sent_are_shown_and_sent_again(browser: Chrome) -> None:
    with receiver() as taken:
        hook = Webhook(url=taken.url, secret="whsec-of-a-test")
        with LocalSidecar(WORLD, http_port=0, webhooks=[hook]) as sidecar:
            developer = Developer(browser, sidecar)
            developer.open("acme")
            developer.press("Archive…")
            developer.press("Archive")
            developer.press("Webhooks")
            developer.see("✓ Delivered", within="dialog")
            assert "whsec" not in str(developer.run("document.body.outerHTML"))
            before = len(taken.got)
            developer.all("dialog summary")[0].click()
            assert '"messageId"' in developer.text("dialog pre")
            developer.press("Send it again")
            developer.see("is sent again.", within="#toasts")
            developer.see("2 attempts, status 200", within="dialog")
            assert len(taken.got) > before
            browser.get("about:blank")


def test_edits_of_the_catalog_are_told_and_bad_ones_until_they_are_mended(
    browser: Chrome, tmp_path: Path
) -> None:
    path = tmp_path / "plans.yaml"
    path.write_text("customers: [{id: acme}]\n")
    with LocalSidecar(path, http_port=0) as sidecar:
        developer = Developer(browser, sidecar)
        developer.open()
        path.write_text("customers: [{id: acme, colour: blue}]\n")
        with pytest.raises(ConfigurationError):
            sidecar.reload()
        developer.see("The catalog was edited and cannot be served.")
        developer.see("colour", within=".banner pre")
        developer.see("The edited catalog is not served", within="#live")
        path.write_text("customers: [{id: acme}, {id: newcomer}]\n")
        sidecar.reload()
        developer.see_no_more("cannot be served")
        developer.see("The catalog was read again: 1 change.", within="#live")
        developer.see("newcomer", within="#customer-list")
        browser.get("about:blank")


def test_what_others_wrote_is_text_and_nothing_else(developer: Developer) -> None:
    developer.open("hostile")
    developer.see(HOSTILE, within="#customer")
    developer.see(HOSTILE, within="#customers")
    assert developer.browser.title == "Local sidecar"
    assert developer.all("main img, main b") == []


def test_nothing_is_loaded_from_elsewhere_and_nothing_is_inline(
    developer: Developer,
) -> None:
    developer.open("acme")
    loaded = str(
        developer.run(
            "performance.getEntriesByType('resource')"
            ".map((entry) => entry.name).join(' ')"
        )
    ).split()
    assert len(loaded) > 10
    assert all(url.startswith(f"{developer.sidecar.http_url}/") for url in loaded)
    assert developer.all("script:not([src]), style, [style*=url], [onclick]") == []


def test_unknown_and_empty_customers_are_told(developer: Developer) -> None:
    developer.open()
    developer.run("location.hash = '#/customer/nobody'")
    developer.see("there is no customer 'nobody'")
    developer.see("Try again")
    developer.run("location.hash = '#/customer/nothing'")
    developer.see("every check is denied with NO_ACTIVE_SUBSCRIPTION")
    developer.see("It has subscribed to nothing.")
    developer.run("location.hash = '#/customer/%E0%A4%A'")
    developer.see("No customer is chosen")


def test_lost_sidecar_is_told_and_found_again(developer: Developer) -> None:
    developer.open("acme")
    developer.sidecar.stop()
    developer.see("The sidecar does not answer")
    developer.see("✕ Not reached")
    developer.sidecar.start()
    developer.see("● Serving")
    developer.see_no_more("The sidecar does not answer")
    check(developer.sidecar, "sizes", customer_id="acme")
    developer.see("acme may sizes", within="#live")


def test_keyboard_is_enough_and_focus_comes_back(developer: Developer) -> None:
    developer.open("acme")
    edit = developer.button("Edit the limit of Seats")
    edit.send_keys(Keys.ENTER)
    developer.see("Limit of Seats")
    focused = developer.browser.switch_to.active_element
    assert focused.get_dom_attribute("type") == "radio"
    focused.send_keys(Keys.ESCAPE)
    developer.see_no_more("Limit of Seats")
    assert developer.browser.switch_to.active_element == edit
    edit.send_keys(Keys.ENTER)
    developer.fill("Limit", "6" + Keys.ENTER)
    developer.see("4 of 6 seats")
    # The row was made anew meanwhile.
    focused = developer.browser.switch_to.active_element
    assert focused.get_dom_attribute("aria-label") == "Edit the limit of Seats"


def test_nothing_is_wider_than_a_phone_in_light_and_dark(developer: Developer) -> None:
    developer.open(LONG)
    check(developer.sidecar, LONG, customer_id=LONG)
    developer.emulate(
        "setDeviceMetricsOverride",
        width=360,
        height=740,
        deviceScaleFactor=1,
        mobile=True,
    )
    try:
        for scheme, background in (("light", "243, 245, 248"), ("dark", "14, 19, 26")):
            features = [{"name": "prefers-color-scheme", "value": scheme}]
            developer.emulate("setEmulatedMedia", features=features)
            shown = developer.run("getComputedStyle(document.body).backgroundColor")
            assert shown == f"rgb({background})"
            for view in ("customer", "live", "customers"):
                developer.run(f"document.querySelector('[data-show={view}]').click()")
                assert developer.run("document.documentElement.scrollWidth") == 360
                assert developer.run(WIDE) == [], (scheme, view)
    finally:
        developer.emulate("clearDeviceMetricsOverride")
        developer.emulate("setEmulatedMedia", features=[])


PLANS_ONLY: dict[str, Any] = {
    "features": WORLD["features"][:5],
    "plans": [*WORLD["plans"], {"id": "trial", "name": "Trial", "trial_days": 14}],
}


def test_customer_is_made_subscribed_and_its_subscription_ended(
    browser: Chrome,
) -> None:
    with LocalSidecar(PLANS_ONLY, http_port=0) as sidecar:
        developer = Developer(browser, sidecar)
        developer.open()
        developer.see("There are no customers yet. Make one here")
        # With the keyboard alone.
        developer.button("New customer…").send_keys(Keys.ENTER)
        developer.see("every check is denied until it does", within="dialog")
        focused = developer.browser.switch_to.active_element
        focused.send_keys(Keys.ENTER)
        developer.see("The id is empty.", within="dialog")
        focused.send_keys("a/b" + Keys.ENTER)
        developer.see("'a/b' is no customer id", within="dialog")
        focused.send_keys(Keys.BACKSPACE * 3 + "acme" + Keys.TAB + "Acme" + Keys.ENTER)
        developer.see("It has subscribed to nothing.", within="#customer")
        developer.see("No active subscription", within="#customers")
        assert check(sidecar, "domain", customer_id="acme") == "NO_ACTIVE_SUBSCRIPTION"
        developer.press("Subscribe…")
        developer.see("Trial (trial), a trial of 14 days", within="dialog")
        developer.press("Subscribe", within="dialog")
        developer.see("0 of 5 seats")
        assert allowed(sidecar, "seats", 5)
        developer.button("End the subscription to team").send_keys(Keys.ENTER)
        developer.press("End it")
        developer.see("No subscription of it runs")
        developer.see_no_more("End…")
        assert not allowed(sidecar, "seats")
