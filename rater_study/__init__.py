"""A web study in which people choose the better of two videos, and what their votes say.

    prepare.py    decoded videos -> a study folder      sources.py media.py loss.py manifest.py
    serve.py      the study folder -> a web site        app.py rater_pages.py admin.py security.py
    sessions.py   what a rater sees next, what counts   pairing.py active.py storage.py
    report.py     votes -> scores, page, plots, tables  tally.py elo.py bradley_terry.py
                                                        bootstrap.py screening.py plots.py
    demo.py       `make study`                          loadtest.py coverage.py

`python -m rater_study --help` lists the commands; docs/rater-study.md tells the design.
"""
