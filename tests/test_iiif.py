"""IIIF manifests of Presentation API 2 and 3, and collections of them, from a server of the test's own."""

import io
import json
from urllib.parse import urlsplit

import pytest
import urllib3
from click.testing import CliRunner
from PIL import Image

from patchseek import Collection
from patchseek.cli import cli
from patchseek.errors import ImageError, PatchseekError
from patchseek.records import match_record
from patchseek.sources import Canvas, _web, canvas_of

from .conftest import TinyEncoder, blot
from .web_server import serving

pytestmark = [pytest.mark.extra("urls"), pytest.mark.usefixtures("own_web")]
assert urllib3  # what the extra brings


def png(image):
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


class Museum:
    """A server with an Image API for pictures of 2000 x 1500, whose n-th shows blot(n), and with manifests."""

    def __init__(self, site, base):
        self.site, self.base = site, base
        for n in range(4):
            site.put(f"/iiif/{n}/full/!1024,1024/0/default.jpg", png(blot(n, 96, 72)))

    def put(self, name, said):
        self.site.put(f"/{name}", json.dumps(said).encode())
        return self.base + name

    def service(self, n, version):
        base, profile = f"{self.base}iiif/{n}", "level2"
        if version == 3:
            return {"id": base, "type": "ImageService3", "profile": profile}
        return {"@id": base, "@context": "http://iiif.io/api/image/2/context.json", "profile": f"http://iiif/{profile}"}

    def canvas3(self, n, **body):
        own = {"id": f"{self.base}iiif/{n}/full/max/0/default.jpg", "type": "Image", "format": "image/jpeg"}
        own |= {"width": 2000, "height": 1500, "service": [self.service(n, 3)]} | body
        annotation = {"type": "Annotation", "motivation": "painting", "body": own, "target": f"{self.base}canvas/{n}"}
        page = {"type": "AnnotationPage", "items": [annotation]}
        return {"id": f"{self.base}canvas/{n}", "type": "Canvas", "width": 4000, "height": 3000, "items": [page]}

    def manifest3(self, name, *canvases):
        context = "http://iiif.io/api/presentation/3/context.json"
        return self.put(
            name, {"@context": context, "id": self.base + name, "type": "Manifest", "items": list(canvases)}
        )

    def canvas2(self, n, **resource):
        own = {"@id": f"{self.base}iiif/{n}/full/full/0/default.jpg", "@type": "dctypes:Image"}
        own |= {"width": 2000, "height": 1500, "service": self.service(n, 2)} | resource
        images = [{"@type": "oa:Annotation", "motivation": "sc:painting", "resource": own}]
        return {"@id": f"{self.base}canvas/{n}", "@type": "sc:Canvas", "width": 4000, "height": 3000, "images": images}

    def manifest2(self, name, *canvases):
        sequences = [{"@type": "sc:Sequence", "canvases": list(canvases)}]
        return self.put(name, {"@id": self.base + name, "@type": "sc:Manifest", "sequences": sequences})


@pytest.fixture
def museum():
    with serving() as (site, base):
        yield Museum(site, base)


@pytest.fixture
def collection(tmp_path):
    return Collection.open(tmp_path / "collection", encoder=TinyEncoder(), points=False, create=True)


def canvases(collection):
    return [canvas_of(path).id.rpartition("/")[2] for _, _, path in collection.store.paths()]


def asked(museum):
    """What the Image API was asked for."""
    return sorted(path for path in museum.site.asked if path.startswith("/iiif/"))


@pytest.mark.parametrize("version", [2, 3])
def test_a_manifest_is_indexed_and_a_find_names_canvas_box_and_crop(museum, collection, tmp_path, version):
    make, canvas = (museum.manifest2, museum.canvas2) if version == 2 else (museum.manifest3, museum.canvas3)
    report = collection.add(make("manifest", *map(canvas, range(3))))
    assert (report.added, report.failed) == (3, [])
    assert canvases(collection) == ["0", "1", "2"]
    assert asked(museum) == [f"/iiif/{n}/full/!1024,1024/0/default.jpg" for n in range(3)]
    blot(1, 96, 72).crop((48, 36, 96, 72)).save(tmp_path / "query.png")
    (best,) = collection.search(tmp_path / "query.png", top=1, refine=0)
    assert best.box == (0.5, 0.5, 1, 1)
    found = match_record(1, best)
    assert found["canvas"] == f"{museum.base}canvas/1#xywh=2000,1500,2000,1500"
    assert found["crop"] == f"{museum.base}iiif/1/pct:50,50,50,50/max/0/default.jpg"
    assert len(asked(museum)) == 3
    collection.search(tmp_path / "query.png", top=1)
    assert len(asked(museum)) == 3, "refined from what is kept"


def test_the_command_line_takes_a_manifest(museum, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    url = museum.manifest3("manifest.json", museum.canvas3(0), museum.canvas3(1))
    done = CliRunner().invoke(cli, ["index", url])
    assert done.exit_code == 2
    assert "say where with --collection" in done.output
    place = str(tmp_path / "c")
    assert "2 added" in CliRunner().invoke(cli, ["index", url, "-c", place], catch_exceptions=False).stderr
    assert "0 added, 2 unchanged" in CliRunner().invoke(cli, ["index", url, "-c", place]).stderr
    blot(1, 96, 72).save(tmp_path / "query.png")
    done = CliRunner().invoke(cli, ["search", str(tmp_path / "query.png"), "-c", place, "--json"])
    assert json.loads(done.stdout)["results"][0]["canvas"].startswith(f"{museum.base}canvas/1#xywh=")


def test_a_manifest_of_this_machine_is_one_too(museum, collection, tmp_path):
    (tmp_path / "manifest.json").write_text(json.dumps({"type": "Manifest", "items": [museum.canvas3(2)]}))
    assert collection.add(tmp_path / "manifest.json").added == 1


def test_a_collection_is_all_its_manifests_in_their_order(museum, collection):
    museum.manifest3("a", museum.canvas3(2))
    museum.manifest2("b", museum.canvas2(0), museum.canvas2(2))
    inner = {
        "type": "Collection",
        "id": museum.base + "inner",
        "items": [{"type": "Manifest", "id": museum.base + "b"}],
    }
    museum.put("inner", inner | {"manifests": [{"@id": museum.base + "top"}]})  # in a circle
    items = [{"id": museum.base + name, "type": kind} for name, kind in (("a", "Manifest"), ("inner", "Collection"))]
    report = collection.add(museum.put("top", {"type": "Collection", "items": items}))
    assert report.added == 2
    assert canvases(collection) == ["2", "0"]
    assert museum.site.times()["/top"] == 1


def test_what_a_manifest_that_fails_has_named_stays(museum, collection):
    museum.manifest3("a", museum.canvas3(0))
    museum.manifest3("b", museum.canvas3(1))
    items = [{"id": museum.base + name, "type": "Manifest"} for name in "ab"]
    url = museum.put("top", {"type": "Collection", "items": items})
    assert collection.add(url).added == 2
    _web._web_of.cache_clear()
    museum.site.put("/top", json.dumps({"type": "Collection", "items": [items[0], {"id": museum.base + "c"}]}).encode())
    report = collection.add(url)
    assert [failure.path for failure in report.failed] == [museum.base + "c"]
    assert "404" in report.failed[0].reason
    assert (report.removed, len(collection)) == (0, 2)
    museum.put("top", {"type": "Collection", "items": items[:1]})
    report = collection.add(url)
    assert (report.removed, len(collection)) == (1, 1)


def test_canvases_without_a_picture_are_counted_and_of_several_the_first_is_taken(museum, collection):
    sound = museum.canvas3(1)
    sound["items"][0]["items"][0]["body"] = {"id": f"{museum.base}a.mp3", "type": "Sound"}
    choice = museum.canvas3(2)
    bodies = [museum.canvas3(n)["items"][0]["items"][0]["body"] for n in (2, 3)]
    choice["items"][0]["items"][0]["body"] = {"type": "Choice", "items": bodies}
    report = collection.add(museum.manifest3("m", museum.canvas3(0), sound, choice, {"id": "x", "type": "Canvas"}))
    assert report.added == 2
    assert report.passed_over["canvases without a picture"] == 2
    assert asked(museum) == [f"/iiif/{n}/full/!1024,1024/0/default.jpg" for n in (0, 2)]


@pytest.mark.parametrize(
    ("service", "body", "request_"),
    [
        ({"type": "ImageService3"}, {}, "full/!1024,1024"),
        ({"type": "ImageService3"}, {"width": 900, "height": 1024}, "full/max"),
        ({"@type": "ImageService2"}, {"width": 900, "height": 1024}, "full/full"),
        (
            {
                "type": "ImageService3",
                "profile": "level0",
                "sizes": [{"width": w, "height": w // 2} for w in (500, 2000, 1200)],
            },
            {},
            "full/1200,600",
        ),
        (
            {
                "@type": "ImageService2",
                "profile": ["http://iiif.io/api/image/2/level0.json"],
                "sizes": [{"width": 500, "height": 250}],
            },
            {},
            "full/500,",
        ),
    ],
)
def test_an_image_api_is_asked_for_what_it_can_give(museum, collection, service, body, request_):
    body = {"width": 2000, "height": 1000} | body | {"service": [{"id": f"{museum.base}svc", **service}]}
    museum.site.put(f"/svc/{request_}/0/default.jpg", png(blot(7, 64, 32)))
    report = collection.add(museum.manifest3("m", museum.canvas3(0, **body)))
    assert (report.added, report.failed) == (1, [])


def test_without_an_image_api_the_picture_itself_is_fetched_and_cannot_be_cropped(museum, collection):
    museum.site.put("/a.png", png(blot(5, 64, 48)))
    collection.add(museum.manifest3("m", museum.canvas3(0, id=f"{museum.base}a.png", service=[])))
    (match,) = collection.search(blot(5, 64, 48), refine=0)
    found = match_record(1, match)
    assert found["canvas"] == f"{museum.base}canvas/0#xywh=0,0,4000,3000"
    assert "crop" not in found


def test_a_picture_that_changed_comes_anew_and_others_do_not(museum, collection):
    url = museum.manifest3("m", museum.canvas3(0), museum.canvas3(1))
    collection.add(url)
    museum.site.put("/iiif/1/full/!1024,1024/0/default.jpg", png(blot(9, 96, 72)))
    report = collection.add(url, check_content=True)
    assert (report.changed, report.unchanged + report.moved) == (1, 1)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<html>", "not JSON"),
        (b"[1]", "neither a IIIF manifest nor a collection"),
        (b'{"type": "Annotation"}', "neither a IIIF manifest nor a collection"),
        (b"[" * 100_000, "not JSON"),
        (b'{"type": "Manifest", "items": [{"id": 7, "items": 3}, null, "x"]}', "names no pictures"),
        (b'{"type": "Manifest"}', "names no pictures"),
    ],
)
def test_what_is_no_manifest_is_one_line(museum, collection, content, said):
    museum.site.put("/m", content)
    with pytest.raises(PatchseekError, match=said) as raised:
        collection.add(museum.base + "m")
    assert urlsplit(museum.base).netloc in str(raised.value)


def test_an_address_that_is_not_there_or_private_is_one_line(museum, collection, monkeypatch):
    with pytest.raises(ImageError, match="404"):
        collection.add(museum.base + "nowhere")
    monkeypatch.delenv("PATCHSEEK_PRIVATE_HOSTS")
    with pytest.raises(ImageError, match="private"):
        collection.add(museum.base + "nowhere")


def test_a_manifest_cannot_lead_to_files(museum, collection, tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "secret.png")
    body = {"id": f"file://{tmp_path}/secret.png", "service": [{"id": f"file://{tmp_path}", "type": "ImageService3"}]}
    with pytest.raises(PatchseekError, match="names no pictures"):
        collection.add(museum.manifest3("m", museum.canvas3(0, **body)))


def test_a_path_says_all_that_is_known_of_a_canvas():
    canvas = Canvas("https://m/c#1", 40, 30, "https://m/i/full/max/0/default.jpg")
    assert canvas_of(canvas.path) == canvas
    assert canvas_of("https://m/a.jpg#size=1") is None
    assert Canvas("https://m/c", 0, 0, "https://m/a.jpg").place((0, 0, 1, 1)) == "https://m/c"
