"""The core of device-mapper: bios, tables, devices, kcopyd.  It knows no target by name."""
