"""The adapters: implementations that snapmerge can drive, the protocol, and the command line."""

TYPE_CHECKING = False  # what the module typing says, without the time that it takes to import
if TYPE_CHECKING:
    from snapmerge_adapters.guest.guest import Guest
    from snapmerge_adapters.guest.kernels import Kernel, kernels
    from snapmerge_adapters.kernel.devicemapper import DeviceMapper
    from snapmerge_adapters.model.file import Files
    from snapmerge_adapters.model.memory import Memory
    from snapmerge_adapters.protocol.process import Process
    from snapmerge_adapters.protocol.serve import serve
    from snapmerge_adapters.unavailable import Unavailable
else:
    # Each is imported when it is asked for: the command begins in this package, and what fails before its first line
    # can't have an exit code of its own.
    _PLACES = {
        "DeviceMapper": ".kernel.devicemapper",
        "Files": ".model.file",
        "Guest": ".guest.guest",
        "Kernel": ".guest.kernels",
        "Memory": ".model.memory",
        "Process": ".protocol.process",
        "Unavailable": ".unavailable",
        "kernels": ".guest.kernels",
        "serve": ".protocol.serve",
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
