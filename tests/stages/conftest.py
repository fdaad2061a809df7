"""A project with a batch that is ready to be judged."""

import pytest


@pytest.fixture
def workflow(frozen, customers):
    """A project with a batch of further rows of the same law."""
    with frozen.batch(generator="law", version="1", params={}, seed=2, slice=None, purpose="more", source="none") as b:
        b.write(customers(1000, 2))
    return frozen


@pytest.fixture
def batch(workflow):
    """The short id of that batch."""
    return workflow.project.batches()[0].id
