"""What a file may not do: claim numbers that it has not, reach outside its folder, or branch."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurotex.errors import FileError
from neurotex.generators.interop import from_onnx
from neurotex.generators.interop.onnx_files import read_onnx
from tests.generators.interop.models import Model

NUMBERS = np.arange(12, dtype=np.float32).reshape(3, 4)


@pytest.fixture
def model(onnx: Any) -> Model:
    """z (n, 3) @ w (3, 4)."""
    model = Model(onnx, ("n", 3))
    model.add("MatMul", ["z", model.tensor(NUMBERS, "w")])
    return model


def _write(proto: Any, folder: Path) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


def _beside(onnx: Any, proto: Any, **said: object) -> Any:
    """The proto with its first tensor in another file."""
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in said.items():
        entry = tensor.external_data.add()
        entry.key, entry.value = key, str(value)
    return proto


def test_a_graph_is_read(model, tmp_path):
    graph = read_onnx(model.write(tmp_path))
    assert [node.operator for node in graph.nodes] == ["MatMul"]
    assert (graph.input, graph.input_shape, graph.output, graph.opset) == ("z", (None, 3), "v0_0", 20)
    assert np.array_equal(graph.tensors["w"], NUMBERS)


def test_numbers_may_lie_beside_the_model(onnx, model, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "w.bin").write_bytes(b"\0" * 8 + NUMBERS.tobytes())
    path = _write(_beside(onnx, model.proto(), location="sub/w.bin", offset=8, length=48), tmp_path)
    assert np.array_equal(read_onnx(path).tensors["w"], NUMBERS)


@pytest.mark.parametrize("location", ["../w.bin", "{outside}", "link.bin", "sub/../../w.bin", "", "."])
def test_numbers_outside_the_model_s_folder_are_refused(onnx, model, tmp_path, location):
    outside, folder = tmp_path / "w.bin", tmp_path / "folder"
    outside.write_bytes(NUMBERS.tobytes())
    folder.mkdir()
    (folder / "sub").mkdir()
    os.symlink(outside, folder / "link.bin")
    path = _write(_beside(onnx, model.proto(), location=location.format(outside=outside)), folder)
    with pytest.raises(FileError, match=r"outside its own folder: do not trust the file\.$"):
        read_onnx(path)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"location": "absent.bin"}, "cannot be read .*keep both together"),
        ({"location": "w.bin", "offset": 4}, "does not hold the 48 bytes of w where"),
        ({"location": "w.bin", "offset": -4}, "does not hold the 48 bytes"),
        ({"location": "w.bin", "length": 44}, "does not hold the 48 bytes"),
        ({"location": "w.bin", "length": "many"}, "does not hold the 48 bytes"),
    ],
)
def test_numbers_that_are_not_there_are_missed(onnx, model, tmp_path, said, message):
    (tmp_path / "w.bin").write_bytes(NUMBERS.tobytes())
    with pytest.raises(FileError, match=message):
        read_onnx(_write(_beside(onnx, model.proto(), **said), tmp_path))


def test_a_shape_that_the_numbers_do_not_fill_is_refused(onnx, model, tmp_path):
    for dims, message in (([3, 5], "does not have the numbers"), ([2**40, 2**20], "does not"), ([-3, -4], "the shape")):
        proto = model.proto()
        proto.graph.initializer[0].dims[:] = dims
        with pytest.raises(FileError, match=message):
            read_onnx(_write(proto, tmp_path))


def test_types_that_torch_does_not_compute_with_are_refused(onnx, model, tmp_path):
    for kind, name in (
        (onnx.TensorProto.STRING, "STRING"),
        (onnx.TensorProto.FLOAT8E5M2, "FLOAT8E5M2"),
        (0, "no type"),
    ):
        proto = model.proto()
        proto.graph.initializer[0].data_type = kind
        with pytest.raises(FileError, match=f"the tensor w in .* is of {name}: export"):
            read_onnx(_write(proto, tmp_path))


def test_what_is_no_model_is_refused(onnx, model, tmp_path):
    path = tmp_path / "model.onnx"
    with pytest.raises(FileError, match=r"model\.onnx cannot be read \(No such file"):
        from_onnx(path)
    path.write_bytes(b"\x80\x02not a model")
    with pytest.raises(FileError, match="is no ONNX file"):
        from_onnx(path)
    whole = model.proto().SerializeToString()
    for cut in range(0, len(whole), 7):
        path.write_bytes(whole[:cut])
        with pytest.raises(FileError):
            from_onnx(path)


def test_graphs_that_no_generator_has_are_refused(onnx, model, tmp_path):
    helper = onnx.helper

    def refused(change: Any, message: str) -> None:
        proto = model.proto()
        change(proto)
        with pytest.raises(FileError, match=message) as caught:
            from_onnx(_write(proto, tmp_path))
        assert "\n" not in str(caught.value)

    more = helper.make_tensor_value_info("c", 1, (1, 10))
    branch = helper.make_node("If", ["z"], ["v"], then_branch=model.proto().graph)
    foreign = helper.make_node("FusedConv", ["z"], ["v"], domain="com.microsoft")
    early = helper.make_node("Relu", ["later"], ["v"])
    nothing = helper.make_node("Constant", [], ["v"], value_string="x")
    refused(lambda p: p.graph.input.append(more), "has the inputs z, c: export it with the latent in")
    refused(lambda p: p.graph.output.append(more), "has the outputs v0_0, c: export it with")
    refused(lambda p: p.graph.node.append(branch), "has a If, which branches")
    refused(lambda p: p.graph.node.append(foreign), "needs FusedConv of com.microsoft, but only ONNX's own")
    refused(lambda p: p.graph.node.insert(0, early), "reads later, which no node before it gives")
    refused(lambda p: p.graph.node.append(nothing), "has value_string, which no number is")
    refused(lambda p: p.opset_import.__delitem__(0), "holds no graph of operator set 7 or later")
    refused(lambda p: setattr(p.graph.output[0], "name", "w2"), "no node of .* gives its output w2")


def test_fields_of_another_kind_are_refused_in_one_sentence(onnx, model, tmp_path):
    """A type that ONNX does not have; a name that is no text."""
    proto = model.proto()
    proto.graph.initializer[0].data_type = 99
    (tmp_path / "generator.onnx").write_bytes(proto.SerializeToString())
    with pytest.raises(FileError, match=r"generator\.onnx is of type 99, which ONNX does not have: export") as refused:
        from_onnx(tmp_path / "generator.onnx")
    assert "\n" not in str(refused.value)
    content = model.proto().SerializeToString()
    name = model.tensors[0].name.encode()
    (tmp_path / "generator.onnx").write_bytes(content.replace(name, b"\xff" * len(name)))
    with pytest.raises(FileError, match=r"generator\.onnx") as refused:
        from_onnx(tmp_path / "generator.onnx")
    assert "\n" not in str(refused.value)
