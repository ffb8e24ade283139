"""The callback that is called after each operation; telemetry uses it."""

from collections.abc import Callable, Mapping

Observer = Callable[[str, float, Mapping[str, object]], None]
"""Takes the operation's name, its duration in seconds, and the logged facts about its outcome."""
