"""An offline merger that speaks the protocol: what anybody might write, with nothing of snapmerge's in it.

It makes snapshots with persistent stores on disks with a volatile cache, and merges them while it answers other
requests.  ``python merger.py HOW [careless|flushless]`` says which records are cleared together: ``runs`` as the kernel
does, ``areas`` a whole area at a time, ``records`` one by one.  A ``careless`` one leaves out the flush of the origin
between copying and clearing; a ``flushless`` one does nothing when it is asked for a flush.
"""

import hashlib
import itertools
import json
import random
import struct
import sys
from collections.abc import Collection, Iterator

SECTOR = 512
ZERO = bytes(SECTOR)
MAGIC = 0x70416E53
NAMES = ["create", "crash", "disk", "flush", "metadata", "read", "remove", "reset", "settle", "write"]


class IllegalError(Exception):  # a request that makes no sense, or that this program does not serve
    pass


class FailedError(Exception):  # an I/O error; the text is its errno
    pass


class Disk:
    """Sectors in a volatile cache: ``unflushed`` has what each held since the last flush, the durable content first."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.sectors = [ZERO] * size
        self.unflushed: dict[int, list[bytes]] = {}

    def read(self, first: int, count: int) -> list[bytes]:
        if not 0 <= first <= first + count <= self.size:
            raise FailedError("EIO")
        return self.sectors[first : first + count]

    def write(self, first: int, data: list[bytes], *, durably: bool = False) -> None:
        self.read(first, len(data))
        for sector, content in enumerate(data, first):
            self.unflushed.setdefault(sector, [self.sectors[sector]]).append(content)
            self.sectors[sector] = content
            if durably:
                del self.unflushed[sector]

    def flush(self) -> None:
        self.unflushed.clear()

    def cut(self) -> None:
        """Of each sector that was not flushed any content may be left; what is depends on what there is."""
        chance = random.Random(repr(self.unflushed))
        mood = chance.choice(("oldest", "newest", "any"))
        for sector, contents in self.unflushed.items():
            at = {"oldest": 0, "newest": -1}.get(mood, chance.randrange(len(contents)))
            self.sectors[sector] = contents[at]
        self.unflushed.clear()


class Store:
    """A persistent exception store.  ``mapped``: the new chunk of each old one; ``order``: as they were committed."""

    def __init__(self, disk: Disk, chunk: int) -> None:
        magic, valid, version, size = header(disk)
        self.disk, self.valid, self.chunk = disk, True, size if magic else chunk or 32
        self.order: list[tuple[int, int]] = []
        if not magic:
            self.write_header()
            disk.write(self.chunk, [ZERO] * self.chunk)
        elif magic != MAGIC or version != 1 or size not in (1, 2, 4, 8, 16, 32):
            raise IllegalError("not a store of ours")
        elif valid:
            self.order = list(records(disk, size))
        else:
            self.valid = False
        self.mapped = dict(self.order)
        news = [new for _, new in self.order]
        odd = any(self.is_metadata(new) or (new + 1) * self.chunk > disk.size for new in news)
        if odd or len({*news}) < len(news) or len(self.mapped) < len(news):
            raise IllegalError("nobody knows what these records are")
        self.next = self.after(max(news, default=1))

    @property
    def per_area(self) -> int:
        return 32 * self.chunk

    def is_metadata(self, chunk: int) -> bool:
        return chunk == 0 or chunk % (self.per_area + 1) == 1

    def after(self, chunk: int) -> int:
        return next(one for one in itertools.count(chunk + 1) if not self.is_metadata(one))

    def allocate(self) -> int | None:
        """The next chunk for data; None: there is no room."""
        if (self.next + 1) * self.chunk > self.disk.size:
            return None
        chunk, self.next = self.next, self.after(self.next)
        return chunk

    def commit(self, pairs: list[tuple[int, int]]) -> None:
        """Adds records; what a full area is followed by is an empty one."""
        for pair in pairs:
            self.order.append(pair)
            self.mapped[pair[0]] = pair[1]
            if len(self.order) % self.per_area == 0:
                following = self.area_sector(len(self.order) // self.per_area)
                if following + self.chunk > self.disk.size:
                    self.invalidate()
                    return
                self.disk.write(following, [ZERO] * self.chunk)
                self.write_area(len(self.order) // self.per_area - 1)
        if pairs and len(self.order) % self.per_area:
            self.write_area(len(self.order) // self.per_area)

    def area_sector(self, area: int) -> int:
        return (1 + area * (self.per_area + 1)) * self.chunk

    def write_area(self, area: int) -> None:
        """All records of an area, durably, and what they point to before them."""
        pairs = self.order[area * self.per_area : (area + 1) * self.per_area]
        data = b"".join(struct.pack("<2Q", *pair) for pair in pairs).ljust(self.chunk * SECTOR, b"\0")
        self.disk.flush()
        sectors = [data[at : at + SECTOR] for at in range(0, len(data), SECTOR)]
        self.disk.write(self.area_sector(area), sectors, durably=True)

    def clear(self, count: int) -> None:
        """Takes the last records out; they are in one area."""
        area = (len(self.order) - 1) // self.per_area
        del self.order[-count:]
        self.mapped = dict(self.order)
        self.write_area(area)

    def write_header(self) -> None:
        first = struct.pack("<4I", MAGIC, self.valid, 1, self.chunk).ljust(SECTOR, b"\0")
        self.disk.write(0, [first, *[ZERO] * (self.chunk - 1)])

    def invalidate(self) -> None:
        self.valid = False
        self.write_header()
        self.disk.flush()


def header(disk: Disk) -> tuple[int, ...]:
    return struct.unpack_from("<4I", disk.sectors[0])


def records(disk: Disk, chunk: int) -> Iterator[tuple[int, int]]:
    """The records on a disk, up to the first that is empty."""
    for first in range(chunk, disk.size - chunk + 1, (32 * chunk + 1) * chunk):
        data = b"".join(disk.read(first, chunk))
        for old, new in struct.iter_unpack("<2Q", data):
            if new == 0:
                return
            yield old, new


class Device:
    """A snapshot, or the merge of one: ``work`` is what is left of it, ``busy`` the chunks that are being copied.

    Once a batch is chosen it is ``in_hand`` until its records are cleared.
    """

    def __init__(self, origin: Disk, store: Store, size: int, others: Collection["Device"]) -> None:
        self.origin, self.store, self.size, self.others = origin, store, size, others
        self.piece = store.chunk
        self.work: Iterator[None] | None = None
        self.busy: list[tuple[int, int]] = []
        self.in_hand = False

    def read(self, first: int, count: int) -> list[bytes]:
        data: list[bytes] = []
        for chunk, at, length in pieces(first, count, self.store.chunk):
            new = self.mapping().get(chunk)
            place = (
                (self.origin, at) if new is None else (self.store.disk, new * self.store.chunk + at % self.store.chunk)
            )
            data += place[0].read(place[1], length)
        return data

    def mapping(self) -> dict[int, int]:
        if self.work is None and not self.store.valid:
            raise FailedError("EIO")
        return self.store.mapped if self.store.valid else {}

    def write(self, first: int, data: list[bytes]) -> None:
        if self.work is None:
            self.save({c: data[at - first :][:n] for c, at, n in pieces(first, len(data), self.store.chunk)})
            if not self.store.valid:
                raise FailedError("EIO")
        parts = [(at, length) for _, at, length in pieces(first, len(data), self.piece)]
        while any(at // self.store.chunk == old for at, _ in parts for old, _ in self.busy):
            self.step()
        mapping = self.mapping()
        self.save_before([(at, length) for at, length in parts if at // self.store.chunk not in mapping])
        for at, length in parts:
            chunk, inside = divmod(at, self.store.chunk)
            place, to = self.origin, at
            if chunk in mapping:
                place, to = self.store.disk, mapping[chunk] * self.store.chunk + inside
            place.write(to, data[at - first : at - first + length])

    def save_before(self, parts: list[tuple[int, int]]) -> None:
        """Has every other snapshot save what is about to be overwritten."""
        for other in self.others:
            if other is not self and other.work is None and other.origin is self.origin:
                firsts = [at for first, count in parts for at in range(first, first + count, self.piece)]
                other.save({at // other.store.chunk: [] for at in firsts if at < other.size})

    def flush(self) -> None:
        self.store.disk.flush()
        if self.work is not None:
            self.origin.flush()

    def save(self, chunks: dict[int, list[bytes]]) -> None:
        """Makes exceptions: room for all of them first, then the copies, then the records.

        What is written over a whole chunk needs no copy.
        """
        store = self.store
        made: list[tuple[int, int]] = []
        for old in sorted(chunk for chunk in chunks if chunk not in store.mapped and store.valid):
            if (new := store.allocate()) is None:
                store.invalidate()
                break
            made.append((old, new))
        for old, new in made:
            whole = len(chunks[old]) == store.chunk
            store.disk.write(new * store.chunk, chunks[old] if whole else self.origin.read(*self.extent(old)))
        if store.valid:
            store.commit(made)

    def extent(self, chunk: int) -> tuple[int, int]:
        """The sectors of a chunk that the origin has."""
        first = chunk * self.store.chunk
        return first, min(self.store.chunk, self.origin.size - first)

    def step(self) -> bool:
        """Takes the merge a step further; whether there was one."""
        return self.work is not None and next(self.work, self) is not self

    def finish_batch(self) -> None:
        while self.in_hand:
            self.step()

    def merge(self, how: str, *, careless: bool) -> Iterator[None]:
        store = self.store
        while store.valid and store.order:
            self.in_hand = True
            count = batch(store, how)
            run = store.order[-count:]
            self.save_before([self.extent(old) for old, _ in run])
            self.busy = run
            yield
            for old, new in run:
                first, length = self.extent(old)
                self.origin.write(first, store.disk.read(new * store.chunk, length))
            yield
            if not careless:
                self.origin.flush()
            yield
            store.clear(count)
            self.busy, self.in_hand = [], False
            yield


def batch(store: Store, how: str) -> int:
    """How many of the last records are merged together."""
    most = (len(store.order) - 1) % store.per_area + 1
    if how != "runs":
        return most if how == "areas" else 1
    count = 1
    while count < most and store.order[-count - 1] == tuple(one - 1 for one in store.order[-count]):
        count += 1
    return count


def pieces(first: int, count: int, chunk: int) -> Iterator[tuple[int, int, int]]:
    """A range cut at the borders of chunks: the chunk, and the sectors of it."""
    at, end = first, first + count
    while at < end:
        length = min(end, (at // chunk + 1) * chunk) - at
        yield at // chunk, at, length
        at += length


class Merger:
    """All there is, and the requests."""

    def __init__(self, how: str, *, careless: bool) -> None:
        self.how, self.careless = how, careless
        self.reset()

    def reset(self) -> None:
        self.disks: dict[str, Disk] = {}
        self.devices: dict[str, Device] = {}

    def do(self, word: str, *rest: str) -> str:
        """Answers a request; merges have come further by then, how far depends on what is asked for."""
        for device in self.devices.values():
            for _ in range(random.Random(repr((word, rest))).randrange(4)):
                device.step()
        try:
            return self.answer(word, *rest) or "ok"
        except FailedError as error:
            return f"error {error}"

    def answer(self, word: str, *rest: str) -> str | None:
        match word, *rest:
            case "disk", name, size:
                self.disks[name] = Disk(int(size))
            case "create", name, table:
                self.create(name, table.strip('"').split())
            case "remove", name:
                if name not in self.devices:
                    raise FailedError("ENXIO")
                self.devices.pop(name).finish_batch()
            case "write", name, sector, count, tag:
                data = [struct.pack("<I", int(tag[1:]) + k) * 128 for k in range(int(count))]
                self.at(name).write(int(sector), data)
            case "read", name, sector, count:
                return " ".join(map(shown, self.at(name).read(int(sector), int(count))))
            case "flush", name:
                if "flushless" not in sys.argv:
                    self.at(name).flush()
            case "settle", name:
                while self.device(name).step():
                    pass
            case "metadata", name:
                return described(self.disks[name])
            case ("crash",):
                self.devices.clear()
                for disk in self.disks.values():
                    disk.cut()
            case ("reset",):
                self.reset()
            case _:
                raise IllegalError("what is that?")
        return None

    def at(self, name: str) -> Disk | Device:
        return self.disks[name] if name in self.disks else self.device(name)

    def device(self, name: str) -> Device:
        if name not in self.devices:
            raise IllegalError(f"there is no {name}")
        return self.devices[name]

    def create(self, name: str, table: list[str]) -> None:
        if len(table) != 7 or name in self.devices:
            raise IllegalError("that is not served here")
        _, size, target, origin, cow, _, chunk = table
        if any(device.store.disk is self.disks[cow] for device in self.devices.values()):
            raise IllegalError(f"{cow} is in use")
        for other in self.devices.values():
            other.finish_batch()
            other.step()  # the next batch is chosen, too, before there is another snapshot to save it for
        device = Device(self.disks[origin], Store(self.disks[cow], int(chunk)), int(size), self.devices.values())
        self.devices[name] = device
        if target == "snapshot-merge":
            device.piece = min(other.store.chunk for other in self.devices.values() if other.origin is device.origin)
            device.work = device.merge(self.how, careless=self.careless)
            device.step()


def shown(sector: bytes) -> str:
    if sector[:4] * 128 == sector:
        return f"#{int.from_bytes(sector[:4], 'little')}"
    return f"~{hashlib.sha256(sector).hexdigest()[:16]}"


def described(disk: Disk) -> str:
    magic, valid, version, chunk = header(disk)
    if magic != MAGIC:
        return "foreign" if magic else "new"
    pairs = "".join(f" {old}>{new}" for old, new in records(disk, chunk))
    return f"store valid={valid} version={version} chunk_size={chunk}{pairs}"


def main(how: str, *rest: str) -> None:
    merger = Merger(how, careless="careless" in rest)
    can = {"operations": NAMES, "targets": ["snapshot", "snapshot-merge"], "about": " ".join(["a merger", how, *rest])}
    print(json.dumps({"snapmerge": 1, "capabilities": can}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        if "close" in request:
            return
        word, _, table = request["do"].partition(' "')
        try:
            print(json.dumps({"saw": merger.do(*word.split(), *([table] if table else []))}), flush=True)
        except IllegalError as error:
            print(json.dumps({"illegal": str(error)}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
