"""Settings: which source counts, what is refused, and that a child process reads the same."""

import os
from pathlib import Path
from typing import Any

import pytest

from databench import cores
from databench.config import Settings, from_environment
from databench.errors import ConfigError


def test_without_anything_the_defaults_count() -> None:
    assert from_environment({}) == Settings()


def test_what_is_given_counts_before_the_environment_and_that_before_the_default() -> None:
    environ = {"DATABENCH_PORT": "7000", "DATABENCH_HOST": "::", "PORT": "8000"}
    settings = from_environment(environ, port=6000)
    assert (settings.port, settings.host, settings.bus) == (6000, "::", Settings().bus)


def test_none_is_not_given_and_zero_is() -> None:
    assert from_environment({"DATABENCH_PORT": "7000"}, port=None).port == 7000
    assert from_environment({"DATABENCH_PORT": "7000"}, port=0).port == 0


def test_the_port_of_a_hosting_platform_counts_after_our_own() -> None:
    assert from_environment({"PORT": "8000"}).port == 8000
    assert from_environment({"PORT": "8000", "DATABENCH_PORT": "7000"}).port == 7000


def test_an_empty_variable_is_none() -> None:
    assert from_environment({"DATABENCH_PORT": "", "PORT": "8000", "DATABENCH_LOG": ""}).port == 8000


@pytest.mark.parametrize(
    ("text", "value"), [("1", True), ("true", True), ("YES", True), ("0", False), ("False", False), ("no", False)]
)
def test_a_switch_is_read_from_words(text: str, value: bool) -> None:
    assert from_environment({"DATABENCH_DEVELOPMENT": text}).development is value


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"DATABENCH_PORT": "x"}, "DATABENCH_PORT cannot be 'x': it is a int"),
        ({"PORT": "x"}, "PORT cannot be 'x'"),
        ({"PORT": "70000"}, "PORT: 70000 is no port"),
        ({"DATABENCH_DEVELOPMENT": "maybe"}, "DATABENCH_DEVELOPMENT cannot be 'maybe'"),
        ({"DATABENCH_GRACE": "long"}, "DATABENCH_GRACE cannot be 'long'"),
        ({"DATABENCH_GRACE": "-1"}, "DATABENCH_GRACE: grace cannot be negative, it is -1"),
        ({"DATABENCH_RATE": "-1"}, "DATABENCH_RATE: rate cannot be negative, it is -1"),
        ({"DATABENCH_RATE": "nan"}, "DATABENCH_RATE: rate cannot be negative, it is nan"),
        ({"DATABENCH_LOG": "loud"}, "DATABENCH_LOG: log level 'loud' is not known: choose one of debug, info"),
        ({"DATABENCH_ENGINE": "spark"}, "DATABENCH_ENGINE: there is no engine 'spark': choose bus"),
        ({"DATABENCH_BUS": "head"}, "DATABENCH_BUS: 'head' is no bus address"),
        ({"DATABENCH_SLOTS": "-2"}, "DATABENCH_SLOTS: slots cannot be negative"),
    ],
)
def test_an_error_names_the_variable(environ: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        from_environment(environ)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("given", [{"port": -1}, {"log": "loud"}, {"bus": "x"}, {"max_payload": -1}])
def test_what_is_given_is_checked_too(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        from_environment({}, **given)


def test_a_variable_that_is_overruled_may_be_wrong() -> None:
    assert from_environment({"DATABENCH_PORT": "x"}, port=1).port == 1


@pytest.mark.parametrize(
    "settings",
    [
        Settings(),
        Settings(
            analyses=Path("/a b/analyses"),
            bus="ipc:///tmp/bus",
            name="n",
            host="::1",
            port=0,
            root_path="/root",
            origins="https://a.example, https://b.example:8443",
            slots=3,
            memory=2**29,
            renew_after=50,
            development=True,
            log="debug",
            grace=0.5,
            max_frame=1,
            max_payload=2,
        ),
    ],
)
def test_a_child_process_reads_the_same_settings(settings: Settings) -> None:
    assert from_environment(settings.environment()) == settings


def test_a_service_is_called_after_its_host_and_process() -> None:
    name = Settings().service_name("runner")
    assert name.startswith("runner-")
    assert name.endswith(f"-{os.getpid()}")
    assert "/" not in name
    assert Settings(name="mine").service_name("runner") == "mine"


def test_a_worker_has_the_slots_that_were_set_or_one_for_each_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "usable", lambda: 7)
    assert Settings(slots=3).slot_count() == 3
    assert Settings().slot_count() == 7


@pytest.mark.parametrize(
    ("text", "size"), [("1000", 1000), ("2k", 2048), ("512M", 2**29), ("1.5GiB", 3 * 2**29), ("1 TB", 2**40), ("0", 0)]
)
def test_memory_is_given_in_bytes_or_in_what_people_write(text: str, size: int) -> None:
    assert from_environment({"DATABENCH_MEMORY": text}).memory == size


@pytest.mark.parametrize("text", ["much", "-1", "1X", "M", "nan"])
def test_what_is_no_size_is_named(text: str) -> None:
    with pytest.raises(ConfigError, match=f"DATABENCH_MEMORY cannot be '{text}': it is a number of bytes, such as"):
        from_environment({"DATABENCH_MEMORY": text})
