"""Export of runs: ONNX, a web page, the Hugging Face Hub, TensorBoard, tables of codes."""

from glo.export.hub import fetch_pretrained, from_pretrained, push_to_hub, save_pretrained
from glo.export.onnx import Graphs, export_onnx
from glo.export.tables import codes_from_table, codes_table, read_codes, save_codes
from glo.export.tensorboard import TensorBoard, export_tensorboard
from glo.export.web import export_web

__all__ = [
    "Graphs",
    "TensorBoard",
    "codes_from_table",
    "codes_table",
    "export_onnx",
    "export_tensorboard",
    "export_web",
    "fetch_pretrained",
    "from_pretrained",
    "push_to_hub",
    "read_codes",
    "save_codes",
    "save_pretrained",
]
