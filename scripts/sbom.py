"""What a wheel needs, as CycloneDX: `holdgate-1.0.cdx.json` beside `holdgate-1.0-py3-none-any.whl`.

The parts are those of the hashed locks, and so what `--require-hashes` installs and the tests ran with. The same wheel
and the same locks make the same bytes: the time is SOURCE_DATE_EPOCH, the serial number is made from the content, and
no address is in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from uuid import NAMESPACE_OID, uuid5

from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from hatchling.builders.utils import get_reproducible_timestamp
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

LOCKS = Path(__file__).resolve().parents[1] / "requirements"


@dataclass(frozen=True)
class Pinned:
    """One entry of a lock: a version, the files that may stand for it, and who asked for it."""

    requirement: Requirement
    sha256: tuple[str, ...]
    asked_by: frozenset[str]

    @property
    def name(self) -> str:
        return canonicalize_name(self.requirement.name)

    @property
    def version(self) -> str:
        (pin,) = self.requirement.specifier
        return pin.version


def read_lock(lock: Path) -> Iterator[Pinned]:
    """The entries of a lock as `uv pip compile --generate-hashes` writes it."""
    for entry in re.split(r"^(?=[A-Za-z])", lock.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        pin, _, rest = entry.partition("\\\n")
        hashes = tuple(sorted(re.findall(r"--hash=sha256:([0-9a-f]{64})", rest)))
        # One asker stands on the line of `# via` itself, several on lines of their own; `-c FILE` is none.
        asked_by = re.findall(r"^ {4}#(?: via|  ) ([A-Za-z][\w.-]*)", rest, re.MULTILINE)
        yield Pinned(Requirement(pin.strip()), hashes, frozenset(map(canonicalize_name, asked_by)))


def component(pinned: Pinned, scope: ComponentScope) -> Component:
    """A library of the list. Which file of its version was installed is the machine's affair; it is one of these."""
    purl = PackageURL("pypi", name=pinned.name, version=pinned.version)
    marker = pinned.requirement.marker
    return Component(
        type=ComponentType.LIBRARY,
        name=pinned.name,
        version=pinned.version,
        bom_ref=str(purl),
        purl=purl,
        scope=ComponentScope.OPTIONAL if marker else scope,
        properties=[Property(name="holdgate:only-where", value=str(marker))] if marker else [],
        external_references=[
            ExternalReference(
                type=ExternalReferenceType.DISTRIBUTION,
                url=XsUri(str(purl)),
                comment="The lock admits any one of these files.",
                hashes=[HashType(alg=HashAlgorithm.SHA_256, content=content) for content in pinned.sha256],
            )
        ],
    )


def list_parts(wheel: Path, required: Iterable[Pinned], optional: Iterable[Pinned]) -> Bom:
    """The wheel, what it always needs, what its extras add, and who needs whom."""
    name, version, _, _ = parse_wheel_filename(wheel.name)
    content = sha256(wheel.read_bytes()).hexdigest()
    purl = PackageURL("pypi", name=name, version=str(version))
    root = Component(
        type=ComponentType.APPLICATION,
        name=name,
        version=str(version),
        bom_ref=str(purl),
        purl=purl,
        licenses=[LicenseExpression("Apache-2.0")],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=content)],
    )
    always = {pinned.name: pinned for pinned in required}
    pins = {pinned.name: pinned for pinned in optional} | always
    parts = {
        pin.name: component(pin, ComponentScope.REQUIRED if pin.name in always else ComponentScope.OPTIONAL)
        for pin in pins.values()
    }
    named = repr([content, sorted((part.bom_ref.value, pins[key].sha256) for key, part in parts.items())])
    bom = Bom(
        serial_number=uuid5(NAMESPACE_OID, named),
        metadata=BomMetaData(component=root, timestamp=datetime.fromtimestamp(get_reproducible_timestamp(), UTC)),
        components=parts.values(),
    )
    everyone = {**parts, canonicalize_name(name): root}
    for key, asker in everyone.items():
        bom.register_dependency(asker, [parts[pin.name] for pin in pins.values() if key in pin.asked_by])
    return bom


def write(wheel: Path) -> Path:
    """Write the list beside the wheel, and say where."""
    bom = list_parts(wheel, read_lock(LOCKS / "holdgate.txt"), read_lock(LOCKS / "claude.txt"))
    target = wheel.with_name("-".join(wheel.name.split("-")[:2]) + ".cdx.json")
    target.write_text(JsonV1Dot6(bom).output_as_string(indent=2) + "\n", encoding="utf-8")
    return target
