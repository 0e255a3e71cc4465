//! The plots of cost, which are drawn from the tables that stand beside them: `just plots` draws them anew.
#![forbid(unsafe_code)]

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

#[test]
fn each_plot_shows_what_its_table_says() {
    for chart in CHARTS {
        let file = Path::new(ROOT).join("benchmarks").join(format!("{}.svg", chart.name));
        let drawn = chart.svg();
        if env::var_os("UPDATE_PLOTS").is_some() {
            fs::write(&file, drawn).unwrap();
        } else {
            let stored = fs::read_to_string(&file).unwrap();
            assert!(stored == drawn, "{} is out of date: `just plots` draws it from its table", chart.name);
        }
    }
}

#[test]
fn a_cell_is_a_value_with_its_span_or_none_that_was_ever_reached() {
    let cell = |text: &str, part| {
        let read = Cell::read(text, part);
        (read.value, read.span, read.text)
    };
    assert_eq!(cell("27,806", 0), (Some(27_806.0), None, "27,806".to_owned()));
    assert_eq!(cell("1.5 (1 to 2.25)", 0), (Some(1.5), Some((1.0, 2.25)), "1.5".to_owned()));
    assert_eq!(
        cell("140,000 to 220,000", 0),
        (Some(220_000.0), Some((140_000.0, 220_000.0)), "140,000 to 220,000".to_owned())
    );
    assert_eq!(cell("67 / 63 / 2.0 s", 2), (Some(2.0), None, "2.0 s".to_owned()));
    assert_eq!(cell("67 / 63 / never", 2), (None, None, "never".to_owned()));
}

/// Bars of some rows and columns of a table.
struct Chart {
    name: &'static str,
    title: &'static str,
    file: &'static str,
    /// What stands before the table.
    after: &'static str,
    /// The rows, by how their first cells begin, or all of them.
    rows: &'static [&'static str],
    columns: &'static [&'static str],
    /// Which of the values of a cell that are parted by slashes.
    part: usize,
}

const CHARTS: [Chart; 6] = [
    Chart {
        name: "client_instructions",
        title: "Instructions of a GET of 1 KiB, at the client",
        file: "BENCHMARKS.md",
        after: "## A client\n",
        rows: &[],
        columns: &["instructions"],
        part: 0,
    },
    Chart {
        name: "client_memory",
        title: "Bytes that a client holds of a connection that stands still",
        file: "BENCHMARKS.md",
        after: "## What is held\n",
        rows: &[],
        columns: &["hyper-util's client", "`FailoverClient::forward`"],
        part: 0,
    },
    Chart {
        name: "gateway_rate",
        title: "Requests per second through a proxy (median and span of seven rounds)",
        file: "BENCHMARKS.md",
        after: "## The gateway\n",
        rows: &["requests per second"],
        columns: &PROXIES,
        part: 0,
    },
    Chart {
        name: "gateway_time",
        title: "Processor time of a request through a proxy, in µs (median and span of seven rounds)",
        file: "BENCHMARKS.md",
        after: "## The gateway\n",
        rows: &["processor µs"],
        columns: &PROXIES,
        part: 0,
    },
    Chart {
        name: "fire_failed",
        title: "Calls of 768 that failed while one of two backends came to harm; callers leave after 2 s",
        file: "failover-gateway/README.md",
        after: "whose callers leave after 2 s:\n",
        rows: &[],
        columns: &PROXIES,
        part: 0,
    },
    Chart {
        name: "fire_left",
        title: "Seconds until calls went elsewhere and were well; callers wait for 30 s",
        file: "failover-gateway/README.md",
        after: "callers who wait for 30 s:\n",
        rows: &[],
        columns: &PROXIES,
        part: 2,
    },
];

const PROXIES: [&str; 3] = ["nginx", "HAProxy", "gateway"];

impl Chart {
    /// Its rows, each with a cell of each column.
    fn cells(&self) -> Vec<(String, Vec<Cell>)> {
        let text = fs::read_to_string(Path::new(ROOT).join(self.file)).unwrap();
        let (_, text) = text.split_once(self.after).unwrap_or_else(|| panic!("no {:?}", self.after));
        let mut table = text
            .lines()
            .skip_while(|line| !line.starts_with('|'))
            .take_while(|line| line.starts_with('|'))
            .map(|line| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>());
        let head = table.next().unwrap();
        let nth = |column: &&str| head.iter().position(|cell| cell == column).unwrap();
        let columns: Vec<usize> = self.columns.iter().map(nth).collect();
        let rows: Vec<_> = table
            .skip(1)
            .filter(|row| self.rows.is_empty() || self.rows.iter().any(|begins| row[0].starts_with(begins)))
            .map(|row| {
                let cells = columns.iter().map(|column| Cell::read(row[*column], self.part)).collect();
                (row[0].replace('`', ""), cells)
            })
            .collect();
        assert!(!rows.is_empty(), "{}: no row", self.name);
        rows
    }

    fn svg(&self) -> String {
        let rows = self.cells();
        let most = rows.iter().flat_map(|(_, cells)| cells).map(Cell::most).fold(0.0, f64::max);
        let bars = rows.len() * self.columns.len();
        let height = TOP + BAR * count(bars) + GAP * count(rows.len()) + LEGEND;
        let mut text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {height}\" font-family=\"sans-serif\" \
             font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n<text x=\"12\" y=\"22\" \
             font-size=\"15\">{}</text>\n",
            LEFT + WIDTH + RIGHT,
            self.title,
        );
        let mut y = TOP;
        for (label, cells) in &rows {
            let middle = y + BAR * count(cells.len()) / 2.0 + 4.0;
            let _ = writeln!(
                text,
                "<text x=\"{:.1}\" y=\"{middle:.1}\" text-anchor=\"end\">{label}</text>",
                LEFT - 8.0,
            );
            for ((cell, column), other) in cells.iter().zip(self.columns).zip(OTHERS) {
                cell.draw(&mut text, y, most, if is_ours(label) || is_ours(column) { OURS } else { other });
                y += BAR;
            }
            y += GAP;
        }
        if let [_, _, ..] = self.columns {
            let mut x = LEFT;
            for (column, other) in self.columns.iter().zip(OTHERS) {
                let color = if is_ours(column) { OURS } else { other };
                let column = column.replace('`', "");
                let _ = writeln!(
                    text,
                    "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"12\" height=\"12\" fill=\"{color}\"/><text x=\"{:.1}\" \
                     y=\"{:.1}\">{column}</text>",
                    y + 2.0,
                    x + 18.0,
                    y + 12.0,
                );
                x += 40.0 + 7.0 * count(column.len());
            }
        }
        text + "</svg>\n"
    }
}

/// A value of a table.
struct Cell {
    /// None if it was never reached.
    value: Option<f64>,
    span: Option<(f64, f64)>,
    text: String,
}

impl Cell {
    fn read(cell: &str, part: usize) -> Self {
        let cell = cell.split(" / ").nth(part).unwrap();
        let numbers: Vec<f64> = cell
            .split(|char: char| !char.is_ascii_digit() && char != '.' && char != ',')
            .filter_map(|number| number.replace(',', "").parse().ok())
            .collect();
        let (value, span) = match numbers[..] {
            [] => (None, None),
            [value] => (Some(value), None),
            [least, most] => (Some(most), Some((least, most))),
            [value, least, most] => (Some(value), Some((least, most))),
            _ => panic!("{cell}: too many values"),
        };
        Self { value, span, text: cell.split(" (").next().unwrap().to_owned() }
    }

    fn most(&self) -> f64 {
        self.span.map_or(0.0, |(_, most)| most).max(self.value.unwrap_or_default())
    }

    fn draw(&self, text: &mut String, y: f64, most: f64, color: &str) {
        let width = |value: f64| WIDTH * value / most;
        let ends = width(self.value.unwrap_or(most));
        let opacity = if self.value.is_some() { "1" } else { "0.25" };
        let _ = writeln!(
            text,
            "<rect x=\"{LEFT:.1}\" y=\"{:.1}\" width=\"{ends:.1}\" height=\"{:.1}\" fill=\"{color}\" \
             fill-opacity=\"{opacity}\"/>",
            y + 1.0,
            BAR - 2.0,
        );
        if let Some((least, most)) = self.span {
            let _ = writeln!(
                text,
                "<path d=\"M{:.1} {:.1}H{:.1}\" stroke=\"black\"/>",
                LEFT + width(least),
                y + BAR / 2.0,
                LEFT + width(most),
            );
        }
        let shown = LEFT + width(self.most()).max(ends) + 6.0;
        let _ =
            writeln!(text, "<text x=\"{shown:.1}\" y=\"{:.1}\">{}</text>", y + BAR / 2.0 + 4.0, self.text);
    }
}

fn is_ours(label: &str) -> bool {
    label.contains("Failover") || label == "gateway"
}

fn count(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::MAX, f64::from)
}

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
/// As the eye tells them apart that tells no red from green.
const OTHERS: [&str; 3] = ["#999999", "#56b4e9", "#cc79a7"];
const OURS: &str = "#d55e00";
const LEFT: f64 = 400.0;
const WIDTH: f64 = 480.0;
const RIGHT: f64 = 140.0;
const TOP: f64 = 40.0;
const BAR: f64 = 18.0;
const GAP: f64 = 10.0;
const LEGEND: f64 = 26.0;
