"""A share of the customers, such as ``lowest 20%``, becomes one exact number in ``bucket`` and stays it."""

from __future__ import annotations


def test_first(world):
    for cents in (100, 200, 300, 400, 500):
        world.purchase(world.customer(), cents)
    summary = world.computed(low_spend_threshold="lowest 40%")
    assert summary.buckets == {"BOOST": 2, "REWARD": 0, "NONE": 3}
    assert world.value("SELECT resolved FROM campaign") == {}
