"""`python -m nvcodec` is `nvcodec`."""

from nvcodec.cli import main

if __name__ == "__main__":
    main()
