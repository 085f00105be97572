//! The colours of the page and its plots, light and dark, written once.
//!
//! Plots are drawn with *paints*: stand-in colours that name a role. [`Paint::dress`] then turns each into a class plus the light
//! colour, so that a style sheet can recolour a finished plot for dark pages and a renderer without style sheets still shows the light
//! one. Every colour has a contrast of at least 3 to 1 (text: 4.5 to 1) against its surface, and the series differ in lightness as well as in hue.

use std::fmt::Write as _;

use plotters::style::RGBColor;

/// The number of series colours; further series begin again with another marker.
pub(crate) const N_SERIES: usize = 9;

/// The role of a colour in a plot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paint {
    /// Text and marks that matter.
    Ink,
    /// Axis labels and references.
    Muted,
    /// Grid lines.
    Grid,
    /// The page behind the plot.
    Surface,
    /// The series with this number.
    Series(usize),
}

/// Name, light and dark colour of the roles that are no series.
const ROLES: [(Paint, &str, &str, &str); 4] = [
    (Paint::Ink, "ink", "#18212B", "#E8EDF2"),
    (Paint::Muted, "muted", "#55616E", "#9FADBB"),
    (Paint::Grid, "grid", "#DDE3E9", "#2B3743"),
    (Paint::Surface, "surface", "#FFFFFF", "#151C23"),
];

/// Light and dark colour of each series. The first is the trained policy's; 0, 1 and 2 are also the three difficulties'.
const SERIES: [(&str, &str); N_SERIES] = [
    ("#0B62B0", "#63B1FF"),
    ("#C4500A", "#FF9D5C"),
    ("#0D7A68", "#4FD1B5"),
    ("#8A3FB8", "#CE9BF5"),
    ("#8A6A00", "#E2BD3C"),
    ("#C02B6B", "#FF8DBB"),
    ("#3E7D1E", "#93D36B"),
    ("#5B5BD6", "#A9AEFF"),
    ("#7A5548", "#D1AA98"),
];

impl Paint {
    /// The stand-in colour to draw with.
    pub(crate) fn stand_in(self) -> RGBColor {
        match self {
            Self::Ink => RGBColor(0xA1, 0xB2, 0xF0),
            Self::Muted => RGBColor(0xA1, 0xB2, 0xF1),
            Self::Grid => RGBColor(0xA1, 0xB2, 0xF2),
            Self::Surface => RGBColor(0xA1, 0xB2, 0xF3),
            Self::Series(number) => RGBColor(0xA1, 0xB2, (number % N_SERIES) as u8),
        }
    }

    /// Replaces the stand-ins of a drawn SVG by classes and light colours.
    pub(crate) fn dress(svg: &str) -> String {
        let mut dressed = svg.to_owned();
        let roles = ROLES.into_iter().map(|(paint, name, light, _)| (paint, name.to_owned(), light));
        let series = SERIES
            .into_iter()
            .enumerate()
            .map(|(number, (light, _))| (Self::Series(number), format!("s{number}"), light));
        for (paint, name, light) in roles.chain(series) {
            let RGBColor(red, green, blue) = paint.stand_in();
            let hex = format!("#{red:02X}{green:02X}{blue:02X}");
            for property in ["fill", "stroke"] {
                let from = format!("{property}=\"{hex}\"");
                let to = format!("class=\"{property}-{name}\" {property}=\"{light}\"");
                dressed = dressed.replace(&from, &to);
            }
        }
        dressed
    }
}

/// The style sheet of the colours: custom properties, and the rules that recolour plots.
pub(crate) fn style_sheet() -> String {
    let mut css = String::new();
    css.push_str(":root{color-scheme:light dark");
    push_properties(&mut css, |light, _| light);
    css.push_str("}\n@media (prefers-color-scheme:dark){:root{");
    push_properties(&mut css, |_, dark| dark);
    css.push_str("}}\n");
    let names =
        ROLES.iter().map(|(_, name, ..)| (*name).to_owned()).chain((0..N_SERIES).map(|number| format!("s{number}")));
    for name in names {
        for property in ["fill", "stroke"] {
            let _ = writeln!(css, ".{property}-{name}{{{property}:var(--{name})}}");
        }
    }
    // Words lie on top of lines: a rim of the surface keeps them readable.
    css.push_str("text.fill-s0,text.fill-ink,text.fill-muted{paint-order:stroke;stroke:var(--surface);stroke-width:16px;stroke-linejoin:round}\n");
    css
}

fn push_properties(css: &mut String, pick: impl Fn(&'static str, &'static str) -> &'static str) {
    for (_, name, light, dark) in ROLES {
        let _ = write!(css, ";--{name}:{}", pick(light, dark));
    }
    for (number, (light, dark)) in SERIES.into_iter().enumerate() {
        let _ = write!(css, ";--s{number}:{}", pick(light, dark));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance (WCAG 2).
    fn luminance(hex: &str) -> f64 {
        let channel = |at: usize| {
            let value = f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    }

    fn contrast(one: &str, other: &str) -> f64 {
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    #[test]
    fn text_and_series_stand_out_from_both_surfaces() {
        let [ink, muted, _, surface] = ROLES;
        for (_, name, light, dark) in [ink, muted] {
            assert!(contrast(light, surface.2) >= 4.5 && contrast(dark, surface.3) >= 4.5, "{name}");
        }
        for (light, dark) in SERIES {
            assert!(contrast(light, surface.2) >= 4.5, "{light}: {}", contrast(light, surface.2));
            assert!(contrast(dark, surface.3) >= 4.5, "{dark}: {}", contrast(dark, surface.3));
        }
    }

    #[test]
    fn stand_ins_become_classes_with_the_light_colour() {
        let drawn = r##"<line stroke="#A1B200"/><text fill="#A1B2F0">"##;
        let expected = r##"<line class="stroke-s0" stroke="#0B62B0"/><text class="fill-ink" fill="#18212B">"##;
        assert_eq!(Paint::dress(drawn), expected);
    }
}
