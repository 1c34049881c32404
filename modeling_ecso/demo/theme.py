"""How gradio's own parts look: calm, and with the fonts that the visitor's machine has."""

from pathlib import Path

import gradio as gr


STYLE = Path(__file__).parent / "style.css"

# Named fonts of gradio's themes are fetched from elsewhere; these are not.
_TEXT_FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
_CODE_FONTS = ("ui-monospace", "SFMono-Regular", "Consolas", "monospace")


def make_theme() -> gr.themes.Base:
    """Return the theme; the colours come from the same variables as those in style.css."""
    theme = gr.themes.Base(
        primary_hue="blue",
        neutral_hue="slate",
        radius_size="md",
        font=[gr.themes.Font(name) for name in _TEXT_FONTS],
        font_mono=[gr.themes.Font(name) for name in _CODE_FONTS],
    )
    ours = {
        "body_background_fill": "var(--ecso-page)",
        "body_text_color": "var(--ecso-ink)",
        "body_text_color_subdued": "var(--ecso-muted)",
        "background_fill_primary": "var(--ecso-card)",
        "background_fill_secondary": "var(--ecso-page)",
        "block_background_fill": "var(--ecso-card)",
        "block_border_color": "var(--ecso-line)",
        "block_label_background_fill": "var(--ecso-card)",
        "block_label_text_color": "var(--ecso-muted)",
        "block_title_text_color": "var(--ecso-ink)",
        "block_info_text_color": "var(--ecso-muted)",
        "border_color_primary": "var(--ecso-line)",
        "input_background_fill": "var(--ecso-card)",
        "input_border_color": "var(--ecso-line)",
        "button_primary_background_fill": "var(--ecso-accent)",
        "button_primary_background_fill_hover": "var(--ecso-accent-hover)",
        "button_primary_text_color": "var(--ecso-on-accent)",
        "button_secondary_background_fill": "var(--ecso-card)",
        "button_secondary_background_fill_hover": "var(--ecso-waiting-ground)",
        "button_secondary_text_color": "var(--ecso-ink)",
        "button_secondary_border_color": "var(--ecso-line)",
    }
    dark = {f"{name}_dark": value for name, value in ours.items()}
    return theme.set(
        **ours,
        **dark,
        block_shadow="none",
        block_border_width="1px",
        button_secondary_border_color_hover="var(--ecso-muted)",
        button_border_width="1px",
    )
