"""Reads the settings from the environment or a file. Each field is the variable of the same name in capitals.

`setting_types.py` parses the values.
"""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from entrypoints.setting_types import Headers, Origins, PostgresUrl, UnreservedHeader

_CHECKOUT: Final = Path(__file__).resolve().parent.parent
HOME: Final = _CHECKOUT if (_CHECKOUT / "pyproject.toml").is_file() else Path()
"""The folder of `.env` and local data: the checkout, or the working folder if there is no checkout."""


class ConfigurationError(Exception):
    """A setting is missing or invalid. The text names each variable and never quotes a value."""


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore")

    database_url: PostgresUrl | None = None
    migration_database_url: PostgresUrl | None = None
    database_connections: int = Field(default=10, ge=1, le=1000)
    database_queue: int = Field(default=100, ge=0, le=100_000)
    database_deadline_seconds: float = Field(default=5, gt=0, le=300)
    database_connect_timeout_seconds: int = Field(default=5, ge=2, le=300)
    database_prepared_statements: Literal["auto", "on", "off"] = "auto"

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    workers: int = Field(default=1, ge=1, le=1000)
    keep_alive_seconds: int = Field(default=75, ge=1, le=3600)
    shutdown_grace_seconds: int = Field(default=10, ge=1, le=3600)

    user_id_header: UnreservedHeader = "X-User-Id"
    cors_origins: Origins = ()
    cors_headers: Headers = ()
    max_body_bytes: int = Field(default=256 * 1024, ge=1)

    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(str.lower)] = "info"
    log_format: Literal["json", "console"] = "json"

    @property
    def own_hosts(self) -> frozenset[str]:
        """The names that a request's Host header may give; empty means any."""
        return frozenset()

    @classmethod
    def load(cls, **given: Any) -> Self:
        """Return the settings of the environment. Raises `ConfigurationError` with a line for each fault.

        Call it once in a program: the file may be a pipe, and an edit must not reach only some of the processes.
        """
        named = os.environ.get("ENV_FILE")
        file = Path(named) if named else HOME / ".env"
        try:
            if named and (file.is_dir() or not file.exists()):
                raise ConfigurationError(f"ENV_FILE: there is no file {named}")
            return cls(_env_file=file, **given)
        except ValidationError as error:
            lines = [f"{str(fault['loc'][0]).upper()}: {_reason(fault['msg'])}" for fault in error.errors()]
            raise ConfigurationError("\n".join(dict.fromkeys(lines))) from None
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not in UTF-8"
            raise ConfigurationError(f"{'ENV_FILE' if named else '.env'}: cannot read {file}: {reason}") from None

    def serving_database(self) -> tuple[str, str]:
        """Return the variable that names the database to serve from, and its URL. Raises `ConfigurationError`."""
        if self.database_url is None:
            raise ConfigurationError("DATABASE_URL: is not set (`taskward dev` needs none)")
        return "DATABASE_URL", self.database_url.get_secret_value()

    def migration_database(self) -> tuple[str, str]:
        """Return the variable that names the database to migrate, and its URL. Raises `ConfigurationError`."""
        if self.migration_database_url is None:
            return self.serving_database()
        return "MIGRATION_DATABASE_URL", self.migration_database_url.get_secret_value()

    def telemetry(self) -> Literal["off", "not installed", "on"]:
        """Whether OpenTelemetry's own variables ask for telemetry, and whether its extra is installed."""
        asks = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or os.environ.get("OTEL_TRACES_EXPORTER") or "none"
        if asks == "none" or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
            return "off"
        has_extra = find_spec("opentelemetry.exporter") and find_spec("opentelemetry.exporter.otlp.proto.http")
        return "on" if has_extra else "not installed"


class DevelopmentSettings(Settings):
    """For `taskward dev`, which migrates its own database each time it loads the program."""

    log_format: Literal["json", "console"] = "console"
    taskward_data: Path | None = None

    @property
    def own_hosts(self) -> frozenset[str]:
        """Keep out another site's page whose name resolves to this machine (DNS rebinding)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return frozenset({"localhost", "127.0.0.1", "[::1]", host.lower()})

    def telemetry(self) -> Literal["off"]:
        return "off"

    def on(self, url: str) -> Self:
        """Return these settings with this database only: development must never touch another."""
        return self.model_copy(update=dict.fromkeys(("database_url", "migration_database_url"), SecretStr(url)))


def _reason(message: str) -> str:
    return message.removeprefix("Value error, ")
