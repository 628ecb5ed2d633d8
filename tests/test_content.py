"""What may lie beside the data of an answer is checked where it is made (semantics.md T-2)."""

from __future__ import annotations

from base64 import b64encode

import pytest

from gateway.connector import Audio, Connector, Document, Image, Nothing, Output, Upstream
from gateway.content import MAX_BLOCKS, MAX_CONTENT_BYTES, Block, spelled
from gateway.errors import AnswerRefused
from gateway.returned import returned
from gateway.tool import content_of


class Note(Output):
    """With a field that is called like what lies beside it."""

    content: str


def test_a_block_is_spelled_as_the_protocol_spells_it() -> None:
    """Bytes become base64, a text stays one, and base64 with line breaks is the same bytes."""
    assert Image(b"x", "image/webp").spelled() == {"type": "image", "data": "eA==", "mimeType": "image/webp"}
    assert Audio.from_base64("UklG\r\nRg==\n", "audio/wav") == Audio(b"RIFF", "audio/wav")
    assert Document("a://b", b"\x00", "application/pdf").spelled()["resource"] == {
        "uri": "a://b",
        "mimeType": "application/pdf",
        "blob": "AA==",
    }
    assert Document("a://b", "t").spelled()["resource"] == {"uri": "a://b", "mimeType": "text/plain", "text": "t"}


@pytest.mark.parametrize("media", ["image/svg+xml", "image/PNG", "text/html", "audio/wav", "", "image/png\nx: y"])
def test_a_picture_that_models_cannot_look_at_is_refused(media: str) -> None:
    """T-2: an SVG is a program; a type of our own invention is shown by nobody."""
    with pytest.raises(AnswerRefused) as refused:
        Image(b"x", media)
    assert refused.value.code == "upstream_bad_answer"


@pytest.mark.parametrize("text", ["", "eA", "not base64!", "eA==eA==", "é"])
def test_what_is_no_base64_is_refused(text: str) -> None:
    """T-2: an upstream's word that something is base64 is not taken."""
    with pytest.raises(AnswerRefused) as refused:
        Image.from_base64(text, "image/png")
    assert refused.value.code == "upstream_bad_answer"
    assert text not in refused.value.message or not text


@pytest.mark.parametrize(
    ("uri", "media"), [("no uri", "text/plain"), ("", "text/plain"), ("a://b", "text"), ("a://b", "text/plain\n")]
)
def test_a_document_needs_a_name_and_a_type(uri: str, media: str) -> None:
    """T-2: clients parse both, and throw away the whole answer when they cannot."""
    with pytest.raises(AnswerRefused):
        Document(uri, "text", media)


@pytest.mark.parametrize(
    "blocks",
    [
        [Document("a://b", "é" * (MAX_CONTENT_BYTES // 4)), Image(b"x" * (MAX_CONTENT_BYTES // 2 + 1), "image/png")],
        [Audio(b"x", "audio/ogg")] * (MAX_BLOCKS + 1),
    ],
    ids=["bytes", "parts"],
)
def test_all_parts_of_an_answer_share_one_limit(blocks: list[Block]) -> None:
    """T-2: many small parts are as large as one large part, and text counts as the bytes it takes."""
    with pytest.raises(AnswerRefused) as refused:
        spelled(blocks)
    assert refused.value.code == "answer_too_large"
    with pytest.raises(AnswerRefused):
        Image.from_base64(b64encode(b"x" * (MAX_CONTENT_BYTES + 1)).decode(), "image/png")
    with pytest.raises(AnswerRefused):
        Document("a://b", "é" * (MAX_CONTENT_BYTES // 2 + 1))


def test_content_lies_beside_the_fields_and_is_none_of_them() -> None:
    """A field may be called `content`; showing more leaves the first output as it was."""
    plain = Note(content="said")
    more = plain.with_content(Image(b"x", "image/png")).with_content(Audio(b"y", "audio/wav"))
    assert [type(block).__name__ for block in content_of(more)] == ["Image", "Audio"]
    assert content_of(plain) == ()
    assert more.model_dump() == {"content": "said"}
    assert set(Note.model_json_schema(mode="serialization")["properties"]) == {"content"}


def test_a_record_that_is_too_large_is_no_resource() -> None:
    """T-2: a tool's data is cut to fit a model; a resource is handed over whole, or not at all."""
    shelf = Connector("shelf", base_url="https://shelf.example")

    @shelf.resource("shelf://note")
    async def note(args: Nothing, upstream: Upstream) -> Note:
        """A note."""
        return Note(content="")

    @shelf.read()
    async def look(args: Nothing, upstream: Upstream) -> Note:
        """A note."""
        return Note(content="")

    large = Note(content="é" * (MAX_CONTENT_BYTES // 2))
    assert returned(look, large).data == {"content": large.content}
    with pytest.raises(AnswerRefused) as refused:
        returned(note, large)
    assert refused.value.code == "answer_too_large"
