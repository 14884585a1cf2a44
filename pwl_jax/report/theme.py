"""Colours with a value for each theme, and the style of all pictures."""

from collections.abc import Mapping

LIGHT = {
  "ink": "#1d2430",
  "muted": "#5a6373",
  "grid": "#e2e6ec",
  "panel": "#fefefe",
  "teacher": "#1f5fa9",
  "swap": "#0a7a65",
  "plain": "#7d6748",
  "kd": "#b25309",
  "other": "#8a4ea4",
  "down": "#c2382b",
}
DARK = {
  "ink": "#e9ecf2",
  "muted": "#a4adbb",
  "grid": "#333a46",
  "panel": "#1a1e26",
  "teacher": "#82b4f0",
  "swap": "#4ac9ae",
  "plain": "#cfb895",
  "kd": "#f3a45f",
  "other": "#cfa2e8",
  "down": "#ff8d7e",
}
# The colour of a network, and its name where there is little room.
OF_NETWORK = {
  "student_plain": "plain",
  "student_kd": "kd",
  "student": "swap",
  "teacher": "teacher",
}
BEHIND_TEXT = {
  "facecolor": LIGHT["panel"],
  "edgecolor": "none",
  "alpha": 0.85,
  "boxstyle": "round,pad=0.15",
}
STYLE = {
  "font.family": "DejaVu Sans",
  "font.size": 11,
  "text.color": LIGHT["ink"],
  "text.parse_math": False,
  "axes.edgecolor": LIGHT["grid"],
  "axes.labelcolor": LIGHT["muted"],
  "axes.labelsize": 11,
  "axes.titlesize": 11.5,
  "axes.titlelocation": "left",
  "axes.titlepad": 8,
  "axes.facecolor": "none",
  "axes.spines.top": False,
  "axes.spines.right": False,
  "axes.spines.left": False,
  "axes.grid": True,
  "axes.axisbelow": True,
  "grid.color": LIGHT["grid"],
  "grid.linewidth": 0.8,
  "xtick.color": LIGHT["grid"],
  "ytick.color": LIGHT["grid"],
  "xtick.labelcolor": LIGHT["muted"],
  "ytick.labelcolor": LIGHT["muted"],
  "ytick.major.size": 0,
  "lines.solid_capstyle": "round",
  "svg.fonttype": "none",
  "svg.hashsalt": "pwl_jax",
}


def css_variables(colors: Mapping[str, str]) -> str:
  return " ".join(f"--{name}: {value};" for name, value in colors.items())
