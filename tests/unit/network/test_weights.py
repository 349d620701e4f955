import pytest
import torch
from chgnet.model import CHGNet

from foldwise.common.errors import FoldwiseError
from foldwise.network.chgnet import MODELS, FlatCHGNet
from foldwise.network.weights import from_chgnet, pretrained_state, to_chgnet


@pytest.fixture(scope="module")
def stock():
    return CHGNet.load(verbose=False, use_device="cpu").state_dict()


@pytest.fixture(scope="module")
def network():
    return FlatCHGNet(MODELS["chgnet"])


def test_pretrained_weights_are_those_that_chgnet_loads(network, stock):
    expected, found = from_chgnet(network, stock), pretrained_state(network)
    assert set(found) == set(expected) == set(network.state_dict())
    for name, tensor in found.items():
        assert torch.equal(tensor, expected[name]), name
        assert tensor.shape == network.state_dict()[name].shape


def test_chgnet_gets_its_own_weights_back(network, stock):
    network.load_state_dict(pretrained_state(network))
    back = to_chgnet(network)
    assert set(back) < set(stock)
    for name, tensor in back.items():
        assert torch.equal(tensor, stock[name]), name
    unused = {name.partition(".")[0] for name in set(stock) - set(back)}
    assert unused == {"composition_model", "angle_layers", "site_wise"}
    assert {name for name in stock if name.startswith("angle_layers") and name not in back} == {
        name for name in stock if name.startswith("angle_layers.2.")
    }


@pytest.mark.parametrize("name", list(MODELS))
def test_random_weights_survive_the_renaming(name):
    network = FlatCHGNet(MODELS[name])
    state = from_chgnet(network, to_chgnet(network))
    for parameter, tensor in network.state_dict().items():
        assert torch.equal(tensor, state[parameter]), parameter


def test_weights_of_another_network(network, stock):
    without = {name: tensor for name, tensor in stock.items() if name != "bond_embedding.weight"}
    with pytest.raises(FoldwiseError) as caught:
        from_chgnet(network, without)
    assert str(caught.value) == (
        "CHGNet state dict: the weights do not fit the network ('bond_embedding.weight'). "
        "Use weights of CHGNet 0.3.0's architecture."
    )
