"""Questions that a reading tool may put to its caller's client. Authors import them from `gateway.connector`.

An answer comes from the client, which may have made it up: it is checked like an argument, and approves nothing
(semantics.md F-3, Q-1).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Final, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.annotated_handlers import GetJsonSchemaHandler
from pydantic_core import CoreSchema

from gateway.plain import as_model

MAX_ROOTS: Final = 100
_MAX_TEXT: Final = 8_000
_KEPT: Final = (
    *("type", "title", "description", "default", "format", "enum", "enumNames", "oneOf", "items"),
    *("minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems"),
)
"""What MCP lets a form say of a field; whatever else a model asks for is only checked."""

T_co = TypeVar("T_co", covariant=True)


class BadAnswer(ValueError):
    """An answer that is none to its question. The text names fields, and no value."""


class Question(ABC, Generic[T_co]):
    """Something to ask the client."""

    capability: ClassVar[str]
    """What a client declares that can be asked this."""

    @abstractmethod
    def spelled(self) -> dict[str, Any]:
        """The request, `{method, params}`, as MCP spells it."""

    @abstractmethod
    def read(self, answer: Any) -> T_co | None:
        """What the client answered; None when it or its user would not.

        Args:
            answer: the result, as MCP spells it; None where there was none.

        Raises:
            BadAnswer: it does not answer the question.
        """


class Answer(BaseModel):
    """What a form asks for: one level of texts, numbers, yes or no, and choices (`Literal`, or a list of one)."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True, str_max_length=_MAX_TEXT)


AnswerT = TypeVar("AnswerT", bound=Answer)


@dataclass(frozen=True, slots=True)
class Titled:
    """Names for the values of a `Literal`: `Annotated[Literal["eu", "us"], Titled({"eu": "Europe", "us": "USA"})]`."""

    titles: Mapping[str, str]

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        schema = handler(core)
        values = schema.pop("enum", None) or [schema.pop("const")]
        return {**schema, "oneOf": [{"const": value, "title": self.titles.get(value, value)} for value in values]}


@dataclass(frozen=True, slots=True)
class Form(Question[AnswerT]):
    """Have the client show its user a form.

    Args:
        message: what it is for.
        answer: the fields; their titles, descriptions and defaults are shown.
    """

    message: str
    answer: type[AnswerT]
    capability: ClassVar[str] = "elicitation"

    def spelled(self) -> dict[str, Any]:
        """`elicitation/create`."""
        params = {"message": self.message, "requestedSchema": form_schema(self.answer)}
        return {"method": "elicitation/create", "params": params}

    def read(self, answer: Any) -> AnswerT | None:
        """The form as it was filled in; None when the user declined or closed it."""
        if answer is None:
            return None
        if not isinstance(answer, Mapping) or answer.get("action") not in ("accept", "decline", "cancel"):
            raise BadAnswer("it says neither accept, nor decline, nor cancel")
        if answer["action"] != "accept":
            return None
        try:
            return as_model(self.answer, answer.get("content") or {})
        except ValidationError as error:
            wrong = {str(problem["loc"][0]) for problem in error.errors() if problem["loc"]}
            named = ", ".join(f"`{name}`" for name in self.answer.model_fields if name in wrong)
            raise BadAnswer(f"{named or 'the form'} is missing or not valid") from None


@dataclass(frozen=True, slots=True)
class Sample(Question[str]):
    """Have the client's own model say something.

    Args:
        prompt: what to say to it, as its user.
        max_tokens: of its answer.
        system: what to say to it first.
    """

    prompt: str
    max_tokens: int = 256
    system: str | None = None
    capability: ClassVar[str] = "sampling"

    def spelled(self) -> dict[str, Any]:
        """`sampling/createMessage`."""
        said = {"role": "user", "content": {"type": "text", "text": self.prompt}}
        params: dict[str, Any] = {"messages": [said], "maxTokens": self.max_tokens}
        return {
            "method": "sampling/createMessage",
            "params": params | ({"systemPrompt": self.system} if self.system else {}),
        }

    def read(self, answer: Any) -> str | None:
        """The text of it."""
        if answer is None:
            return None
        content = answer.get("content") if isinstance(answer, Mapping) else None
        texts = [
            block["text"]
            for block in (content if isinstance(content, list) else [content])
            if isinstance(block, Mapping) and block.get("type") == "text" and isinstance(block.get("text"), str)
        ]
        if not texts:
            raise BadAnswer("it holds no text")
        return "\n".join(texts)


@dataclass(frozen=True, slots=True)
class Root:
    """A folder or file that the client has opened to servers."""

    uri: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Roots(Question[tuple[Root, ...]]):
    """Ask where the client works: its folders and files, by URI."""

    capability: ClassVar[str] = "roots"

    def spelled(self) -> dict[str, Any]:
        """`roots/list`."""
        return {"method": "roots/list", "params": {}}

    def read(self, answer: Any) -> tuple[Root, ...] | None:
        """Up to `MAX_ROOTS` of them."""
        if answer is None:
            return None
        roots = answer.get("roots") if isinstance(answer, Mapping) else None
        if not isinstance(roots, list) or len(roots) > MAX_ROOTS or not all(map(_is_root, roots)):
            raise BadAnswer(f"it is no list of at most {MAX_ROOTS} roots")
        return tuple(Root(root["uri"], root.get("name")) for root in roots)


def _is_root(root: Any) -> bool:
    return (
        isinstance(root, Mapping)
        and isinstance(root.get("uri"), str)
        and isinstance(root.get("name", ""), str | None)
        and len(root["uri"]) + len(root.get("name") or "") <= _MAX_TEXT
    )


@cache
def form_schema(answer: type[Answer]) -> dict[str, Any]:
    """The fields of `answer` in the subset of JSON Schema that a form may have.

    Raises:
        TypeError: a field is none of what a form can ask for.
    """
    schema = answer.model_json_schema(mode="validation")
    properties = {name: _field(answer, name, field) for name, field in schema.get("properties", {}).items()}
    required = schema.get("required", [])
    return {"type": "object", "properties": properties} | ({"required": required} if required else {})


def _field(answer: type[Answer], name: str, schema: dict[str, Any]) -> dict[str, Any]:
    arms = [arm for arm in schema.get("anyOf", ()) if arm.get("type") != "null"]
    if len(arms) == 1:
        # `X | None`: the field may be left out, and a default of null is none.
        schema = {**arms[0], **{key: value for key, value in schema.items() if key not in ("anyOf", "default")}}
    if "const" in schema:
        schema = {**schema, "enum": [schema["const"]]}
    kept: dict[str, Any] = {key: schema[key] for key in _KEPT if key in schema}
    if kept.get("type") == "array":
        items = kept.get("items", {})
        # The choices of one value are `oneOf`, and those of several `anyOf`.
        kept["items"] = {"anyOf": items["oneOf"]} if "oneOf" in items else items
        if not {"anyOf", "enum"} & kept["items"].keys():
            raise TypeError(f"{answer.__name__}.{name} is a list of anything but choices")
    elif kept.get("type") not in ("string", "number", "integer", "boolean"):
        raise TypeError(f"{answer.__name__}.{name} is no text, number, yes or no, or choice")
    return kept
