import os
import shutil

import pytest

from daemon import Daemon


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    """A daemon of its own for each file of tests; each test uses a database of its own."""
    binary = os.environ["SEALINE_BIN"]
    with Daemon(binary, str(tmp_path_factory.mktemp("sealine"))) as running:
        yield running


@pytest.fixture
def db(request):
    """A database named after the test."""
    return request.node.name.split("[")[0]


def program(name, package):
    """Where a program is; without it the test is skipped or, with INTEGRATION_REQUIRE_ALL=1, fails."""
    if found := shutil.which(name):
        return found
    say = pytest.fail if os.environ.get("INTEGRATION_REQUIRE_ALL") == "1" else pytest.skip
    say(f"{name} is not installed (Debian: apt-get install {package})")


@pytest.fixture(scope="session")
def promtool():
    return program("promtool", "prometheus")


@pytest.fixture(scope="session")
def prometheus():
    return program("prometheus", "prometheus")


@pytest.fixture(scope="session")
def influx():
    return program("influx", "influxdb-client")
