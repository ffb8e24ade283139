"""The caller's identity: a user id that the layer in front puts into a header."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Final, Protocol

from starlette.requests import Request

from domain.errors import InvalidValue
from domain.task import UserId

USER_ID_HEADER: Final = "X-User-Id"
"""The default; the operator may choose another name."""


class IdentityRequired(Exception):
    """The request does not say who the user is. The text says what to send."""


class Identity(Protocol):
    """Reads the user id from a request."""

    header: str
    """The header that carries the id. Answers vary on it."""
    challenge: str
    """The value of `WWW-Authenticate` in a 401."""
    scheme: Mapping[str, str]
    """The security scheme object in OpenAPI."""

    @abstractmethod
    async def __call__(self, request: Request) -> UserId:
        """Return the caller's user id. Raises `IdentityRequired`."""


class HeaderIdentity(Identity):
    """Trusts the header. The layer in front must authenticate the user and set the header, or strip it."""

    def __init__(self, header: str) -> None:
        self.header = header
        self.challenge = f'APIKey in="header", name="{header}"'
        self.scheme = {
            "type": "apiKey",
            "description": "The user on whose behalf the call is made: 1 to 255 printable ASCII characters, opaque and "
            "case-sensitive. The calling layer authenticates the user and sets it.",
            "in": "header",
            "name": header,
        }

    async def __call__(self, request: Request) -> UserId:
        values = request.headers.getlist(self.header)
        if len(values) != 1:
            raise IdentityRequired(f"Send the header {self.header} exactly once.")
        if not (values[0].isascii() and values[0].isprintable()):
            raise IdentityRequired(f"The header {self.header} must be printable ASCII.")
        try:
            return UserId(values[0])
        except InvalidValue as error:
            raise IdentityRequired(f"The header {self.header} {error.reason}.") from None
