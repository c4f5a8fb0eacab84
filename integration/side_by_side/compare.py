"""Whether two answers are the same, and where they are not."""

import math

RELATIVE = 1e-12


def same_number(a, b):
    if a == b or (math.isnan(a) and math.isnan(b)):
        return True
    return math.isfinite(a) and math.isfinite(b) and abs(a - b) <= RELATIVE * max(abs(a), abs(b))


def difference(ours, theirs, ordered):
    """The first difference as a sentence, or `None`. Each side is (status, body); warnings are not looked at."""
    (our_status, our_body), (their_status, their_body) = ours, theirs
    heads = [(status, body.get("errorType")) for status, body in (ours, theirs)]
    if heads[0] != heads[1]:
        return f"ours {outcome(our_status, our_body)}, theirs {outcome(their_status, their_body)}"
    if our_status != 200:
        return None
    our_type, their_type = our_body["data"]["resultType"], their_body["data"]["resultType"]
    if our_type != their_type:
        return f"ours is a {our_type}, theirs a {their_type}"
    ours, theirs = our_body["data"]["result"], their_body["data"]["result"]
    if our_type in ("scalar", "string"):
        return points([ours], [theirs], text=our_type == "string")
    if ordered and our_type == "vector":
        if sentence := order(ours, theirs):
            return sentence
    ours, theirs = by_labels(ours), by_labels(theirs)
    if only := ours.keys() - theirs.keys():
        return f"only ours has {len(only)} series such as {show(min(only))}"
    if only := theirs.keys() - ours.keys():
        return f"only theirs has {len(only)} series such as {show(min(only))}"
    for labels, mine in sorted(ours.items()):
        if sentence := points(mine, theirs[labels]):
            return f"{show(labels)}: {sentence}"
    return None


def outcome(status, body):
    return f"{status} {body.get('errorType', 'success')} {body.get('error', '')}".strip()


def by_labels(result):
    """{sorted label pairs: points}; the same labels twice would be an error of their own."""
    found = {tuple(sorted(series["metric"].items())): series.get("values") or [series["value"]] for series in result}
    assert len(found) == len(result), "an answer has two series with the same labels"
    return found


def show(labels):
    return "{" + ", ".join(f"{name}={value!r}" for name, value in labels) + "}"


def points(ours, theirs, text=False):
    """Compares lists of [time, value]."""
    if [at for at, _ in ours] != [at for at, _ in theirs]:
        times = sorted({at for at, _ in ours} ^ {at for at, _ in theirs})
        return f"ours has {len(ours)} points, theirs {len(theirs)}; the first that only one has is at {times[0]}"
    for (at, mine), (_, other) in zip(ours, theirs):
        if mine != other and (text or not same_number(float(mine), float(other))):
            return f"at {at} ours is {mine}, theirs {other}"
    return None


def order(ours, theirs):
    """Series of equal values may stand in any order, so it is the values that must."""
    for rank, (mine, other) in enumerate(zip(ours, theirs)):
        if not same_number(float(mine["value"][1]), float(other["value"][1])):
            return f"number {rank + 1} in order is {mine['value'][1]} in ours, {other['value'][1]} in theirs"
    return None


def exact(ours, theirs):
    """How many values the two have in common to the last bit, and how many there are."""
    values = lambda body: {
        (labels, at): value for labels, points in by_labels(body["data"]["result"]).items() for at, value in points
    }
    if ours[0] != 200 or theirs[0] != 200 or ours[1]["data"]["resultType"] not in ("vector", "matrix"):
        return 0, 0
    mine, other = values(ours[1]), values(theirs[1])
    return sum(other.get(key) == value for key, value in mine.items()), len(mine)
