//! Users through the daemon that has the database to itself, as its operator.

use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Line, Problem, Wanted};
use crate::account::Role;
use crate::app::Operator;
use crate::outbound::{Client, Limits, Method, Policy, Request, SystemResolver, Target};
use crate::task::UserId;

/// So many users are asked for at a time.
const PAGE: usize = 100;

/// A daemon that runs on this machine.
pub(super) struct Daemon {
    client: Client,
    url: String,
    bearer: String,
}

impl Daemon {
    pub(super) fn new(operator: &Operator) -> Result<Self, Problem> {
        // It wrote its address itself, into a file of its own.
        let policy = Policy::public().with_private();
        // Removing a user takes what is theirs along; a page of users is far below this.
        let limits = Limits { total: Duration::from_secs(60), body_bytes: 1 << 20, ..Limits::default() };
        let client = Client::with(policy, limits, Arc::new(SystemResolver::default()));
        let bearer = format!("Bearer {}", operator.token.reveal());
        Ok(Self { client, url: operator.url.clone(), bearer })
    }

    pub(super) async fn add(&self, wanted: &Wanted<'_>) -> Result<Line, Problem> {
        let mut body = json!({"role": wanted.role.as_str()});
        let given = [
            ("name", wanted.name.map(|name| name.as_str())),
            ("email", wanted.email.map(|email| email.as_str())),
            ("password", wanted.password.as_deref()),
        ];
        for (field, value) in given {
            if let Some(value) = value {
                body[field] = json!(value);
            }
        }
        self.ask(Method::POST, "/users", Some(&body)).await
    }

    pub(super) async fn list(&self) -> Result<Vec<Line>, Problem> {
        let mut lines: Vec<Line> = Vec::new();
        loop {
            let after = lines.last().map(|line| format!("&after={}", line.id)).unwrap_or_default();
            let path = format!("/users?limit={PAGE}{after}");
            let page: Vec<Line> = self.ask(Method::GET, &path, None).await?;
            let last = page.len() < PAGE;
            lines.extend(page);
            if last {
                return Ok(lines);
            }
        }
    }

    pub(super) async fn renew_token(&self, user: UserId) -> Result<Line, Problem> {
        self.ask(Method::POST, &format!("/users/{user}/token"), None).await
    }

    pub(super) async fn set_role(&self, user: UserId, role: Role) -> Result<(), Problem> {
        let body = json!({"role": role.as_str()});
        let _: Line = self.ask(Method::PATCH, &format!("/users/{user}"), Some(&body)).await?;
        Ok(())
    }

    pub(super) async fn delete(&self, user: UserId) -> Result<(), Problem> {
        self.call(Method::DELETE, &format!("/users/{user}"), None).await.map(drop)
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<T, Problem> {
        let answer = self.call(method, path, body).await?;
        let odd = |error| Problem::Failed(format!("the daemon at {} answered oddly: {error}", self.url));
        serde_json::from_slice(&answer).map_err(odd)
    }

    /// The body of an answer that is no problem.
    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Vec<u8>, Problem> {
        let failed = |told: String| Problem::Failed(format!("the daemon at {}: {told}", self.url));
        let target = Target::parse(&format!("{}{path}", self.url), self.client.policy())
            .map_err(|error| failed(error.to_string()))?;
        let text = body.map(Value::to_string).unwrap_or_default();
        let mut request = Request::new(method, target, text);
        for (name, value) in [("authorization", self.bearer.as_str()), ("content-type", "application/json")] {
            request = request.header(name, value).map_err(|error| failed(error.to_string()))?;
        }
        let answer = self.client.send(request).await.map_err(|error| failed(error.to_string()))?;
        if answer.is_success() {
            return Ok(answer.body.to_vec());
        }
        let problem: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        match problem["detail"].as_str() {
            Some(detail) => Err(Problem::Failed(detail.to_owned())),
            None => Err(failed(format!("status {}", answer.status))),
        }
    }
}
