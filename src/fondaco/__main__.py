"""``python -m fondaco`` is ``fondaco``."""

from fondaco.cli import main

main()
