"""Groups of any size and name, and the layers that they go into, release after release."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hubtool.image.layout import LONGEST, MOST_LAYERS, Group, Layout, lay_out

MB = 1_000_000
LOG = Group("volatile", 300_000, volatile=True)


def conda(name: str, size: int) -> Group:
    return Group(f"conda:srv/conda:{name}", size)


def many(count: int, size: int, ecosystem: str = "conda:srv/conda") -> list[Group]:
    return [Group(f"{ecosystem}:p{number}", size + number) for number in range(count)]


def sizes(groups: Sequence[Group], layout: Layout) -> list[int]:
    by_key = {group.key: group.size for group in groups}
    return [sum(by_key[key] for key in keys) for keys in layout.layers]


def disturbed(before: Layout, after: Layout) -> list[tuple[str, ...]]:
    """The layers of BEFORE that AFTER has not, the same."""
    return [layer for layer in before.layers if layer not in after.layers]


# ---- fresh


def test_no_groups_no_layers() -> None:
    assert lay_out([]) == Layout(())


def test_large_groups_are_alone_and_the_volatile_one_is_on_top() -> None:
    large = [conda("mkl", 200 * MB), conda("scipy", 90 * MB), Group("pypi:srv/conda/lib:torch", 800 * MB)]
    layout = lay_out([LOG, *large, *many(300, 40_000)], most=20)
    for group in large:
        assert (group.key,) in layout.layers
    assert layout.layers[-1] == (LOG.key,)


def test_what_changes_seldom_is_below_and_what_changes_often_above() -> None:
    groups = [LOG, Group("dir:home/me", 60 * MB), conda("mkl", 30 * MB), Group("dpkg::libc6", 10 * MB)]
    bin_of_small = many(12, 100_000)
    layers = lay_out([*groups, *bin_of_small]).layers
    assert layers[:3] == (("dpkg::libc6",), ("conda:srv/conda:mkl",), ("dir:home/me",))
    assert len(layers[3]) == len(bin_of_small)
    assert layers[4:] == ((LOG.key,),)


def test_what_is_new_with_every_release_is_apart_just_below_the_volatile() -> None:
    new = [Group(f"dir:{folder}", 300_000) for folder in ("home/me", "opt/tool", "srv/repo", "usr/local")]
    old = [Group(f"dir:{folder}", 300_000) for folder in ("", "etc", "lib64", "usr/lib", "var")]
    groups = [LOG, *new, *old, Group("dir:srv/data", 2 * MB), *many(100, MB)]
    layers = lay_out(groups).layers
    assert layers[-2:] == (tuple(sorted(group.key for group in new)), (LOG.key,))
    assert ("dir:srv/data",) in layers
    heap = Layout((tuple(group.key for group in groups),))  # as an older hubtool laid it out
    assert lay_out(groups, heap).layers[-2:] == layers[-2:]


def test_a_small_image_has_no_layers_of_nothing() -> None:
    groups = many(30, 10_000)
    assert len(lay_out(groups).layers) == 1
    assert len(lay_out(groups, least=0).layers) > 10


def test_one_layer_holds_all_if_there_may_be_only_one() -> None:
    groups = [LOG, *many(5, MB)]
    assert lay_out(groups, most=1).layers == (tuple(sorted(group.key for group in groups)),)
    assert len(lay_out(groups, most=0).layers) == 1


def test_there_are_never_more_layers_than_overlayfs_mounts() -> None:
    assert 100 < len(lay_out([LOG, *many(500, 5 * MB)], most=9_999).layers) <= MOST_LAYERS


def test_a_fresh_layout_leaves_room_for_large_groups_to_come() -> None:
    groups = [LOG, *many(63, 5 * MB)]
    layout = lay_out(groups)
    for number in range(3):
        new = conda(f"new{number}", 300 * MB)
        groups.append(new)
        layers = layout.layers
        layout = lay_out(groups, layout)
        assert layout.layers == (*layers[:-1], (new.key,), (LOG.key,))


def test_images_that_share_a_distribution_share_all_its_layers() -> None:
    base = many(150, 400_000, "dpkg:")
    one, other = (lay_out([LOG, *base, *many(250, size)]) for size in (MB, 1_100_000))
    of_base = [layer for layer in one.layers if all(key.startswith("dpkg:") for key in layer)]
    assert len(of_base) > 2
    assert set(of_base) <= set(other.layers)


def test_a_fresh_layout_of_one_group_more_disturbs_little() -> None:
    groups = [LOG, *many(400, 700_000)]
    before = lay_out(groups)
    changed = [len(disturbed(before, lay_out([*groups, conda(f"x{number}", 800_000)]))) for number in range(20)]
    assert sum(changed) / 20 <= 2


# ---- kept


@pytest.mark.parametrize("ecosystem", ["dpkg:", "conda:srv/conda", "r:usr/lib/R/library"])
def test_a_small_new_group_goes_where_its_like_is(ecosystem: str) -> None:
    homes = ("conda:srv/conda", "dpkg:", "r:usr/lib/R/library")
    groups = [LOG, *chain.from_iterable(many(50, 300_000, home) for home in homes)]
    new = Group(f"{ecosystem}:new", 1000)
    after = lay_out([*groups, new], lay_out(groups))
    (layer,) = (layer for layer in after.layers if new.key in layer)
    assert len(layer) > 2
    assert all(key.startswith(ecosystem) for key in layer)


def test_a_new_group_that_a_bin_can_bear_takes_no_layer_of_its_own() -> None:
    groups = [LOG, *many(400, 1_100_000)]
    before = lay_out(groups)
    after = lay_out([*groups, conda("new", 1_100_000)], before)
    assert len(after.layers) == len(before.layers)


def test_new_groups_share_one_layer_that_was_there() -> None:
    groups = [LOG, *many(100, 300_000)]
    before = lay_out(groups)
    after = lay_out([*groups, *(conda(f"new{number}", 1000) for number in range(10))], before)
    assert len(disturbed(before, after)) == 1


def test_a_large_new_group_takes_no_layer_if_none_is_left() -> None:
    groups = [LOG, *many(63, 5 * MB)]
    full = Layout((*((group.key,) for group in groups[1:]), (LOG.key,)))
    assert lay_out(groups, full) == full
    after = lay_out([*groups, conda("new", 50 * MB)], full)
    assert len(after.layers) == 64
    assert len(disturbed(full, after)) == 1


def test_bins_do_not_grow_for_ever() -> None:
    groups = [LOG, *many(200, 500_000)]
    layout = lay_out(groups)
    for release in range(30):
        groups += [conda(f"new-{release}-{number}", 2 * MB) for number in range(10)]
        layout = lay_out(groups, layout)
        assert len(layout.layers) <= 64
    total = sum(group.size for group in groups)
    assert max(sizes(groups, layout)) < total / 15


def test_a_layout_badly_out_of_balance_is_left() -> None:
    groups = [LOG, *many(100, 5 * MB)]
    heap = Layout((tuple(group.key for group in groups[1:]), (LOG.key,)))
    assert lay_out(groups, heap) == lay_out(groups)


def test_a_layout_that_serves_nearly_as_well_as_a_fresh_one_is_kept() -> None:
    groups = [LOG, *many(64, 5 * MB)]
    pairs = [(groups[number].key, groups[number + 1].key) for number in range(1, 64, 2)]
    previous = Layout((*(tuple(sorted(pair)) for pair in pairs), (LOG.key,)))
    assert lay_out(groups, previous, most=40) == previous


@pytest.mark.parametrize(
    "previous",
    [
        Layout(()),
        Layout((("nobody",),)),
        Layout((("conda:srv/conda:p0",),)),
        Layout(((), ("",))),
        Layout(tuple((f"conda:srv/conda:p{n}",) for n in range(90))),
    ],
    ids=["empty", "another image's", "of little that is left", "of nothing", "of more layers than may be"],
)
def test_a_previous_layout_that_does_not_serve_is_left(previous: Layout) -> None:
    groups = [LOG, *many(100, 2 * MB)]
    assert lay_out(groups, previous) == lay_out(groups)


def test_a_group_that_was_volatile_or_becomes_so_moves() -> None:
    groups = [LOG, *many(5, 3 * MB)]
    before = lay_out(groups)
    turned = [replace(group, volatile=not group.volatile) for group in groups[:2]] + groups[2:]
    layout = lay_out(turned, before)
    assert layout.layers[-1] == (groups[1].key,)
    assert sorted(chain(*layout.layers)) == sorted(group.key for group in groups)


# ---- whatever the groups

ECOSYSTEMS = ("dpkg:", "conda:srv/conda", "pypi:srv/conda/lib/python3.12/site-packages", "r:usr/lib/R/library")
names = st.sampled_from("abcdefghij").flatmap(lambda first: st.integers(0, 99).map(lambda number: f"{first}-{number}"))
keys = st.builds(lambda ecosystem, name: f"{ecosystem}:{name}", st.sampled_from(ECOSYSTEMS), names)
keys |= st.text(max_size=3).map("dir:{}".format)
bytes_ = st.integers(0, 5000) | st.floats(0, 21).map(lambda power: int(2.718**power))
images = st.dictionaries(keys, st.tuples(bytes_, st.sampled_from([False] * 9 + [True])), max_size=60).map(
    lambda found: [Group(key, size, volatile) for key, (size, volatile) in found.items()]
)
mosts = st.integers(1, 20)
leasts = st.sampled_from([0, 1000, MB])


def previous_of(image: Sequence[Group]) -> st.SearchStrategy[Layout | None]:
    """No layout, or any of some of IMAGE's groups and some that are gone."""
    found = st.permutations([*[group.key for group in image], "gone:1:2", "gone"])
    cuts = st.lists(st.integers(0, 60), max_size=20).map(sorted)
    cut = st.builds(
        lambda keys, at: Layout(tuple(tuple(keys[a:b]) for a, b in zip([0, *at], at, strict=False))), found, cuts
    )
    return st.none() | cut


@given(images, mosts, leasts, st.data())
def test_every_group_is_in_one_layer_whatever_the_order(
    image: list[Group], most: int, least: int, data: st.DataObject
) -> None:
    previous = data.draw(previous_of(image))
    layout = lay_out(image, previous, most=most, least=least)
    assert sorted(chain(*layout.layers)) == sorted(group.key for group in image)
    assert len(layout.layers) <= most
    assert all(layout.layers)
    turned = data.draw(st.permutations(image))
    assert lay_out(turned, previous, most=most, least=least) == layout
    volatile = {group.key for group in image if group.volatile}
    assert len(layout.layers) <= 1 or not volatile or set(layout.layers[-1]) == volatile


@given(images, mosts, leasts)
def test_at_most_one_layer_of_a_fresh_layout_is_too_small(image: list[Group], most: int, least: int) -> None:
    steady = [replace(group, key=f"p:{group.key}", volatile=False) for group in image]
    layout = lay_out(steady, most=most, least=least)
    assert sum(size < least for size in sizes(steady, layout)) <= 1


@given(images, mosts, leasts)
def test_an_image_laid_out_again_is_as_it_was(image: list[Group], most: int, least: int) -> None:
    layout = lay_out(image, most=most, least=least)
    assert lay_out(image, layout, most=most, least=least) == layout


@given(images.filter(bool), mosts, st.data())
def test_a_changed_group_stays_in_its_layer(image: list[Group], most: int, data: st.DataObject) -> None:
    layout = lay_out(image, most=most)
    group = data.draw(st.sampled_from(image))
    size = int(group.size * data.draw(st.floats(0.9, 1.1)))
    after = [replace(each, size=size) if each is group else each for each in image]
    again = lay_out(after, layout, most=most)
    # One that comes to count as large, or no longer does, may make a fresh layout pay.
    grown = (group.size < MB) != (size < MB)
    assert again == layout or (grown and again == lay_out(after, most=most))


@given(images.filter(bool), mosts, st.data())
def test_a_group_removed_changes_one_layer(image: list[Group], most: int, data: st.DataObject) -> None:
    layout = lay_out(image, most=most)
    gone = data.draw(st.sampled_from(image))
    rest = [group for group in image if group is not gone]
    after = lay_out(rest, layout, most=most)
    if after == lay_out(rest, most=most):
        return
    assert after.layers == tuple(
        filter(None, (tuple(key for key in keys if key != gone.key) for keys in layout.layers))
    )


@given(images, mosts, keys, bytes_)
def test_a_group_added_changes_at_most_one_layer(image: list[Group], most: int, key: str, size: int) -> None:
    assume(key not in {group.key for group in image})
    layout = lay_out(image, most=most)
    more = [*image, Group(key, size)]
    after = lay_out(more, layout, most=most)
    if after == lay_out(more, most=most):
        return
    changed = disturbed(layout, after)
    assert len(changed) <= 1
    assert all({*layer, key} in map(set, after.layers) for layer in changed)


# ---- annotations

odd = st.text(st.characters(codec=None), min_size=1, max_size=20)


@given(st.lists(odd, min_size=1, unique=True), st.integers(1, 5))
def test_annotations_bring_the_layout_back(keys: list[str], width: int) -> None:
    layout = Layout(tuple(tuple(keys[at : at + width]) for at in range(0, len(keys), width)))
    annotations = layout.as_annotations()
    assert Layout.from_annotations(annotations) == layout
    assert all(text.isascii() and text.isprintable() for text in annotations)


def test_names_are_read_by_people_too() -> None:
    layout = Layout((("conda:srv/conda:numpy", "npm:usr/lib/node_modules:@jupyter/x"), ("dir:a b%\udcff",)))
    assert layout.as_annotations() == (
        "1 conda:srv/conda:numpy npm:usr/lib/node_modules:@jupyter/x",
        "1 dir:a%20b%25%ED%B3%BF",
    )


BAD: dict[str, list[str | None]] = {
    "none": [],
    "one is missing": ["1 a", None],
    "another version": ["2 a"],
    "empty": [""],
    "no keys": ["1"],
    "an empty key": ["1 a  b"],
    "a key twice": ["1 a", "1 b a"],
    "no characters": ["1 %ff"],
    "garbage": ["\0\x01{}"],
}


@pytest.mark.parametrize("annotations", BAD.values(), ids=BAD.keys())
def test_what_is_no_layout_is_none(annotations: list[str | None]) -> None:
    assert Layout.from_annotations(annotations) is None


@given(st.lists(st.none() | st.text() | st.text().map("1 ".__add__)), images)
def test_any_annotations_are_read_and_laid_out(annotations: list[str | None], image: list[Group]) -> None:
    layout = lay_out(image, Layout.from_annotations(annotations))
    assert sorted(chain(*layout.layers)) == sorted(group.key for group in image)


def test_annotations_of_two_thousand_packages_are_short_and_no_more_than_fit_are_written() -> None:
    pypi = "pypi:srv/conda/lib/python3.12/site-packages"
    annotations = lay_out(many(2000, MB, pypi)).as_annotations()
    assert 50_000 < sum(map(len, annotations)) < 110_000
    layout = lay_out(many(10_000, MB, pypi))
    assert set(layout.as_annotations()) == {""}
    assert len(layout.as_annotations()) == len(layout.layers)
    assert LONGEST < 1_000_000
    assert Layout.from_annotations(layout.as_annotations()) is None
