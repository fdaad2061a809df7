"""kill -9 at random moments of the whole way: nothing is lost or half-valid, and a rerun completes it."""

import pytest
from kills import kill_at_random

N_KILLS = 10  # 200 by `tests/benchmarks/faults.py`

pytestmark = [pytest.mark.xdist_group("servers"), pytest.mark.slow]  # beside those that have forked already


def test_killed_at_any_moment_the_way_is_gone_on(empty_store, tmp_path):
    account = kill_at_random(empty_store, tmp_path, N_KILLS, seed=7)
    assert account.wrong == []
    assert account.kills == N_KILLS and account.ways >= 1
    assert len(account.at) >= 4, account  # a start that had gone on by the time it was killed counts where it was
