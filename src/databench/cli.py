"""The command line. Owns options and what is printed; services are started by name, and only when asked for."""

import asyncio
import importlib
import logging
import os
import platform
import tempfile
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from databench import health, logs, supervisor
from databench.bus import address, service
from databench.config import Settings, from_environment, size
from databench.errors import ConfigError, DatabenchError
from databench.listening import listen
from databench.loading import load
from databench.wire.catalog import Catalog

SERVICES = {
    "broker": "databench_broker.main",
    "gateway": "databench_gateway.main",
    "runner": "databench_runner.main",
    "worker": "databench_worker.main",
}


class _Group(TyperGroup):
    """`databench [PATH]` means `databench serve [PATH]`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ("--help", "-h", "--version")):
            args = ["serve", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_Group,
    no_args_is_help=False,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Live analyses: Python in the back, a free web page in front, signals between them.\n\n"
    "`databench [PATH]` serves the analyses in the folder PATH (default: ./analyses).",
)

Folder = Annotated[Path | None, typer.Argument(metavar="[PATH]", show_default=False, help="Folder with the analyses.")]
Bus = Annotated[str | None, typer.Option(help="Where the broker is, as tcp://HOST:PORT or ipc://PATH.")]
Name = Annotated[str | None, typer.Option(help="Name of this service, unique on the bus.")]
Host = Annotated[str | None, typer.Option(help="Address on which pages are served.")]
Port = Annotated[int | None, typer.Option(help="Port on which pages are served; 0 picks a free one.")]
Slots = Annotated[int | None, typer.Option(help="Chunks that a worker runs at the same time.")]
Memory = Annotated[
    str | None, typer.Option(metavar="BYTES", help="Memory that a slot may use, such as 512M; no limit when 0.")
]
RenewAfter = Annotated[int | None, typer.Option(metavar="N", help="Replace a slot after so many chunks.")]
Level = Annotated[str | None, typer.Option("--log", help="debug, info, warning or error.")]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"databench {version('databench')} on Python {platform.python_version()}")
        raise typer.Exit


@app.callback()
def main_options(
    _: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Take the options that stand before any command."""


@app.command()
def serve(
    path: Folder = None,
    host: Host = None,
    port: Port = None,
    workers: Annotated[int, typer.Option(envvar="DATABENCH_WORKERS", min=0, help="Number of workers.")] = 1,
    slots: Slots = None,
    memory: Memory = None,
    renew_after: RenewAfter = None,
    reload: Annotated[bool, typer.Option(help="Watch the analyses and reload what changes.")] = True,
    gallery: Annotated[bool, typer.Option("--gallery", help="Serve the examples of Databench.")] = False,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    log: Level = None,
) -> None:
    """Serve the analyses in a folder: starts broker, gateway, runner and workers on this machine."""
    with _friendly():
        folder = _gallery() if gallery else path
        settings = from_environment(
            os.environ,
            analyses=folder,
            host=host,
            port=port,
            slots=slots,
            memory=_bytes(memory),
            renew_after=renew_after,
            development=reload,
            log=log,
        )
        settings = replace(settings, analyses=_existing(settings.analyses))
        logs.configure(settings.log, "databench")
        # Before four processes start; the gateway takes it itself.
        listen(settings.host, settings.port).close()
        with tempfile.TemporaryDirectory(prefix="databench-") as directory:
            settings = replace(settings, bus=address.local(directory))
            asyncio.run(_serve(settings, workers, open_browser))


async def _serve(settings: Settings, workers: int, open_browser: bool) -> None:
    def announce(catalog: Catalog, url: str) -> None:
        with suppress(BrokenPipeError):  # whoever read what we say is gone; the pages are served all the same
            _print_catalog(catalog)
            typer.secho(f"\n  {url}\n", bold=True)
        if open_browser:
            webbrowser.open(url)

    stop = service.Stop()
    stop.watch()
    await supervisor.supervise(settings, workers, stop, announce)


@app.command()
def broker(bus: Bus = None, name: Name = None, log: Level = None) -> None:
    """Start a broker, which binds the bus."""
    _start("broker", bus=bus, name=name, log=log)


@app.command()
def gateway(
    path: Folder = None,
    bus: Bus = None,
    name: Name = None,
    host: Host = None,
    port: Port = None,
    root_path: Annotated[str | None, typer.Option(help="Path below which a proxy offers the pages.")] = None,
    log: Level = None,
) -> None:
    """Start a gateway, which serves pages and bridges browsers to the bus."""
    _start("gateway", analyses=path, bus=bus, name=name, host=host, port=port, root_path=root_path, log=log)


@app.command()
def runner(
    path: Folder = None,
    bus: Bus = None,
    name: Name = None,
    grace: Annotated[float | None, typer.Option(help="Seconds for which a session outlives its last viewer.")] = None,
    log: Level = None,
) -> None:
    """Start a runner, which hosts the analyses."""
    _start("runner", analyses=path, bus=bus, name=name, grace=grace, log=log)


@app.command()
def worker(
    path: Folder = None,
    bus: Bus = None,
    name: Name = None,
    slots: Slots = None,
    memory: Memory = None,
    renew_after: RenewAfter = None,
    log: Level = None,
) -> None:
    """Start a worker, which runs chunks."""
    with _friendly():
        limit = _bytes(memory)
    _start("worker", analyses=path, bus=bus, name=name, slots=slots, memory=limit, renew_after=renew_after, log=log)


@app.command("list")
def list_analyses(path: Folder = None) -> None:
    """List the analyses in a folder."""
    with _friendly():
        settings = from_environment(os.environ, analyses=path)
        catalog = load(_existing(settings.analyses)).catalog
        _print_catalog(catalog)
        if catalog.faults:
            raise typer.Exit(1)


@app.command("health")
def check_health(
    kind: Annotated[str, typer.Argument(help="broker, gateway, runner or worker.")],
    bus: Bus = None,
    port: Port = None,
) -> None:
    """Exit with 0 when the service of this kind on this machine is ready."""
    with _friendly():
        if kind not in SERVICES:
            raise ConfigError(f"there is no service {kind!r}: choose one of {', '.join(SERVICES)}")
        asyncio.run(health.check(kind, from_environment(os.environ, bus=bus, port=port)))


def _start(kind: str, **given: Any) -> None:
    with _friendly():
        settings = from_environment(os.environ, **given)
        logs.configure(settings.log, settings.name or kind)
        importlib.import_module(SERVICES[kind]).main(settings)


@contextmanager
def _friendly() -> Iterator[None]:
    """Print our own errors as one line; they say what to do."""
    try:
        yield
    except DatabenchError as error:
        typer.secho(f"databench: {error}", fg="red", err=True)
        raise typer.Exit(service.MISCONFIGURED if isinstance(error, ConfigError) else 1) from None


def _bytes(text: str | None) -> int | None:
    try:
        return None if text is None else size(text)
    except ValueError:
        raise ConfigError(f"--memory cannot be {text!r}: it is a number of bytes, such as 512M") from None


def _existing(folder: Path) -> Path:
    if folder.is_dir():
        return folder.resolve()
    raise ConfigError(
        f"there is no folder {folder.resolve()}. Start where there is one, give the path of your analyses as in "
        "`databench PATH`, or look at the examples with `databench --gallery`"
    )


def _gallery() -> Path:
    """Return the folder of the examples: installed with the package, or in the checkout."""
    here = Path(__file__).parent
    return next((path for path in (here / "gallery", here.parents[1] / "analyses") if path.is_dir()), here / "gallery")


def _print_catalog(catalog: Catalog) -> None:
    width = max((len(entry.name) for entry in catalog.entries), default=0)
    for entry in sorted(catalog.entries, key=lambda entry: entry.name.lower()):
        summary = entry.description.strip().partition("\n")[0]
        typer.echo(f"  {entry.name:<{width}}  {summary}".rstrip())
    for fault in catalog.faults:
        typer.secho(f"  {fault.module}: not loaded, {fault.summary}", fg="red", err=True)
    if not catalog.entries and not catalog.faults:
        typer.secho("  no analyses yet: add a module with an Analysis object", err=True)


def main() -> None:
    """Run the command line."""
    logging.captureWarnings(True)
    app(prog_name="databench")
