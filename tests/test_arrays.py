"""Stacks of numbers: what was known comes back bit for bit, what moves is foretold, bad is told."""

import io
import json
import os
import pickle
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor

from kineograph import Sampling, arrays, predict
from kineograph.arrays.coordinates import continued, labels
from kineograph.arrays.fill import filled
from kineograph.arrays.scale import robust
from kineograph.arrays.stack import as_stored
from kineograph.models import weights
from kineograph.video import probe, read

KINDS = ["i1", "u1", "<i2", ">i2", "u2", "i4", "u4", "i8", "u8", "f2", "<f4", ">f4", "f8"]
FILES = [".npy", ".npz", ".nc", ".zarr"]


def moving(num_frames: int, height: int = 40, width: int = 56) -> np.ndarray:
    """A warm and a cold spot that pass each other over a slope, in kelvin."""
    y, x = np.mgrid[:height, :width].astype(float)
    t = np.arange(num_frames)[:, None, None]
    warm = 9 * np.exp(-((x - 10 - 1.8 * t) ** 2 + (y - 14 - 0.5 * t) ** 2) / 60)
    cold = 8 * np.exp(-((x - 46 + 1.3 * t) ** 2 + (y - 28 + 0.3 * t) ** 2) / 50)
    return 285 + 6 * np.cos(y / 20) + warm - cold


def rain(num_frames: int, height: int = 40, width: int = 56) -> np.ndarray:
    """Showers that drift over dry ground: mostly zeros, with a long tail."""
    noise = np.random.default_rng(3).standard_normal((height, width + 2 * num_frames))
    for axis in (0, 1):
        for _ in range(12):
            noise = (np.roll(noise, 1, axis) + noise + np.roll(noise, -1, axis)) / 3
    rate = 8 * np.maximum(noise / noise.std() - 0.5, 0) ** 2
    return np.stack([rate[:, 2 * (num_frames - t) :][:, :width] for t in range(num_frames)])


def goes_on(frames: Tensor, num_frames: int, seed: int | None) -> Tensor:
    """The last frame again, for a seed a little brighter or darker."""
    brighter = 0.0 if seed is None else 0.1 * (seed % 2 * 2 - 1)
    return (frames[-1:] + brighter).expand(num_frames, -1, -1, -1).clamp(-1, 1)


def ours(model: Any) -> arrays.Predict:
    def answer(frames: Tensor, num_frames: int, seed: int | None) -> Tensor:
        sampling = Sampling(1) if seed is None else Sampling(2, seed)
        return predict(frames, num_frames, model, sampling)

    return answer


def numbers(kind: str, shape: tuple[int, ...] = (6, 9, 11)) -> np.ndarray:
    """Numbers over the whole range of an integer type, or about 1 of a floating one."""
    rng = np.random.default_rng(0)
    if np.dtype(kind).kind == "f":
        return rng.standard_normal(shape).astype(kind)
    span = np.iinfo(kind)
    return rng.integers(span.min, span.max, shape, np.dtype(kind).newbyteorder("="), True).astype(
        kind
    )


def stored(folder: Path, ending: str, values: np.ndarray, fill: float | None = None) -> Path:
    """The values in a file of this kind, by the libraries alone, with a time of 6 hours a step."""
    path, times = folder / f"in{ending}", np.arange(values.shape[0], dtype="i4") * 6
    if ending == ".npy":
        np.save(path, values)
    elif ending == ".npz":
        np.savez(path, heat=values, time=times, lat=np.arange(9.0), place=np.array("sea"))
    else:
        xarray = pytest.importorskip("xarray")
        dims = ("time", "lat", "lon") if values.ndim == 3 else ("time", "level", "lat", "lon")
        said = {"units": "K", "scale_factor": 0.5, "add_offset": 100.0}
        said |= {} if fill is None else {"_FillValue": values.dtype.type(fill)}
        heat = xarray.Variable(
            dims, values, said, None if fill is not None else {"_FillValue": None}
        )
        clock = ("time", times, {"units": "hours since 2020-02-28", "calendar": "standard"})
        rest = {
            "time": clock,
            "other": ("time", times),
            "place": ("lat", [f"p{i}" for i in range(values.shape[-2])]),
        }
        dataset = xarray.Dataset({"heat": heat, **rest}, attrs={"title": "a test"})
        if ending == ".nc":
            pytest.importorskip("netCDF4")
            dataset.to_netcdf(path, engine="netcdf4")
        else:
            pytest.importorskip("zarr")
            dataset.drop_vars("place").to_zarr(path, zarr_format=2, consolidated=False)
    return path


def continued_file(source: Path, target: Path, num_frames: int = 3, **how: Any) -> arrays.Stack:
    """Read, continued by `goes_on`, written, and read again."""
    stack = arrays.read(source, **how)
    arrays.write(target, arrays.forecast(stack, num_frames, goes_on, samples=2))
    return arrays.read(target, **{"name": None if source.suffix == ".npy" else stack.name, **how})


@pytest.mark.parametrize("ending", FILES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_type_comes_back_bit_for_bit(tmp_path: Path, ending: str, kind: str) -> None:
    if ending in (".nc", ".zarr") and kind == "f2":
        pytest.skip("NetCDF has no half floats")
    values = numbers(kind)
    again = continued_file(stored(tmp_path, ending, values), tmp_path / f"out{ending}")
    native = ending == ".nc"  # NetCDF's library puts bytes in the machine's order
    assert again.values.dtype == (np.dtype(kind).newbyteorder("=") if native else np.dtype(kind))
    assert again.values.shape == (9, 1, 9, 11)
    assert again.values[:6, 0].astype(kind).tobytes() == values.tobytes()
    last, wide = values[-1].astype(float), float(np.ptp(values.astype(float)))
    assert np.abs(again.values[6:, 0].astype(float) - last).max() < 1e-5 * wide + 1
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"in{ending}", f"out{ending}"]


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("ending", [".nc", ".zarr"])
def test_coordinates_go_on_and_attributes_stay(tmp_path: Path, ending: str, version: int) -> None:
    xarray = pytest.importorskip("xarray")
    source = stored(tmp_path, ending, numbers("<i2"), fill=-5)
    if ending == ".zarr" and version == 3:
        with xarray.open_zarr(source, chunks=None, decode_cf=False, consolidated=False) as held:
            source = tmp_path / "v3.zarr"
            for variable in held.variables.values():
                variable.encoding.clear()
            held.to_zarr(source, zarr_format=3, consolidated=False)
    if ending == ".nc" and version == 3:
        with xarray.open_dataset(source, decode_cf=False) as held:
            source = tmp_path / "classic.nc"
            held.drop_vars("place").to_netcdf(
                source, format="NETCDF3_CLASSIC", unlimited_dims=["time"]
            )
    again = continued_file(source, tmp_path / f"out{ending}")
    assert again.source.unlimited == (("time",) if "classic" in source.name else ())
    assert again.name == "heat"
    assert again.times is not None
    assert again.times.dtype == np.int32
    assert again.times.tolist() == [6 * t for t in range(9)]
    before = arrays.read(source)
    assert dict(again.attributes) == dict(before.attributes)
    assert (again.factor, again.offset, again.fill_value) == (0.5, 100.0, -5)
    assert again.source.file_format == before.source.file_format
    assert again.source.attributes == {"title": "a test"}
    assert "other" not in again.source.others
    assert ("place" in again.source.others) == (source.name == "in.nc")
    spread = arrays.read(tmp_path / f"out{ending}", "heat_spread")
    assert spread.values.dtype == np.float32
    assert spread.values[:6][spread.known[:6]].max() == 0
    assert "scale_factor" not in spread.attributes


def test_spread_is_the_deviation_of_the_samples_in_units(tmp_path: Path) -> None:
    source = stored(tmp_path, ".nc", numbers("<i2"))
    result = arrays.forecast(arrays.read(source), 2, goes_on, samples=2)
    assert result.samples.shape == (2, 2, 1, 9, 11)
    expected = np.abs(result.samples[0] - result.samples[1]) / np.sqrt(2)
    np.testing.assert_allclose(result.spread, expected)
    arrays.write(tmp_path / "out.nc", result, keep_samples=True)
    spread = arrays.read(tmp_path / "out.nc", "heat_spread").values[6:]
    np.testing.assert_allclose(spread, result.spread * 0.5, rtol=1e-6)
    samples = arrays.read(tmp_path / "out.nc", "heat_samples", "c t h w").values
    assert samples.shape == (8, 2, 9, 11)
    np.testing.assert_array_equal(samples[6:].swapaxes(0, 1)[:, :, None], np.rint(result.samples))


@pytest.mark.parametrize("ending", FILES)
def test_layouts_keep_their_order_of_axes(tmp_path: Path, ending: str) -> None:
    values = numbers("f4", (5, 7, 8, 3))
    if ending in (".npy", ".npz"):
        source = stored(tmp_path, ending, values)
        stack = arrays.read(source, layout="t h w c")
        assert stack.values.shape == (5, 3, 7, 8)
        assert np.array_equal(stack.values[1, 2], values[1, :, :, 2])
        again = continued_file(source, tmp_path / f"out{ending}", layout="t h w c")
        assert np.array_equal(again.values[:5], stack.values)
    channels = stored(tmp_path, ending, values.transpose(0, 3, 1, 2).copy())
    assert np.array_equal(arrays.read(channels).values, values.transpose(0, 3, 1, 2))
    last = arrays.read(channels, last=2)
    assert np.array_equal(last.values, values.transpose(0, 3, 1, 2)[-2:])
    assert last.times is None or last.times.tolist() == [18, 24]


def test_time_that_is_not_first_is_asked_for(tmp_path: Path) -> None:
    xarray = pytest.importorskip("xarray")
    values = numbers("f4", (9, 11, 6))
    xarray.Dataset({"a": (("lat", "lon", "time"), values)}).to_netcdf(tmp_path / "a.nc")
    with pytest.raises(ValueError, match="'h w t'"):
        arrays.read(tmp_path / "a.nc")
    stack = arrays.read(tmp_path / "a.nc", layout="h w t")
    assert np.array_equal(stack.values[:, 0], values.transpose(2, 0, 1))
    again = continued_file(tmp_path / "a.nc", tmp_path / "b.nc", layout="h w t")
    with xarray.open_dataset(tmp_path / "b.nc") as written:
        assert dict(written["a"].sizes) == {"lat": 9, "lon": 11, "time": 9}
    assert np.array_equal(again.values[:6], stack.values)


def test_a_zarr_that_names_no_axes_is_read(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    values = numbers("f4")
    values[0, 0] = 0  # the fill value that Zarr takes if none is given, and no unknown cell
    for version in (2, 3):
        path = tmp_path / f"bare{version}.zarr"
        zarr.save_array(str(path), values, zarr_format=version)
        stack = arrays.read(path)
        assert np.array_equal(stack.values[:, 0], values)
        assert stack.known.all()
        again = continued_file(path, tmp_path / f"out{version}.zarr")
        assert np.array_equal(again.values[:6, 0], values)
    with pytest.raises(ValueError, match="there already"):
        continued_file(path, tmp_path / "out2.zarr")


@pytest.mark.parametrize("ending", FILES)
@pytest.mark.parametrize("kind", ["<i2", "f4"])
def test_unknown_cells_stay_unknown(tmp_path: Path, ending: str, kind: str) -> None:
    values, land, cloud = numbers(kind), np.zeros((9, 11), bool), np.zeros((6, 9, 11), bool)
    land[2:5, 3:7], cloud[3, 6:8, 8:10], cloud[5, 0, 0] = True, True, True
    fill = -5 if kind == "<i2" else np.nan
    values[values == fill] = 1
    values[:, land], values[cloud] = fill, fill
    source = stored(tmp_path, ending, values, fill=fill)
    given_fill = None if ending in (".nc", ".zarr") else fill
    stack = arrays.read(source, fill_value=given_fill)
    assert np.array_equal(~stack.known[:, 0], land | cloud)
    result = arrays.forecast(stack, 2, goes_on, samples=2)
    for part in (result.mean, result.spread, *result.samples):
        assert np.array_equal(np.isnan(part[:, 0]), np.stack([land, land]))
    again = continued_file(source, tmp_path / f"out{ending}", fill_value=given_fill)
    assert again.values[:6, 0].tobytes() == values.tobytes()
    assert np.array_equal(~again.known[6:, 0], np.stack([land] * 3))


def test_a_mask_beside_the_values_is_kept(tmp_path: Path) -> None:
    held = np.ma.masked_array(numbers("u1"), numbers("u1") > 200)
    held[:, 0, 0] = np.ma.masked
    np.savez(tmp_path / "a.npz", data=held.data, mask=held.mask)
    stack = arrays.read(tmp_path / "a.npz")
    assert np.array_equal(stack.known[:, 0], ~held.mask)
    again = continued_file(tmp_path / "a.npz", tmp_path / "b.npz", name="data")
    assert np.array_equal(again.known[:6, 0], ~held.mask)
    assert not again.known[6:, 0, 0, 0].any()


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(
        np.float64,
        st.integers(1, 200),
        elements=st.floats(-1e12, 1e12, allow_subnormal=False) | st.integers(-5, 5).map(float),
    )
)
def test_scaling_can_be_undone(values: np.ndarray) -> None:
    scale = robust(values)
    units = scale.to_unit(values)
    assert np.abs(units).max() <= 1
    order = np.argsort(values, kind="stable")
    assert (np.diff(units[order]) >= 0).all()
    wide = np.ptp(values)
    np.testing.assert_allclose(scale.from_unit(units), values, rtol=1e-12, atol=1e-11 * wide)


def test_whole_numbers_survive_scaling_exactly_and_outliers_do_not_flatten() -> None:
    for far in (30_000, 2_000_000_000):
        values = np.concatenate([np.arange(-2000, 2000), [far, far + 5]]).astype(np.int32)
        scale = robust(values)
        assert np.array_equal(np.rint(scale.from_unit(scale.to_unit(values))), values)
        assert np.ptp(scale.to_unit(values[:-2])) > 0.5
    ramp = np.linspace(270.0, 300.0, 101)
    assert np.abs(robust(ramp).to_unit(ramp) - np.linspace(-1, 1, 101)).max() < 0.02
    dry = np.concatenate([np.zeros(10**5), [5.0, 20.0]])
    assert robust(dry).to_unit(np.array([0.0, 5.0, 20.0])).tolist() == pytest.approx(
        [-1, -0.5, 1], abs=0.3
    )
    same = robust(np.full(5, 7.25))
    assert same.from_unit(np.array([-1, 0, 0.3])).tolist() == [7.25] * 3


def test_filling_keeps_what_is_known_and_is_smooth_between() -> None:
    t, y, x = np.mgrid[:6, :24, :32].astype(float)
    plane = 0.02 * x - 0.01 * y + 0.03 * t
    known = np.ones(plane.shape, bool)
    known[:, 8:14, 10:18] = False
    known[3] = False
    known[2, :6, :6] = False
    out = filled(np.where(known, plane, np.nan), known).numpy()
    assert np.array_equal(out[known], plane[known].astype(np.float32))
    assert np.abs(out - plane).max() < 0.06
    assert np.abs(out[3] - plane[3])[16:].max() < 0.02  # between two known steps lies their middle
    one = np.zeros((1, 5, 7), bool)
    one[0, 2, 3] = True
    assert (filled(np.where(one, 0.5, 9.0), one) == 0.5).all()


def test_times_go_on_by_their_step() -> None:
    hours = continued(np.arange(5, dtype="i2") * 6, 2)
    assert (hours.tolist(), hours.dtype) == ([0, 6, 12, 18, 24, 30, 36], np.int16)
    assert continued(np.array([0.0, 0.1, 0.2, 0.3]), 2)[-1] == pytest.approx(0.5)
    assert continued(np.array([9, 7, 5]), 2).tolist() == [9, 7, 5, 3, 1]
    assert continued(np.array([3]), 2).tolist() == [3, 4, 5]
    days = continued(np.arange("2020-02-27", "2020-02-29", dtype="M8[D]"), 2)
    assert days[-1] == np.datetime64("2020-03-01")
    bounds = continued(np.array([[0, 6], [6, 12], [12, 18]]), 1)
    assert bounds[-1].tolist() == [18, 24]


def test_months_go_on_by_the_calendar() -> None:
    cftime = pytest.importorskip("cftime")
    for calendar, last in (("standard", 29), ("noleap", 28)):
        said = {"units": "days since 2020-01-01", "calendar": calendar}
        dates = [cftime.datetime(2019, m, 1, calendar=calendar) for m in (10, 11, 12)]
        dates.append(cftime.datetime(2020, 1, 1, calendar=calendar))
        times = np.rint(cftime.date2num(dates, said["units"], calendar)).astype("i4")
        after = continued(times, 3, said)
        assert after.dtype == np.int32
        assert after[-3:].tolist() == [31, 31 + last, 62 + last]
        assert labels(after, said)[-1] == "2020-04-01 00:00"


@pytest.fixture(scope="module")
def model() -> Any:
    return weights.load()


@pytest.mark.parametrize("make", [moving, rain])
def test_a_forecast_beats_persistence(model: Any, make) -> None:
    truth = make(16)
    land = np.zeros(truth.shape[1:], bool)
    land[:10, 30:44] = True
    given_steps = np.where(land, np.nan, truth[:12]).astype(np.float32)
    stack = arrays.from_array(given_steps, attributes={"units": "K"})
    result = arrays.forecast(stack, 4, ours(model), samples=2, seed=5)
    wrong = {"ours": result.mean[:, 0] - truth[12:], "persistence": truth[11] - truth[12:]}
    wrong |= {"sample": result.samples[0, :, 0] - truth[12:]}
    far = {n: np.sqrt((d[:, ~land] ** 2).mean(1)) for n, d in wrong.items()}
    assert (far["ours"] < 0.8 * far["persistence"]).all(), far
    assert (far["sample"] < far["persistence"]).all(), far
    assert np.array_equal(np.isnan(result.mean[0, 0]), land)
    assert np.nanmax(result.spread) > 0


def test_channels_are_alone_and_steps_reported() -> None:
    values = numbers("f8", (4, 5, 6, 7)) * np.array([1, 1e6, 1e-6, 3, 5])[:, None, None]
    values[:, 3] = np.nan
    steps = []
    result = arrays.forecast(
        arrays.from_array(values), 2, goes_on, 3, progress=lambda *at: steps.append(at)
    )
    alone = arrays.forecast(arrays.from_array(values[:, 1]), 2, goes_on, 3)
    np.testing.assert_array_equal(result.mean[:, 1], alone.mean[:, 0])
    np.testing.assert_array_equal(result.samples[:, :, 1], alone.samples[:, :, 0])
    assert np.isnan(result.mean[:, 3]).all()
    np.testing.assert_allclose(
        result.mean[0, [0, 1, 2, 4]], values[-1, [0, 1, 2, 4]], rtol=1e-5, atol=1e-10
    )
    assert steps[0] == (1, 20)
    assert steps[-1] == (20, 20)


def test_an_answer_never_reads_as_unknown() -> None:
    values = np.array([0, 100], np.uint8).repeat(2 * 4 * 4).reshape(2, 2, 4, 4)[:, 0]
    values[1, 0, 0] = 50
    stack = replace(arrays.from_array(values, fill_value=200), fill_value=100)
    held = as_stored(np.full((1, 1, 4, 4), 100.2), stack)
    assert (held == 99).all()
    ranged = replace(stack, attributes={"valid_range": np.array([10, 60])})
    assert (as_stored(np.full((1, 1, 4, 4), 100.2), ranged) == 60).all()
    seen = arrays.from_array(values, attributes={"valid_min": 50})
    assert np.array_equal(seen.known[:, 0], values >= 50)


def test_the_film_shows_values_and_spread(tmp_path: Path) -> None:
    values = moving(5)
    values[:, :8, :8] = np.nan
    stack = arrays.from_array(values, attributes={"units": "K"})
    result = arrays.forecast(stack, 3, goes_on, 2)
    frames = torch.stack(list(arrays.film(result, num_given=2)))
    assert frames.shape[:2] == (5, 3)
    assert frames.shape[2] % 2 == frames.shape[3] % 2 == 0
    assert frames.abs().max() <= 1
    left, right = frames.chunk(2, -1)
    middle = slice(40, 220)
    assert (left[0, :, middle] - left[4, :, middle]).abs().max() > 0.2  # what moved before
    assert (right[0, :, middle] - right[1, :, middle]).abs().max() == 0  # nothing unsure yet
    assert (right[1, :, middle] - right[2, :, middle]).abs().mean() > 0.1
    arrays.save_film(tmp_path / "f.mp4", result, fps=5)
    assert (probe(tmp_path / "f.mp4").fps, read(tmp_path / "f.mp4").num_frames) == (5, 8)
    with pytest.raises(ValueError, match="has 1"):
        arrays.film(result, channel=1)
    with pytest.raises(ValueError, match="no colour map"):
        arrays.film(result, colours="mud")


def pickled(folder: Path) -> Path:
    np.save(folder / "a.npy", np.array([{}, 1], object), allow_pickle=True)
    return folder / "a.npy"


def pickled_npz(folder: Path) -> Path:
    np.savez(folder / "a.npz", a=np.full((3, 4, 4), None), allow_pickle=True)
    return folder / "a.npz"


def header_that_lies(folder: Path) -> Path:
    held = io.BytesIO()
    np.save(held, np.zeros((3, 4, 4)))
    data = held.getvalue().replace(b"(3, 4, 4), }      ", b"(30000, 400, 400)}")
    assert data != held.getvalue()
    (folder / "a.npy").write_bytes(data)
    return folder / "a.npy"


def lies_in_a_zip(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "a.npz", "w") as archive:
        archive.writestr("a.npy", header_that_lies(folder).read_bytes())
    return folder / "a.npz"


def cut(folder: Path, ending: str) -> Path:
    path = stored(folder, ending, numbers("f4"))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def text(folder: Path, ending: str) -> Path:
    (folder / f"a{ending}").write_text("no numbers here\n" * 50)
    return folder / f"a{ending}"


def saved(folder: Path, values: np.ndarray) -> Path:
    np.save(folder / "a.npy", values)
    return folder / "a.npy"


def huge_zarr(folder: Path) -> Path:
    zarr = pytest.importorskip("zarr")
    zarr.open(
        str(folder / "a.zarr"), mode="w", shape=(10**6, 9000, 9000), dtype="f4", chunks=(1, 90, 90)
    )
    return folder / "a.zarr"


def huge_chunk(folder: Path) -> Path:
    zarr = pytest.importorskip("zarr")
    zarr.open(
        str(folder / "a.zarr"), mode="w", shape=(4, 9, 9), dtype="f4", chunks=(10**5, 900, 900)
    )
    return folder / "a.zarr"


class Harm:
    """Makes a file where it is unpickled."""

    def __reduce__(self) -> tuple:
        return os.mkdir, ("harm",)


def pickled_zarr(folder: Path) -> Path:
    """A time coordinate that would be unpickled when it is read."""
    path = stored(folder, ".zarr", numbers("f4"))
    said = json.loads((path / "time" / ".zarray").read_text())
    said |= {"compressor": {"id": "pickle", "protocol": 4}}
    (path / "time" / ".zarray").write_text(json.dumps(said))
    (path / "time" / "0").write_bytes(pickle.dumps(Harm()))
    return path


def broken_zarr(folder: Path) -> Path:
    path = stored(folder, ".zarr", numbers("f4"))
    (path / "heat" / ".zarray").write_text("{")
    return path


def empty_folder(folder: Path) -> Path:
    (folder / "nothing").mkdir()
    return folder / "nothing"


BAD = {
    "missing": (lambda f: f / "a.npy", "does not exist"),
    "kind": (lambda f: text(f, ".csv"), "no kind of array"),
    "pickled": (pickled, "pickle|object|Object"),
    "pickled npz": (pickled_npz, "object"),
    "lies": (header_that_lies, "give a"),
    "lies in a zip": (lies_in_a_zip, "says that it is"),
    "cut npy": (lambda f: cut(f, ".npy"), "give a"),
    "cut npz": (lambda f: cut(f, ".npz"), "cannot be read"),
    "cut nc": (lambda f: cut(f, ".nc"), "cannot be read"),
    "text npy": (lambda f: text(f, ".npy"), "give a"),
    "text npz": (lambda f: text(f, ".npz"), "cannot be read"),
    "text nc": (lambda f: text(f, ".nc"), "cannot be read"),
    "file zarr": (lambda f: text(f, ".zarr"), "is a file"),
    "broken zarr": (broken_zarr, "cannot be read"),
    "folder": (empty_folder, "cannot be read"),
    "huge zarr": (huge_zarr, "GiB"),
    "huge chunk": (huge_chunk, "GiB"),
    "pickled zarr": (pickled_zarr, "pickle"),
    "complex": (lambda f: saved(f, np.zeros((3, 4, 4), complex)), "complex128"),
    "bool": (lambda f: saved(f, np.zeros((3, 4, 4), bool)), "bool"),
    "text array": (lambda f: saved(f, np.full((3, 4, 4), "x")), "<U1"),
    "flat": (lambda f: saved(f, np.zeros((4, 4))), "layout"),
    "deep": (lambda f: saved(f, np.zeros((1, 2, 3, 4, 4))), "layout"),
    "no time": (lambda f: saved(f, np.zeros((0, 4, 4))), "1 step or more"),
    "thin": (lambda f: saved(f, np.zeros((3, 1, 9))), "cells high and wide"),
    "all unknown": (lambda f: saved(f, np.full((3, 4, 4), np.nan)), "no known cell"),
}


@pytest.mark.filterwarnings("ignore:.*:Warning:zarr")
@pytest.mark.parametrize("which", BAD)
def test_bad_files_end_in_one_sentence(
    tmp_path: Path, which: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make, said = BAD[which]
    path = make(tmp_path)
    with pytest.raises(ValueError, match=said) as caught:
        arrays.read(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600
    assert ":" in str(caught.value)
    assert not (tmp_path / "harm").exists()


def test_bad_questions_end_in_one_sentence(tmp_path: Path) -> None:
    stack = arrays.from_array(numbers("f4"))
    for num_frames, samples, said in ((0, 2, "0 steps"), (5, 1, "spread"), (10**5, 1000, "GiB")):
        with pytest.raises(ValueError, match=said):
            arrays.forecast(stack, num_frames, goes_on, samples)
    np.savez(tmp_path / "two.npz", a=numbers("f4"), b=numbers("f4"))
    with pytest.raises(ValueError, match=r"holds a .*, b .*give a name"):
        arrays.read(tmp_path / "two.npz")
    assert arrays.read(tmp_path / "two.npz", "b").name == "b"
    with pytest.raises(ValueError, match="variable 'c'"):
        arrays.read(tmp_path / "two.npz", "c")
    for layout in ("t h", "t h w q", "h w"):
        with pytest.raises(ValueError, match="give 3 axes"):
            arrays.from_array(numbers("f4"), layout)
    result = arrays.forecast(stack, 2, goes_on, 2)
    with pytest.raises(ValueError, match="folder"):
        arrays.write(tmp_path / "nowhere" / "a.npy", result)
    (tmp_path / "d.npz").mkdir()
    with pytest.raises(ValueError, match="folder"):
        arrays.write(tmp_path / "d.npz", result)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["d.npz", "two.npz"]


@pytest.mark.parametrize("ending", [".npz", ".nc", ".zarr"])
def test_an_array_made_here_may_be_written_as_any_kind(tmp_path: Path, ending: str) -> None:
    if ending != ".npz":
        pytest.importorskip("netCDF4")
        pytest.importorskip("zarr")
    values = numbers("f4", (4, 2, 6, 7))
    path = tmp_path / f"a{ending}"
    arrays.write(path, arrays.forecast(arrays.from_array(values), 2, goes_on, 2))
    assert np.array_equal(arrays.read(path, "values").values[:4], values)
