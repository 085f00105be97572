//! Drawing with plotters: axes, marks and text in CSS pixels, and the SVG that comes out.

use std::ops::Range;

use anyhow::Result;
use minijinja::HtmlEscape;
use plotters::chart::{ChartBuilder, ChartContext};
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::element::{Circle, DashedPathElement, PathElement, Polygon, Rectangle, Text};
use plotters::prelude::{Cartesian2d, DrawingArea, IntoDrawingArea, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontStyle, IntoFont, IntoTextStyle, ShapeStyle};

use super::theme::{self, Paint};
use super::wording;

/// Backend units per CSS pixel: plotters rounds to whole units, which would show in sloped lines.
const UNITS: i32 = 4;
/// Size of the text of plots, CSS pixels.
const TEXT_SIZE: f64 = 12.0;
/// plotters writes its font size divided by this.
const FONT_RATIO: f64 = 1.24;

/// Width and height in CSS pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) width: u32,
    pub(super) height: u32,
}

impl Size {
    pub(super) const fn new(width: u32, height: u32) -> Self {
        Self { width, height }
    }

    /// Whether it is meant for a phone.
    pub(super) const fn is_narrow(self) -> bool {
        self.width < 420
    }
}

/// The shape of a mark: what tells series apart without colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marker {
    Disc,
    Square,
    Triangle,
    Diamond,
    TriangleDown,
    Ring,
    Frame,
    Cross,
    Plus,
}

impl Marker {
    /// Every shape, in the order in which series get them.
    pub(super) const ALL: [Self; 9] = [
        Self::Disc,
        Self::Square,
        Self::Triangle,
        Self::Diamond,
        Self::TriangleDown,
        Self::Ring,
        Self::Frame,
        Self::Cross,
        Self::Plus,
    ];
}

/// How a line is drawn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stroke {
    pub(super) paint: Paint,
    /// CSS pixels.
    pub(super) width: f64,
    /// 0 to 1.
    pub(super) opacity: f64,
    /// Length of dash and gap in CSS pixels; `None` for a solid line.
    pub(super) dash: Option<(i32, i32)>,
}

impl Stroke {
    pub(super) const fn solid(paint: Paint, width: f64) -> Self {
        Self { paint, width, opacity: 1.0, dash: None }
    }

    pub(super) const fn faint(self, opacity: f64) -> Self {
        Self { opacity, ..self }
    }

    pub(super) const fn dashed(self, dash: i32, gap: i32) -> Self {
        Self { dash: Some((dash, gap)), ..self }
    }

    fn style(self) -> ShapeStyle {
        ShapeStyle {
            color: self.paint.stand_in().mix(self.opacity),
            filled: false,
            stroke_width: (self.width * f64::from(UNITS)).round() as u32,
        }
    }
}

/// Which point of a text lies at its position.
#[derive(Debug, Clone, Copy)]
pub(super) enum Align {
    Start,
    Middle,
    End,
}

/// A position in CSS pixels from the top left corner.
pub(super) type Point = (f64, f64);

type Backend<'a> = SVGBackend<'a>;

/// The surface that everything is drawn on.
pub(super) struct Canvas<'a> {
    root: DrawingArea<Backend<'a>, Shift>,
    size: Size,
}

/// Draws a plot and returns it as an SVG document with the light colours and the style sheet of both.
pub(super) fn draw(size: Size, paint: impl FnOnce(&Canvas<'_>) -> Result<()>) -> Result<Drawing> {
    let mut svg = String::new();
    {
        let units = (size.width * UNITS as u32, size.height * UNITS as u32);
        let canvas = Canvas { root: SVGBackend::with_string(&mut svg, units).into_drawing_area(), size };
        paint(&canvas)?;
        canvas.root.present()?;
    }
    let body = svg.find('>').map_or("", |end| &svg[end + 1..]);
    let body = body.trim().trim_end_matches("</svg>");
    Ok(Drawing { size, body: Paint::dress(body) })
}

/// A finished plot.
#[derive(Debug, Clone)]
pub(super) struct Drawing {
    size: Size,
    body: String,
}

impl Drawing {
    /// The plot as an element of a page that has the style sheet. `id` must be unique in the page.
    pub(super) fn inline(&self, id: &str, class: &str, title: &str) -> String {
        let Size { width, height } = self.size;
        format!(
            "<svg class=\"plot {class}\" width=\"{width}\" height=\"{height}\" viewBox=\"{}\" role=\"img\" \
             aria-labelledby=\"{id}\"><title id=\"{id}\">{}</title>{}</svg>",
            self.view_box(),
            HtmlEscape(title),
            self.body
        )
    }

    /// A mark of a legend: no title, hidden from screen readers, which read the words beside it.
    pub(super) fn key(&self) -> String {
        let Size { width, height } = self.size;
        format!(
            "<svg class=\"key\" width=\"{width}\" height=\"{height}\" viewBox=\"{}\" aria-hidden=\"true\">{}</svg>",
            self.view_box(),
            self.body
        )
    }

    /// The plot as a file of its own, light or dark as the reader prefers.
    pub(super) fn standalone(&self, title: &str) -> String {
        let Size { width, height } = self.size;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"{}\" role=\"img\" \
             aria-labelledby=\"title\"><title id=\"title\">{}</title><style>{}text{{font-family:system-ui,-apple-system,\
             \"Segoe UI\",Roboto,\"Liberation Sans\",sans-serif}}</style><rect class=\"fill-surface\" width=\"100%\" height=\"100%\" \
             fill=\"#FFFFFF\"/>{}</svg>\n",
            self.view_box(),
            HtmlEscape(title),
            theme::style_sheet(),
            self.body
        )
    }

    fn view_box(&self) -> String {
        format!("0 0 {} {}", self.size.width * UNITS as u32, self.size.height * UNITS as u32)
    }
}

/// Where a chart lies on its canvas and what its axes say.
#[derive(Debug, Clone)]
pub(super) struct Frame<'t> {
    /// Left, top, right and bottom edge of the plotting area, CSS pixels.
    pub(super) edges: [f64; 4],
    pub(super) x: Range<f64>,
    pub(super) y: Range<f64>,
    /// Words beside the end of each axis.
    pub(super) x_title: &'t str,
    pub(super) y_title: &'t str,
    /// About how many ticks; 0 leaves an axis to the caller.
    pub(super) n_ticks: (usize, usize),
    /// Whether x ticks are dollars.
    pub(super) x_is_usd: bool,
}

impl<'a> Canvas<'a> {
    /// A chart with its grid and axis labels.
    pub(super) fn chart(&self, frame: &Frame<'_>) -> Result<Chart<'_, 'a>> {
        let [left, top, right, bottom] = frame.edges;
        let context = ChartBuilder::on(&self.root)
            .margin_left(units(left))
            .margin_top(units(top))
            .margin_right(units(f64::from(self.size.width) - right))
            .margin_bottom(units(f64::from(self.size.height) - bottom))
            .build_cartesian_2d(frame.x.clone(), frame.y.clone())?;
        let chart = Chart { canvas: self, context };
        chart.label_axes(frame)?;
        Ok(chart)
    }

    /// A line through positions.
    pub(super) fn path(&self, points: &[Point], stroke: Stroke) -> Result<()> {
        let points: Vec<_> = points.iter().map(|&point| unit_point(point)).collect();
        if points.len() < 2 {
            return Ok(());
        }
        match stroke.dash {
            Some((dash, gap)) => {
                self.root.draw(&DashedPathElement::new(points, dash * UNITS, gap * UNITS, stroke.style()))?;
            }
            None => self.root.draw(&PathElement::new(points, stroke.style()))?,
        }
        Ok(())
    }

    /// A filled rectangle between two corners.
    pub(super) fn block(&self, from: Point, to: Point, paint: Paint, opacity: f64) -> Result<()> {
        let style = fill(paint, opacity);
        self.root.draw(&Rectangle::new([unit_point(from), unit_point(to)], style))?;
        Ok(())
    }

    /// A mark of `radius` CSS pixels around a position.
    pub(super) fn marker(&self, at: Point, marker: Marker, paint: Paint, radius: f64) -> Result<()> {
        let (x, y) = at;
        let around = |offsets: &[(f64, f64)]| -> Vec<Point> {
            offsets.iter().map(|(dx, dy)| (x + dx * radius, y + dy * radius)).collect()
        };
        let bold = Stroke::solid(paint, 2.0);
        match marker {
            Marker::Disc => self.root.draw(&Circle::new(unit_point(at), units(radius), fill(paint, 1.0)))?,
            Marker::Ring => {
                self.root.draw(&Circle::new(unit_point(at), units(radius), fill(Paint::Surface, 1.0)))?;
                self.root.draw(&Circle::new(unit_point(at), units(radius - 0.5), bold.style()))?;
            }
            Marker::Square => self.polygon(&around(&[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)]), paint)?,
            Marker::Frame => {
                let corners = [(-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85), (-0.85, -0.85)];
                self.polygon(&around(&corners), Paint::Surface)?;
                self.path(&around(&corners), bold)?;
            }
            Marker::Triangle => self.polygon(&around(&[(0.0, -1.2), (1.1, 0.8), (-1.1, 0.8)]), paint)?,
            Marker::TriangleDown => self.polygon(&around(&[(0.0, 1.2), (1.1, -0.8), (-1.1, -0.8)]), paint)?,
            Marker::Diamond => self.polygon(&around(&[(0.0, -1.25), (1.25, 0.0), (0.0, 1.25), (-1.25, 0.0)]), paint)?,
            Marker::Cross => {
                self.path(&around(&[(-0.85, -0.85), (0.85, 0.85)]), bold)?;
                self.path(&around(&[(-0.85, 0.85), (0.85, -0.85)]), bold)?;
            }
            Marker::Plus => {
                self.path(&around(&[(-1.1, 0.0), (1.1, 0.0)]), bold)?;
                self.path(&around(&[(0.0, -1.1), (0.0, 1.1)]), bold)?;
            }
        }
        Ok(())
    }

    /// A line of text, its middle at the height of the position.
    pub(super) fn text(&self, text: &str, at: Point, align: Align, paint: Paint, is_bold: bool) -> Result<()> {
        let h_pos = match align {
            Align::Start => HPos::Left,
            Align::Middle => HPos::Center,
            Align::End => HPos::Right,
        };
        let style = if is_bold { FontStyle::Bold } else { FontStyle::Normal };
        let font = ("sans-serif", TEXT_SIZE * FONT_RATIO * f64::from(UNITS)).into_font().style(style);
        let color = paint.stand_in();
        let style = font.into_text_style(&self.root).color(&color).pos(Pos::new(h_pos, VPos::Center));
        self.root.draw(&Text::new(text.to_owned(), unit_point(at), style))?;
        Ok(())
    }

    fn polygon(&self, corners: &[Point], paint: Paint) -> Result<()> {
        let corners: Vec<_> = corners.iter().map(|&corner| unit_point(corner)).collect();
        self.root.draw(&Polygon::new(corners, fill(paint, 1.0)))?;
        Ok(())
    }
}

/// A chart on a canvas: places marks by their values.
pub(super) struct Chart<'c, 'a> {
    canvas: &'c Canvas<'a>,
    context: ChartContext<'c, Backend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>,
}

impl Chart<'_, '_> {
    /// Where a value lies on the canvas.
    pub(super) fn at(&self, value: (f64, f64)) -> Point {
        let (x, y) = self.context.plotting_area().map_coordinate(&value);
        (f64::from(x) / f64::from(UNITS), f64::from(y) / f64::from(UNITS))
    }

    /// A line through values.
    pub(super) fn line(&self, values: &[(f64, f64)], stroke: Stroke) -> Result<()> {
        let points: Vec<Point> = values.iter().map(|&value| self.at(value)).collect();
        self.canvas.path(&points, stroke)
    }

    /// An upright interval with end caps, moved sideways by `shift` CSS pixels.
    pub(super) fn whisker(&self, x: f64, ends: (f64, f64), shift: f64, stroke: Stroke) -> Result<()> {
        if !(ends.0.is_finite() && ends.1.is_finite()) {
            return Ok(());
        }
        let ((x, low), (_, high)) = (self.at((x, ends.0)), self.at((x, ends.1)));
        let x = x + shift;
        self.canvas.path(&[(x, low), (x, high)], stroke)?;
        for y in [low, high] {
            self.canvas.path(&[(x - 2.5, y), (x + 2.5, y)], stroke)?;
        }
        Ok(())
    }

    /// A level interval with end caps.
    pub(super) fn level_whisker(&self, ends: (f64, f64), y: f64, stroke: Stroke) -> Result<()> {
        if !(ends.0.is_finite() && ends.1.is_finite()) {
            return Ok(());
        }
        let ((low, y), (high, _)) = (self.at((ends.0, y)), self.at((ends.1, y)));
        self.canvas.path(&[(low, y), (high, y)], stroke)?;
        for x in [low, high] {
            self.canvas.path(&[(x, y - 3.0), (x, y + 3.0)], stroke)?;
        }
        Ok(())
    }

    fn label_axes(&self, frame: &Frame<'_>) -> Result<()> {
        let [left, top, right, bottom] = frame.edges;
        if frame.n_ticks.0 > 0 {
            let most = frame.x.start.abs().max(frame.x.end.abs());
            for value in ticks(&frame.x, frame.n_ticks.0) {
                let (x, _) = self.at((value, frame.y.start));
                let word = wording::tick(value, most);
                let word = if frame.x_is_usd { format!("${word}") } else { word };
                self.canvas.path(&[(x, bottom), (x, bottom + 4.0)], Stroke::solid(Paint::Muted, 1.0))?;
                self.canvas.text(&word, (x, bottom + 14.0), Align::Middle, Paint::Muted, false)?;
            }
        }
        if frame.n_ticks.1 > 0 {
            let most = frame.y.start.abs().max(frame.y.end.abs());
            for value in ticks(&frame.y, frame.n_ticks.1) {
                let (_, y) = self.at((frame.x.start, value));
                self.canvas.path(&[(left, y), (right, y)], Stroke::solid(Paint::Grid, 1.0))?;
                self.canvas.text(&wording::tick(value, most), (left - 8.0, y), Align::End, Paint::Muted, false)?;
            }
        }
        self.canvas.path(&[(left, bottom), (right, bottom)], Stroke::solid(Paint::Muted, 1.0))?;
        self.canvas.text(frame.y_title, (left - 36.0, top - 16.0), Align::Start, Paint::Muted, false)?;
        self.canvas.text(frame.x_title, (right, bottom + 32.0), Align::End, Paint::Muted, false)
    }
}

/// Round values that divide a range into about `wanted` parts.
fn ticks(range: &Range<f64>, wanted: usize) -> Vec<f64> {
    let span = range.end - range.start;
    let rough = span / wanted as f64;
    if !(rough.is_finite() && rough > 0.0) {
        return Vec::new();
    }
    let magnitude = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * magnitude).into_iter().find(|&step| step >= rough * 0.999);
    let step = step.unwrap_or(rough);
    let first = (range.start / step - 1e-9).ceil() as i64;
    let last = (range.end / step + 1e-9).floor() as i64;
    (first..=last).map(|position| position as f64 * step).collect()
}

/// A range that holds `values` with some air, widened to whole ticks, never empty, and below 0 only where a value is.
pub(super) fn range_of(values: impl Iterator<Item = f64>, wanted_ticks: usize) -> Range<f64> {
    let (low, high) = values
        .filter(|value| value.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    if low > high {
        return 0.0..1.0;
    }
    let is_positive = low >= 0.0;
    let air = if high > low { (high - low) * 0.02 } else { (high.abs() * 0.1).max(1e-6) };
    let (low, high) = (low - air, high + air);
    let inner = ticks(&(low..high), wanted_ticks);
    let step = inner.windows(2).map(|pair| pair[1] - pair[0]).next().unwrap_or(high - low);
    let start = (low / step).floor() * step;
    // Air must not suggest that a share or a divergence could be negative.
    (if is_positive { start.max(0.0) } else { start })..(high / step).ceil() * step
}

fn fill(paint: Paint, opacity: f64) -> ShapeStyle {
    ShapeStyle { color: paint.stand_in().mix(opacity), filled: true, stroke_width: 0 }
}

fn units(pixels: f64) -> i32 {
    (pixels * f64::from(UNITS)).round() as i32
}

fn unit_point((x, y): Point) -> (i32, i32) {
    (units(x), units(y))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(ticks(&(0.0..1.0), 4), [0.0, 0.5, 1.0]);
        assert_eq!(ticks(&(0.3..0.3), 5), [0.0; 0]);
    }

    #[test]
    fn a_range_of_one_value_is_not_empty() {
        let range = range_of([0.5].into_iter(), 5);
        assert!(range.start < 0.5 && range.end > 0.5);
        assert_eq!(range_of([f64::NAN].into_iter(), 5), 0.0..1.0);
    }

    #[test]
    fn a_drawing_has_no_stand_in_left() -> Result<()> {
        let size = Size::new(100, 100);
        let drawing = draw(size, |canvas| {
            for (number, marker) in Marker::ALL.into_iter().enumerate() {
                canvas.marker((50.0, 50.0), marker, Paint::Series(number), 5.0)?;
            }
            canvas.text("a < b", (10.0, 10.0), Align::Start, Paint::Ink, true)
        })?;
        let svg = drawing.standalone("t");
        assert!(!svg.contains("#A1B2"), "{svg}");
        assert!(svg.contains("a &lt; b") && svg.contains("class=\"fill-s0\""));
        Ok(())
    }
}
