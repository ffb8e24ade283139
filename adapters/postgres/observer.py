"""Who is told of each operation that has ended, besides the log."""

from collections.abc import Callable, Mapping

Observer = Callable[[str, float, Mapping[str, object]], None]
"""Takes the operation's name, its seconds, and what is logged of its end."""
