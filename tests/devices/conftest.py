import pytest


@pytest.fixture(autouse=True)
def _elsewhere(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--device") == "cpu":
        pytest.skip("of another device than the CPU: pytest --device pretend tests/devices")
