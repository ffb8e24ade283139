"""The composition root builds every provider, and each can be overridden."""

import pytest
from dependency_injector import providers

from entrypoints.container import Container
from entrypoints.settings import ConfigurationError, Settings


@pytest.mark.parametrize(
    "name",
    ["settings", "connector", "database", "resources", "tasks", "readiness", "identity", "app"],
)
def test_every_provider_builds_without_a_database(name: str) -> None:
    container = Container()
    container.settings.override(Settings.load(database_url="postgresql://nobody@127.0.0.1:1/nowhere"))
    assert container.providers[name]() is not None


def test_without_a_url_only_the_repository_fails() -> None:
    container = Container()
    assert container.app().title == "Taskward"
    with pytest.raises(ConfigurationError, match="DATABASE_URL"):
        container.tasks()


def test_an_overridden_provider_is_used() -> None:
    container = Container()
    fake = object()
    container.tasks.override(providers.Object(fake))
    assert container.tasks() is fake


def test_the_identity_header_is_configurable() -> None:
    container = Container()
    container.settings.override(Settings.load(user_id_header="X-Caller"))
    assert container.identity().header == "X-Caller"
