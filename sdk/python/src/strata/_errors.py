"""What can go wrong, as exceptions that name the field, the problem and the fix."""

from __future__ import annotations


class StrataError(Exception):
    """Any failure of this package.

    ``code`` is the server's stable code and ``status`` its HTTP status, when it answered.
    """

    def __init__(self, message: str, *, code: str = "", status: int = 0, field: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.field = field


class ConfigurationError(StrataError):
    """STRATA_URL or STRATA_TOKEN is missing or wrong."""


class InvalidArgumentError(StrataError, ValueError):
    """The server refused a value; ``field`` names it."""


class NotFoundError(StrataError, LookupError):
    """The named thing is not there."""


class PermissionDeniedError(StrataError, PermissionError):
    """The token is unknown, expired, or may not do this."""


class ConflictError(StrataError):
    """The state of things forbids it now."""


class UnavailableError(StrataError, ConnectionError):
    """The server cannot be reached or is overloaded; the same call may succeed later."""


class FlowError(StrataError, ValueError):
    """A pipeline is not well-formed."""


class RunFailedError(StrataError):
    """A run that was waited for did not succeed."""


_BY_STATUS: dict[int, type[StrataError]] = {
    400: InvalidArgumentError,
    401: PermissionDeniedError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    412: ConflictError,
    422: InvalidArgumentError,
    429: UnavailableError,
    502: UnavailableError,
    503: UnavailableError,
    504: UnavailableError,
}


def error_for(status: int, body: object) -> StrataError:
    """The exception for an answer with an error status."""
    detail = body.get("error") if isinstance(body, dict) else None
    if isinstance(body, dict) and "error_code" in body:  # MLflow's form, of scoring
        detail = {"message": body.get("message"), "code": body["error_code"]}
    if isinstance(detail, dict):
        message = str(detail.get("message", ""))
        code, field = str(detail.get("code", "")), str(detail.get("field", ""))
    else:
        message, code, field = (str(detail or body))[:500], "", ""
    kind = _BY_STATUS.get(status, StrataError)
    return kind(message or f"the server answered {status}", code=code, status=status, field=field)
