"""The policy language, as types: what one YAML file under `policies/` may say. `docs/policy.md` teaches it.

Shape only. Whether a policy makes sense for the tools at hand is `check`'s question.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from gateway.decision import ApprovalFactor, ApprovalTerms
from gateway.model import Kind
from gateway.policy.notation import Duration, Frequency, Spend

Name = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]
Word = Annotated[str, Field(min_length=1, max_length=200)]
Words = Annotated[tuple[Word, ...], Field(min_length=1)]
Number: TypeAlias = int | float
Scalar: TypeAlias = str | int | float | bool
Scalars = Annotated[tuple[Scalar, ...], Field(min_length=1)]
Numbers = Annotated[dict[str, Number], Field(min_length=1)]
"""Argument -> limit."""
Count = Annotated[int, Field(ge=1)]


class Part(BaseModel):
    """A piece of the language: strict, closed, frozen."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    planned: ClassVar[frozenset[str]] = frozenset(
        {"rollout", "envelope", "provenance", "taint", "execute_on", "checks", "schedule"}
    )
    """Keys that are refused as not built yet, rather than as unknown."""

    @model_validator(mode="after")
    def _no_blanks(self) -> Self:
        for name in sorted(self.model_fields_set):
            if getattr(self, name) is None:
                key = type(self).model_fields[name].alias or name
                raise PydanticCustomError(
                    "blank", "`{key}` has no value", {"key": key, "remedy": "Give it one, or remove it."}
                )
        return self


class AppliesTo(Part):
    """Whom the policy is about. Every key narrows; at least one is needed."""

    groups: Words | None = None
    principals: Words | None = None
    kinds: Annotated[tuple[Kind, ...], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _narrows(self) -> Self:
        if not self.model_fields_set:
            raise PydanticCustomError(
                "nobody",
                "It says nothing",
                {"remedy": "Name groups, principals or kinds; all three kinds is everyone."},
            )
        return self


class Who(AppliesTo):
    """Whom a rule is about, among those to whom its policy applies."""

    on_behalf_of: Literal["none", "any"] | Words | None = None


class TaskBudget(Part):
    """What one task may use up, over all tools (semantics.md R-5)."""

    tool_calls: Count | None = None
    wall_clock: Duration | None = None
    spend: Spend | None = None


class PrincipalBudget(Part):
    """What one principal may use up in a rolling window, over all tools."""

    window: Duration
    tool_calls: Count | None = None
    spend: Spend | None = None


class Budgets(Part):
    """Limits on everything that a caller does, whatever the tool."""

    task: TaskBudget | None = None
    principal: PrincipalBudget | None = None
    on_exceeded: Literal["handoff_to_human", "stop"] | None = None


class Factor(Part):
    """So many distinct humans out of these groups (semantics.md H-5)."""

    from_: Words = Field(alias="from")
    count: Annotated[int, Field(ge=1, le=20)] = 1

    def factor(self) -> ApprovalFactor:
        """The same, as the rest of the house knows it."""
        return ApprovalFactor(tuple(sorted(set(self.from_))), self.count)


class Approval(Factor):
    """Who must approve, and for how long question and answer stand (semantics.md H-6)."""

    expires: Duration = 3600
    execute_within: Duration = 900
    also: tuple[Factor, ...] = ()

    def terms(self) -> ApprovalTerms:
        """The same, as the rest of the house knows it."""
        factors = (self.factor(), *(other.factor() for other in self.also))
        return ApprovalTerms(factors, self.expires, self.execute_within)


def _by_shape(**tags: type) -> Discriminator:
    """Tell a union's members apart by the JSON they are written as; the last one also takes what fits none."""
    last = list(tags)[-1]
    return Discriminator(lambda value: next((tag for tag, kind in tags.items() if isinstance(value, kind)), last))


class EvidenceNeed(Part):
    """A finished read that a write must cite (semantics.md E-1)."""

    evidence: Word
    within: Duration
    same: tuple[
        Annotated[
            Annotated[Word, Tag("name")] | Annotated[dict[Word, Word], Field(min_length=1), Tag("pair")],
            _by_shape(name=str, pair=dict),
        ],
        ...,
    ] = ()

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """(argument of the write, field of the read) that must be equal."""
        return tuple(pair for same in self.same for pair in ([(same, same)] if isinstance(same, str) else same.items()))


Need = Annotated[
    Annotated[Literal["reason"], Tag("word")] | Annotated[EvidenceNeed, Tag("read")], _by_shape(word=str, read=dict)
]


class ToolBudget(Part):
    """A sum over one tool's calls: of an argument, or of the calls themselves."""

    sum: Word | None = None
    count: Literal["calls"] | None = None
    per: Literal["principal", "task", "tenant"]
    window: Duration | None = None
    at_most: Count

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.sum is None) == (self.count is None):
            raise PydanticCustomError(
                "one_of", "It needs either `sum` or `count`", {"remedy": "Write `sum: ARGUMENT` or `count: calls`."}
            )
        if self.window is None and self.per != "task":
            raise PydanticCustomError(
                "window", "Without a `window` it would never refill", {"remedy": "Add one, such as `window: 24h`."}
            )
        return self


class ToolTerms(Part):
    """A grant with conditions. Every key makes it narrower."""

    max: Numbers | None = None
    min: Numbers | None = None
    approve_over: Numbers | None = None
    always_approve: Literal[True] | None = None
    approval: Approval | None = None
    allowed_fields: Words | None = None
    require: Annotated[tuple[Need, ...], Field(min_length=1)] | None = None
    rate: Frequency | None = None
    budget: (
        Annotated[
            Annotated[ToolBudget, Tag("one")] | Annotated[tuple[ToolBudget, ...], Field(min_length=1), Tag("many")],
            _by_shape(many=list, one=dict),
        ]
        | None
    ) = None
    repeat_window: Duration | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set:
            raise PydanticCustomError("no_terms", "It has no terms", {"remedy": "Write `allow` instead."})
        return self

    @property
    def budgets(self) -> tuple[ToolBudget, ...]:
        """The budgets, whether one or several are written."""
        if self.budget is None:
            return ()
        return (self.budget,) if isinstance(self.budget, ToolBudget) else self.budget

    @property
    def evidence(self) -> tuple[EvidenceNeed, ...]:
        """The reads that must be cited."""
        return tuple(need for need in self.require or () if isinstance(need, EvidenceNeed))


Entry = Annotated[
    Annotated[Literal["allow", "deny", "hold"], Tag("word")] | Annotated[ToolTerms, Tag("terms")],
    _by_shape(word=str, terms=dict),
]


class Conditions(Part):
    """What an argument must be for a rule to match; all of them at once."""

    is_: Scalar | None = Field(None, alias="is")
    is_not: Scalar | None = None
    in_: Scalars | None = Field(None, alias="in")
    not_in: Scalars | None = None
    over: Number | None = None
    at_least: Number | None = None
    under: Number | None = None
    at_most: Number | None = None
    starts_with: Word | None = None
    ends_with: Word | None = None
    contains: Scalar | None = None
    present: bool | None = None

    @property
    def tests(self) -> dict[str, Any]:
        """Operator -> operand, of those that are written."""
        return self.model_dump(by_alias=True, exclude_unset=True)

    @model_validator(mode="after")
    def _tests_something(self) -> Self:
        if not self.tests:
            raise PydanticCustomError("no_test", "It tests nothing", {"remedy": "Write an operator, such as `is: x`."})
        return self


class Rule(Part):
    """A denial or a hold that cuts across tools."""

    id: Name
    tools: Annotated[tuple[Annotated[str, Field(pattern=r"^[a-z0-9_*]+$")], ...], Field(min_length=1)]
    who: Who | None = None
    when: Annotated[
        dict[Annotated[str, Field(pattern=r"^args(\.[A-Za-z_][A-Za-z0-9_]*)+$")], Conditions], Field(min_length=1)
    ] = Field(default_factory=dict)
    then: Literal["deny", "hold"]
    approval: Approval | None = None
    because: Annotated[str, Field(min_length=1, max_length=300)]


class ExampleCaller(Part):
    """Who makes the example's call."""

    principal: Word = "example"
    kind: Kind = Kind.AGENT
    groups: tuple[Word, ...] = ()
    on_behalf_of: Word | None = None


class Example(Part):
    """A call, and what the policies must say of it."""

    who: ExampleCaller
    call: Word
    args: dict[str, Any] = Field(default_factory=dict)
    reason: Word | None = None
    without: tuple[Literal["reason", "evidence"], ...] = ()
    expect: Literal["allow", "hold", "deny"]


class PolicyDocument(Part):
    """One policy file."""

    policy: Name
    applies_to: AppliesTo
    approval: Approval | None = None
    """Who approves where a hold of this policy does not say."""
    budgets: Budgets | None = None
    tools: Annotated[dict[str, Entry], Field(min_length=1)] = Field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    examples: tuple[Example, ...] = ()

    def terms(self, tool: str) -> ToolTerms | None:
        """The conditions on `tool`, if it is granted with any."""
        entry = self.tools.get(tool)
        return entry if isinstance(entry, ToolTerms) else None

    def grants(self, tool: str) -> bool:
        """Whether the policy lets `tool` be called at all, be it on conditions."""
        return self.tools.get(tool, "deny") != "deny"
