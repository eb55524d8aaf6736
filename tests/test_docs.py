"""Every Python example of the README and the docs runs as it is printed.

The examples of one page share their names and run in order, in an empty folder. A fence opened by
```python no-run is shown only.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```python[ \t]*\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)


def examples(text: str) -> list[str]:
    """Each example, led by as many empty lines as make errors name the line of the page."""
    return ["\n" * text.count("\n", 0, m.start(1)) + m.group(1) for m in FENCE.finditer(text)]


@pytest.mark.parametrize("page", [page for page in PAGES if page.exists()], ids=lambda p: p.name)
def test_the_examples_of_a_page_run(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__example__"}
    for example in examples(page.read_text(encoding="utf-8")):
        exec(compile(example, str(page), "exec"), names)


def test_only_python_that_is_meant_to_run_is_run() -> None:
    page = (
        "a\n```python\nx = 1\n```\n```python no-run\ny\n```\n```bash\nls\n```\n```python\nz\n```\n"
    )
    assert examples(page) == ["\n\nx = 1\n", "\n" * 11 + "z\n"]
