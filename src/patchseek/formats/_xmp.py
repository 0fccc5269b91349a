"""XMP sidecars with regions as the Metadata Working Group has them (MWG 2.0): what digiKam, Lightroom, osxphotos read.

A region is a centre and a size, in shares of the picture as it is stored: as its pixels lie in the file, before the
orientation of EXIF is applied. A picture's file is read and never written. What stands in a sidecar already stays, byte
for byte, but for regions of an earlier search for what has the same name.
"""

from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from ..errors import DatasetError, ImageError, PatchseekError
from ..images import orientation_of_file
from ..originals import has_changed
from ..store import Image
from ._answer import Answer, Place, by_picture
from ._files import below, plain_text, write_bytes
from ._orientation import LYING, stored
from ._xmp_merge import INDENT, OWN, Region, merged

_NAMES = (
    'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" '
    'xmlns:mwg-rs="http://www.metadataworkinggroup.com/schemas/regions/" '
    'xmlns:stArea="http://ns.adobe.com/xmp/sType/Area#" '
    'xmlns:stDim="http://ns.adobe.com/xap/1.0/sType/Dimensions#" '
    f'xmlns:patchseek="{OWN}"'
)
_EMPTY = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="patchseek">\n'
    ' <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\n </rdf:RDF>\n'
    '</x:xmpmeta>\n<?xpacket end="w"?>\n'
)


def write_xmp(answer: Answer, folder: Path | None) -> list[str]:
    """Write a sidecar for each picture, below a folder, or (None) beside the pictures.

    Returns a line for each picture that is left out. Raises PatchseekError where a folder cannot be written.
    """
    problems = []
    for image_id, own in by_picture(answer).items():
        try:
            image = answer.image(image_id, own[0].name)
            if image.page > 1:
                raise ImageError(own[0].name, "a sidecar is of a whole file, and this is a further page")
            if image.stored.member is not None or image.stored.is_rendered:
                raise ImageError(own[0].name, "a sidecar is of a picture file, and this lies in another kind of file")
            if has_changed(image):
                raise ImageError(own[0].name, "changed since it was indexed; index again")
            path = below(folder, f"{own[0].name}.xmp") if folder else beside(image.file)
            write_bytes(path, _sidecar(path, own, image, answer))
        except (ImageError, DatasetError) as error:
            problems.append(str(error))
        except PatchseekError as error:
            if folder:
                raise
            problems.append(str(error))
    return problems


def beside(picture: Path) -> Path:
    """The sidecar of a picture: photo.jpg.xmp, or photo.xmp where that is there and can be of no other file."""
    long, short = picture.with_name(f"{picture.name}.xmp"), picture.with_suffix(".xmp")
    if long.exists() or not short.exists():
        return long
    alike = [
        other for other in picture.parent.iterdir() if other.stem == picture.stem and other not in (picture, short)
    ]
    return long if alike else short


def _sidecar(path: Path, own: Sequence[Place], image: Image, answer: Answer) -> bytes:
    orientation = orientation_of_file(image.file)
    size = own[0].size[::-1] if orientation in LYING else own[0].size
    content = _EMPTY.encode()
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror}), so it is left as it is") from error
    regions = [_region(place, orientation, answer) for place in own]
    whole = (
        (
            f'<rdf:Description rdf:about="" {_NAMES}>\n   <mwg-rs:Regions rdf:parseType="Resource">\n'
            f'    <mwg-rs:AppliedToDimensions stDim:w="{size[0]}" stDim:h="{size[1]}" stDim:unit="pixel"/>\n'
            "    <mwg-rs:RegionList>\n     <rdf:Bag>\n"
        ),
        "     </rdf:Bag>\n    </mwg-rs:RegionList>\n   </mwg-rs:Regions>\n  </rdf:Description>\n ",
    )
    return merged(content, path, regions, whole, size)


def _region(place: Place, orientation: int, answer: Answer) -> Region:
    (x, y, w, h), (width, height) = place.box, place.size
    x0, y0, x1, y1 = stored((x / width, y / height, (x + w) / width, (y + h) / height), orientation)
    area = (x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0
    numbers = [f"{number:.10g}" for number in area]
    facts = {"area": " ".join(numbers), "score": place.score, "confidence": place.confidence, **answer.maker}
    told = "".join(
        f"<patchseek:{key}>{escape(plain_text(str(value)))}</patchseek:{key}>"
        for key, value in facts.items()
        if value is not None
    )
    sides = " ".join(f'stArea:{key}="{number}"' for key, number in zip("xywh", numbers, strict=True))
    name = plain_text(place.label)
    text = (
        f'{" " * INDENT}<rdf:li rdf:parseType="Resource" {_NAMES}>\n'
        f'       <mwg-rs:Area {sides} stArea:unit="normalized"/>\n'
        f"       <mwg-rs:Name>{escape(name)}</mwg-rs:Name>\n"
        f"       <mwg-rs:Description>found by patchseek, {place.sureness:.0%} sure</mwg-rs:Description>\n"
        f'       <mwg-rs:Extensions rdf:parseType="Resource">{told}</mwg-rs:Extensions>\n      </rdf:li>\n'
    )
    return Region(name, area, text)
