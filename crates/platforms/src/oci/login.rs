//! What `docker login` and `podman login` keep of a registry's credentials. They are read, sent to that registry, and never
//! told: no error here repeats a word of those files.

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use wheeltapper_index::{Credentials, Surroundings};

use super::reference::Reference;
use crate::error::Error;

/// What helpers say who know of no credentials.
const NOT_FOUND: &str = "credentials not found";

/// The user name that stands for an identity token.
const TOKEN: &str = "<token>";

/// A file of credentials, `config.json` or `auth.json`.
#[derive(Deserialize)]
struct Kept {
    #[serde(default)]
    auths: BTreeMap<String, Auth>,
    #[serde(default, rename = "credHelpers")]
    helpers: BTreeMap<String, String>,
    #[serde(default, rename = "credsStore")]
    store: Option<String>,
}

#[derive(Default, Deserialize)]
struct Auth {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    #[serde(rename = "identitytoken")]
    identity_token: Option<String>,
}

/// What a helper answers.
#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "Username")]
    username: String,
    #[serde(rename = "Secret")]
    secret: String,
}

/// The credentials for an image, of the first file that has some; `None` for whoever comes without.
///
/// # Errors
/// When a file or a helper is there and does not do.
pub(crate) fn credentials(
    reference: &Reference,
    surroundings: &Surroundings,
) -> Result<Option<Credentials>, Error> {
    for file in files(surroundings) {
        let Ok(bytes) = std::fs::read(&file) else { continue };
        let kept: Kept = serde_json::from_slice(&bytes).map_err(|error| Error::Tool {
            message: format!("{} is not understood, line {}", file.display(), error.line()),
            hint: Some(format!("`docker login {}` writes such a file", reference.registry)),
        })?;
        if let Some(found) = kept.find(reference, &file)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Where podman and docker keep them, in podman's order.
fn files(surroundings: &Surroundings) -> Vec<PathBuf> {
    let folder = |name: &str| {
        let value = surroundings.variables.get(name).filter(|value| !value.is_empty());
        value.map(PathBuf::from)
    };
    let home = |below: &str| surroundings.home.as_ref().map(|home| home.join(below));
    let configuration = folder("XDG_CONFIG_HOME").or_else(|| home(".config"));
    let docker = folder("DOCKER_CONFIG").or_else(|| home(".docker"));
    let files = [
        folder("REGISTRY_AUTH_FILE"),
        folder("XDG_RUNTIME_DIR").map(|folder| folder.join("containers/auth.json")),
        configuration.map(|folder| folder.join("containers/auth.json")),
        docker.map(|folder| folder.join("config.json")),
    ];
    files.into_iter().flatten().collect()
}

impl Kept {
    fn find(&self, reference: &Reference, file: &Path) -> Result<Option<Credentials>, Error> {
        for name in reference.logins() {
            let written = self.auths.iter();
            let close = written
                .filter_map(|(key, auth)| Some((closeness(key, name, &reference.repository)?, key, auth)));
            let closest = close.max_by_key(|(closeness, ..)| *closeness);
            let auth = closest.map(|(_, key, auth)| (key, auth));
            let helper = self.helpers.get(name).or_else(|| self.store.as_ref().filter(|_| auth.is_some()));
            let found = match (helper, auth) {
                (Some(helper), _) => {
                    let server = auth.map_or(name, |(key, _)| key.as_str());
                    ask(helper, server)?
                }
                (None, Some((_, auth))) => auth.read(file)?,
                (None, None) => None,
            };
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }
}

/// How much of an image's name an entry says that is for its registry, or for a part of it: `host`, `https://host/v1/`,
/// `host/team`.
fn closeness(key: &str, name: &str, repository: &str) -> Option<usize> {
    let key = key.trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/');
    let key = key.trim_end_matches("/v1").trim_end_matches("/v2");
    let rest = format!("{name}/{repository}").strip_prefix(key)?.to_owned();
    let is_registry_or_part = key.len() >= name.len() && (rest.is_empty() || rest.starts_with('/'));
    is_registry_or_part.then_some(key.len())
}

impl Auth {
    fn read(&self, file: &Path) -> Result<Option<Credentials>, Error> {
        if self.identity_token.as_ref().is_some_and(|token| !token.is_empty()) {
            return Err(no_identity_tokens(&file.display().to_string()));
        }
        if let (Some(username), Some(password)) = (&self.username, &self.password) {
            return Ok(Some(Credentials::new(username, password)));
        }
        let Some(auth) = self.auth.as_ref().filter(|auth| !auth.is_empty()) else { return Ok(None) };
        let decoded = STANDARD.decode(auth).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let pair = decoded.as_ref().and_then(|text| text.trim_end_matches('\0').split_once(':'));
        pair.map(|(username, password)| Some(Credentials::new(username, password))).ok_or_else(|| {
            Error::Tool {
                message: format!("an `auth` in {} is no user name and password in base64", file.display()),
                hint: Some("`docker login` writes it anew".to_owned()),
            }
        })
    }
}

fn no_identity_tokens(from: &str) -> Error {
    Error::Tool {
        message: format!("{from} has an identity token for this registry, which is not supported"),
        hint: Some("log in with a user name and a password or an access token instead".to_owned()),
    }
}

/// Asks a helper, a program of the user's own (`docker-credential-NAME get`).
fn ask(helper: &str, server: &str) -> Result<Option<Credentials>, Error> {
    let program = format!("docker-credential-{helper}");
    let failed = |how: String| Error::Tool {
        message: format!("{program} {how}"),
        hint: Some("it is named in docker's or podman's configuration, and keeps the credentials".to_owned()),
    };
    if !helper.chars().all(|one| one.is_ascii_alphanumeric() || "._-".contains(one)) {
        return Err(failed("is no program's name".to_owned()));
    }
    let mut command = Command::new(&program);
    command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| failed(format!("cannot be started: {error}")))?;
    if let Some(mut input) = child.stdin.take() {
        // One that does not read its question answers nothing, which is told below.
        let _ = input.write_all(server.as_bytes());
    }
    let output = child.wait_with_output().map_err(|error| failed(format!("does not end: {error}")))?;
    if !output.status.success() {
        let none = String::from_utf8_lossy(&output.stdout).contains(NOT_FOUND);
        return if none { Ok(None) } else { Err(failed(format!("fails ({})", output.status))) };
    }
    let answer: Answer = serde_json::from_slice(&output.stdout)
        .map_err(|_| failed("does not answer as helpers do".to_owned()))?;
    if answer.username == TOKEN {
        return Err(no_identity_tokens(&program));
    }
    Ok(Some(Credentials::new(answer.username, answer.secret)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(text: &str) -> Reference {
        match super::super::Image::read(text).unwrap() {
            super::super::Image::Remote(reference) => reference,
            super::super::Image::Local(_) => panic!("{text} is a path"),
        }
    }

    /// What is found for an image when docker's file says this.
    fn found(text: &str, image: &str) -> Result<Option<Credentials>, Error> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.json"), text).unwrap();
        let mut surroundings = Surroundings::default();
        let folder = folder.path().display().to_string();
        surroundings.variables.insert("DOCKER_CONFIG".to_owned(), folder);
        credentials(&reference(image), &surroundings)
    }

    #[test]
    fn the_closest_entry_counts() {
        let text = format!(
            r#"{{"auths": {{"https://a.b/v1/": {{"auth": "{}"}}, "a.b/team": {{"username": "t", "password": "u"}},
                "https://index.docker.io/v1/": {{"auth": "{}"}}}}}}"#,
            STANDARD.encode("user:pass:word"),
            STANDARD.encode("hub:h")
        );
        let of = |image: &str| found(&text, image).unwrap();
        assert_eq!(of("a.b/x"), Some(Credentials::new("user", "pass:word")));
        assert_eq!(of("a.b/team/x"), Some(Credentials::new("t", "u")));
        assert_eq!(of("a.b/teams/x"), Some(Credentials::new("user", "pass:word")));
        assert_eq!(of("alpine:3"), Some(Credentials::new("hub", "h")));
        assert_eq!(of("c.d/x"), None);
    }

    #[test]
    fn what_does_not_do_is_told_without_its_secrets() {
        for text in [
            r#"{"auths": {"a.b": {"auth": 5, "password": "hunter2"}}}"#,
            r#"{"auths": {"a.b": {"auth": "hunter2"}}}"#,
            r#"{"auths": {"a.b": {"identitytoken": "hunter2"}}}"#,
            r#"{"auths": {"a.b": {}}, "credHelpers": {"a.b": "../hunter"}}"#,
            r#"{"credHelpers": {"a.b": "no-such-helper-is-here"}}"#,
            r#"{"auths": "hunter2"}"#,
        ] {
            let error = found(text, "a.b/x").unwrap_err();
            assert!(!error.to_string().contains("hunter2") && error.hint().is_some(), "{error}");
        }
    }
}
