"""Checks of a server by what PROTOCOL.md says: python3 checks.py HOST PORT [--all]

Wants a freshly started server with an empty data folder, on an open listener, and with `--limit NAME=off` for
accept-rate, list-rate, unauth-addr, connections-addr and login-fail: the checks run side by side, from one address.
Without --all, the checks that take minutes are left out.
"""

import itertools
import sys
from concurrent.futures import ThreadPoolExecutor

import extension  # noqa: F401 its checks enter themselves, as those of the other two
import patience  # noqa: F401
import text  # noqa: F401
from bellhop import CHECKS, SLOW, Differs, mine


def run(function):
    """What is wrong, or None. The connections of the check are closed, however it ended."""
    mine.open = []
    try:
        function()
    except Differs as why:
        return str(why)
    except Exception as why:
        return f"{type(why).__name__}: {why}"
    else:
        return None
    finally:
        for one in mine.open:
            one.socket.close()


def main():
    patient = SLOW if "--all" in sys.argv else []
    failed = 0
    with ThreadPoolExecutor(len(SLOW)) as beside:
        running = [(function, beside.submit(run, function)) for function in patient]
        results = itertools.chain(((f, run(f)) for f in CHECKS), ((f, r.result()) for f, r in running))
        for function, why in results:
            failed += why is not None
            print(f"FAIL {function.__name__}: {why}" if why else f"ok {function.__name__}", flush=True)
    print(f"{len(CHECKS) + len(patient) - failed} passed, {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
