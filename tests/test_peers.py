"""The PyTorch peer of the benchmarks computes what it is compared with."""

import collections
import random

import pytest

from pwl_jax.method import composition

TORCH = pytest.importorskip(
  "torch",
  reason="the benchmarks' peer needs torch: requirements-bench.txt",
  exc_type=ImportError,
)

from benchmarks.peers import check, networks, step, swapnet  # noqa: E402


@pytest.mark.parametrize("preset", ["tiny_vgg", "tiny_resnet", "tiny_vit"])
def test_the_peer_agrees(preset, capsys):
  code = check.main([f"--preset={preset}", "--batch_size=4"])
  assert code == 0, capsys.readouterr().out


def test_a_difference_is_told(monkeypatch, capsys):
  monkeypatch.setattr(step, "ALPHA", 0.5)
  assert check.main(["--preset=tiny_vgg", "--batch_size=4"]) == 1
  told = capsys.readouterr().out
  assert "losses with STT" in told and "DIFFERS, most in hard" in told


def test_compositions_are_drawn_as_the_method_says():
  rng = random.Random(0)
  drawn = collections.Counter(step.draw(3, rng) for _ in range(20_000))
  assert drawn.keys() == set(composition.every(3)) - {"SSS", "TTT"}
  # One switch: 1/4 each of SST, STT, TSS, TTS. Coins: 1/8 each, and a third of
  # each pure one's eighth.
  for word, count in drawn.items():
    of_coins = 1 / 8 + 1 / 24
    one_switch = (1 / 4) * (word not in ("STS", "TST"))
    assert abs(count / 20_000 - (one_switch + of_coins) / 2) < 0.015


def test_a_family_that_the_peer_lacks_is_told():
  with pytest.raises(ValueError, match=r"no family 'lenet'.*vgg, resnet, vit"):
    swapnet.of_preset("lenet5")
  assert set(networks.FAMILIES) == {"vgg", "resnet", "vit"}


def test_a_step_in_bfloat16_learns():
  net = swapnet.of_preset("tiny_vit")
  x = TORCH.randn(8, 3, 16, 16)
  labels = TORCH.arange(8)
  train = step.make_distill_step(net, dtype=TORCH.bfloat16)
  totals = [sum(train(x, labels).values()).item() for _ in range(8)]
  assert totals[-1] < totals[0]
