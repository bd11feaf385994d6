"""Variants that differ in their platform alone, released together: an index under the tags that they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hubtool.commands.one_push import Pushed, PushRules, State
from hubtool.console import say
from hubtool.errors import HubtoolError
from hubtool.plan import Variant
from hubtool.plan.records import Record, write_record
from hubtool.registries import open_client
from hubtool.registries.client import RegistryClient
from hubtool.registries.manifests import OCI_INDEX, digest_of

Members = Sequence[tuple[Variant, Pushed]]


def join(variants: Sequence[Variant], pushed: Sequence[Pushed], rules: PushRules) -> list[Pushed]:
    """PUSHED, with those that differ in their platform alone as one: the index that their shared tags name now.

    VARIANTS are those that were pushed, in the same order. Where one of a set is missing nothing is set and its others
    are left out, so that no hub moves to half of an image. Raises HubtoolError where a shared tag that never moves
    names something else.
    """
    sets: dict[str, list[tuple[Variant, Pushed]]] = {}
    for variant, one in zip(variants, pushed, strict=True):
        sets.setdefault(variant.whole, []).append((variant, one))
    return [one for members in sets.values() for one in _join(members, rules)]


def _join(members: Members, rules: PushRules) -> list[Pushed]:
    first = members[0][0]
    missing = first.partners - {variant.image for variant, _ in members}
    if not first.joined:
        return [one for _, one in members]
    if missing:
        say(f"{first.whole}: its tags are set together with {', '.join(sorted(missing))}, not here")
        return []
    tags = [(shared + _ending(own, members), moves) for own, shared, moves in first.joined]
    main = next(tag for (tag, _), (own, _, _) in zip(tags, first.joined, strict=True) if own == first.reference.tag)
    if rules.dry_run:
        say(f"would set {', '.join(tag for tag, _ in tags)} to an index over {', '.join(_images(members))}")
        return [_sum(members, main, "", "planned")]
    with open_client(first.reference) as client:
        content = client.make_index(_images(members))
        last_first = sorted(tags, key=lambda one: one[0] == main)  # what hubs pin says that all is done
        changed = [_set(client, content, tag, moves or rules.move_tag) for tag, moves in last_first]
    joined = _sum(members, main, digest_of(content), "promoted" if any(changed) else "unchanged")
    say(f"{joined.reference}: {joined.state}, {', '.join(_images(members))}")
    image = Record(str(replace(joined.reference, digest=None)), "", first.whole, digest=joined.digest)
    write_record(first.root, first.whole, replace(image, commit=first.source.commit))
    return [joined]


def _images(members: Members) -> dict[str, str]:
    """Digests by platform."""
    return {str(variant.job.settings.platform): pushed.digest for variant, pushed in members}


def _ending(own: str, members: Members) -> str:
    """What the tag of a rebuild has at its end; "" where none of them was one, and for tags that rebuilds don't get."""
    if own != members[0][0].reference.tag:
        return ""
    return max(pushed.reference.tag.removeprefix(variant.reference.tag) for variant, pushed in members)


def _set(client: RegistryClient, content: bytes, tag: str, moves: bool) -> bool:
    """Have TAG name the index; whether it did not."""
    standing = client.head_manifest(tag)
    if standing and standing.digest == digest_of(content):
        return False
    if standing and not moves:
        raise HubtoolError(
            f"{client.session.reference.with_tag(tag)} names {standing.digest} already, which is another image; "
            "tags that hubs pin must not change",
            hint="commit and build, which makes a new tag; or let this one move with hubtool push --move-tag",
        )
    client.put_manifest(content, OCI_INDEX, tag)
    return True


def _sum(members: Members, tag: str, digest: str, state: State) -> Pushed:
    """MEMBERS as one. STATE is what became of the tags, which counts less than that images were sent."""
    first, states = members[0][0], {pushed.state for _, pushed in members}
    if "pushed" in states:
        state = "pushed"
    elif "refreshed" in states and state == "unchanged":
        state = "refreshed"
    return Pushed(
        image=first.whole,
        reference=first.reference.with_tag(tag, digest or None),
        state=state,
        uploaded_bytes=sum(pushed.uploaded_bytes for _, pushed in members),
        reused_bytes=sum(pushed.reused_bytes for _, pushed in members),
        seconds=round(sum(pushed.seconds for _, pushed in members), 3),
        blobs=tuple(blob for _, pushed in members for blob in pushed.blobs),
    )
