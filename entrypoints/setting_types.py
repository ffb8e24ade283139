"""The types of settings that have rules of their own. Errors never quote the value."""

import re
from typing import Annotated, Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode


def _postgres_url(value: SecretStr) -> SecretStr:
    """Return the URL with the scheme that libpq knows."""
    scheme, separator, rest = value.get_secret_value().strip().partition("://")
    url = f"postgresql://{rest}"
    if not separator or scheme not in {"postgres", "postgresql", "postgresql+psycopg"}:
        raise ValueError("must begin with postgresql://")
    try:
        parameters = conninfo_to_dict(url)
    except (psycopg.ProgrammingError, UnicodeError):  # their messages quote the password
        raise ValueError("is not a URL that libpq understands") from None
    try:
        for host in str(parameters.get("host") or "").split(","):
            if not host.startswith(("/", "@")):  # a Unix socket
                host.encode("idna")
    except UnicodeError:
        raise ValueError("must give hosts whose names can be looked up") from None
    # libpq takes the text after an unescaped @ or / in a password for host, port or database; errors would quote it.
    authority, _, path = rest.partition("?")[0].partition("/")
    ports = str(parameters.get("port") or "").split(",")
    if authority.count("@") > 1 or "@" in path or not all(port.isdecimal() for port in ports if port):
        raise ValueError("must give ports as numbers, and special characters of a password percent-encoded")
    return SecretStr(url)


def _split(value: Any) -> Any:
    return [item.strip() for item in value.split(",") if item.strip()] if isinstance(value, str) else value


def _origin(value: str) -> str:
    """Require the form in which browsers send the Origin header (RFC 6454 section 6.2)."""
    if not re.fullmatch(r"[a-z][a-z0-9+.-]*://([a-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?", value):
        raise ValueError("must list origins such as https://app.example.com, without a path, separated by commas")
    return value


def _header(value: str) -> str:
    if not re.fullmatch("[A-Za-z0-9-]+", value):
        raise ValueError("must list names of headers such as Authorization, separated by commas")
    return value


def _unreserved_header(value: str) -> str:
    taken = {"host", "origin", "connection", "content-type", "content-length", "transfer-encoding", "idempotency-key"}
    if value.lower() in taken | {"if-match", "if-none-match", "x-request-id"}:
        raise ValueError("must not be a header that has a meaning of its own")
    return value


PostgresUrl = Annotated[SecretStr, AfterValidator(_postgres_url)]
Origins = Annotated[tuple[Annotated[str, AfterValidator(_origin)], ...], NoDecode, BeforeValidator(_split)]
Headers = Annotated[tuple[Annotated[str, AfterValidator(_header)], ...], NoDecode, BeforeValidator(_split)]
UnreservedHeader = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$"), AfterValidator(_unreserved_header)]
