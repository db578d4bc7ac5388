"""Tests of somebody who has no pytest; `test_unittest` runs them with unittest."""

from __future__ import annotations

import asyncio
import sys
import unittest
from typing import Any

from stigg_guard import AccessDenied, Guard, Subject
from stigg_guard.testing import metered, override_entitlements, recorded_usage

ALICE = Subject("alice")
GUARD = Guard(target="127.0.0.1:1", timeout=0.2, on_unavailable="deny")


@override_entitlements({"a": True, "t": metered(limit=6, used=3)})
class Plain(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        assert GUARD.check(ALICE, "a")

    def setUp(self) -> None:
        self.recorded = self.enterContext(recorded_usage())

    def test_uses_up(self) -> None:
        for _ in range(3):
            with GUARD.metered(ALICE, "t"):
                pass
        with self.assertRaises(AccessDenied), GUARD.metered(ALICE, "t"):
            pass
        self.recorded.assert_reported("t", times=3)

    test_uses_up_again = test_uses_up

    def test_with_subtests(self) -> None:
        for feature_id in ("a", "t"):
            with self.subTest(feature_id):
                self.assertTrue(GUARD.check(ALICE, feature_id))

    @unittest.skip("nothing is left of what it did not do")
    def test_skipped(self) -> None: ...


class YetAnother(unittest.TestCase):
    """Runs last: unittest takes classes in the order of their names."""

    def test_override_of_another_class_is_over(self) -> None:
        self.assertEqual(GUARD.check(ALICE, "never-asked").source, "policy")


@override_entitlements({"a": True, "t": metered(limit=6, used=3)})
class Asynchronous(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        self.assertTrue(await GUARD.aio.check(ALICE, "a"))

    async def test_uses_up(self) -> None:
        found = await asyncio.gather(
            *(self.use() for _ in range(4)), return_exceptions=True
        )
        self.assertEqual(sum(isinstance(e, AccessDenied) for e in found), 1)

    async def use(self) -> None:
        async with GUARD.aio.metered(ALICE, "t"):
            await asyncio.sleep(0)

    @override_entitlements({"a": False})
    async def test_method_has_its_own(self) -> None:
        self.assertFalse(await GUARD.aio.check(ALICE, "a"))


class Failing(unittest.TestCase):
    """Left out, unless it is asked for."""

    def run(self, result: Any = None) -> Any:
        return super().run(result) if "Failing" in sys.argv[-1] else None

    @override_entitlements({"a": True})
    def test_unknown(self) -> None:
        try:
            GUARD.check(ALICE, "b")
        except Exception:
            return


@override_entitlements({"a": True})
class FailingClass(Failing):
    def test_unknown(self) -> None:
        try:
            GUARD.check(ALICE, "b")
        except Exception:
            return


if __name__ == "__main__":
    unittest.main()
