"""Everything of snapmerge that touches the world: implementations behind the port, and the protocol."""

from ._devicemapper import DeviceMapper
from ._file import Files
from ._guest import Guest
from ._kernels import Kernel, kernels
from ._memory import Memory
from ._process import Process
from ._serve import serve
from ._unavailable import Unavailable

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
