"""Pictures, sounds and videos as files: from arrays with the standard library alone.

NumPy arrays and tensors become PNG, WAV and moving PNG (APNG) without Pillow or FFmpeg; other
formats go through Pillow where it is installed.
"""

from __future__ import annotations

import io
import math
import re
import struct
import time
import uuid
import wave
import zlib
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.errors import InvalidInputError, MissingExtraError
from loopline.rules.names import check_artifact_path
from loopline.tracking.values import whole_number

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "audio_bytes",
    "ending",
    "image_bytes",
    "path_of",
    "pillow",
    "plain",
    "save_figure",
    "video_bytes",
]

_PNG = b"\x89PNG\r\n\x1a\n"
#: PNG's colour types by the number of channels.
_COLOURS = {1: 0, 3: 2, 4: 6}
_KEY = re.compile(r"[\w\-. /]+\Z")
_ENDINGS = {"images": ".png", "audio": ".wav", "videos": ".png"}


def path_of(
    folder: str,
    artifact_file: str | None,
    key: str | None,
    step: int | None,
    timestamp: int | None,
    suffix: str,
) -> str:
    """Tell where a picture or the like lies: where it was said, or in its series.

    Raises:
        InvalidInputError: Not exactly one of ``artifact_file`` and ``key`` is given.
    """
    if (artifact_file is None) == (key is None):
        msg = "Give either artifact_file, for one file, or key (and step), for a series."
        raise InvalidInputError(msg)
    if artifact_file is not None:
        return check_artifact_path(artifact_file)
    if not isinstance(key, str) or not _KEY.match(key):
        msg = f"The key of a series, {key!r}, may hold letters, digits, _ - . / and spaces only."
        raise InvalidInputError(msg)
    at_ms = time.time_ns() // 1_000_000 if timestamp is None else timestamp
    name = "+".join(
        (
            key.replace("/", "~"),
            f"step+{0 if step is None else whole_number('step', step)}",
            f"timestamp+{whole_number('timestamp', at_ms)}",
            str(uuid.uuid4()),
        )
    )
    return f"{folder}/{name}{suffix or _ENDINGS[folder]}"


def ending(given: Any) -> str:  # noqa: ANN401
    """Tell the ending of what is a file already; empty otherwise."""
    return Path(given).suffix.lower() if isinstance(given, (str, Path)) else ""


def _file(given: Any) -> Path | None:  # noqa: ANN401
    """Take a path that was given; None when something else was.

    Raises:
        InvalidInputError: There is no such file.
    """
    if not isinstance(given, (str, Path)):
        return None
    path = Path(given)
    if not path.is_file():
        msg = f"There is no file {str(given)!r} to log. Write it before logging it."
        raise InvalidInputError(msg)
    return path


# --- pictures ---------------------------------------------------------------------------------


def image_bytes(image: Any, suffix: str) -> bytes | Path:  # noqa: ANN401
    """Encode a picture in the format of a file ending; a file of this format stays as it is.

    Raises:
        InvalidInputError: It is no picture; says what shapes and types are.
        MissingExtraError: The format needs Pillow.
    """
    path = _file(image)
    if path is not None:
        if path.suffix.lower() in {suffix, ""}:
            return path
        with pillow("Turning a picture into another format").open(path) as opened:
            return _bypillow(opened, suffix)
    if hasattr(image, "to_pil"):  # MLflow's Image.
        image = image.to_pil()
    if hasattr(image, "save") and hasattr(image, "mode"):
        return _bypillow(image, suffix)
    pixels = _pixels(image)
    if suffix == ".png":
        return _PNG + b"".join(_chunks(*_header(pixels), [pixels]))
    return _bypillow(pillow(f"A {suffix} picture").fromarray(_squeezed(pixels)), suffix)


def pillow(purpose: str) -> Any:  # noqa: ANN401 - its module Image
    """Import Pillow.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        return import_module("PIL.Image")
    except ImportError:
        raise MissingExtraError("pillow", extra="media", purpose=purpose) from None


def _bypillow(image: Any, suffix: str) -> bytes:  # noqa: ANN401
    target = io.BytesIO()
    form = pillow("A picture").registered_extensions().get(suffix)
    if form is None:
        msg = f"Pictures cannot be written as {suffix!r}. Use .png, .jpg, .webp or .gif."
        raise InvalidInputError(msg)
    try:
        image.save(target, format=form)
    except (OSError, ValueError):  # PNG and GIF have no CMYK, JPEG has nothing clear.
        target = io.BytesIO()
        is_clear = "A" in image.getbands() and form != "JPEG"
        try:
            image.convert("RGBA" if is_clear else "RGB").save(target, format=form)
        except (OSError, ValueError) as error:
            msg = (
                f"A picture of mode {image.mode!r} cannot be written as {suffix!r} ({error}). "
                "Convert it first, with image.convert('RGB')."
            )
            raise InvalidInputError(msg) from error
    return target.getvalue()


def _pixels(image: Any) -> Any:  # noqa: ANN401
    """Turn an array into bytes of shape (height, width, channels)."""
    try:
        import numpy as np
    except ImportError:
        raise MissingExtraError("numpy", extra="demo", purpose="A picture of an array") from None
    detach = getattr(image, "detach", None)
    try:
        found = np.asarray(image if detach is None else detach().cpu())
    except Exception as error:
        raise _no_picture(type(image).__name__) from error
    if found.ndim == 2:  # noqa: PLR2004 - height and width
        found = found[:, :, None]
    # Torch puts the channels first; a picture one to four pixels wide is hardly meant.
    is_deep = found.ndim == 3  # noqa: PLR2004
    if is_deep and found.shape[2] not in _COLOURS and found.shape[0] in _COLOURS:
        found = found.transpose(1, 2, 0)
    if not is_deep or found.shape[2] not in _COLOURS or not found.size:
        raise _no_picture(f"an array of shape {found.shape}")
    kind = found.dtype.kind
    if kind == "b":
        return found.astype("u1") * 255
    if kind == "f":
        least, most, scale = 0.0, 1.0, 255.0
    elif kind in "iu":
        least, most, scale = 0.0, 255.0, 1.0
    else:
        raise _no_picture(f"an array of {found.dtype}")
    low, high = float(found.min()), float(found.max())
    if math.isnan(low) or low < least or high > most:
        msg = (
            f"The picture's values go from {low:g} to {high:g}; floats go from 0 to 1, integers "
            "from 0 to 255. Scale it, for example with (x - x.min()) / (x.max() - x.min())."
        )
        raise InvalidInputError(msg)
    return (found * scale).round().astype("u1") if kind == "f" else found.astype("u1")


def _no_picture(what: str) -> InvalidInputError:
    return InvalidInputError(
        f"This is no picture but {what}. Give a file, a PIL image, or an array of shape (height, "
        "width) or (height, width, channels) with 1, 3 or 4 channels."
    )


def _squeezed(pixels: Any) -> Any:  # noqa: ANN401
    return pixels[:, :, 0] if pixels.shape[2] == 1 else pixels


def _header(pixels: Any) -> tuple[int, int, int]:  # noqa: ANN401
    height, width, channels = pixels.shape
    return width, height, _COLOURS[channels]


def _chunks(
    width: int, height: int, colour: int, frames: list[Any], *, delay_ms: int = 0
) -> Iterable[bytes]:
    """Write the chunks of a PNG; with several frames, those of a moving one.

    Source:
        PNG (Third Edition), W3C, section 11: IHDR, acTL, fcTL, IDAT, fdAT, IEND.
    """
    yield _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0))
    if len(frames) > 1:
        yield _chunk(b"acTL", struct.pack(">II", len(frames), 0))
    sequence = 0
    for index, frame in enumerate(frames):
        if len(frames) > 1:
            head = struct.pack(">IIIIIHHBB", sequence, width, height, 0, 0, delay_ms, 1000, 0, 0)
            yield _chunk(b"fcTL", head)
            sequence += 1
        # Each row begins with the number of its filter; "Up" suits pictures and costs nothing.
        rows = frame.reshape(height, -1)
        filtered = _filtered(rows)
        data = zlib.compress(filtered, 6)
        if index == 0:
            yield _chunk(b"IDAT", data)
        else:
            yield _chunk(b"fdAT", struct.pack(">I", sequence) + data)
            sequence += 1
    yield _chunk(b"IEND", b"")


def _filtered(rows: Any) -> bytes:  # noqa: ANN401
    import numpy as np

    found = np.empty((rows.shape[0], rows.shape[1] + 1), dtype="u1")
    found[:, 0] = 2
    found[0, 1:] = rows[0]
    found[1:, 1:] = rows[1:] - rows[:-1]  # Modulo 256, as unsigned bytes do by themselves.
    return found.tobytes()


def _chunk(kind: bytes, data: bytes) -> bytes:
    crc = zlib.crc32(data, zlib.crc32(kind))
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)


# --- sounds and videos ------------------------------------------------------------------------


def audio_bytes(audio: Any, sample_rate: int | None, suffix: str) -> bytes | Path:  # noqa: ANN401
    """Encode samples as WAV; a file stays as it is.

    Raises:
        InvalidInputError: They are no samples, or there is no sample rate.
    """
    path = _file(audio)
    if path is not None:
        return path
    if suffix != ".wav":
        msg = f"Samples are written as .wav, not as {suffix!r}. Encode them to a file and log that."
        raise InvalidInputError(msg)
    if sample_rate is None or whole_number("sample rate", sample_rate) < 1:
        msg = "Samples need their sample_rate, such as 44_100. Give it with the samples."
        raise InvalidInputError(msg)
    samples = _samples(audio)
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(whole_number("sample rate", sample_rate))
        file.writeframes(samples.astype("<i2").tobytes())
    return target.getvalue()


def _samples(audio: Any) -> Any:  # noqa: ANN401
    """Turn an array into int16 of shape (samples, channels)."""
    try:
        import numpy as np
    except ImportError:
        raise MissingExtraError("numpy", extra="demo", purpose="A sound of an array") from None
    detach = getattr(audio, "detach", None)
    found = np.asarray(audio if detach is None else detach().cpu())
    if found.ndim == 1:
        found = found[:, None]
    kind = found.dtype.kind
    if found.ndim != 2 or not found.size or kind not in "fi":  # noqa: PLR2004 - samples, channels
        msg = (
            f"These are no samples but {found.dtype} of shape {found.shape}. Give int16 or floats "
            "from -1 to 1, shape (n,) or (n, channels)."
        )
        raise InvalidInputError(msg)
    most = 1.0 if kind == "f" else 32_767.0
    loudest = float(np.abs(found.astype("f8")).max())
    if math.isnan(loudest) or loudest > most + (kind == "i"):
        msg = (
            f"The loudest sample is {loudest:g}; floats go from -1 to 1, integers to 32,767. "
            "Scale the samples, for example with x / abs(x).max()."
        )
        raise InvalidInputError(msg)
    return (found * 32_767.0).round() if kind == "f" else found


def video_bytes(video: Any, fps: float, suffix: str) -> bytes | Path:  # noqa: ANN401
    """Encode frames as a moving PNG, or with Pillow as GIF or WebP; a file stays as it is.

    Raises:
        InvalidInputError: They are no frames, or of different shapes.
    """
    path = _file(video)
    if path is not None:
        return path
    if not 0 < float(fps) <= 1000:  # noqa: PLR2004 - a frame a millisecond
        msg = f"fps must lie between 0 and 1000, not {fps!r}."
        raise InvalidInputError(msg)
    frames = [_pixels(frame) for frame in video]
    if not frames or any(frame.shape != frames[0].shape for frame in frames):
        msg = "A video needs frames, all of one shape. Give shape (n, height, width, channels)."
        raise InvalidInputError(msg)
    delay_ms = min(round(1000 / float(fps)), 65_535)
    if suffix in {".png", ".apng"}:
        return _PNG + b"".join(_chunks(*_header(frames[0]), frames, delay_ms=delay_ms))
    if suffix not in {".gif", ".webp"}:
        msg = (
            f"Frames are written as .png, .gif or .webp, not as {suffix!r}. Encode them to a file "
            "with a video library and log that."
        )
        raise InvalidInputError(msg)
    library = pillow(f"A {suffix} video")
    first, *others = [library.fromarray(_squeezed(frame)) for frame in frames]
    target = io.BytesIO()
    first.save(
        target,
        format=suffix[1:].upper(),
        save_all=True,
        append_images=others,
        duration=delay_ms,
        loop=0,
    )
    return target.getvalue()


# --- figures and values -----------------------------------------------------------------------


def save_figure(figure: Any, target: Path, arguments: dict[str, Any]) -> None:  # noqa: ANN401
    """Save a figure of some library to a file.

    Raises:
        InvalidInputError: It is no figure, or its library cannot write this format.
    """
    if not hasattr(figure, "savefig") and hasattr(figure, "get_figure"):
        figure = figure.get_figure()  # Axes, as Seaborn answers them.
    if hasattr(figure, "savefig"):
        save = figure.savefig
    elif target.suffix in {".html", ".htm"} and hasattr(figure, "write_html"):
        save, arguments = figure.write_html, {"include_plotlyjs": True, **arguments}
    elif target.suffix == ".json" and hasattr(figure, "write_json"):
        save = figure.write_json
    elif hasattr(figure, "write_image"):
        save = figure.write_image
    elif hasattr(figure, "to_dict") and hasattr(figure, "save"):  # An Altair chart.
        save = figure.save
    else:
        msg = (
            f"log_figure takes a Matplotlib or Plotly figure, not {type(figure).__name__}. "
            "Save it to a file and use log_artifact."
        )
        raise InvalidInputError(msg)
    try:
        save(str(target), **arguments)
    except Exception as error:
        msg = (
            f"{type(figure).__name__} cannot be saved as {target.suffix or 'a file'} "
            f"({type(error).__name__}: {error}). Try '.png', or '.html' for Plotly."
        )
        raise InvalidInputError(msg) from error


def plain(value: Any) -> Any:  # noqa: ANN401
    """Turn what JSON has no word for into what it has: arrays to lists, the rest to text."""
    for name in ("tolist", "item"):
        convert = getattr(value, name, None)
        if convert is not None:
            return convert()
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    return str(value)
