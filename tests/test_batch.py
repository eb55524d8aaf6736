"""Many films of one file: all lines checked first, each made once, texts where and when asked."""

import csv
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from films import by_ffmpeg, film, samples, simple, stored, times
from kineograph import video
from kineograph.batch.burning import finish
from kineograph.batch.jobs import jobs_of
from kineograph.batch.spec import MOST_LINES, lines_of
from kineograph.batch.texts import MOST_CHARACTERS, characters_of, default_font, text_of
from kineograph.cli import main

PAGE = Path(__file__).parent.parent / "docs" / "batch.md"
KINEO = "from kineograph.cli import main; main()"
SIZE = (96, 64)


def grey(path: Path, num_frames: int = 12, **more: Any) -> Path:
    """A film of one grey, so that whatever is drawn is seen."""
    picture = np.full((SIZE[1], SIZE[0], 3), 100, np.uint8)
    return film(path, [stored(picture, "yuv420p") for _ in range(num_frames)], **more)


def jsonl(path: Path, *lines: dict[str, Any]) -> Path:
    path.write_text("\n".join(json.dumps(line) for line in lines), "utf-8")
    return path


def table(path: Path, *lines: dict[str, Any]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(n for line in lines for n in line)))
        writer.writeheader()
        writer.writerows(lines)
    return path


def report(out: Path) -> dict[str, Any]:
    return json.loads((out / "report.json").read_text())


def states(out: Path) -> list[str]:
    return [line["state"] for line in report(out)["lines"]]


def refusals(spec: Path, out: Path) -> str:
    with pytest.raises(ValueError) as refused:
        jobs_of(spec, out, default_font())
    assert not out.exists()
    return str(refused.value)


def command(spec: Path, out: Path) -> list[str]:
    return [sys.executable, "-c", KINEO, "batch", str(spec), "--out", str(out)]


ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "400"}


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_every_line_is_a_film_as_the_verb_makes_it(tmp_path: Path, kind: str) -> None:
    given = simple(tmp_path / "in.mp4", num_frames=8, sound_seconds=0.3)
    lines: list[dict[str, Any]] = [
        {"verb": "predict", "input": "in.mp4", "output": "a.mp4", "seconds": 0.125, "steps": 1},
        {"verb": "repair", "input": "in.mp4", "output": "b.mkv", "only": "dust,scratch"},
        {"verb": "animate", "input": "in.mp4", "output": "c.mp4", "seconds": 0.1, "flow": "1,0.5"},
        {"verb": "enhance", "input": "in.mp4", "output": "d.mp4", "deflicker": 1, "sound": False},
    ]
    write = {"csv": table, "jsonl": jsonl}[kind]
    out = tmp_path / "out"
    main(["batch", str(write(tmp_path / f"spec.{kind}", *lines)), "--out", str(out)])
    assert states(out) == ["made"] * 4
    assert [line["frames"] for line in report(out)["lines"]] == [11, 8, 2, 8]
    assert samples(out / "a.mp4")[:8] == samples(given)
    assert video.probe(out / "a.mp4").audio_codecs
    assert not video.probe(out / "d.mp4").audio_codecs
    assert video.read_recipe(out / "b.mkv")["sought"] == ["dust", "scratch"]
    alone = tmp_path / "alone.mp4"
    main(["predict", str(given), "-o", str(alone), "--seconds", "0.125", "--steps", "1"])
    assert samples(out / "a.mp4") == samples(alone)


def test_a_text_is_where_and_when_it_is_asked_and_nowhere_else(tmp_path: Path) -> None:
    given = grey(tmp_path / "in.mp4", sound_seconds=0.5)
    texts = [
        {"text": "HI: 50%\\ 'x' %{n}", "position": "4,6", "size": "9",
         "colour": "#ff0000", "start": 0.125, "end": 0.25},
        {"text": "x;y,z[0]\nUnder", "position": "bottom right", "colour": "white", "size": 9,
         "start": 0.375},
    ]  # fmt: skip
    line = {"verb": "predict", "input": "in.mp4", "seconds": 0.1, "steps": 1, "texts": texts}
    outs = [tmp_path / "out", tmp_path / "plain"]
    for where, more in zip(outs, ({}, {"texts": []}), strict=True):
        spec = jsonl(tmp_path / "spec.jsonl", {**line, **more, "output": "o.mp4"})
        main(["batch", str(spec), "--out", str(where)])
    drawn, plain = (out / "o.mp4" for out in outs)
    assert times(drawn) == times(plain)
    assert video.probe(drawn).audio_codecs
    assert [t["text"] for t in video.read_recipe(drawn)["texts"]] == [t["text"] for t in texts]
    same = [a == b for a, b in zip(samples(drawn), samples(plain), strict=True)]
    assert same == [n not in (3, 4, 5, *range(9, 14)) for n in range(14)]
    assert samples(drawn)[:3] == samples(given)[:3]
    pictures = by_ffmpeg(drawn, *SIZE).astype(int)
    changed = np.abs(pictures - by_ffmpeg(plain, *SIZE)).max(-1) > 12
    rows, columns = np.nonzero(changed[4])
    assert rows.min() >= 4
    assert rows.max() <= 6 + 1.3 * 9
    assert 2 <= columns.min() <= 8
    red = (pictures[4, ..., 0] - pictures[4, ..., 1:].max(-1)) > 60
    assert red.sum() > 8
    rows, columns = np.nonzero(changed[10])
    assert rows.min() >= SIZE[1] // 2
    assert columns.min() >= SIZE[0] // 2
    assert SIZE[0] - 6 <= columns.max() < SIZE[0]


def test_an_upright_film_gets_upright_text(tmp_path: Path) -> None:
    grey(tmp_path / "in.mp4", num_frames=4, rotation=90)
    line = {"verb": "enhance", "input": "in.mp4", "deflicker": 1, "output": "o.mp4",
            "quality": "exact", "text": "HHH", "text_position": "top left",
            "text_size": 12}  # fmt: skip
    main(["batch", str(table(tmp_path / "s.csv", line)), "--out", str(tmp_path / "out")])
    info = video.probe(tmp_path / "out" / "o.mp4")
    assert (info.width, info.height) == (SIZE[1], SIZE[0])
    shown = video.read(tmp_path / "out" / "o.mp4").frames[2]
    rows, columns = np.nonzero((shown - shown[:, -1:, -1:]).abs().amax(0).numpy() > 0.2)
    assert rows.max() < SIZE[0] // 3
    assert np.ptp(columns) > np.ptp(rows)  # three letters beside each other


def test_all_bad_lines_are_said_before_the_first_is_run(tmp_path: Path) -> None:
    simple(tmp_path / "in.mp4", num_frames=8)
    (tmp_path / "no.mp4").write_text("not a film")
    good = {"verb": "enhance", "input": "in.mp4"}
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"verb": "paint"}, "verb is 'paint': give predict"),
        ({**good, "sead": 1}, "enhance takes no 'sead'; it takes input, video"),
        ({**good, "compare": "x.png"}, "takes no 'compare'"),
        ({**good, "seed": "one"}, "seed is 'one': input should be a valid integer"),
        ({**good, "denoise": 2}, "denoise is 2.0: give 0 to 1"),
        ({**good, "quality": "best"}, "quality is 'best'"),
        ({**good, "model": "sora"}, "There is no model 'sora'"),
        ({**good, "input": "gone.mp4"}, "does not exist"),
        ({**good, "input": "no.mp4"}, "no.mp4"),
        ({**good, "input": "http://127.0.0.1:9/x.mp4"}, "is an address"),
        ({**good, "input": "-"}, "standard input"),
        ({"verb": "enhance"}, "enhance needs video"),
        ({"verb": "interpolate", "input": "in.mp4"}, "either fps"),
        ({"verb": "inpaint", "input": "in.mp4", "region": "0,0,999,9"}, "the box reaches to 999"),
        ({"verb": "predict", "input": "in.mp4", "known": "0-8"}, "frames 0 to 7"),
        ({"verb": "predict", "input": "in.mp4", "seconds": -1}, "-1.0 seconds"),
        ({"verb": "generate", "width": 3}, "width is 3"),
        ({**good, "output": "../x.mp4"}, "output is '../x.mp4': give a file's name"),
        ({**good, "output": ".x.mp4"}, "output is '.x.mp4'"),
        ({**good, "output": "x.exe"}, "end it in .mp4"),
        ({**good, "output": "x.gif", "sound": True}, "a .gif film holds none"),
        ({**good, "texts": [{"text": "x" * (MOST_CHARACTERS + 1)}]}, "at most 500 characters"),
        ({**good, "texts": [{"text": "漢"}]}, "the font has no '漢'"),
        ({**good, "texts": [{"text": "x", "position": "up"}]}, "position is 'up'"),
        ({**good, "texts": [{"text": "x", "colour": "reddish"}]}, "colour is 'reddish'"),
        ({**good, "texts": [{"text": "x", "size": "8'"}]}, "size is"),
        ({**good, "texts": [{"text": "x", "start": 2, "end": 1}]}, "ends at 1 s"),
        ({**good, "text": "too wide", "text_size": 16}, "reaches to"),
        ({**good, "text": "x", "text_position": "47,3"}, "and the film is 48x32"),
        ({**good, "text": "x", "text_font": "y"}, "a text takes no 'font'"),
    ]
    spec = jsonl(tmp_path / "spec.jsonl", good, *(line for line, _ in wrong))
    said = refusals(spec, tmp_path / "out").splitlines()
    assert f"{len(wrong)} lines that cannot be run" in said[0]
    for number, (told, (_, expected)) in enumerate(zip(said[1:], wrong, strict=True), 2):
        assert told.startswith(f"  line {number}: ")
        assert expected in told


def test_lines_that_clash_or_cannot_be_read_are_said(tmp_path: Path) -> None:
    simple(tmp_path / "in.mp4", num_frames=4)
    good = json.dumps({"verb": "enhance", "input": "in.mp4", "output": "a.mp4"})
    lines = [good, "", "{", "[1]", good.replace("a.mp4", "A.MP4"), '{"verb": 1, "verb": 2}',
             '{"verb": "enhance", "denoise": NaN}', "[" * 100_000]  # fmt: skip
    spec = tmp_path / "spec.jsonl"
    spec.write_text("\n".join(lines))
    told = refusals(spec, tmp_path / "out")
    for expected in ("line 3: it cannot be read", "line 4: it is no object", "as in line 1",
                     "line 6: it cannot be read: 'verb' is there twice",
                     "line 7: it cannot be read: NaN", "line 8: it"):  # fmt: skip
        assert expected in told
    spec.write_text(good.replace("a.mp4", "in.mp4"))
    with pytest.raises(ValueError, match="which is read"):
        jobs_of(spec, tmp_path, default_font())


def test_line_numbers_of_a_table_are_those_of_the_file(tmp_path: Path) -> None:
    spec = tmp_path / "spec.csv"
    spec.write_bytes('\ufeffverb;text;seed\r\nedit;"a\r\nb";\r\n\r\ngenerate;;7;8\r\n'.encode())
    first, second = lines_of(spec)
    assert (first.number, first.said) == (2, {"verb": "edit", "text": "a\nb"})
    assert (second.number, second.wrong) == (5, "it has 4 cells, and the first line names 3")
    for text, why in (("", "asks nothing"), ("verb,verb\nx,y", "there twice"),
                      ('verb\n"x', "no CSV"), ("verb\n" + "x\n" * (MOST_LINES + 1), "more than"),
                      ("verb\n\xff", "UTF-8")):  # fmt: skip
        spec.write_bytes(text.encode("latin-1"))
        with pytest.raises(ValueError, match=why):
            lines_of(spec)
    with pytest.raises(ValueError, match="neither"):
        lines_of(tmp_path / "spec.yaml")


def test_a_line_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    simple(tmp_path / "in.mp4", num_frames=8)
    whole = simple(tmp_path / "cut.mkv", num_frames=40, width=96, height=64).read_bytes()
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) // 2])
    lines = [
        {"verb": "enhance", "input": name, "deflicker": 1, "output": output, "text": "x"}
        for name, output in (("in.mp4", "a.mp4"), ("cut.mkv", "b.mp4"), ("in.mp4", "c.mp4"))
    ]
    out = tmp_path / "out"
    with pytest.raises(SystemExit) as ended:
        main(["batch", str(jsonl(tmp_path / "spec.jsonl", *lines)), "--out", str(out)])
    assert ended.value.code == 1
    assert states(out) == ["made", "failed", "made"]
    assert "cut short or damaged" in report(out)["lines"][1]["error"]
    assert "| 2 | enhance | b.mp4 | failed |" in (out / "report.md").read_text()
    names = {"a.mp4", "c.mp4", ".kineo-batch", "report.md", "report.json"}
    assert {path.name for path in out.iterdir()} == names


def test_what_is_there_is_kept_and_what_changed_is_made_anew(tmp_path: Path) -> None:
    given, out = simple(tmp_path / "in.mp4", num_frames=3), tmp_path / "out"
    line = {"verb": "enhance", "input": "in.mp4", "deflicker": 1}
    lines = [{**line, "output": "a.mp4"}, {**line, "output": "b.mp4"}]
    spec = tmp_path / "spec.jsonl"

    def again(*lines: dict[str, Any]) -> list[str]:
        main(["batch", str(jsonl(spec, *lines)), "--out", str(out)])
        return states(out)

    assert again(*lines) == ["made", "made"]
    before = (out / "a.mp4").stat().st_mtime_ns
    assert again(*reversed(lines)) == ["kept", "kept"]
    assert again(lines[0], {**lines[1], "deflicker": 0.5}) == ["kept", "made"]
    assert (out / "a.mp4").stat().st_mtime_ns == before
    (out / "a.mp4").unlink()
    assert again(*lines) == ["made", "made"]
    os.utime(given, (1, 1))
    assert again(*lines) == ["made", "made"]
    (out / "a.mp4").write_bytes(b"mine")
    with pytest.raises(SystemExit):
        again(*lines)
    assert (out / "a.mp4").read_bytes() == b"mine"
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "report.md").write_text("mine")
    with pytest.raises(SystemExit):
        main(["batch", str(spec), "--out", str(tmp_path / "other")])
    assert (tmp_path / "other" / "report.md").read_text() == "mine"


def test_a_killed_batch_goes_on_where_it_was(tmp_path: Path) -> None:
    simple(tmp_path / "in.mp4", num_frames=12)
    same = {"verb": "enhance", "input": "in.mp4", "denoise": 1, "quality": "exact", "text": "x"}
    lines = [{**same, "output": f"{n}.mp4"} for n in range(4)]
    spec, out = jsonl(tmp_path / "spec.jsonl", *lines), tmp_path / "out"
    process = subprocess.Popen(command(spec, out), env=ENVIRONMENT, stderr=subprocess.DEVNULL)
    until(lambda: (out / "0.mp4").exists())
    time.sleep(random.uniform(0.0, 0.6))
    process.send_signal(signal.SIGKILL)
    process.wait()
    there = {path.name: path.stat().st_mtime_ns for path in out.glob("*.mp4")}
    main(["batch", str(spec), "--out", str(out)])
    assert set(states(out)) <= {"kept", "made"}
    assert states(out)[: len(there)] == ["kept"] * len(there)
    assert all((out / name).stat().st_mtime_ns == at for name, at in there.items())
    assert len({tuple(samples(out / f"{n}.mp4")) for n in range(4)}) == 1
    assert {path.name for path in out.iterdir()} == {
        *(f"{n}.mp4" for n in range(4)), ".kineo-batch", "report.md", "report.json"}  # fmt: skip


def test_ctrl_c_ends_after_a_frame_and_reports(tmp_path: Path) -> None:
    simple(tmp_path / "in.mp4", num_frames=8)
    simple(tmp_path / "long.mp4", num_frames=240)
    spec = jsonl(
        tmp_path / "spec.jsonl",
        {"verb": "enhance", "input": "in.mp4", "deflicker": 1, "output": "a.mp4"},
        {"verb": "enhance", "input": "long.mp4", "denoise": 1, "output": "b.mp4"},
    )
    out = tmp_path / "out"
    process = subprocess.Popen(command(spec, out), env=ENVIRONMENT, stderr=subprocess.PIPE)
    until(lambda: any((out / ".kineo-batch" / "aside").glob(".b.mp4*")))
    with pytest.raises(SystemExit):
        main(["batch", str(spec), "--out", str(out)])  # another is running
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 130
    assert "1 made, 1 waiting" in said
    assert states(out) == ["made", "waiting"]
    assert {path.name for path in (out / ".kineo-batch").iterdir()} == {"a.mp4.json", "lock"}


def until(is_so: Any) -> None:
    began = time.monotonic()
    while not is_so():
        assert time.monotonic() - began < 60
        time.sleep(0.01)


def test_an_ffmpeg_that_draws_no_text_is_found_out_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    simple(tmp_path / "in.mp4", num_frames=4)
    line = {"verb": "enhance", "input": "in.mp4"}
    specs = [jsonl(tmp_path / "a.jsonl", line), jsonl(tmp_path / "b.jsonl", {**line, "text": "x"})]
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", "/bin/true")
    assert len(jobs_of(specs[0], tmp_path / "out", default_font())) == 1
    assert "/bin/true has no drawtext" in refusals(specs[1], tmp_path / "out")


def test_what_ffmpeg_dislikes_is_said_and_nothing_is_written(tmp_path: Path) -> None:
    made, font = simple(tmp_path / "made.mp4", num_frames=4), default_font()
    text = replace(text_of({"text": "x"}, characters_of(font)), colour=(1000, 0, 0))
    with pytest.raises(ValueError, match=r"texts cannot be drawn: .*\w"):
        finish(made, tmp_path / "out.mp4", [text], font, "high", True, lambda: None)
    assert not (tmp_path / "out.mp4").exists()


def test_the_examples_of_the_page_run(tmp_path: Path) -> None:
    simple(tmp_path / "in.mp4", num_frames=8)
    found = dict(re.findall(r"^```(csv|jsonl)\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S))
    for kind, text in found.items():
        spec = tmp_path / f"films.{kind}"
        spec.write_text(text, "utf-8")
        main(["batch", str(spec), "--out", str(tmp_path / "films")])
    assert states(tmp_path / "films") == ["kept", "kept"]  # both say the same
    assert set(found) == {"csv", "jsonl"}
