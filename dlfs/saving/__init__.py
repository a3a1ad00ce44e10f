"""Saving: networks in files, weights as safetensors and the architecture as JSON."""

from dlfs.saving.networks import (
    check_custom,
    known_classes,
    load,
    network_config,
    network_from_file,
    network_metadata,
    network_remarks,
    network_states,
    network_tensors,
    save,
)

__all__ = [
    "check_custom",
    "known_classes",
    "load",
    "network_config",
    "network_from_file",
    "network_metadata",
    "network_remarks",
    "network_states",
    "network_tensors",
    "save",
]
