"""Whatever is asked within the API's own description, or beside it, no answer is a 5xx.

KINEO_EXAMPLES says how many requests each address gets of each kind.
"""

import os
from contextlib import suppress
from functools import cache

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.core.result import Ok

from serve_support import Server, shared

EXAMPLES = int(os.environ.get("KINEO_EXAMPLES", "4"))
LOOKS_ONLY = ("/health", "/metrics", "/v1/limits", "/v1/models", "/v1/queue")
"""These take nothing, so one request says all."""


@cache
def schema() -> schemathesis.BaseSchema:
    found = shared().ask("GET", "/openapi.json").json()
    made = schemathesis.openapi.from_dict(found)
    made.config.update(base_url=shared().url)
    return made


def checked(server: Server, case: schemathesis.Case) -> int:
    """The status; an error must have OpenAI's shape."""
    answer = case.call(headers=server.headers, timeout=60)
    assert answer.status_code < 500, f"{case.as_curl_command()}\n{answer.text}"
    if answer.status_code >= 400:
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    return answer.status_code


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_no_answer_is_a_server_error(mode: GenerationMode) -> None:
    server, seen = shared(), set[int]()
    operations = [result.ok() for result in schema().get_all_operations() if isinstance(result, Ok)]
    assert len(operations) > 20
    for operation in operations:
        num = 1 if operation.path in LOOKS_ONLY else EXAMPLES

        @settings(
            max_examples=num,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=(HealthCheck.too_slow, HealthCheck.filter_too_much),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def asked(case: schemathesis.Case) -> None:
            seen.add(checked(server, case))

        with suppress(Unsatisfiable):  # what takes nothing cannot be given what is wrong
            asked()
    for one in server.ask("GET", "/v1/queue").json()["data"]:
        server.ask("DELETE", f"/v1/videos/{one['id']}")
    assert 400 in seen
