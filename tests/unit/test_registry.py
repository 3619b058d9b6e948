"""Task types: registration, options, and importing the modules that hold them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from taskq import builtin
from taskq import registry as module
from taskq.errors import HandlerImportError, TaskqError, UnknownTaskType
from taskq.registry import Registry, import_handlers, register, task
from taskq.retry import Backoff
from taskq.typeoptions import Options


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """The registry that `task` fills, for this test."""
    registry = Registry()
    monkeypatch.setattr(module, "registry", registry)
    return registry


def handler(text: str) -> str:
    return text


def other(text: str) -> str:
    return text


def test_the_decorator_registers_and_leaves_the_function_as_it_is(registry: Registry) -> None:
    decorated = task("text.echo")(handler)

    assert decorated is handler
    assert registry.get("text.echo").function is handler
    assert registry.types() == ["text.echo"]


def test_register_is_the_decorator_as_a_call(registry: Registry) -> None:
    register("text.echo", handler, max_retry=1)

    assert registry.get("text.echo").options == Options(max_retry=1)


def test_every_option_is_kept_in_its_unit(registry: Registry) -> None:
    register(
        "text.echo",
        handler,
        timeout="1m30s",
        max_retry=0,
        memory_limit="1.5MiB",
        backoff=Backoff(first=3),
        retry_on=(OSError,),
        no_retry_on=(FileNotFoundError,),
    )

    assert registry.options("text.echo") == Options(
        timeout_s=90,
        max_retry=0,
        memory_limit_bytes=3 << 19,
        backoff=Backoff(first=3),
        retry_on=(OSError,),
        no_retry_on=(FileNotFoundError,),
    )


def test_isolation_is_an_option_of_the_type(registry: Registry) -> None:
    register("text.echo", handler, isolation="process")

    assert registry.options("text.echo") == Options(isolation="process")


def test_zero_is_a_limit_of_its_own_and_not_the_absence_of_one(registry: Registry) -> None:
    register("text.echo", handler, timeout=0, memory_limit=0)

    assert registry.options("text.echo") == Options(timeout_s=0, memory_limit_bytes=0)


def test_an_unknown_type_has_no_handler_and_the_default_options(registry: Registry) -> None:
    with pytest.raises(UnknownTaskType, match=r"unknown task type: text\.echo"):
        registry.get("text.echo")
    assert registry.options("text.echo") == Options()


def test_types_are_in_alphabetical_order(registry: Registry) -> None:
    for name in ("b", "a", "c"):
        register(name, handler)

    assert registry.types() == ["a", "b", "c"]


def test_a_function_may_be_registered_again_and_under_two_types(registry: Registry) -> None:
    register("a", handler)
    register("a", handler, max_retry=5)
    register("b", handler)

    assert registry.options("a").max_retry == 5
    assert registry.types() == ["a", "b"]


def test_a_second_function_for_a_type_is_refused_and_both_are_named(registry: Registry) -> None:
    register("a", handler)

    with pytest.raises(TaskqError) as raised:
        register("a", other)

    here, file = handler.__module__, handler.__code__.co_filename
    places = [f"{here}.{each.__name__} ({file}:{each.__code__.co_firstlineno})" for each in (handler, other)]
    assert str(raised.value) == f"task type 'a' has two handlers: {places[0]} and {places[1]}"
    assert registry.get("a").function is handler


def test_a_second_function_for_a_built_in_type_is_told_how_to_leave_that_out(registry: Registry) -> None:
    register("echo", builtin.echo)

    with pytest.raises(
        TaskqError, match=r"two handlers: taskq\.builtin\.echo .*; tasks\.builtin: false leaves out the built-in"
    ):
        register("echo", handler)


@pytest.mark.parametrize("name", ["", "a b", "ä", "a/b", "x" * 129, "a\n"])
def test_a_bad_name_is_refused(registry: Registry, name: str) -> None:
    with pytest.raises(TaskqError) as raised:
        register(name, handler)

    assert str(raised.value) == f"task type {name!r}: expected 1 to 128 of letters, digits, _ . -"


@pytest.mark.parametrize("name", ["a", "x" * 128, "A-b_c.9"])
def test_a_good_name_is_taken(registry: Registry, name: str) -> None:
    register(name, handler)

    assert registry.types() == [name]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_retry": -1}, "task type 'a': max_retry: expected 0 to 1000, got -1"),
        ({"max_retry": 1001}, "task type 'a': max_retry: expected 0 to 1000, got 1001"),
        ({"timeout": "soon"}, "task type 'a': expected a duration"),
        ({"isolation": "thread"}, "task type 'a': isolation: expected 'process' or None, got 'thread'"),
        ({"timeout": -1}, "task type 'a': expected a duration"),
        ({"memory_limit": "a lot"}, "task type 'a': expected a size"),
        ({"max_retry": "3"}, "task type 'a': max_retry: expected 0 to 1000, got '3'"),
        ({"max_concurrent": 1.5}, "task type 'a': max_concurrent: expected 0 to 1000000, got 1.5"),
        ({"retry_on": "OSError"}, "task type 'a': retry_on: expected exception classes such as (OSError,), got 'OSError'"),
        ({"no_retry_on": (OSError, 3)}, "task type 'a': no_retry_on: expected exception classes such as (OSError,), got 3"),
        ({"backoff": {"first": 1}}, "task type 'a': backoff: expected Backoff(first=..., factor=..., max=..., jitter=...)"),
        ({"backoff": Backoff(factor=0.5)}, "task type 'a': backoff: factor: expected a number from 1 to 100, got 0.5"),
        (
            {"backoff": Backoff(first=-1)},
            "task type 'a': backoff: first: expected a number from 0 to 3153600000, got -1",
        ),
    ],
)
def test_a_bad_option_is_refused_with_the_type(registry: Registry, options: dict[str, Any], message: str) -> None:
    with pytest.raises(TaskqError) as raised:
        register("a", handler, **options)

    assert str(raised.value).startswith(message)
    assert registry.types() == []


@pytest.mark.parametrize("value", [OSError, (OSError,), [OSError], {OSError}], ids=str)
def test_exceptions_are_given_as_a_class_or_as_several(registry: Registry, value: Any) -> None:
    register("a", handler, retry_on=value, no_retry_on=value)

    assert registry.options("a") == Options(retry_on=(OSError,), no_retry_on=(OSError,))


def test_a_decorator_without_a_type_is_refused_where_it_stands(registry: Registry) -> None:
    with pytest.raises(TaskqError, match=r'the decorator needs the name of the type: write @task\("..."\) above handler'):
        task(handler)  # type: ignore[arg-type]


def test_a_handler_that_cannot_work_is_refused_with_its_type(registry: Registry) -> None:
    class Mail: ...

    with pytest.raises(TaskqError, match=r"^task type 'a': .*Mail is a class: make the handler a function"):
        register("a", Mail)

    assert registry.types() == []


def test_a_handler_that_no_payload_fits_is_refused(registry: Registry) -> None:
    with pytest.raises(TaskqError, match="cannot be filled from a JSON payload"):
        register("a", lambda *args: None)


# -- importing


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory for modules that can be imported."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path  # type: ignore[return-value]


def test_importing_a_module_registers_its_handlers(registry: Registry, directory: Path) -> None:
    (directory / "good_tasks.py").write_text("import taskq.registry as r\n@r.task('from.module')\ndef f(): ...\n")

    threads = import_handlers(["good_tasks"])

    assert threads == []
    assert registry.types() == ["from.module"]


def test_a_thread_that_an_import_leaves_running_is_named(directory: Path) -> None:
    source = "import threading\ngo = threading.Event()\nthreading.Thread(target=go.wait, name='poller').start()\n"
    (directory / "threaded_tasks.py").write_text(source)

    threads = import_handlers(["threaded_tasks"])

    import threaded_tasks  # type: ignore[import-not-found]

    threaded_tasks.go.set()
    next(t for t in threading.enumerate() if t.name == "poller").join()
    assert threads == ["poller"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1\nx.missing\n", "AttributeError: 'int' object has no attribute 'missing' ({path}:2)"),
        ("import no_such_module_at_all\n", "ModuleNotFoundError: No module named 'no_such_module_at_all' ({path}:1)"),
        ("def f(:\n", "SyntaxError: invalid syntax ({path_short}, line 1) ({path}:1)"),
        ("raise SystemExit(3)\n", "SystemExit: 3 ({path}:1)"),
        (
            "import taskq.registry as r\n\n@r.task('from.bad')\nasync def f(): ...\n",
            "TaskqError: task type 'from.bad': f is an async function, which nobody would await in a worker: "
            "make it a plain function that ends with `return asyncio.run(...)` ({path}:3)",
        ),
    ],
)
def test_a_module_that_cannot_be_imported_is_told_with_file_and_line(directory: Path, source: str, message: str) -> None:
    name = f"bad_tasks_{abs(hash(source))}"
    path = directory / f"{name}.py"
    path.write_text(source)

    with pytest.raises(HandlerImportError) as raised:
        import_handlers([name])

    expected = message.format(path=path, path_short=path.name)
    assert str(raised.value) == f"task module {name!r} cannot be imported: {expected}"


def test_a_module_that_does_not_exist_is_told() -> None:
    with pytest.raises(HandlerImportError, match=r"task module 'no\.such' cannot be imported: ModuleNotFoundError"):
        import_handlers(["no.such"])


def test_an_interrupted_import_stays_an_interruption(directory: Path) -> None:
    (directory / "interrupted_tasks.py").write_text("raise KeyboardInterrupt\n")

    with pytest.raises(KeyboardInterrupt):
        import_handlers(["interrupted_tasks"])
