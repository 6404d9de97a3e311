"""`python -m glo` is the command `glo`."""

from glo.cli import main

if __name__ == "__main__":
    main()
