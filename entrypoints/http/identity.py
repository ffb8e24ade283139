"""Who calls: the user id that the calling layer puts into a header."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Final, Protocol

from starlette.requests import Request

from domain.errors import InvalidValue
from domain.task import UserId

USER_ID_HEADER: Final = "X-User-Id"
"""Unless the operator has given it another name."""


class IdentityRequired(Exception):
    """The request does not say who the user is. Its text says what is expected."""


class Identity(Protocol):
    """Tells the user from the request."""

    header: str
    """The one that carries it: answers vary on it."""
    challenge: str
    """What `WWW-Authenticate` asks of a request that does not tell."""
    scheme: Mapping[str, str]
    """OpenAPI's security scheme object for it."""

    @abstractmethod
    async def __call__(self, request: Request) -> UserId:
        """Raises `IdentityRequired`."""


class HeaderIdentity(Identity):
    """Trusts the header: whoever stands in front must authenticate the user and set it, or strip it."""

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
