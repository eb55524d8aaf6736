"""Small parts of the server: paces, pictures, retention, what is asked of which task."""

import time
import tracemalloc
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from films import simple
from kineograph.serve.api import asking, database, jobs, keeping, pictures, service, uploads
from kineograph.serve.api.asking import EXPECTED, TAKES
from kineograph.serve.api.errors import Refused
from kineograph.serve.api.fields import TASKS, Question
from kineograph.serve.api.limits import Limits
from kineograph.serve.api.looking import Seen, look, seen
from kineograph.serve.api.pace import Pace
from kineograph.serve.api.service import Service

LIMITS = Limits()
FILM = Seen("video", 48, 32, 12, 0.5, "24", False)


def test_a_bucket_is_emptied_and_refills() -> None:
    pace = Pace(a_second=2.0, burst=3)
    assert [pace.wait("anna", now=0.0) for _ in range(4)] == [0, 0, 0, 1]
    assert pace.wait("bert", now=0.0) == 0
    assert [pace.wait("anna", now=0.6), pace.wait("anna", now=0.6)] == [0, 1]
    assert [pace.wait("anna", now=100.0) for _ in range(4)] == [0, 0, 0, 1]


def test_every_field_is_of_some_task_and_every_task_is_known() -> None:
    assert set(TAKES) == set(EXPECTED) == set(TASKS)
    of_tasks = set().union(*TAKES.values()) | asking.COMMON
    assert set(Question.model_fields) <= of_tasks


@pytest.mark.parametrize("task", TASKS)
def test_a_task_takes_its_own_fields_and_no_other(task: str) -> None:
    needed = {"input_reference"} | ({"region"} if task == "inpaint" else set())
    asking.check_fields(task, needed)
    for name in set().union(*TAKES.values()) - TAKES[task]:
        with pytest.raises(Refused, match=f"{name} goes with .*, and the task is {task}"):
            asking.check_fields(task, needed | {name})


def test_what_a_film_stands_for() -> None:
    picture = replace(FILM, kind="picture", num_frames=1)
    assert asking.task_of({}, FILM) == "predict"
    assert asking.task_of({}, picture) == "animate"
    assert asking.task_of({}, None) == "generate"
    assert asking.task_of({"task": "edit"}, picture) == "edit"


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (replace(LIMITS, frame_px=48 * 32), "96x64 pixels"),
        (replace(LIMITS, frames=11), "12 frames"),
        (replace(LIMITS, seconds=0.4), "0.5 s"),
        (replace(LIMITS, answer_px=12 * 96 * 64 - 1), "pixels in all"),
    ],
)
def test_what_would_be_too_much_is_not_begun(limits: Limits, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        asking.expected("enhance", {"scale": 2}, FILM, limits)
    found = asking.expected("enhance", {"scale": 2}, FILM, LIMITS)
    assert (found.width, found.height, found.num_frames, found.fps) == (96, 64, 12, Fraction(24))


def test_what_is_not_known_is_made_anew() -> None:
    assert asking.unknown("0-3,6", 9) == "4,5,7,8"
    for known, words in (("0-8", "nothing, or all"), ("0-9", "the film has 9")):
        with pytest.raises(ValueError, match=words):
            asking.unknown(known, 9)


@pytest.mark.parametrize("num_frames", [1, 5, 16, 40])
def test_a_sheet_shows_moments_in_their_order(tmp_path: Path, num_frames: int) -> None:
    film = simple(tmp_path / "film.mp4", num_frames=num_frames)
    found = list(pictures.moments(film, 16))
    assert len(found) == min(16, num_frames)
    sheet = pictures.tiled(found)
    assert sheet.shape == (32 * -(-len(found) // 4), 48 * min(4, len(found)), 3)
    assert (sheet[:32, :48] == found[0]).all()
    last = len(found) - 1
    row, column = divmod(last, 4)
    assert (sheet[row * 32 :, column * 48 :][:32, :48] == found[-1]).all()


def test_of_a_long_film_key_frames_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = simple(tmp_path / "film.mp4", num_frames=40, options={"qp": "0", "g": "5"})
    exact = [picture.copy() for picture in pictures.moments(film, 8)]
    monkeypatch.setattr(pictures, "MOST_DECODED", 10)
    for one, other in zip(exact, pictures.moments(film, 8), strict=True):
        assert np.array_equal(one, other)  # 0, 5, 10 and so on, each of which is a key frame


def test_an_upload_is_seen_as_it_is_by_a_process_apart(tmp_path: Path) -> None:
    film = simple(tmp_path / "a b.mp4", num_frames=5, sound_seconds=0.2)
    found = look(film, LIMITS)
    assert found == Seen("video", 48, 32, 5, 5 / 24, "24", True)
    picture = simple(tmp_path / "p.png", num_frames=1, codec="png", pix_fmt="rgb24")
    assert look(picture, LIMITS).kind == "picture"


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (replace(LIMITS, frame_px=1000), "48x32 pixels"),
        (replace(LIMITS, frames=4), "more than 4 frames"),
        (replace(LIMITS, seconds=0.1), "more than 0.1 s"),
    ],
)
def test_an_upload_beyond_the_limits_is_refused(tmp_path: Path, limits: Limits, words: str) -> None:
    film = simple(tmp_path / "film.mp4", num_frames=5)
    with pytest.raises(ValueError, match=words):
        seen(film, limits)


@pytest.fixture
def kept(tmp_path: Path) -> Service:
    return service.opened(tmp_path / "store", replace(LIMITS, keep_days=1.0, keep_bytes=2500))


def filmed(kept: Service, name: str, num_bytes: int, expires_at: float) -> str:
    """A film that was made."""
    values = {"owner": "anna", "client": "anna", "task": "enhance", "model": "m", "question": "{}",
              "inputs": "{}", "seconds": 1.0, "width": 2, "height": 2, "work_px": 1.0}  # fmt: skip
    made = jobs.add(kept.engine, values, 100).id
    job = jobs.claim(kept.engine, "worker", 10.0, 3)
    assert job is not None
    (kept.store.films / f"{name}.mp4").write_bytes(b"x" * num_bytes)
    (kept.store.films / f"{name}.thumbnail.jpg").write_bytes(b"x")
    row = {"output": f"{name}.mp4", "bytes": num_bytes, "expires_at": expires_at}
    assert jobs.complete(kept.engine, job, row)
    return made


def test_old_films_go_first_and_then_the_oldest_until_there_is_room(kept: Service) -> None:
    now = time.time()
    names = [
        filmed(kept, "expired", 10, now - 1),
        filmed(kept, "oldest", 1000, now + 9999),
        filmed(kept, "newer", 1000, now + 9999),
        filmed(kept, "newest", 1000, now + 9999),
    ]
    keeping.kept(kept, now)
    assert not (kept.store.films / "expired.mp4").exists()
    assert (kept.store.films / "oldest.mp4").exists()  # who asked for it may not have fetched it
    keeping.kept(kept, now + keeping.JUST_MADE_SECONDS + 1)
    assert sorted(path.name for path in kept.store.films.iterdir()) == [
        "newer.mp4", "newer.thumbnail.jpg", "newest.mp4", "newest.thumbnail.jpg"
    ]  # fmt: skip
    found = [jobs.find(kept.engine, "anna", name) for name in names]
    assert [job and job.status for job in found] == ["completed"] * 4  # what was asked is known
    assert [job and job.output for job in found] == [None, None, "newer.mp4", "newest.mp4"]


def peak_of_keeping(kept: Service) -> int:
    """The most bytes that Python holds for it."""
    tracemalloc.start()
    try:
        keeping.kept(kept, time.time())
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_keeping_needs_no_more_memory_however_many_films_were_dropped(kept: Service) -> None:
    name = filmed(kept, "film", 10, time.time() + 9999)
    job = jobs.find(kept.engine, "anna", name)
    assert job is not None
    peak_of_keeping(kept)  # what is done once is done
    few = peak_of_keeping(kept)
    gone = {**vars(job), "output": None}
    del gone["number"]
    with kept.engine.begin() as connection:
        rows = [{**gone, "id": f"video_{n}"} for n in range(300)]
        connection.execute(sa.insert(database.jobs), rows)
    assert peak_of_keeping(kept) < few + 100 * 300


def test_old_uploads_go_unless_something_that_waits_needs_them(
    kept: Service, tmp_path: Path
) -> None:
    film = simple(tmp_path / "film.mp4", num_frames=1)
    limits = replace(LIMITS, keep_bytes=10**9)
    kept = replace(kept, limits=limits)
    needed, free = (
        uploads.of_film(kept.engine, kept.store, "anna", film, limits).id for _ in range(2)
    )
    values = {"owner": "anna", "client": "anna", "task": "enhance", "model": "m", "question": "{}",
              "inputs": f'{{"input_reference": "{needed}"}}', "seconds": 1.0, "width": 2,
              "height": 2, "work_px": 1.0}  # fmt: skip
    jobs.add(kept.engine, values, 100)
    keeping.kept(kept, time.time() + 30 * 86_400)
    assert uploads.find(kept.engine, "anna", needed)
    assert uploads.find(kept.engine, "bert", needed) is None
    assert uploads.find(kept.engine, "anna", free) is None
    assert [path.name for path in kept.store.files.iterdir()] == [needed]


def test_what_has_just_come_stays_though_the_store_is_full(kept: Service, tmp_path: Path) -> None:
    film = simple(tmp_path / "film.mp4", num_frames=1)
    kept = replace(kept, limits=replace(LIMITS, keep_bytes=0))
    upload = uploads.of_film(kept.engine, kept.store, "anna", film, LIMITS)
    keeping.kept(kept, upload.created_at + keeping.JUST_MADE_SECONDS - 1)
    assert uploads.find(kept.engine, "anna", upload.id)
    keeping.kept(kept, upload.created_at + keeping.JUST_MADE_SECONDS + 1)
    assert uploads.find(kept.engine, "anna", upload.id) is None


def test_an_upload_is_dropped_or_asked_about_never_both(kept: Service, tmp_path: Path) -> None:
    film = simple(tmp_path / "film.mp4", num_frames=1)
    asked, dropped = (
        uploads.of_film(kept.engine, kept.store, "anna", film, LIMITS).id for _ in range(2)
    )
    values = {"owner": "anna", "client": "anna", "task": "enhance", "model": "m", "question": "{}",
              "seconds": 1.0, "width": 2, "height": 2, "work_px": 1.0}  # fmt: skip
    job = jobs.add(kept.engine, {**values, "inputs": f'{{"input_reference": "{asked}"}}'}, 100)
    assert not uploads.drop(kept.engine, kept.store, asked)
    assert (kept.store.files / asked).is_file()
    assert uploads.drop(kept.engine, kept.store, dropped)
    with pytest.raises(jobs.GoneError, match="upload it again"):
        jobs.add(kept.engine, {**values, "inputs": f'{{"mask": "{dropped}"}}'}, 100)
    jobs.cancel(kept.engine, "anna", job.id)
    assert uploads.drop(kept.engine, kept.store, asked)
    assert not (kept.store.files / asked).exists()


def test_what_no_row_knows_of_is_swept_once_it_is_old(
    kept: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    stray = kept.store.films / "video_x-y.mp4"
    stray.write_bytes(b"x")
    now = time.time()
    keeping.kept(kept, now)
    assert stray.exists()  # it may be just being put in place
    monkeypatch.setattr("kineograph.serve.api.shelf.time.time", lambda: now + 120)
    keeping.kept(kept, now)
    assert not stray.exists()
