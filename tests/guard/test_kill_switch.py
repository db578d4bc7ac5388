"""The kill switch: on, off, or as a function says."""

from __future__ import annotations

import pytest

from sidecar_client.local import LocalSidecar
from stigg_guard import ConfigurationError, Guard, Settings, Subject
from stigg_guard.kill_switch import KillSwitch

DOMAIN = "feature-03-custom-domain"
TEMPLATES = "feature-01-templates"
AT_LIMIT = Subject("customer-demo-02")

states: list[object] = [True]


def is_on() -> object:
    """The last state of the tests'."""
    if isinstance(states[-1], Exception):
        raise states[-1]
    return states[-1]


async def is_on_later() -> bool:
    return True


def test_switched_off_guard_allows_and_reports_nothing(sidecar: LocalSidecar) -> None:
    guard = Guard(target=sidecar.target, enabled=False)
    decision = guard.require(AT_LIMIT, DOMAIN)
    assert (decision.allowed, decision.source) == (True, "guard")
    assert guard.report(AT_LIMIT, TEMPLATES) == "bypassed"
    assert guard.report_event(AT_LIMIT, "email.sent") == "bypassed"
    with guard.metered(AT_LIMIT, TEMPLATES) as usage:
        usage.value = 5
    assert guard.entitlements(AT_LIMIT).has(DOMAIN)
    assert not sidecar.calls
    assert guard.counts == {"bypassed": 5}


async def test_asynchronous_guard_is_switched_off_too(sidecar: LocalSidecar) -> None:
    guard = Guard(target=sidecar.target, enabled=False).aio
    assert await guard.require(AT_LIMIT, DOMAIN)
    async with guard.metered(AT_LIMIT, TEMPLATES):
        pass
    assert not sidecar.calls


def test_what_began_before_the_switch_is_brought_to_its_end(
    sidecar: LocalSidecar,
) -> None:
    states[:] = [True]
    guard = Guard(target=sidecar.target, timeout=5, write_timeout=5, enabled=is_on)
    with guard.metered(Subject("customer-demo-01"), TEMPLATES):
        states.append(False)
    assert guard.counts["acknowledged"] == 1
    states.append(True)


def test_each_change_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    states[:] = [True]
    switch = KillSwitch(lambda: bool(is_on()))
    for state in (True, False, False, True, True, False):
        states.append(state)
        assert switch.is_off() is not state
    assert [message[:16] for message in caplog.messages] == [
        "The guard is off",
        "The guard is on ",
        "The guard is off",
    ]


@pytest.mark.parametrize("broken", [RuntimeError("no flags"), None, "off"])
def test_function_that_fails_changes_nothing_and_is_logged_once(
    caplog: pytest.LogCaptureFixture, broken: object
) -> None:
    states[:] = [broken]
    settings = Settings.from_mapping({"ENABLED": f"{__name__}.is_on"})
    switch = KillSwitch(settings.enabled)
    assert [switch.is_off(), switch.is_off()] == [False, False]
    assert len(caplog.records) == 1
    assert "the guard stays on" in caplog.messages[0]
    states.append(False)
    assert switch.is_off()
    states.append(broken)
    assert switch.is_off()
    assert "the guard stays off" in caplog.messages[-1]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("maybe", 'ENABLED"] is "maybe"; use True, False, or a function'),
        (None, 'ENABLED"] is None; use True, False, or a function'),
        (1, 'ENABLED"] is 1; use True, False, or a function'),
        (f"{__name__}.nothing", f'"{__name__}" has no "nothing"'),
        (f"{__name__}.is_on_later", "is not awaited"),
    ],
)
def test_wrong_switch_is_one_clear_error(value: object, message: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        Settings.from_mapping({"ENABLED": value})
    assert message in str(raised.value)


def test_environment_switches_off_and_names_itself_when_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for text, state in (("false", False), ("0", False), ("true", True)):
        monkeypatch.setenv("STIGG_GUARD_ENABLED", text)
        assert Settings.from_mapping({}).enabled is state
        assert Settings.from_options({}, owner="Guard").enabled is state
        assert Settings.from_flat({}).enabled is state
        assert Settings.from_env().enabled is state
        assert Settings.from_mapping({"ENABLED": not state}).enabled is not state
    assert Settings.from_env({}).enabled is True
    monkeypatch.setenv("STIGG_GUARD_ENABLED", "perhaps")
    with pytest.raises(ConfigurationError, match='STIGG_GUARD_ENABLED is "perhaps"'):
        Settings.from_mapping({})
