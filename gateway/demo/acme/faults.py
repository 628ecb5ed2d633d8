"""Bad days on demand: what Acme can be told to do to the requests that match."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from base64 import b64encode
from typing import Any, Literal, TypeAlias
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

FaultName: TypeAlias = Literal[
    "slow", "wait_for_release", "fail_before", "fail_after", "drop_before", "drop_after",
    "redirect", "echo", "echo_error", "garbage", "huge", "bomb",
]  # fmt: skip

ARGUMENT: dict[str, type[int | float | str] | None] = {
    "slow": float,
    "wait_for_release": str,
    "fail_before": int,
    "fail_after": int,
    "drop_before": None,
    "drop_after": None,
    "redirect": str,
    "echo": str,
    "echo_error": int,
    "garbage": None,
    "huge": int,
    "bomb": int,
}


class Fault(BaseModel):
    """One bad day, as `POST /_control/faults` takes it.

    | fault            | arg                 | commits | what the caller sees                                        |
    |------------------|---------------------|---------|-------------------------------------------------------------|
    | slow             | seconds             | yes     | the true answer, late; a release ends the wait              |
    | wait_for_release | `before` or `after` | yes     | the true answer once released; blocks before or after acting |
    | fail_before      | status              | no      | that status                                                 |
    | fail_after       | status              | yes     | that status                                                 |
    | drop_before      | -                   | no      | the connection closed without an answer                     |
    | drop_after       | -                   | yes     | the connection closed without an answer                     |
    | redirect         | location            | no      | 307 to there                                                |
    | echo             | field               | yes     | the true answer, with its own credentials in that field     |
    | echo_error       | status              | no      | that status, with its own credentials in the message        |
    | garbage          | -                   | yes     | 200 and something that is not JSON                          |
    | huge             | bytes               | yes     | 200 and a JSON text of at least that size                   |
    | bomb             | bytes               | yes     | the same, gzipped to next to nothing                        |
    """

    model_config = ConfigDict(extra="forbid")

    fault: FaultName
    method: str = "*"
    path: re.Pattern[str] = re.compile("")
    """Matched whole against the path, e.g. `/invoices/.*`; empty matches all."""
    times: int | None = Field(default=1, gt=0)
    """How many requests it befalls; null: until it is cleared."""
    arg: int | float | str | None = None

    @model_validator(mode="after")
    def _argument_fits(self) -> Fault:
        wanted = ARGUMENT[self.fault]
        fits = self.arg is None if wanted is None else isinstance(self.arg, (int, float) if wanted is float else wanted)
        if not fits or (self.fault == "wait_for_release" and self.arg not in ("before", "after")):
            raise ValueError(f"{self.fault} needs another arg than {self.arg!r}")
        return self

    def befalls(self, method: str, path: str) -> bool:
        """Whether a request is one of those meant."""
        return self.method in ("*", method) and (not self.path.pattern or self.path.fullmatch(path) is not None)


class Faults:
    """The bad days still to come, oldest first, and the requests that are kept waiting by one."""

    def __init__(self) -> None:
        self._coming: list[Fault] = []
        self._release = asyncio.Event()
        self._parked = 0
        self._changed = asyncio.Condition()

    @property
    def coming(self) -> list[Fault]:
        return list(self._coming)

    @property
    def parked(self) -> int:
        """How many requests wait right now."""
        return self._parked

    def add(self, fault: Fault) -> None:
        self._coming.append(fault)

    def take(self, method: str, path: str) -> Fault | None:
        """The first fault that befalls this request, used up by one."""
        for index, fault in enumerate(self._coming):
            if fault.befalls(method, path):
                if fault.times == 1:
                    del self._coming[index]
                elif fault.times is not None:
                    self._coming[index] = fault.model_copy(update={"times": fault.times - 1})
                return fault
        return None

    async def park(self, seconds: float | None) -> None:
        """Keep the caller waiting until `release`, or for so long at most."""
        release = self._release
        await self._count(+1)
        try:
            async with asyncio.timeout(seconds):
                await release.wait()
        except TimeoutError:
            pass
        finally:
            await self._count(-1)

    def release(self) -> None:
        """Let all requests go that wait now; later ones wait anew."""
        self._release.set()
        self._release = asyncio.Event()

    def clear(self) -> None:
        """No more bad days, and nobody waits."""
        self._coming.clear()
        self.release()

    async def wait_for_parked(self, count: int) -> None:
        """Return once at least `count` requests are kept waiting."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._parked >= count)

    async def _count(self, step: int) -> None:
        async with self._changed:
            self._parked += step
            self._changed.notify_all()


def instead(fault: Fault, authorization: str) -> Response | None:
    """The answer of a fault that keeps Acme from acting; None where it acts."""
    match fault.fault, fault.arg:
        case ("fail_before", int(status)):
            return failure(status)
        case ("redirect", str(location)):
            return RedirectResponse(location, 307)
        case ("echo_error", int(status)):
            return JSONResponse({"error": {"code": "debug", "message": _every_encoding(authorization)}}, status)
    return None


def spoiled(fault: Fault, authorization: str, answer: Response) -> Response:
    """What the caller is given after Acme acted and meant to say `answer`."""
    match fault.fault, fault.arg:
        case ("fail_after", int(status)):
            return failure(status)
        case ("echo", str(field)):
            body: dict[str, Any] = json.loads(bytes(answer.body))
            return JSONResponse({**body, field: _every_encoding(authorization)}, answer.status_code)
        case ("garbage", _):
            return PlainTextResponse("<html>It works!</html>", 200)
        case ("huge", int(size)):
            return Response(_padded(size), 200, media_type="application/json")
        case ("bomb", int(size)):
            return Response(
                gzip.compress(_padded(size)), 200, {"Content-Encoding": "gzip"}, media_type="application/json"
            )
    return answer


def failure(status: int) -> Response:
    """An error answer that says nothing about whether it happened."""
    headers = {"Retry-After": "1"} if status in (429, 503) else None
    return JSONResponse({"error": {"code": "unwell", "message": "Acme is not feeling well."}}, status, headers)


def _padded(size: int) -> bytes:
    return b'{"padding": "' + b"x" * size + b'"}'


def _every_encoding(authorization: str) -> str:
    """The credential as a careless log line would carry it: raw, base64, URL-encoded and escaped as in JSON."""
    token = authorization.partition(" ")[2]
    forms = {
        "header": authorization,
        "base64": b64encode(token.encode()).decode(),
        "basic": b64encode(authorization.encode()).decode(),
        "url": quote(token, safe=""),
        "json": json.dumps({"authorization": authorization}),
        "escaped": "".join(f"\\u{ord(character):04x}" for character in token),
    }
    return "request was " + "; ".join(f"{name}={form}" for name, form in forms.items())
