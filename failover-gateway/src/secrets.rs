//! Secrets: how they come into the configuration, and who else can read them.

use std::env::{self, VarError};
use std::fs;
use std::path::Path;

use toml::{Table, Value};

use crate::mistake::{Mistake, Revealed};

/// Puts the variables of the environment, and the contents of files, in place of `${env:NAME}` and `${file:PATH}` in all
/// strings, and returns those. Paths are relative to a folder, and the end of a file's last line is left out.
///
/// # Errors
///
/// Names the key, and the variable or file that is not there.
pub(crate) fn reveal(table: &mut Table, folder: &Path) -> Result<Vec<Revealed>, Mistake> {
    let mut revealed = Vec::new();
    for (key, value) in table {
        within(value, key, folder, &mut revealed)?;
    }
    Ok(revealed)
}

fn within(value: &mut Value, key: &str, folder: &Path, revealed: &mut Vec<Revealed>) -> Result<(), Mistake> {
    match value {
        Value::String(text) if text.contains(OPENING) => {
            *text = with_secrets(text, key, folder, revealed)?;
        }
        Value::Array(values) => {
            for (place, value) in values.iter_mut().enumerate() {
                within(value, &format!("{key}[{place}]"), folder, revealed)?;
            }
        }
        Value::Table(table) => {
            for (name, value) in table {
                within(value, &format!("{key}.{name}"), folder, revealed)?;
            }
        }
        _ => {}
    }
    Ok(())
}

fn with_secrets(
    text: &str,
    key: &str,
    folder: &Path,
    revealed: &mut Vec<Revealed>,
) -> Result<String, Mistake> {
    let (mut content, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once(OPENING) {
        content.push_str(before);
        let named =
            after.split_once('}').and_then(|(name, after)| Some((name, secret(name, folder)?, after)));
        let Some((name, secret, after)) = named else {
            // It stays.
            content.push_str(OPENING);
            rest = after;
            continue;
        };
        let text = format!("${{{name}}}");
        let secret = secret.map_err(|error| Mistake::new(key, format!("{text}: {error}")))?;
        content.push_str(&secret);
        revealed.push(Revealed { key: key.to_owned(), text, content: secret });
        rest = after;
    }
    Ok(content + rest)
}

/// What a name stands for, if it is that of a secret.
fn secret(name: &str, folder: &Path) -> Option<Result<String, String>> {
    match name.split_once(':')? {
        ("env", variable) => Some(env::var(variable).map_err(|error| match error {
            VarError::NotPresent => "there is no such variable".to_owned(),
            VarError::NotUnicode(_) => "expected UTF-8".to_owned(),
        })),
        ("file", path) => {
            let content = fs::read_to_string(folder.join(path)).map_err(|error| error.to_string());
            Some(content.map(|content| content.trim_end_matches(['\r', '\n']).to_owned()))
        }
        _ => None,
    }
}

/// Whether a configuration has a secret written in it: a password in a URL, or a header that is one by its name.
pub(crate) fn are_in(table: &Table) -> bool {
    table.iter().any(|(key, value)| is_in(key, value, false))
}

fn is_in(key: &str, value: &Value, is_header: bool) -> bool {
    match value {
        Value::String(text) => {
            let name = key.to_ascii_lowercase();
            let is_secret = is_header && SECRET.iter().any(|part| name.contains(part));
            has_password(text) || (is_secret && !text.contains(OPENING))
        }
        Value::Array(values) => values.iter().any(|value| is_in("", value, false)),
        Value::Table(table) => table.iter().any(|(name, value)| is_in(name, value, key == "headers")),
        _ => false,
    }
}

fn has_password(url: &str) -> bool {
    let authority = url.split_once("://").and_then(|(_, rest)| rest.split('/').next());
    let user = authority.and_then(|authority| authority.rsplit_once('@')).map(|(user, _)| user);
    user.and_then(|user| user.split_once(':')).is_some_and(|(_, password)| !password.contains(OPENING))
}

/// A warning about a file with a secret, if everybody on this machine can read it.
pub(crate) fn warning(path: &Path) -> Option<String> {
    let warning =
        || format!("{}: everybody on this machine can read it, and it holds a secret", path.display());
    can_be_read_by_all(path).then(warning)
}

#[cfg(unix)]
fn can_be_read_by_all(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;

    fs::metadata(path).is_ok_and(|found| found.is_file() && found.mode() & 0o004 != 0)
}

#[cfg(not(unix))]
fn can_be_read_by_all(_path: &Path) -> bool {
    false
}

const OPENING: &str = "${";

/// What is in the names of headers that hold secrets.
const SECRET: [&str; 6] = ["auth", "cookie", "key", "password", "secret", "token"];
