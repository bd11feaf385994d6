"""Which keys and values make a pin. One rule a function; ``find`` walks the file and asks them."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

from hubtool.errors import HubtoolError
from hubtool.pins import Unreadable
from hubtool.pins.formats.text import MASK
from hubtool.reference import ImageReference

# Checked in this order. newName wins over name (Kustomize), repository over image over name (charts that have both).
SPLIT_KEYS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("newTag", ("newName", "name")),
    ("imageTag", ("imageName", "imageRepository", "image", "repository")),
    ("tag", ("repository", "image", "name")),
)
WHOLE_KEYS = frozenset({"image", "image_name", "build_image"})
PROSE_KEYS = frozenset(
    {"description", "display_name", "displayname", "title", "summary", "help", "comment", "text", "label"}
)
MAX_LENGTH = 512
MAX_PREFIXED = 500

_IMAGE = re.compile(r"(?i)image(?!_?-?(pull|secret|polic))")
_IMAGE_END = re.compile(r"(?i)(images?|image_?(name|spec|ref|reference))$")
_IMAGES_END = re.compile(r"(?i)images$")
_TEMPLATED = re.compile(rf"[{{}}$<>%{MASK}]")
_MAYBE = re.compile(r"[a-zA-Z0-9\[][^\s]*\Z")
# What an image's reference may follow in one value: NAME=REFERENCE of an environment or option, a GitHub action.
_BEFORE = re.compile(r"docker://|-{0,2}(?P<name>[\w./-]+)=(?=[a-z0-9])")
_PREFIXED_TAG = re.compile(r"(?P<stem>\w*[^\W_])(?P<end>_tag|_TAG|(?<=[a-z0-9])Tag)\Z")
_PREFIXED_NAMES = {
    "_tag": ("_repository", "_repo", "_name", "_image", ""),
    "_TAG": ("_REPOSITORY", "_REPO", "_NAME", "_IMAGE", ""),
    "Tag": ("Repository", "Repo", "Name", "Image", ""),
}
_NO_IMAGE_FILE = re.compile(r"(?i)\.(png|jpe?g|gif|svg|webp|ico|bmp|tiff?|pdf|iso|img|qcow2|vmdk|ova|tgz|gz|xz|zip)\Z")
# Below these an image's options end, and something else begins.
_APART = re.compile(r"(?i)(env|environment|vars|variables|args|command|cmd|labels|annotations|volumes|mounts)\Z")

# A repository and a tag are of git where a key beside or above them says so.
_GIT_BESIDE = frozenset({"url", "repoURL", "ref", "branch", "revision", "commit", "chart", "targetRevision"})
_GIT_ABOVE = re.compile(r"(?i)(git.*|sources?|repos?|charts?|helm|releases?|dependencies|modules?|submodules?)\Z")
_GIT_HOSTS = frozenset({"github.com", "gitlab.com", "bitbucket.org", "codeberg.org", "git.sr.ht"})
# Away from any key that speaks of an image, a host, a path and a word are more often something else.
_REGISTRY = re.compile(
    r"(^|[.-])(docker\.(io|pkg\.dev)|gcr|ghcr|quay|azurecr|ecr|nvcr|mcr|lscr|cr|registry|harbor)(\.|$)"
)
_ADDRESS = re.compile(
    r"(?i)(ur[il]s?|hosts?|hostnames?|domains?|endpoints?|address(es)?|servers?|issuer|origins?|module|href"
    r"|volumes?|mounts?|binds|ports?|proxy|repos?|git.*)\Z"
)
_PORT = re.compile(r"[0-9]{1,5}\Z")
NO_TAGS = frozenset({"NoSchedule", "PreferNoSchedule", "NoExecute", "ro", "rw", "z", "Z"})
_NETWORK = re.compile(r"[0-9.]+\Z")


@dataclass(frozen=True)
class Place:
    """Where a value stands: its own key and those above it. ``is_item``: it is a list's item itself; ``in_list``:
    it is one, or a value of a mapping that is one."""

    keys: tuple[str, ...]
    is_item: bool = False
    in_list: bool = False

    def below(self, key: str) -> Place:
        """The place of KEY in a mapping that stands here."""
        return Place((*self.keys, key), in_list=self.is_item)

    def item(self) -> Place:
        """The place of an item of a list that stands here."""
        return Place(self.keys, is_item=True, in_list=True)

    @property
    def key(self) -> str:
        return self.keys[-1] if self.keys else ""

    @property
    def is_image(self) -> bool:
        """The value stands under a key called image, images, extraImages, image_spec, …"""
        return _ends_in_image(self.key)

    @property
    def is_one_of_images(self) -> bool:
        """The value stands in a mapping called images, extraImages, …"""
        return not self.in_list and len(self.keys) > 1 and bool(_IMAGES_END.search(self.keys[-2]))

    @property
    def is_near_image(self) -> bool:
        """This key or the one above speaks of an image."""
        return any(map(_speaks_of_image, self.keys[-2:]))

    @property
    def is_below_image(self) -> bool:
        """This key or one above speaks of an image, and none between starts something else."""
        for key in reversed(self.keys):
            if _speaks_of_image(key):
                return True
            if _APART.search(key):
                return False
        return False

    @property
    def is_address(self) -> bool:
        """The key speaks of addresses, or of git."""
        return _speaks_of_addresses(self.key)


@lru_cache(maxsize=10_000)
def _speaks_of_image(key: str) -> bool:
    return bool(_IMAGE.search(key))


@lru_cache(maxsize=10_000)
def _ends_in_image(key: str) -> bool:
    return bool(_IMAGE_END.search(key))


@lru_cache(maxsize=10_000)
def _speaks_of_addresses(key: str) -> bool:
    return bool(_ADDRESS.search(key) or _GIT_ABOVE.match(key))


def parse(text: str) -> ImageReference | None:
    """TEXT as an image reference, or None."""
    if len(text) > MAX_LENGTH or not _MAYBE.match(text):
        return None
    try:
        return ImageReference.parse(text)
    except HubtoolError:
        return None


def is_templated(text: str) -> bool:
    return bool(_TEMPLATED.search(text))


def may_have_no_tag(place: Place) -> bool:
    """Whether a reference without a tag, at PLACE, is an image all the same."""
    return place.key in WHOLE_KEYS or place.is_image or is_hubploy_name(place)


def is_prose(place: Place) -> bool:
    return place.key.lower() in PROSE_KEYS


def before_reference(place: Place, text: str) -> int:
    """How many characters of TEXT stand before a reference: ``docker://``, ``--pull-image=``, ``NOTEBOOK_IMAGE=``."""
    found = _BEFORE.match(text) if len(text) <= MAX_LENGTH else None
    if found is None or (found["name"] and not (place.is_image or _speaks_of_image(found["name"]))):
        return 0
    return found.end()


def names_image(place: Place, reference: ImageReference) -> bool:
    """Whether a scalar at PLACE that reads as REFERENCE is meant as an image."""
    tagged = bool(reference.tag or reference.digest)
    if not tagged and _NO_IMAGE_FILE.search(reference.name):
        return False
    if place.keys[-2:] == ("machine", "image"):
        return False  # CircleCI's
    if place.key in WHOLE_KEYS:
        return True
    if place.is_image:
        return tagged or (place.in_list and "/" in reference.name)
    if not tagged:
        return False
    if place.key == "container" or (place.key == "name" and Place(place.keys[:-1]).is_image):
        return True
    return "/" in reference.name and (place.is_below_image or _is_registry(place, reference))


def _is_registry(place: Place, reference: ImageReference) -> bool:
    """Whether REFERENCE, at a PLACE that does not speak of images, has a registry's host."""
    host = reference.registry.partition(":")[0]
    if not host or reference.tag in NO_TAGS or host in _GIT_HOSTS or _NETWORK.match(reference.registry):
        return False
    if reference.digest or _REGISTRY.search(host):
        return True
    return not (_PORT.match(reference.tag) or place.is_address)


def is_hubploy_name(place: Place) -> bool:
    """``images.images[].name``, a whole reference under a key that elsewhere holds a bare name."""
    return place.in_list and place.keys[-1:] == ("name",) and bool(_IMAGES_END.search("".join(place.keys[-2:-1])))


def is_split(place: Place, name_key: str, image: ImageReference, beside: Collection[str] = ()) -> bool:
    """Whether a mapping at PLACE whose NAME_KEY reads as IMAGE, with a tag and the keys BESIDE it, is an image."""
    if image.registry in _GIT_HOSTS:
        return False
    if place.is_near_image or _speaks_of_image(name_key):
        return True
    if "/" not in image.name or _GIT_ABOVE.match(place.key) or any(key in beside for key in _GIT_BESIDE):
        return False
    return name_key.lower().endswith(("repository", "repo")) or bool(image.registry)


def prefixed(keys: Collection[str]) -> list[tuple[str, str, str]]:
    """Pairs such as ``hub_image_name`` and ``hub_image_tag`` among KEYS: the tag's, the name's, what they share.

    Raises Unreadable for more than anybody would write in one mapping.
    """
    matches = [found for key in keys if key[-3:] in ("tag", "Tag", "TAG") and (found := _PREFIXED_TAG.match(key))]
    if len(matches) > MAX_PREFIXED:
        raise Unreadable(f"has more than {MAX_PREFIXED} tags in one mapping")
    found_names = ((found, _prefixed_name(found, keys)) for found in matches if found[0] not in _WHOLE_TAG_KEYS)
    return [(found[0], name, found["stem"]) for found, name in found_names if name is not None]


def _prefixed_name(tag: re.Match[str], keys: Collection[str]) -> str | None:
    return next((tag["stem"] + end for end in _PREFIXED_NAMES[tag["end"]] if tag["stem"] + end in keys), None)


_WHOLE_TAG_KEYS = frozenset(tag_key for tag_key, _ in SPLIT_KEYS)
