//! The cold starts and the warm events as a picture.

use std::fmt::Write;

use crate::{
    report::{OURS, Report},
    rounds::{Sample, Samples},
    statistics::Spread,
};

const WIDTH: f64 = 860.0;
/// Where the scale begins, and how long it is.
const LEFT: f64 = 120.0;
const LENGTH: f64 = 700.0;
const ROW: f64 = 26.0;
/// Above and below the rows of a panel.
const HEAD: f64 = 46.0;
const FOOT: f64 = 34.0;

/// Two panels, one below the other, each with a logarithmic scale of its own. A line goes from quartile to quartile.
pub fn svg(report: &Report) -> String {
    let functions = report.functions.iter();
    let measured: Vec<(&str, &Samples)> =
        functions.filter_map(|function| Some((function.name, function.samples.as_ref()?))).collect();
    let panel_height = HEAD + ROW * measured.len() as f64 + FOOT;
    let height = 2.0 * panel_height;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"white\"/>\n"
    );
    panel(&mut svg, 0.0, "Cold call: start and first event", &measured, |samples| {
        [samples.spread(Sample::cold_cpu), samples.spread(Sample::cold)]
    });
    panel(&mut svg, panel_height, "Warm event", &measured, |samples| {
        [samples.spread(|sample| sample.warm_cpu), samples.spread(|sample| sample.warm)]
    });
    svg + "</svg>\n"
}

/// A scale whose steps are powers of ten.
struct Scale {
    from: i32,
    to: i32,
}

impl Scale {
    /// One on which all these values lie.
    fn around(values: impl Iterator<Item = f64>) -> Self {
        let (least, most) =
            values.fold((f64::MAX, f64::MIN_POSITIVE), |(least, most), value| (least.min(value), most.max(value)));
        let from = least.max(1e-3).log10().floor() as i32;
        Self { from, to: (most.max(1e-3).log10().ceil() as i32).max(from + 1) }
    }

    fn place(&self, value: f64) -> f64 {
        let share = (value.max(1e-3).log10() - f64::from(self.from)) / f64::from(self.to - self.from);
        LEFT + share.clamp(0.0, 1.0) * LENGTH
    }
}

/// A row for each function: a full dot for the CPU, an empty one for the clock. Writing into a text does not fail.
fn panel(
    svg: &mut String,
    top: f64,
    title: &str,
    measured: &[(&str, &Samples)],
    spreads: impl Fn(&Samples) -> [Spread; 2],
) {
    let all = measured.iter().flat_map(|(_, samples)| spreads(samples));
    let scale = Scale::around(all.flat_map(|spread| [spread.lower, spread.upper]));
    let bottom = top + HEAD + ROW * measured.len() as f64;
    let _ = writeln!(
        svg,
        "<text x=\"12\" y=\"{}\"><tspan font-weight=\"bold\">{title}</tspan>, ms: ● CPU, ○ on the clock</text>",
        top + 24.0
    );
    for power in scale.from..=scale.to {
        let (value, x) = (10_f64.powi(power), scale.place(10_f64.powi(power)));
        let _ = writeln!(
            svg,
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{}\" y2=\"{bottom}\" stroke=\"#cbd5e1\"/>\n\
             <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\" fill=\"#64748b\">{value}</text>",
            top + HEAD - 8.0,
            bottom + 16.0
        );
    }
    for (n, (name, samples)) in measured.iter().enumerate() {
        let y = top + HEAD + ROW * n as f64 + 6.0;
        let color = if *name == OURS { "#2563eb" } else { "#475569" };
        let _ = writeln!(svg, "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{name}</text>", LEFT - 10.0, y + 4.0);
        for (spread, fill) in spreads(samples).into_iter().zip([color, "white"]) {
            let [lower, median, upper] = [spread.lower, spread.median, spread.upper].map(|value| scale.place(value));
            let _ = writeln!(
                svg,
                "<line x1=\"{lower:.1}\" x2=\"{upper:.1}\" y1=\"{y}\" y2=\"{y}\" stroke=\"{color}\" stroke-width=\"2\"/>\n\
                 <circle cx=\"{median:.1}\" cy=\"{y}\" r=\"5\" fill=\"{fill}\" stroke=\"{color}\"/>"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_goes_from_power_to_power_around_all_values() {
        let scale = Scale::around([0.3, 25.0, 870.0].into_iter());
        assert_eq!((scale.from, scale.to), (-1, 3));
        assert_eq!([0.1, 1000.0].map(|value| scale.place(value)), [LEFT, LEFT + LENGTH]);
        assert_eq!(scale.place(10.0), LEFT + LENGTH / 2.0);
    }

    #[test]
    fn a_scale_of_one_value_has_a_length() {
        let scale = Scale::around([10.0].into_iter());
        assert_eq!((scale.from, scale.to), (1, 2));
    }
}
