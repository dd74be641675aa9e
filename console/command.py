"""The command line `missiondesk`. A command imports what it needs when it runs: help comes at once."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from models.errors import MissiondeskError

if TYPE_CHECKING:
    from console.desk.options import DeskOptions
    from missiondesk.settings import Settings

NOT_RUNNING = 3  # as service managers have it


def _home_option(command: Callable[..., None]) -> Callable[..., None]:
    return click.option(
        "--home",
        metavar="DIR",
        expose_value=False,
        callback=lambda _context, _option, given: given and os.environ.update(MISSIONDESK_HOME=given),
        help="Where the desk keeps its files  [default: MISSIONDESK_HOME or ~/.missiondesk]",
    )(command)


class _ComponentCommands(click.Group):
    """The commands of `console.hub.commands`, imported when one of them is asked for."""

    def list_commands(self, context: click.Context) -> list[str]:
        from console.hub.commands import components

        return components.list_commands(context)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        from console.hub.commands import components

        return components.get_command(context, name)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="missiondesk")
def cli() -> None:
    """Rules in a database table become scheduled, observable, crash-safe runs that trade."""


def _desk_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options with which a desk begins, handed over as one DeskOptions."""

    @functools.wraps(command)
    def with_options(
        exchange: str | None,
        candles: Path | None,
        prefect_port: str | None,
        console_port: str | None,
        **others: object,
    ) -> None:
        from console.desk.options import DeskOptions

        if candles is not None and exchange == "kraken":
            raise click.UsageError(
                "--candles are played by the sandbox: expected --exchange sandbox, got kraken"
            )
        options = DeskOptions(exchange, candles and candles.resolve(), prefect_port, console_port)
        command(options, **others)

    for option in (
        click.option("--console-port", metavar="N", help="Port of the desk's own API.  [default: 4201]"),
        click.option("--prefect-port", metavar="N", help="Port of Prefect's API and UI.  [default: 4200]"),
        click.option(
            "--candles", type=click.Path(exists=True, path_type=Path), help="Candles for the sandbox to play."
        ),
        click.option("--exchange", type=click.Choice(["kraken", "sandbox"]), help="Where prices come from."),
    ):
        with_options = option(with_options)
    return with_options


@cli.command()
@_desk_options
@click.option("--quiet", is_flag=True, help="Say nothing here, only in the log.")
@_home_option
def up(options: DeskOptions, quiet: bool) -> None:
    """Start the whole desk in this terminal; Ctrl-C stops it.

    Without --exchange it trades on Kraken's prices, or on the sandbox's when Kraken can't be reached.
    """
    from console.desk.up import up as run_desk

    run_desk(_settings(options.environment()), options, quiet=quiet)


@cli.command()
@_desk_options
@_home_option
def start(options: DeskOptions) -> None:
    """Start the desk in the background.

    Returns when it is up. `missiondesk logs` shows what it says, `missiondesk stop` ends it.
    """
    from console.verbs.background import start_desk

    start_desk(_settings(options.environment()), options.arguments(), os.environ)


_patience = click.option(
    "--wait", "seconds", default=150.0, show_default=True, type=click.FloatRange(0), help="Seconds, at most."
)


@cli.command()
@_patience
@_home_option
def stop(seconds: float) -> None:
    """Stop the desk, wherever it was started.

    Running ticks are let finish, as with Ctrl-C. What a killed desk left behind is ended too.
    """
    from console.verbs.background import stop_desk

    stop_desk(_settings(), seconds)


@cli.command()
@click.argument("lines", default=20, type=click.IntRange(0))
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@_home_option
def logs(lines: int, follow: bool) -> None:
    """Show the last LINES (20) that the desk's parts have said."""
    from console.verbs.logs import show_logs

    show_logs(_settings(), lines, follow=follow)


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="For programs; the one place that shows the API token.")
@_home_option
def status(as_json: bool) -> None:
    """Say what runs and where.

    Exit code 3 when no desk runs.
    """
    from console.verbs.status import show_status

    if not show_status(_settings(), as_json=as_json):
        sys.exit(NOT_RUNNING)


@cli.command()
@click.argument("name")
@_home_option
def run(name: str) -> None:
    """Run one tick of a Mission now, in this process."""
    settings = _join_desk()
    from console.verbs.missions import run_one_tick

    if not run_one_tick(settings, name):
        sys.exit(1)


@cli.command()
@_home_option
def missions() -> None:
    """List the Missions, and what each waits for."""
    from console.verbs.missions import list_missions

    list_missions(_join_desk())


@cli.command()
@click.argument("name")
@click.option(
    "-n", "--lines", default=20, show_default=True, type=click.IntRange(1), help="How many, at most."
)
@_home_option
def log(name: str, lines: int) -> None:
    """Show the newest results of a Mission.  (`logs` shows what the desk says.)"""
    from console.verbs.missions import show_log

    show_log(_join_desk(), name, lines)


@cli.command()
@click.argument("name", required=False)
@_patience
@_home_option
def restart(name: str | None, seconds: float) -> None:
    """Restart the desk; with NAME only that Mission's walk.

    Without NAME the desk is stopped and started in the background, with the options and the environment
    it had. With NAME the desk goes on: that Mission's present walk ends, what it has resting is
    cancelled, and a fresh walk begins.
    """
    if name is not None:
        from console.verbs.missions import restart_mission

        if not restart_mission(_join_desk(), name):
            sys.exit(1)
    else:
        from console.verbs.background import restart_desk

        restart_desk(_settings(), seconds)


@cli.command()
@click.argument("account")
@click.option("--yes", is_flag=True, help="Don't ask back.")
@_home_option
def arm(account: str, yes: bool) -> None:
    """Let an account trade live, with real money."""
    from console.verbs.accounts import arm_account

    arm_account(_join_desk(), account, ask=not yes)


@cli.command()
@click.argument("account")
@_home_option
def disarm(account: str) -> None:
    """Stop an account from sending live orders."""
    from console.verbs.accounts import disarm_account

    disarm_account(_join_desk(), account)


@cli.command()
@click.option("--reduce-only", is_flag=True, help="Orders that reduce a position still pass, and rest.")
@click.option("--keep-open", is_flag=True, help="Leave resting orders where they are.")
@_home_option
def halt(reduce_only: bool, keep_open: bool) -> None:
    """Stop all trading: deny new orders, cancel resting ones."""
    settings = _join_desk()
    from console.verbs.halt import halt_desk

    if not halt_desk(settings, reduce_only=reduce_only, keep_open=keep_open):
        sys.exit(1)


@cli.command()
@_home_option
def resume() -> None:
    """Let orders pass again."""
    settings = _join_desk()
    from console.verbs.halt import resume_desk

    resume_desk(settings)


@cli.command()
@click.option("--plan", is_flag=True, help="Only show what would change.")
@_home_option
def sync(plan: bool) -> None:
    """Bring Prefect in line with the Mission table."""
    settings = _join_desk()
    from console.verbs.sync import sync_deployments

    if not sync_deployments(settings, plan_only=plan):
        sys.exit(1)


@cli.command()
@_home_option
def env() -> None:
    """Print exports, for eval "$(missiondesk env)"."""
    import shlex

    from missiondesk.desk_file import exports

    for name, value in exports(_settings()).items():
        click.echo(f"export {name}={shlex.quote(value)}")


@cli.command()
@_home_option
def doctor() -> None:
    """Check every part and say what to do."""
    settings = _join_desk()
    from console.verbs.doctor import examine

    if not examine(settings):
        sys.exit(1)


@cli.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": []}, add_help_option=False
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def sandbox(arguments: tuple[str, ...]) -> None:
    """Run a local exchange that speaks Kraken's."""
    from missiondesk.exchanges.sandbox.command import main as sandbox_command

    sandbox_command.main(list(arguments), prog_name="missiondesk sandbox", standalone_mode=False)


@cli.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": []}, add_help_option=False
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def market(arguments: tuple[str, ...]) -> None:
    """Watch, stream, trade on, or replay the prices of markets."""
    from console.verbs.market import market as market_command

    market_command.main(list(arguments), prog_name="missiondesk market", standalone_mode=False)


@cli.group(cls=_ComponentCommands)
def components() -> None:
    """Components and their workflows."""
    _join_desk()


def _settings(given: Mapping[str, str | None] = {}) -> Settings:
    from missiondesk.settings import Settings

    return Settings.load({**os.environ, **{name: text for name, text in given.items() if text is not None}})


def _join_desk() -> Settings:
    from missiondesk.desk_file import join_desk

    return join_desk()


def main() -> None:
    """The console script: whatever goes wrong is one message on stderr and an exit code other than 0."""
    _keep_loopback_off_proxies()
    try:
        cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except MissiondeskError as error:
        click.echo(f"missiondesk: {error}", err=True)
        sys.exit(1)
    except (click.Abort, KeyboardInterrupt):
        click.echo("missiondesk: stopped", err=True)
        sys.exit(130)
    except Exception as error:
        click.echo(f"missiondesk: {_unexpected(error)}", err=True)
        sys.exit(1)


def _keep_loopback_off_proxies() -> None:
    for name in ("NO_PROXY", "no_proxy"):
        spared = [*filter(None, os.environ.get(name, "").split(",")), "127.0.0.1", "localhost"]
        os.environ[name] = ",".join(dict.fromkeys(spared))


def _unexpected(error: Exception) -> str:
    """What to tell the user; the traceback goes to the log file."""
    import traceback
    from datetime import UTC, datetime

    from console.desk.log_files import RotatingFile, stamped

    said = f"{type(error).__name__}: {error}"
    try:
        settings = _settings()
        log_file = settings.home / "logs" / "missiondesk.log"
        details = "".join([f"{' '.join(sys.argv)}\n", *traceback.format_exception(error)])
        log = RotatingFile(log_file, settings.log_bytes, settings.log_files)
        log.write(stamped(details, datetime.now(UTC)))
    except (OSError, MissiondeskError):
        return said
    return f"{said}\nThis was not expected; the details are in {log_file}"
