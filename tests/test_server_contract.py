"""The HTTP API against its own OpenAPI document: whatever is sent, the answer is one that the document foresees."""

from contextlib import suppress
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
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

pytestmark = pytest.mark.extra("web")

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
    collection = Collection.open(home / "collection", encoder=TinyEncoder(), create=True)
    collection.add(home)
    app = create_app(collection, ServerSettings(allow_dirs=(home,), public_url="http://testserver"))
    yield schemathesis.openapi.from_asgi("/openapi.json", app)
    app.state.services.close()


def test_every_answer_is_in_the_document(document):
    """Valid and invalid requests to every operation, made up from the document."""
    operations = [result.ok() for result in document.get_all_operations()]
    assert len(operations) >= 18
    for operation in operations:
        for mode in schemathesis.GenerationMode:

            @settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
            @given(case=operation.as_strategy(generation_mode=mode))
            def ask(case):
                case.call_and_validate(checks=CHECKS)

            with suppress(Unsatisfiable):  # some operations cannot be asked wrongly
                ask()
