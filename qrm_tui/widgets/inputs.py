"""Style sheets above those of all looks: inputs of one line have no frame. Apart from the input, which loads late."""

from __future__ import annotations

#: For the app: above the style sheets' own rules for inputs.
CSS = """
LineInput, LineInput:focus, LineInput:ansi, LineInput:ansi:focus {
    border: none !important; height: 1 !important; padding: 0 1 !important; background: $panel !important;
    overflow: hidden hidden !important;
}
LineInput:ansi > .input--placeholder, LineInput:ansi > .input--suggestion { color: ansi_white; }
LineInput:nocolor { text-style: underline !important; }
ModalScreen { background: $background 60%; }
.-wrong LineInput, .-wrong LineInput:ansi, .-wrong LineInput:focus { color: $text-error !important; }
"""
