"""Files of a run: copied into the journal when logged, sent to the blob store after that."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.errors import InvalidInputError
from loopline.records.facts import ArtifactLogged
from loopline.rules.names import check_artifact_path
from loopline.tracking import media
from loopline.tracking.tables import TableLog
from loopline.tracking.values import told
from loopline.tracking.writer import RunWriter, now_ms

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import IO

    from loopline.backend.recorder import Recorder

__all__ = ["RunFiles"]

CHUNK = 1 << 20
#: A tag of MLflow's: its pages look for pictures where it is set.
LOGGED_IMAGES = "mlflow.loggedImages"


class RunFiles(RunWriter):
    """Writes to one run, files too."""

    def __init__(self, recorder: Recorder, run_id: str, *, is_new: bool = False) -> None:
        super().__init__(recorder, run_id, is_new=is_new)
        self._tables = TableLog(self)
        self._told_of_images = False

    # --- files as they are ---

    def log_artifact(self, local_path: str | Path, artifact_path: str | None = None) -> None:
        """Log a file, or a folder with all below it, into ``artifact_path`` of the run."""
        source = _path("log_artifact", local_path)
        if source.is_dir():
            name = source.resolve().name
            self.log_artifacts(source, f"{artifact_path}/{name}" if artifact_path else name)
            return
        if not source.is_file():
            msg = f"There is no file {str(local_path)!r} to log. Write it before logging it."
            raise InvalidInputError(msg)
        self.log_file(source, f"{artifact_path}/{source.name}" if artifact_path else source.name)

    def log_artifacts(self, local_dir: str | Path, artifact_path: str | None = None) -> None:
        """Log every file below a folder, keeping their places, into ``artifact_path``."""
        root = _path("log_artifacts", local_dir)
        if not root.is_dir():
            msg = f"There is no folder {str(local_dir)!r} to log. Give a folder that exists."
            raise InvalidInputError(msg)
        found = {}
        for file in sorted(root.rglob("*")):
            if file.is_file():
                relative = file.relative_to(root).as_posix()
                path = f"{artifact_path}/{relative}" if artifact_path else relative
                found[check_artifact_path(path)] = file
        for path, file in found.items():  # Only now: all of the names can be, or none is logged.
            self.log_file(file, path)

    def log_file(self, source: Path, path: str) -> None:
        """Log a file under a path of the run, whatever its own name is."""
        clean = check_artifact_path(path)
        digest, size = self.recorder.stage(source)
        self._artifact(clean, digest, size)

    def log_bytes(self, data: bytes, path: str) -> None:
        """Log bytes as a file of the run."""
        clean = check_artifact_path(path)
        digest, size = self.recorder.stage_bytes(data)
        self._artifact(clean, digest, size)

    def log_stream(self, stream: IO[bytes], artifact_file: str) -> None:
        """Log what an open binary file still holds, read a piece at a time."""
        check_artifact_path(artifact_file)
        if not hasattr(stream, "read"):
            msg = (
                f"log_stream takes an open binary file, not {type(stream).__name__}. Open one with "
                "open(path, 'rb'), or log the file itself with log_artifact."
            )
            raise InvalidInputError(msg)
        with tempfile.NamedTemporaryFile() as file:
            while chunk := stream.read(CHUNK):
                if not isinstance(chunk, (bytes, bytearray, memoryview)):
                    msg = "log_stream reads bytes. Open the file in binary mode: open(path, 'rb')."
                    raise InvalidInputError(msg)
                file.write(chunk)
            file.flush()
            self.log_file(Path(file.name), artifact_file)

    def log_text(self, text: str, artifact_file: str) -> None:
        """Log a text as a file of the run."""
        try:
            data = text.encode()
        except AttributeError:
            msg = f"log_text takes text, not {type(text).__name__}. Use log_dict, or str(...)."
            raise InvalidInputError(msg) from None
        except UnicodeEncodeError as error:
            msg = (
                f"The text for {artifact_file!r} holds a lone surrogate at character "
                f"{error.start + 1}, which is no text. Write the bytes to a file and log that."
            )
            raise InvalidInputError(msg) from None
        self.log_bytes(data, artifact_file)

    def log_dict(self, dictionary: Any, artifact_file: str) -> None:  # noqa: ANN401
        """Log a dictionary or list as JSON, or as YAML when the file's name ends so."""
        if check_artifact_path(artifact_file).endswith((".yaml", ".yml")):
            import yaml

            try:
                text = _yaml(dictionary)
            except yaml.YAMLError as error:
                msg = f"This cannot be written as YAML ({error}). Log it as a .json file."
                raise InvalidInputError(msg) from error
        else:
            try:
                text = json.dumps(dictionary, indent=2, default=media.plain)
            except (TypeError, ValueError) as error:
                msg = f"This cannot be written as JSON ({error}). Give keys that are text."
                raise InvalidInputError(msg) from error
        self.log_text(text, artifact_file)

    # --- pictures and the like ---

    def log_figure(
        self,
        figure: Any,  # noqa: ANN401
        artifact_file: str,
        *,
        save_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        """Log a Matplotlib or Plotly figure; the file's ending says in which format.

        Args:
            figure: A Matplotlib figure (or what has one: axes, a Seaborn grid), a Plotly figure,
                or an Altair chart.
            artifact_file: Such as ``"errors.png"``, or ``"errors.html"`` for Plotly.
            save_kwargs: Passed to the figure's own way of saving, such as ``{"dpi": 200}``.
        """
        clean = check_artifact_path(artifact_file)
        if not Path(clean).suffix:
            msg = (
                f"The ending of a figure's file says in which format it is, and {clean!r} has "
                f"none. Write {f'{clean}.png'!r}, or another ending."
            )
            raise InvalidInputError(msg)
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / f"figure{Path(clean).suffix}"
            media.save_figure(figure, target, dict(save_kwargs or {}))
            self.log_file(target, clean)

    def log_image(
        self,
        image: Any,  # noqa: ANN401
        artifact_file: str | None = None,
        key: str | None = None,
        step: int | None = None,
        timestamp: int | None = None,
    ) -> None:
        """Log a picture: once, as a file, or again and again as a series by key and step.

        Args:
            image: A file, a PIL image, or an array or tensor of shape (height, width), (height,
                width, channels) or (channels, height, width) with 1, 3 or 4 channels; integers
                from 0 to 255, floats from 0 to 1, or bool.
            artifact_file: Where it lies among the run's files, such as ``"error.png"``.
            key: Instead: the name of its series; the file is then
                ``images/<key>+step+<step>+timestamp+<ms>+<id>.png``, as MLflow has it.
            step: Its place in the series; 0 when it is None.
            timestamp: Unix time in milliseconds; now when it is None.

        Raises:
            InvalidInputError: It is no picture, or not exactly one of file and key was given.
        """
        path = media.path_of("images", artifact_file, key, step, timestamp, media.ending(image))
        data = media.image_bytes(image, Path(path).suffix.lower() or ".png")
        self._log_media(data, path)
        if key is not None and not self._told_of_images:
            self.set_tag(LOGGED_IMAGES, value=True)
            self._told_of_images = True

    def log_audio(
        self,
        audio: Any,  # noqa: ANN401
        artifact_file: str | None = None,
        sample_rate: int | None = None,
        key: str | None = None,
        step: int | None = None,
        timestamp: int | None = None,
    ) -> None:
        """Log a sound: a file as it is, or samples as WAV; once, or as a series by key and step.

        Args:
            audio: A file, or samples of shape (n,) or (n, channels): int16, or floats from -1
                to 1.
            artifact_file: Where it lies among the run's files, such as ``"horn.wav"``.
            sample_rate: Samples a second; needed for samples.
            key: Instead: the name of its series, below ``audio/``.
            step: Its place in the series; 0 when it is None.
            timestamp: Unix time in milliseconds; now when it is None.
        """
        path = media.path_of("audio", artifact_file, key, step, timestamp, media.ending(audio))
        self._log_media(media.audio_bytes(audio, sample_rate, Path(path).suffix.lower()), path)

    def log_video(
        self,
        video: Any,  # noqa: ANN401
        artifact_file: str | None = None,
        fps: float = 8.0,
        key: str | None = None,
        step: int | None = None,
        timestamp: int | None = None,
    ) -> None:
        """Log a video: a file as it is, or frames as a moving PNG; once, or as a series.

        Args:
            video: A file, or frames: shape (n, height, width) or (n, height, width, channels),
                values as for ``log_image``.
            artifact_file: Where it lies among the run's files, such as ``"drive.mp4"``.
            fps: Frames a second.
            key: Instead: the name of its series, below ``videos/``.
            step: Its place in the series; 0 when it is None.
            timestamp: Unix time in milliseconds; now when it is None.
        """
        path = media.path_of("videos", artifact_file, key, step, timestamp, media.ending(video))
        self._log_media(media.video_bytes(video, fps, Path(path).suffix.lower()), path)

    def log_table(self, data: Any, artifact_file: str) -> None:  # noqa: ANN401
        """Log a table, or append rows to one logged before.

        Args:
            data: A DataFrame, or a dictionary of columns: lists of equal length, or scalars for
                one row. A cell may be a PIL image, kept as a file of its own.
            artifact_file: Ends with ``.json`` or ``.parquet``.

        Raises:
            InvalidInputError: It is no table; nothing is logged.
        """
        self._tables.append(data, artifact_file)

    def _log_media(self, data: bytes | Path, path: str) -> None:
        if isinstance(data, Path):
            self.log_file(data, path)
        else:
            self.log_bytes(data, path)

    def _artifact(self, path: str, digest: str, size: int) -> None:
        self._record(
            ArtifactLogged(
                run_id=self.run_id, path=path, sha256=digest, size_bytes=size, at_ms=now_ms()
            )
        )


def _path(function: str, given: Any) -> Path:  # noqa: ANN401
    try:
        return Path(given)
    except TypeError:
        msg = (
            f"{function} takes the path of what to log, not {type(given).__name__} "
            f"({told(given)}). Write it to a file, or use log_text, log_dict or log_table."
        )
        raise InvalidInputError(msg) from None


def _yaml(value: Any) -> str:  # noqa: ANN401
    """Write YAML, of NumPy's numbers and arrays as of Python's; anything else is refused."""
    import yaml

    class Dumper(yaml.SafeDumper):
        pass

    def of_another_library(dumper: yaml.SafeDumper, given: Any) -> yaml.Node:  # noqa: ANN401
        if not hasattr(given, "tolist"):
            return dumper.represent_undefined(given)
        return dumper.represent_data(given.tolist())

    # None: whatever type has no representer of its own.
    Dumper.add_representer(None, of_another_library)  # type: ignore[arg-type]
    text: str = yaml.dump(value, Dumper=Dumper, sort_keys=False, allow_unicode=True)
    return text
