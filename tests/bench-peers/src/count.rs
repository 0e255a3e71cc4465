//! Counts by valgrind.

use std::collections::HashMap;
use std::env;
use std::fs;
use std::process::Command;

use crate::BoxError;
use crate::memory::Still;
use crate::server::Server;
use crate::silent::Over;

/// A client as a process.
pub(crate) struct Client<'a> {
    pub(crate) name: &'a str,
    pub(crate) url: &'a str,
}

/// What counts.
#[derive(Clone, Copy)]
pub(crate) enum Tool {
    /// Counts instructions.
    Callgrind,
    /// Counts allocations.
    Dhat,
}

/// What a call costs.
pub(crate) fn per_call(client: &Client<'_>, tool: Tool) -> Result<f64, BoxError> {
    Ok(of_one(client.count(tool, MANY)?, client.count(tool, FEW)?))
}

/// How many bytes an exchange holds that stands still: what each of a hundred more adds at the end.
pub(crate) fn held(name: &str, still: Still, over: Over) -> Result<f64, BoxError> {
    let bytes = |count: u32| {
        let (server, count) = (Server::start(&["stand", over.name()])?, count.to_string());
        let file = format!("{name}.{}.{}.{count}", still.name(), over.name());
        let what = [name, still.name(), over.name(), &count, server.url(), server.certificate()];
        let (_, told) = run(Tool::Dhat, &file, &[&["hold"], &what[..]].concat())?;
        Ok::<_, BoxError>(
            between(&told, " At t-end: ", " bytes").ok_or("valgrind tells no end")?.parse::<u32>()?,
        )
    };
    Ok((f64::from(bytes(1 + HELD)?) - f64::from(bytes(1)?)) / f64::from(HELD))
}

/// What each function's own instructions cost for a call, the dearest first.
pub(crate) fn profile(client: &Client<'_>) -> Result<Vec<(String, f64)>, BoxError> {
    let (many, few) = (client.functions(MANY)?, client.functions(FEW)?);
    let of_one = |(function, many)| {
        let cost = of_one(many, few.get(&function).copied().unwrap_or(0));
        (function, cost)
    };
    let mut functions: Vec<_> = many.into_iter().map(of_one).collect();
    functions.sort_by(|(_, left), (_, right)| right.total_cmp(left));
    Ok(functions)
}

impl Client<'_> {
    fn count(&self, tool: Tool, calls: u32) -> Result<u64, BoxError> {
        let (counts, told) = self.run(tool, calls)?;
        let count = match tool {
            Tool::Callgrind => {
                counts.lines().find_map(|line| Some(line.strip_prefix("totals: ")?.to_owned()))
            }
            Tool::Dhat => {
                let total = told.lines().find_map(|line| Some(line.split_once(" Total: ")?.1));
                total.and_then(|total| between(total, " bytes in ", " blocks"))
            }
        };
        Ok(count.ok_or("valgrind tells no total")?.parse()?)
    }

    /// Each function's own instructions.
    fn functions(&self, calls: u32) -> Result<HashMap<String, u64>, BoxError> {
        let (counts, _) = self.run(Tool::Callgrind, calls)?;
        let (mut names, mut functions) = (HashMap::new(), HashMap::new());
        let mut function = "";
        let mut lines = counts.lines();
        while let Some(line) = lines.next() {
            let name = line.strip_prefix('c').unwrap_or(line).strip_prefix("fn=");
            if let Some((number, name)) = name.and_then(|name| name.split_once(')')) {
                // A name stands only where its number stands first, which may be a call of it.
                let name = *names.entry(number).or_insert(name.trim_start());
                if !line.starts_with('c') {
                    function = name;
                }
            } else if line.starts_with("calls=") {
                // What is called has its costs elsewhere.
                lines.next();
            } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
                let cost: u64 = line.rsplit(' ').next().unwrap_or_default().parse()?;
                *functions.entry(function.to_owned()).or_default() += cost;
            }
        }
        Ok(functions)
    }

    fn run(&self, tool: Tool, calls: u32) -> Result<(String, String), BoxError> {
        let calls = calls.to_string();
        run(tool, &format!("{}.{calls}", self.name), &["call", self.name, self.url, &calls])
    }
}

/// Runs this program under a tool: what that writes into its file, and what it tells.
fn run(tool: Tool, name: &str, arguments: &[&str]) -> Result<(String, String), BoxError> {
    let program = env::current_exe()?;
    let (tool, option) = match tool {
        Tool::Callgrind => ("callgrind", "--callgrind-out-file"),
        Tool::Dhat => ("dhat", "--dhat-out-file"),
    };
    let file = program.with_file_name(format!("{tool}.{name}"));
    let mut command = Command::new("valgrind");
    command.arg(format!("--tool={tool}")).arg(format!("{option}={}", file.display()));
    command.arg(program).args(arguments);
    let ended = command.output().map_err(|error| format!("valgrind: {error}"))?;
    let told = String::from_utf8_lossy(&ended.stderr).into_owned();
    if !ended.status.success() {
        return Err(told.into());
    }
    Ok((fs::read_to_string(file)?, told))
}

/// The number that stands between these two.
fn between(text: &str, before: &str, after: &str) -> Option<String> {
    let (number, _) = text.split_once(before)?.1.split_once(after)?;
    Some(number.trim_start().replace(',', ""))
}

/// Of two counts, what one call adds.
#[expect(clippy::cast_precision_loss, reason = "counts are below 2^52")]
fn of_one(many: u64, few: u64) -> f64 {
    (many as f64 - few as f64) / f64::from(MANY - FEW)
}

const MANY: u32 = 1_500;
const FEW: u32 = 500;
const HELD: u32 = 100;
