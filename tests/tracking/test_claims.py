"""Of several processes that come for the same work one does it; the others wait, or take it over from the dead."""

import contextlib
import os
import threading

import pytest

from synth_mlflow.tracking import claims as claims_module
from synth_mlflow.tracking import names
from synth_mlflow.tracking.claims import SECONDS_OF_SILENCE, Claims
from synth_mlflow.tracking.draft import _birth, this_process
from synth_mlflow.tracking.read import Reader
from synth_mlflow.tracking.server import connect
from synth_mlflow.tracking.write import OPEN, NewRun, end_run, make_run

NEW = NewRun("sweep", "sweep", "key")
MACHINE = this_process().rpartition(" ")[0].rpartition(" ")[0]
ALIVE, DEAD = f"{MACHINE} {os.getppid()} {_birth(os.getppid())}", f"{MACHINE} 999999999 1"
ELSEWHERE = "far/away/1 77 123"


@pytest.fixture
def server(uri):
    return connect("shop", uri, create=True)


@pytest.fixture
def told():
    return []


@pytest.fixture
def claims(server, told):
    return Claims(server, told.append)


def other(server, owner, **tags):
    """The run of another process under the same key."""
    return make_run(server, NEW, None, more={names.TAG_OWNER: owner, **tags})


def claim(claims, *, done=False):
    with claims.claimed(NEW, parent=None, done=lambda: done) as run_id:
        return run_id


def active(server):
    return {run.run_id: run for run in Reader(server).find_by_key("key")}


def test_who_comes_alone_has_the_work(server, claims):
    mine = claim(claims)
    assert list(active(server)) == [mine]
    assert names.TAG_CLAIM not in active(server)[mine].tags


@pytest.mark.parametrize("owner", [ALIVE, ELSEWHERE])
def test_who_comes_later_leaves_it_to_the_other(server, claims, owner):
    theirs = other(server, owner)
    assert claim(claims) is None
    assert list(active(server)) == [theirs]


def test_the_work_of_the_dead_is_taken_up(server, claims):
    theirs = other(server, DEAD)
    assert claim(claims) == theirs
    assert active(server)[theirs].tags[names.TAG_OWNER] == this_process()
    assert list(active(server)) == [theirs]


def test_what_a_dead_process_had_not_decided_is_put_away(server, claims):
    theirs = other(server, DEAD, **{names.TAG_CLAIM: "undecided"})
    assert claim(claims) not in (None, theirs)
    assert theirs not in active(server)


@pytest.mark.slow
@pytest.mark.parametrize("write", ["set_terminated", "set_tag", "delete_run"])
def test_killed_while_it_gives_way_it_leaves_no_open_run_that_status_leaves_out(server, claims, monkeypatch, write):
    other(server, DEAD)

    def killed(*_, **__):
        raise SystemExit

    monkeypatch.setattr(claims_module, "marking_failure", lambda *_: contextlib.nullcontext())  # as kill -9
    monkeypatch.setattr(server.client, write, killed)
    with pytest.raises(SystemExit):
        claim(claims)
    assert [run.run_id for run in active(server).values() if run.status in OPEN and run.discarded] == []


def test_of_two_undecided_the_smaller_id_has_the_work(server, claims, monkeypatch):
    for run_id, wins in (("0" * 32, False), ("f" * 32, True)):
        rival = Reader(server).run(other(server, ALIVE, **{names.TAG_CLAIM: "undecided"}))
        rival = type(rival)(**{**rival.__dict__, "run_id": run_id})
        looks = iter([[], [rival], [] if wins else [rival], []])
        monkeypatch.setattr(Claims, "_others", lambda self, key, looks=looks: next(looks))
        assert (claim(claims) is not None) is wins


def test_an_undecided_one_that_goes_to_work_is_left_to_it(server, claims, monkeypatch):
    rival = Reader(server).run(other(server, ALIVE))
    undecided = type(rival)(**{**rival.__dict__, "run_id": "f" * 32, "tags": {**rival.tags, names.TAG_CLAIM: "u"}})
    looks = iter([[], [undecided], [rival]])
    monkeypatch.setattr(Claims, "_others", lambda self, key: next(looks))
    assert claim(claims) is None


def test_what_is_done_is_not_done_again(server, claims):
    end_run(server, make_run(server, NEW, None), "FINISHED")
    server.client.log_param(next(iter(active(server))), names.P_CHOSEN, "0.5")
    assert claim(claims, done=True) is None
    assert claim(claims, done=False) is not None  # a finished run alone proves nothing


def test_a_silent_process_elsewhere_loses_its_claim(server, claims, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(claims_module.time, "monotonic", lambda: now[0])
    theirs = other(server, ELSEWHERE)
    assert claim(claims) is None
    now[0] = SECONDS_OF_SILENCE - 1
    assert claim(claims) is None
    server.client.log_param(theirs, "synth.sha256/fits/1", "0")  # a sign of life
    now[0] = SECONDS_OF_SILENCE + 1
    assert claim(claims) is None
    now[0] += SECONDS_OF_SILENCE
    assert claim(claims) is not None


def test_another_thread_of_this_process_is_another(server, claims, told):
    begun, go_on, found = threading.Event(), threading.Event(), []

    def work():
        with claims.claimed(NEW, parent=None, done=lambda: False) as run_id:
            found.append(run_id)
            begun.set()
            go_on.wait(60)
            end_run(server, run_id, "FAILED")

    thread = threading.Thread(target=work)
    thread.start()
    begun.wait(60)
    assert claim(claims) is None
    go_on.set()
    claims.wait("key", "the sweep")
    thread.join()
    assert claim(claims) is not None
    assert found[0] is not None


def test_it_is_said_who_is_at_it(server, claims, told, monkeypatch):
    theirs = other(server, ELSEWHERE)
    monkeypatch.setattr(claims_module.time, "sleep", lambda _: end_run(server, theirs, "FAILED"))
    claims.wait("key", "the fidelity of b-1")
    assert told == ["waiting for the fidelity of b-1: process 77 on far is at it"]
