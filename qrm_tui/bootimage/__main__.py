"""python -m qrm_tui.bootimage: makes, checks, shows and removes boot-images on the machine that it runs on.

Progress goes to standard output, what is wrong to standard error as one line; exit status 1 then.
"""
from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from qrm_tui.bootimage import build
from qrm_tui.bootimage.errors import CannotBuild

IMAGES = Path("/srv/qrm/boot/images")


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("qrm_tui.bootimage", description=__doc__)
    parser.add_argument("--images", type=Path, default=IMAGES, help=f"where boot-images lie ({IMAGES})")
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, summary in (("create", "make one"), ("check", "see that one is as it was made"),
                          ("remove", "remove one")):
        one = verbs.add_parser(verb, help=summary)
        one.add_argument("--id", required=True, help="tells boot-images of one name apart")
        if verb == "create":
            source = one.add_mutually_exclusive_group(required=True)
            source.add_argument("--package", default="", help="a kernel package by name, or a .deb file's path")
            source.add_argument("--kernel", default="", help="the version of a kernel that is installed here")
            one.add_argument("--hypervisor", default="", help="Xen under it: a package by name, a .deb file's path, or "
                             "the word xen for the one that the distribution has")
            one.add_argument("--module", action="append", default=[], help="goes into the initrd besides the usual")
        one.add_argument("name")
    shown = verbs.add_parser("look", help="show all, a JSON object a line")
    shown.add_argument("--deep", action="store_true", help="read the files whole, and not only their sizes")
    return parser


def _say(text: str) -> None:
    print(text, flush=True)


def main() -> None:
    """Do what the arguments say."""
    options = _options().parse_args()
    try:
        if options.verb == "create":
            build.create(options.images, options.name, options.id, package=options.package, version=options.kernel,
                         hypervisor=options.hypervisor, modules=options.module, say=_say)
        elif options.verb == "check":
            trouble = build.trouble_of(options.images / options.name, options.id)
            if trouble:
                raise CannotBuild(trouble)
        elif options.verb == "remove":
            build.remove(options.images, options.name, options.id)
        else:
            for found in build.look(options.images, deep=options.deep):
                _say(json.dumps(found))
    except CannotBuild as error:
        sys.exit(f"boot-image: {error}")


if __name__ == "__main__":
    main()
