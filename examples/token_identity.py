"""An identity from signed tokens (JWT), which it verifies, instead of a trusted header."""

from collections.abc import Mapping

import jwt  # PyJWT, with cryptography
from dependency_injector import providers
from starlette.requests import Request

from domain.errors import InvalidValue
from domain.task import UserId
from entrypoints.container import Container
from entrypoints.http.identity import Identity, IdentityRequired


class TokenIdentity(Identity):
    """Accepts a bearer token that the issuer has signed; its `sub` is the user id."""

    header = "Authorization"
    challenge = "Bearer"
    scheme: Mapping[str, str] = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}

    def __init__(self, key: str, issuer: str) -> None:
        self._key = key
        self._issuer = issuer

    async def __call__(self, request: Request) -> UserId:
        values = request.headers.getlist(self.header)
        if len(values) != 1 or not values[0].lower().startswith("bearer "):
            raise IdentityRequired("Send the header Authorization exactly once, with a bearer token.")
        try:
            claims = jwt.decode(
                values[0][len("bearer ") :],
                self._key,
                algorithms=["RS256"],  # never the algorithm that the token names
                audience="taskward",
                issuer=self._issuer,
                options={"require": ["exp", "sub"]},
            )
            return UserId(claims["sub"])
        except (jwt.InvalidTokenError, InvalidValue):
            raise IdentityRequired("The bearer token is not valid.") from None


def verify_tokens(container: Container, *, key: str, issuer: str) -> None:
    """Override the identity before the application is made; `key` is the issuer's public key in PEM."""
    container.identity.override(providers.Singleton(TokenIdentity, key, issuer))
