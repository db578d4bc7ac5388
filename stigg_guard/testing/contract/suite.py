"""All tests of the contract and their fixtures, to be imported with a star.

They run with whatever the fixture `client_type` of the importing file returns.
"""

from stigg_guard.testing.contract.fixtures import *  # noqa: F403
from stigg_guard.testing.contract.guarding import *  # noqa: F403
from stigg_guard.testing.contract.headers import *  # noqa: F403
from stigg_guard.testing.contract.holds import *  # noqa: F403
from stigg_guard.testing.contract.metering import *  # noqa: F403
from stigg_guard.testing.contract.outages import *  # noqa: F403
from stigg_guard.testing.contract.policies import *  # noqa: F403
from stigg_guard.testing.contract.streams import *  # noqa: F403
