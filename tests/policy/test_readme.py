"""`policies/README.md` teaches the language as it is."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from gateway.policy import document
from tests.policy.conftest import Write

README = (Path(__file__).parents[2] / "policies" / "README.md").read_text()
BLOCKS = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)


def keys() -> Iterator[str]:
    for model in vars(document).values():
        if isinstance(model, type) and issubclass(model, BaseModel):
            yield from (field.alias or name for name, field in model.model_fields.items())


def test_the_policy_in_the_readme_loads_with_its_examples(policy: Write) -> None:
    """What readers copy works."""
    assert policy(BLOCKS[0]).documents[0].value.policy == "support-agents"


def test_the_approval_in_the_readme_loads(policy: Write) -> None:
    """As a policy's default approval."""
    loaded = policy("policy: p\napplies_to: {kinds: [agent]}\ntools: {ops_adjust: hold}\n" + BLOCKS[1])
    approval = loaded.documents[0].value.approval
    assert approval is not None
    assert approval.count == 2


@pytest.mark.parametrize("key", sorted(set(keys())))
def test_every_key_of_the_language_is_taught(key: str) -> None:
    """A key that is not in the README does not exist for its readers."""
    assert re.search(rf"\b{key}\b[`:,]", README)
