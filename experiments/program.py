"""Run an experiment from the command line: parse options, keep compiled programs, print errors."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import make_dataclass
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import jax

import jaxnn
from jaxnn.population import cores_as_devices
from jaxnn.report.terminal import SurvivingStream

__all__ = ["Devices", "default_cache", "plain", "run", "spread_over_cores", "surviving_output"]

Devices = int | str | None
"""The option `--devices` of every experiment that trains by `jaxnn.fit`, which checks it."""

C = TypeVar("C")

_CACHE_HELP = (
    "Folder in which JAX keeps compiled programs, so that the next start need not compile them. "
    "Several processes may share it, and nothing in it is ever removed; none: keep nothing."
)


def run(
    main: Callable[[C], Any],
    config: type[C],
    description: str | None,
    *,
    keeps_compiled: bool = True,
) -> None:
    """Parse the command line, call `main`, and print what a user can mend as one line.

    Every program gets the option `--compilation-cache` beside those of its configuration. It
    takes effect before anything is compiled, and only here: calling `main` from another program
    changes no setting of JAX.

    What a program prints never ends it: a character that the output's encoding lacks is spelled
    out, and what is written to a closed pipe is dropped.

    Args:
      main: takes the configuration. It refuses a value by a ValueError or a TypeError.
      config: dataclass of the program's options.
      description: text above the list of options.
      keeps_compiled: False leaves that option out: a program that times compilation must compile.

    Raises:
      SystemExit: with 2 where an option was refused, 1 where something was missing or failed,
        130 after Ctrl-C.
    """
    import tyro

    # What the imports made lives to the end of the process. Without this, each of the garbage
    # collections that JAX's tracing sets off looks through all of it: 0.1 s of a start.
    gc.freeze()
    # The configuration's own options come without a prefix.
    program = Annotated[config, tyro.conf.arg(name="")]
    options: list[Any] = [("program", program)]
    if keeps_compiled:
        cache = Annotated[str, tyro.conf.arg(help=_CACHE_HELP, metavar="FOLDER|none")]
        options.append(("compilation_cache", cache, str(default_cache())))
    with surviving_output():
        try:
            chosen: Any = tyro.cli(make_dataclass("Options", options), description=description)
            if keeps_compiled:
                _keep_compiled(chosen.compilation_cache)
            main(chosen.program)
        except KeyboardInterrupt:
            sys.exit(130)
        except (ValueError, TypeError) as error:
            _refuse(error, 2)
        except (ImportError, OSError, FloatingPointError) as error:
            _refuse(error, 1)


@contextmanager
def surviving_output() -> Iterator[None]:
    """Let what is printed inside `with` never fail, see `jaxnn.report.terminal`."""
    with ExitStack() as stack:
        if sys.stdout is not None:  # as in a program without a console
            stack.enter_context(redirect_stdout(SurvivingStream(sys.stdout)))
        if sys.stderr is not None:
            stack.enter_context(redirect_stderr(SurvivingStream(sys.stderr)))
        yield


def _refuse(error: Exception, status: int) -> NoReturn:
    print("error:", " ".join(str(error).split()), file=sys.stderr)
    sys.exit(status)


def _keep_compiled(folder: str) -> None:
    if folder.lower() == "none":
        return
    try:
        jaxnn.train.use_compilation_cache(folder)
    except OSError as error:
        if folder != str(default_cache()):
            raise ValueError(error) from error
        # Nobody asked for this folder, so a home that cannot be written to stops no program.
        print(f"note: compiled programs are not kept: {error}", file=sys.stderr)


def spread_over_cores(count: int | None = None) -> None:
    """Let JAX see cores of the CPU as devices, unless their number is set (JAX_NUM_CPU_DEVICES).

    Only a program may do this, before JAX begins to work; a `main` that it calls may not.

    Args:
      count: of devices; None: the cores that this process may use.
    """
    if jax.config.jax_num_cpu_devices < 0:  # nobody has set it
        cores_as_devices(count)


def default_cache() -> Path:
    """Return the folder of compiled programs where no other is asked for.

    It is JAX's own (JAX_COMPILATION_CACHE_DIR) where that is set; else `jaxnn/compiled` in the
    user's cache: $XDG_CACHE_HOME where that is set, %LOCALAPPDATA% on Windows, ~/Library/Caches
    on macOS, ~/.cache elsewhere.
    """
    if folder := jax.config.jax_compilation_cache_dir:
        return Path(folder)
    if home := os.environ.get("XDG_CACHE_HOME"):
        root = Path(home)
    elif sys.platform == "win32":
        root = Path(os.environ.get("LOCALAPPDATA") or "~/AppData/Local")
    else:
        root = Path("~/Library/Caches" if sys.platform == "darwin" else "~/.cache")
    return root.expanduser() / "jaxnn" / "compiled"


def plain(value: Any) -> Any:
    """Make JSON-like what `dataclasses.asdict` returns: paths become strings."""
    if isinstance(value, dict):
        return {name: plain(entry) for name, entry in value.items()}
    return str(value) if isinstance(value, Path) else value
