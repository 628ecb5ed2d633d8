"""A policy that names what is not there, or says what has no effect, does not load: with file, line and remedy."""

import pytest

from tests.policy.conftest import Refuse, Write

HEAD = "policy: p\napplies_to: {kinds: [agent]}\n"
REFUND = HEAD + "tools:\n  billing_lookup_invoice: allow\n  billing_refund:\n"
CALLS = "{count: calls, per: task, at_most: 5}"
RULE = HEAD + "tools: {billing_refund: allow, crm_update_contact: allow}\nrules:\n"


@pytest.mark.parametrize(
    ("text", "line", "message", "remedy"),
    [
        # -- names
        (HEAD + "tools: {billing_refnd: allow}", 3, "No tool is named billing_refnd.", "Did you mean billing_refund?"),
        (REFUND + "    max: {cent: 5}", 6, "billing_refund has no argument `cent`.", "Did you mean `cents`?"),
        (REFUND + "    approve_over: {cent: 5}\n    approval: {from: [a]}", 6, "billing_refund has no argument", ""),
        (REFUND + "    allowed_fields: [memo]", 6, "billing_refund has no argument `memo`.", ""),
        (REFUND + "    budget: {sum: euros, per: task, at_most: 5}", 6, "billing_refund has no argument `euros`.", ""),
        (RULE + "  - {id: r, tools: [mail_*], then: deny, because: x}", 5, "No tool matches mail_*.", ""),
        (
            RULE + "  - {id: r, tools: [billing_refund], when: {args.cent: {over: 5}}, then: deny, because: x}",
            5,
            "billing_refund has no argument `cent`.",
            "Did you mean `cents`?",
        ),
        # -- types and values
        (REFUND + "    max: {invoice: 5}", 6, "`max` compares numbers, and `invoice` is none.", ""),
        (REFUND + "    max: {cents: 10.5}", 6, "`cents` is a whole number, and 10.5 is none.", ""),
        (REFUND + "    budget: {sum: invoice, per: task, at_most: 5}", 6, "Only whole numbers are summed", ""),
        (HEAD + "tools:\n  ops_adjust:\n    budget: {sum: amount, per: task, at_most: 5}", 5, "`amount` may be", ""),
        (HEAD + "tools:\n  ops_adjust:\n    budget: {sum: share, per: task, at_most: 5}", 5, "Only whole numbers", ""),
        # -- limits without an effect, or always do
        (REFUND + "    max: {cents: 500000}", 6, "`max` of 500000 for `cents` has no effect", ""),
        (REFUND + "    min: {cents: 1}", 6, "`min` of 1 for `cents` has no effect", ""),
        (REFUND + "    max: {cents: 0}", 6, "`max` of 0 for `cents` refuses every call.", ""),
        (REFUND + "    min: {cents: 500001}", 6, "`min` of 500001 for `cents` refuses every call.", ""),
        (
            REFUND + "    max: {cents: 50}\n    approve_over: {cents: 50}\n    approval: {from: [a]}",
            7,
            "`approve_over` of 50 for `cents` has no effect",
            "",
        ),
        (
            REFUND + "    approve_over: {cents: 0}\n    approval: {from: [a]}",
            6,
            "`approve_over` of 0 for `cents` holds every call.",
            "Write `always_approve: true` instead.",
        ),
        (REFUND + "    allowed_fields: [note]", 6, "`allowed_fields` names every optional argument", ""),
        (
            HEAD + "tools:\n  billing_lookup_invoice:\n    allowed_fields: [invoice]",
            5,
            "`allowed_fields` names every optional argument",
            "billing_lookup_invoice has no optional arguments.",
        ),
        (REFUND + f"    budget: [{CALLS}, {CALLS}]", 6, "This budget is given twice.", ""),
        # -- approvals
        (REFUND + "    approve_over: {cents: 50}", 6, "This holds calls, and nothing says who approves them.", ""),
        (REFUND + "    always_approve: true", 6, "This holds calls, and nothing says who approves them.", ""),
        (REFUND + "    max: {cents: 50}\n    approval: {from: [a]}", 7, "Nothing here is held for this approval.", ""),
        (HEAD + "tools: {billing_refund: hold}", 3, "This holds calls, and nothing says who approves them.", ""),
        (RULE + "  - {id: r, tools: [billing_refund], then: hold, because: x}", 5, "This holds calls, and noth", ""),
        (HEAD + "approval: {from: [a]}\ntools: {billing_refund: allow}", 3, "Nothing here is held", ""),
        (
            RULE + "  - {id: r, tools: [billing_refund], then: deny, approval: {from: [a]}, because: x}",
            5,
            "A denial needs no approval.",
            "",
        ),
        # -- evidence
        (
            REFUND + "    require: [{evidence: billing_lookup, within: 1m}]",
            6,
            "billing_lookup is no tool.",
            "The reads are: billing_lookup_invoice.",
        ),
        (REFUND + "    require: [{evidence: crm_update_contact, within: 1m}]", 6, "crm_update_contact is a write", ""),
        (
            REFUND + "    require: [{evidence: billing_lookup_invoice, same: [reason], within: 1m}]",
            6,
            "billing_lookup_invoice neither takes nor gives `reason`.",
            "It has: customer, invoice, paid, total.",
        ),
        (
            REFUND + "    require: [{evidence: billing_lookup_invoice, same: [{cents: customer}], within: 1m}]",
            6,
            "`cents` and `customer` of billing_lookup_invoice have different types",
            "",
        ),
        (
            HEAD + "tools:\n  billing_refund:\n    require: [{evidence: billing_lookup_invoice, within: 1m}]",
            5,
            "No policy grants billing_lookup_invoice",
            "Write `billing_lookup_invoice: allow` under `tools`.",
        ),
        (HEAD + "tools:\n  billing_lookup_invoice:\n    require: [reason]", 5, "`require` is about writes", ""),
        (HEAD + "tools:\n  billing_lookup_invoice:\n    repeat_window: 5m", 5, "`repeat_window` is about writes", ""),
        # -- budgets over all tools
        (HEAD + "budgets: {task: {spend: 5 EUR}}\ntools: {billing_refund: allow}", 3, "No tool that", ""),
        (
            HEAD + "budgets: {task: {spend: 5 USD}}\ntools: {billing_refund: allow, ops_adjust: allow}",
            3,
            "ops_adjust spends JPY, which a budget in USD does not count.",
            "",
        ),
        (HEAD + "budgets: {task: {spend: 5 JPY}}\ntools: {ops_adjust: allow}", 3, "ops_adjust.amount may be neg", ""),
        (HEAD + "budgets: {principal: {window: 1h}}\ntools: {ops_adjust: allow}", 3, "The principal budget limits", ""),
        (HEAD + "budgets: {on_exceeded: stop}\ntools: {ops_adjust: allow}", 3, "There is no budget that", ""),
        # -- rules
        (
            HEAD + "tools: {ops_adjust: allow}\nrules:\n  - {id: r, tools: [billing_refund], then: deny, because: x}",
            5,
            "No policy grants a tool that rule r is about",
            "",
        ),
        (
            RULE + "  - {id: r, tools: [billing_refund], who: {kinds: [human]}, then: deny, because: x}",
            5,
            "This policy applies to agent only, so rule r can never match.",
            "",
        ),
        (
            RULE + "  - {id: r, tools: [ops_adjust, billing_refund], then: deny, because: x}\n"
            "  - {id: r, tools: [billing_refund], then: deny, because: x}",
            6,
            "The id r is used twice in this policy.",
            "",
        ),
        (HEAD, 1, "The policy says nothing.", ""),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused_with_its_line(
    refused: Refuse, text: str, line: int, message: str, remedy: str
) -> None:
    """Each kind of mistake is told with its place, in one sentence, and with what to do about it."""
    problem = refused(text + "\n").problems[0]
    assert (problem.line, problem.message[: len(message)]) == (line, message)
    assert problem.remedy.startswith(remedy)
    assert problem.remedy
    assert problem.file is not None
    assert problem.file.endswith("0.yaml")


@pytest.mark.parametrize(
    ("tool", "condition", "message"),
    [
        ("billing_refund", "reason: {is: courtesy}", "`reason` can never be 'courtesy'."),
        ("billing_refund", "reason: {in: [fraud, courtesy]}", "`reason` can never be 'courtesy'."),
        ("billing_refund", "reason: {is: fraud, is_not: fraud}", "No value of `reason` can ever match this."),
        ("billing_refund", "reason: {starts_with: x}", "No value of `reason` can ever match this."),
        ("billing_refund", "reason: {not_in: [duplicate, fraud, goodwill]}", "No value of `reason` can ever match"),
        ("billing_refund", "reason: {present: true}", "`reason` is always present."),
        ("billing_refund", "reason: {over: 5}", "`over` compares numbers, and `reason` is none."),
        ("billing_refund", "invoice: {is: 5}", "`invoice` can never be 5."),
        ("billing_refund", "invoice: {is: order_1}", "`invoice` can never be 'order_1'."),
        ("billing_refund", "invoice: {contains: 5}", "`invoice` is text, which contains only text."),
        ("billing_refund", "cents: {is: '5'}", "`cents` can never be '5'."),
        ("billing_refund", "cents: {is: true}", "`cents` can never be True."),
        ("billing_refund", "cents: {is: 600000}", "`cents` can never be 600000."),
        ("billing_refund", "cents: {over: 500000}", "No value of `cents` can ever match this."),
        ("billing_refund", "cents: {under: 1}", "No value of `cents` can ever match this."),
        ("billing_refund", "cents: {over: 10, under: 11}", "No value of `cents` can ever match this."),
        ("billing_refund", "cents: {starts_with: '5'}", "`starts_with` looks into text, and `cents` is none."),
        ("crm_update_contact", "tags: {is: x}", "`tags` is a list or a mapping"),
        ("crm_update_contact", "vip: {contains: x}", "`contains` looks into text or a list, and `vip` is neither."),
        ("crm_update_contact", "shipping_address.country: {is: XX}", "`shipping_address.country` can never be 'XX'."),
    ],
)
def test_a_condition_that_never_matches_is_refused(refused: Refuse, tool: str, condition: str, message: str) -> None:
    """A rule looks like protection; one that cannot match is none."""
    text = RULE + f"  - id: r\n    tools: [{tool}]\n    when:\n      args.{condition}\n    then: deny\n    because: x\n"
    problem = refused(text).problems[0]
    assert (problem.line, problem.message) == (8, f"Rule r for {tool}: " + problem.message.split(": ", 1)[1])
    assert problem.message.split(": ", 1)[1].startswith(message)


def test_a_rule_beyond_the_policys_own_limit_never_matches(refused: Refuse) -> None:
    """What `max` denies anyway, no hold can catch."""
    text = REFUND + (
        "    max: {cents: 50}\nrules:\n  - {id: r, tools: [billing_refund], when: {args.cents: {over: 50}}, "
        "then: hold, approval: {from: [a]}, because: x}\n"
    )
    assert "No value of `cents` can ever match this." in refused(text).message


def test_a_denial_of_what_only_another_policy_grants_is_sound(policy: Write) -> None:
    """One file may narrow what another grants."""
    ban = "policy: ban\napplies_to: {kinds: [agent]}\nrules: [{id: r, tools: [ops_adjust], then: deny, because: x}]\n"
    assert policy(HEAD + "tools: {ops_adjust: allow}\n", ban).documents[0].value.policy == "ban"


def test_two_policies_of_one_name_are_refused(refused: Refuse) -> None:
    """Names are part of rule ids and counters."""
    problem = refused(HEAD + "tools: {ops_adjust: allow}\n", HEAD + "tools: {ops_adjust: deny}\n")
    assert problem.message.startswith("A policy named p exists already, in ")


def test_problems_of_all_files_are_told_in_one_go(refused: Refuse) -> None:
    """A file that cannot be read does not hide what is wrong with another."""
    texts = ("policy: [", HEAD + "tools: {nope: allow, billing_refund: hold}\n", "policy: q\nx: 1\n")
    assert [problem.message for problem in refused(*texts).problems] == [
        "This is not YAML: expected the node content, but found '<stream end>'.",
        "`applies_to` is missing.",
        "`x` is not a known key.",
        "No tool is named nope.",
        "This holds calls, and nothing says who approves them.",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + "tools: {ops_adjust: {rollout: {mode: shadow}}}", "`rollout` is planned, but not built yet."),
        (HEAD + "envelope: {}\ntools: {ops_adjust: allow}", "`envelope` is planned, but not built yet."),
        (HEAD + "tools: {ops_adjust: {}}", "It has no terms."),
        (HEAD + "tools: {ops_adjust: }", "`tools.ops_adjust` must be a mapping of keys to values."),
        (HEAD + "tools: {ops_adjust: {max: }}", "`max` has no value."),
        (HEAD + "tools: {ops_adjust: yes}", "`tools.ops_adjust` must be 'allow', 'deny' or 'hold'."),
        (HEAD + "tools: {ops_adjust: {rate: 10 per minute}}", "must be a rate such as 10/min."),
        (HEAD + "tools: {ops_adjust: {repeat_window: 10}}", "must be a duration such as 90s, 15m, 4h or 7d."),
        (HEAD + "tools: {ops_adjust: {max: {amount: '5'}}}", "must be a"),
        (HEAD + "budgets: {task: {spend: 50.5 USD}}", "must be money with 2 decimals for USD."),
        (HEAD + "budgets: {task: {spend: 50.50 JPY}}", "must be money with 0 decimals for JPY."),
        (HEAD + "budgets: {task: {spend: $50}}", "must be money such as 50.00 USD."),
        (HEAD + "budgets: {principal: {tool_calls: 5}}", "`window` is missing in budgets.principal."),
        (HEAD + "tools: {ops_adjust: {budget: {per: task, at_most: 5}}}", "It needs either `sum` or `count`."),
        (HEAD + "tools: {ops_adjust: {budget: {count: calls, per: tenant, at_most: 5}}}", "it would never refill"),
        (HEAD + "tools: {ops_adjust: {always_approve: true, approval: {from: []}}}", "approval.from` is empty."),
        (HEAD + "tools: {ops_adjust: {always_approve: true, approval: {count: 2}}}", "`from` is missing"),
        ("policy: p\napplies_to: {}\ntools: {ops_adjust: allow}", "It says nothing."),
        (
            "policy: p\napplies_to: {kinds: [robot]}\ntools: {ops_adjust: allow}",
            "must be 'agent', 'human' or 'service'.",
        ),
        (HEAD + "rules: [{id: r, tools: [ops_adjust], then: allow, because: x}]", "must be 'deny' or 'hold'."),
        (HEAD + "rules: [{id: r, tools: [ops_adjust], then: deny}]", "`because` is missing in rules.0."),
        (
            HEAD + "rules: [{id: r, tools: [ops_adjust], when: {args.amount: {above: 1}}, then: deny, because: x}]",
            "`above` is not a known key.",
        ),
        (
            HEAD + "rules: [{id: r, tools: [ops_adjust], when: {args.amount: {}}, then: deny, because: x}]",
            "It tests nothing.",
        ),
    ],
)
def test_what_the_language_does_not_know_is_refused(refused: Refuse, text: str, message: str) -> None:
    """Unknown, blank, planned and badly written keys stop the load."""
    assert message in refused(text + "\n").message


def test_money_is_counted_in_minor_units_of_its_currency(policy: Write) -> None:
    """R-5: integers only, with the decimals of ISO 4217."""
    loaded = policy(HEAD + "budgets: {task: {spend: 0.29 USD}}\ntools: {billing_refund: allow}\n")
    budgets = loaded.documents[0].value.budgets
    assert budgets is not None
    assert budgets.task is not None
    assert budgets.task.spend is not None
    assert (budgets.task.spend.minor, budgets.task.spend.unit) == (29, "USD cents")
