"""Resources and prompts go the way of a tool: granted by name, decided, throttled, recorded, redacted; no side door."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

import pytest

from gateway.ledger_line import Event
from tests.acme import API_KEY, Acme
from tests.acme_papers import HIDDEN, PIXEL
from tests.gate import Answer, Gate, gate
from tests.place import TENANT, Place, policy

RESOURCES = ("papers_invoice", "papers_terms", "papers_seal", "papers_page", "papers_file", "papers_folder")
PROMPTS = ("papers_letter", "papers_greeting")
TOOLS = ("papers_scan", "papers_stamp")
GRANTED = dict.fromkeys((*RESOURCES, *PROMPTS, *TOOLS), "allow")
INVOICE = "papers://invoices/inv_1001"
LETTER = {"invoice": "inv_1001", "tone": "frank"}


@pytest.fixture
def papers(place: Place) -> Place:
    """The place, with a connector that has resources and prompts, all of them granted to the agents."""
    place.load("acme_papers", "papers")
    place.write_policy(policy(GRANTED))
    return place


@pytest.fixture
def running(papers: Place) -> Iterator[Gate]:
    """A gateway process over it."""
    with gate(papers) as started:
        yield started


def read(gateway: Gate, uri: str) -> Answer:
    """The answer to `resources/read`."""
    return gateway.ask("resources/read", {"uri": uri}, name=uri)


def prompt(gateway: Gate, name: str, arguments: Mapping[str, str] | None = None) -> Answer:
    """The answer to `prompts/get`."""
    return gateway.ask("prompts/get", {"name": name, "arguments": dict(arguments or {})}, name=name)


def complete(gateway: Gate, ref: Mapping[str, str], argument: str, begun: str) -> Answer:
    """The answer to `completion/complete`."""
    return gateway.ask("completion/complete", {"ref": ref, "argument": {"name": argument, "value": begun}})


def listed(gateway: Gate) -> set[str]:
    """The names of all resources, templates and prompts that the bot is shown."""
    lists = (
        ("resources/list", "resources"),
        ("resources/templates/list", "resourceTemplates"),
        ("prompts/list", "prompts"),
    )
    return {entry["name"] for method, what in lists for entry in gateway.ask(method, {})["result"][what]}


def action_of(answer: Answer) -> str:
    """The action that an answer names beside what it hands over."""
    action: str = answer["result"]["_meta"]["com.holdgate/action-id"]
    return action


def test_what_is_read_is_what_was_declared(running: Gate) -> None:
    """T-2: a record has its declared fields, a text what a reader can see, a file its bytes."""
    record = read(running, INVOICE)["result"]
    assert (record["ttlMs"], record["cacheScope"]) == (0, "private")
    (content,) = record["contents"]
    assert (content["uri"], content["mimeType"]) == (INVOICE, "application/json")
    fields = json.loads(content["text"])
    assert (fields["id"], fields["note"]) == ("inv_1001", "[2J")
    assert set(fields) == {"id", "balance_cents", "note"}
    (text,) = read(running, "papers://terms")["result"]["contents"]
    assert text == {"uri": "papers://terms", "mimeType": "text/markdown", "text": "# Terms[2J\n"}
    (file,) = read(running, "papers://seal")["result"]["contents"]
    assert file == {"uri": "papers://seal", "mimeType": "image/png", "blob": PIXEL}


def test_a_record_may_have_documents_beside_it(running: Gate) -> None:
    """Its JSON comes first, under the URI that was asked for; each document has a URI of its own."""
    record, letter, seal = read(running, "papers://folders/inv_1001")["result"]["contents"]
    assert (record["uri"], json.loads(record["text"])) == ("papers://folders/inv_1001", {"id": "inv_1001"})
    assert letter == {"uri": "papers://files/inv_1001", "mimeType": "text/plain", "text": "Dear customer,"}
    assert seal == {"uri": "papers://seal", "mimeType": "image/png", "blob": "AA=="}


def test_a_header_that_names_another_resource_is_refused(running: Gate, papers: Place, acme: Acme) -> None:
    """S38, A-6: who decides by the header, such as a proxy, and who decides by the body, decide about the same."""
    for method, named in (("resources/read", {"uri": INVOICE}), ("prompts/get", {"name": "papers_letter"})):
        answer = running.ask(method, {**named, "arguments": LETTER}, name="papers_greeting")
        assert answer["error"]["code"] == -32020
    assert acme.journal() == []
    assert papers.lines(event=Event.INTENT) == []


def test_a_prompt_is_messages_made_of_typed_arguments(running: Gate) -> None:
    """An argument arrives as a text and is validated as what it is; the words come back in their order and roles."""
    document, request, answer = prompt(running, "papers_letter", LETTER | {"pages": "3"})["result"]["messages"]
    assert (document["role"], document["content"]["type"]) == ("user", "resource")
    assert HIDDEN not in document["content"]["resource"]["text"]
    assert request["content"] == {"type": "text", "text": "Write 3 pages about this invoice. Be frank."}
    assert answer == {"role": "assistant", "content": {"type": "text", "text": "Dear customer,"}}
    wrong = prompt(running, "papers_letter", {"invoice": "inv_1001", "tone": "rude", "pages": "many"})["error"]
    assert wrong["code"] == -32602
    assert "`tone`" in wrong["message"]
    assert "`pages`" in wrong["message"]
    assert "many" not in json.dumps(wrong)


def test_what_is_not_granted_is_as_if_it_were_not(papers: Place, acme: Acme) -> None:
    """T-5, A-7: neither listed nor read nor completed, in the words for what there is not; and recorded."""
    granted = {name: "allow" for name in GRANTED if name not in ("papers_invoice", "papers_terms", "papers_letter")}
    papers.write_policy(policy(granted))
    with gate(papers) as gateway:
        assert listed(gateway) == set(granted) - set(TOOLS)
        for uri in (INVOICE, "papers://terms", "papers://nothing/inv_1001", "papers://nothing"):
            unknown = {"code": -32602, "message": "Unknown resource", "data": {"uri": uri}}
            assert read(gateway, uri)["error"] == unknown
        unseen = prompt(gateway, "papers_letter", LETTER)["error"]
        assert unseen == {"code": -32602, "message": "Unknown prompt: papers_letter"}
        assert prompt(gateway, "papers_absent")["error"]["message"] == "Unknown prompt: papers_absent"
        by_name = [{"type": "ref/prompt", "name": name} for name in ("papers_letter", "papers_absent")]
        by_uri = [{"type": "ref/resource", "uri": f"papers://{of}/{{invoice}}"} for of in ("invoices", "nothings")]
        for ref in (*by_name, *by_uri):
            assert complete(gateway, ref, "invoice", "")["error"]["code"] == -32602
    assert acme.journal() == []
    refused = [(line.get("tool"), line["code"]) for line in papers.lines(event=Event.REFUSED)]
    assert refused == [
        ("papers_invoice", "unknown_tool"),
        ("papers_terms", "unknown_tool"),
        (None, "unknown_tool"),
        (None, "unknown_tool"),
        ("papers_letter", "unknown_tool"),
        (None, "unknown_tool"),
    ]


def test_nothing_is_reached_through_another_door_than_its_own(running: Gate, acme: Acme) -> None:
    """T-5, T-11: a resource and a prompt are no tools, a tool is neither, a name is no URI, whatever policy grants."""
    for name in ("papers_invoice", "papers_terms", "papers_letter", INVOICE):
        assert running.call(name, {"invoice": "inv_1001"})["error"]["code"] == -32602
    assert prompt(running, "papers_scan", {"invoice": "inv_1001"})["error"]["message"] == "Unknown prompt: papers_scan"
    assert prompt(running, "papers_invoice", {"invoice": "inv_1001"})["error"]["code"] == -32602
    for uri in ("papers_terms", "papers_scan", "papers_letter", "get_action"):
        assert read(running, uri)["error"]["message"] == "Unknown resource"
    assert prompt(running, "get_action", {})["error"]["message"] == "Unknown prompt: get_action"
    assert acme.journal() == []


def test_a_read_is_recorded_and_may_be_evidence(papers: Place) -> None:
    """E-1, L-2: intent and outcome under its name; a write that must cite the invoice may cite the resource."""
    need = {"require": [{"evidence": "papers_invoice", "same": ["invoice"], "within": "15m"}]}
    papers.write_policy(policy({**GRANTED, "plain_refund": need}))
    refund = {"invoice": "inv_1001", "cents": 5}
    with gate(papers) as gateway:
        action = action_of(read(gateway, INVOICE))
        letter = action_of(prompt(gateway, "papers_letter", LETTER))
        assert gateway.call("plain_refund", {**refund, "evidence": [letter]})["code"] == "needs_evidence"
        assert gateway.call("plain_refund", {**refund, "evidence": [action]})["status"] == "done"
        kept = gateway.call("get_action", {"action_id": action})
        assert kept["data"]["id"] == "inv_1001"
    for action_id, name in ((action, "papers_invoice"), (letter, "papers_letter")):
        events = [(line["event"], line["tool"]) for line in papers.lines(action=action_id)]
        assert events == [("INTENT", name), ("OUTCOME", name)]


def test_a_read_is_decided_like_a_call(papers: Place, acme: Acme) -> None:
    """R-1, T-10: denied by a rule, over its rate, held and stopped: an error that says why, and nothing goes out."""
    rules = [
        {"id": "no-secrets", "tools": ["papers_file"], "when": {"args.name": {"is": "secrets"}}, "then": "deny",
         "because": "Secrets are read in person."}
    ]  # fmt: skip
    terms = {"papers_terms": {"rate": "2/min"}, "papers_invoice": "hold"}
    papers.write_policy(policy({**GRANTED, **terms}, rules=rules, approval={"from": ["finance"]}))
    with gate(papers) as gateway:
        denied = read(gateway, "papers://files/secrets")["error"]
        assert denied["code"] == -31000
        assert denied["message"].startswith("not_permitted: ")
        assert "Secrets are read in person." in denied["message"]
        assert (denied["data"]["status"], denied["data"]["code"]) == ("refused", "not_permitted")
        assert read(gateway, "papers://files/others")["result"]["contents"][0]["text"] == "others"
        rated = [read(gateway, "papers://terms") for _ in range(3)]
        assert ["error" in answer for answer in rated] == [False, False, True]
        assert rated[2]["error"]["data"]["code"] == "rate_limited"
        assert rated[2]["error"]["data"]["retry_after_ms"] > 0
        held = read(gateway, INVOICE)["error"]["data"]
        assert (held["status"], held["code"]) == ("held", "approval_needed")
        assert acme.journal() == []
        papers.vote(held["action_id"], "fay")
        assert gateway.settled(held["action_id"])["data"]["id"] == "inv_1001"
        papers.transact(lambda tx: tx.switches.stop(TENANT, "tool", "papers_seal", by="olga", because="an incident"))
        assert read(gateway, "papers://seal")["error"]["data"]["code"] == "switched_off"
        papers.transact(lambda tx: tx.switches.stop(TENANT, "connector", "papers", by="olga", because="an incident"))
        assert prompt(gateway, "papers_greeting")["error"]["data"]["code"] == "switched_off"


@pytest.mark.parametrize("fault", [("echo", "id"), ("echo_error", 422)])
def test_an_echoed_credential_reaches_no_reader(running: Gate, acme: Acme, fault: tuple[str, str | int]) -> None:
    """S31, C-6: a resource and a prompt are redacted as an answer is; the credential only went out."""
    acme.fault(*fault, method="GET")
    assert API_KEY not in json.dumps(read(running, INVOICE))
    acme.fault(*fault, method="GET")
    assert API_KEY not in json.dumps(prompt(running, "papers_letter", LETTER))
    assert len(acme.journal()) == 2
    assert API_KEY not in running.log.read_text()


def test_a_resource_that_is_too_large_is_refused_and_not_cut(running: Gate) -> None:
    """T-2: a document with its end missing would be another one."""
    assert read(running, "papers://pages/3/false")["result"]["contents"][0]["text"] == "xxx"
    refused = read(running, "papers://pages/3/true")["error"]
    assert (refused["data"]["status"], refused["data"]["code"]) == ("failed", "answer_too_large")


def test_a_uri_that_points_elsewhere_is_unknown(running: Gate) -> None:
    """T-5: a segment holds one plain name; what would step out of it, encoded or not, names nothing."""
    names = ("..", "%2e%2e", "a%2Fb", "a%5Cb", "a%00b", "%ff", "a/b", "", "a?b", "a#b", "a b", "a" * 2_000)
    uris = [*(f"papers://files/{name}" for name in names), "PAPERS://terms", "papers://terms/", "papers:///terms"]
    known = [uri for uri in uris if read(running, uri).get("error", {}).get("message") != "Unknown resource"]
    assert known == []


def test_the_variables_of_a_uri_are_validated(running: Gate, acme: Acme) -> None:
    """I-5: one spelling per value, and the Input model decides; the refusal names the argument and not its value."""
    assert read(running, "papers://files/%C3%A4%20b")["result"]["contents"][0]["text"] == "ä b"
    for uri in (
        "papers://invoices/inv_1001x",
        "papers://pages/03/false",
        "papers://pages/3/False",
        "papers://pages/99/true",
    ):
        refused = read(running, uri)["error"]
        assert (refused["code"], refused["data"]["code"]) == (-32602, "invalid_arguments")
    assert acme.journal() == []


def test_arguments_are_completed_from_choices_and_functions(running: Gate, papers: Place) -> None:
    """Literals by what they begin with, whatever its case; a function's values up to a hundred; no line is left."""
    before = len(papers.lines())
    letter = {"type": "ref/prompt", "name": "papers_letter"}
    tones = complete(running, letter, "tone", "FR")["result"]["completion"]
    assert tones == {"values": ["friendly", "frank"], "total": 2, "hasMore": False}
    many = complete(running, letter, "invoice", "inv_1")["result"]["completion"]
    assert (len(many["values"]), many["total"], many["hasMore"]) == (100, 150, True)
    assert complete(running, letter, "pages", "")["result"]["completion"]["values"] == []
    page = {"type": "ref/resource", "uri": "papers://pages/{number}/{large}"}
    assert complete(running, page, "large", "t")["result"]["completion"]["values"] == ["true"]
    assert len(papers.lines()) == before


def test_completing_spends_rate(papers: Place) -> None:
    """R-1: it is no way around the limit on calls."""
    papers.write_settings(limits={"calls_per_minute": 2})
    ref = {"type": "ref/prompt", "name": "papers_letter"}
    with gate(papers) as gateway:
        answers = [complete(gateway, ref, "tone", "") for _ in range(3)]
    assert ["error" in answer for answer in answers] == [False, False, True]
    assert answers[2]["error"]["message"].startswith("rate_limited: ")
