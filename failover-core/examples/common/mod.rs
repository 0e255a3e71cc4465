//! What the examples share, since it is no driver's business: the command line.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use failover_core::{Answer, Group, Policy, Stopped, Target};
use http::Response;
use http::uri::PathAndQuery;

/// Performs the call that the arguments ask for: a path, and the URL of each target.
pub(crate) fn run(
    call: impl FnOnce(
        &Group<Target>,
        &PathAndQuery,
    ) -> Result<Answer<Response<Vec<u8>>, io::Error>, Stopped<Response<Vec<u8>>, io::Error>>,
) -> ExitCode {
    let print = |path, group| {
        let answer = call(&group, &path)?;
        answer.failures().iter().for_each(|failure| println!("{failure}"));
        println!("target {} answered {}", answer.target(), answer.response().status());
        Ok(io::stdout().write_all(answer.response().body())?)
    };
    match arguments().and_then(|(path, group)| print(path, group)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> Result<(PathAndQuery, Group<Target>), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("expected a path and the URLs of targets")?;
    let targets = arguments.map(|url| Target::parse(&url)).collect::<Result<Vec<_>, _>>()?;
    Ok((Target::path(&path)?, Group::new(targets, Policy::default())?))
}
