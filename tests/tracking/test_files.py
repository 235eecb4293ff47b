"""Files, pictures, sounds and tables go in and come back, checked against their hashes."""

from __future__ import annotations

import io
import json
import math
import struct
import wave
import zlib
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

import loopline
from loopline.backend.recorder import close_recorders, get_recorder
from loopline.errors import InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("home")

RED = np.zeros((2, 5, 3), dtype="u1") + np.array([200, 10, 20], dtype="u1")


def fetched(run_id: str, path: str) -> bytes:
    return Path(loopline.download_artifacts(run_id=run_id, artifact_path=path)).read_bytes()


def decoded(png: bytes) -> tuple[dict[bytes, bytes], list[np.ndarray[Any, Any]]]:
    """Read a PNG or moving PNG by the book; return its other chunks and its frames."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    at, chunks, frames = 8, {}, []
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        kind, data = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", png, at + 8 + length)[0] == zlib.crc32(kind + data)
        if kind in {b"IDAT", b"fdAT"}:
            frames.append(zlib.decompress(data[4:] if kind == b"fdAT" else data))
        chunks[kind] = data
        at += 12 + length
    width, height, bits, colour = struct.unpack_from(">IIBB", chunks[b"IHDR"])
    assert bits == 8
    channels = {0: 1, 2: 3, 6: 4}[colour]
    pictures = []
    for frame in frames:
        rows = np.frombuffer(frame, dtype="u1").reshape(height, 1 + width * channels)
        assert set(rows[:, 0]) == {2}  # The filter "Up": each byte less the one above it.
        plain = np.cumsum(rows[:, 1:], axis=0, dtype="u1")
        pictures.append(plain.reshape(height, width, channels))
    return chunks, pictures


def test_a_folder_a_stream_and_a_single_file_come_back_as_they_were(tmp_path: Path) -> None:
    folder = tmp_path / "fares"
    (folder / "2022").mkdir(parents=True)
    (folder / "a.csv").write_bytes(b"1,2\n")
    (folder / "2022" / "b.bin").write_bytes(bytes(range(256)) * 5000)
    with loopline.start_run() as run:
        loopline.log_artifact(folder, "data")
        loopline.log_stream(io.BytesIO(b"x" * 3_000_000), "data/stream.bin")
        uri = loopline.get_artifact_uri("data/fares")
    place = Path(loopline.download_artifacts(uri))
    assert place.name == "fares"
    assert {
        path.relative_to(place).as_posix(): path.read_bytes() for path in place.rglob("*.*")
    } == {
        "a.csv": b"1,2\n",
        "2022/b.bin": bytes(range(256)) * 5000,
    }
    assert len(fetched(run.run_id, "data/stream.bin")) == 3_000_000
    whole = Path(loopline.download_artifacts(run_id=run.run_id, dst_path=tmp_path / "all"))
    assert whole == tmp_path / "all"
    assert (whole / "data" / "fares" / "2022" / "b.bin").is_file()


def test_a_folder_with_a_name_that_cannot_be_is_refused_as_a_whole(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("first")
    (tmp_path / "b\nc.txt").write_text("cannot be")
    with loopline.start_run() as run, pytest.raises(InvalidInputError, match="Invalid path"):
        loopline.log_artifacts(tmp_path)
    assert loopline.list_artifacts(run.run_id) == []


def test_texts_and_dictionaries_are_read_back(tmp_path: Path) -> None:
    fares = {"base": 3.5, "zones": [1, 2], "größe": None, "array": np.array([1, 2])}
    with loopline.start_run() as run:
        loopline.log_text("fares rose\n", "why.txt")
        loopline.log_dict(fares, "fares.json")
        loopline.log_dict({"base": 3.5, "größe": "ü"}, "fares.yaml")
        with pytest.raises(InvalidInputError, match="YAML"):
            loopline.log_dict({"a": object()}, "bad.yaml")
    at = f"runs:/{run.run_id}"
    assert loopline.load_text(f"{at}/why.txt") == "fares rose\n"
    assert loopline.load_dict(f"{at}/fares.json") == {**fares, "array": [1, 2]}
    assert loopline.load_dict(f"{at}/fares.yaml") == {"base": 3.5, "größe": "ü"}
    (tmp_path / "here.json").write_text("[1]")
    assert loopline.load_dict(str(tmp_path / "here.json")) == [1]
    with pytest.raises(NotFoundError, match="loopline artifacts list"):
        loopline.load_text(f"{at}/nothing.txt")
    with pytest.raises(InvalidInputError, match="is no JSON"):
        loopline.load_dict(f"{at}/why.txt")
    for wrong in ("s3://bucket/key", "runs:/"):
        with pytest.raises(InvalidInputError, match="runs:/RUN_ID/PATH"):
            loopline.load_text(wrong)


def test_yaml_takes_the_numbers_of_numpy_as_json_does() -> None:
    fares = {
        "mean": np.float64(12.5),
        "zones": np.arange(3),
        "by": {np.int64(2): [np.bool_(True), np.datetime64("2022-01-31")]},  # noqa: FBT003
    }
    with loopline.start_run() as run:
        loopline.log_dict(fares, "fares.yaml")
    assert loopline.load_dict(f"runs:/{run.run_id}/fares.yaml") == {
        "mean": 12.5,
        "zones": [0, 1, 2],
        "by": {2: [True, date(2022, 1, 31)]},
    }


A_PATH: Any = Path("b/c.txt")
FIVE: Any = 5
NOTHING: Any = None


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (lambda: loopline.log_text("a", A_PATH), "not PosixPath.*Give str"),
        (lambda: loopline.log_dict({}, FIVE), "text such as 'model/MLmodel', not int: 5"),
        (lambda: loopline.log_table({"a": [1]}, FIVE), "not int: 5"),
        (lambda: loopline.log_image(RED, FIVE), "not int: 5"),
        (lambda: loopline.log_stream(FIVE, "a.bin"), "open binary file, not int"),
        (lambda: loopline.log_artifact(FIVE), r"log_artifact takes the path .*not int \(5\)"),
        (lambda: loopline.log_artifacts(NOTHING), "log_artifacts takes the path .*not NoneType"),
        (lambda: loopline.log_figure(RED, "fares"), "'fares' has none. Write 'fares.png'"),
        (
            lambda: loopline.log_table({"zone": ["Harlem", "B\ud800"]}, "t.json"),
            "column 'zone' of the table holds a lone surrogate, U.D800 at character 2",
        ),
        (lambda: loopline.log_table({"zone": [["\ud800"]]}, "t.json"), "column 'zone'"),
        (lambda: loopline.log_table({"\ud800": [1]}, "t.parquet"), "lone surrogate"),
    ],
)
def test_what_cannot_be_a_file_or_its_path_is_told_with_its_type(
    log: Callable[[], object], said: str
) -> None:
    with loopline.start_run() as run, pytest.raises(InvalidInputError, match=said):
        log()
    assert loopline.list_artifacts(run.run_id) == []


def test_a_table_goes_on_after_rows_that_were_refused() -> None:
    with loopline.start_run() as run:
        loopline.log_table({"zone": ["Harlem"]}, "t.json")
        with pytest.raises(InvalidInputError):
            loopline.log_table({"zone": ["\ud800"]}, "t.json")
        loopline.log_table({"zone": ["Bronx"]}, "t.json")
    assert loopline.load_table("t.json", [run.run_id])["zone"].tolist() == ["Harlem", "Bronx"]


class Plotted:
    """A figure that writes itself as Plotly's does: pictures by another program, JSON alone."""

    def write_image(self, file: str) -> None:
        msg = f"Kaleido is not there for {file}"
        raise ValueError(msg)

    def write_json(self, file: str) -> None:
        Path(file).write_text('{"data": []}')


def test_a_plotly_figure_writes_its_json_itself() -> None:
    with loopline.start_run() as run:
        loopline.log_figure(Plotted(), "fares.json")
        with pytest.raises(InvalidInputError, match="Kaleido"):
            loopline.log_figure(Plotted(), "fares.png")
    assert loopline.load_dict(f"runs:/{run.run_id}/fares.json") == {"data": []}


@pytest.mark.parametrize(
    ("image", "pixels"),
    [
        (RED, RED),
        (RED.astype("i8"), RED),
        (RED[:, :, 0], RED[:, :, :1]),
        (RED.transpose(2, 0, 1), RED),
        (np.array([[0.0, 1.0]]), np.array([[[0], [255]]])),
        (np.array([[True, False]]), np.array([[[255], [0]]])),
        (np.full((1, 2, 4), 0.5), np.full((1, 2, 4), 128)),
    ],
)
def test_an_array_becomes_a_png_of_the_same_pixels(image: Any, pixels: Any) -> None:  # noqa: ANN401
    with loopline.start_run() as run:
        loopline.log_image(image, "fare.png")
    _chunks, (found,) = decoded(fetched(run.run_id, "fare.png"))
    assert np.array_equal(found, pixels)


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (np.zeros((2, 2, 2)), r"shape \(2, 2, 2\)"),
        (np.zeros(4), r"shape \(4, 1|shape \(4,"),
        (np.zeros((0, 4)), "no picture"),
        (np.full((2, 2), 2.0), "from 2 to 2; floats go from 0 to 1"),
        (np.full((2, 2), 300), "integers from 0 to 255"),
        (np.full((2, 2), math.nan), "nan"),
        (np.full((2, 2), "a"), "<U1"),
        (object(), "no picture"),
        ("nowhere.png", "no file 'nowhere.png'"),
    ],
)
def test_what_is_no_picture_is_said_and_the_run_goes_on(image: Any, said: str) -> None:  # noqa: ANN401
    with loopline.start_run() as run:
        with pytest.raises(InvalidInputError, match=said):
            loopline.log_image(image, "fare.png")
        loopline.log_metric("after", 1.0)
    assert loopline.list_artifacts(run.run_id) == []


def test_a_series_of_pictures_lies_where_mlflow_looks_for_it() -> None:
    with loopline.start_run() as run:
        for step in range(2):
            loopline.log_image(RED, key="val/errors", step=step, timestamp=1_641_000_000_000)
        with pytest.raises(InvalidInputError, match="either artifact_file"):
            loopline.log_image(RED)
        with pytest.raises(InvalidInputError, match="either artifact_file"):
            loopline.log_image(RED, "a.png", key="a")
        with pytest.raises(InvalidInputError, match="key of a series"):
            loopline.log_image(RED, key="a+b")
    files = loopline.list_artifacts(run.run_id, "images")
    starts = [f"images/val~errors+step+{step}+timestamp+1641000000000+" for step in range(2)]
    assert all(file.path.startswith(start) for file, start in zip(files, starts, strict=True))
    assert loopline.get_run(run.run_id).tags["mlflow.loggedImages"] == "True"


def test_samples_become_a_sound_that_plays(tmp_path: Path) -> None:
    tone = np.sin(np.linspace(0, 440, 800))
    with loopline.start_run() as run:
        loopline.log_audio(tone, "horn.wav", sample_rate=8000)
        loopline.log_audio((tone * 30_000).astype("i2")[:, None].repeat(2, 1), "two.wav", 8000)
        (tmp_path / "street.mp3").write_bytes(b"ID3")
        loopline.log_audio(tmp_path / "street.mp3", key="street", step=1)
        for wrong, said in (
            ({"audio": tone, "artifact_file": "a.wav"}, "sample_rate"),
            ({"audio": tone * 2, "artifact_file": "a.wav", "sample_rate": 8000}, "loudest"),
            ({"audio": tone, "artifact_file": "a.mp3", "sample_rate": 8000}, "written as .wav"),
            ({"audio": np.zeros((2, 2, 2)), "artifact_file": "a.wav", "sample_rate": 1}, "samples"),
        ):
            with pytest.raises(InvalidInputError, match=said):
                loopline.log_audio(**wrong)  # type: ignore[arg-type]
    with wave.open(io.BytesIO(fetched(run.run_id, "horn.wav"))) as sound:
        assert (sound.getnchannels(), sound.getframerate(), sound.getnframes()) == (1, 8000, 800)
        samples = np.frombuffer(sound.readframes(800), dtype="<i2")
    assert np.abs(samples / 32_767 - tone).max() < 1e-4
    with wave.open(io.BytesIO(fetched(run.run_id, "two.wav"))) as sound:
        assert sound.getnchannels() == 2
    (street,) = loopline.list_artifacts(run.run_id, "audio")
    assert street.path.startswith("audio/street+step+1+")
    assert street.path.endswith(".mp3")


def test_frames_become_a_moving_png() -> None:
    frames = np.stack([RED, RED // 2, RED * 0])
    with loopline.start_run() as run:
        loopline.log_video(frames, "drive.png", fps=4)
        with pytest.raises(InvalidInputError, match=r"not as '\.mp4'"):
            loopline.log_video(frames, "drive.mp4")
        with pytest.raises(InvalidInputError, match="all of one shape"):
            loopline.log_video([RED, RED[:1]], "drive.png")
    chunks, pictures = decoded(fetched(run.run_id, "drive.png"))
    assert struct.unpack(">II", chunks[b"acTL"]) == (3, 0)
    assert struct.unpack(">IIIIIHHBB", chunks[b"fcTL"])[5:7] == (250, 1000)
    assert np.array_equal(np.stack(pictures), frames)


def test_a_table_grows_and_is_one_whole_file_all_the_time() -> None:
    with loopline.start_run() as run:
        loopline.log_table({"zone": ["a", "b"], "fare": [1.5, math.nan]}, "eval/t.json")
        loopline.log_table(pd.DataFrame({"zone": ["c"], "tip": [2]}), "eval/t.json")
        loopline.log_table({"zone": "d", "fare": np.float32(2.5)}, "eval/t.json")
    document = json.loads(fetched(run.run_id, "eval/t.json"))
    assert document == {
        "columns": ["zone", "fare", "tip"],
        "data": [["a", 1.5, None], ["b", None, None], ["c", None, 2], ["d", 2.5, None]],
    }
    frame = loopline.load_table("eval/t.json", extra_columns=["run_id", "params.model"])
    assert frame["zone"].tolist() == ["a", "b", "c", "d"]
    assert set(frame["run_id"]) == {run.run_id}
    assert json.loads(loopline.get_run(run.run_id).tags["mlflow.loggedArtifacts"]) == [
        {"path": "eval/t.json", "type": "table"}
    ]


def test_a_table_goes_on_in_another_process_and_in_another_run() -> None:
    with loopline.start_run() as first:
        loopline.log_table({"fare": [1.0]}, "t.json")
        loopline.log_table({"when": [pd.Timestamp("2022-01-01")]}, "other.json")
    close_recorders()  # As if this process had ended.
    with loopline.start_run(run_id=first.run_id):
        loopline.log_table({"fare": [2.0]}, "t.json")
    loopline.Client().log_table(first.run_id, {"fare": [3.0]}, "t.json")
    with loopline.start_run():
        loopline.log_table({"fare": [4.0]}, "t.json")
    assert sorted(loopline.load_table("t.json")["fare"]) == [1.0, 2.0, 3.0, 4.0]
    assert loopline.load_table("t.json", run_ids=[first.run_id])["fare"].tolist() == [1.0, 2.0, 3.0]
    assert loopline.load_table("other.json")["when"].tolist() == ["2022-01-01T00:00:00"]
    with pytest.raises(NotFoundError, match="No run here has a table"):
        loopline.load_table("missing.json")


def test_a_table_may_be_parquet() -> None:
    with loopline.start_run():
        loopline.log_table({"fare": [1.0, 2.0], "zone": ["a", "b"]}, "t.parquet")
        loopline.log_table({"fare": [3.0], "zone": ["c"]}, "t.parquet")
    frame = loopline.load_table("t.parquet")
    assert frame.to_dict("list") == {"fare": [1.0, 2.0, 3.0], "zone": ["a", "b", "c"]}


@pytest.mark.parametrize(
    ("data", "path", "said"),
    [
        ({"a": [1], "b": [1, 2]}, "t.json", "a: 1, b: 2"),
        ({"a": [1], "b": 2}, "t.json", "b: one value"),
        ([1, 2], "t.json", "DataFrame or a dictionary"),
        ({"a": [1]}, "t.csv", r"\.json or \.parquet"),
    ],
)
def test_what_is_no_table_is_refused(data: Any, path: str, said: str) -> None:  # noqa: ANN401
    with loopline.start_run() as run, pytest.raises(InvalidInputError, match=said):
        loopline.log_table(data, path)
    assert loopline.list_artifacts(run.run_id) == []


def test_a_damaged_blob_is_not_handed_out(home: Path) -> None:
    with loopline.start_run() as run:
        loopline.log_text("fares rose", "why.txt")
    get_recorder().flush()
    (blob,) = [path for path in (home / "blobs").rglob("*") if path.is_file()]
    blob.chmod(0o600)
    blob.write_bytes(b"fares fell")
    with pytest.raises(loopline.errors.IntegrityError):
        loopline.load_text(f"runs:/{run.run_id}/why.txt")
    with pytest.raises(loopline.errors.IntegrityError):
        loopline.download_artifacts(run_id=run.run_id, artifact_path="why.txt", dst_path=home / "x")
    assert not (home / "x" / "why.txt").exists()
