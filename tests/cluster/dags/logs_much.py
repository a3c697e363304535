"""For the tests: a task that logs what its run asks for, each line with a number that says where it belongs."""

import logging
import time
from datetime import timedelta
from typing import Any

import pendulum
from airflow.sdk import dag, task

DEFAULTS = {"lines": 10, "width": 0, "rate": 0, "odd": False, "fails": False, "eats": False}
CHUNK = 64 * 2**20
SHORTEST_PAUSE = 0.02


@dag(
    dag_id="logs_much",
    description="Logs what its run asks for.",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    default_args={
        "owner": "tests",
        "retries": 1,
        "retry_delay": timedelta(seconds=1),
        "execution_timeout": timedelta(minutes=15),
    },
)
def logs_much() -> None:
    @task
    def speak(**context: Any) -> None:
        asked = DEFAULTS | (context["dag_run"].conf or {})
        attempt = context["ti"].try_number
        began = time.time()
        for number in range(asked["lines"]):
            print(f"line {number} of try {attempt} at {time.time():.3f} {'x' * asked['width']}", flush=True)
            ahead = began + (number + 1) / asked["rate"] - time.time() if asked["rate"] else 0
            if ahead > SHORTEST_PAUSE:
                time.sleep(ahead)
        if asked["odd"]:
            say_odd_things()
        if attempt == 1 and asked["eats"]:
            eaten = []
            while True:
                eaten.append(b"\1" * CHUNK)
        if attempt == 1 and asked["fails"]:
            raise RuntimeError("as asked for")

    speak()


def say_odd_things() -> None:
    log = logging.getLogger("odd")
    log.warning("odd: grüße 💥 %s", "日本語")
    log.warning('odd: {"json": {"inside": [1, null]}}')
    log.warning("odd: two\nlines")
    log.warning("odd: \\ \t \x1b[31mred\x1b[0m \x00")
    log.warning("odd: long " + "ü" * 100_000)
    log.warning("odd: cut " + "z" * (2 * 2**20))
    try:
        raise ValueError("odd: traceback")
    except ValueError:
        log.exception("odd: failed")


logs_much()
