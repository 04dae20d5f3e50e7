"""The ``file`` adapter: the machine driven over real image files.

Every disk is a file ``NAME.img`` of a directory, whose bytes are those that a kernel would have written to the
disk.  A flush is an fsync.  Another process can open the directory later: it finds the disks and no
devices, as after a reboot.  One process at a time: the directory is locked.
"""

import dataclasses
import fcntl
import os
from collections.abc import Iterable
from pathlib import Path
from random import Random

import snapmerge as sm
from snapmerge import SECTOR_BYTES, Content, Session, Unknown, World, contents, data_bytes
from snapmerge.records import dataclass, replace
from snapmerge_adapters.model.memory import as_outcome, check_room, model_capabilities
from snapmerge_adapters.unavailable import Unavailable

__all__ = ["Files"]

Faults = tuple[tuple[sm.FaultKind, int, int], ...]


class Image:
    """An open image file.  ``_since``: what each sector has held since the last flush, the oldest first."""

    def __init__(self, path: Path, size: int | None) -> None:
        """Opens the image, or makes one of ``size`` sectors."""
        flags = os.O_RDWR | os.O_CLOEXEC | (0 if size is None else os.O_CREAT | os.O_EXCL)
        self.path = path
        self._fd = os.open(path, flags, 0o644)
        if size is not None:
            self._extend(size)
        self.size = os.fstat(self._fd).st_size // SECTOR_BYTES
        self._since: dict[int, list[Content]] = {}

    def _extend(self, size: int) -> None:
        try:
            os.ftruncate(self._fd, size * SECTOR_BYTES)
        except OSError:
            self.close()
            self.path.unlink()
            raise

    def read(self, sector: int, count: int) -> tuple[Content, ...]:
        """The contents of these sectors."""
        return tuple(contents(os.pread(self._fd, count * SECTOR_BYTES, sector * SECTOR_BYTES)))

    def write(self, sector: int, data: tuple[Content, ...], *, durable: bool) -> None:
        """Writes consecutive sectors."""
        if not durable:
            self._remember(sector, data)
        raw = data_bytes(data)
        if os.pwrite(self._fd, raw, sector * SECTOR_BYTES) != len(raw):
            raise OSError(f"{self.path} took only a part of a write")
        if durable:
            os.fdatasync(self._fd)
            for at in range(sector, sector + len(data)):
                self._since.pop(at, None)

    def _remember(self, sector: int, data: tuple[Content, ...]) -> None:
        for at, content in enumerate(data, sector):
            if at not in self._since:
                self._since[at] = list(self.read(at, 1))
            self._since[at].append(content)

    def sync(self) -> None:
        """Makes everything durable."""
        os.fdatasync(self._fd)
        self._since.clear()

    def cut(self, chance: Random) -> None:
        """Gives every sector that was not flushed one of the contents that it has had since the last flush."""
        for at, contents_since in sorted(self._since.items()):
            os.pwrite(self._fd, data_bytes([chance.choice(contents_since)]), at * SECTOR_BYTES)
        self.sync()

    def close(self) -> None:
        """Closes the file; the system writes what was not flushed."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


@dataclass(frozen=True, slots=True)
class ImageDisk(sm.DiskState):
    """A disk of the world whose sectors are in an image file; it changes in place."""

    image: Image | None = None

    def read(self, sector: int, count: int) -> tuple[Content | Unknown, ...]:
        """What a read of these sectors gives."""
        return self._image.read(sector, count)

    def write(self, sector: int, data: Iterable[Content | Unknown], *, durable: bool = False) -> "ImageDisk":
        """Writes the sectors without a fault, run by run."""
        run: list[Content] = []
        start = sector
        for at, content in enumerate(data, sector):
            if isinstance(content, Unknown):
                raise sm.MachineError(f"an implementation knows what it writes: {content}")
            if self.faults and self.fails("write", at, 1):
                self._put(start, run, durable=durable)
                start, run = at + 1, []
            else:
                run.append(content)
        self._put(start, run, durable=durable)
        return self

    def _put(self, sector: int, run: list[Content], *, durable: bool) -> None:
        if run:
            self._image.write(sector, tuple(run), durable=durable)

    def flush(self, mark: object) -> "ImageDisk":  # noqa: ARG002 - a file has one cache, and it goes as a whole
        """Makes everything durable."""
        self._image.sync()
        return self

    @property
    def _image(self) -> Image:
        if self.image is None:
            raise sm.MachineError("an image disk without an image")
        return self.image


class Files:
    """The model over the image files of a directory.

    ``NAME.img`` that are there already are disks from the start, and stay; those that ``disk`` makes go with
    ``reset``, and with ``close`` unless ``keep``.  ``seed`` draws what power cuts leave.  ``rules``: those
    of the machine.

    Raises:
        Unavailable: the directory is in use; OperationError: there is no sector in an image; OSError.
    """

    def __init__(self, directory: Path, *, keep: bool = True, seed: int = 0, rules: sm.Rules = sm.MAINLINE) -> None:
        self._directory = directory
        self._rules = rules
        self._keep = keep
        self._seed = seed
        self._chance = Random(seed)
        directory.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(directory)
        self._given: dict[str, Image] = {}
        self._made: dict[str, Image] = {}
        try:
            self._open_given()
        except BaseException:
            self.close()
            raise
        self._session = self._after_reboot()

    def _open_given(self) -> None:
        for path in sorted(self._directory.glob("*.img")):
            image = self._given[path.stem] = Image(path, None)
            if image.size == 0:
                raise sm.OperationError(f"{path} has no whole sector of {SECTOR_BYTES} bytes; take it away")

    @property
    def capabilities(self) -> sm.Capabilities:
        """Everything that the model can do; existing images leave the room for new disks as it is."""
        all_of_it = model_capabilities(f"the model over image files in {self._directory}")
        given = sum(image.size for image in self._given.values())
        return dataclasses.replace(all_of_it, sectors_max=all_of_it.sectors_max + given)

    def apply(self, operation: sm.Operation) -> sm.Outcome:
        """Carries the operation out.  Raises OperationError if it is invalid now, or would block for ever."""
        # Before it can be refused: what is in flight changes the images in place, and must not do so again.
        self._session = sm.settled(self._session)
        match operation:
            case sm.Disk():
                self._make_disk(operation)
                return sm.Done()
            case sm.Crash():
                for _, image in sorted(self._images().items()):
                    image.cut(self._chance)
                faults = {name: disk.faults for name, disk in self._session.world.disks.items()}
                self._session = self._after_reboot(faults)
                return sm.Done()
            case sm.Reset():
                self._drop_made()
                self._chance = Random(self._seed)
                self._session = self._after_reboot()
                return sm.Done()
            case _:
                result, self._session = sm.operate(self._session, operation)
                return as_outcome(result)

    def close(self) -> None:
        """Closes the images, and removes those that this object made unless they are to be kept."""
        if not self._keep:
            self._drop_made()
        for image in self._images().values():
            image.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _images(self) -> dict[str, Image]:
        return {**self._given, **self._made}

    def _make_disk(self, disk: sm.Disk) -> None:
        name = disk.name
        if name in self._session.world.disks or name in self._session.world.stack.devices:
            raise sm.OperationError(f"{name} is there already")
        check_room(self._session.world, disk, self.capabilities.sectors_max)
        try:
            image = self._made[name] = Image(self._directory / f"{name}.img", disk.size)
        except OSError as error:
            raise sm.OperationError(f"the image of {name} can't be made: {error.strerror}") from None
        world = _with_image(self._session.world, name, image)
        self._session = replace(self._session, world=world)

    def _drop_made(self) -> None:
        for image in self._made.values():
            image.close()
            image.path.unlink(missing_ok=True)
        self._made = {}

    def _after_reboot(self, faults: dict[str, Faults] | None = None) -> Session:
        """A world with the disks and no devices; faults outlast a power cut."""
        world = sm.start_world(self._rules)
        for name, image in sorted(self._images().items()):
            world = _with_image(world, name, image, (faults or {}).get(name, ()))
        return Session(world)


def _lock(directory: Path) -> int:
    """A descriptor of the directory that holds an advisory lock on it until it is closed.  Raises Unavailable."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(fd)
        if isinstance(error, BlockingIOError):
            raise Unavailable(f"{directory} is in use by another snapmerge; name another directory") from None
        raise Unavailable(f"{directory} can't be locked: {error.strerror}; name another directory") from None
    return fd


def _with_image(world: World, name: str, image: Image, faults: Faults = ()) -> World:
    world = sm.add_disk(world, name, image.size)
    return replace(world, disks=world.disks.set(name, ImageDisk(image.size, faults=faults, image=image)))
