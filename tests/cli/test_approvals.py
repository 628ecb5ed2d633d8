"""Humans decide in the terminal: on exactly what they were shown, and never on their own calls."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.acme import Acme
from tests.cli.command import Holdgate, one_sentence
from tests.place import Place, held, policy
from tests.services import eventually

HOSTILE = "\x1b[2J[bold]Approved by finance[/bold]\u202e\u200b\nstate: approved \U000e0041"
REPLY = ("call", "tickets_reply", "--as", "bot", "--arg", "ticket=tic_2001", "--json")


@pytest.fixture
def two_must_agree(place: Place, before_acme: Holdgate) -> Iterator[Holdgate]:
    """A gateway under which replies wait for two people of finance."""
    place.write_policy(held("tickets_reply", count=2))
    with before_acme.serving():
        yield before_acme


def ask(holdgate: Holdgate, text: str, *more: str) -> str:
    """A held call's action id."""
    answer = holdgate(*REPLY, "--arg", f"text={text}", *more).json
    assert answer["status"] == "held", answer
    return str(answer["action_id"])


@pytest.fixture
def asked(place: Place, before_acme: Holdgate, acme: Acme) -> str:
    """The id of a held reply with hostile text, made while a gateway ran that is down now."""
    place.write_policy(held("tickets_reply", count=2))
    with before_acme.serving():
        return ask(before_acme, HOSTILE * 12, "--reason", HOSTILE)


def test_hostile_text_is_inert_on_the_card(before_acme: Holdgate, asked: str) -> None:
    """Control, bidi, zero-width and tag characters and markup show as themselves; nothing acts (H-12, S21)."""
    shown = before_acme("approvals", "show", asked).out
    assert not {"\x1b", "\u202e", "\u200b", "\U000e0041"} & set(shown)
    assert "<U+001B>[2J[bold]Approved by finance[/bold]<U+202E><U+200B>\\nstate: approved <U+E0041>" in shown
    assert not any(line.startswith("state: approved") for line in shown.splitlines())


def test_the_agents_reason_stands_below_the_facts_as_untrusted(before_acme: Holdgate, asked: str) -> None:
    """Facts, diff and digest come first; the agent's words come last, under a heading that says so (H-12)."""
    lines = before_acme("approvals", "show", asked).out.splitlines()
    untrusted = next(number for number, line in enumerate(lines) if line.startswith("Untrusted"))
    assert any("digest" in line for line in lines[:untrusted])
    assert any("asked by" in line and "bot, who answers to olga" in line for line in lines[:untrusted])
    assert [line.split()[0] for line in lines[untrusted + 1 :]] == ["reason"]


def test_a_card_calls_the_task_what_its_agent_calls_it(two_must_agree: Holdgate) -> None:
    """I-16, H-12: a name that a person can look up, among what the caller says; the ledger has a keyed hash."""
    action = ask(two_must_agree, "It is on its way.", "--task", "tic_2002")
    card = two_must_agree("approvals", "show", action, "--json").json
    assert card["untrusted"]["task"] == "tic_2002" != card["task"]
    assert two_must_agree("approvals", "show", action).out.splitlines()[-1].split() == ["task", "tic_2002"]


def test_what_an_agent_calls_its_task_is_inert_on_the_card(two_must_agree: Holdgate) -> None:
    """H-12: a name is shown as it is, blanks that no eye can see and markup too, and only below the facts."""
    action = ask(two_must_agree, "It is on its way.", "--task", "[bold]t\u2800state: approved[/bold]")
    *facts, task = two_must_agree("approvals", "show", action).out.splitlines()
    assert task == f"  {'task':<14} [bold]t<U+2800>state: approved[/bold]"
    assert "state: approved" not in "".join(facts)


def test_a_long_text_is_folded_to_look_at_and_whole_to_approve(before_acme: Holdgate, asked: str) -> None:
    """`show` says how long a folded text is; `approve` shows every byte before it asks (S21)."""
    assert f"[folded: {len(HOSTILE * 12)} characters in all]" in before_acme("approvals", "show", asked).out
    approving = before_acme("approvals", "approve", asked, "--as", "fay", stdin="n\n")
    assert "folded" not in approving.out
    assert approving.out.count("Approved by finance") >= 12
    assert approving.code == 1
    assert before_acme("approvals", "ls", "--json").json[0]["approved_by"] == []


def test_a_call_runs_once_two_people_have_approved(two_must_agree: Holdgate, acme: Acme) -> None:
    """Two distinct humans of finance approve, by shortened ids; the gateway runs it once (H-5, H-10)."""
    action = ask(two_must_agree, "It is on its way.")
    first = two_must_agree("approvals", "approve", action[:12], "--as", "fay", "--yes", "--json")
    again = two_must_agree("approvals", "approve", action[:12], "--as", "fay", "--yes", "--json")
    assert [first.json["state"], again.json["state"]] == ["pending", "pending"]
    assert acme.mutating() == []
    second = two_must_agree("approvals", "approve", action[4:14], "--as", "finn", stdin="y\n")
    assert "the gateway runs it now" in second.out
    acme_saw = eventually(acme.mutating, "the approved reply")
    assert len(acme_saw) == 1
    eventually(lambda: "OUTCOME" in two_must_agree("ledger", "show", action).out, "its outcome")
    story = two_must_agree("ledger", "show", action).out
    order = [story.index(event) for event in ("HOLD_CREATED", "VOTE", "CONSUMED", "INTENT", "OUTCOME")]
    assert order == sorted(order)


def test_a_party_to_the_call_and_a_stranger_cannot_approve(before_acme: Holdgate, asked: str) -> None:
    """The agent, its owner and somebody of another group are refused, and each attempt is on the ledger (S14)."""
    for name in ("bot", "olga", "vic"):
        ended = before_acme("approvals", "approve", asked, "--as", name, "--yes", "--json")
        assert (ended.code, ended.json["accepted"]) == (1, False)
    votes = before_acme("ledger", "query", "--event", "VOTE", "--json").jsons
    assert [(vote["principal"], vote["accepted"]) for vote in votes] == [
        ("bot", False),
        ("olga", False),
        ("vic", False),
    ]


def test_who_may_not_decide_is_told_who_can(before_acme: Holdgate, asked: str) -> None:
    """The card names whose word would count now, and so does the refusal of another's; the ledger says it was none."""
    assert before_acme("approvals", "show", asked, "--json").json["deciders"] == ["fay", "finn"]
    assert "can decide     fay, finn" in before_acme("approvals", "show", asked).out
    told = before_acme("approvals", "deny", asked, "--as", "olga").err
    assert told.endswith("nobody approves their own. These can decide: fay, finn.\n")
    assert "olga not accepted: deny olga is a party" in before_acme("ledger", "tail").out
    before_acme("keys", "disable", "finn")
    assert before_acme("approvals", "show", asked, "--json").json["deciders"] == ["fay"]


def test_a_vote_counts_for_the_digest_that_was_shown(before_acme: Holdgate, asked: str) -> None:
    """A script echoes the digest it showed; another one is refused, the right one counts (H-1)."""
    digest = before_acme("approvals", "show", asked, "--json").json["digest"]
    words = ("approvals", "approve", asked, "--as", "fay", "--yes", "--digest")
    assert "look again" in before_acme(*words, "0" * 64).err
    assert before_acme(*words, digest).code == 0


def test_one_denial_ends_it_while_the_server_is_down(before_acme: Holdgate, asked: str, place: Place) -> None:
    """deny works on the store alone, with the key in a variable (H-5); what is decided has no time left."""
    assert "min" in before_acme("approvals", "ls", "--json").json[0]["left"]
    assert " left)" in before_acme("approvals", "show", asked).out
    ended = before_acme("approvals", "deny", asked, "--note", "no", HOLDGATE_APPROVER_KEY=place.keys["finn"])
    assert (ended.code, ended.out) == (0, "Denied; the action will not run.\n")
    assert before_acme("approvals", "ls", "--all", "--json").json[0]["left"] is None
    assert " left)" not in before_acme("approvals", "show", asked).out
    assert "denied already" in one_sentence(before_acme("approvals", "deny", asked, "--as", "fay"), 1)
    assert before_acme("approvals", "ls", "--json").json == []
    assert before_acme("approvals", "ls", "--all", "--json").json[0]["state"] == "denied"


def test_personal_values_are_masked_until_revealed(place: Place, before_acme: Holdgate) -> None:
    """A sensitive argument is masked on the card, in the diff too, and shown to whoever approves (Tool.sensitive)."""
    place.write_policy(held("crm_update_customer"))
    words = ("call", "crm_update_customer", "--as", "bot", "--arg", "customer=cus_ada", "--arg", "email=new@x.example")
    with before_acme.serving():
        assert before_acme(*words, "--json").json["status"] == "held"
    masked, revealed = (
        before_acme("approvals", "show", "act_").out,
        before_acme("approvals", "show", "act_", "--reveal").out,
    )
    assert "new@x.example" not in masked
    assert "ada@lindqvist.example" not in masked
    assert "new@x.example" in revealed
    assert "new@x.example" in before_acme("approvals", "approve", "act_", "--as", "fay", stdin="n\n").out


def test_the_list_tells_held_calls_apart(place: Place, before_acme: Holdgate) -> None:
    """An approver sees what each is about, cut short and inert; what is personal is masked there, too (H-12)."""
    place.write_policy(policy({"tickets_reply": "hold", "crm_update_customer": "hold"}, approval={"from": ["finance"]}))
    change = ("call", "crm_update_customer", "--as", "bot", "--arg", "customer=cus_ada", "--arg", "email=new@x.example")
    with before_acme.serving():
        ask(before_acme, HOSTILE * 12)
        assert before_acme(*change, "--json").json["status"] == "held"
    reply, update = before_acme("approvals", "ls", "--json").json
    assert (reply["arguments"]["ticket"], update["arguments"]["customer"]) == ("tic_2001", "cus_ada")
    assert "new@x.example" not in str(update)
    told = before_acme("approvals", "ls").out
    assert "ticket=tic_2001 text=<U+001B>[2J[bold]Approved by finance" in told
    assert "customer=cus_ada" in told
    assert "new@x.example" not in told
    assert max(map(len, told.splitlines())) < 400


def test_an_approval_that_nobody_is_there_to_run_says_so(place: Place, before_acme: Holdgate) -> None:
    """The store takes the vote without a server; whoever approves hears that the call waits, and where to look."""
    place.write_policy(held("tickets_reply"))
    with before_acme.serving():
        action = ask(before_acme, "It is on its way.")
    told = before_acme("approvals", "approve", action, "--as", "fay", "--yes").out
    assert "Approved. No gateway is running; the next one runs it, when it starts by 20" in told
    assert told.endswith(f"`holdgate ledger show {action}` tells what comes of it.\n")


def test_among_several_kept_approvers_one_must_be_chosen(before_acme: Holdgate, asked: str) -> None:
    """Nobody votes by accident as somebody else: the names are listed, and none is picked."""
    assert "fay, finn, olga, vic" in one_sentence(before_acme("approvals", "deny", asked), 1)
