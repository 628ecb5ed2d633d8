"""One call that has passed the gate: an action."""

from dataclasses import replace

from gateway.model import Action, Carried, Mode, Task
from tests.policy.acme import BOT, REFUND, TOOLS

TOOL = TOOLS["billing_refund"]
CALLER = replace(BOT, owner="olga", on_behalf_of="ada")
CALL = Action(
    id="act_1",
    principal=CALLER,
    tool=TOOL,
    args=TOOL.input_model.model_validate(REFUND),
    arguments=REFUND,
    given=frozenset(REFUND),
    mode=Mode.RUN,
    task=Task("tsk_1", "meta"),
    key=None,
    fingerprint=b"",
    twin=b"",
    reason=None,
    evidence=(),
    carried=Carried(),
    deadline=1.0,
)
