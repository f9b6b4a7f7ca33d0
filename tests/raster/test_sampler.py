import pytest

from neurotex.errors import ArgumentError
from neurotex.raster import FILTERS, ON_MESH, Sampler, TexelLayout


def test_one_wrap_is_for_both_axes_and_said_as_one() -> None:
    assert Sampler.of("mirror", "nearest") == Sampler("mirror", "mirror", "nearest")
    assert Sampler.of("mirror").wrap == "mirror"
    assert Sampler.of(("clamp", "repeat")).wrap == ("clamp", "repeat")
    assert Sampler() == Sampler.of()


def test_filters_are_told_apart() -> None:
    assert [name for name in FILTERS + ON_MESH if Sampler.of(filter=name).mipmapped] == ["trilinear", "anisotropic"]
    assert [name for name in FILTERS + ON_MESH if Sampler.of(filter=name).on_mesh] == ["vertex", "face"]


@pytest.mark.parametrize(
    ("wrap", "filter", "said"),
    [
        ("wave", "bilinear", "cannot wrap as 'wave': choose one of repeat, clamp, mirror"),
        (("repeat", "wave"), "bilinear", "cannot wrap as 'wave'"),
        (("repeat",), "bilinear", "in one way, or in two"),
        (3, "bilinear", "in one way, or in two"),
        ("repeat", "cubic", "cannot be filtered as 'cubic': choose one of nearest,"),
    ],
)
def test_others_are_refused_here_and_in_a_layout(unchecked: None, wrap: object, filter: str, said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        Sampler.of(wrap, filter)
    with pytest.raises(ArgumentError, match=said):
        TexelLayout.of([(2, 2)], [wrap], filters=[filter])
