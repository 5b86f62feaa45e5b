"""libwally (keys, BIP32, BIP39, base58), imported in a way that lets the interpreter end.

``wallycore`` 1.5.6 keeps its type table in a capsule whose destructor may run after the
memory it frees is gone: a process that has used it can end with a segmentation fault
after everything was done. One reference more, never given back, leaves the table to the
operating system.
"""

from __future__ import annotations

import ctypes
import sys

import wallycore  # type: ignore[import-untyped]

__all__ = ["wallycore"]


def _keep_type_table() -> None:
    for name, module in list(sys.modules.items()):
        if name.startswith("swig_runtime_data"):
            capsule = getattr(module, "type_pointer_capsule", None)
            if capsule is not None:
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(capsule))


_keep_type_table()
