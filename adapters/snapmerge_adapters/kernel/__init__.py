"""The device-mapper of the kernel that this process runs on."""
