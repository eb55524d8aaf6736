"""The official `openai` package asks, waits, lists, fetches, extends, remixes, edits, deletes."""

import os
import re
import subprocess
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from openai import BadRequestError, NotFoundError, OpenAI, omit

from films import samples
from kineograph import video
from serve_support import Server, shared, small_film

pytestmark = pytest.mark.filterwarnings("ignore:The Sora API:DeprecationWarning")
PAGE = Path(__file__).parent.parent / "docs" / "server.md"


@pytest.fixture
def server() -> Server:
    return shared()


@pytest.fixture
def client(server: Server) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{server.url}/v1", api_key=server.token, max_retries=0) as found:
        yield found


def test_a_film_is_continued_fetched_extended_remixed_edited_and_deleted(
    client: OpenAI, tmp_path: Path
) -> None:
    film = client.videos.create_and_poll(
        prompt="on it goes",
        input_reference=small_film(),
        extra_body={"task": "predict", "seconds": 0.125, "steps": 1},
    )
    assert (film.status, film.progress, film.size) == ("completed", 100, "48x32")
    assert (film.prompt, film.model, film.object) == ("on it goes", "kineo-small", "video")
    out = tmp_path / "out.mp4"
    client.videos.download_content(film.id).write_to_file(out)
    given, answer = samples(small_film()), samples(out)
    assert answer[:8] == given  # what was known came back bit for bit
    assert len(answer) == 11
    assert float(film.seconds) == pytest.approx(11 / 24)
    assert video.read_recipe(out)["task"] == "predict"
    assert video.probe(out).audio_codecs

    longer = client.videos.extend(
        prompt="",
        seconds="4",
        video=omit,  # pyright: ignore[reportArgumentType]
        extra_body={"video": {"id": film.id}, "seconds": 0.125},
    )
    assert float(longer.seconds) == pytest.approx(14 / 24)
    assert client.videos.poll(longer.id).status == "completed"
    client.videos.download_content(longer.id).write_to_file(out)
    assert samples(out)[:8] == given

    again = client.videos.remix(film.id, prompt="and on", extra_body={"steps": 2})
    assert (again.remixed_from_video_id, again.prompt) == (film.id, "and on")
    assert again.model_dump()["question"]["steps"] == 2
    assert client.videos.poll(again.id).status == "completed"

    edited = client.videos.edit(
        prompt="bright", video=small_film(), extra_body={"task": "enhance", "deflicker": 1}
    )
    assert client.videos.poll(edited.id).status == "completed"

    names = [one.id for one in client.videos.list(limit=2)]
    assert names[:4] == [edited.id, again.id, longer.id, film.id]  # over pages of two
    first = client.videos.list(limit=1, order="asc")
    assert len(first.data) == 1
    assert first.has_more

    deleted = client.videos.delete(film.id)
    assert (deleted.id, deleted.deleted, deleted.object) == (film.id, True, "video.deleted")
    with pytest.raises(NotFoundError):
        client.videos.retrieve(film.id)


def test_pictures_of_a_film_are_jpeg(client: OpenAI, tmp_path: Path) -> None:
    film = client.videos.create_and_poll(
        prompt="", input_reference=small_film(), extra_body={"task": "enhance", "deflicker": 1}
    )
    sizes: dict[Literal["thumbnail", "spritesheet"], tuple[int, int]] = {
        "thumbnail": (48, 32),
        "spritesheet": (4 * 48, 2 * 32),
    }
    for variant, size in sizes.items():
        path = tmp_path / f"{variant}.jpg"
        client.videos.download_content(film.id, variant=variant).write_to_file(path)
        info = video.probe(path)
        assert (info.width, info.height) == size
        assert np.ptp(video.read(path).frames.numpy()) > 1


def test_a_film_may_be_given_as_a_file_id_or_written_out(client: OpenAI) -> None:
    file = client.files.create(file=small_film(), purpose="vision")
    assert file.bytes == small_film().stat().st_size
    said = file.model_dump()
    assert (said["width"], said["height"], said["num_frames"]) == (48, 32, 8)
    made = client.videos.create(prompt="", input_reference=omit, extra_body={
        "input_reference": {"file_id": file.id}, "task": "enhance", "deflicker": 1})  # fmt: skip
    assert client.videos.poll(made.id).status == "completed"
    with pytest.raises(BadRequestError, match="No address is opened"):
        client.videos.create(prompt="", input_reference=omit, extra_body={
            "input_reference": {"image_url": "http://127.0.0.1:9/x.png"}})  # fmt: skip


def test_models_have_cards(client: OpenAI) -> None:
    found = {model.id: model.model_dump() for model in client.models.list()}
    assert found["kineo-small"]["kind"] == "film"
    assert found["kineo-small"]["card"]
    assert found["kineo-fish"]["kind"] == "world"


def test_an_unknown_model_is_refused(client: OpenAI) -> None:
    with pytest.raises(BadRequestError, match="There is no model 'sora-2'") as refusal:
        client.videos.create(prompt="", model="sora-2", input_reference=small_film())
    assert (refusal.value.param, refusal.value.code) == ("model", "model_not_found")


def test_the_examples_of_the_page_run(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KINEO_URL", server.url)
    monkeypatch.setenv("KINEO_TOKEN", server.token)
    (tmp_path / "film.mp4").write_bytes(small_film().read_bytes())
    page = PAGE.read_text("utf-8")
    shell = "\n".join(re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL))
    subprocess.run(["sh", "-ec", shell], check=True, env=dict(os.environ), timeout=60)
    assert len(samples(tmp_path / "denoised.mp4")) == 8
    examples = re.findall(r"^```python client\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert examples
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        names: dict[str, Any] = {"__name__": "__example__"}
        for example in examples:
            exec(compile(example, str(PAGE), "exec"), names)
        names["client"].close()
    assert len(samples(tmp_path / "continued.mp4")) == 14
