"""Image files: which ones are, and those that `sknet prepare` stores, with labels.

They are below a folder, or in an uncompressed tar archive, which is not unpacked.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from caffe.files import reading
from sknet.data.class_map import ClassMap, class_folders, named

_ENDINGS = {".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"}


def is_image(name: str) -> bool:
    """Whether a file is an image by its name, which is not a hidden one's."""
    path = PurePosixPath(name)
    return path.suffix.lower() in _ENDINGS and not path.name.startswith(".")


def image_names(folder: Path) -> tuple[list[str], list[str]]:
    """The names of the images in a folder and of its other files, each sorted.

    Raises:
        OSError: It cannot be read; the message is a sentence.
    """
    with reading(folder), os.scandir(folder) as entries:
        files = sorted(entry.name for entry in entries if entry.is_file())
    return [f for f in files if is_image(f)], [f for f in files if not is_image(f)]


@dataclass(frozen=True)
class Image:
    """An image to store: where it lies in its source, and its label."""

    name: str
    label: int
    offset: int = 0
    size: int = 0


def _archive_files(path: Path) -> Iterator[Image]:
    """The files in an uncompressed tar archive, as images with label -1."""
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                if member.isfile():
                    yield Image(
                        str(PurePosixPath(member.name)),
                        -1,
                        member.offset_data,
                        member.size,
                    )
    except tarfile.TarError as error:
        raise ValueError(
            f"'{path}': no uncompressed tar archive ({error}); unpack it and name the "
            "folder"
        ) from None


def scan_train(
    root: Path,
    classes: ClassMap | None = None,
    passed_over: list[str] | None = None,
) -> tuple[ClassMap, list[Image]]:
    """Finds the training images: a folder for each class, named after it.

    Args:
        root: The folder of the class folders.
        classes: All classes in the order of their labels, of which the folders may be a
            part; by default the folders' sorted names.
        passed_over: Gets the names of the files that are no images by their endings.

    Returns:
        The class map, and the images in the order of their names.

    Raises:
        ValueError: No class folders, an empty one, or one that is none of `classes`.
    """
    folders = class_folders(root)
    if not folders:
        raise ValueError(
            f"'{root}': no folders of classes, expected one for each class such as "
            "n01440764; unpack the archives of the classes into folders of their names"
        )
    found = ClassMap(tuple(folders))
    classes = classes or found
    images = [
        Image(f"{name}/{file}", label)
        for name, label in zip(
            folders, found.translation(classes, f"'{root}'"), strict=True
        )
        for file in _images_in(root, name, passed_over)
    ]
    filled = {image.label for image in images}
    labels = classes.labels()
    if empty := [name for name in folders if labels[name] not in filled]:
        raise ValueError(
            f"'{root}': no images in class folder {named(empty)}; unpack the rest"
        )
    return classes, images


def _images_in(root: Path, folder: str, passed_over: list[str] | None) -> list[str]:
    images, others = image_names(root / folder)
    if passed_over is not None:
        passed_over += [str(PurePosixPath(folder, name)) for name in others]
    return images


def scan_val(
    path: Path,
    classes: ClassMap,
    labels_file: Path | None = None,
    passed_over: list[str] | None = None,
) -> list[Image]:
    """Finds the validation images.

    Args:
        path: A folder of class folders, a flat folder, or a tar archive of either.
        classes: The training set's.
        labels_file: For flat ones a line `name label` for each image; a label is a
            number or a class.
        passed_over: Gets the names of the files that are no images by their endings.

    Returns:
        The images in the order of their names.

    Raises:
        ValueError: No images, or images without a label or the reverse.
        OSError: Something cannot be read.
    """
    if path.is_dir():
        names = [
            f"{folder}/{file}"
            for folder in class_folders(path)
            for file in _images_in(path, folder, passed_over)
        ]
        files = [Image(name, -1) for name in names or _images_in(path, "", passed_over)]
    else:
        found = list(_archive_files(path))
        files = [image for image in found if is_image(image.name)]
        if passed_over is not None:
            passed_over += [i.name for i in found if not is_image(i.name)]
    if not files:
        raise ValueError(f"'{path}': no images, expected at least one")
    files.sort(key=lambda image: image.name)
    if labels_file is not None:
        labels = _read_labels(labels_file, classes)
        _check_same_images(path, labels_file, files, labels)
        key = _base_name
    else:
        labels = classes.labels()
        key = _class_folder
        if unknown := {key(image) for image in files} - set(labels):
            # In no folder at all, which has no name to tell.
            which = f" ({named(unknown)})" if unknown != {""} else ""
            raise ValueError(
                f"'{path}': its images are in no folders of the training set's classes"
                f"{which}; give --val-labels, a file of lines `name label`"
            )
    return [
        Image(image.name, labels[key(image)], image.offset, image.size)
        for image in files
    ]


def _base_name(image: Image) -> str:
    return PurePosixPath(image.name).name


def _class_folder(image: Image) -> str:
    return PurePosixPath(image.name).parent.name


def _check_same_images(
    path: Path, labels_file: Path, files: Sequence[Image], labels: dict[str, int]
) -> None:
    present = {_base_name(image) for image in files}
    for missing, what in (
        (present - set(labels), f"'{labels_file}' has no label for"),
        (set(labels) - present, f"'{path}' lacks"),
    ):
        if missing:
            raise ValueError(
                f"{what} {len(missing)} of the validation images ({named(missing)}), "
                "expected the same images in both"
            )


def _read_labels(path: Path, classes: ClassMap) -> dict[str, int]:
    by_class = classes.labels()
    labels: dict[str, int] = {}
    with reading(path), path.open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, 1):
            words = line.split()
            if not words:
                continue
            if len(words) == 1:
                raise ValueError(
                    f"{path}:{number}: '{line.strip()[:80]}', expected a name and a "
                    "label (the list of the ILSVRC development kit has neither names "
                    "nor the usual numbers; use Caffe's val.txt)"
                )
            name, label = PurePosixPath(words[0]).name, words[-1]
            value = by_class.get(label)
            if value is None and label.isascii() and label.isdigit():
                value = int(label[:10])
            if value is None or value >= len(classes.names):
                raise ValueError(
                    f"{path}:{number}: label '{label}' of '{name}', expected a class "
                    f"of the training set or a number below {len(classes.names)}"
                )
            if labels.setdefault(name, value) != value:
                raise ValueError(f"{path}:{number}: a second label for '{name}'")
    return labels


def shuffled(images: Sequence[Image], seed: int) -> list[Image]:
    """The images in the order of a hash of seed and name.

    It depends on nothing else: not on a library's generator, nor on the other images.
    """

    def place(image: Image) -> bytes:
        name = f"{seed}/{image.name}".encode(errors="surrogateescape")
        return hashlib.sha256(name).digest()

    return sorted(images, key=place)
