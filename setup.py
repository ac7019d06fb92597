"""Compiles the hot modules (lbproxy/compiled.py lists them) where Cython and a C compiler are at hand; everything else about the
package stands in pyproject.toml.

What is built goes into lbproxy/_compiled/ as one library, with a manifest of its sources. When it cannot be built,
the installation succeeds all the same: lbproxy then runs as plain Python, and the manifest says why.

    pip install .      pip install -e .      scripts/compile      LBPROXY_PURE=1 pip install .
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))  # not there when pip builds

from lbproxy import compiled  # noqa: E402

DIRECTIVES = {
    "annotation_typing": False,  # annotations are for people and mypy; what C is to know stands in the .pxd
    "auto_pickle": False,
    "binding": False,  # plain C functions: nobody looks at their signatures, and calling them costs less
    "initializedcheck": False,  # memory views are set by constructors and never taken away
    "language_level": 3,
}
FLAGS = ["-O2", "-g0", "-w"]  # Cython's output is for compilers to read
_CIMPORT = re.compile(r"^from (lbproxy(?:\.\w+)+) cimport ", re.MULTILINE)
LINKING = ["-Wl,-z,now", "-Wl,-Bsymbolic"]


class NoCompiler(Exception):
    """There is none that works, or Python's headers are missing (python3-dev)."""


class Build(build_ext):
    """All of the modules or none, into a place of their own; only what changed is built again."""

    def finalize_options(self) -> None:
        """See build_ext."""
        super().finalize_options()
        if self.parallel is None:
            self.parallel = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()

    def run(self) -> None:
        """Never fails: see above."""
        target = self._target()  # before super().run() forgets what it depends on
        target.mkdir(parents=True, exist_ok=True)
        made = Path(self.build_temp, compiled.FOLDER)
        made.mkdir(parents=True, exist_ok=True)
        manifest = target / compiled.MANIFEST
        manifest.unlink(missing_ok=True)
        try:
            sources = compiled.describe_sources()
            self._build(made)
            library = self._link(made)
            fresh = target / f"{compiled.LIBRARY}.{os.getpid()}"
            shutil.copyfile(library, fresh)
            fresh.replace(target / compiled.LIBRARY)  # a proxy that runs keeps the old file
            for old in target.glob("*" + compiled.SUFFIX):
                if old.name != compiled.LIBRARY:  # from when each module had a file of its own
                    old.unlink()
        except (Exception, SystemExit) as error:  # whatever goes wrong in Cython, in setuptools or in the compiler
            self.warn(f"lbproxy will run as plain Python: {error!r}")
            sources = f"{compiled.FAILED} {_short(error)}\n"
        manifest.write_text(sources, encoding="utf-8")

    def _build(self, made: Path) -> None:
        import Cython
        from Cython.Build import cythonize

        keys = _keys(Cython.__version__)
        notes = {module: made / (module + ".key") for module in compiled.HOT}
        stale = [
            extension
            for extension in self.extensions
            if not (made / (extension.name + compiled.SUFFIX)).exists()
            or not notes[extension.name].exists()
            or notes[extension.name].read_text() != keys[extension.name]
        ]
        if not stale:
            return
        for extension in stale:
            notes[extension.name].unlink(missing_ok=True)
        self._try_compiler()
        self.force = True  # time stamps say nothing about contents
        self.extensions = cythonize(
            stale,
            build_dir=str(Path(self.build_temp, "c")),
            nthreads=self.parallel,
            compiler_directives=DIRECTIVES,
            force=True,
            quiet=True,
        )
        for extension in self.extensions:
            extension._needs_stub = False  # a stub would load what is beside the sources
        super().run()
        for extension in stale:
            notes[extension.name].write_text(keys[extension.name])

    def _link(self, made: Path) -> str:
        """All modules in one library: calls from one to another stay within a few pages, and a worker maps 4 MiB less."""
        objects = [str(self._object(module)) for module in compiled.HOT]
        self._new_compiler().link_shared_object(objects, str(made / compiled.LIBRARY), extra_postargs=LINKING)
        return str(made / compiled.LIBRARY)

    def _object(self, module: str) -> Path:
        """What the compiler made of a module; below a folder that setuptools names as it likes."""
        return next(Path(self.build_temp).rglob(str(Path("c", module.replace(".", "/") + ".o"))))

    def _new_compiler(self) -> Any:
        from distutils.ccompiler import new_compiler
        from distutils.sysconfig import customize_compiler

        compiler = new_compiler()
        customize_compiler(compiler)
        return compiler

    def _try_compiler(self) -> None:
        """A moment, before Cython takes half a minute for nothing."""
        probe = Path(self.build_temp, "probe.c")
        probe.write_text("#include <Python.h>\n")
        compiler = self._new_compiler()
        try:
            compiler.compile([str(probe)], output_dir="/", include_dirs=self.include_dirs)
        except Exception as error:  # distutils' own families differ from version to version
            raise NoCompiler(str(error)) from error

    def _target(self) -> Path:
        """Inside the sources for a checkout, inside what becomes the wheel otherwise."""
        inside = self.inplace or getattr(self, "editable_mode", False)
        return Path(ROOT if inside else self.build_lib, "lbproxy", compiled.FOLDER)

    def copy_extensions_to_source(self) -> None:
        """Never: Python would take what lies beside a .py blindly."""

    def get_ext_fullpath(self, ext_name: str) -> str:
        """Where the compiler's result goes at first."""
        return str(Path(self.build_temp, compiled.FOLDER, ext_name + compiled.SUFFIX))

    def get_outputs(self) -> list[str]:
        """What belongs into the wheel."""
        return [str(path) for path in sorted(self._target().glob("*"))]

    def get_output_mapping(self) -> dict[str, str]:
        """Nothing has to be moved for an editable installation."""
        return {}


def _keys(cython: str) -> dict[str, str]:
    """Module -> a hash of everything that its compiled form depends on: its source, and the types that it and these go by."""
    common = (ROOT / "setup.py").read_bytes() + cython.encode() + repr(os.environ.get("CFLAGS")).encode()
    return {
        module: hashlib.sha256(common + b"".join(path.read_bytes() for path in _depends_on(module))).hexdigest()
        for module in compiled.HOT
    }


def _depends_on(module: str) -> list[Path]:
    """Its source, and the .pxd of all that it takes types from, directly or not."""
    found = [path for path in (_source(module), _path(module, ".pxd")) if path.exists()]
    for path in found:  # which grows
        named = (_path(name, ".pxd") for name in _CIMPORT.findall(path.read_text(encoding="utf-8")))
        found += [types for types in dict.fromkeys(named) if types not in found]
    return found


def _source(module: str) -> Path:
    """What is compiled: a .pyx where there is one; the .py is its plain form then."""
    path = _path(module, ".pyx")
    return path if path.exists() else path.with_suffix(".py")


def _path(module: str, ending: str) -> Path:
    return ROOT / (module.replace(".", "/") + ending)


def _short(error: BaseException) -> str:
    """A line for `lbproxy --version`."""
    if isinstance(error, ImportError):
        return "no Cython"
    if isinstance(error, NoCompiler):
        return "no C compiler, or no Python.h"
    return f"the build failed ({type(error).__name__})"


def _extensions() -> list[Extension]:
    """None when plain Python is asked for: then the wheel is one for every platform."""
    if os.environ.get(compiled.SWITCH, "") not in ("", "0"):
        return []
    return [Extension(module, [str(_source(module).relative_to(ROOT))], extra_compile_args=FLAGS) for module in compiled.HOT]


commands: dict[str, Any] = {"build_ext": Build}
setup(ext_modules=_extensions(), cmdclass=commands)
