"""The HTTP API against its own OpenAPI document: whatever is sent, the answer is one that the document foresees."""

from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from patchseek import Collection
from patchseek.server import ServerSettings, create_app

from .conftest import TinyEncoder, blot

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory):
    home: Path = tmp_path_factory.mktemp("contract")
    for i in range(4):
        blot(i).save(home / f"{i}.png")
    collection = Collection.open(home / "collection", encoder=TinyEncoder())
    collection.add(home)
    app = create_app(collection, ServerSettings(allow_dirs=(home,), public_url="http://testserver"))
    yield schemathesis.openapi.from_asgi("/openapi.json", app)
    app.state.services.close()


schema = schemathesis.pytest.from_fixture("document")


@schema.parametrize()
@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_every_answer_is_in_the_document(case):
    if case.operation.path.endswith("/reveal"):
        return  # it would open windows
    case.call_and_validate(checks=CHECKS)
