"""`python -m rater_study`."""

from rater_study.cli import main

if __name__ == "__main__":
    main()
