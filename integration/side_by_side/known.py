"""Differences to Prometheus 2.42 that are meant to be, each with its reason. Whatever is not here is a bug of ours.

Each is told by what was asked and by both answers, so that it hides nothing else.
"""

import re

from . import compare


def any_name(query, ours, theirs):
    """Version 3 takes any text as the name of a label."""
    return ours[0] == 200 and re.search(r"invalid (destination |source )?label name", theirs[1].get("error", ""))


def late_names(query, ours, theirs):
    """Ours takes metric names away when the answer is made, so that series do not fall together on the way (the feature
    `promql-delayed-name-removal` of version 3)."""
    return ours[0] == 200 and theirs[1].get("error") == "vector cannot contain metrics with the same labelset"


def early_matches(query, ours, theirs):
    """Version 3 says that many match one even where a comparison then filters all of them away."""
    return theirs[0] == 200 and ours[1].get("error", "").startswith("multiple matches for labels: many-to-one")


def ties(query, ours, theirs):
    """Of equal values `topk` keeps those whose labels come first; upstream those that its heap happens to hold."""
    if not re.search(r"\b(topk|bottomk)\b", query.ours) or ours[0] != 200 or theirs[0] != 200:
        return False
    return values_by_time(ours[1]) == values_by_time(theirs[1])


def lost_points(query, ours, theirs):
    """2.42 loses points where `@` fixes the window of `predict_linear` in a range query."""
    if not re.match(r"predict_linear\(.*@", query.ours) or ours[0] != 200 or theirs[0] != 200:
        return False
    (ours, theirs) = (compare.by_labels(body["data"]["result"]) for _, body in (ours, theirs))
    return all(len(points) < len(ours[labels]) for labels, points in theirs.items())


KNOWN = (any_name, late_names, early_matches, ties, lost_points)


def known(query, ours, theirs):
    """Why the answers to a query differ, or None."""
    for difference in KNOWN:
        if difference(query, ours, theirs):
            return " ".join(difference.__doc__.split())
    return None


def values_by_time(body):
    """The values of an answer by time, whichever series they are of. 0 and -0 are one: neither comes before the other."""
    found = {}
    for points in compare.by_labels(body["data"]["result"]).values():
        for at, value in points:
            found.setdefault(at, []).append("0" if value == "-0" else value)
    return {at: sorted(values) for at, values in found.items()}
