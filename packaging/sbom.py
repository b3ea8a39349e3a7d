"""The bill of materials, in CycloneDX: what is in the bundle, for whoever checks it against known flaws."""

import uuid

from cyclonedx.factory.license import LicenseFactory
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from facts import Facts
from packageurl import PackageURL
from parts import Part

SCHEMA = SchemaVersion.V1_6


def bill(facts: Facts, every: tuple[Part, ...]) -> str:
    """The bill as JSON, the same for the same parts. Raises ValueError when it breaks the schema."""
    program = Component(
        name="tidegate",
        version=facts.version,
        type=ComponentType.APPLICATION,
        description=facts.description,
        licenses=[LicenseFactory().make_from_string("MIT")],
        bom_ref="tidegate",
    )
    components = [_component(part) for part in every]
    contents = repr([(part.name, part.version) for part in every])
    bom = Bom(
        components=components,
        serial_number=uuid.uuid5(uuid.NAMESPACE_URL, f"tidegate {facts.version} {contents}"),
    )
    bom.metadata.component = program
    bom.metadata.timestamp = facts.made_on
    bom.register_dependency(program, components)
    text = make_outputter(bom, OutputFormat.JSON, SCHEMA).output_as_string(indent=2)
    if (fault := JsonStrictValidator(SCHEMA).validate_str(text)) is not None:
        raise ValueError(f"the bill of materials is not valid: {fault}")
    return text


def _component(part: Part) -> Component:
    kind, _, namespace = part.origin.partition("/")
    url = PackageURL(kind, namespace or None, part.name, part.version)
    return Component(
        name=part.name,
        version=part.version,
        type=ComponentType.LIBRARY,
        licenses=[LicenseFactory().make_from_string(part.licence)] if part.licence else [],
        purl=url,
        bom_ref=str(url),
    )
