"""--device says where to encode, and where to search exactly; what another engine does it leaves alone."""

import pytest

from patchseek.cli._encoder import EncoderChoice
from patchseek.cli._search import _index
from patchseek.errors import EncoderError


@pytest.mark.parametrize(
    ("device", "index", "chosen", "engine"),
    [
        (None, None, "exact", None),
        ("cuda", None, "exact", "exact;device=cuda"),
        ("cuda", "exact", "Flat", "exact;device=cuda"),
        ("cuda:1,cuda:0", None, "exact", "exact;device=cuda:1"),
        ("cuda", None, "IVF4,Flat", None),
        ("cuda", "IVF4,Flat", "exact", "IVF4,Flat"),
        ("cpu", None, "exact", None),
        ("auto", "exact", "Flat", "exact"),
    ],
)
def test_exact_search_goes_to_the_device_that_is_said(device, index, chosen, engine):
    assert _index(chosen, {"device": device, "index": index}) == engine


def test_the_encoder_is_opened_on_the_device_that_is_said():
    with pytest.raises(EncoderError, match="runs on the CPU: leave out the options"):
        EncoderChoice(device="cuda").open()
    with pytest.raises(EncoderError, match=r"cuda:7: .*runs on the CPU"):
        EncoderChoice(device="cuda:7").name_or_open()
    assert EncoderChoice().name_or_open() is None
