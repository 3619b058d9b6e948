"""Which modules have the handlers that a test knows, and how another process imports the same ones.

A test file has whatever name pytest gives it, and its directory is perhaps on no path: so a module is named together with
its file.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from taskq.errors import HandlerImportError
from taskq.registry import BUILTIN, Registry


class Source(NamedTuple):
    """A module by its name, and the file that it must come from (None: any)."""

    name: str
    file: str | None


def sources(names: Iterable[str]) -> list[Source]:
    """Modules by their names, with the files of those that were imported here."""
    return [Source(name, _file_of(name)) for name in names]


def sources_of(known: Registry) -> list[Source]:
    """The modules in which the registered handlers were written, as far as they have a file."""
    functions = [known.get(type_).function for type_ in known.types()]
    names = dict.fromkeys(str(getattr(function, "__module__", "")) for function in functions)
    return [source for source in sources(names) if source.file is not None and source.name != BUILTIN]


def bootstrap(wanted: Sequence[Source]) -> str:
    """The text of a module that imports them."""
    return f"from taskq.testing.modules import Source, import_all\n\nimport_all({list(wanted)!r})\n"


def import_all(wanted: Iterable[Source]) -> None:
    """Import modules so that their handlers register. Raises HandlerImportError, or what a module itself raises."""
    for source in wanted:
        if source.name == "__main__" or not _imported_by_name(source):
            _import_file(source)


def _imported_by_name(source: Source) -> bool:
    """True if the name alone leads to the module. Without a file it must."""
    if source.file is None:
        importlib.import_module(source.name)
        return True
    try:
        spec = importlib.util.find_spec(source.name)
    except (ImportError, ValueError):
        return False
    if spec is None or spec.origin is None or not _same(spec.origin, source.file):
        return False
    importlib.import_module(source.name)
    return True


def _import_file(source: Source) -> None:
    file = Path(source.file or "")
    name = file.stem if source.name == "__main__" else source.name
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise HandlerImportError(f"{file} is no Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)


def _file_of(name: str) -> str | None:
    module: Any = sys.modules.get(name)
    file = getattr(module, "__file__", None)
    return str(Path(file).resolve()) if file else None


def _same(origin: str, file: str) -> bool:
    return Path(origin).resolve() == Path(file)
