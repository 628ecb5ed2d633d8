"""Traces: a span for each MCP request, each phase of an action, and each request to a system of record.

The names are those of OpenTelemetry's conventions for MCP, GenAI and HTTP. A span says what kind of thing went wrong
and never in what words: an exception's text may repeat an argument or an upstream's answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from gateway.errors import Refusal, UpstreamError
from gateway.model import Action

Attributes = Mapping[str, str | int]

_propagator = TraceContextTextMapPropagator()
_tracer: Tracer | None = None
_OFF: AbstractContextManager[None] = nullcontext()


def use(tracer: Tracer | None) -> None:
    """Make spans with `tracer` from now on; None: make none."""
    global _tracer
    _tracer = tracer


def on() -> bool:
    """Whether spans are made."""
    return _tracer is not None


def phase(name: str, action: Action) -> AbstractContextManager[None]:
    """A span for one phase of one action."""
    return _OFF if _tracer is None else _phase(_tracer, name, action)


def later(name: str, action: Action) -> AbstractContextManager[None]:
    """A trace of its own for what is done with an action after its call: linked to the span that it was asked in."""
    return _OFF if _tracer is None else _phase(_tracer, name, action, root=True)


def here() -> str | None:
    """The open span, as W3C spells it; None: there is none."""
    carrier: dict[str, str] = {}
    if _tracer is not None:
        _propagator.inject(carrier)
    return carrier.get("traceparent")


def server_span(
    name: str, attributes: Attributes, *, meta: Mapping[str, Any], headers: Mapping[str, str]
) -> AbstractContextManager[Span | None]:
    """A span for one MCP request, in the trace of whoever made it.

    Args:
        meta: the request's `_meta`; its `traceparent` is the parent.
        headers: of the HTTP request; their `traceparent` is linked, and the parent of a request that names none.
    """
    if _tracer is None:
        return nullcontext()
    asked, carried = _remote(meta), _remote(headers)
    parent = asked or carried
    links = [Link(carried)] if asked and carried and asked.span_id != carried.span_id else []
    # An empty context, and not the ambient one: whatever span is open here belongs to somebody else's request.
    context = trace.set_span_in_context(trace.NonRecordingSpan(parent), Context()) if parent else Context()
    return _tracer.start_as_current_span(
        name,
        context=context,
        kind=SpanKind.SERVER,
        attributes=dict(attributes),
        links=links,
        record_exception=False,
        set_status_on_exception=False,
    )


def client_span(name: str, attributes: Attributes) -> AbstractContextManager[Span | None]:
    """A span for one request to a system of record."""
    if _tracer is None:
        return nullcontext()
    return _tracer.start_as_current_span(
        name, kind=SpanKind.CLIENT, attributes=dict(attributes), record_exception=False, set_status_on_exception=False
    )


def end(span: Span | None, attributes: Attributes, error: str | None) -> None:
    """What became known of a span while it ran.

    Args:
        error: the kind of failure, of a bounded set; None: it went well.
    """
    if span is None:
        return
    span.set_attributes(dict(attributes))
    if error is not None:
        span.set_attribute("error.type", error)
        span.set_status(Status(StatusCode.ERROR))


@contextmanager
def _phase(tracer: Tracer, name: str, action: Action, *, root: bool = False) -> Iterator[None]:
    attributes = {
        "gen_ai.tool.name": action.tool.name,
        "holdgate.action.id": action.id,
        "holdgate.mode": str(action.mode),
    }
    asked = _remote({"traceparent": action.asked_in})
    with tracer.start_as_current_span(
        f"holdgate.{name}",
        context=Context() if root else None,
        attributes=attributes,
        links=[Link(asked)] if root and asked else [],
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield
        except (Refusal, UpstreamError) as told:
            end(span, {}, told.code)
            raise
        except Exception as broken:
            end(span, {}, type(broken).__qualname__)
            raise


def _remote(carrier: Mapping[str, Any]) -> SpanContext | None:
    """The span that a caller says it is in; None when it does not, or not in the form that W3C gives it.

    The `tracestate` beside it is free text of the caller's, and so not taken over.
    """
    said = carrier.get("traceparent")
    if not isinstance(said, str):
        return None
    context = trace.get_current_span(_propagator.extract({"traceparent": said}, Context())).get_span_context()
    return context if context.is_valid else None
