"""Settings: what the environment and `.env` set, and the messages about wrong values."""

import os
import re
import traceback
from pathlib import Path
from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict

from entrypoints import settings
from entrypoints.settings import ConfigurationError, DevelopmentSettings, Settings

CHECKOUT = Path(__file__).parents[2]
VARIABLES = re.findall(r"^(# )?([A-Z_]+)=(.*)$", (CHECKOUT / ".env.example").read_text(), re.MULTILINE)
GUIDE = re.findall(
    r"^\| `([A-Z_]+)` \| (?:`(.+?)` )?\| \S.* \|$", (CHECKOUT / "docs" / "operations.md").read_text(), re.MULTILINE
)
UNREADABLE = "must give ports as numbers, and special characters of a password percent-encoded"
URL = "postgresql://user:planted@host/tasks"
BAD = {field.upper(): "planted planted" for field in Settings.model_fields if field != "host"}  # any text is a host


def loaded(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], **given: Any) -> Settings:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return Settings.load(**given)


def refusal(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> str:
    with pytest.raises(ConfigurationError) as error:
        loaded(monkeypatch, environment)
    assert "planted" not in "".join(traceback.format_exception(error.value))
    return str(error.value)


def test_the_example_lists_every_variable_and_no_other() -> None:
    assert sorted(name for _, name, _ in VARIABLES) == sorted(
        field.upper() for field in DevelopmentSettings.model_fields
    )


def test_the_examples_comments_show_the_defaults(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("\n".join(f"{name}={value}" for commented, name, value in VARIABLES if commented))
    defaults, shown = Settings.load(), loaded(monkeypatch, {"ENV_FILE": str(env_file)})
    assert shown.model_dump() == defaults.model_dump()
    assert shown.model_fields_set == {field for field, value in defaults if value}


def test_the_guide_agrees_with_the_example() -> None:
    assert [(name, value if commented else "") for commented, name, value in VARIABLES] == GUIDE


def test_the_env_file_is_the_checkouts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert settings.HOME == CHECKOUT
    monkeypatch.delenv("ENV_FILE")
    monkeypatch.setattr(settings, "HOME", tmp_path)
    (tmp_path / ".env").write_text("PORT=9000\n")
    assert Settings.load().port == 9000


def test_an_env_file_outside_utf_8_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "latin-1").write_bytes(b"HOST=planted\xe4\n")
    reason = refusal(monkeypatch, {"ENV_FILE": str(tmp_path / "latin-1")})
    assert reason == f"ENV_FILE: cannot read {tmp_path}/latin-1: it is not in UTF-8"


@pytest.mark.parametrize("file", ["nowhere", ""], ids=["nothing", "a folder"])
def test_a_named_env_file_must_exist(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, file: str) -> None:
    asked = str(tmp_path / file)
    assert refusal(monkeypatch, {"ENV_FILE": asked}) == f"ENV_FILE: there is no file {asked}"


def test_an_unreadable_env_file_is_named_with_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ENV_FILE")
    monkeypatch.setattr(settings, "HOME", tmp_path)
    (tmp_path / ".env").symlink_to("/proc/self/mem")  # even root cannot read it from the start
    assert refusal(monkeypatch, {}) == f".env: cannot read {tmp_path}/.env: Input/output error"


def test_an_env_file_may_be_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"PORT=9000\n")
    os.close(writer)
    assert loaded(monkeypatch, {"ENV_FILE": f"/dev/fd/{reader}"}).port == 9000
    os.close(reader)


def test_the_environment_comes_before_the_env_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("PORT=9000\nWORKERS=3\n")
    settings = loaded(monkeypatch, {"PORT": "9001", "ENV_FILE": str(env_file)})
    assert (settings.port, settings.workers) == (9001, 3)


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = Settings.load()
    assert loaded(monkeypatch, {name: "" for _, name, _ in VARIABLES}) == defaults


def test_unknown_variables_are_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("POSTGRES_PASSWORD=planted\nDATABASE_NAME=x\n")
    defaults = Settings.load()
    assert loaded(monkeypatch, {"DATABASE_FLAVOUR": "x", "ENV_FILE": str(env_file)}) == defaults


def test_all_bad_values_are_named_without_quoting(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = refusal(monkeypatch, BAD).splitlines()
    assert sorted(line.split(": ")[0] for line in lines) == sorted(BAD)
    assert all(line.split(": ")[1] for line in lines)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        *[("DATABASE_CONNECTIONS", "0"), ("DATABASE_CONNECTIONS", "1001"), ("DATABASE_CONNECTIONS", "1.5")],
        *[("DATABASE_QUEUE", "-1"), ("DATABASE_QUEUE", "100001")],
        *[("DATABASE_DEADLINE_SECONDS", value) for value in ("0", "-1", "301", "nan", "inf")],
        *[("DATABASE_CONNECT_TIMEOUT_SECONDS", "1"), ("DATABASE_CONNECT_TIMEOUT_SECONDS", "301")],
        *[("PORT", "-1"), ("PORT", "65536"), ("WORKERS", "0"), ("WORKERS", "1001")],
        *[
            ("SHUTDOWN_GRACE_SECONDS", "0"),
            ("SHUTDOWN_GRACE_SECONDS", "3601"),
            ("KEEP_ALIVE_SECONDS", "0"),
            ("MAX_BODY_BYTES", "0"),
        ],
        *[
            ("USER_ID_HEADER", value)
            for value in ("X-User:", "X-Usér", "X-User-Id\n", "X-User, X-Other", "Host", "if-match")
        ],
    ],
)
def test_a_value_out_of_bounds_is_refused(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    (line,) = refusal(monkeypatch, {variable: value}).splitlines()
    assert line.startswith(f"{variable}: ")


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("DATABASE_QUEUE", "0", 0),
        ("DATABASE_DEADLINE_SECONDS", "0.5", 0.5),
        ("DATABASE_CONNECT_TIMEOUT_SECONDS", "2", 2),
        ("PORT", "0", 0),
        ("PORT", "65535", 65535),
        ("MAX_BODY_BYTES", "1", 1),
        ("LOG_LEVEL", "WARNING", "warning"),
    ],
)
def test_a_value_at_the_bound_is_accepted(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, expected: object
) -> None:
    assert getattr(loaded(monkeypatch, {variable: value}), variable.lower()) == expected


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
@pytest.mark.parametrize(
    ("rest", "parameters"),
    [
        ("u:p%40%2F%3A@h:6432/d", {"user": "u", "password": "p@/:", "host": "h", "port": "6432", "dbname": "d"}),
        (
            "u@h/d?sslmode=verify-full&sslrootcert=system&channel_binding=require&sslnegotiation=direct&gssencmode=disable",
            {
                "sslmode": "verify-full",
                "sslrootcert": "system",
                "channel_binding": "require",
                "sslnegotiation": "direct",
                "gssencmode": "disable",
            },
        ),
        (
            "u@one:5432,two:5433/d?target_session_attrs=read-write",
            {"host": "one,two", "port": "5432,5433", "target_session_attrs": "read-write"},
        ),
        (
            f"/d?host=/run/{'x' * 64}&options=-csearch_path%3Dx",
            {"host": f"/run/{'x' * 64}", "options": "-csearch_path=x"},
        ),
        ("u@[::1]/d?connect_timeout=3&application_name=a%20b", {"connect_timeout": "3", "application_name": "a b"}),
    ],
    ids=["password", "Neon", "two hosts", "socket", "IPv6"],
)
def test_a_url_reaches_libpq_with_all_its_parameters(
    monkeypatch: pytest.MonkeyPatch, scheme: str, rest: str, parameters: dict[str, str]
) -> None:
    variable, url = loaded(monkeypatch, {"DATABASE_URL": f"{scheme}://{rest}"}).serving_database()
    assert (variable, url) == ("DATABASE_URL", f"postgresql://{rest}")
    assert parameters.items() <= conninfo_to_dict(url).items()


@pytest.mark.parametrize("variable", ["DATABASE_URL", "MIGRATION_DATABASE_URL"])
@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("mysql://user:planted@host/tasks", "must begin with postgresql://"),
        ("postgresql+asyncpg://user:planted@host/tasks", "must begin with postgresql://"),
        ("//user:planted@host/tasks", "must begin with postgresql://"),
        ("host=host user=user password=planted", "must begin with postgresql://"),
        ("postgresql", "must begin with postgresql://"),
        ("postgresql://user:planted@[::1/tasks", "is not a URL that libpq understands"),
        ("postgresql://user:planted%zz@host/tasks", "is not a URL that libpq understands"),
        ("postgresql://user:planted%00@host/tasks", "is not a URL that libpq understands"),
        ("postgresql://user@host/tasks?planted", "is not a URL that libpq understands"),
        ("postgresql://user@host/tasks?planted=1", "is not a URL that libpq understands"),
        ("postgresql://user:planted\udcff@host/tasks", "is not a URL that libpq understands"),
        ("postgresql://user:x@planted@host/tasks", UNREADABLE),
        ("postgresql://user:x/planted@host/tasks", UNREADABLE),
        ("postgresql://user:1/planted@host/tasks", UNREADABLE),
        ("postgresql://user@host:planted/tasks", UNREADABLE),
        ("postgresql://user:planted@a..b/tasks", "must give hosts whose names can be looked up"),
        (f"postgresql://user:planted@host,{'x' * 64}/tasks", "must give hosts whose names can be looked up"),
    ],
)
def test_a_malformed_url_is_refused_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, variable: str, url: str, reason: str
) -> None:
    assert refusal(monkeypatch, {variable: url}) == f"{variable}: {reason}"


def test_no_form_of_the_settings_shows_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = loaded(monkeypatch, {"DATABASE_URL": URL, "MIGRATION_DATABASE_URL": URL})
    assert "planted" not in f"{settings} {settings!r} {settings.model_dump()} {settings.model_dump_json()}"


def test_migrations_prefer_their_own_database(monkeypatch: pytest.MonkeyPatch) -> None:
    assert loaded(monkeypatch, {"DATABASE_URL": URL}).migration_database() == ("DATABASE_URL", URL)
    settings = loaded(monkeypatch, {"MIGRATION_DATABASE_URL": f"{URL}2"})
    assert settings.migration_database() == ("MIGRATION_DATABASE_URL", f"{URL}2")
    assert settings.serving_database() == ("DATABASE_URL", URL)


@pytest.mark.parametrize("database", [Settings.serving_database, Settings.migration_database])
def test_a_missing_url_is_named(database: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^DATABASE_URL: is not set .*taskward dev"):
        database(Settings.load())


def test_development_uses_its_own_database_and_console(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://elsewhere/x")
    monkeypatch.setenv("MIGRATION_DATABASE_URL", "postgresql://elsewhere/y")
    development = DevelopmentSettings.load().on("postgresql:///own")
    assert development.log_format == "console"
    assert development.serving_database()[1] == development.migration_database()[1] == "postgresql:///own"


@pytest.mark.parametrize(
    ("host", "own"), [("127.0.0.1", set()), ("::", {"[::]"}), ("Box.example", {"box.example"}), ("::1", set())]
)
def test_development_answers_for_its_own_hosts(monkeypatch: pytest.MonkeyPatch, host: str, own: set[str]) -> None:
    monkeypatch.setenv("HOST", host)
    assert DevelopmentSettings.load().own_hosts == {"localhost", "127.0.0.1", "[::1]"} | own
    assert not Settings.load().own_hosts


@pytest.mark.parametrize(
    ("environment", "state"),
    [
        ({}, "off"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, "on"),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, "on"),
        ({"OTEL_TRACES_EXPORTER": "none"}, "off"),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, "on"),  # for metrics
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "", "OTEL_TRACES_EXPORTER": ""}, "off"),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "True"}, "off"),
        ({"FASTAPI_OTEL_AUTO_CONFIGURE": "true"}, "off"),
    ],
)
def test_telemetry_follows_opentelemetrys_variables(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], state: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert Settings.load().telemetry() == state
    assert DevelopmentSettings.load().telemetry() == "off"
