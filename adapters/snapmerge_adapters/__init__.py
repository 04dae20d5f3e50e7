"""Everything of snapmerge that touches the world: implementations behind the port, and the protocol."""

TYPE_CHECKING = False  # what the module typing says, without the time that it takes to import
if TYPE_CHECKING:
    from ._devicemapper import DeviceMapper
    from ._file import Files
    from ._guest import Guest
    from ._kernels import Kernel, kernels
    from ._memory import Memory
    from ._process import Process
    from ._serve import serve
    from ._unavailable import Unavailable
else:
    # Each is imported when it is asked for: the command begins in this package, and what fails before its first line
    # can't have an exit code of its own.
    _PLACES = {
        "DeviceMapper": "._devicemapper",
        "Files": "._file",
        "Guest": "._guest",
        "Kernel": "._kernels",
        "Memory": "._memory",
        "Process": "._process",
        "Unavailable": "._unavailable",
        "kernels": "._kernels",
        "serve": "._serve",
    }

    def __getattr__(name):  # noqa: ANN001, ANN202  # type checkers see the imports above
        if name not in _PLACES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(_PLACES[name], __name__), name)


__all__ = [
    "DeviceMapper",
    "Files",
    "Guest",
    "Kernel",
    "Memory",
    "Process",
    "Unavailable",
    "kernels",
    "serve",
]
