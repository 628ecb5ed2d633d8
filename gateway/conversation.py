"""One action's words to its caller, on their way out: redacted, bounded in length and in number; and its questions."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from gateway.caller import LEVELS, Client, Level
from gateway.errors import AnswerRefused, HoldgateError
from gateway.model import Asked, Resumed
from gateway.questions import BadAnswer, Question
from gateway.tool import Tool
from gateway.tools.envelope import visible

MAX_PROGRESS: Final = 200
MAX_LINE: Final = 2_000
"""Characters of what goes with progress, and of a line that is told."""
MAX_ROUNDS: Final = 8
"""Times that one call may ask, one after the other."""
MAX_QUESTIONS: Final = 8
"""Questions of one time."""
MAX_ASKED: Final = 16 * 1024
"""Bytes of them, as JSON."""
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_BURST: Final = 20
_PER_SECOND: Final = 5.0

T = TypeVar("T")
Clean = Callable[[str], str]
"""Takes every known credential out of a text (semantics.md C-6)."""


class Unanswered(HoldgateError):
    """The call ends here, with a question. A connector lets it pass; one that does not has asked all the same."""


class Conversation:
    """The `gateway.caller.Askable` of one action.

    Args:
        tool: whose words these are.
        client: who hears them; None when nobody waits any more, as after an approval.
        clean: see `Clean`.
        resumed: the answers so far.
        clock: seconds.

    Attributes:
        asked: what the call has to end with; None while nothing is open.
        lacks: the capabilities that the client would have needed to be asked.
    """

    __slots__ = ("_began", "_clean", "_client", "_clock", "_resumed", "_said", "_tool", "asked", "lacks")

    def __init__(
        self,
        tool: Tool,
        client: Client | None,
        clean: Clean,
        resumed: Resumed | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.asked: Asked | None = None
        self.lacks: tuple[str, ...] = ()
        self._tool = tool
        self._client = client
        self._clean = clean
        self._resumed = resumed
        self._clock = clock
        self._began = clock()
        self._said = 0

    def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        """See `Caller`. What is no finite number is no progress."""
        if self._client is not None and all(map(math.isfinite, (done, total or 0.0))) and self._heard():
            self._client.progress(done, total, self._line(message, MAX_PROGRESS))

    def tell(self, level: Level, message: str) -> None:
        """See `Caller`."""
        if self._client is not None and self._heard():
            self._client.tell(level if level in LEVELS else "info", self._tool.name, self._line(message, MAX_LINE))

    def can(self, question: type[Question[Any]]) -> bool:
        """See `Askable`."""
        return self._client is not None and question.capability in self._client.can

    async def ask(self, name: str, question: Question[T]) -> T | None:
        """See `Askable`."""
        answer: T | None = (await self.ask_all({name: question}))[name]
        return answer

    async def ask_all(self, questions: Mapping[str, Question[Any]]) -> dict[str, Any]:
        """See `Askable`.

        Raises:
            Unanswered: there is a question without an answer; the call ends.
            AnswerRefused: `question_refused`, `cannot_ask` or `invalid_answer`.
        """
        if not self._tool.asks or self._tool.writes:
            raise AnswerRefused("question_refused", f"{self._tool.name} asked its caller something, and may not.")
        given = self._resumed.answers if self._resumed is not None else {}
        open_ones = {name: question for name, question in questions.items() if name not in given}
        if open_ones:
            self._put(open_ones, given)
            raise Unanswered("The call has to ask its client first.")
        return {name: _read(name, question, given[name]) for name, question in questions.items()}

    def _put(self, questions: Mapping[str, Question[Any]], given: Mapping[str, Any]) -> None:
        """Have the call end with these questions, if they may be put and the client can be asked."""
        wrong = [name for name in questions if not _NAME.fullmatch(name)]
        spelled = {name: self._cleaned(question.spelled()) for name, question in questions.items()}
        too_much = len(questions) > MAX_QUESTIONS or len(json.dumps(spelled).encode()) > MAX_ASKED
        if wrong or too_much:
            raise AnswerRefused("question_refused", f"{self._tool.name} asked more than fits, or by no proper name.")
        rounds = self._resumed.round if self._resumed is not None else 0
        if rounds >= MAX_ROUNDS:
            raise AnswerRefused("question_refused", f"{self._tool.name} has asked {rounds} times, and has no end.")
        lacks = {question.capability for question in questions.values() if not self.can(type(question))}
        if lacks:
            self.lacks = tuple(sorted(lacks))
            needed = ", ".join(self.lacks)
            raise AnswerRefused("cannot_ask", f"The tool has to ask your client something that it cannot do: {needed}.")
        self.asked = Asked(spelled, dict(given), rounds + 1)

    def _heard(self) -> bool:
        """Whether there is room for one thing more."""
        if self._said >= _BURST + _PER_SECOND * (self._clock() - self._began):
            return False
        self._said += 1
        return True

    def _line(self, message: str, length: int) -> str:
        # Redacted before it is cut: half a credential would no longer be known for one.
        return visible(self._clean(message))[:length]

    def _cleaned(self, value: Any) -> Any:
        if isinstance(value, str):
            return visible(self._clean(value))
        if isinstance(value, dict):
            return {name: self._cleaned(member) for name, member in value.items()}
        return [self._cleaned(item) for item in value] if isinstance(value, list | tuple) else value


def _read(name: str, question: Question[T], answer: Any) -> T | None:
    try:
        return question.read(answer)
    except BadAnswer as bad:
        raise AnswerRefused("invalid_answer", f"The answer to `{name}` is not one: {bad}.") from None
