"""``python -m manager`` is ``taskrack``."""

from manager.cli import main

if __name__ == "__main__":
    main()
