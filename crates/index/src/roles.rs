//! Who has which role in a project, where the index publishes that: PyPI's JSON API, which lies beside its Simple API. An
//! index without one has no answer, and that is no error.

use reqwest::header::HeaderMap;
use serde::Deserialize;
use url::Url;
use wheeltapper_core::ProjectName;

use crate::{
    Client, Result,
    transport::{Failure, Want},
};

/// Roles that are believed of one project at most.
const MOST: usize = 200;

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    ownership: Option<Ownership>,
}

#[derive(Deserialize)]
struct Ownership {
    #[serde(default)]
    organization: Option<String>,
    #[serde(default)]
    roles: Vec<Role>,
}

#[derive(Deserialize)]
struct Role {
    role: String,
    user: String,
}

impl Client {
    /// Role and user name of all who have one in this project, an owning organisation first; none where the first index
    /// does not publish it. Strangers' texts.
    ///
    /// # Errors
    /// `Refused` or `Lost`, where the index gives no answer.
    pub async fn roles(&self, name: &ProjectName) -> Result<Option<Vec<(String, String)>>> {
        let Some(url) =
            self.configuration().indexes.first().and_then(|index| beside_simple(&index.url, name))
        else {
            return Ok(None);
        };
        let mut retries = self.transport().retries(&url);
        loop {
            let want = Want::Page { accept: "application/json", headers: HeaderMap::new() };
            match self.page_once(&url, &want).await {
                Ok((_, body)) => return Ok(body.and_then(|body| roles(&body))),
                Err(Failure::Missing(_)) => return Ok(None),
                Err(failure) => {
                    retries.again(failure, |_| crate::Error::ProjectNotFound(name.clone())).await?;
                }
            }
        }
    }
}

/// `…/simple/` has its JSON API at `…/pypi/NAME/json`.
fn beside_simple(index: &Url, name: &ProjectName) -> Option<Url> {
    let root = index.path().strip_suffix('/')?.strip_suffix("simple")?;
    let mut url = index.clone();
    url.set_path(&format!("{root}pypi/{name}/json"));
    Some(url)
}

fn roles(body: &[u8]) -> Option<Vec<(String, String)>> {
    let ownership = serde_json::from_slice::<Answer>(body).ok()?.ownership?;
    let organisation = ownership.organization.map(|name| ("Organization".to_owned(), name));
    let roles = ownership.roles.into_iter().map(|role| (role.role, role.user));
    Some(organisation.into_iter().chain(roles).take(MOST).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_api_lies_beside_the_simple_one() {
        let name = "six".parse().unwrap();
        let at = |index: &str| beside_simple(&index.parse().unwrap(), &name).map(String::from);
        assert_eq!(at("https://index.org/simple/").as_deref(), Some("https://index.org/pypi/six/json"));
        assert_eq!(at("https://x.org/a/b/simple/").as_deref(), Some("https://x.org/a/b/pypi/six/json"));
        assert_eq!(at("https://x.org/team/main/+index/"), None);
    }

    #[test]
    fn roles_as_the_index_publishes_them() {
        let answer = br#"{"info": {}, "ownership": {"organization": "pyca", "roles": [
            {"role": "Owner", "user": "jane"}, {"role": "Maintainer", "user": "joe", "more": 1}]}}"#;
        let pair = |role: &str, user: &str| (role.to_owned(), user.to_owned());
        let wanted = [pair("Organization", "pyca"), pair("Owner", "jane"), pair("Maintainer", "joe")];
        assert_eq!(roles(answer).as_deref(), Some(&wanted[..]));
        for none in [&b"{}"[..], br#"{"ownership": null}"#, br#"{"ownership": {"roles": 3}}"#, b"<html>"] {
            assert_eq!(roles(none), None);
        }
    }
}
