from __future__ import annotations

import sys
import threading
import time

import pytest

from benchmarks.process import TRIES, CommandError, Runner, Stopped, last_lines


def test_measures_time_and_memory_of_the_child_alone():
    ballast = bytearray(300 << 20)  # the parent's own memory is not the child's
    done = Runner().run([sys.executable, "-S", "-c", "import time; time.sleep(.2); print('hi')"])
    assert 0.2 <= done.seconds < 5
    assert 2 < done.rss_mib < 100
    assert done.stdout == "hi\n"
    del ballast


def test_a_failure_shows_the_command_and_its_stderr():
    code = "import sys; print('line one\\nthe reason', file=sys.stderr); sys.exit(3)"
    with pytest.raises(CommandError) as caught:
        Runner().run([sys.executable, "-S", "-c", code])
    message = str(caught.value)
    assert "status 3" in message and "the reason" in message and sys.executable in message
    assert "\n" not in message


def test_a_missing_program_is_a_failure():
    with pytest.raises(CommandError, match="/no/such/tool"):
        Runner().run(["/no/such/tool", "-x"])


def test_a_command_that_writes_nothing_is_tried_again(tmp_path):
    """The file grows by a line with each start; the third finds two and writes something."""
    count, target = tmp_path / "count", tmp_path / "out"
    code = ("import sys; c = open(sys.argv[1], 'a+'); c.write('.'); c.seek(0); n = len(c.read()); "
            "open(sys.argv[2], 'w').write('x' * (n > int(sys.argv[3])))")
    argv = [sys.executable, "-S", "-c", code, str(count), str(target)]
    Runner().write([*argv, "2"], target)
    assert target.read_text() == "x" and count.read_text() == "..."
    count.unlink()
    with pytest.raises(CommandError, match="wrote nothing"):
        Runner().write([*argv, "99"], target)
    assert len(count.read_text()) == TRIES


def test_stop_ends_what_runs_and_refuses_more():
    runner = Runner()
    caught: list[BaseException] = []

    def work() -> None:
        try:
            runner.run([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
        except Stopped as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    start = time.perf_counter()
    thread.start()
    time.sleep(0.3)
    runner.stop()
    thread.join(10)
    assert caught and time.perf_counter() - start < 10
    with pytest.raises(Stopped):
        runner.run(["true"])


def test_last_lines():
    assert last_lines("a\n\nb\nc\nd\n") == "b | c | d"
    assert last_lines("  \n") == "it said nothing"
