"""Groups of commands that suggest the command that was meant."""

import click


class SuggestingGroup(click.Group):
    """A group that names the nearest command for a misspelt one, with every version of click."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the first argument names. Raises UsageError, with a suggestion if there is one."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            from difflib import get_close_matches  # noqa: PLC0415 - start-up time

            near = get_close_matches(args[0], self.list_commands(ctx), n=1)
            if not near or args[0].startswith("-"):
                raise
            raise click.UsageError(f"No such command {args[0]!r}. Did you mean {near[0]!r}?", ctx=ctx) from None
