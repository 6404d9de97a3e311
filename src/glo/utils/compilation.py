"""Networks compiled by torch for this machine: a setting that costs a minute and may save hours.

What is compiled computes the same in another order, so the last bits differ. It shares its weights
with the network that it was made of, which stays as it is: that one is saved, drawn and searched.
"""

from typing import Any

import torch
from torch import nn

from glo.errors import UserError

__all__ = ["check_compiler", "compiled"]

_LONGEST = 200


def compiled(network: nn.Module) -> nn.Module:
    """Return a network that is compiled at its first call, forward and backward.

    Batches of another length are compiled anew, so that the numbers of a batch do not depend on
    those that came before it: a run that is stopped goes on to the bit.

    Args:
        network: whose weights it uses.
    """
    # torch leaves open what it returns.
    made: Any = torch.compile(network, dynamic=False)
    assert isinstance(made, nn.Module), "a compiled module is a module"
    return made


def check_compiler(device: torch.device) -> None:
    """Check that torch can compile for a device, by compiling something small.

    torch makes programs for the CPU with a C++ compiler, and for other devices with what their
    makers give. Whether all of that works only a trial tells.

    Args:
        device: on which the network will be.

    Raises:
        UserError: it cannot.
    """
    try:
        torch.compile(nn.Tanh(), dynamic=False)(torch.zeros(1, device=device))
    # Whatever it is: it comes from programs that torch starts.
    except Exception as error:
        raise UserError(
            f"compile asks torch for programs made on this machine for {device.type}, and that "
            f"failed ({_first_line(error)}); install a C++ compiler and Python's headers (Debian: "
            f"g++ python3-dev), or leave compile out."
        ) from None


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}"[:_LONGEST] if lines else type(error).__name__
