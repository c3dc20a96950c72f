//! A backend of plotters that writes SVG: small, with a group for each level, and with places that tell more under the pointer.
//!
//! Colours stay literal attributes (`fill="#RRGGBB"`), so that a style sheet can find and change them.

use super::canvas::{Canvas, Place, Spot};
use super::text::Text;
use crate::xml::escaped;
use plotters::prelude::DrawingBackend;
use plotters::style::text_anchor::HPos;
use plotters::style::{FontStyle, FontTransform};
use plotters_backend::{BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingErrorKind};
use std::convert::Infallible;
use std::fmt::Write;

const FAMILY: &str = "'DejaVu Sans', Verdana, sans-serif";

/// How near the pointer must come to a point, in units.
const REACH: i32 = 22;

/// The SVG in the making.
#[derive(Debug)]
pub(super) struct Sheet {
    /// In units.
    size: (u32, u32),
    body: String,
    spots: String,
    /// What the next element belongs to.
    level: Option<usize>,
    /// The group that is open in the body.
    open: Option<usize>,
    path: Path,
}

/// The path that is being written: what follows in the same style joins it.
#[derive(Debug, Default)]
struct Path {
    /// Fill or stroke; empty: there is no path.
    attributes: String,
    data: String,
    /// Where its line ends.
    end: Option<BackendCoord>,
}

/// The backend that writes on a sheet.
pub(super) struct SvgBackend<'a>(pub(super) &'a mut Sheet);

type Drawn = Result<(), DrawingErrorKind<Infallible>>;

impl Sheet {
    /// An empty one of this size, in units.
    pub(super) fn new(size: (u32, u32)) -> Self {
        Self { size, body: String::new(), spots: String::new(), level: None, open: None, path: Path::default() }
    }

    /// The whole element `svg`.
    pub(super) fn finish(mut self, title: &str) -> String {
        self.level = None;
        self.end_path();
        self.enter();
        let (width, height) = (pixels(self.size.0.cast_signed()), pixels(self.size.1.cast_signed()));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\" \
             font-family=\"{FAMILY}\" stroke-linejoin=\"round\">{}{}</svg>",
            escaped(title),
            self.body,
            self.spots
        )
    }

    /// Writes an element.
    fn element(&mut self, element: &str) {
        self.end_path();
        self.enter();
        self.body.push_str(element);
    }

    /// Continues the path in this style, or begins one, and returns its data.
    fn path(&mut self, attributes: String) -> &mut Path {
        if self.path.attributes != attributes || self.level != self.open {
            self.end_path();
            self.enter();
            self.path.attributes = attributes;
        }
        &mut self.path
    }

    fn end_path(&mut self) {
        let Path { attributes, data, .. } = std::mem::take(&mut self.path);
        if !data.is_empty() {
            put(&mut self.body, format_args!("<path {attributes} d=\"{data}\"/>"));
        }
    }

    /// Enters the group of the level that the next element belongs to.
    fn enter(&mut self) {
        if self.open == self.level {
            return;
        }
        if self.open.is_some() {
            self.body.push_str("</g>");
        }
        if let Some(level) = self.level {
            put(&mut self.body, format_args!("<g class=\"level\" data-level=\"{level}\">"));
        }
        self.open = self.level;
    }
}

impl Path {
    /// Adds a line; one that begins where the last one ended continues it.
    fn add_line(&mut self, points: impl IntoIterator<Item = BackendCoord>) {
        for (index, at) in points.into_iter().enumerate() {
            if index > 0 || self.end != Some(at) {
                let command = if index == 0 { 'M' } else { 'L' };
                put(&mut self.data, format_args!("{command}{} {}", pixels(at.0), pixels(at.1)));
            }
            self.end = Some(at);
        }
    }

    /// Adds a box that reaches from one corner to the other, both included, as on a bitmap: so neighbours leave no gap.
    fn add_box(&mut self, from: BackendCoord, to: BackendCoord) {
        let (width, height) = (pixels(to.0 - from.0 + 1), pixels(to.1 - from.1 + 1));
        put(&mut self.data, format_args!("M{} {}h{width}v{height}h-{width}z", pixels(from.0), pixels(from.1)));
    }
}

impl Canvas for SvgBackend<'_> {
    fn assign(&mut self, level: Option<usize>) {
        self.0.level = level;
    }

    fn add_spot(&mut self, Spot { level, place, text }: &Spot) {
        let (name, at) = match *place {
            Place::Point((x, y)) => {
                let at = format!("cx=\"{}\" cy=\"{}\" r=\"{}\"", pixels(x), pixels(y), pixels(REACH));
                ("circle", at)
            }
            Place::Box([from, to]) => {
                let (width, height) = (pixels(to.0 - from.0), pixels(to.1 - from.1));
                let at =
                    format!("x=\"{}\" y=\"{}\" width=\"{width}\" height=\"{height}\"", pixels(from.0), pixels(from.1));
                ("rect", at)
            }
        };
        let text = escaped(text);
        put(
            &mut self.0.spots,
            format_args!(
                "<{name} class=\"spot\" data-level=\"{level}\" {at} fill=\"transparent\"><title>{text}</title></{name}>"
            ),
        );
    }
}

impl DrawingBackend for SvgBackend<'_> {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        self.0.size
    }

    fn ensure_prepared(&mut self) -> Drawn {
        Ok(())
    }

    fn present(&mut self) -> Drawn {
        Ok(())
    }

    fn draw_pixel(&mut self, point: BackendCoord, color: BackendColor) -> Drawn {
        self.draw_rect(point, point, &color, true)
    }

    fn draw_line<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S) -> Drawn {
        self.draw_path([from, to], style)
    }

    fn draw_rect<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S, fill: bool) -> Drawn {
        if fill {
            self.0.path(filled(style.color())).add_box(from, to);
            Ok(())
        } else {
            self.draw_path([from, (to.0, from.1), to, (from.0, to.1), from], style)
        }
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, path: I, style: &S) -> Drawn {
        self.0.path(stroked(style)).add_line(path);
        Ok(())
    }

    fn draw_circle<S: BackendStyle>(&mut self, (x, y): BackendCoord, radius: u32, style: &S, fill: bool) -> Drawn {
        let attributes = if fill { filled(style.color()) } else { stroked(style) };
        let radius = pixels(radius.cast_signed());
        self.0.element(&format!("<circle {attributes} cx=\"{}\" cy=\"{}\" r=\"{radius}\"/>", pixels(x), pixels(y)));
        Ok(())
    }

    /// Each stands by itself: where two of one path overlap, they might cancel each other.
    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, vertices: I, style: &S) -> Drawn {
        let mut path = Path::default();
        path.add_line(vertices);
        self.0.element(&format!("<path {} d=\"{}z\"/>", filled(style.color()), path.data));
        Ok(())
    }

    fn draw_text<T: BackendTextStyle>(&mut self, text: &str, style: &T, (x, y): BackendCoord) -> Drawn {
        // `Text` is the only one that writes: it gives the lower edge of plotters' box, and SVG wants the baseline.
        let descent = Text::descent_of(style.size());
        let upright = matches!(style.transform(), FontTransform::Rotate270);
        let (x, y) = if upright { (x - descent, y) } else { (x, y - descent) };
        let (x, y) = (pixels(x), pixels(y));
        let anchor = match style.anchor().h_pos {
            HPos::Left => "",
            HPos::Center => " text-anchor=\"middle\"",
            HPos::Right => " text-anchor=\"end\"",
        };
        let weight = if matches!(style.style(), FontStyle::Bold) { " font-weight=\"bold\"" } else { "" };
        let turned = if upright { format!(" transform=\"rotate(-90 {x} {y})\"") } else { String::new() };
        let (fill, size, text) = (filled(style.color()), Text::em(style.size()) / 2.0, escaped(text));
        self.0.element(&format!(
            "<text x=\"{x}\" y=\"{y}\" font-size=\"{size:.1}\" {fill}{anchor}{weight}{turned}>{text}</text>"
        ));
        Ok(())
    }
}

/// Units as pixels: whole ones, or with a half.
fn pixels(units: i32) -> f64 {
    f64::from(units) / 2.0
}

fn filled(colour: BackendColor) -> String {
    format!("fill=\"{}\"{}", hex(colour), opacity("fill", colour))
}

fn stroked<S: BackendStyle>(style: &S) -> String {
    let (colour, width) = (style.color(), f64::from(style.stroke_width()) / 2.0);
    format!("fill=\"none\" stroke=\"{}\"{} stroke-width=\"{width}\"", hex(colour), opacity("stroke", colour))
}

fn hex(BackendColor { rgb: (red, green, blue), .. }: BackendColor) -> String {
    format!("#{red:02X}{green:02X}{blue:02X}")
}

fn opacity(of: &str, colour: BackendColor) -> String {
    if colour.alpha < 1.0 { format!(" {of}-opacity=\"{:.2}\"", colour.alpha) } else { String::new() }
}

/// Writing into a `String` does not fail.
fn put(text: &mut String, what: std::fmt::Arguments) {
    let _ = text.write_fmt(what);
}

#[cfg(test)]
mod tests {
    use super::*;
    use plotters::element::{PathElement, Rectangle};
    use plotters::prelude::IntoDrawingArea;
    use plotters::style::{Color, RGBColor, ShapeStyle};

    const BLUE: RGBColor = RGBColor(0, 0x72, 0xB2);

    #[test]
    fn what_looks_alike_joins_and_each_level_has_its_group() {
        let mut sheet = Sheet::new((200, 100));
        {
            let area = SvgBackend(&mut sheet).into_drawing_area();
            let line =
                |points: [(i32, i32); 2]| PathElement::new(points.to_vec(), ShapeStyle::from(BLUE).stroke_width(5));
            area.draw(&line([(0, 0), (10, 11)])).unwrap();
            area.draw(&line([(10, 11), (20, 0)])).unwrap();
            area.draw(&line([(30, 0), (40, 0)])).unwrap();
            super::super::canvas::for_level(&area, 3, || {
                area.draw(&Rectangle::new([(0, 0), (9, 9)], BLUE.mix(0.5).filled()))?;
                area.draw(&Rectangle::new([(10, 0), (19, 9)], BLUE.mix(0.5).filled()))
            })
            .unwrap();
            let spot = Spot { level: 3, place: Place::Point((5, 5)), text: "p99 < 4 ms & \u{7}more".to_owned() };
            spot.draw(&area).unwrap();
        }
        insta::assert_snapshot!(sheet.finish("A \"title\"").replace("><", ">\n<"), @r##"
        <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 50" role="img" aria-label="A &quot;title&quot;" font-family="'DejaVu Sans', Verdana, sans-serif" stroke-linejoin="round">
        <path fill="none" stroke="#0072B2" stroke-width="2.5" d="M0 0L5 5.5L10 0M15 0L20 0"/>
        <g class="level" data-level="3">
        <path fill="#0072B2" fill-opacity="0.50" d="M0 0h5v5h-5zM5 0h5v5h-5z"/>
        </g>
        <circle class="spot" data-level="3" cx="2.5" cy="2.5" r="11" fill="transparent">
        <title>p99 &lt; 4 ms &amp; more</title>
        </circle>
        </svg>
        "##);
    }
}
